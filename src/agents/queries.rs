//! What is read of a pool's machines; another's pool is as if it did not exist.

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::{ParticipantId, PoolId, Timestamp};
use sluice_agent::inventory::Needs;
use sqlx::PgPool;
use sqlx::types::Json;

use crate::clock;
use crate::db::stamp;
use crate::web::Error;

/// How many stretches of maintenance are shown, the latest first.
const SHOWN: i64 = 20;

/// A pool that can have machines: one that was opened on the site.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct PoolRow {
    pub(super) name: String,
    pub(super) symbol: String,
    pub(super) lot: i64,
    /// How many simulated hosts it has.
    pub(super) simulated: i64,
    /// What the grade needs of a machine for each unit, where that is said.
    pub(super) needs: Option<Json<Needs>>,
}

pub(super) async fn pool(
    db: &PgPool,
    of: ParticipantId,
    id: PoolId,
) -> Result<Option<PoolRow>, Error> {
    let row = sqlx::query_as(
        "SELECT n.name, i.symbol, i.lot,
                (SELECT count(*) FROM hosts h WHERE h.pool = p.id AND h.kind = 'simulated')
                    AS simulated, g.needs
         FROM pools p JOIN instruments i ON i.id = p.instrument
         JOIN pool_openings n ON n.pool = p.id LEFT JOIN grade_needs g ON g.grade = i.grade
         WHERE p.participant = $1 AND p.id = $2",
    )
    .bind(of.0)
    .bind(id.0)
    .fetch_optional(db)
    .await;
    Ok(row.context("loading a pool")?)
}

/// A machine with who speaks for it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct MachineRow {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) units: i64,
    pub(super) address: String,
    pub(super) agent: Option<i64>,
    seen_at: Option<jiff_sqlx::Timestamp>,
    pub(super) program: Option<String>,
    pub(super) clock_ahead_ms: Option<i64>,
    pub(super) waiting: Option<i64>,
    pub(super) inventory: Option<serde_json::Value>,
    /// When the last agent that it has no more was ended.
    revoked_at: Option<jiff_sqlx::Timestamp>,
    /// Until when a token that nobody has used is good.
    token_until: Option<jiff_sqlx::Timestamp>,
}

impl MachineRow {
    /// In real time.
    pub(super) fn seen_at(&self) -> Option<Timestamp> {
        self.seen_at.map(stamp)
    }

    /// In real time.
    pub(super) fn revoked_at(&self) -> Option<Timestamp> {
        self.revoked_at.map(stamp)
    }

    /// In real time.
    pub(super) fn token_until(&self) -> Option<Timestamp> {
        self.token_until.map(stamp)
    }
}

/// The machines of a pool, in the order in which they came.
pub(super) async fn machines(db: &PgPool, pool: PoolId) -> Result<Vec<MachineRow>, Error> {
    let rows = sqlx::query_as(
        "SELECT h.id, h.name, h.units, h.address, a.id AS agent, a.seen_at, a.program,
                a.clock_ahead_ms, a.waiting, a.inventory,
                (SELECT max(r.revoked_at) FROM agents r WHERE r.host = h.id) AS revoked_at,
                (SELECT max(t.expires_at) FROM agent_tokens t
                 WHERE t.host = h.id AND t.agent IS NULL) AS token_until
         FROM hosts h LEFT JOIN agents a ON a.host = h.id AND a.revoked_at IS NULL
         WHERE h.pool = $1 AND h.kind = 'agent' ORDER BY h.id",
    )
    .bind(pool.0)
    .fetch_all(db)
    .await;
    Ok(rows.context("loading a pool's machines")?)
}

/// The name of a machine of a pool.
pub(super) async fn machine(db: &PgPool, pool: PoolId, host: i64) -> Result<Option<String>, Error> {
    let name =
        sqlx::query_scalar("SELECT name FROM hosts WHERE pool = $1 AND id = $2 AND kind = 'agent'")
            .bind(pool.0)
            .bind(host)
            .fetch_optional(db)
            .await;
    Ok(name.context("loading a machine")?)
}

/// What is on a pool's machines at an instant: machine, lease and units.
pub(super) async fn leases(
    db: &PgPool,
    pool: PoolId,
    now: Timestamp,
) -> Result<Vec<(i64, i64, i64)>, Error> {
    let rows = sqlx::query_as(
        "SELECT p.host, p.lease, p.units FROM placements p JOIN hosts h ON h.id = p.host
         WHERE h.pool = $1 AND p.start_at <= $2 AND p.end_at > $2 ORDER BY p.host, p.lease",
    )
    .bind(pool.0)
    .bind(clock::instant(now).to_sqlx())
    .fetch_all(db)
    .await;
    Ok(rows.context("loading what is on machines")?)
}

/// Cases of a pool's machines that nobody has closed: machine and kind, with how many.
pub(super) async fn cases(db: &PgPool, pool: PoolId) -> Result<Vec<(i64, String, i64)>, Error> {
    let rows = sqlx::query_as(
        "SELECT a.host, c.kind, count(*) FROM delivery_cases c JOIN agents a ON a.id = c.agent
         JOIN hosts h ON h.id = a.host
         WHERE h.pool = $1 AND c.closed_at IS NULL GROUP BY a.host, c.kind ORDER BY 1, 2",
    )
    .bind(pool.0)
    .fetch_all(db)
    .await;
    Ok(rows.context("loading cases of machines")?)
}

/// Maintenance of a pool as it was declared.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct MaintenanceRow {
    pub(super) id: i64,
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
    pub(super) note: String,
    declared_at: jiff_sqlx::Timestamp,
    pub(super) login: Option<String>,
}

impl MaintenanceRow {
    pub(super) fn period(&self) -> market::Period {
        crate::db::period(self.start_at, self.end_at)
    }

    pub(super) fn declared_at(&self) -> Timestamp {
        stamp(self.declared_at)
    }
}

/// What was declared of a pool, the latest hours first.
pub(super) async fn maintenances(db: &PgPool, pool: PoolId) -> Result<Vec<MaintenanceRow>, Error> {
    let rows = sqlx::query_as(
        "SELECT m.id, m.start_at, m.end_at, m.note, m.declared_at, u.login
         FROM maintenances m LEFT JOIN users u ON u.id = m.declared_by
         WHERE m.pool = $1 ORDER BY m.start_at DESC, m.id DESC LIMIT $2",
    )
    .bind(pool.0)
    .bind(SHOWN)
    .fetch_all(db)
    .await;
    Ok(rows.context("loading a pool's maintenance")?)
}
