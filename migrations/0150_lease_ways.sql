-- Where each lease's way has come to, beside its steps. A step takes its number here, so that steps
-- of one lease come one after the other whoever takes them; and ways that are not at their end are
-- found without reading those that are.
CREATE TABLE lease_ways (
    lease bigint PRIMARY KEY REFERENCES leases,
    -- How many steps there are.
    steps integer NOT NULL CHECK (steps > 0),
    state text NOT NULL
);
CREATE INDEX lease_ways_open ON lease_ways (lease) WHERE state <> 'closed';
INSERT INTO lease_ways (lease, steps, state)
SELECT lease, max(number), (array_agg(state ORDER BY number DESC))[1] FROM lease_states GROUP BY lease;
