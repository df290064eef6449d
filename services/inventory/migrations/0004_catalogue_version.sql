-- Whether the catalogue is still what it was when a search was made: another value with each change of a product, seen when the
-- change is. No number: after a restore it would come again, and stand for something else.
CREATE TABLE catalogue_version (
    version uuid    NOT NULL,
    is_only boolean NOT NULL DEFAULT TRUE,
    CONSTRAINT catalogue_has_one_version PRIMARY KEY (is_only),
    CONSTRAINT catalogue_version_is_only CHECK (is_only)
);
INSERT INTO catalogue_version (version) VALUES (gen_random_uuid());

CREATE FUNCTION change_catalogue() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE catalogue_version SET version = gen_random_uuid();
    RETURN NULL;
END $$;

CREATE TRIGGER catalogue_changes AFTER INSERT OR UPDATE OR DELETE ON product
    FOR EACH STATEMENT EXECUTE FUNCTION change_catalogue();
