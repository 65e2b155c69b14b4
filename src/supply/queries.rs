//! What is read of a provider's leases and earnings; another's are as if they did not exist.

use std::collections::BTreeMap;

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::{Hour, LeaseId, Money, ParticipantId, Period, PoolId, Timestamp};
use sqlx::PgPool;

use super::forms::Which;
use crate::clock;
use crate::db::{period, stamp};
use crate::delivery::simulated;
use crate::web::Error;
use crate::web::held::Held;

fn sqlx(at: Timestamp) -> jiff_sqlx::Timestamp {
    clock::instant(at).to_sqlx()
}

/// A lease with the trade that made it, from the provider's side.
#[derive(Clone, Debug)]
pub(super) struct LeaseRow {
    pub(super) id: LeaseId,
    pub(super) symbol: String,
    pub(super) pool: PoolId,
    pub(super) pool_name: Option<String>,
    pub(super) holder: String,
    pub(super) traded_at: Timestamp,
    /// What it has now of the units that were traded.
    pub(super) held: Held,
    /// The unit-minutes that its settled hours owed.
    pub(super) owed: i64,
    pub(super) price: Money,
    pub(super) period: Period,
    pub(super) rules: i64,
    pub(super) escrow: Money,
    pub(super) bond: Money,
    pub(super) delivered: i64,
    pub(super) earned: Money,
    pub(super) fee: Money,
    pub(super) credited: Money,
    pub(super) ended: bool,
    pub(super) settled_hours: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    symbol: String,
    pool: i64,
    pool_name: Option<String>,
    holder: Option<String>,
    at: jiff_sqlx::Timestamp,
    units: i64,
    held: Option<Vec<i64>>,
    late_minutes: i64,
    owed: i64,
    price: i64,
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
    rules: i64,
    escrow: i64,
    bond: i64,
    delivered: i64,
    earned: i64,
    fee: i64,
    credited: i64,
    ended: bool,
    settled_hours: i64,
}

impl From<Row> for LeaseRow {
    fn from(row: Row) -> Self {
        let period = period(row.start_at, row.end_at);
        Self {
            id: LeaseId(row.id),
            symbol: row.symbol,
            pool: PoolId(row.pool),
            pool_name: row.pool_name,
            holder: row.holder.unwrap_or_default(),
            traded_at: stamp(row.at),
            held: Held::new(period, row.units, row.held, row.late_minutes),
            owed: row.owed,
            price: Money(row.price),
            period,
            rules: row.rules,
            escrow: Money(row.escrow),
            bond: Money(row.bond),
            delivered: row.delivered,
            earned: Money(row.earned),
            fee: Money(row.fee),
            credited: Money(row.credited),
            ended: row.ended,
            settled_hours: row.settled_hours,
        }
    }
}

/// The leases that have not ended, those that begin first before the others.
pub(super) async fn open(
    db: &PgPool,
    provider: ParticipantId,
    limit: i64,
) -> Result<Vec<LeaseRow>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT l.id, i.symbol, t.pool, n.name AS pool_name, h.name AS holder, t.at, t.units,
                t.price, t.start_at, t.end_at, t.rules, l.escrow, l.bond, l.delivered, l.earned,
                l.fee, l.credited, l.ended,
                (SELECT count(*) FROM settlements s WHERE s.lease = l.id) AS settled_hours,
                l.held, l.late_minutes,
                (SELECT coalesce(sum(coalesce(l.held[(extract(epoch FROM s.hour_at - t.start_at) / 3600)::int
                                     + 1], t.units)
                         * (60 - CASE WHEN s.hour_at = t.start_at THEN l.late_minutes ELSE 0 END)),
                     0)::bigint FROM settlements s WHERE s.lease = l.id) AS owed
         FROM leases l JOIN trades t ON t.id = l.id
         JOIN pools p ON p.id = t.pool JOIN instruments i ON i.id = p.instrument
         LEFT JOIN pool_openings n ON n.pool = t.pool LEFT JOIN participants h ON h.id = l.holder
         WHERE l.provider = $1 AND NOT l.ended ORDER BY t.start_at, l.id LIMIT $2",
    )
    .bind(provider.0)
    .bind(limit)
    .fetch_all(db)
    .await
    .context("loading a provider's leases")?;
    Ok(rows.into_iter().map(LeaseRow::from).collect())
}

