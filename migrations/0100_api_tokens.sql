-- Keys by which a member's programs act as that member, within what each may do. Only the SHA-256
-- of a token is kept: it has 256 random bits, so nobody can try what might be it, and a slow hash
-- would only cost every request. A token that is used up or taken back stays for the record.
CREATE TABLE api_tokens (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id      bigint NOT NULL REFERENCES users,
    token_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
    name         text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 80),
    scopes       text[] NOT NULL CHECK (
        cardinality(scopes) > 0 AND scopes <@ ARRAY['read', 'place', 'cancel']),
    made_at      timestamptz NOT NULL,
    expires_at   timestamptz CHECK (expires_at > made_at),
    revoked_at   timestamptz,
    revoked_by   bigint REFERENCES users,
    -- To a minute, and from where.
    used_at      timestamptz,
    used_from    text,
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);
CREATE INDEX api_tokens_user ON api_tokens (user_id);

-- What a program holds open while it is there: its orders are cancelled once it is gone. Whoever
-- serves it says every few seconds that it is still there; a session that nobody speaks for any
-- more, since its server has died, is ended by another one.
CREATE TABLE api_sessions (
    id          text PRIMARY KEY CHECK (char_length(id) BETWEEN 16 AND 64),
    token       bigint NOT NULL REFERENCES api_tokens,
    user_id     bigint NOT NULL REFERENCES users,
    participant bigint NOT NULL,
    opened_at   timestamptz NOT NULL,
    seen_at     timestamptz NOT NULL,
    ended_at    timestamptz,
    -- Whether all of its orders are known to be cancelled.
    is_done     boolean NOT NULL DEFAULT false,
    CHECK (ended_at IS NOT NULL OR NOT is_done)
);
CREATE INDEX api_sessions_open ON api_sessions (seen_at) WHERE NOT is_done;

CREATE TABLE api_session_orders (
    session   text NOT NULL REFERENCES api_sessions,
    client_id text NOT NULL,
    PRIMARY KEY (session, client_id)
);
