//! Invariants as SQL: each statement gives a row of text for each thing that is wrong.

use tokio_postgres::Transaction;

use super::Check;
use crate::sequencer::StartError;

/// How many contradictions of one kind are reported.
const SHOWN: usize = 10;

const CHECKS: [(&str, &str); 16] = [
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
           FULL JOIN (SELECT holder AS participant, sum(escrow) AS amount FROM leases GROUP BY 1) l
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
        "what is payable is what was paid and is not cash yet",
        "SELECT format('participant %s: payable %s, settlements say %s', participant, b.amount,
                       s.amount)
           FROM (SELECT participant, amount FROM balances WHERE kind = 'payable') b
           FULL JOIN (SELECT l.provider AS participant, sum(s.paid) AS amount
                        FROM settlements s JOIN leases l ON l.id = s.lease
                       WHERE s.payable_until > (SELECT at FROM engine) GROUP BY 1) s
          USING (participant)
          WHERE coalesce(b.amount, 0) <> coalesce(s.amount, 0)",
    ),
    (
        "each settled hour shares out exactly its price",
        "SELECT format('lease %s, hour %s: %s of %s', s.lease, s.hour_at,
                       s.paid + s.refunded + s.fee, t.price * t.units)
           FROM settlements s JOIN trades t ON t.id = s.lease
          WHERE s.paid + s.refunded + s.fee <> t.price * t.units
             OR s.unit_minutes > 60 * t.units
             OR s.hour_at < t.start_at OR s.hour_at >= t.end_at
             OR date_trunc('hour', s.hour_at) <> s.hour_at",
    ),
    (
        "each lease's escrow is the price of its hours to come, and nothing once it has ended",
        "SELECT format('lease %s: escrow %s, %s hours settled', l.id, l.escrow, count(s.lease))
           FROM leases l JOIN trades t USING (id) LEFT JOIN settlements s ON s.lease = l.id
          GROUP BY l.id, t.id
         HAVING l.escrow <> t.price * t.units
                  * (extract(epoch FROM t.end_at - t.start_at)::bigint / 3600 - count(s.lease))
             OR l.ended <> (l.escrow = 0)
             OR l.delivered <> coalesce(sum(s.unit_minutes), 0)
             OR l.fee <> coalesce(sum(s.fee), 0)
             OR l.earned <> coalesce(sum(s.paid + s.fee), 0)",
    ),
    (
        "in no hour are more units of a pool leased than it has",
        "SELECT format('pool %s has %s units, %s are leased from %s', pool, p.units, leased, at)
           FROM (SELECT pool, at, sum(sum(change)) OVER (PARTITION BY pool ORDER BY at) AS leased
                   FROM (SELECT pool, start_at AS at, units AS change FROM trades
                         UNION ALL SELECT pool, end_at, -units FROM trades) c
                  GROUP BY pool, at) l
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
             OR t.start_at <> b.start_at OR t.end_at <> b.end_at
             OR t.start_at < s.start_at OR t.end_at > s.end_at
             OR t.start_at < p.start_at OR t.end_at > p.end_at
             OR NOT (p.instrument = ANY (b.instruments))",
    ),
    (
        "each bid has traded what its trades say",
        "SELECT format('order %s has traded %s, trades say %s', o.id, o.filled, sum(t.units))
           FROM orders o LEFT JOIN trades t ON t.buy = o.id
          WHERE o.side = 'buy' GROUP BY o.id
         HAVING o.filled <> coalesce(sum(t.units), 0)",
    ),
    (
        "each trade has made one lease, between its orders' participants",
        "SELECT format('trade %s', t.id)
           FROM trades t JOIN orders b ON b.id = t.buy JOIN orders s ON s.id = t.sell
           LEFT JOIN leases l ON l.id = t.id
          WHERE l.id IS NULL OR l.holder <> b.participant OR l.provider <> s.participant",
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
