-- A refund is known by its order and its id: two shops, or one shop for two orders, may both call theirs "1".
ALTER TABLE refund DROP CONSTRAINT refund_pkey, ADD CONSTRAINT refund_is_known_in_its_order PRIMARY KEY (order_id, id);
DROP INDEX refund_of_order;
ALTER TABLE ledger_entry DROP CONSTRAINT refund_is_entered_once,
    ADD CONSTRAINT refund_is_entered_once UNIQUE (order_id, refund_id);
