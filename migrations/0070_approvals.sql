-- Orders that need a second person. Above its participant's amount (1/10,000 yuan; none: no order
-- does) an order is kept here, and goes to the market when somebody else approves.
ALTER TABLE participants
    ADD COLUMN approval_above bigint CHECK (approval_above >= 0),
    ADD CHECK (id > 0 OR approval_above IS NULL);

-- `body` is the order's command as it will be sent, never changed; what it wishes to find started
-- is its row of order_access. 'approved' is written before the command: whether there is an order
-- is for the engine's table to say, by the client id. Instants are of the market clock.
CREATE TABLE order_requests (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    participant bigint NOT NULL CHECK (participant > 0),
    client_id   text NOT NULL,
    body        jsonb NOT NULL,
    -- What it can cost at most, and until when the market could take it.
    cost        bigint NOT NULL CHECK (cost > 0),
    good_until  timestamptz NOT NULL,
    asked_by    bigint NOT NULL,
    asked_at    timestamptz NOT NULL,
    state       text NOT NULL DEFAULT 'waiting' CHECK (state IN
        ('waiting', 'approved', 'declined', 'withdrawn')),
    decided_by  bigint,
    decided_at  timestamptz,
    -- Why it was declined.
    reason      text CHECK (char_length(reason) BETWEEN 1 AND 4000),
    -- Why the market refused it when it was approved last.
    rejected    text,
    UNIQUE (participant, client_id),
    FOREIGN KEY (participant, client_id) REFERENCES order_access,
    FOREIGN KEY (asked_by, participant) REFERENCES users (id, participant),
    FOREIGN KEY (decided_by, participant) REFERENCES users (id, participant),
    CHECK ((decided_by IS NULL) = (state = 'waiting')),
    CHECK ((decided_at IS NULL) = (state = 'waiting')),
    CHECK ((decided_by = asked_by) = (state = 'withdrawn')),
    CHECK ((reason IS NOT NULL) = (state = 'declined'))
);
CREATE INDEX order_requests_waiting ON order_requests (participant, id)
    WHERE state IN ('waiting', 'approved');
