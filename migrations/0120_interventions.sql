-- What operations do to the market and why: halts, relations, defaults. A row is written before its
-- command, so that who asked for what is there however far the command came; what became of it is
-- noted after it. Instants are of the market clock.
CREATE TABLE interventions (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    form_id    text NOT NULL UNIQUE CHECK (char_length(form_id) BETWEEN 16 AND 64),
    user_id    bigint NOT NULL,
    platform   bigint NOT NULL DEFAULT 0 CHECK (platform = 0),
    asked_at   timestamptz NOT NULL,
    -- The command as it is sent, and the last one before it: its own comes later.
    body       jsonb NOT NULL,
    after      bigint NOT NULL,
    -- What it is about: an instrument until an instant, two participants, or a lease.
    instrument bigint REFERENCES instruments,
    until_at   timestamptz,
    one        bigint REFERENCES participants,
    other      bigint REFERENCES participants,
    lease      bigint REFERENCES leases,
    reason     text NOT NULL,
    note       text CHECK (char_length(note) BETWEEN 1 AND 2000),
    -- The command's number once it is known to be done, or why the market would not do it.
    command    bigint UNIQUE,
    rejected   text,
    FOREIGN KEY (user_id, platform) REFERENCES users (id, participant),
    CHECK (num_nonnulls(instrument, one, lease) = 1),
    CHECK ((instrument IS NULL) = (until_at IS NULL)),
    CHECK ((one IS NULL) = (other IS NULL)),
    CHECK (one <> other),
    CHECK (command IS NULL OR rejected IS NULL)
);
-- A lease fails once.
CREATE UNIQUE INDEX interventions_lease ON interventions (lease)
    WHERE lease IS NOT NULL AND rejected IS NULL;
CREATE INDEX interventions_instrument ON interventions (instrument, id)
    WHERE instrument IS NOT NULL;
CREATE INDEX interventions_relations ON interventions (id) WHERE one IS NOT NULL;
