-- Our own events are known in the inbox by their ids, which are in the sequence of time: what is heard now lies beside what was heard
-- just before, however many millions there are. In an inbox that knows events by their hash already, only from an hour after
-- this on: until then a process of the version before may hear one, and another must find it there.
CREATE TABLE inbox_by_id (
    since   timestamptz NOT NULL,
    is_only boolean     NOT NULL DEFAULT TRUE,
    CONSTRAINT inbox_by_id_since_one_time PRIMARY KEY (is_only),
    CONSTRAINT inbox_by_id_since_is_only  CHECK (is_only)
);
INSERT INTO inbox_by_id (since)
SELECT CASE WHEN EXISTS (SELECT FROM inbox) THEN now() + interval '1 hour' ELSE '2000-01-01 00:00+00' END;
