-- The failure that a person's release has answered, by the clock of the carrier who scanned it: one that was scanned later
-- is another, whatever our own clock said at the release.
ALTER TABLE shipment ADD COLUMN answered_failure_at timestamptz;
UPDATE shipment SET answered_failure_at = failed_at WHERE failed_at <= released_at;
