-- An order is what its facts say; status and sums are kept beside them to be searched, and the audit compares.
CREATE TABLE orders (
    id          text        PRIMARY KEY,
    status      text,
    source      text,
    currency    text,
    total       bigint,
    captured    bigint      NOT NULL DEFAULT 0,
    refunded    bigint      NOT NULL DEFAULT 0,
    placed      jsonb,
    facts       jsonb       NOT NULL DEFAULT '{}',
    placed_at   timestamptz,
    complete_at timestamptz,
    CONSTRAINT placed_order_is_whole       CHECK (num_nulls(placed, placed_at, status, source, currency, total) IN (0, 6)),
    CONSTRAINT status_is_known             CHECK (status IN ('placed', 'held', 'paid', 'shipped', 'delivered', 'completed',
                                                             'cancelled', 'refunded')),
    CONSTRAINT refunded_never_exceeds_captured CHECK (0 <= refunded AND refunded <= captured)
) WITH (fillfactor = 70);  -- a row changes about seven times: leave room for it on its page

CREATE INDEX orders_by_status ON orders (status, placed_at DESC);
CREATE INDEX orders_by_time ON orders (placed_at DESC);
CREATE INDEX orders_to_complete ON orders (complete_at) WHERE complete_at IS NOT NULL;

-- What every service said of an order, as orders heard it.
CREATE TABLE timeline (
    order_id     text        NOT NULL,
    at           timestamptz NOT NULL,
    event_id     text        NOT NULL,
    type         text        NOT NULL,
    source       text        NOT NULL,
    caused_by    text,
    trace_id     text,
    note         text        NOT NULL,
    CONSTRAINT an_event_is_told_once PRIMARY KEY (order_id, event_id, source)
);

-- Orders' own copy of the price list; the newest revision wins, whatever the sequence.
CREATE TABLE price (
    product_id bigint  PRIMARY KEY,
    sku        text    NOT NULL,
    amount     bigint  NOT NULL,
    currency   text    NOT NULL,
    revision   integer NOT NULL,
    on_sale    boolean NOT NULL,
    CONSTRAINT price_is_not_negative CHECK (amount >= 0)
);
CREATE INDEX price_by_sku ON price (sku) WHERE on_sale;
