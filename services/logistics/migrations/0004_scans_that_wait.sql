-- Scans of numbers that are not known here, by when they came: the latest are looked at each second, the oldest are forgotten. (0.1.0
-- goes by scan_unmatched, which is not needed after it.)
CREATE INDEX scan_waiting ON scan (received_at) WHERE shipment_id IS NULL;
