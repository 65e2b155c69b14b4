//! What is read of a participant's orders; another's are as if they did not exist.

use anyhow::Context;
use market::{
    ClientId, Flexible, LeaseId, Money, OrderId, ParticipantId, Period, PlaceOrder, PoolId,
    Timestamp, TradeId,
};
use sqlx::PgPool;
use sqlx::types::Json;

use crate::db::{period, stamp};
use crate::protocol::instant;
use crate::web::Error;
use crate::web::held::Held;

/// An order with what has come of it.
#[derive(Clone, Debug)]
pub(super) struct OrderRow {
    pub(super) id: OrderId,
    pub(super) participant: ParticipantId,
    pub(super) client_id: ClientId,
    pub(super) symbols: Vec<String>,
    pub(super) is_bid: bool,
    pub(super) units: i64,
    pub(super) filled: i64,
    pub(super) price: Money,
    pub(super) period: Period,
    /// How many hours of the period a bid wants, where those are not all.
    pub(super) flexible: Option<Flexible>,
    pub(super) held: Money,
    pub(super) accepted_at: Timestamp,
    pub(super) done: Option<String>,
    pub(super) done_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    participant: i64,
    client_id: String,
    symbols: Vec<String>,
    is_bid: bool,
    units: i64,
    filled: i64,
    price: i64,
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
    flexible: Option<Json<Flexible>>,
    held: i64,
    accepted_at: jiff_sqlx::Timestamp,
    done: Option<String>,
    done_at: Option<jiff_sqlx::Timestamp>,
}

impl From<Row> for OrderRow {
    fn from(row: Row) -> Self {
        Self {
            id: OrderId(row.id),
            participant: ParticipantId(row.participant),
            client_id: ClientId(row.client_id),
            symbols: row.symbols,
            is_bid: row.is_bid,
            units: row.units,
            filled: row.filled,
            price: Money(row.price),
            period: period(row.start_at, row.end_at),
            flexible: row.flexible.map(|flexible| flexible.0),
            held: Money(row.held),
            accepted_at: stamp(row.accepted_at),
            done: row.done,
            done_at: row.done_at.map(stamp),
        }
    }
}

