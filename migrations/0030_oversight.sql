-- What administrators look things up by. The postings get no further index: every commit pays for
-- each, and the journal's filters go along the one that they have.

-- The journal by reason, the newest first.
CREATE INDEX journal_entries_reason ON journal_entries (reason, id);

-- From an order to its trades.
CREATE INDEX trades_buy ON trades (buy);
CREATE INDEX trades_sell ON trades (sell);

-- What the people of a participant did.
CREATE INDEX acts_participant ON acts (participant, id);
