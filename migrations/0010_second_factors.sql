-- What a second factor needs besides its secret, and what a person is shown of their sessions.

-- Ten codes for whoever has lost their device, each good once. Only the SHA-256 is kept: a code
-- has 100 random bits.
CREATE TABLE recovery_codes (
    code_sha256 bytea PRIMARY KEY CHECK (octet_length(code_sha256) = 32),
    user_id     bigint NOT NULL REFERENCES second_factors ON DELETE CASCADE
);
CREATE INDEX recovery_codes_user ON recovery_codes (user_id);

-- Wrong codes in a row. After a hundred only a recovery code is taken.
ALTER TABLE second_factors ADD COLUMN failures integer NOT NULL DEFAULT 0;

-- A number by which a person can name a session of theirs, and where it was begun.
ALTER TABLE sessions
    ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    ADD COLUMN address text NOT NULL DEFAULT '';

-- Who has left stays known to what they did.
ALTER TABLE users ADD COLUMN removed_at timestamptz;
