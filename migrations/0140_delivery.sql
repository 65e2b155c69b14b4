-- Delivery by machines: who speaks for them, where leases stand on them, and what shows what a
-- lease got. Money stays with the market's tables: what is here only decides which hour's minutes
-- it is told. Instants of the market's clock, but for those of security (real time), named so.

ALTER TABLE hosts DROP CONSTRAINT hosts_kind_check;
ALTER TABLE hosts ADD CONSTRAINT hosts_kind_check CHECK (kind IN ('simulated', 'agent'));
-- Where holders and probes reach the machine: a name or an address, without a port.
ALTER TABLE hosts ADD COLUMN address text CHECK (char_length(address) BETWEEN 1 AND 253);
ALTER TABLE hosts ADD CONSTRAINT hosts_address CHECK ((kind = 'agent') = (address IS NOT NULL));
ALTER TABLE hosts ADD CONSTRAINT hosts_drawn
    CHECK (kind = 'simulated' OR fails_every IS NULL);

-- A program that speaks for a machine, by the public half of a key that never leaves it. A new
-- enrolment of the machine is a new agent, so that a chain of readings is one key's for ever.
CREATE TABLE agents (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    host           bigint NOT NULL REFERENCES hosts,
    public_key     bytea NOT NULL UNIQUE CHECK (octet_length(public_key) = 32),
    enrolled_at    timestamptz NOT NULL,
    seen_at        timestamptz NOT NULL,
    program        text NOT NULL DEFAULT '' CHECK (char_length(program) <= 40),
    clock_ahead_ms bigint NOT NULL DEFAULT 0,
    waiting        bigint NOT NULL DEFAULT 0 CHECK (waiting >= 0),
    inventory      jsonb NOT NULL,
    -- How many of its states were taken.
    states         bigint NOT NULL DEFAULT 0,
    revoked_at     timestamptz,
    revoked_by     bigint REFERENCES users
);
CREATE UNIQUE INDEX agents_host ON agents (host) WHERE revoked_at IS NULL;
CREATE INDEX agents_of_host ON agents (host);

-- One-time tokens, as SHA-256. In real time.
CREATE TABLE agent_tokens (
    token      bytea PRIMARY KEY CHECK (octet_length(token) = 32),
    host       bigint NOT NULL REFERENCES hosts,
    made_by    bigint REFERENCES users,
    made_at    timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    agent      bigint REFERENCES agents
);

-- Places from which probes are made: programs of their own, each with its key.
CREATE TABLE vantages (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL UNIQUE CHECK (char_length(name) BETWEEN 1 AND 60),
    public_key bytea NOT NULL UNIQUE CHECK (octet_length(public_key) = 32),
    -- From when on it counts. In the market's time, as what it says is.
    added_at   timestamptz NOT NULL,
    -- In real time. One that is retired counts no more, nor does what it said.
    seen_at    timestamptz,
    retired_at timestamptz
);

-- What a lease has to see from inside for each unit of a grade, as a file for `sluice-agent
-- inventory --needs` has it. A grade without a row is not looked at: only whether it lets in.
CREATE TABLE grade_needs (
    grade text PRIMARY KEY,
    needs jsonb NOT NULL
);

-- Requests that were answered, as long as they would be taken for new ones; in real time. What is
-- lost of it in a crash can be repeated within the skew: every request is the same done twice.
CREATE UNLOGGED TABLE nonces (
    signer text COLLATE "C" NOT NULL,
    nonce  bytea NOT NULL,
    at     timestamptz NOT NULL,
    PRIMARY KEY (signer, nonce)
);
CREATE INDEX nonces_at ON nonces (at);

-- Which units of a lease are on which machine, from when to when. `stay` is the number by which
-- the machine knows it: that of the lease, or of the one that it extends in place.
CREATE TABLE placements (
    lease    bigint NOT NULL REFERENCES leases,
    host     bigint NOT NULL REFERENCES hosts,
    start_at timestamptz NOT NULL,
    end_at   timestamptz NOT NULL CHECK (end_at > start_at),
    stay     bigint NOT NULL,
    units    bigint NOT NULL CHECK (units > 0),
    PRIMARY KEY (lease, host, start_at)
);
CREATE INDEX placements_host ON placements (host, end_at);
CREATE INDEX placements_stay ON placements (stay);

-- How a stay is on a machine: as its agent says, as probes say.
CREATE TABLE stays (
    stay          bigint NOT NULL,
    host          bigint NOT NULL REFERENCES hosts,
    stage         text NOT NULL DEFAULT 'asked'
                  CHECK (stage IN ('asked', 'prepared', 'closed', 'wiped', 'failed')),
    -- The way in, once it was prepared.
    login         text CHECK (char_length(login) <= 64),
    port          integer CHECK (port BETWEEN 1 AND 65535),
    host_key      text CHECK (char_length(host_key) <= 400),
    said_at       timestamptz,
    -- The first passed probe, from which on it is paid for.
    accepted_at   timestamptz,
    -- The first failed probe of those that a quorum has made since the last passed one.
    failing_since timestamptz,
    PRIMARY KEY (stay, host)
);
CREATE INDEX stays_unaccepted ON stays (stay) WHERE accepted_at IS NULL;
CREATE INDEX stays_failing ON stays (failing_since) WHERE failing_since IS NOT NULL;

