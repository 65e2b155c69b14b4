//! What is read of a provider's pools; another's are as if they did not exist.

use anyhow::Context;
use market::{
    ClientId, Hour, InstrumentId, Market, Money, OrderId, ParticipantId, Period, PoolId, Timestamp,
};
use sqlx::PgPool;

use crate::clock;
use crate::db::period;
use crate::web::Error;

/// A pool that the market has opened.
#[derive(Clone, Debug)]
pub(super) struct PoolRow {
    pub(super) id: PoolId,
    /// What its provider calls it; none of one that a program listed.
    pub(super) name: Option<String>,
    pub(super) has_identifier: bool,
    pub(super) symbol: String,
    pub(super) lot: i64,
    pub(super) paused: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    name: Option<String>,
    has_identifier: bool,
    symbol: String,
    lot: i64,
    paused: i64,
}

impl From<Row> for PoolRow {
    fn from(row: Row) -> Self {
        Self {
            id: PoolId(row.id),
            name: row.name,
            has_identifier: row.has_identifier,
            symbol: row.symbol,
            lot: row.lot,
            paused: row.paused,
        }
    }
}

/// A participant's pools, those that end last first.
pub(super) async fn pools(db: &PgPool, of: ParticipantId) -> Result<Vec<PoolRow>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT p.id, n.name, f.identifier IS NOT NULL AS has_identifier, i.symbol, i.lot,
                (SELECT count(*) FROM paused_asks a JOIN orders o ON o.id = a.ask
                 WHERE a.pool = p.id AND a.resumed_at IS NULL AND o.done = 'cancelled') AS paused
         FROM pools p JOIN instruments i ON i.id = p.instrument
         LEFT JOIN pool_openings n ON n.pool = p.id
         LEFT JOIN identifiers f ON f.kind = 'pool' AND f.subject = p.id
         WHERE p.participant = $1 ORDER BY p.end_at DESC, p.id DESC LIMIT 500",
    )
    .bind(of.0)
    .fetch_all(db)
    .await
    .context("loading pools")?;
    Ok(rows.into_iter().map(PoolRow::from).collect())
}

/// One pool.
pub(super) async fn pool(
    db: &PgPool,
    of: ParticipantId,
    id: PoolId,
) -> Result<Option<PoolRow>, Error> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT p.id, n.name, f.identifier IS NOT NULL AS has_identifier, i.symbol, i.lot,
                (SELECT count(*) FROM paused_asks a JOIN orders o ON o.id = a.ask
                 WHERE a.pool = p.id AND a.resumed_at IS NULL AND o.done = 'cancelled') AS paused
         FROM pools p JOIN instruments i ON i.id = p.instrument
         LEFT JOIN pool_openings n ON n.pool = p.id
         LEFT JOIN identifiers f ON f.kind = 'pool' AND f.subject = p.id
         WHERE p.participant = $1 AND p.id = $2",
    )
    .bind(of.0)
    .bind(id.0)
    .fetch_optional(db)
    .await
    .context("loading a pool")?;
    Ok(row.map(PoolRow::from))
}

/// A simulated host of a pool.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct HostRow {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) units: i64,
    pub(super) fails_every: Option<i64>,
    pub(super) fails_minutes: Option<i64>,
}

/// How many machines of a pool are registered.
pub(super) async fn machines(db: &PgPool, pool: PoolId) -> Result<i64, Error> {
    let count = sqlx::query_scalar("SELECT count(*) FROM hosts WHERE pool = $1 AND kind = 'agent'");
    let count = count.bind(pool.0).fetch_one(db).await;
    Ok(count.context("counting a pool's machines")?)
}

/// The simulated hosts of a pool, in the order in which they came.
pub(super) async fn hosts(db: &PgPool, pool: PoolId) -> Result<Vec<HostRow>, Error> {
    sqlx::query_as(
        "SELECT id, name, units, fails_every, fails_minutes FROM hosts
         WHERE pool = $1 AND kind = 'simulated' ORDER BY id",
    )
    .bind(pool.0)
    .fetch_all(db)
    .await
    .context("loading a pool's hosts")
    .map_err(Error::from)
}

