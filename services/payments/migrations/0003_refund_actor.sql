-- Whose token asked for a refund; null where the order was cancelled, where a shop gave the money back by itself, and before.
ALTER TABLE refund ADD COLUMN asked_by text;
