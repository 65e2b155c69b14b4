//! Orders as programs read them.

use market::{Market, OrderId, ParticipantId, Side, Target, TimeInForce};
use serde::Serialize;

use crate::app::App;
use crate::orders::queries::{self, ProgramRow, ProgramTrade};
use crate::protocol::{Flaw, instant};
use crate::web::Error;

/// How many orders a page has at most, and where nobody says.
const MOST: i64 = 500;
const USUAL: i64 = 100;

/// Which orders are asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Open ones or done ones only.
    is_open: Option<bool>,
    limit: i64,
    /// Those before this one.
    before: Option<OrderId>,
}

impl Asked {
    /// What a query asks; what it does not know is wrong.
    pub(super) fn read(query: &str) -> Result<Self, Flaw> {
        let fields: Vec<(String, String)> = serde_urlencoded::from_str(query)
            .map_err(|_| Flaw::together("the query can't be read"))?;
        let mut asked = Self {
            is_open: None,
            limit: USUAL,
            before: None,
        };
        for (name, value) in fields {
            let wrong = |what: &str| Flaw::of("bad_value", &name, what);
            match name.as_str() {
                "state" => {
                    asked.is_open = match value.as_str() {
                        "open" => Some(true),
                        "done" => Some(false),
                        _ => return Err(wrong("must be open or done")),
                    }
                }
                "limit" => {
                    let limit = value
                        .parse()
                        .ok()
                        .filter(|limit| (1..=MOST).contains(limit));
                    asked.limit = limit.ok_or_else(|| wrong("must be 1 to 500"))?;
                }
                "cursor" => {
                    let cursor = value.parse().ok();
                    asked.before = Some(cursor.ok_or_else(|| wrong("must be one that was given"))?);
                }
                _ => return Err(Flaw::of("unknown_field", &name, "does not belong here")),
            }
        }
        Ok(asked)
    }
}

/// A part of the list.
#[derive(Serialize)]
pub(super) struct Page {
    orders: Vec<Listed>,
    /// Where the next one begins; none after the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

pub(super) async fn page(app: &App, of: ParticipantId, asked: Asked) -> Result<Page, Error> {
    let Asked {
        is_open,
        limit,
        before,
    } = asked;
    let mut rows = queries::program_orders(&app.db, of, is_open, before, limit + 1).await?;
    let is_last = i64::try_from(rows.len()).is_ok_and(|rows| rows <= limit);
    if !is_last {
        rows.pop();
    }
    let next = rows
        .last()
        .filter(|_| !is_last)
        .map(|row| row.id.to_string());
    let market = app.feed.market();
    let orders = rows.into_iter().map(|row| Listed::new(&market, row));
    Ok(Page {
        orders: orders.collect(),
        next,
    })
}

/// An order: its terms under the names that they were sent by, and how it stands.
#[derive(Serialize)]
pub(super) struct Listed {
    id: String,
    order: String,
    #[serde(flatten)]
    side: SideOut,
    units: i64,
    price: String,
    start: String,
    end: String,
    tif: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    post_only: bool,
    filled: i64,
    held: String,
    accepted: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    done_at: Option<String>,
}

#[derive(Default, Serialize)]
struct SideOut {
    side: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    symbols: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_fill: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    splittable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_run: Option<i64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    buy_in: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_hours: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weekly: Option<String>,
}

impl SideOut {
    fn new(market: &Market, side: &Side) -> Self {
        let symbol = |id: &market::InstrumentId| {
            let listed = market.instrument(*id);
            listed.map_or_else(String::new, |one| one.listed.symbol.clone())
        };
        match side {
            Side::Buy {
                target,
                min_fill,
                flexible,
                buy_in,
            } => {
                let (symbols, pool) = match target {
                    Target::Instruments(ids) => (Some(ids.iter().map(symbol).collect()), None),
                    Target::Pool(pool) => (None, Some(pool.to_string())),
                };
                Self {
                    side: "buy",
                    symbols,
                    pool,
                    min_fill: *min_fill,
                    duration: flexible.map(|flexible| flexible.duration),
                    splittable: flexible.map(|flexible| flexible.splittable),
                    min_run: flexible.map(|flexible| flexible.min_run),
                    buy_in: *buy_in,
                    ..Self::default()
                }
            }
            Side::Sell {
                pool,
                min_hours,
                weekly,
            } => Self {
                side: "sell",
                pool: Some(pool.to_string()),
                min_hours: Some(*min_hours),
                weekly: weekly.clone().map(String::from),
                ..Self::default()
            },
            Side::Resell {
                lease,
                min_hours,
                weekly,
            } => Self {
                side: "sell",
                lease: Some(lease.to_string()),
                min_hours: Some(*min_hours),
                weekly: weekly.clone().map(String::from),
                ..Self::default()
            },
        }
    }
}

impl Listed {
    pub(super) fn new(market: &Market, row: ProgramRow) -> Self {
        let placed = &row.placed;
        let (tif, until) = match placed.tif {
            TimeInForce::Gtc => ("GTC", None),
            TimeInForce::Gtd { until } => ("GTD", Some(until)),
            TimeInForce::Ioc => ("IOC", None),
            TimeInForce::Fok => ("FOK", None),
        };
        Self {
            id: placed.client_id.0.clone(),
            order: row.id.to_string(),
            side: SideOut::new(market, &placed.side),
            units: row.units,
            price: row.price.to_string(),
            start: instant::print(placed.start),
            end: instant::print(placed.end),
            tif,
            until: until.map(instant::print),
            post_only: placed.post_only,
            filled: row.filled,
            held: row.held.to_string(),
            accepted: instant::print(row.accepted_at),
            done: row.done,
            done_at: row.done_at.map(instant::print),
        }
    }
}

/// One order with what it has traded.
#[derive(Serialize)]
pub(super) struct WithTrades {
    #[serde(flatten)]
    order: Listed,
    trades: Vec<ProgramTrade>,
}

impl WithTrades {
    pub(super) fn new(order: Listed, trades: Vec<ProgramTrade>) -> Self {
        Self { order, trades }
    }
}
