//! What is read of a holder's leases; another's are as if they did not exist.

use std::collections::BTreeMap;

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::{Hour, LeaseId, Money, OrderId, ParticipantId, Period, Timestamp};
use sqlx::PgPool;

use super::fragments::Stage;
use crate::clock;
use crate::db::{period, stamp};
use crate::delivery::simulated;
use crate::web::Error;
use crate::web::held::Held;

/// A lease with the trade that made it.
#[derive(Clone, Debug)]
pub(super) struct LeaseRow {
    pub(super) id: LeaseId,
    pub(super) order: OrderId,
    pub(super) symbol: String,
    pub(super) pool: i64,
    pub(super) provider: Option<String>,
    pub(super) traded_at: Timestamp,
    /// How many units were traded.
    pub(super) units: i64,
    /// What it has of them now.
    pub(super) held: Held,
    /// The unit-minutes that its settled hours owed.
    pub(super) owed: i64,
    pub(super) price: Money,
    pub(super) period: Period,
    pub(super) rules: i64,
    pub(super) escrow: Money,
    pub(super) delivered: i64,
    pub(super) earned: Money,
    pub(super) credited: Money,
    pub(super) refunded: Money,
    pub(super) ended: bool,
    /// The name of its order, by which what it is to find started is kept.
    pub(super) client_id: String,
    pub(super) image: Option<String>,
    pub(super) key: Option<AccessKey>,
}

/// The key that opens a lease.
#[derive(Clone, Debug)]
pub(super) struct AccessKey {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) algorithm: String,
    pub(super) fingerprint: String,
    /// Whether it was taken away since.
    pub(super) is_removed: bool,
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
    held: Option<Vec<i64>>,
    late_minutes: i64,
    owed: i64,
    price: i64,
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
    rules: i64,
    escrow: i64,
    delivered: i64,
    earned: i64,
    credited: i64,
    refunded: i64,
    ended: bool,
    client_id: String,
    image: Option<String>,
    key: Option<i64>,
    key_name: Option<String>,
    key_algorithm: Option<String>,
    key_fingerprint: Option<String>,
    key_is_removed: Option<bool>,
}

impl From<Row> for LeaseRow {
    fn from(row: Row) -> Self {
        let period = period(row.start_at, row.end_at);
        Self {
            id: LeaseId(row.id),
            order: OrderId(row.buy),
            symbol: row.symbol,
            pool: row.pool,
            provider: row.provider,
            traded_at: stamp(row.at),
            units: row.units,
            held: Held::new(period, row.units, row.held, row.late_minutes),
            owed: row.owed,
            price: Money(row.price),
            period,
            rules: row.rules,
            escrow: Money(row.escrow),
            delivered: row.delivered,
            earned: Money(row.earned),
            credited: Money(row.credited),
            refunded: Money(row.refunded),
            ended: row.ended,
            client_id: row.client_id,
            image: row.image,
            key: row.key.map(|id| AccessKey {
                id,
                name: row.key_name.unwrap_or_default(),
                algorithm: row.key_algorithm.unwrap_or_default(),
                fingerprint: row.key_fingerprint.unwrap_or_default(),
                is_removed: row.key_is_removed.unwrap_or_default(),
            }),
        }
    }
}

/// How many leases a page of the list has.
pub(super) const PAGE: usize = 50;

/// Which leases a list has.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    /// How far they have come; all when not said.
    pub(super) stage: Option<Stage>,
    /// Only those with a lower number.
    pub(super) before: Option<LeaseId>,
}

