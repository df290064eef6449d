-- Logistics: an order's one parcel, what partners must still be asked for, and the scans on its way.

-- Every number of our own fleet is given once, whatever becomes of the transaction that took it.
CREATE SEQUENCE fleet_serial MAXVALUE 999999999999 NO CYCLE;

-- A shipment is what its facts say; its state is kept beside them to be searched, and the audit compares.
CREATE TABLE shipment (
    shipment_id   uuid        NOT NULL,
    order_id      text        NOT NULL,
    state         text        NOT NULL,
    created_at    timestamptz NOT NULL,
    paid_at       timestamptz,
    deducted_at   timestamptz,
    ship_to       jsonb,
    phone         text,
    contents      text,
    value         bigint,
    currency      text,
    carrier       text,
    serial        bigint,
    refused       text,
    waybill       text,
    tracking_url  text,
    booked_at     timestamptz,
    told_at       timestamptz,
    told_by       text,
    in_transit_at timestamptz,
    delivered_at  timestamptz,
    failed_at     timestamptz,
    failure       text,
    released_at   timestamptz,
    cancelled_at  timestamptz,
    withdrawn_at  timestamptz,
    CONSTRAINT shipment_is_known_by_its_id PRIMARY KEY (shipment_id),
    CONSTRAINT shipment_is_one_an_order    UNIQUE (order_id),
    -- the waybill first: scans come with a number and no carrier
    CONSTRAINT waybill_is_one_shipments    UNIQUE (waybill, carrier),
    CONSTRAINT shipment_state_is_known     CHECK (state IN ('awaited', 'booking', 'booked', 'in_transit', 'delivered', 'failed', 'cancelled')),
    CONSTRAINT only_paid_orders_are_shipped CHECK (num_nulls(paid_at, ship_to, contents, value, currency) IN (0, 5)
                                               AND (paid_at IS NOT NULL OR coalesce(carrier, waybill, refused) IS NULL)),
    CONSTRAINT unpaid_shipment_is_only_awaited CHECK (paid_at IS NOT NULL OR state IN ('awaited', 'cancelled')),
    CONSTRAINT shipped_stock_is_deducted   CHECK (waybill IS NULL OR deducted_at IS NOT NULL),
    CONSTRAINT booked_shipment_is_whole    CHECK (num_nulls(waybill, booked_at) IN (0, 2) AND (waybill IS NULL OR carrier IS NOT NULL)),
    CONSTRAINT waybill_is_not_refused      CHECK (waybill IS NULL OR refused IS NULL),
    CONSTRAINT moving_parcel_has_a_waybill CHECK (waybill IS NOT NULL OR (state IN ('awaited', 'booking', 'failed', 'cancelled')
                                               AND num_nulls(in_transit_at, delivered_at, failed_at) = 3)),
    CONSTRAINT delivered_parcel_says_when  CHECK (state <> 'delivered' OR delivered_at IS NOT NULL),
    CONSTRAINT failed_shipment_says_why    CHECK (state <> 'failed' OR coalesce(refused, failure) IS NOT NULL),
    CONSTRAINT failure_says_when           CHECK (num_nulls(failed_at, failure) IN (0, 2)),
    CONSTRAINT cancelled_shipment_says_when CHECK (state <> 'cancelled' OR cancelled_at IS NOT NULL),
    CONSTRAINT only_what_is_cancelled_is_withdrawn CHECK (withdrawn_at IS NULL OR cancelled_at IS NOT NULL),
    CONSTRAINT told_shopper_has_a_number   CHECK (num_nulls(told_at, told_by) = 2 OR (num_nulls(told_at, told_by) = 0 AND waybill IS NOT NULL))
) WITH (fillfactor = 80);  -- scans change the row a few times: leave room for it on its page

-- What a partner must be asked for: to take a parcel on, to withdraw a waybill, to tell a shopper. At most one of a kind
-- for a shipment, so there is one booking and one message. next_attempt_at is the lease of who is asking, or the time of
-- the next try; null when it is done.
CREATE TABLE errand (
    shipment_id     uuid        NOT NULL REFERENCES shipment,
    kind            text        NOT NULL,
    attempts        integer     NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    cause           jsonb,
    created_at      timestamptz NOT NULL,
    CONSTRAINT errand_is_one_of_its_kind PRIMARY KEY (shipment_id, kind),
    CONSTRAINT errand_kind_is_known      CHECK (kind IN ('book', 'withdraw', 'notify')),
    CONSTRAINT attempts_are_counted      CHECK (attempts >= 0)
);
CREATE INDEX errand_due ON errand (kind, next_attempt_at) WHERE next_attempt_at IS NOT NULL;

-- What carriers' scanners said. Without a shipment while its waybill is not known here: a scan may come before the answer
-- to the booking was recorded.
CREATE TABLE scan (
    waybill     text        NOT NULL,
    at          timestamptz NOT NULL,
    status      text        NOT NULL,
    description text        NOT NULL,
    shipment_id uuid,
    received_at timestamptz NOT NULL,
    CONSTRAINT scan_is_told_once    PRIMARY KEY (waybill, at, status),
    CONSTRAINT scan_status_is_known CHECK (status IN ('transit', 'delivered', 'failure'))
);
CREATE INDEX scan_unmatched ON scan (waybill) WHERE shipment_id IS NULL;

-- Webhooks taken, so that a replay is not.
CREATE TABLE webhook_notification (
    provider    text        NOT NULL,
    webhook_id  text        NOT NULL,
    received_at timestamptz NOT NULL,
    CONSTRAINT webhook_is_taken_once PRIMARY KEY (provider, webhook_id)
);
CREATE INDEX webhook_notification_received_at ON webhook_notification (received_at);
