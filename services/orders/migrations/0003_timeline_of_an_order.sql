-- A timeline is found by its order. That an event is told once is the inbox's doing: a second index of three texts, eight
-- times an order, was the dearest statement of all.
ALTER TABLE timeline DROP CONSTRAINT an_event_is_told_once;
CREATE INDEX timeline_of_order ON timeline (order_id);