-- Probes that came to the same, one after the other, are one row.
CREATE TABLE probe_spans (
    stay     bigint NOT NULL,
    host     bigint NOT NULL,
    vantage  bigint NOT NULL REFERENCES vantages,
    first_at timestamptz NOT NULL,
    last_at  timestamptz NOT NULL CHECK (last_at >= first_at),
    probes   bigint NOT NULL CHECK (probes > 0),
    passed   boolean NOT NULL,
    -- Why it failed, as a code.
    reason   text NOT NULL CHECK (char_length(reason) <= 40),
    evidence jsonb NOT NULL,
    PRIMARY KEY (stay, host, vantage, first_at),
    FOREIGN KEY (stay, host) REFERENCES stays
);

-- Signed readings of hours of which the last word is not said; in partitions by the hour, which
-- are dropped whole. Two readings of one number are both kept: that is what shows two stories.
CREATE TABLE readings (
    minute    integer NOT NULL,
    stay      bigint NOT NULL,
    agent     bigint NOT NULL,
    sequence  bigint NOT NULL,
    units     integer NOT NULL,
    before    bytea NOT NULL,
    hash      bytea NOT NULL,
    signature bytea NOT NULL,
    PRIMARY KEY (stay, agent, sequence, minute, hash)
) PARTITION BY RANGE (minute);

-- Names of tables can't be parameters: these two make and drop a partition by its hour since 1970.
CREATE FUNCTION keep_readings_of(hour integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- Asking first takes no lock: to make one, even one that is there, stops whoever adds readings.
    IF to_regclass('readings_' || hour) IS NULL THEN
        EXECUTE format('CREATE TABLE IF NOT EXISTS readings_%s PARTITION OF readings
                        FOR VALUES FROM (%s) TO (%s)', hour, hour * 60, hour * 60 + 60);
    END IF;
END $$;
CREATE FUNCTION drop_readings_before(before integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    one text;
BEGIN
    FOR one IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
               WHERE i.inhparent = 'readings'::regclass
                 AND CASE WHEN c.relname ~ '^readings_[0-9]+$'
                          THEN substr(c.relname, 10)::integer < before END LOOP
        EXECUTE format('DROP TABLE %I', one);
    END LOOP;
END $$;

-- What an hour of readings comes to: minutes as runs, and how far the chain had come.
CREATE TABLE reading_hours (
    stay    bigint NOT NULL,
    hour_at timestamptz NOT NULL,
    agent   bigint NOT NULL REFERENCES agents,
    sealed  bytea NOT NULL,
    PRIMARY KEY (stay, hour_at, agent)
);

-- Hours that are over and of which something new has come.
CREATE TABLE late_hours (
    stay    bigint NOT NULL,
    hour_at timestamptz NOT NULL,
    -- How often something came since it was looked at.
    news    bigint NOT NULL DEFAULT 1,
    -- When it is looked at once more, where there was not the money to correct all of it.
    again_at timestamptz,
    PRIMARY KEY (stay, hour_at)
);

-- What can't be true: somebody has to look at it.
CREATE TABLE delivery_cases (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    agent     bigint NOT NULL REFERENCES agents,
    stay      bigint,
    kind      text NOT NULL CHECK (kind IN ('wrong_signature', 'untrue', 'broken_chain', 'denied_minutes')),
    opened_at timestamptz NOT NULL,
    evidence  jsonb NOT NULL,
    closed_at timestamptz,
    closed_by bigint REFERENCES users,
    note      text CHECK (char_length(note) <= 2000)
);
CREATE UNIQUE INDEX delivery_cases_open ON delivery_cases (agent, coalesce(stay, 0), kind)
    WHERE closed_at IS NULL;

-- A lease's way, each step with its reason, who caused it and what shows it.
CREATE TABLE lease_states (
    lease    bigint NOT NULL REFERENCES leases,
    number   integer NOT NULL CHECK (number > 0),
    at       timestamptz NOT NULL,
    state    text NOT NULL CHECK (state IN ('scheduled', 'preparing', 'accepting', 'running', 'ending',
             'ended', 'wiped', 'closed', 'failed', 'suspended', 'terminated')),
    reason   text NOT NULL CHECK (char_length(reason) <= 40),
    actor    text NOT NULL CHECK (char_length(actor) <= 60),
    evidence jsonb NOT NULL,
    PRIMARY KEY (lease, number)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON lease_states
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- Hours in which a provider says beforehand that a pool won't run.
CREATE TABLE maintenances (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pool        bigint NOT NULL,
    form_id     text NOT NULL CHECK (char_length(form_id) BETWEEN 16 AND 64),
    start_at    timestamptz NOT NULL,
    end_at      timestamptz NOT NULL CHECK (end_at > start_at),
    note        text NOT NULL CHECK (char_length(note) BETWEEN 1 AND 200),
    declared_at timestamptz NOT NULL,
    declared_by bigint REFERENCES users,
    UNIQUE (pool, form_id)
);
CREATE INDEX maintenances_pool ON maintenances (pool, end_at);
