-- Every service: what it has heard, what it has yet to say, what it could not handle, and whom it has answered.
CREATE TABLE inbox (
    key         uuid        PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE outbox (
    id         uuid        PRIMARY KEY,
    type       text        NOT NULL,
    body       bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_created_at ON outbox (created_at);

CREATE TABLE dead_letter (
    id              uuid        PRIMARY KEY,
    event_id        text,
    event_type      text,
    source          text,
    subject         text,
    body            bytea       NOT NULL,
    reason          text        NOT NULL,
    stack           text,
    attempts        integer     NOT NULL,
    state           text        NOT NULL,
    first_failed_at timestamptz NOT NULL DEFAULT now(),
    last_failed_at  timestamptz NOT NULL DEFAULT now(),
    next_attempt_at timestamptz,
    closed_at       timestamptz,
    closed_by       text,
    CONSTRAINT dead_letter_state_is_known CHECK (state IN ('retrying', 'dead', 'handled', 'discarded')),
    CONSTRAINT retrying_letter_has_a_time CHECK ((state = 'retrying') = (next_attempt_at IS NOT NULL)),
    CONSTRAINT closed_letter_says_when    CHECK ((state IN ('handled', 'discarded')) = (closed_at IS NOT NULL))
);
CREATE INDEX dead_letter_due ON dead_letter (next_attempt_at) WHERE state = 'retrying';

CREATE TABLE idempotency_key (
    owner        text        NOT NULL,
    key          text        NOT NULL,
    request_hash bytea       NOT NULL,
    status       integer,
    headers      jsonb,
    body         bytea,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_key_is_used_once PRIMARY KEY (owner, key)
);

-- Which event types somebody subscribed to when the topology was last declared: an unroutable one of these waits.
CREATE TABLE subscribed_type (
    type text PRIMARY KEY
);
