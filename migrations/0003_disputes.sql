-- Disputes: a holder's claim about a lease, what it froze, and how it was decided. The engine
-- writes it with the market's tables. A row is added to once, at its ruling; until then less may be
-- frozen, since refunds and credits that are due to the holder come out of it.
--
-- parts is what the dispute keeps from where it was, {"escrow": {hour: amount}, "bond": amount,
-- "payable": {until: amount}, "cash": amount}, hours and microseconds since 1970: what is frozen,
-- and once it is ruled what was awarded of that. Hours and payables are told by it: what a lease
-- has in escrow, and what is payable, is less by these.
CREATE TABLE disputes (
    id        bigint PRIMARY KEY,
    lease     bigint NOT NULL REFERENCES leases,
    claimant  bigint NOT NULL,
    provider  bigint NOT NULL CHECK (provider <> claimant),
    claimed   bigint NOT NULL CHECK (claimed > 0),
    -- What is frozen; once it is ruled, what was then.
    frozen    bigint NOT NULL CHECK (frozen >= 0 AND frozen <= claimed),
    parts     jsonb NOT NULL,
    opened_at timestamptz NOT NULL,
    -- The command that opened it.
    command   bigint NOT NULL REFERENCES commands,
    -- What the claimant was awarded, and what of it nothing was frozen for.
    awarded   bigint CHECK (awarded >= 0 AND awarded <= claimed),
    unfunded  bigint CHECK (unfunded >= 0 AND unfunded <= awarded),
    ruled_at  timestamptz,
    -- The command that ruled.
    ruling    bigint REFERENCES commands,
    CHECK ((ruled_at IS NULL) = (awarded IS NULL)),
    CHECK ((ruled_at IS NULL) = (unfunded IS NULL)),
    CHECK ((ruled_at IS NULL) = (ruling IS NULL)),
    -- All that is frozen can be awarded, and nothing else.
    CHECK (ruled_at IS NULL OR unfunded = greatest(awarded - frozen, 0))
);
-- One open dispute a lease.
CREATE UNIQUE INDEX disputes_open ON disputes (lease) WHERE ruled_at IS NULL;
CREATE INDEX disputes_lease ON disputes (lease);
CREATE INDEX disputes_claimant ON disputes (claimant);
CREATE INDEX disputes_provider ON disputes (provider);

-- Disputes stay, and what was claimed and decided is not changed.
CREATE FUNCTION disputes_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.ruled_at IS NULL
           AND (NEW.id, NEW.lease, NEW.claimant, NEW.provider, NEW.claimed, NEW.opened_at,
                NEW.command)
             = (OLD.id, OLD.lease, OLD.claimant, OLD.provider, OLD.claimed, OLD.opened_at,
                OLD.command) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'a dispute is kept as it was claimed and decided'
        USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER disputes_are_kept BEFORE UPDATE OR DELETE ON disputes
    FOR EACH ROW EXECUTE FUNCTION disputes_are_kept();
CREATE TRIGGER append_only BEFORE TRUNCATE ON disputes
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
