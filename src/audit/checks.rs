//! Invariants as SQL: each statement gives a row of text for each thing that is wrong.

use tokio_postgres::Transaction;

use super::Check;
use crate::sequencer::StartError;

/// How many contradictions of one kind are reported.
pub(super) const SHOWN: usize = 10;

const CHECKS: [(&str, &str); 22] = [
    (
        "the postings of each entry sum to zero, and each entry has some",
        "SELECT format('entry %s sums to %s', e.id, coalesce(sum(p.amount), -1))
           FROM journal_entries e LEFT JOIN postings p ON p.entry = e.id
          GROUP BY e.id HAVING coalesce(sum(p.amount), -1) <> 0",
    ),
    (
        "each balance is the sum of its postings",
        "SELECT format('%s of %s is %s, postings say %s', kind, participant, b.amount, p.amount)
           FROM balances b
           FULL JOIN (SELECT participant, kind, sum(amount) AS amount FROM postings
                       GROUP BY 1, 2) p USING (participant, kind)
          WHERE b.amount IS DISTINCT FROM p.amount",
    ),
    (
        "no account but the bank's is below zero",
        "SELECT format('%s of %s is %s', kind, participant, amount) FROM balances
          WHERE amount < 0 AND kind <> 'bank'",
    ),
    (
        "all balances together are zero",
        "SELECT format('they are %s', sum(amount)) FROM balances HAVING sum(amount) <> 0",
    ),
    (
        "what is on hold is what open orders hold",
        "SELECT format('participant %s: on hold %s, orders hold %s', participant, b.amount, o.held)
           FROM (SELECT participant, amount FROM balances WHERE kind = 'hold') b
           FULL JOIN (SELECT participant, sum(held) AS held FROM orders GROUP BY 1) o
          USING (participant)
          WHERE coalesce(b.amount, 0) <> coalesce(o.held, 0)",
    ),
    (
        "what is in escrow is what leases have there",
        "SELECT format('participant %s: escrow %s, leases have %s', participant, b.amount, l.amount)
           FROM (SELECT participant, amount FROM balances WHERE kind = 'escrow') b
           FULL JOIN (SELECT participant, sum(amount) AS amount
                        FROM (SELECT holder AS participant, escrow + fee_escrow AS amount FROM leases
                              UNION ALL
                              SELECT e.key::bigint, e.value::bigint
                                FROM leases, jsonb_each_text(left_by) e) a GROUP BY 1) l
          USING (participant)
          WHERE coalesce(b.amount, 0) <> coalesce(l.amount, 0)",
    ),
    (
        "what is pledged as bond is what leases have as bond",
        "SELECT format('participant %s: bond %s, leases have %s', participant, b.amount, l.amount)
           FROM (SELECT participant, amount FROM balances WHERE kind = 'bond') b
           FULL JOIN (SELECT provider AS participant, sum(bond) AS amount FROM leases GROUP BY 1) l
          USING (participant)
          WHERE coalesce(b.amount, 0) <> coalesce(l.amount, 0)",
    ),
    (
        "what is payable is what was paid, is not cash yet, and is kept by no dispute",
        "SELECT format('participant %s: payable %s, hours say %s', participant, b.amount,
                       s.amount)
           FROM (SELECT participant, amount FROM balances WHERE kind = 'payable') b
           FULL JOIN (SELECT participant, sum(amount) AS amount
                        FROM (SELECT participant, until, amount FROM payables
                              UNION ALL
                              SELECT d.provider, to_timestamp(p.key::bigint / 1000000),
                                     -p.value::bigint
                                FROM disputes d, jsonb_each_text(d.parts -> 'payable') p) paid
                       WHERE until > (SELECT at FROM engine) GROUP BY 1) s
          USING (participant)
          WHERE coalesce(b.amount, 0) <> coalesce(s.amount, 0)",
    ),
    (
        "each settled hour, corrected or not, shares out exactly its price, less what a ruling \
         awarded of it",
        "SELECT format('lease %s, hour %s: %s and %s awarded of %s', s.lease, s.hour_at,
                       s.paid + s.refunded + s.fee, e.amount, t.price * u.units)
           FROM hours s JOIN trades t ON t.id = s.lease JOIN leases l ON l.id = s.lease
           CROSS JOIN LATERAL (SELECT coalesce(s.units, t.units) AS units) u
           LEFT JOIN (SELECT d.lease, to_timestamp(p.key::bigint * 3600) AS hour_at,
                             sum(p.value::bigint) AS amount
                        FROM disputes d, jsonb_each_text(d.parts -> 'escrow') p GROUP BY 1, 2) e
          USING (lease, hour_at)
          WHERE (s.paid + s.refunded + s.fee + coalesce(e.amount, 0) <> t.price * u.units
                 AND l.parent IS NULL AND l.buyer_fee_bps = 0 AND l.buyer_fee_flat = 0
                 AND l.late_minutes = 0)
             -- With each correction rounding may move 1/10,000 yuan of the buyer's fee into escrow.
             OR (s.paid + s.refunded + s.fee + s.corrections + coalesce(e.amount, 0)
                     < t.price * u.units
                 AND l.late_minutes = 0)
             OR s.unit_minutes + s.excused > 60 * u.units
             OR s.hour_at < t.start_at OR s.hour_at >= t.end_at
             OR date_trunc('hour', s.hour_at) <> s.hour_at",
    ),
    (
        "each lease's escrow is the price of its hours that are not settled, less what disputes \
         keep of it, and nothing once it has ended",
        "SELECT format('lease %s: escrow %s, %s due, %s kept by disputes', l.id, l.escrow, h.due,
                       e.amount)
           FROM leases l JOIN trades t USING (id)
           CROSS JOIN LATERAL (
                SELECT coalesce(sum(div(t.price::numeric * u.held
                                          * (60 - CASE u.nth WHEN 1 THEN l.late_minutes ELSE 0 END),
                                        60)) FILTER (WHERE s.lease IS NULL), 0) AS due,
                       count(*) FILTER (WHERE s.lease IS NULL AND u.held > 0) AS unsettled,
                       coalesce(sum(s.unit_minutes), 0) AS delivered,
                       coalesce(sum(s.excused), 0) AS excused,
                       coalesce(sum(s.fee - s.buyer_fee), 0) AS fee,
                       coalesce(sum(s.buyer_fee), 0) AS buyer_fee,
                       coalesce(sum(s.paid + s.fee - s.buyer_fee), 0) AS earned
                  FROM unnest(coalesce(l.held, array_fill(t.units, ARRAY[
                           extract(epoch FROM t.end_at - t.start_at)::int / 3600])))
                       WITH ORDINALITY AS u (held, nth)
                  LEFT JOIN hours s
                    ON s.lease = l.id AND s.hour_at = t.start_at + (u.nth - 1) * interval '1 hour') h
           LEFT JOIN (SELECT d.lease, sum(p.value::bigint) AS amount
                        FROM disputes d, jsonb_each_text(d.parts -> 'escrow') p
                       WHERE NOT EXISTS (SELECT FROM settlements s
                                          WHERE s.lease = d.lease
                                            AND s.hour_at = to_timestamp(p.key::bigint * 3600))
                       GROUP BY 1) e ON e.lease = l.id
          WHERE l.escrow <> h.due - coalesce(e.amount, 0)
             OR l.ended <> (h.unsettled = 0)
             OR l.delivered <> h.delivered OR l.excused <> h.excused
             OR l.fee <> h.fee OR l.buyer_fee <> h.buyer_fee
             OR (l.parent IS NULL AND l.earned <> h.earned)",
    ),
    (
        "each hour of a lease is settled once, and corrected only after that, each time by an entry \
         of its own",
        "SELECT format('lease %s, hour %s: %s settlements', lease, hour_at, count(*))
           FROM settlements GROUP BY lease, hour_at HAVING count(*) > 1
         UNION ALL
         SELECT format('lease %s, hour %s: corrected by command %s', c.lease, c.hour_at, c.command)
           FROM corrections c LEFT JOIN settlements s USING (lease, hour_at)
          WHERE s.lease IS NULL OR s.command >= c.command OR s.at > c.at
         UNION ALL
         SELECT format('entry %s is of %s settlements or corrections', e.id, count(m.lease))
           FROM journal_entries e
           LEFT JOIN (SELECT entry, lease, 'settlement' AS reason FROM settlements
                      UNION ALL SELECT entry, lease, 'correction' FROM corrections) m
             ON m.entry = e.id AND m.lease = e.subject AND m.reason = e.reason
          WHERE e.reason IN ('settlement', 'correction')
          GROUP BY e.id HAVING count(m.lease) <> 1",
    ),
    (
        "each correction posts the fee and what is payable as its row says",
        "SELECT format('lease %s, hour %s, command %s', c.lease, c.hour_at, c.command)
           FROM corrections c
           CROSS JOIN LATERAL (
                SELECT coalesce(sum(amount) FILTER (WHERE kind = 'fees'), 0) AS fee,
                       jsonb_object_agg(participant, amount) FILTER (WHERE kind = 'payable')
                           AS payable
                  FROM postings WHERE entry = c.entry) p
          WHERE c.fee <> p.fee OR c.payable IS DISTINCT FROM p.payable",
    ),
    (
        "what is frozen by disputes is what open ones have frozen",
        "SELECT format('participant %s: frozen %s, disputes have %s', participant, b.amount,
                       d.amount)
           FROM (SELECT participant, amount FROM balances WHERE kind = 'dispute') b
           FULL JOIN (SELECT provider AS participant, sum(frozen) AS amount FROM disputes
                       WHERE ruled_at IS NULL GROUP BY 1) d
          USING (participant)
          WHERE coalesce(b.amount, 0) <> coalesce(d.amount, 0)",
    ),
    (
        "each dispute is its lease's holder's, claims no more than its price, and keeps only what \
         is frozen or was awarded",
        "SELECT format('dispute %s: %s kept, %s frozen, %s awarded, %s unfunded', d.id, p.amount,
                       d.frozen, d.awarded, d.unfunded)
           FROM disputes d JOIN leases l ON l.id = d.lease JOIN trades t ON t.id = d.lease,
                LATERAL (SELECT coalesce(sum(value::bigint), 0) AS amount
                           FROM (SELECT value FROM jsonb_each_text(d.parts -> 'escrow')
                                 UNION ALL SELECT value FROM jsonb_each_text(d.parts -> 'payable')
                                 UNION ALL SELECT d.parts ->> 'bond'
                                 UNION ALL SELECT d.parts ->> 'cash') part) p
          WHERE d.claimant <> l.holder OR d.provider <> l.provider
             OR d.claimed > t.price * t.units
                  * (extract(epoch FROM t.end_at - t.start_at)::bigint / 3600)
             OR p.amount <> coalesce(d.awarded - d.unfunded, d.frozen)",
    ),
    (
        "in no hour are more units of a pool leased than it has",
        "SELECT format('pool %s has %s units, %s are leased from %s', pool, p.units, leased, at)
           FROM (SELECT t.pool, t.start_at + (u.nth - 1) * interval '1 hour' AS at,
                        sum(u.held) AS leased
                   FROM leases l JOIN trades t USING (id)
                  CROSS JOIN LATERAL unnest(coalesce(l.held, array_fill(t.units, ARRAY[
                            extract(epoch FROM t.end_at - t.start_at)::int / 3600])))
                        WITH ORDINALITY AS u (held, nth)
                  WHERE l.failed_from IS NULL
                     OR t.start_at + (u.nth - 1) * interval '1 hour' < l.failed_from
                  GROUP BY 1, 2) l
           JOIN pools p ON p.id = l.pool
          WHERE leased > p.units",
    ),
    (
        "each trade is within its orders' and its pool's terms",
        "SELECT format('trade %s', t.id)
           FROM trades t JOIN orders b ON b.id = t.buy JOIN orders s ON s.id = t.sell
           JOIN pools p ON p.id = t.pool
          WHERE b.side <> 'buy' OR s.side <> 'sell' OR s.pool <> t.pool
             OR b.participant = s.participant
             OR t.start_at < b.start_at OR t.end_at > b.end_at
             OR (b.duration IS NULL AND (t.start_at <> b.start_at OR t.end_at <> b.end_at))
             OR t.start_at < s.start_at OR t.end_at > s.end_at
             OR t.start_at < p.start_at OR t.end_at > p.end_at
             OR NOT (p.instrument = ANY (b.instruments))",
    ),
    (
        "each bid has traded what its trades say",
        "SELECT format('order %s has traded %s, trades say %s unit-hours', o.id, o.filled,
                       sum(t.units * extract(epoch FROM t.end_at - t.start_at)::bigint / 3600))
           FROM orders o LEFT JOIN trades t ON t.buy = o.id
          WHERE o.side = 'buy' GROUP BY o.id
         HAVING o.filled
                  * coalesce(o.duration,
                             extract(epoch FROM o.end_at - o.start_at)::bigint / 3600)
             <> coalesce(sum(t.units * extract(epoch FROM t.end_at - t.start_at)::bigint / 3600),
                         0)",
    ),
    (
        "each trade has made one lease, between its orders' participants",
        "SELECT format('trade %s', t.id)
           FROM trades t JOIN orders b ON b.id = t.buy JOIN orders s ON s.id = t.sell
           JOIN pools p ON p.id = t.pool
           LEFT JOIN leases l ON l.id = t.id LEFT JOIN leases r ON r.id = s.resold
          WHERE l.id IS NULL OR l.holder <> b.participant OR l.provider <> p.participant
             OR l.parent IS DISTINCT FROM s.resold
             OR s.participant <> coalesce(r.holder, p.participant)",
    ),
    (
        "commands and entries are numbered without a gap",
        "SELECT format('%s rows of %s, the last %s, the engine says %s', rows, name, last, engine)
           FROM (SELECT 'commands' AS name, count(*) AS rows, coalesce(max(seq), 0) AS last,
                        (SELECT command FROM engine) AS engine FROM commands
                 UNION ALL
                 SELECT 'journal_entries', count(*), coalesce(max(id), 0),
                        (SELECT entries FROM engine) FROM journal_entries) n
          WHERE rows <> last OR last <> engine",
    ),
    (
        "commands are in the order of their time",
        "SELECT format('command %s', seq)
           FROM (SELECT seq, at, lag(at) OVER (ORDER BY seq) AS before FROM commands) c
          WHERE at < before",
    ),
    (
        "batches and epochs are numbered without a gap, and each epoch goes on from the last",
        "SELECT format('%s rows of %s, the last %s, the engine says %s', rows, name, last, engine)
           FROM (SELECT 'batches' AS name, count(DISTINCT batch) AS rows,
                        coalesce(max(batch), 0) AS last, (SELECT batch FROM engine) AS engine
                   FROM commands
                 UNION ALL
                 SELECT 'epochs', max(epoch) - min(epoch) + 1, max(epoch),
                        (SELECT epoch FROM engine)
                   FROM epochs HAVING count(*) > 0) n
          WHERE last <> engine OR name = 'batches' AND rows <> last
         UNION ALL
         SELECT format('command %s is of batch %s', seq, batch)
           FROM (SELECT seq, batch, lag(batch) OVER (ORDER BY seq) AS before FROM commands) c
          WHERE batch < before
         UNION ALL
         SELECT format('epoch %s follows %s, from batch %s', epoch, before, batch)
           FROM (SELECT epoch, batch, lag(epoch) OVER (ORDER BY epoch) AS before,
                        lag(batch) OVER (ORDER BY epoch) AS since FROM epochs) e
          WHERE before <> epoch - 1 OR batch < since",
    ),
    (
        "what rows refer to is there",
        "SELECT format('%s %s', name, number)
           FROM (SELECT 'the command of order' AS name, id AS number, command FROM orders
                 UNION ALL SELECT 'the command of trade', id, command FROM trades
                 UNION ALL SELECT 'the command of entry', id, command FROM journal_entries
                 UNION ALL SELECT 'the command of a settlement of lease', lease, command
                   FROM settlements
                 UNION ALL SELECT 'the command of a correction of lease', lease, command
                   FROM corrections) r
          WHERE NOT EXISTS (SELECT FROM commands c WHERE c.seq = r.command)
         UNION ALL
         SELECT format('the entry of postings %s', entry) FROM postings p
          WHERE NOT EXISTS (SELECT FROM journal_entries e WHERE e.id = p.entry)
         UNION ALL
         SELECT format('an order of trade %s', id) FROM trades t
          WHERE (SELECT count(*) FROM orders o WHERE o.id IN (t.buy, t.sell)) <> 2
         UNION ALL
         SELECT format('the trade of lease %s', id) FROM leases l
          WHERE NOT EXISTS (SELECT FROM trades t WHERE t.id = l.id)
         UNION ALL
         SELECT format('the lease of a settlement of %s', lease) FROM settlements s
          WHERE NOT EXISTS (SELECT FROM leases l WHERE l.id = s.lease)
         UNION ALL
         SELECT format('the pool of order %s', id) FROM orders o
          WHERE pool IS NOT NULL AND NOT EXISTS (SELECT FROM pools p WHERE p.id = o.pool)",
    ),
];

/// Runs every check.
pub(super) async fn run(tables: &Transaction<'_>) -> Result<Vec<Check>, StartError> {
    let mut checks = Vec::new();
    for (holds, sql) in CHECKS {
        let rows = tables.query(sql, &[]).await?;
        let wrong = rows.iter().take(SHOWN).map(|row| row.get(0)).collect();
        checks.push(Check { holds, wrong });
    }
    Ok(checks)
}
