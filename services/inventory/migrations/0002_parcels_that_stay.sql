-- What a cancelled order has taken off the books may be in a parcel: it goes back on the shelf once logistics has said that
-- there will be none. Until then the order is cancelled and its pieces are committed.
ALTER TABLE reservation
    ADD COLUMN cancelled boolean NOT NULL DEFAULT FALSE,
    ADD COLUMN stays     boolean NOT NULL DEFAULT FALSE;
UPDATE reservation SET cancelled = TRUE WHERE state = 'cancelled';
ALTER TABLE reservation ADD CONSTRAINT cancelled_state_is_a_cancelled_order CHECK (state <> 'cancelled' OR cancelled);
