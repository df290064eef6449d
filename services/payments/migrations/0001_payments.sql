-- What is known of each order's money: its charge, its refunds, and the ledger that nothing is ever taken out of.

-- A charge is asked for by its row: `errand` says what, `due_at` when, and while it is being asked `due_at` is the lease.
CREATE TABLE payment (
    order_id     text        PRIMARY KEY,
    id           uuid        NOT NULL,
    -- from orders and inventory
    amount       bigint,
    currency     text,
    channel      text,
    token        text,
    collected_by text,
    receipt      text,
    concerns     text[]      NOT NULL DEFAULT '{}',
    reserved     boolean     NOT NULL DEFAULT FALSE,
    expired      boolean     NOT NULL DEFAULT FALSE,
    cancelled    text,
    released_at  timestamptz,
    -- from the provider
    attempted_at timestamptz,
    stop_asked   boolean     NOT NULL DEFAULT FALSE,
    provider_id  text,
    url          text,
    held_at      timestamptz,
    hold_reason  text,
    reference    text,
    refused      text,
    closed       boolean     NOT NULL DEFAULT FALSE,
    doubt        text,
    -- what the facts add up to
    state        text        NOT NULL DEFAULT 'waiting',
    ending       text,
    ended_at     timestamptz,
    refunding    bigint      NOT NULL DEFAULT 0,
    -- what is to be asked of the provider
    errand       text,
    due_at       timestamptz,
    attempts     integer     NOT NULL DEFAULT 0,
    cause        jsonb,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT payment_id_is_unique             UNIQUE (id),
    CONSTRAINT payment_knows_all_its_terms      CHECK (num_nulls(amount, currency, channel) IN (0, 3)),
    CONSTRAINT payment_amount_is_not_negative   CHECK (amount >= 0),
    CONSTRAINT payment_state_is_known           CHECK (state IN ('waiting', 'review', 'charging', 'action_required', 'held',
                                                                 'doubt', 'captured', 'failed', 'voided')),
    CONSTRAINT payment_ends_in_one_way          CHECK (ending IN ('captured', 'failed', 'voided')),
    CONSTRAINT payment_state_says_its_ending    CHECK (ending IS NULL AND state NOT IN ('captured', 'failed', 'voided')
                                                       OR ending = state),
    CONSTRAINT ended_payment_says_when          CHECK ((ending IS NULL) = (ended_at IS NULL)),
    CONSTRAINT ended_payment_has_terms          CHECK (ending IS NULL OR amount IS NOT NULL),
    CONSTRAINT only_captured_money_has_a_proof  CHECK ((ending IS NOT DISTINCT FROM 'captured') = (reference IS NOT NULL)),
    CONSTRAINT shop_collected_means_captured    CHECK (collected_by IS NULL OR ending = 'captured'),
    CONSTRAINT payment_errand_is_known          CHECK (errand IN ('charge', 'ask', 'capture', 'void')),
    CONSTRAINT payment_errand_has_a_time        CHECK ((errand IS NULL) = (due_at IS NULL)),
    CONSTRAINT ended_payment_has_no_errand      CHECK (ending IS NULL OR errand IS NULL),
    CONSTRAINT provider_is_asked_once_reserved  CHECK (attempted_at IS NULL OR (reserved AND amount IS NOT NULL)),
    CONSTRAINT never_refund_more_than_captured
        CHECK (refunding BETWEEN 0 AND CASE WHEN ending = 'captured' THEN amount ELSE 0 END)
) WITH (fillfactor = 70);  -- every fact updates the row in place
CREATE INDEX payment_due ON payment (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE refund (
    id             text        PRIMARY KEY,
    order_id       text        NOT NULL,
    amount         bigint      NOT NULL,
    currency       text        NOT NULL,
    reason         text,
    told_by        text,
    told_reference text,
    state          text        NOT NULL,
    reference      text,
    failure        text,
    attempted_at   timestamptz,
    due_at         timestamptz,
    attempts       integer     NOT NULL DEFAULT 0,
    cause          jsonb,
    created_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT refund_is_of_an_order       FOREIGN KEY (order_id) REFERENCES payment,
    CONSTRAINT refund_is_not_negative      CHECK (amount >= 0),
    CONSTRAINT refund_state_is_known       CHECK (state IN ('waiting', 'due', 'awaiting_shop', 'refunded', 'failed')),
    CONSTRAINT refund_was_asked_or_told    CHECK (reason IS NOT NULL OR told_by IS NOT NULL),
    CONSTRAINT shop_says_how_it_refunded   CHECK ((told_by IS NULL) = (told_reference IS NULL)),
    CONSTRAINT sent_refund_has_a_proof     CHECK ((state = 'refunded') = (reference IS NOT NULL)),
    CONSTRAINT failed_refund_says_why      CHECK ((state = 'failed') = (failure IS NOT NULL)),
    CONSTRAINT due_refund_has_a_time       CHECK ((state = 'due') = (due_at IS NOT NULL))
);
CREATE INDEX refund_of_order ON refund (order_id);
CREATE INDEX refund_due ON refund (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE ledger_entry (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         text        NOT NULL,
    payment_id   uuid        NOT NULL,
    order_id     text        NOT NULL,
    refund_id    text,
    amount       bigint      NOT NULL,
    currency     text        NOT NULL,
    channel      text        NOT NULL,
    collected_by text,
    reference    text        NOT NULL,
    at           timestamptz NOT NULL,
    CONSTRAINT ledger_kind_is_known       CHECK (kind IN ('captured', 'refunded')),
    CONSTRAINT ledger_amount_has_no_sign  CHECK (amount >= 0),
    CONSTRAINT only_refunds_have_an_id    CHECK ((kind = 'refunded') = (refund_id IS NOT NULL)),
    CONSTRAINT refund_is_entered_once     UNIQUE (refund_id)
);
CREATE UNIQUE INDEX charge_is_entered_once ON ledger_entry (payment_id) WHERE kind = 'captured';
CREATE INDEX ledger_of_order ON ledger_entry (order_id);

-- Which of a provider's webhooks have been heard: a repeat does nothing.
CREATE TABLE webhook_notification (
    provider    text        NOT NULL,
    id          text        NOT NULL,
    type        text        NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT notification_is_heard_once PRIMARY KEY (provider, id)
);
CREATE INDEX webhook_notification_received_at ON webhook_notification (received_at);

-- What a CHECK cannot see: that a row was something else before.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'refused by %: % of %', TG_ARGV[0], TG_OP, TG_TABLE_NAME
          USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_ARGV[0], TABLE = TG_TABLE_NAME;
END $$;

CREATE TRIGGER payment_ends_once BEFORE UPDATE OF ending ON payment FOR EACH ROW
    WHEN (OLD.ending IS NOT NULL AND NEW.ending IS DISTINCT FROM OLD.ending)
    EXECUTE FUNCTION refuse_change('payment_ends_once');

CREATE TRIGGER ledger_is_only_added_to BEFORE UPDATE OR DELETE ON ledger_entry FOR EACH ROW
    EXECUTE FUNCTION refuse_change('ledger_is_only_added_to');