/// An order as a program reads it: as it was placed, and how it stands.
pub(super) struct ProgramRow {
    pub(super) id: OrderId,
    pub(super) placed: PlaceOrder,
    pub(super) units: i64,
    pub(super) price: Money,
    pub(super) filled: i64,
    pub(super) held: Money,
    pub(super) accepted_at: Timestamp,
    pub(super) done: Option<String>,
    pub(super) done_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct ProgramColumns {
    id: i64,
    body: Json<PlaceOrder>,
    units: i64,
    price: i64,
    filled: i64,
    held: i64,
    accepted_at: jiff_sqlx::Timestamp,
    done: Option<String>,
    done_at: Option<jiff_sqlx::Timestamp>,
}

impl From<ProgramColumns> for ProgramRow {
    fn from(row: ProgramColumns) -> Self {
        Self {
            id: OrderId(row.id),
            placed: row.body.0,
            units: row.units,
            price: Money(row.price),
            filled: row.filled,
            held: Money(row.held),
            accepted_at: stamp(row.accepted_at),
            done: row.done,
            done_at: row.done_at.map(stamp),
        }
    }
}

/// A participant's orders before one of them, the newest first.
pub(super) async fn program_orders(
    db: &PgPool,
    of: ParticipantId,
    is_open: Option<bool>,
    before: Option<OrderId>,
    limit: i64,
) -> Result<Vec<ProgramRow>, Error> {
    let rows: Vec<ProgramColumns> = sqlx::query_as(
        "SELECT o.id, c.body - 'do' AS body, o.units, o.price, o.filled, o.held, o.accepted_at,
                o.done, o.done_at
         FROM orders o JOIN commands c ON c.seq = o.command
         WHERE o.participant = $1 AND (o.id < $2 OR $2 IS NULL)
           AND (o.done IS NULL = $3 OR $3 IS NULL) AND c.body ->> 'do' = 'place_order'
         ORDER BY o.id DESC LIMIT $4",
    )
    .bind(of.0)
    .bind(before.map(|before| before.0))
    .bind(is_open)
    .bind(limit)
    .fetch_all(db)
    .await
    .context("listing a program's orders")?;
    Ok(rows.into_iter().map(ProgramRow::from).collect())
}

/// A participant's order by its client id, else by its number.
pub(super) async fn program_order(
    db: &PgPool,
    of: ParticipantId,
    id: &str,
) -> Result<Option<ProgramRow>, Error> {
    let number: Option<OrderId> = id.parse().ok();
    let row: Option<ProgramColumns> = sqlx::query_as(
        "SELECT o.id, c.body - 'do' AS body, o.units, o.price, o.filled, o.held, o.accepted_at,
                o.done, o.done_at
         FROM orders o JOIN commands c ON c.seq = o.command
         WHERE o.participant = $1 AND (o.client_id = $2 OR o.id = $3)
           AND c.body ->> 'do' = 'place_order'
         ORDER BY o.client_id = $2 DESC LIMIT 1",
    )
    .bind(of.0)
    .bind(id)
    .bind(number.map(|number| number.0))
    .fetch_optional(db)
    .await
    .context("loading a program's order")?;
    Ok(row.map(ProgramRow::from))
}

/// A trade of an order as a program reads it.
#[derive(serde::Serialize)]
pub(super) struct ProgramTrade {
    trade: String,
    lease: String,
    price: String,
    units: i64,
    start: String,
    end: String,
    pool: String,
    at: String,
}

#[derive(sqlx::FromRow)]
struct TradeColumns {
    id: i64,
    price: i64,
    units: i64,
    pool: i64,
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
    at: jiff_sqlx::Timestamp,
}

/// What an order has traded, in order.
pub(super) async fn program_trades(db: &PgPool, of: OrderId) -> Result<Vec<ProgramTrade>, Error> {
    let rows: Vec<TradeColumns> = sqlx::query_as(
        "SELECT id, price, units, pool, start_at, end_at, at FROM trades
         WHERE buy = $1 OR sell = $1 ORDER BY id",
    )
    .bind(of.0)
    .fetch_all(db)
    .await
    .context("listing an order's trades")?;
    let trade = |row: TradeColumns| ProgramTrade {
        trade: TradeId(row.id).to_string(),
        // A trade and the lease that it makes have one number.
        lease: LeaseId(row.id).to_string(),
        price: Money(row.price).to_string(),
        units: row.units,
        start: instant::print(stamp(row.start_at)),
        end: instant::print(stamp(row.end_at)),
        pool: PoolId(row.pool).to_string(),
        at: instant::print(stamp(row.at)),
    };
    Ok(rows.into_iter().map(trade).collect())
}

/// The open orders, the newest first.
pub(super) async fn open(db: &PgPool, of: ParticipantId) -> Result<Vec<OrderRow>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT o.id, o.participant, o.client_id, o.side = 'buy' AS is_bid, o.units, o.filled,
                o.price, o.start_at, o.end_at, o.held, o.accepted_at, o.done, o.done_at,
                ARRAY(SELECT symbol FROM instruments i WHERE i.id = ANY(o.instruments)
                      ORDER BY symbol) AS symbols,
                (SELECT c.body #> '{side,flexible}' FROM commands c
                 WHERE c.seq = o.command AND o.duration IS NOT NULL) AS flexible
         FROM orders o WHERE o.participant = $1 AND o.done IS NULL
         ORDER BY o.id DESC LIMIT 200",
    )
    .bind(of.0)
    .fetch_all(db)
    .await
    .context("loading open orders")?;
    Ok(rows.into_iter().map(OrderRow::from).collect())
}

/// The latest orders of which nothing more comes, the newest first.
pub(super) async fn past(db: &PgPool, of: ParticipantId) -> Result<Vec<OrderRow>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT o.id, o.participant, o.client_id, o.side = 'buy' AS is_bid, o.units, o.filled,
                o.price, o.start_at, o.end_at, o.held, o.accepted_at, o.done, o.done_at,
                ARRAY(SELECT symbol FROM instruments i WHERE i.id = ANY(o.instruments)
                      ORDER BY symbol) AS symbols,
                (SELECT c.body #> '{side,flexible}' FROM commands c
                 WHERE c.seq = o.command AND o.duration IS NOT NULL) AS flexible
         FROM orders o WHERE o.participant = $1 AND o.done IS NOT NULL
         ORDER BY o.id DESC LIMIT 50",
    )
    .bind(of.0)
    .fetch_all(db)
    .await
    .context("loading past orders")?;
    Ok(rows.into_iter().map(OrderRow::from).collect())
}

/// One order.
pub(super) async fn order(
    db: &PgPool,
    of: ParticipantId,
    id: OrderId,
) -> Result<Option<OrderRow>, Error> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT o.id, o.participant, o.client_id, o.side = 'buy' AS is_bid, o.units, o.filled,
                o.price, o.start_at, o.end_at, o.held, o.accepted_at, o.done, o.done_at,
                ARRAY(SELECT symbol FROM instruments i WHERE i.id = ANY(o.instruments)
                      ORDER BY symbol) AS symbols,
                (SELECT c.body #> '{side,flexible}' FROM commands c
                 WHERE c.seq = o.command AND o.duration IS NOT NULL) AS flexible
         FROM orders o WHERE o.participant = $1 AND o.id = $2",
    )
    .bind(of.0)
    .bind(id.0)
    .fetch_optional(db)
    .await
    .context("loading an order")?;
    Ok(row.map(OrderRow::from))
}

