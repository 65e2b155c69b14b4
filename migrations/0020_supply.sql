-- The provider's side: applications for certification, permanent identifiers, simulated hosts, and
-- asks that are paused. Capacity and money stay with the market's tables.

-- One sending of an application is one row; a refused one stays as it was decided, and what is
-- mended is a new row. `reason` is a coded reason of refusal.
CREATE TABLE applications (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    participant   bigint NOT NULL REFERENCES participants CHECK (participant > 0),
    legal_name    text NOT NULL DEFAULT '' CHECK (char_length(legal_name) <= 120),
    credit_code   text NOT NULL DEFAULT '' CHECK (char_length(credit_code) <= 40),
    contact_name  text NOT NULL DEFAULT '' CHECK (char_length(contact_name) <= 60),
    contact_phone text NOT NULL DEFAULT '' CHECK (char_length(contact_phone) <= 30),
    contact_mail  text NOT NULL DEFAULT '' CHECK (char_length(contact_mail) <= 254),
    region        text NOT NULL DEFAULT '' CHECK (char_length(region) <= 20),
    site_address  text NOT NULL DEFAULT '' CHECK (char_length(site_address) <= 200),
    capacity      text NOT NULL DEFAULT '' CHECK (char_length(capacity) <= 2000),
    state         text NOT NULL DEFAULT 'draft'
                  CHECK (state IN ('draft', 'submitted', 'certified', 'refused')),
    created_at    timestamptz NOT NULL,
    saved_at      timestamptz NOT NULL,
    submitted_at  timestamptz,
    reason        text CHECK (char_length(reason) <= 40),
    note          text CHECK (char_length(note) <= 2000),
    decided_by    bigint REFERENCES users,
    decided_at    timestamptz,
    CHECK (state = 'draft' OR char_length(credit_code) = 18),
    CHECK ((state = 'draft') = (submitted_at IS NULL)),
    CHECK ((state IN ('certified', 'refused')) = (decided_at IS NOT NULL)),
    CHECK ((decided_by IS NULL) OR (decided_at IS NOT NULL)),
    CHECK ((state = 'refused') = (reason IS NOT NULL))
);
-- A participant has one application that is not refused, so a second certificate can't come about.
CREATE UNIQUE INDEX applications_one ON applications (participant) WHERE state <> 'refused';
CREATE INDEX applications_participant ON applications (participant, id);
CREATE INDEX applications_waiting ON applications (submitted_at) WHERE state = 'submitted';

-- A permanent number with two check characters (ISO 7064, MOD 97-10), never given again: of a
-- participant that has applied, or of a pool.
CREATE TABLE identifiers (
    identifier text PRIMARY KEY CHECK (identifier ~ '^SL[NP][0-9]{10}[0-9]{2}$'),
    kind       text NOT NULL CHECK (kind IN ('provider', 'pool')),
    subject    bigint NOT NULL CHECK (subject > 0),
    issued_at  timestamptz NOT NULL,
    UNIQUE (kind, subject)
);

-- The number of a pool is taken here before the market is asked to open it, so that a form that is
-- sent twice is one pool. Numbers below are those of markets that were listed by a program.
CREATE TABLE pool_openings (
    pool        bigint GENERATED ALWAYS AS IDENTITY (START WITH 100001) PRIMARY KEY,
    participant bigint NOT NULL REFERENCES participants CHECK (participant > 0),
    form_id     text NOT NULL CHECK (char_length(form_id) BETWEEN 16 AND 64),
    name        text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 60),
    opened_by   bigint NOT NULL REFERENCES users,
    opened_at   timestamptz NOT NULL,
    UNIQUE (participant, form_id)
);
CREATE SEQUENCE instrument_numbers START WITH 100001;

-- What stands in a pool. A simulated host has no machine behind it: its minutes are drawn, and in
-- each `fails_every`th hour (of those since 1970, UTC) it loses `fails_minutes` of them.
CREATE TABLE hosts (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pool          bigint NOT NULL REFERENCES pool_openings ON DELETE CASCADE,
    name          text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 60),
    units         bigint NOT NULL CHECK (units > 0),
    kind          text NOT NULL CHECK (kind = 'simulated'),
    fails_every   bigint CHECK (fails_every BETWEEN 1 AND 8760),
    fails_minutes bigint CHECK (fails_minutes BETWEEN 1 AND 60),
    CHECK ((fails_every IS NULL) = (fails_minutes IS NULL)),
    UNIQUE (pool, name)
);

-- The terms of an ask that its pool's pause cancelled, written before it is cancelled. It is placed
-- again under `resumes_as`, so that resuming twice is one order.
CREATE TABLE paused_asks (
    ask         bigint PRIMARY KEY,
    pool        bigint NOT NULL,
    participant bigint NOT NULL REFERENCES participants,
    resumes_as  text NOT NULL CHECK (char_length(resumes_as) BETWEEN 16 AND 64),
    units       bigint NOT NULL CHECK (units > 0),
    price       bigint NOT NULL CHECK (price > 0),
    start_at    timestamptz NOT NULL,
    end_at      timestamptz NOT NULL CHECK (end_at > start_at),
    min_hours   bigint NOT NULL,
    weekly      text CHECK (weekly ~ '^[01]{168}$'),
    paused_at   timestamptz NOT NULL,
    resumed_at  timestamptz,
    UNIQUE (participant, resumes_as)
);
CREATE INDEX paused_asks_pool ON paused_asks (pool) WHERE resumed_at IS NULL;

-- A provider's pages ask for its hours by day; an hour of a lease is found by the lease.
CREATE INDEX leases_provider_open ON leases (provider) WHERE NOT ended;
