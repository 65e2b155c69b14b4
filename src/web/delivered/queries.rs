//! What is read of a lease's delivery.

use anyhow::Context;
use market::{LeaseId, PoolId, Timestamp};
use sqlx::PgPool;

use crate::db::{period, stamp};
use crate::web::error::Error;

/// How many steps of a way are shown, the latest first.
const STEPS: i64 = 40;

/// How many runs of probes are shown, the latest first.
const SPANS: i64 = 12;

/// Whether a lease has or had anything on a machine.
pub(super) async fn is_placed(db: &PgPool, lease: LeaseId) -> Result<bool, Error> {
    let placed = sqlx::query_scalar("SELECT EXISTS (SELECT FROM placements WHERE lease = $1)");
    let placed = placed.bind(lease.0).fetch_one(db).await;
    Ok(placed.context("looking for a lease's machines")?)
}

/// A step of a lease.
#[derive(sqlx::FromRow)]
pub(super) struct StepRow {
    at: jiff_sqlx::Timestamp,
    pub(super) state: String,
    pub(super) reason: String,
    pub(super) actor: String,
    pub(super) evidence: serde_json::Value,
}

impl StepRow {
    pub(super) fn at(&self) -> Timestamp {
        stamp(self.at)
    }
}

pub(super) async fn steps(db: &PgPool, lease: LeaseId) -> Result<Vec<StepRow>, Error> {
    let rows = sqlx::query_as(
        "SELECT at, state, reason, actor, evidence FROM lease_states
         WHERE lease = $1 ORDER BY number DESC LIMIT $2",
    )
    .bind(lease.0)
    .bind(STEPS)
    .fetch_all(db)
    .await;
    Ok(rows.context("loading a lease's way")?)
}

/// Probes of a lease from one place that came to the same, one after the other.
#[derive(sqlx::FromRow)]
pub(super) struct SpanRow {
    pub(super) vantage: String,
    pub(super) is_retired: bool,
    first_at: jiff_sqlx::Timestamp,
    last_at: jiff_sqlx::Timestamp,
    pub(super) probes: i64,
    pub(super) passed: bool,
    pub(super) reason: String,
    pub(super) evidence: serde_json::Value,
    /// Which of the lease's machines, from 1; one where there is only one.
    pub(super) machine: i64,
    pub(super) machines: i64,
}

impl SpanRow {
    pub(super) fn ends(&self) -> (Timestamp, Timestamp) {
        (stamp(self.first_at), stamp(self.last_at))
    }
}

/// The latest runs of probes of a lease's machines, from a quarter of an hour before it has
/// anything there.
pub(super) async fn spans(db: &PgPool, lease: LeaseId) -> Result<Vec<SpanRow>, Error> {
    let rows = sqlx::query_as(
        "WITH own AS (
             SELECT stay, host, min(start_at) - interval '15 minutes' AS from_at,
                    max(end_at) AS to_at, row_number() OVER (ORDER BY host, stay) AS machine,
                    count(*) OVER () AS machines
             FROM placements WHERE lease = $1 GROUP BY stay, host)
         SELECT v.name AS vantage, v.retired_at IS NOT NULL AS is_retired, b.first_at, b.last_at,
                b.probes, b.passed, b.reason, b.evidence, own.machine, own.machines
         FROM own JOIN probe_spans b ON b.stay = own.stay AND b.host = own.host
              AND b.last_at >= own.from_at AND b.first_at <= own.to_at
         JOIN vantages v ON v.id = b.vantage
         ORDER BY b.last_at DESC, v.name LIMIT $2",
    )
    .bind(lease.0)
    .bind(SPANS)
    .fetch_all(db)
    .await;
    Ok(rows.context("loading probes of a lease")?)
}

/// How many places probes are made from now.
pub(super) async fn vantages(db: &PgPool) -> Result<i64, Error> {
    let count = sqlx::query_scalar("SELECT count(*) FROM vantages WHERE retired_at IS NULL");
    Ok(count.fetch_one(db).await.context("counting vantages")?)
}

/// Maintenance that was declared.
#[derive(sqlx::FromRow)]
pub(super) struct MaintenanceRow {
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
    declared_at: jiff_sqlx::Timestamp,
    pub(super) note: String,
}

impl MaintenanceRow {
    pub(super) fn period(&self) -> market::Period {
        period(self.start_at, self.end_at)
    }

    pub(super) fn declared_at(&self) -> Timestamp {
        stamp(self.declared_at)
    }
}

/// What was declared of a pool that touches a period.
pub(super) async fn maintenances(
    db: &PgPool,
    pool: PoolId,
    within: market::Period,
) -> Result<Vec<MaintenanceRow>, Error> {
    let at = |hour: market::Hour| jiff_sqlx::Timestamp::from(crate::clock::instant(hour.begins()));
    let rows = sqlx::query_as(
        "SELECT start_at, end_at, declared_at, note FROM maintenances
         WHERE pool = $1 AND start_at < $3 AND end_at > $2 ORDER BY start_at LIMIT 20",
    )
    .bind(pool.0)
    .bind(at(within.start))
    .bind(at(within.end))
    .fetch_all(db)
    .await;
    Ok(rows.context("loading maintenance of a lease's pool")?)
}
