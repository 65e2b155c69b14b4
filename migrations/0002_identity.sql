-- Who may come in: participants, the people who act for them, and their sessions. Number 0 is the
-- marketplace itself; the market numbers its accounts by these ids.

CREATE TABLE participants (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL CHECK (char_length(name) BETWEEN 2 AND 80),
    created_at timestamptz NOT NULL
);
-- Two participants of one name could be taken for each other.
CREATE UNIQUE INDEX participants_name ON participants (lower(name));

CREATE TABLE users (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    participant   bigint NOT NULL REFERENCES participants,
    login         text NOT NULL CHECK (char_length(login) BETWEEN 3 AND 254),
    password_hash text NOT NULL,
    created_at    timestamptz NOT NULL
);
CREATE UNIQUE INDEX users_login ON users (lower(login));
CREATE INDEX users_participant ON users (participant);

-- A session is known by the SHA-256 of its token: whoever reads this table can't use one.
CREATE TABLE sessions (
    token_sha256 bytea PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
    user_id      bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at   timestamptz NOT NULL,
    seen_at      timestamptz NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
