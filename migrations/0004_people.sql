-- Who may do what. A member acts for their participant through roles; the marketplace is
-- participant 0, and its people have the platform's roles.

INSERT INTO participants (id, name, created_at) OVERRIDING SYSTEM VALUE
VALUES (0, '算渠', '2026-01-01');

-- A suspended participant keeps what it has and begins nothing new.
ALTER TABLE participants
    ADD COLUMN suspended text,
    ADD COLUMN suspended_at timestamptz,
    ADD CHECK ((suspended IS NULL) = (suspended_at IS NULL)),
    ADD CHECK (id > 0 OR suspended IS NULL);

ALTER TABLE users ADD UNIQUE (id, participant);

CREATE TABLE member_roles (
    user_id     bigint NOT NULL,
    participant bigint NOT NULL,
    role        text NOT NULL,
    granted_at  timestamptz NOT NULL,
    PRIMARY KEY (user_id, role),
    FOREIGN KEY (user_id, participant) REFERENCES users (id, participant) ON DELETE CASCADE,
    CHECK (CASE WHEN participant = 0
        THEN role IN ('operations', 'arbiter', 'surveillance', 'auditor')
        ELSE role IN ('owner', 'buyer', 'approver', 'finance', 'operator') END)
);
CREATE INDEX member_roles_participant ON member_roles (participant);
-- The platform's powers are apart: nobody has two of them.
CREATE UNIQUE INDEX member_roles_platform ON member_roles (user_id) WHERE participant = 0;

-- Whoever signed up before there were roles owns their participant.
INSERT INTO member_roles (user_id, participant, role, granted_at)
SELECT id, participant, 'owner', created_at FROM users WHERE participant > 0;

-- A second factor: the secret of time-based codes (RFC 6238). The step of the last code that was
-- taken is kept, so that none is taken twice.
CREATE TABLE second_factors (
    user_id      bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    secret       bytea NOT NULL CHECK (octet_length(secret) = 20),
    enrolled_at  timestamptz NOT NULL,
    confirmed_at timestamptz,
    last_step    bigint NOT NULL DEFAULT 0
);

-- When the session's person gave the second factor; none where it is still to be given.
ALTER TABLE sessions ADD COLUMN second_factor_at timestamptz;

-- What people did that is not the market's: who, when, what, to what. Only ever added to, in the
-- transaction of the act itself.
CREATE TABLE acts (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL,
    user_id     bigint,
    participant bigint,
    act         text NOT NULL,
    subject     text NOT NULL,
    detail      jsonb NOT NULL,
    request_id  text NOT NULL,
    address     text NOT NULL
);
CREATE INDEX acts_subject ON acts (subject);
CREATE INDEX acts_user ON acts (user_id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON acts
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
