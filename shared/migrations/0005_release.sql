-- From when on no process of the release before runs beside this one: then it may do what that one would not understand. Where there
-- was none, ever; otherwise from an hour after this on (docs/how-to/upgrade.md). A release that needs that adds its row.
CREATE TABLE release (
    version     text        NOT NULL,
    alone_since timestamptz NOT NULL,
    CONSTRAINT release_version_once PRIMARY KEY (version)
);
-- since 0.2.0 the inbox knows our own events by their ids, and orders only notes stock that is reserved until it is paid for
INSERT INTO release (version, alone_since)
SELECT '0.2.0', CASE WHEN current_setting('orderbus.is_new')::boolean THEN '2000-01-01 00:00+00' ELSE now() + interval '1 hour' END;
