-- Who led from when: an epoch is committed before its leader reads or writes anything else.
CREATE TABLE epochs (
    epoch    bigint PRIMARY KEY,
    -- The last batch before it.
    batch    bigint NOT NULL,
    began_at timestamptz NOT NULL
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON epochs
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- A digest of all orders, leases, disputes and balances after the last batch; none is known where
-- no leader has stored one yet.
ALTER TABLE engine ADD COLUMN digest bytea;
