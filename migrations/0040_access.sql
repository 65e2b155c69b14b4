-- How holders get into their machines: public keys, and what an order wishes to find started.
-- Only public halves are ever here. A removed key stays, so that a lease can name it.

CREATE TABLE ssh_keys (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    participant bigint NOT NULL REFERENCES participants CHECK (participant > 0),
    name        text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 60),
    algorithm   text NOT NULL,
    public_key  text NOT NULL CHECK (octet_length(public_key) <= 4096),
    fingerprint text NOT NULL CHECK (fingerprint LIKE 'SHA256:%'),
    added_by    bigint NOT NULL REFERENCES users,
    added_at    timestamptz NOT NULL,
    removed_at  timestamptz,
    UNIQUE (id, participant)
);
CREATE UNIQUE INDEX ssh_keys_fingerprint ON ssh_keys (participant, fingerprint)
    WHERE removed_at IS NULL;

-- Written before the order's command, so that an order never lacks it. A row without an order is
-- of one that was refused.
CREATE TABLE order_access (
    participant bigint NOT NULL REFERENCES participants,
    client_id   text NOT NULL,
    image       text NOT NULL,
    ssh_key     bigint,
    set_by      bigint NOT NULL REFERENCES users,
    set_at      timestamptz NOT NULL,
    PRIMARY KEY (participant, client_id),
    FOREIGN KEY (ssh_key, participant) REFERENCES ssh_keys (id, participant)
);
