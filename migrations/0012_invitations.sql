-- Invitations into a participant: a link that is good once and for seven days. Only the SHA-256 of
-- its token is kept.
CREATE TABLE invitations (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    participant  bigint NOT NULL REFERENCES participants CHECK (participant > 0),
    token_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
    roles        text[] NOT NULL CHECK (
        cardinality(roles) > 0
        AND roles <@ ARRAY['owner', 'buyer', 'approver', 'finance', 'operator']),
    note         text NOT NULL CHECK (char_length(note) <= 80),
    invited_by   bigint NOT NULL REFERENCES users,
    invited_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    used_at      timestamptz,
    used_by      bigint REFERENCES users,
    revoked_at   timestamptz,
    CHECK (used_at IS NULL OR revoked_at IS NULL)
);
CREATE INDEX invitations_participant ON invitations (participant);
