-- What runs with its owner's rights looks for tables in its own schema, and among what its caller has made (pg_temp) last. Where
-- pg_temp is not named it comes first: a trigger of a service's temporary inbox_undated was run as the owner of all schemas.
SELECT set_config('search_path', current_schema() || ', pg_temp', TRUE);
ALTER FUNCTION forget_inbox(date) SET search_path FROM CURRENT;