/// Leases of one kind below a number, the newest first.
pub(super) async fn leases(
    db: &PgPool,
    provider: ParticipantId,
    which: Which,
    now: Timestamp,
    before: LeaseId,
    limit: i64,
) -> Result<Vec<LeaseRow>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT l.id, i.symbol, t.pool, n.name AS pool_name, h.name AS holder, t.at, t.units,
                t.price, t.start_at, t.end_at, t.rules, l.escrow, l.bond, l.delivered, l.earned,
                l.fee, l.credited, l.ended,
                (SELECT count(*) FROM settlements s WHERE s.lease = l.id) AS settled_hours,
                l.held, l.late_minutes,
                (SELECT coalesce(sum(coalesce(l.held[(extract(epoch FROM s.hour_at - t.start_at) / 3600)::int
                                     + 1], t.units)
                         * (60 - CASE WHEN s.hour_at = t.start_at THEN l.late_minutes ELSE 0 END)),
                     0)::bigint FROM settlements s WHERE s.lease = l.id) AS owed
         FROM leases l JOIN trades t ON t.id = l.id
         JOIN pools p ON p.id = t.pool JOIN instruments i ON i.id = p.instrument
         LEFT JOIN pool_openings n ON n.pool = t.pool LEFT JOIN participants h ON h.id = l.holder
         WHERE l.provider = $1 AND l.id < $2
           AND CASE $3 WHEN 'running' THEN NOT l.ended AND t.start_at <= $4
               WHEN 'next' THEN t.start_at > $4 WHEN 'ended' THEN l.ended ELSE true END
         ORDER BY l.id DESC LIMIT $5",
    )
    .bind(provider.0)
    .bind(before.0)
    .bind(which.name())
    .bind(sqlx(now))
    .bind(limit)
    .fetch_all(db)
    .await
    .context("loading a provider's leases")?;
    Ok(rows.into_iter().map(LeaseRow::from).collect())
}

/// One lease.
pub(super) async fn lease(
    db: &PgPool,
    provider: ParticipantId,
    id: LeaseId,
) -> Result<Option<LeaseRow>, Error> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT l.id, i.symbol, t.pool, n.name AS pool_name, h.name AS holder, t.at, t.units,
                t.price, t.start_at, t.end_at, t.rules, l.escrow, l.bond, l.delivered, l.earned,
                l.fee, l.credited, l.ended,
                (SELECT count(*) FROM settlements s WHERE s.lease = l.id) AS settled_hours,
                l.held, l.late_minutes,
                (SELECT coalesce(sum(coalesce(l.held[(extract(epoch FROM s.hour_at - t.start_at) / 3600)::int
                                     + 1], t.units)
                         * (60 - CASE WHEN s.hour_at = t.start_at THEN l.late_minutes ELSE 0 END)),
                     0)::bigint FROM settlements s WHERE s.lease = l.id) AS owed
         FROM leases l JOIN trades t ON t.id = l.id
         JOIN pools p ON p.id = t.pool JOIN instruments i ON i.id = p.instrument
         LEFT JOIN pool_openings n ON n.pool = t.pool LEFT JOIN participants h ON h.id = l.holder
         WHERE l.provider = $1 AND l.id = $2",
    )
    .bind(provider.0)
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
    pub(super) payable_until: Option<Timestamp>,
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
    payable_until: Option<jiff_sqlx::Timestamp>,
    entry: Option<i64>,
    is_simulated: bool,
}

/// The settled hours of a lease between two hours, as they stand.
pub(super) async fn settlements(
    db: &PgPool,
    lease: LeaseId,
    shown: Period,
) -> Result<BTreeMap<Hour, Settlement>, Error> {
    let rows: Vec<SettlementRow> = sqlx::query_as(
        "SELECT s.hour_at, s.unit_minutes, s.paid, s.fee, s.refunded, s.payable_until, s.entry,
                c.actor = $4 AS is_simulated
         FROM hours s JOIN commands c ON c.seq = s.command
         WHERE s.lease = $1 AND s.hour_at >= $2 AND s.hour_at < $3",
    )
    .bind(lease.0)
    .bind(sqlx(shown.start.begins()))
    .bind(sqlx(shown.end.begins()))
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
            payable_until: row.payable_until.map(stamp),
            entry: row.entry,
            is_simulated: row.is_simulated,
        };
        (stamp(row.hour_at).hour(), settlement)
    });
    Ok(settled.collect())
}

/// A posting to one of the provider's accounts for a lease.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct PostingRow {
    pub(super) entry: i64,
    pub(super) at: jiff_sqlx::Timestamp,
    pub(super) reason: String,
    pub(super) kind: String,
    pub(super) amount: i64,
}