/// A trade of an order, and the lease that it made.
pub(super) struct Fill {
    pub(super) lease: LeaseId,
    pub(super) at: Timestamp,
    pub(super) units: i64,
    pub(super) price: Money,
    pub(super) period: Period,
    pub(super) symbol: String,
}

#[derive(sqlx::FromRow)]
struct FillRow {
    id: i64,
    at: jiff_sqlx::Timestamp,
    units: i64,
    price: i64,
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
    symbol: String,
}

/// The trades of a bid. They are found by what only its participant's leases have.
pub(super) async fn fills(db: &PgPool, of: ParticipantId, id: OrderId) -> Result<Vec<Fill>, Error> {
    let rows: Vec<FillRow> = sqlx::query_as(
        "SELECT t.id, t.at, t.units, t.price, t.start_at, t.end_at, i.symbol
         FROM leases l JOIN trades t ON t.id = l.id
         JOIN pools p ON p.id = t.pool JOIN instruments i ON i.id = p.instrument
         WHERE l.holder = $1 AND t.buy = $2 ORDER BY t.id LIMIT 500",
    )
    .bind(of.0)
    .bind(id.0)
    .fetch_all(db)
    .await
    .context("loading an order's trades")?;
    let fill = |row: FillRow| Fill {
        lease: LeaseId(row.id),
        at: stamp(row.at),
        units: row.units,
        price: Money(row.price),
        period: period(row.start_at, row.end_at),
        symbol: row.symbol,
    };
    Ok(rows.into_iter().map(fill).collect())
}

/// A trade as its parties see it.
#[derive(Clone, Debug)]
pub(super) struct TradeRow {
    pub(super) at: Timestamp,
    pub(super) holder: ParticipantId,
    pub(super) buyer: String,
    pub(super) provider: String,
    pub(super) symbol: String,
    pub(super) units: i64,
    /// What its lease has of them now.
    pub(super) held: Held,
    pub(super) price: Money,
    pub(super) period: Period,
    pub(super) pool: i64,
    pub(super) buy: OrderId,
    pub(super) sell: OrderId,
    pub(super) rules: i64,
    pub(super) fee_bps: i64,
    pub(super) entry: Option<i64>,
    pub(super) hash: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct TradeTuple {
    at: jiff_sqlx::Timestamp,
    holder: i64,
    buyer: String,
    provider: String,
    symbol: String,
    units: i64,
    held: Option<Vec<i64>>,
    late_minutes: i64,
    price: i64,
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
    pool: i64,
    buy: i64,
    sell: i64,
    rules: i64,
    fee_bps: i64,
    entry: Option<i64>,
    hash: Option<Vec<u8>>,
}

/// One trade, if the reader is one of its parties.
pub(super) async fn trade(
    db: &PgPool,
    of: ParticipantId,
    id: TradeId,
) -> Result<Option<TradeRow>, Error> {
    let row: Option<TradeTuple> = sqlx::query_as(
        "SELECT t.at, l.holder, b.name AS buyer, s.name AS provider, i.symbol, t.units, t.price,
                t.start_at, t.end_at, t.pool, t.buy, t.sell, t.rules, l.fee_bps,
                e.id AS entry, e.hash, l.held, l.late_minutes
         FROM trades t JOIN leases l ON l.id = t.id
         JOIN pools p ON p.id = t.pool JOIN instruments i ON i.id = p.instrument
         JOIN participants b ON b.id = l.holder JOIN participants s ON s.id = l.provider
         LEFT JOIN journal_entries e ON e.reason = 'trade' AND e.subject = t.id
         WHERE t.id = $2 AND $1 IN (l.holder, l.provider)",
    )
    .bind(of.0)
    .bind(id.0)
    .fetch_optional(db)
    .await
    .context("loading a trade")?;
    Ok(row.map(|row| TradeRow {
        at: stamp(row.at),
        holder: ParticipantId(row.holder),
        buyer: row.buyer,
        provider: row.provider,
        symbol: row.symbol,
        units: row.units,
        held: Held::new(
            period(row.start_at, row.end_at),
            row.units,
            row.held,
            row.late_minutes,
        ),
        price: Money(row.price),
        period: period(row.start_at, row.end_at),
        pool: row.pool,
        buy: OrderId(row.buy),
        sell: OrderId(row.sell),
        rules: row.rules,
        fee_bps: row.fee_bps,
        entry: row.entry,
        hash: row.hash.unwrap_or_default(),
    }))
}
