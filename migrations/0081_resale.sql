-- Resale: a lease can be made out of another, which then has fewer units in some hours. And the
-- buyer's fee, which is in escrow beside the price.
ALTER TABLE orders ADD COLUMN resold bigint REFERENCES leases;
-- The rule set under which it was last accepted, and the minutes of its first hour gone by then.
ALTER TABLE orders ADD COLUMN rules bigint NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN late_minutes bigint NOT NULL DEFAULT 0
    CHECK (late_minutes BETWEEN 0 AND 59);
UPDATE orders SET rules = (SELECT (rules ->> 'version')::bigint FROM engine);

ALTER TABLE leases ADD COLUMN parent bigint REFERENCES leases;
-- The units that it has in each hour; all of its trade's where that is not said.
ALTER TABLE leases ADD COLUMN held bigint[];
ALTER TABLE leases ADD COLUMN late_minutes bigint NOT NULL DEFAULT 0
    CHECK (late_minutes BETWEEN 0 AND 59);
ALTER TABLE leases ADD COLUMN buyer_fee_bps bigint NOT NULL DEFAULT 0;
ALTER TABLE leases ADD COLUMN buyer_fee_flat bigint NOT NULL DEFAULT 0;
ALTER TABLE leases ADD COLUMN buyer_fee bigint NOT NULL DEFAULT 0 CHECK (buyer_fee >= 0);
-- What of the holder's escrow is for the buyer's fee, and what resellers have there: an amount by
-- participant.
ALTER TABLE leases ADD COLUMN fee_escrow bigint NOT NULL DEFAULT 0 CHECK (fee_escrow >= 0);
ALTER TABLE leases ADD COLUMN left_by jsonb NOT NULL DEFAULT '{}';
-- A provider may buy back what it sold.
ALTER TABLE leases DROP CONSTRAINT leases_check;
ALTER TABLE disputes DROP CONSTRAINT disputes_check;
CREATE INDEX leases_parent ON leases (parent) WHERE parent IS NOT NULL;

-- The units that had the hour, what of the payment is resellers' (an amount by participant), and
-- the fees of the seller and of the buyer, which together are the fee.
ALTER TABLE settlements ADD COLUMN units bigint;
ALTER TABLE settlements ADD COLUMN resellers jsonb;
ALTER TABLE settlements ADD COLUMN buyer_fee bigint NOT NULL DEFAULT 0 CHECK (buyer_fee >= 0);

-- Who earned what of a settled hour, after fees: the provider, and each reseller.
CREATE VIEW settlement_earnings AS
SELECT s.lease, s.hour_at, e.key::bigint AS participant, e.value::bigint AS amount
  FROM settlements s, jsonb_each_text(s.resellers) e
UNION ALL
SELECT s.lease, s.hour_at, l.provider,
       s.paid - coalesce((SELECT sum(value::bigint) FROM jsonb_each_text(s.resellers)), 0)::bigint
  FROM settlements s JOIN leases l ON l.id = s.lease;