/// The latest postings to the provider's accounts that a lease made.
pub(super) async fn postings(
    db: &PgPool,
    provider: ParticipantId,
    lease: LeaseId,
) -> Result<Vec<PostingRow>, Error> {
    // A trade and the lease that it made have one number.
    sqlx::query_as(
        "SELECT e.id AS entry, e.at, e.reason, p.kind::text AS kind, p.amount
         FROM journal_entries e JOIN postings p ON p.entry = e.id
         WHERE e.reason IN ('trade', 'settlement', 'correction', 'credit', 'bond_release', 'buy_in',
                            'default')
           AND e.subject = $2 AND p.participant = $1
         ORDER BY e.id DESC, p.line LIMIT 60",
    )
    .bind(provider.0)
    .bind(lease.0)
    .fetch_all(db)
    .await
    .context("loading a lease's journal")
    .map_err(Error::from)
}

/// What was earned since an instant.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub(super) struct Earned {
    /// After the fee.
    pub(super) paid: i64,
    /// Before it.
    pub(super) gross: i64,
    pub(super) unit_minutes: i64,
}

/// What the hours since an instant have earned.
pub(super) async fn earned(
    db: &PgPool,
    provider: ParticipantId,
    since: Timestamp,
) -> Result<Earned, Error> {
    sqlx::query_as(
        "SELECT coalesce(sum(s.paid), 0)::bigint AS paid,
                coalesce(sum(s.paid + s.fee), 0)::bigint AS gross,
                coalesce(sum(s.unit_minutes), 0)::bigint AS unit_minutes
         FROM leases l JOIN trades t ON t.id = l.id JOIN hours s ON s.lease = l.id
         WHERE l.provider = $1 AND t.end_at > $2 AND s.hour_at >= $2",
    )
    .bind(provider.0)
    .bind(sqlx(since))
    .fetch_one(db)
    .await
    .context("adding up what was earned")
    .map_err(Error::from)
}

/// When the next part of what is payable becomes cash, how much it is, and when the last does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Maturing {
    pub(super) next_at: Timestamp,
    pub(super) next: Money,
    pub(super) last_at: Timestamp,
}

/// What is payable, by when it becomes cash.
pub(super) async fn maturing(
    db: &PgPool,
    provider: ParticipantId,
    now: Timestamp,
    window_hours: i64,
) -> Result<Option<Maturing>, Error> {
    let row: Option<(jiff_sqlx::Timestamp, i64, jiff_sqlx::Timestamp)> = sqlx::query_as(
        "WITH own AS (SELECT l.id FROM leases l JOIN trades t ON t.id = l.id
                       WHERE l.provider = $1 AND t.end_at > $3),
         earned (until, amount) AS (
             SELECT s.payable_until, e.amount
             FROM own JOIN settlements s ON s.lease = own.id
             JOIN settlement_earnings e
                 ON e.lease = s.lease AND e.hour_at = s.hour_at AND e.participant = $1
             WHERE s.payable_until > $2
             UNION ALL
             SELECT c.payable_until, (c.payable ->> $1::text)::bigint
             FROM own JOIN corrections c ON c.lease = own.id WHERE c.payable_until > $2)
         SELECT until, sum(amount)::bigint, max(until) OVER () FROM earned
         GROUP BY until HAVING sum(amount) > 0 ORDER BY until LIMIT 1",
    )
    .bind(provider.0)
    .bind(sqlx(now))
    .bind(sqlx(now.plus_hours(-window_hours - 1)))
    .fetch_optional(db)
    .await
    .context("finding when earnings become cash")?;
    Ok(row.map(|(next_at, next, last_at)| Maturing {
        next_at: stamp(next_at),
        next: Money(next),
        last_at: stamp(last_at),
    }))
}

/// A day of the service record, by China's calendar.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub(super) struct Day {
    /// Days since 1970-01-01 in China.
    pub(super) day: i64,
    pub(super) delivered: i64,
    pub(super) owed: i64,
    pub(super) refunded: i64,
}

/// What was owed and delivered each day since an instant.
pub(super) async fn days(
    db: &PgPool,
    provider: ParticipantId,
    since: Timestamp,
) -> Result<Vec<Day>, Error> {
    sqlx::query_as(
        "SELECT (extract(epoch FROM s.hour_at)::bigint + 28800) / 86400 AS day,
                sum(s.unit_minutes)::bigint AS delivered,
                sum(coalesce(l.held[(extract(epoch FROM s.hour_at - t.start_at) / 3600)::int + 1], t.units)
                    * (60 - CASE WHEN s.hour_at = t.start_at THEN l.late_minutes ELSE 0 END)
                   )::bigint AS owed,
                sum(s.refunded)::bigint AS refunded
         FROM leases l JOIN trades t ON t.id = l.id JOIN hours s ON s.lease = l.id
         WHERE l.provider = $1 AND t.end_at > $2 AND s.hour_at >= $2
         GROUP BY 1 ORDER BY 1",
    )
    .bind(provider.0)
    .bind(sqlx(since))
    .fetch_all(db)
    .await
    .context("loading a service record")
    .map_err(Error::from)
}

