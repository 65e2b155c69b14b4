-- The market's tables. They are its snapshot: an engine that starts works out its memory from
-- them. Only the engine writes them. Money is in 1/10,000 yuan; instants are UTC; delivery
-- periods are [start_at, end_at), on the hour.

-- One row: who leads, and how far it has come. Each batch advances it in its own transaction and
-- only from the values that its engine knows, so a second engine can't write (fencing).
CREATE TABLE engine (
    one         boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch       bigint NOT NULL,
    batch       bigint NOT NULL,
    command     bigint NOT NULL,
    at          timestamptz,
    acceptances bigint NOT NULL,
    entries     bigint NOT NULL,
    chain       bytea NOT NULL,
    rules       jsonb NOT NULL
);

-- Where the market clock stands against real time.
CREATE TABLE market_clock (
    one       boolean PRIMARY KEY DEFAULT true CHECK (one),
    wall_at   timestamptz NOT NULL,
    market_at timestamptz NOT NULL,
    speed     bigint NOT NULL CHECK (speed > 0)
);

-- Every command in its order, rejected ones too: a "no" is a fact.
CREATE TABLE commands (
    seq      bigint PRIMARY KEY,
    batch    bigint NOT NULL,
    at       timestamptz NOT NULL,
    actor    text NOT NULL,
    body     jsonb NOT NULL,
    rejected text
);

CREATE TABLE instruments (
    id     bigint PRIMARY KEY,
    symbol text NOT NULL UNIQUE,
    grade  text NOT NULL,
    region text NOT NULL,
    level  text NOT NULL,
    lot    bigint NOT NULL CHECK (lot > 0),
    tick   bigint NOT NULL CHECK (tick > 0)
);

CREATE TABLE pools (
    id          bigint PRIMARY KEY,
    participant bigint NOT NULL,
    instrument  bigint NOT NULL REFERENCES instruments,
    units       bigint NOT NULL CHECK (units > 0),
    start_at    timestamptz NOT NULL,
    end_at      timestamptz NOT NULL CHECK (end_at > start_at),
    opened_at   timestamptz NOT NULL
);
CREATE INDEX pools_participant ON pools (participant);

CREATE TYPE order_side AS ENUM ('buy', 'sell');

-- The terms as first sent are in the command; here is what is searched, shown, or changes.
CREATE TABLE orders (
    id          bigint PRIMARY KEY,
    command     bigint NOT NULL REFERENCES commands,
    participant bigint NOT NULL,
    client_id   text NOT NULL,
    side        order_side NOT NULL,
    instruments bigint[] NOT NULL,
    pool        bigint REFERENCES pools,
    units       bigint NOT NULL CHECK (units > 0),
    price       bigint NOT NULL CHECK (price > 0),
    start_at    timestamptz NOT NULL,
    end_at      timestamptz NOT NULL CHECK (end_at > start_at),
    acceptance  bigint NOT NULL,
    accepted_at timestamptz NOT NULL,
    filled      bigint NOT NULL CHECK (filled >= 0 AND filled <= units),
    held        bigint NOT NULL CHECK (held >= 0),
    done        text,
    done_at     timestamptz,
    CHECK ((done IS NULL) = (done_at IS NULL)),
    CHECK (done IS NULL OR held = 0),
    UNIQUE (participant, client_id)
);
CREATE INDEX orders_open ON orders (id) WHERE done IS NULL;

CREATE TABLE trades (
    id       bigint PRIMARY KEY,
    command  bigint NOT NULL REFERENCES commands,
    at       timestamptz NOT NULL,
    buy      bigint NOT NULL REFERENCES orders,
    sell     bigint NOT NULL REFERENCES orders,
    maker    bigint NOT NULL CHECK (maker IN (buy, sell)),
    price    bigint NOT NULL CHECK (price > 0),
    units    bigint NOT NULL CHECK (units > 0),
    pool     bigint NOT NULL REFERENCES pools,
    start_at timestamptz NOT NULL,
    end_at   timestamptz NOT NULL CHECK (end_at > start_at),
    rules    bigint NOT NULL
);

CREATE TABLE leases (
    id         bigint PRIMARY KEY REFERENCES trades,
    holder     bigint NOT NULL,
    provider   bigint NOT NULL CHECK (provider <> holder),
    fee_bps    bigint NOT NULL,
    fee_flat   bigint NOT NULL,
    acceptance bigint NOT NULL,
    escrow     bigint NOT NULL CHECK (escrow >= 0),
    bond       bigint NOT NULL CHECK (bond >= 0),
    delivered  bigint NOT NULL CHECK (delivered >= 0),
    earned     bigint NOT NULL CHECK (earned >= 0),
    fee        bigint NOT NULL CHECK (fee >= 0),
    credited   bigint NOT NULL CHECK (credited >= 0),
    ended      boolean NOT NULL,
    CHECK (NOT ended OR escrow = 0)
);
CREATE INDEX leases_holder ON leases (holder);
CREATE INDEX leases_provider ON leases (provider);

-- One hour of a lease, settled once.
CREATE TABLE settlements (
    lease         bigint NOT NULL REFERENCES leases,
    hour_at       timestamptz NOT NULL,
    command       bigint NOT NULL REFERENCES commands,
    at            timestamptz NOT NULL,
    unit_minutes  bigint NOT NULL CHECK (unit_minutes >= 0),
    paid          bigint NOT NULL CHECK (paid >= 0),
    refunded      bigint NOT NULL CHECK (refunded >= 0),
    fee           bigint NOT NULL CHECK (fee >= 0),
    payable_until timestamptz,
    entry         bigint,
    PRIMARY KEY (lease, hour_at)
);
CREATE INDEX settlements_payable ON settlements (payable_until) WHERE payable_until IS NOT NULL;

-- Each entry's hash covers the one before it: a changed, missing or inserted entry shows.
CREATE TABLE journal_entries (
    id      bigint PRIMARY KEY,
    command bigint NOT NULL REFERENCES commands,
    at      timestamptz NOT NULL,
    reason  text NOT NULL,
    subject bigint,
    hash    bytea NOT NULL
);
CREATE INDEX journal_entries_subject ON journal_entries (reason, subject);

CREATE TYPE account_kind AS ENUM
    ('cash', 'hold', 'escrow', 'payable', 'bond', 'dispute', 'fees', 'bank', 'unfunded');

CREATE TABLE postings (
    entry       bigint NOT NULL REFERENCES journal_entries,
    line        smallint NOT NULL,
    participant bigint NOT NULL,
    kind        account_kind NOT NULL,
    amount      bigint NOT NULL CHECK (amount <> 0),
    PRIMARY KEY (entry, line)
);
CREATE INDEX postings_account ON postings (participant, kind, entry);

CREATE TABLE balances (
    participant bigint NOT NULL,
    kind        account_kind NOT NULL,
    amount      bigint NOT NULL,
    PRIMARY KEY (participant, kind),
    CHECK (amount >= 0 OR kind = 'bank')
);

-- What people are to be told of a batch, recorded with it and sent after it.
CREATE TABLE outbox (
    batch bigint PRIMARY KEY,
    news  jsonb NOT NULL
);

-- Postings of an entry come in one statement and sum to zero. One check a statement: a deferred
-- check a row costs several times as much.
CREATE FUNCTION postings_sum_to_zero() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added GROUP BY entry HAVING sum(amount) <> 0) THEN
        RAISE EXCEPTION 'the postings of an entry sum to zero' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER postings_sum_to_zero AFTER INSERT ON postings
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION postings_sum_to_zero();

-- History is only ever added to.
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON commands
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON trades
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON settlements
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal_entries
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON postings
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
