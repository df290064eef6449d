-- When screening said that a person should look: a release answers the review only if the person had seen that, as with holds.
-- Null where an older version said it: any release answers that one.
ALTER TABLE payment ADD COLUMN review_at timestamptz;
