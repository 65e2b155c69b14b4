//! What is written of vantages and their probes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sluice_agent::inventory::Needs;
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor, PgPool};

use super::{Outcome, Reason};

/// Adds a vantage; gives its number, or none where its name or its key is known already.
///
/// # Arguments
/// `now` is the market's time, from when on it counts.
///
/// # Errors
/// When the database fails.
pub async fn add(
    db: impl PgExecutor<'_>,
    name: &str,
    key: &[u8; 32],
    now: Timestamp,
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(
        "INSERT INTO vantages (name, public_key, added_at) VALUES ($1, $2, $3)
         ON CONFLICT DO NOTHING RETURNING id",
    )
    .bind(name)
    .bind(&key[..])
    .bind(now.to_sqlx())
    .fetch_optional(db)
    .await
}

/// Retires a vantage: nothing that it says from now on counts; what it said of minutes before
/// stands, since hours were settled by it. Gives its number, or none where there is no such vantage.
///
/// # Arguments
/// `now` is real time, `market` the market's.
///
/// # Errors
/// When the database fails.
pub async fn retire(
    db: impl PgExecutor<'_>,
    name: &str,
    (now, market): (Timestamp, Timestamp),
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(
        "UPDATE vantages SET retired_at = $2, until_at = $3
         WHERE name = $1 AND retired_at IS NULL RETURNING id",
    )
    .bind(name)
    .bind(now.to_sqlx())
    .bind(market.to_sqlx())
    .fetch_optional(db)
    .await
}

/// Says what a lease of a grade has to see from inside, for each unit.
///
/// # Errors
/// When the database fails.
pub async fn say_needs(db: impl PgExecutor<'_>, grade: &str, needs: &Needs) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO grade_needs (grade, needs) VALUES ($1, $2)
         ON CONFLICT (grade) DO UPDATE SET needs = EXCLUDED.needs",
    )
    .bind(grade)
    .bind(Json(needs))
    .execute(db)
    .await
    .map(|_| ())
}

/// Notes that a vantage is there, in real time.
///
/// # Errors
/// When the database fails.
pub async fn seen(db: impl PgExecutor<'_>, vantage: i64, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query("UPDATE vantages SET seen_at = $2 WHERE id = $1")
        .bind(vantage)
        .bind(now.to_sqlx())
        .execute(db)
        .await
        .map(|_| ())
}

/// Outcomes as columns; of several of one stay on one machine the last.
#[derive(Default)]
struct Given {
    stays: Vec<i64>,
    hosts: Vec<i64>,
    passed: Vec<bool>,
    reasons: Vec<&'static str>,
    evidence: Vec<Json<serde_json::Value>>,
}

impl Given {
    fn of(outcomes: Vec<Outcome>) -> Self {
        let by_stay = outcomes.into_iter().map(|one| ((one.stay, one.host), one));
        let by_stay: BTreeMap<_, _> = by_stay.collect();
        let mut given = Self::default();
        for ((stay, host), outcome) in by_stay {
            given.stays.push(stay);
            given.hosts.push(host);
            given.passed.push(outcome.reason == Reason::Passed);
            given.reasons.push(outcome.reason.code());
            given.evidence.push(Json(storable(outcome.evidence)));
        }
        given
    }
}

/// Evidence without the one character that PostgreSQL's JSON can't have: what a machine prints is in
/// it, and one machine is not to keep a vantage from telling of all others.
fn storable(evidence: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;

    let text = |text: String| text.replace('\0', "\u{fffd}");
    match evidence {
        Value::String(one) => Value::String(text(one)),
        Value::Array(all) => all.into_iter().map(storable).collect(),
        Value::Object(all) => {
            let all = all.into_iter();
            Value::Object(all.map(|(name, one)| (text(name), storable(one))).collect())
        }
        other => other,
    }
}

/// Takes what a vantage found, and weighs what all of them say of these stays. What came to the
/// same as the probe before it, while that one's word counts, makes its row longer. Of leases that
/// are over, or that nobody knows, nothing is taken: a door that was shut at its hour has not
/// failed.
///
/// # Arguments
/// `now` is the market's time as the outcomes arrive.
///
/// # Errors
/// When the database fails: nothing was taken then.
pub async fn take(
    db: &PgPool,
    vantage: i64,
    outcomes: Vec<Outcome>,
    now: Timestamp,
) -> sqlx::Result<()> {
    let given = Given::of(outcomes);
    let mut transaction = db.begin().await?;
    // One after the other, in one order: each finds what the one before has written.
    let live: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT s.stay, s.host FROM stays s
         JOIN unnest($1::bigint[], $2::bigint[]) g (stay, host)
             ON g.stay = s.stay AND g.host = s.host
         WHERE EXISTS (SELECT FROM placements p
                       WHERE p.stay = s.stay AND p.host = s.host AND p.end_at > $3)
         ORDER BY s.stay, s.host FOR UPDATE OF s",
    )
    .bind(&given.stays)
    .bind(&given.hosts)
    .bind(now.to_sqlx())
    .fetch_all(&mut *transaction)
    .await?;
    let (stays, hosts): (Vec<i64>, Vec<i64>) = live.into_iter().unzip();
    sqlx::query(
        "WITH given AS (
             SELECT g.* FROM unnest($2::bigint[], $3::bigint[], $4::boolean[], $5::text[],
                                    $6::jsonb[]) g (stay, host, passed, reason, evidence)
             JOIN unnest($7::bigint[], $8::bigint[]) l (stay, host)
                 ON l.stay = g.stay AND l.host = g.host),
         told AS (
             SELECT g.*, last.first_at, greatest(last.last_at, $9) AS at,
                    (last.passed, last.reason, last.evidence) = (g.passed, g.reason, g.evidence)
                        AND last.last_at > $9 - interval '15 minutes' AS is_same
             FROM given g LEFT JOIN LATERAL (
                 SELECT * FROM probe_spans b
                 WHERE b.stay = g.stay AND b.host = g.host AND b.vantage = $1
                 ORDER BY b.first_at DESC LIMIT 1) last ON true),
         longer AS (
             UPDATE probe_spans b SET last_at = t.at, probes = b.probes + 1
             FROM told t WHERE t.is_same AND b.stay = t.stay AND b.host = t.host
                 AND b.vantage = $1 AND b.first_at = t.first_at)
         INSERT INTO probe_spans
             (stay, host, vantage, first_at, last_at, probes, passed, reason, evidence)
         SELECT stay, host, $1, at, at, 1, passed, reason, evidence FROM told
         WHERE is_same IS NOT TRUE
         ON CONFLICT (stay, host, vantage, first_at) DO UPDATE
             SET probes = probe_spans.probes + 1, passed = EXCLUDED.passed,
                 reason = EXCLUDED.reason, evidence = EXCLUDED.evidence",
    )
    .bind(vantage)
    .bind(&given.stays)
    .bind(&given.hosts)
    .bind(&given.passed)
    .bind(&given.reasons)
    .bind(&given.evidence)
    .bind(&stays)
    .bind(&hosts)
    .bind(now.to_sqlx())
    .execute(&mut *transaction)
    .await?;
    weigh(&mut transaction, &stays, &hosts, now).await?;
    transaction.commit().await
}

