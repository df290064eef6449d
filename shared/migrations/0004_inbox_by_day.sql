-- The inbox forgets by emptying a day, not row by row: a ring of forty slots, one a day, each a table of its own. The slot
-- follows from the event's own time, so that the same event always meets itself. Slot -1 is for those whose time is not to
-- be believed.
ALTER TABLE inbox RENAME TO inbox_until_now;
ALTER TABLE inbox_until_now RENAME CONSTRAINT inbox_pkey TO inbox_until_now_pkey;
CREATE TABLE inbox (
    key         uuid        NOT NULL,
    slot        smallint    NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT an_event_is_heard_once PRIMARY KEY (key, slot)
) PARTITION BY LIST (slot);

CREATE TABLE inbox_undated PARTITION OF inbox FOR VALUES IN (-1);
DO $$
BEGIN
    FOR slot IN 0..39 LOOP
        EXECUTE format('CREATE TABLE inbox_%s PARTITION OF inbox FOR VALUES IN (%s)', slot, slot);
    END LOOP;
END $$;

-- 0001-01-01 is day 1, as Python counts them.
CREATE FUNCTION slot_of(day date) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((day - DATE '0001-01-01' + 1) % 40)::smallint;

INSERT INTO inbox SELECT key, slot_of((received_at AT TIME ZONE 'UTC')::date), received_at FROM inbox_until_now;
DROP TABLE inbox_until_now;

-- Empties the slots of all days before this one, back to where the ring begins anew; how many had something in them. The
-- services may not TRUNCATE, so it is done for them, and never to the last two days.
CREATE FUNCTION forget_inbox(first_kept date) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT SET lock_timeout = '1s' AS $$
DECLARE
    today   date    := (now() AT TIME ZONE 'UTC')::date;
    emptied integer := 0;
    filled  boolean;
BEGIN
    FOR age IN greatest(today - first_kept + 1, 2)..38 LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM inbox_%s)', slot_of(today - age)) INTO filled;
        IF filled THEN
            EXECUTE format('TRUNCATE inbox_%s', slot_of(today - age));
            emptied := emptied + 1;
        END IF;
    END LOOP;
    DELETE FROM inbox_undated WHERE received_at < first_kept;
    RETURN emptied;
END $$;

-- Answers to repeated requests are forgotten too.
CREATE INDEX idempotency_key_created_at ON idempotency_key (created_at);
