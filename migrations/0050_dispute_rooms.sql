-- What people say and propose about disputes. The disputes themselves and their money are the
-- engine's (0003); nothing here moves any. Instants are of the market clock.

-- A problem as its holder reported it, written before the command that claims money for it: what
-- was said is there however far the command came. A claim has its dispute once that is known;
-- until then at most one a lease is on its way.
CREATE TABLE dispute_claims (
    claimant bigint NOT NULL,
    form_id  text NOT NULL CHECK (char_length(form_id) BETWEEN 16 AND 64),
    lease    bigint NOT NULL REFERENCES leases,
    user_id  bigint NOT NULL,
    reason   text NOT NULL CHECK (reason IN
        ('not_reachable', 'wrong_grade', 'interconnect', 'slow', 'data_lost', 'other')),
    start_at timestamptz NOT NULL,
    end_at   timestamptz NOT NULL CHECK (end_at > start_at),
    -- How many minutes of how many units; neither where an amount was given.
    minutes  bigint CHECK (minutes > 0),
    units    bigint CHECK (units > 0),
    amount   bigint NOT NULL CHECK (amount > 0),
    text     text NOT NULL CHECK (char_length(text) BETWEEN 1 AND 4000),
    sent_at  timestamptz NOT NULL,
    -- The last command before it was sent: its own comes later.
    after    bigint NOT NULL,
    dispute  bigint UNIQUE REFERENCES disputes,
    PRIMARY KEY (claimant, form_id),
    CHECK ((minutes IS NULL) = (units IS NULL))
);
CREATE UNIQUE INDEX dispute_claims_on_the_way ON dispute_claims (lease) WHERE dispute IS NULL;
CREATE INDEX dispute_claims_lease ON dispute_claims (lease);

-- What the parties say, and the marketplace (participant 0) to both. Never changed.
CREATE TABLE dispute_messages (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dispute     bigint NOT NULL REFERENCES disputes,
    participant bigint NOT NULL,
    user_id     bigint NOT NULL,
    form_id     text NOT NULL CHECK (char_length(form_id) BETWEEN 16 AND 64),
    said_at     timestamptz NOT NULL,
    text        text NOT NULL CHECK (char_length(text) BETWEEN 1 AND 4000),
    UNIQUE (dispute, user_id, form_id)
);
CREATE INDEX dispute_messages_dispute ON dispute_messages (dispute, id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON dispute_messages
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- A proposed ruling and what a second person made of it. 'approving' is written before the command
-- that moves the money and 'approved' after it; whether it is ruled is for the engine's table to
-- say. Both people are the marketplace's own, so neither is a member of a party.
CREATE TABLE dispute_proposals (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dispute     bigint NOT NULL REFERENCES disputes,
    proposer    bigint NOT NULL,
    proposed_at timestamptz NOT NULL,
    minutes     bigint CHECK (minutes >= 0),
    units       bigint CHECK (units > 0),
    award       bigint NOT NULL CHECK (award >= 0),
    reason      text NOT NULL CHECK (char_length(reason) BETWEEN 1 AND 4000),
    state       text NOT NULL DEFAULT 'open' CHECK (state IN
        ('open', 'approving', 'approved', 'returned', 'withdrawn')),
    decider     bigint,
    decided_at  timestamptz,
    opinion     text CHECK (char_length(opinion) BETWEEN 1 AND 4000),
    platform    bigint NOT NULL DEFAULT 0 CHECK (platform = 0),
    FOREIGN KEY (proposer, platform) REFERENCES users (id, participant),
    FOREIGN KEY (decider, platform) REFERENCES users (id, participant),
    CHECK (decider <> proposer),
    CHECK ((decider IS NOT NULL) = (state IN ('approving', 'approved', 'returned'))),
    CHECK ((opinion IS NOT NULL) = (decider IS NOT NULL)),
    CHECK ((decided_at IS NULL) = (state = 'open')),
    CHECK ((minutes IS NULL) = (units IS NULL))
);
CREATE UNIQUE INDEX dispute_proposals_standing ON dispute_proposals (dispute)
    WHERE state IN ('open', 'approving', 'approved');
CREATE INDEX dispute_proposals_dispute ON dispute_proposals (dispute, id);

-- Until when a provider may answer before a ruling can be proposed.
CREATE FUNCTION dispute_answer_until(opened_at timestamptz) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE AS $$ SELECT opened_at + interval '24 hours' $$;

-- Each dispute with what is known of it. A claim whose dispute was not noted any more is found by
-- what only its command can have made.
CREATE VIEW dispute_rooms AS
SELECT d.id, d.lease, d.claimant, a.name AS claimant_name, d.provider, b.name AS provider_name,
       d.claimed, d.frozen, d.opened_at, dispute_answer_until(d.opened_at) AS answer_until,
       EXISTS (SELECT FROM dispute_messages m
               WHERE m.dispute = d.id AND m.participant = d.provider) AS is_answered,
       d.awarded, d.unfunded, d.ruled_at, r.actor AS ruled_by,
       i.symbol, t.units, t.price, t.start_at, t.end_at,
       c.reason, c.start_at AS claim_start_at, c.end_at AS claim_end_at,
       c.minutes AS claim_minutes, c.units AS claim_units, c.text, c.sent_at,
       p.id AS proposal, p.state AS proposal_state, p.award
FROM disputes d
JOIN trades t ON t.id = d.lease
JOIN pools o ON o.id = t.pool
JOIN instruments i ON i.id = o.instrument
LEFT JOIN participants a ON a.id = d.claimant
LEFT JOIN participants b ON b.id = d.provider
LEFT JOIN commands r ON r.seq = d.ruling
LEFT JOIN LATERAL (
    SELECT * FROM dispute_claims c
    WHERE c.lease = d.lease AND (c.dispute = d.id
        OR c.dispute IS NULL AND c.claimant = d.claimant AND c.amount = d.claimed
           AND c.after < d.command)
    ORDER BY c.dispute NULLS LAST LIMIT 1) c ON true
LEFT JOIN dispute_proposals p
    ON p.dispute = d.id AND p.state IN ('open', 'approving', 'approved');
