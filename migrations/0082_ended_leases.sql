-- Orders that no command placed as they are (what buys in a failed lease): their terms.
ALTER TABLE orders ADD COLUMN terms jsonb;
-- From when a lease lacks its hours since its provider failed.
ALTER TABLE leases ADD COLUMN failed_from timestamptz;
