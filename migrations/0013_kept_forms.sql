-- What was typed into a form that met a closed door, for an hour, until its person has signed in.
-- A row is found by a token whose halves are in the browser's cookie and in the address.
CREATE TABLE kept_forms (
    token_sha256 bytea PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
    path         text NOT NULL,
    fields       bytea NOT NULL CHECK (octet_length(fields) <= 65536),
    user_id      bigint,
    kept_at      timestamptz NOT NULL
);
CREATE INDEX kept_forms_at ON kept_forms (kept_at);