/// What service levels that were not kept have cost since an instant, and how many leases ended.
pub(super) async fn credited(
    db: &PgPool,
    provider: ParticipantId,
    since: Timestamp,
) -> Result<(Money, i64), Error> {
    let (credited, ended): (i64, i64) = sqlx::query_as(
        "SELECT coalesce(sum(l.credited), 0)::bigint, count(*)
         FROM leases l JOIN trades t ON t.id = l.id
         WHERE l.provider = $1 AND l.ended AND t.end_at > $2",
    )
    .bind(provider.0)
    .bind(sqlx(since))
    .fetch_one(db)
    .await
    .context("adding up credits")?;
    Ok((Money(credited), ended))
}

/// A lease that lately got less than it was owed.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) lease: LeaseId,
    pub(super) symbol: String,
    pub(super) hours: i64,
    pub(super) missing: i64,
    pub(super) refunded: Money,
    pub(super) last: Hour,
}

/// Leases with hours since an instant that were not delivered in full, the latest first.
pub(super) async fn broken(
    db: &PgPool,
    provider: ParticipantId,
    since: Timestamp,
) -> Result<Vec<Broken>, Error> {
    let rows: Vec<(i64, String, i64, i64, i64, jiff_sqlx::Timestamp)> = sqlx::query_as(
        "SELECT l.id, i.symbol, count(*), sum(o.owed - s.unit_minutes)::bigint,
                sum(s.refunded)::bigint, max(s.hour_at)
         FROM leases l JOIN trades t ON t.id = l.id JOIN hours s ON s.lease = l.id
         JOIN pools p ON p.id = t.pool JOIN instruments i ON i.id = p.instrument,
         LATERAL (SELECT coalesce(l.held[(extract(epoch FROM s.hour_at - t.start_at) / 3600)::int + 1], t.units)
                         * (60 - CASE WHEN s.hour_at = t.start_at THEN l.late_minutes ELSE 0 END)
                  AS owed) o
         WHERE l.provider = $1 AND t.end_at > $2 AND s.hour_at >= $2
           AND s.unit_minutes < o.owed
         GROUP BY l.id, i.symbol ORDER BY max(s.hour_at) DESC, l.id DESC LIMIT 5",
    )
    .bind(provider.0)
    .bind(sqlx(since))
    .fetch_all(db)
    .await
    .context("loading broken hours")?;
    let broken = |(lease, symbol, hours, missing, refunded, last)| Broken {
        lease: LeaseId(lease),
        symbol,
        hours,
        missing,
        refunded: Money(refunded),
        last: stamp(last).hour(),
    };
    Ok(rows.into_iter().map(broken).collect())
}

/// A participant's pools that are not over.
pub(super) async fn pools(
    db: &PgPool,
    provider: ParticipantId,
    now: Timestamp,
) -> Result<Vec<(PoolId, Option<String>, String)>, Error> {
    let rows: Vec<(i64, Option<String>, String)> = sqlx::query_as(
        "SELECT p.id, n.name, i.symbol FROM pools p JOIN instruments i ON i.id = p.instrument
         LEFT JOIN pool_openings n ON n.pool = p.id
         WHERE p.participant = $1 AND p.end_at > $2 ORDER BY p.id LIMIT 500",
    )
    .bind(provider.0)
    .bind(sqlx(now))
    .fetch_all(db)
    .await
    .context("loading pools")?;
    let pool = |(id, name, symbol)| (PoolId(id), name, symbol);
    Ok(rows.into_iter().map(pool).collect())
}

/// Where a participant's latest application stands, if there is one.
pub(super) async fn application(
    db: &PgPool,
    participant: ParticipantId,
) -> Result<Option<String>, Error> {
    sqlx::query_scalar(
        "SELECT state FROM applications WHERE participant = $1 ORDER BY id DESC LIMIT 1",
    )
    .bind(participant.0)
    .fetch_optional(db)
    .await
    .context("loading an application's state")
    .map_err(Error::from)
}
