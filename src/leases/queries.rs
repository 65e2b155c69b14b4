//! What is read of a holder's leases; another's are as if they did not exist.

use std::collections::BTreeMap;

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::{Hour, LeaseId, Money, OrderId, ParticipantId, Period, Timestamp};
use sqlx::PgPool;

use crate::clock;
use crate::delivery::simulated;
use crate::web::Error;

/// A lease with the trade that made it.
#[derive(Clone, Debug)]
pub(super) struct LeaseRow {
    pub(super) id: LeaseId,
    pub(super) order: OrderId,
    pub(super) symbol: String,
    pub(super) pool: i64,
    pub(super) provider: Option<String>,
    pub(super) traded_at: Timestamp,
    pub(super) units: i64,
    pub(super) price: Money,
    pub(super) period: Period,
    pub(super) rules: i64,
    pub(super) escrow: Money,
    pub(super) delivered: i64,
    pub(super) earned: Money,
    pub(super) credited: Money,
    pub(super) ended: bool,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    buy: i64,
    symbol: String,
    pool: i64,
    provider: Option<String>,
    at: jiff_sqlx::Timestamp,
    units: i64,
    price: i64,
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
    rules: i64,
    escrow: i64,
    delivered: i64,
    earned: i64,
    credited: i64,
    ended: bool,
}

fn stamp(at: jiff_sqlx::Timestamp) -> Timestamp {
    clock::stamp(at.to_jiff())
}

impl From<Row> for LeaseRow {
    fn from(row: Row) -> Self {
        let hour = |at| -> Hour { stamp(at).hour() };
        Self {
            id: LeaseId(row.id),
            order: OrderId(row.buy),
            symbol: row.symbol,
            pool: row.pool,
            provider: row.provider,
            traded_at: stamp(row.at),
            units: row.units,
            price: Money(row.price),
            period: Period {
                start: hour(row.start_at),
                end: hour(row.end_at),
            },
            rules: row.rules,
            escrow: Money(row.escrow),
            delivered: row.delivered,
            earned: Money(row.earned),
            credited: Money(row.credited),
            ended: row.ended,
        }
    }
}

/// The latest leases, those that have not ended first.
pub(super) async fn held(db: &PgPool, holder: ParticipantId) -> Result<Vec<LeaseRow>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT l.id, t.buy, i.symbol, t.pool, o.name AS provider, t.at, t.units, t.price,
                t.start_at, t.end_at, t.rules, l.escrow, l.delivered, l.earned, l.credited, l.ended
         FROM leases l JOIN trades t ON t.id = l.id
         JOIN pools p ON p.id = t.pool JOIN instruments i ON i.id = p.instrument
         LEFT JOIN participants o ON o.id = l.provider
         WHERE l.holder = $1 ORDER BY l.ended, l.id DESC LIMIT 200",
    )
    .bind(holder.0)
    .fetch_all(db)
    .await
    .context("loading leases")?;
    Ok(rows.into_iter().map(LeaseRow::from).collect())
}

/// One lease.
pub(super) async fn lease(
    db: &PgPool,
    holder: ParticipantId,
    id: LeaseId,
) -> Result<Option<LeaseRow>, Error> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT l.id, t.buy, i.symbol, t.pool, o.name AS provider, t.at, t.units, t.price,
                t.start_at, t.end_at, t.rules, l.escrow, l.delivered, l.earned, l.credited, l.ended
         FROM leases l JOIN trades t ON t.id = l.id
         JOIN pools p ON p.id = t.pool JOIN instruments i ON i.id = p.instrument
         LEFT JOIN participants o ON o.id = l.provider
         WHERE l.holder = $1 AND l.id = $2",
    )
    .bind(holder.0)
    .bind(id.0)
    .fetch_optional(db)
    .await
    .context("loading a lease")?;
    Ok(row.map(LeaseRow::from))
}

/// A settled hour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settlement {
    pub(super) unit_minutes: i64,
    pub(super) paid: Money,
    pub(super) fee: Money,
    pub(super) refunded: Money,
    pub(super) entry: Option<i64>,
    pub(super) is_simulated: bool,
}

#[derive(sqlx::FromRow)]
struct SettlementRow {
    hour_at: jiff_sqlx::Timestamp,
    unit_minutes: i64,
    paid: i64,
    fee: i64,
    refunded: i64,
    entry: Option<i64>,
    is_simulated: bool,
}

/// The settled hours of a lease between two hours.
pub(super) async fn settlements(
    db: &PgPool,
    lease: LeaseId,
    shown: Period,
) -> Result<BTreeMap<Hour, Settlement>, Error> {
    let rows: Vec<SettlementRow> = sqlx::query_as(
        "SELECT s.hour_at, s.unit_minutes, s.paid, s.fee, s.refunded, s.entry,
                c.actor = $4 AS is_simulated
         FROM settlements s JOIN commands c ON c.seq = s.command
         WHERE s.lease = $1 AND s.hour_at >= $2 AND s.hour_at < $3",
    )
    .bind(lease.0)
    .bind(clock::instant(shown.start.begins()).to_sqlx())
    .bind(clock::instant(shown.end.begins()).to_sqlx())
    .bind(simulated::ACTOR.to_string())
    .fetch_all(db)
    .await
    .context("loading a lease's settled hours")?;
    let settled = rows.into_iter().map(|row| {
        let settlement = Settlement {
            unit_minutes: row.unit_minutes,
            paid: Money(row.paid),
            fee: Money(row.fee),
            refunded: Money(row.refunded),
            entry: row.entry,
            is_simulated: row.is_simulated,
        };
        (stamp(row.hour_at).hour(), settlement)
    });
    Ok(settled.collect())
}
