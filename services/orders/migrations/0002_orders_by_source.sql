-- A shop lists its own orders, newest first.
CREATE INDEX orders_by_source ON orders (source, placed_at DESC);
