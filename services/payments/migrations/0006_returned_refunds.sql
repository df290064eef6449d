-- A refund that was sent and came back, maybe days later. What it was is said by the ledger's entry, which stays: all of that is
-- ours again. Only what had gone can come back, and once.
CREATE TABLE ledger_return (
    order_id  text        NOT NULL,
    refund_id text        NOT NULL,
    at        timestamptz NOT NULL,
    CONSTRAINT return_is_entered_once    PRIMARY KEY (order_id, refund_id),
    CONSTRAINT only_what_went_comes_back FOREIGN KEY (order_id, refund_id) REFERENCES ledger_entry (order_id, refund_id)
);
CREATE TRIGGER returns_are_only_added_to BEFORE UPDATE OR DELETE ON ledger_return FOR EACH ROW
    EXECUTE FUNCTION refuse_change('returns_are_only_added_to');