/// An ask that was paused, with what it is placed again as.
#[derive(Clone, Debug)]
pub(super) struct PausedRow {
    pub(super) ask: OrderId,
    pub(super) resumes_as: String,
    pub(super) units: i64,
    pub(super) price: Money,
    pub(super) period: Period,
    pub(super) min_hours: i64,
    pub(super) weekly: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Remembered {
    ask: i64,
    resumes_as: String,
    units: i64,
    price: i64,
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
    min_hours: i64,
    weekly: Option<String>,
}

/// A pool's paused asks. One whose cancelling did not come about still stands and is not among
/// them.
pub(super) async fn paused(db: &PgPool, pool: PoolId) -> Result<Vec<PausedRow>, Error> {
    let rows: Vec<Remembered> = sqlx::query_as(
        "SELECT a.ask, a.resumes_as, a.units, a.price, a.start_at, a.end_at, a.min_hours, a.weekly
         FROM paused_asks a JOIN orders o ON o.id = a.ask
         WHERE a.pool = $1 AND a.resumed_at IS NULL AND o.done = 'cancelled' ORDER BY a.ask",
    )
    .bind(pool.0)
    .fetch_all(db)
    .await
    .context("loading paused asks")?;
    let paused = |row: Remembered| PausedRow {
        ask: OrderId(row.ask),
        resumes_as: row.resumes_as,
        units: row.units,
        price: Money(row.price),
        period: period(row.start_at, row.end_at),
        min_hours: row.min_hours,
        weekly: row.weekly,
    };
    Ok(rows.into_iter().map(paused).collect())
}

/// An ask of a pool, open or done.
#[derive(Clone, Debug)]
pub(super) struct AskRow {
    pub(super) id: OrderId,
    pub(super) client_id: ClientId,
    pub(super) units: i64,
    pub(super) price: Money,
}

/// The ask of this number, if it is one of the pool's.
pub(super) async fn ask(db: &PgPool, pool: PoolId, id: OrderId) -> Result<Option<AskRow>, Error> {
    let row: Option<(String, i64, i64)> = sqlx::query_as(
        "SELECT client_id, units, price FROM orders WHERE id = $2 AND pool = $1 AND side = 'sell'",
    )
    .bind(pool.0)
    .bind(id.0)
    .fetch_optional(db)
    .await
    .context("loading an ask")?;
    Ok(row.map(|(client_id, units, price)| AskRow {
        id,
        client_id: ClientId(client_id),
        units,
        price: Money(price),
    }))
}

/// Prices of an instrument's latest trades between others, with what each weighs in unit-hours:
/// at most 20, of the last seven days.
pub(super) async fn prices(
    db: &PgPool,
    instrument: InstrumentId,
    but: ParticipantId,
    now: Timestamp,
) -> Result<Vec<(Money, i64)>, Error> {
    let rows: Vec<(i64, i64, jiff_sqlx::Timestamp, jiff_sqlx::Timestamp)> = sqlx::query_as(
        "SELECT t.price, t.units, t.start_at, t.end_at
         FROM trades t JOIN leases l ON l.id = t.id JOIN pools p ON p.id = t.pool
         WHERE p.instrument = $1 AND l.provider <> $2 AND l.holder <> $2 AND t.at > $3
         ORDER BY t.id DESC LIMIT 20",
    )
    .bind(instrument.0)
    .bind(but.0)
    .bind(jiff_sqlx::Timestamp::from(clock::instant(
        now.plus_hours(-7 * 24),
    )))
    .fetch_all(db)
    .await
    .context("loading an instrument's prices")?;
    let weighed = rows.into_iter().map(|(price, units, start, end)| {
        let hours = period(start, end).hours();
        (Money(price), units.saturating_mul(hours))
    });
    Ok(weighed.collect())
}

/// The lowest ask of others that sells the next hour, and of how many units.
pub(super) fn best_ask(
    market: &Market,
    instrument: InstrumentId,
    now: Timestamp,
) -> Option<(Money, i64)> {
    let next = Hour(now.hour().0 + 1);
    let period = Period {
        start: next,
        end: Hour(next.0 + 1),
    };
    let depth = market.depth(instrument, period);
    depth.asks.first().map(|level| (level.price, level.units))
}

/// A number for a new instrument.
pub(super) async fn instrument_number(db: &PgPool) -> Result<InstrumentId, Error> {
    let number = sqlx::query_scalar("SELECT nextval('instrument_numbers')")
        .fetch_one(db)
        .await
        .context("numbering an instrument")?;
    Ok(InstrumentId(number))
}