/// The latest leases, the newest first; one more than a page where there is a next one.
pub(super) async fn held(
    db: &PgPool,
    holder: ParticipantId,
    filter: &Filter,
    now: Timestamp,
) -> Result<Vec<LeaseRow>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT l.id, t.buy, i.symbol, t.pool, p.name AS provider, t.at, t.units, t.price,
                t.start_at, t.end_at, t.rules, l.escrow, l.delivered, l.earned, l.credited, l.ended,
                l.held, l.late_minutes,
                (SELECT coalesce(sum(coalesce(l.held[(extract(epoch FROM s.hour_at - t.start_at) / 3600)::int
                                     + 1], t.units)
                         * (60 - CASE WHEN s.hour_at = t.start_at THEN l.late_minutes ELSE 0 END)),
                     0)::bigint FROM settlements s WHERE s.lease = l.id) AS owed,
                (SELECT coalesce(sum(s.refunded), 0)::bigint
                 FROM hours s WHERE s.lease = l.id) AS refunded,
                o.client_id, NULL AS image, NULL::bigint AS key, NULL AS key_name,
                NULL AS key_algorithm, NULL AS key_fingerprint, NULL::boolean AS key_is_removed
         FROM leases l JOIN trades t ON t.id = l.id JOIN orders o ON o.id = t.buy
         JOIN pools c ON c.id = t.pool JOIN instruments i ON i.id = c.instrument
         LEFT JOIN participants p ON p.id = l.provider
         WHERE l.holder = $1 AND ($2::bigint IS NULL OR l.id < $2)
           AND CASE $3
               WHEN 'scheduled' THEN NOT l.ended AND $4 < t.start_at
               WHEN 'running' THEN NOT l.ended AND t.start_at <= $4 AND $4 < t.end_at
               WHEN 'settling' THEN NOT l.ended AND t.end_at <= $4
               WHEN 'ended' THEN l.ended
               ELSE true END
         ORDER BY l.id DESC LIMIT $5",
    )
    .bind(holder.0)
    .bind(filter.before.map(|lease| lease.0))
    .bind(filter.stage.map_or("", Stage::name))
    .bind(clock::instant(now).to_sqlx())
    .bind(i64::try_from(PAGE + 1).unwrap_or(i64::MAX))
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
        "SELECT l.id, t.buy, i.symbol, t.pool, p.name AS provider, t.at, t.units, t.price,
                t.start_at, t.end_at, t.rules, l.escrow, l.delivered, l.earned, l.credited, l.ended,
                l.held, l.late_minutes,
                (SELECT coalesce(sum(coalesce(l.held[(extract(epoch FROM s.hour_at - t.start_at) / 3600)::int
                                     + 1], t.units)
                         * (60 - CASE WHEN s.hour_at = t.start_at THEN l.late_minutes ELSE 0 END)),
                     0)::bigint FROM settlements s WHERE s.lease = l.id) AS owed,
                (SELECT coalesce(sum(s.refunded), 0)::bigint
                 FROM hours s WHERE s.lease = l.id) AS refunded,
                o.client_id, a.image, k.id AS key, k.name AS key_name,
                k.algorithm AS key_algorithm, k.fingerprint AS key_fingerprint,
                k.removed_at IS NOT NULL AS key_is_removed
         FROM leases l JOIN trades t ON t.id = l.id JOIN orders o ON o.id = t.buy
         JOIN pools c ON c.id = t.pool JOIN instruments i ON i.id = c.instrument
         LEFT JOIN participants p ON p.id = l.provider
         LEFT JOIN order_access a ON a.participant = o.participant AND a.client_id = o.client_id
         LEFT JOIN ssh_keys k ON k.id = a.ssh_key
         WHERE l.holder = $1 AND l.id = $2",
    )
    .bind(holder.0)
    .bind(id.0)
    .fetch_optional(db)
    .await
    .context("loading a lease")?;
    Ok(row.map(LeaseRow::from))
}

/// Whether machines deliver a pool.
pub(super) async fn by_machines(db: &PgPool, pool: i64) -> Result<bool, Error> {
    let has =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM hosts WHERE pool = $1 AND kind = 'agent')");
    let has = has.bind(pool).fetch_one(db).await;
    Ok(has.context("looking for a pool's machines")?)
}

/// A lease on one of its machines.
#[derive(sqlx::FromRow)]
pub(super) struct DoorRow {
    pub(super) address: String,
    pub(super) is_prepared: bool,
    pub(super) login: Option<String>,
    pub(super) port: Option<i32>,
    pub(super) host_key: Option<String>,
}

