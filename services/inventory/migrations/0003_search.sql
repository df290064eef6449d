-- A keyword is found anywhere in a product's words, in any language, without reading the whole catalogue: by its pairs of
-- characters. No extension is needed; trigrams would not find Chinese words, most of which have two characters.

-- A line each, so that no keyword is found across two of them.
CREATE FUNCTION words_of(name text, sku text, category text, tags text[]) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN lower(name || E'\n' || sku || E'\n' || category || E'\n' || array_to_string(tags, E'\n'));

-- What is indexed: every character, and every two that stand together.
CREATE FUNCTION grams(words text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN ARRAY(SELECT DISTINCT substr(words, at, length)
                   FROM generate_series(1, char_length(words)) at, generate_series(1, 2) length);

-- What must be there for a keyword to be: its pairs, or itself when it is one character.
CREATE FUNCTION grams_of_keyword(keyword text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN ARRAY(SELECT DISTINCT substr(keyword, at, 2) FROM generate_series(1, greatest(char_length(keyword) - 1, 1)) at);

ALTER TABLE product ADD COLUMN words text NOT NULL GENERATED ALWAYS AS (words_of(name, sku, category, tags)) STORED;
CREATE INDEX product_by_words ON product USING gin (grams(words)) WHERE deleted_at IS NULL;
