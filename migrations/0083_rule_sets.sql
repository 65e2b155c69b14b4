-- What is set from outside: rule sets after the first one (which is in the engine's row), halts, and
-- participants that belong together.
CREATE TABLE rule_sets (
    version bigint PRIMARY KEY,
    from_at timestamptz NOT NULL UNIQUE,
    rules   jsonb NOT NULL,
    command bigint NOT NULL REFERENCES commands
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON rule_sets
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- Until when an instrument is, or was last, halted.
CREATE TABLE halts (
    instrument bigint PRIMARY KEY REFERENCES instruments,
    until_at   timestamptz NOT NULL
);

-- Of each participant that is related to another the lowest of them.
CREATE TABLE related (
    participant bigint PRIMARY KEY,
    lowest      bigint NOT NULL
);

-- Whether a trade's price counts for bands: not that of a resale.
ALTER TABLE trades ADD COLUMN counts boolean NOT NULL DEFAULT true;
CREATE INDEX trades_pool ON trades (pool, id);