/// The machines on which a lease is at an instant.
pub(super) async fn doors(
    db: &PgPool,
    lease: LeaseId,
    at: Timestamp,
) -> Result<Vec<DoorRow>, Error> {
    let rows = sqlx::query_as(
        "SELECT coalesce(h.address, '') AS address, s.stage = 'prepared' AS is_prepared, s.login,
                s.port, s.host_key
         FROM placements p JOIN stays s ON s.stay = p.stay AND s.host = p.host
         JOIN hosts h ON h.id = p.host
         WHERE p.lease = $1 AND p.start_at <= $2 AND p.end_at > $2 ORDER BY h.id",
    );
    let rows = rows.bind(lease.0).bind(clock::instant(at).to_sqlx());
    let rows = rows.fetch_all(db).await;
    Ok(rows.context("loading a lease's machines")?)
}

/// A key of a participant.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Key {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) algorithm: String,
    pub(super) fingerprint: String,
    pub(super) added_by: String,
    /// How many leases that have not ended it opens.
    pub(super) leases: i64,
}

/// A participant's keys, the newest first.
pub(super) async fn keys(db: &PgPool, of: ParticipantId) -> Result<Vec<Key>, Error> {
    let keys = sqlx::query_as(
        "SELECT k.id, k.name, k.algorithm, k.fingerprint, u.login AS added_by,
                coalesce(used.leases, 0) AS leases
         FROM ssh_keys k JOIN users u ON u.id = k.added_by
         LEFT JOIN (SELECT a.ssh_key, count(*) AS leases
                    FROM leases l JOIN trades t ON t.id = l.id JOIN orders o ON o.id = t.buy
                    JOIN order_access a
                      ON a.participant = o.participant AND a.client_id = o.client_id
                    WHERE l.holder = $1 AND NOT l.ended GROUP BY a.ssh_key) used
           ON used.ssh_key = k.id
         WHERE k.participant = $1 AND k.removed_at IS NULL ORDER BY k.id DESC",
    );
    let keys = keys.bind(of.0).fetch_all(db).await;
    Ok(keys.context("loading a participant's keys")?)
}

/// Whether a participant has this key.
pub(super) async fn has_key(db: &PgPool, of: ParticipantId, key: i64) -> Result<bool, Error> {
    let has = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM ssh_keys
                        WHERE id = $1 AND participant = $2 AND removed_at IS NULL)",
    );
    let has = has.bind(key).bind(of.0).fetch_one(db).await;
    Ok(has.context("looking for a key")?)
}

/// The journal entries of a lease beside those of its hours.
pub(super) async fn entries(db: &PgPool, id: LeaseId) -> Result<Vec<(String, i64)>, Error> {
    let entries = sqlx::query_as(
        "SELECT reason, id FROM journal_entries
         WHERE subject = $1 AND reason IN ('trade', 'credit', 'hand_back') ORDER BY id",
    );
    let entries = entries.bind(id.0).fetch_all(db).await;
    Ok(entries.context("loading a lease's journal entries")?)
}

/// Whether exactly these hours of a lease were handed back.
pub(super) async fn was_handed_back(
    db: &PgPool,
    id: LeaseId,
    period: Period,
) -> Result<bool, Error> {
    let was = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM journal_entries e JOIN commands c ON c.seq = e.command
                        WHERE e.reason = 'hand_back' AND e.subject = $1
                          AND c.body ->> 'do' = 'hand_back'
                          AND c.body ->> 'start' = $2 AND c.body ->> 'end' = $3)",
    );
    let was = was
        .bind(id.0)
        .bind(period.start.begins().0.to_string())
        .bind(period.end.begins().0.to_string());
    Ok(was.fetch_one(db).await.context("looking for a hand-back")?)
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

/// The settled hours of a lease between two hours, as they stand.
pub(super) async fn settlements(
    db: &PgPool,
    lease: LeaseId,
    shown: Period,
) -> Result<BTreeMap<Hour, Settlement>, Error> {
    let rows: Vec<SettlementRow> = sqlx::query_as(
        "SELECT s.hour_at, s.unit_minutes, s.paid, s.fee, s.refunded, s.entry,
                c.actor = $4 AS is_simulated
         FROM hours s JOIN commands c ON c.seq = s.command
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
