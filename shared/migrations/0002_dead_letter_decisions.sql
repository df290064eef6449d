-- Every service: who decided what of a dead letter, and why. What was decided is never rewritten.
CREATE TABLE dead_letter_decision (
    id          uuid        PRIMARY KEY,
    letter_id   uuid        NOT NULL REFERENCES dead_letter,
    decision    text        NOT NULL,
    actor       text        NOT NULL,
    why         text        NOT NULL,
    at          timestamptz NOT NULL,
    body_before bytea,
    CONSTRAINT decision_is_known       CHECK (decision IN ('replay', 'discard')),
    CONSTRAINT decision_says_who_why   CHECK (actor <> '' AND why <> ''),
    CONSTRAINT only_a_replay_may_mend  CHECK (body_before IS NULL OR decision = 'replay')
);
CREATE INDEX dead_letter_decision_of ON dead_letter_decision (letter_id, at);

CREATE FUNCTION decisions_stay_on_record() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a decision about a dead letter stays on record' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER decisions_stay_on_record BEFORE UPDATE OR DELETE OR TRUNCATE ON dead_letter_decision
    FOR EACH STATEMENT EXECUTE FUNCTION decisions_stay_on_record();

ALTER TABLE dead_letter ADD CONSTRAINT discarded_letter_says_who CHECK (state <> 'discarded' OR closed_by IS NOT NULL);
CREATE INDEX dead_letter_open ON dead_letter (last_failed_at) WHERE state IN ('retrying', 'dead');
