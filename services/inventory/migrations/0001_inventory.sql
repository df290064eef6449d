-- Inventory: the catalogue, the shelves, what is set aside for which order, and the ledger that explains every piece.
-- Whatever is locked or compared by name is COLLATE "C", so that SQL and Python sort it alike.

-- Ids that nobody gave start above those a merchant usually brings along.
CREATE SEQUENCE product_id START 100001;

CREATE TABLE product (
    id                  bigint      NOT NULL,
    sku                 text        COLLATE "C" NOT NULL,
    name                text        NOT NULL,
    price_minor         bigint      NOT NULL,
    currency            text        NOT NULL,
    category            text        NOT NULL DEFAULT '',
    tags                text[]      NOT NULL DEFAULT '{}',
    low_stock_threshold integer     NOT NULL,
    revision            integer     NOT NULL DEFAULT 1,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    deleted_at          timestamptz,
    CONSTRAINT product_id_is_unique              PRIMARY KEY (id),
    CONSTRAINT product_sku_is_unique             UNIQUE (sku),
    CONSTRAINT product_id_is_positive            CHECK (id > 0),
    CONSTRAINT product_price_is_not_negative     CHECK (price_minor >= 0),
    CONSTRAINT product_threshold_is_not_negative CHECK (low_stock_threshold >= 0)
);

-- Every product has at least one shelf, if only an empty one: a SKU without a shelf is unknown.
CREATE TABLE shelf (
    sku      text   COLLATE "C" NOT NULL,
    location text   COLLATE "C" NOT NULL,
    on_hand  bigint NOT NULL DEFAULT 0,
    reserved bigint NOT NULL DEFAULT 0,
    CONSTRAINT shelf_stands_once        PRIMARY KEY (sku, location),
    CONSTRAINT shelf_is_of_a_product    FOREIGN KEY (sku) REFERENCES product (sku),
    CONSTRAINT shelf_never_below_zero   CHECK (0 <= reserved AND reserved <= on_hand)
) WITH (fillfactor = 50); -- a hot shelf changes with every batch: room on the page keeps its index untouched

CREATE TABLE reservation (
    order_id    text        COLLATE "C" NOT NULL,
    state       text        NOT NULL DEFAULT 'awaited',
    lines       jsonb       NOT NULL DEFAULT '[]',
    collected   boolean     NOT NULL DEFAULT FALSE,
    paid        boolean     NOT NULL DEFAULT FALSE,
    allocations jsonb       NOT NULL DEFAULT '[]',
    shortage    jsonb,
    expires_at  timestamptz,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    CONSTRAINT reservation_is_one_an_order    PRIMARY KEY (order_id),
    CONSTRAINT reservation_state_is_known
        CHECK (state IN ('awaited', 'reserved', 'committed', 'rejected', 'expired', 'cancelled')),
    CONSTRAINT reservation_knows_its_lines    CHECK (state IN ('awaited', 'cancelled') OR lines <> '[]'),
    CONSTRAINT held_stock_is_allocated        CHECK ((state IN ('reserved', 'committed')) = (allocations <> '[]')),
    CONSTRAINT rejection_says_what_is_missing CHECK ((state = 'rejected') = (shortage IS NOT NULL)),
    CONSTRAINT committed_stock_is_paid        CHECK (state <> 'committed' OR paid OR collected),
    CONSTRAINT only_reserved_stock_expires    CHECK (expires_at IS NULL OR state = 'reserved'),
    CONSTRAINT paid_stock_does_not_expire     CHECK (expires_at IS NULL OR NOT (paid OR collected))
);
CREATE INDEX reservation_due ON reservation (expires_at) WHERE expires_at IS NOT NULL;

-- Append only: the sum of its changes is the shelf.
CREATE TABLE movement (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at              timestamptz NOT NULL,
    sku             text        COLLATE "C" NOT NULL,
    location        text        COLLATE "C" NOT NULL,
    order_id        text        COLLATE "C",
    kind            text        NOT NULL,
    on_hand_change  bigint      NOT NULL,
    reserved_change bigint      NOT NULL,
    reason          text,
    CONSTRAINT movement_kind_is_known
        CHECK (kind IN ('reserved', 'released', 'deducted', 'restocked', 'adjusted')),
    CONSTRAINT movement_moves_something   CHECK (on_hand_change <> 0 OR reserved_change <> 0),
    CONSTRAINT movement_has_its_order     CHECK ((kind = 'adjusted') = (order_id IS NULL)),
    CONSTRAINT adjustment_says_why        CHECK (kind <> 'adjusted' OR reason IS NOT NULL)
);
