-- Labels as carriers gave them, to be printed; for as long as a parcel may still wait to be handed over. Not in the shipment's row:
-- each scan writes that anew.
CREATE TABLE label (
    shipment_id uuid        NOT NULL REFERENCES shipment,
    content     bytea       NOT NULL,
    kept_at     timestamptz NOT NULL,
    CONSTRAINT label_is_one_a_shipment PRIMARY KEY (shipment_id),
    CONSTRAINT label_has_its_bounds    CHECK (octet_length(content) BETWEEN 1 AND 2097152)
);
CREATE INDEX label_kept_at ON label (kept_at);
