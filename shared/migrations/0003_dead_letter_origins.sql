-- Every service: with a dead letter stays where the broker had it from, so that each try asks again whether its publisher
-- may say this. Null in letters from before.
ALTER TABLE dead_letter
    ADD COLUMN exchange    text,
    ADD COLUMN routing_key text,
    ADD COLUMN queue       text,
    ADD CONSTRAINT dead_letter_origin_is_whole CHECK (num_nulls(exchange, routing_key, queue) IN (0, 3));
