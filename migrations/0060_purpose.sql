-- What this database is for. The first program that uses it decides, and that stands: test money
-- and money that is real are never in one ledger, nor a replay's time and people's.
CREATE TABLE purpose (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    purpose    text NOT NULL UNIQUE CHECK (purpose IN ('earnest', 'demonstration', 'replay')),
    decided_at timestamptz NOT NULL
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON purpose
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- A database that was used before there was this table: by whose commands it holds.
INSERT INTO purpose (purpose, decided_at)
SELECT CASE
        WHEN EXISTS (SELECT FROM commands WHERE actor = 'system:demonstration')
            THEN 'demonstration'
        WHEN NOT EXISTS (SELECT FROM commands WHERE actor <> 'system:replay')
            AND NOT EXISTS (SELECT FROM participants WHERE id > 0)
            THEN 'replay'
        ELSE 'earnest'
    END, now()
WHERE EXISTS (SELECT FROM commands) OR EXISTS (SELECT FROM participants WHERE id > 0);
