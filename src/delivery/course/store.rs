//! The steps of leases, only ever added to.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor};

use super::{EXCHANGE, State, Step};

/// How many steps a lease's machines can add to its way: an honest one has a dozen.
const MOST_OF_MACHINES: i32 = 1_000;

/// Notes steps of leases, each lease's in their order. One that only notes something leaves its lease
/// where it is, and is the only one of that lease here. A machine that tells of more than can be is
/// not listened to.
///
/// # Errors
/// When the database fails: nothing was noted then.
pub(in crate::delivery) async fn say(
    db: impl PgExecutor<'_>,
    steps: &[(i64, Step)],
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    let leases: Vec<i64> = steps.iter().map(|(lease, _)| *lease).collect();
    let of = || steps.iter().map(|(_, step)| step);
    let states: Vec<Option<&str>> = of().map(|step| step.state.map(State::code)).collect();
    let reasons: Vec<&str> = of().map(|step| step.reason).collect();
    let actors: Vec<&str> = of().map(|step| step.actor.as_str()).collect();
    let evidence: Vec<Json<&serde_json::Value>> = of().map(|step| Json(&step.evidence)).collect();
    // The row of a lease's way is locked by taking numbers there, always in the leases' order.
    sqlx::query(
        "WITH given AS (
             SELECT g.*, row_number() OVER (PARTITION BY g.lease ORDER BY g.place)::integer AS nth
             FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::jsonb[])
                  WITH ORDINALITY g (lease, state, reason, actor, evidence, place)
             WHERE EXISTS (SELECT FROM leases l WHERE l.id = g.lease)
               AND (g.actor = $7 OR NOT EXISTS (SELECT FROM lease_ways w
                                               WHERE w.lease = g.lease AND w.steps >= $8))),
         latest AS (
             SELECT lease, max(nth) AS steps, (array_agg(state ORDER BY nth DESC))[1] AS state
             FROM given GROUP BY lease),
         ways AS (
             INSERT INTO lease_ways AS w (lease, steps, state)
             SELECT lease, steps, coalesce(state, 'scheduled') FROM latest ORDER BY lease
             ON CONFLICT (lease) DO UPDATE SET steps = w.steps + EXCLUDED.steps,
                 state = coalesce((SELECT l.state FROM latest l WHERE l.lease = w.lease), w.state)
             RETURNING lease, steps, state)
         INSERT INTO lease_states (lease, number, at, state, reason, actor, evidence)
         SELECT g.lease, w.steps - l.steps + g.nth, $6, coalesce(g.state, w.state), g.reason,
                g.actor, g.evidence
         FROM given g JOIN ways w ON w.lease = g.lease JOIN latest l ON l.lease = g.lease
         ORDER BY g.lease, g.nth",
    )
    .bind(leases)
    .bind(states)
    .bind(reasons)
    .bind(actors)
    .bind(evidence)
    .bind(at.to_sqlx())
    .bind(EXCHANGE)
    .bind(MOST_OF_MACHINES)
    .execute(db)
    .await
    .map(|_| ())
}

/// Keeps the ways of the leases of these stays on a machine to this transaction. Who notes steps of
/// several leases one by one does this first: two that want the same then wait in one order.
///
/// # Errors
/// When the database fails.
pub(in crate::delivery) async fn hold(
    db: &mut PgConnection,
    host: i64,
    stays: &[i64],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "SELECT FROM lease_ways WHERE lease IN
             (SELECT lease FROM placements WHERE host = $1 AND stay = ANY($2))
         ORDER BY lease FOR UPDATE",
    )
    .bind(host)
    .bind(stays)
    .execute(db)
    .await
    .map(|_| ())
}
