//! What is read of an instrument: its trades, and its asks by the hour.

use anyhow::Context;
use market::{Hour, InstrumentId, ListInstrument, Market, Money, ParticipantId, Period, Timestamp};
use sqlx::PgPool;

use crate::clock;
use crate::web::{Error, format};

/// A trade of the tape.
pub(super) struct Traded {
    pub(super) at: Timestamp,
    pub(super) price: Money,
    pub(super) units: i64,
    pub(super) period: Period,
}

#[derive(sqlx::FromRow)]
struct Row {
    at: jiff_sqlx::Timestamp,
    price: i64,
    units: i64,
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
}

/// The latest trades of an instrument, the newest first.
pub(super) async fn tape(
    db: &PgPool,
    instrument: InstrumentId,
    count: i64,
) -> Result<Vec<Traded>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT t.at, t.price, t.units, t.start_at, t.end_at
         FROM trades t JOIN pools p ON p.id = t.pool
         WHERE p.instrument = $1 ORDER BY t.id DESC LIMIT $2",
    )
    .bind(instrument.0)
    .bind(count)
    .fetch_all(db)
    .await
    .context("loading an instrument's trades")?;
    let hour = |at: jiff_sqlx::Timestamp| -> Hour { clock::stamp(at.to_jiff()).hour() };
    let traded = |row: Row| Traded {
        at: clock::stamp(row.at.to_jiff()),
        price: Money(row.price),
        units: row.units,
        period: Period {
            start: hour(row.start_at),
            end: hour(row.end_at),
        },
    };
    Ok(rows.into_iter().map(traded).collect())
}

/// How many days the map shows.
pub(super) const DAYS: i32 = 7;

/// The lowest ask of each hour of a week from today, and how many units it stands for.
pub(super) fn asks(
    market: &Market,
    instrument: InstrumentId,
    now: Timestamp,
) -> Vec<Option<(Money, i64)>> {
    let first = first_hour(now);
    let next = now.hour().0 + 1;
    (first.0..first.0 + i64::from(DAYS) * 24)
        .map(|hour| {
            if hour < next {
                return None;
            }
            let depth = market.depth(
                instrument,
                Period {
                    start: Hour(hour),
                    end: Hour(hour + 1),
                },
            );
            let free = depth.asks.iter().map(|level| level.units).sum();
            depth.asks.first().map(|level| (level.price, free))
        })
        .collect()
}

/// The instrument of a symbol.
///
/// # Errors
/// [`Error::NotFound`] when none is listed.
pub(super) fn listed(market: &Market, symbol: &str) -> Result<ListInstrument, Error> {
    market
        .instruments()
        .find(|instrument| instrument.listed.symbol == symbol)
        .map(|instrument| instrument.listed.clone())
        .ok_or(Error::NotFound)
}

/// The hour at which today began in China.
pub(super) fn first_hour(now: Timestamp) -> Hour {
    let today = format::local(now).date();
    let midnight = today
        .to_zoned(format::zone())
        .map(|midnight| midnight.timestamp());
    midnight.map_or(now.hour(), |midnight| clock::stamp(midnight).hour())
}

/// A key that a lease can be opened with.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Key {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) fingerprint: String,
}

/// A participant's keys, the newest first.
pub(super) async fn keys(db: &PgPool, of: ParticipantId) -> Result<Vec<Key>, Error> {
    let keys = sqlx::query_as(
        "SELECT id, name, fingerprint FROM ssh_keys
         WHERE participant = $1 AND removed_at IS NULL ORDER BY id DESC",
    );
    let keys = keys.bind(of.0).fetch_all(db).await;
    Ok(keys.context("loading a participant's keys")?)
}
