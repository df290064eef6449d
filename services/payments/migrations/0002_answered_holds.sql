-- A release answers the holds that a person had seen. Each is known by the time at which it was said here; the time of the
-- release is by another service's clock and cannot tell which of them came first.
ALTER TABLE payment ADD COLUMN answered timestamptz[] NOT NULL DEFAULT '{}';
UPDATE payment SET answered = ARRAY[held_at] WHERE released_at > held_at;
