-- A deposit's form is one deposit however often it is sent. Its row is written before its command:
-- `epoch` and `after` say which engine led then and how far the log went, so that after a crash
-- the log tells whether the command was done.
CREATE TABLE deposits (
    form_id     text PRIMARY KEY CHECK (char_length(form_id) BETWEEN 16 AND 64),
    participant bigint NOT NULL REFERENCES participants,
    user_id     bigint NOT NULL,
    amount      bigint NOT NULL CHECK (amount > 0),
    epoch       bigint NOT NULL,
    after       bigint NOT NULL,
    state       text NOT NULL CHECK (state IN ('sent', 'booked')),
    command     bigint UNIQUE REFERENCES commands,
    sent_at     timestamptz NOT NULL,
    CHECK ((state = 'booked') = (command IS NOT NULL))
);
