//! The steps of leases, only ever added to.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::PgConnection;

use super::{State, Step};

/// Notes a step of a lease. One that only notes something leaves it where it is.
pub(in crate::delivery) async fn say(
    db: &mut PgConnection,
    lease: i64,
    step: &Step,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    // Steps of one lease come one after the other, whoever takes them.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('lease_states', $1))")
        .bind(lease)
        .execute(&mut *db)
        .await?;
    sqlx::query(
        "INSERT INTO lease_states (lease, number, at, state, reason, actor, evidence)
         SELECT $1, coalesce(last.number, 0) + 1, $2, coalesce($3, last.state, 'scheduled'),
                $4, $5, $6
         FROM (SELECT) one LEFT JOIN LATERAL
             (SELECT number, state FROM lease_states WHERE lease = $1
              ORDER BY number DESC LIMIT 1) last ON true
         WHERE EXISTS (SELECT FROM leases WHERE id = $1)",
    )
    .bind(lease)
    .bind(at.to_sqlx())
    .bind(step.state.map(State::code))
    .bind(step.reason)
    .bind(&step.actor)
    .bind(&step.evidence)
    .execute(db)
    .await
    .map(|_| ())
}