/// Weighs once more what was failing: a vantage that has gone, or was retired, counts no more.
/// Whoever acts upon `failing_since` asks this first.
///
/// # Arguments
/// `now` is the market's time.
///
/// # Errors
/// When the database fails.
pub async fn weigh_failing(db: &PgPool, now: Timestamp) -> sqlx::Result<()> {
    let mut transaction = db.begin().await?;
    let failing: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT stay, host FROM stays WHERE failing_since IS NOT NULL
         ORDER BY stay, host FOR UPDATE",
    )
    .fetch_all(&mut *transaction)
    .await?;
    if failing.is_empty() {
        return Ok(());
    }
    let (stays, hosts): (Vec<i64>, Vec<i64>) = failing.into_iter().unzip();
    weigh(&mut transaction, &stays, &hosts, now).await?;
    transaction.commit().await
}

/// Works out from the latest word of each vantage, as long as it counts, whether a quorum has
/// passed or fails. A stay is accepted once. It fails since so many were failing at once that they
/// decide: each of them since the first of its failed probes without a passed one or a gap after
/// it. What a holder can bring about inside a lease (a look that ends or says nonsense) denies
/// minutes, and is no failure that a lease ends by.
async fn weigh(
    db: &mut PgConnection,
    stays: &[i64],
    hosts: &[i64],
    now: Timestamp,
) -> sqlx::Result<()> {
    let inside = [Reason::Silent.code(), Reason::Unreadable.code()];
    sqlx::query(
        "WITH counted AS (SELECT id FROM vantages WHERE retired_at IS NULL),
         needed AS (SELECT (count(*) / 2 + 1)::integer AS quorum FROM counted),
         latest AS (
             SELECT g.stay, g.host, b.passed, CASE WHEN b.fails THEN (
                 SELECT max(r.first_at) FROM (
                     SELECT first_at, NOT passed AND reason <> ALL($4) AS fails,
                            lag(NOT passed AND reason <> ALL($4)) OVER own AS before,
                            lag(last_at) OVER own AS till
                     FROM probe_spans f
                     WHERE f.stay = g.stay AND f.host = g.host AND f.vantage = c.id
                     WINDOW own AS (ORDER BY f.first_at)) r
                 WHERE r.fails AND (r.before IS NOT TRUE
                                    OR r.till <= r.first_at - interval '15 minutes'))
                 END AS since
             FROM unnest($1::bigint[], $2::bigint[]) g (stay, host)
             CROSS JOIN counted c JOIN LATERAL (
                 SELECT passed, NOT passed AND reason <> ALL($4) AS fails, last_at
                 FROM probe_spans b
                 WHERE b.stay = g.stay AND b.host = g.host AND b.vantage = c.id
                 ORDER BY b.first_at DESC LIMIT 1) b
                 ON b.last_at > $3 - interval '15 minutes'),
         weighed AS (
             SELECT g.stay, g.host,
                    count(*) FILTER (WHERE l.passed) >= min(n.quorum) AS passes,
                    (array_agg(l.since ORDER BY l.since) FILTER (WHERE l.since IS NOT NULL))
                        [min(n.quorum)] AS since
             FROM unnest($1::bigint[], $2::bigint[]) g (stay, host) CROSS JOIN needed n
             LEFT JOIN latest l ON l.stay = g.stay AND l.host = g.host
             GROUP BY g.stay, g.host)
         UPDATE stays s
         SET failing_since = w.since,
             accepted_at = CASE WHEN s.accepted_at IS NULL AND w.passes THEN $3
                                ELSE s.accepted_at END
         FROM weighed w WHERE w.stay = s.stay AND w.host = s.host
             AND (s.failing_since IS DISTINCT FROM w.since OR s.accepted_at IS NULL AND w.passes)",
    )
    .bind(stays)
    .bind(hosts)
    .bind(now.to_sqlx())
    .bind(&inside[..])
    .execute(db)
    .await
    .map(|_| ())
}
