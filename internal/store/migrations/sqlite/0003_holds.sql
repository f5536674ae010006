-- Decided holds become more for ever; those that wait are counted on every page.
CREATE INDEX hold_state ON hold (state, opened, n, members);
