-- What of the minutes that an hour lacks was maintenance declared in time, in unit-minutes; and of
-- a lease the sum of it, excused or not.
ALTER TABLE settlements ADD COLUMN excused bigint NOT NULL DEFAULT 0 CHECK (excused >= 0);
ALTER TABLE leases ADD COLUMN excused bigint NOT NULL DEFAULT 0 CHECK (excused >= 0);

-- What late evidence changed of a settled hour: what the hour counts since, and the differences to
-- what it had paid, refunded and charged before. The command orders those of one hour.
CREATE TABLE corrections (
    lease         bigint NOT NULL,
    hour_at       timestamptz NOT NULL,
    command       bigint NOT NULL,
    at            timestamptz NOT NULL,
    unit_minutes  bigint NOT NULL CHECK (unit_minutes >= 0),
    excused       bigint NOT NULL CHECK (excused >= 0),
    paid          bigint NOT NULL,
    refunded      bigint NOT NULL,
    fee           bigint NOT NULL,
    buyer_fee     bigint NOT NULL,
    -- What of the difference in payment is resellers', an amount by participant.
    resellers     jsonb,
    -- By how much it changed what is payable at the hour's time, an amount by participant.
    payable       jsonb,
    payable_until timestamptz,
    entry         bigint,
    PRIMARY KEY (lease, hour_at, command)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON corrections
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- Each settled hour as it stands: its settlement with all that was corrected of it since, and the
-- command by which it counts what it does.
CREATE VIEW hours AS
SELECT s.lease, s.hour_at, s.units, s.entry, s.payable_until,
       coalesce(c.command, s.command) AS command,
       coalesce(c.at, s.at) AS at,
       coalesce(c.unit_minutes, s.unit_minutes) AS unit_minutes,
       coalesce(c.excused, s.excused) AS excused,
       s.paid + coalesce(c.paid, 0) AS paid,
       s.refunded + coalesce(c.refunded, 0) AS refunded,
       s.fee + coalesce(c.fee, 0) AS fee,
       s.buyer_fee + coalesce(c.buyer_fee, 0) AS buyer_fee,
       coalesce(c.corrections, 0) AS corrections
  FROM settlements s
  LEFT JOIN (SELECT lease, hour_at, count(*) AS corrections, max(command) AS command, max(at) AS at,
                    (array_agg(unit_minutes ORDER BY command DESC))[1] AS unit_minutes,
                    (array_agg(excused ORDER BY command DESC))[1] AS excused,
                    sum(paid)::bigint AS paid, sum(refunded)::bigint AS refunded,
                    sum(fee)::bigint AS fee, sum(buyer_fee)::bigint AS buyer_fee
               FROM corrections GROUP BY 1, 2) c USING (lease, hour_at);

-- What becomes a participant's cash at an instant by settlements and corrections, whatever disputes
-- keep of it.
CREATE VIEW payables AS
SELECT s.payable_until AS until, e.participant, e.amount
  FROM settlement_earnings e JOIN settlements s USING (lease, hour_at)
 WHERE s.payable_until IS NOT NULL
UNION ALL
SELECT c.payable_until, p.key::bigint, p.value::bigint
  FROM corrections c, jsonb_each_text(c.payable) p WHERE c.payable_until IS NOT NULL;
