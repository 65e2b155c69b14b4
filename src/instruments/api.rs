//! The quote for programs: what a bid would cost now, by part, elsewhere and at other hours, and
//! what it lacks. Read from the readers' market: asking costs the sequencer nothing.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use market::{Hour, InstrumentId, Market, Money, Period, PlaceOrder, Quote, Side, Target, decimal};
use serde::Serialize;

use crate::app::App;
use crate::protocol::{Fields, Flaw, Known, OrderLine, instant};
use crate::web::problem::Problem;
use crate::web::symbol::Symbol;
use crate::web::{Bearer, Error, Locale};

/// How many hours earlier and later other starts are looked for.
const AROUND: i64 = 24;

/// How many other starts are named.
const STARTS: usize = 10;

/// `GET /api/v1/quote?symbols=&units=&start=&end=&price=…`
///
/// # Errors
/// None of its own: what is wrong is a problem.
pub async fn quote(
    State(app): State<App>,
    bearer: Bearer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    let locale = Locale::of(&headers);
    let (order, limit) = match read(query.as_deref().unwrap_or_default()) {
        Ok(read) => read,
        Err(flaw) => return Ok(Problem::of_flaw(locale, &flaw).into_response()),
    };
    let market = app.feed.market();
    let placed = order.numbered(bearer.member.participant, &mut Known(&market));
    Ok(match Reckoned::new(&market, placed, limit) {
        Ok(reckoned) => Json(Out::new(&market, &reckoned, limit)).into_response(),
        Err(rejection) => Problem::of_rejection(locale, rejection).into_response(),
    })
}

/// The bid that a query means, and its limit where it names one.
fn read(query: &str) -> Result<(OrderLine, Option<Money>), Flaw> {
    let pairs: Vec<(String, String)> =
        serde_urlencoded::from_str(query).map_err(|_| Flaw::together("the query can't be read"))?;
    let mut fields = Fields::of_query(pairs, &[("side", "buy"), ("id", "quote")])?;
    let limit = fields.money_or_none("price")?;
    fields.put("price", limit.unwrap_or(Money::ZERO).to_string());
    let order = OrderLine::read(&mut fields)?;
    fields.end()?;
    Ok((order, limit))
}

/// A bid with what it would do.
struct Reckoned {
    placed: PlaceOrder,
    quote: Quote,
}

impl Reckoned {
    /// What a bid would do at this limit; where there is none, at the lowest that gets all of it.
    fn new(
        market: &Market,
        mut placed: PlaceOrder,
        limit: Option<Money>,
    ) -> Result<Self, market::Rejection> {
        placed.price = limit.unwrap_or_else(|| tick(market, &placed));
        let mut quote = market.quote(&placed)?;
        if let (None, Some(enough)) = (limit, quote.enough) {
            placed.price = enough;
            quote = market.quote(&placed)?;
        }
        Ok(Self { placed, quote })
    }

    fn is_whole(&self) -> bool {
        self.quote.units == self.placed.units
    }
}

/// The lowest price that there is, for a bid whose limit is not known yet.
fn tick(market: &Market, placed: &PlaceOrder) -> Money {
    let listed = |id: &InstrumentId| market.instrument(*id).map(|one| one.listed.tick);
    let ticks = match &placed.side {
        Side::Buy {
            target: Target::Instruments(ids),
            ..
        } => ids.iter().filter_map(listed).max(),
        Side::Buy {
            target: Target::Pool(pool),
            ..
        } => market.pool(*pool).and_then(|pool| listed(&pool.instrument)),
        Side::Sell { .. } | Side::Resell { .. } => None,
    };
    ticks.unwrap_or(Money(1))
}

#[derive(Serialize)]
struct Out {
    /// Market time.
    at: String,
    units: i64,
    /// How many of them would trade now.
    filled: i64,
    /// The limit that this is about.
    limit: String,
    price: String,
    fee: String,
    all_in: String,
    /// What would be held until it has traded.
    hold: String,
    fills: Vec<FillOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lacks: Option<Lacks>,
    /// The same elsewhere, the cheapest first.
    regions: Vec<Elsewhere>,
    /// The same at other hours, the cheapest first.
    starts: Vec<Otherwise>,
}

#[derive(Serialize)]
struct FillOut {
    symbol: String,
    price: String,
    units: i64,
    start: String,
    end: String,
}

/// What a bid that would not be filled, or not taken, lacks.
#[derive(Serialize)]
struct Lacks {
    #[serde(skip_serializing_if = "Option::is_none")]
    units: Option<i64>,
    /// The limit that would get all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cash: Option<String>,
    /// Its own participant's ask is next.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    own_ask: bool,
}

#[derive(Serialize)]
struct Elsewhere {
    symbol: String,
    limit: String,
    all_in: String,
}

#[derive(Serialize)]
struct Otherwise {
    start: String,
    end: String,
    limit: String,
    all_in: String,
}

impl Out {
    fn new(market: &Market, reckoned: &Reckoned, limit: Option<Money>) -> Self {
        let Reckoned { placed, quote } = reckoned;
        let fill = |fill: &market::Fill| FillOut {
            symbol: symbol_of(market, fill.ask),
            price: fill.price.to_string(),
            units: fill.units,
            start: instant::print(fill.period.start.begins()),
            end: instant::print(fill.period.end.begins()),
        };
        let short = placed.units - quote.units;
        let lacks = Lacks {
            units: (short > 0).then_some(short),
            limit: quote
                .enough
                .filter(|_| short > 0)
                .map(|limit| limit.to_string()),
            cash: (quote.missing > 0).then(|| decimal(quote.missing)),
            own_ask: quote.meets_own,
        };
        Self {
            at: instant::print(market.now()),
            units: placed.units,
            filled: quote.units,
            limit: placed.price.to_string(),
            price: decimal(quote.price),
            fee: decimal(quote.fee),
            all_in: decimal(quote.all_in()),
            hold: decimal(quote.hold),
            fills: quote.fills.iter().map(fill).collect(),
            lacks: (short > 0 || quote.missing > 0).then_some(lacks),
            regions: elsewhere(market, placed, limit),
            starts: otherwise(market, placed, limit),
        }
    }
}

fn symbol_of(market: &Market, ask: market::OrderId) -> String {
    let instrument = market.order(ask).instruments.first();
    let listed = instrument.and_then(|id| market.instrument(*id));
    listed.map_or_else(String::new, |one| one.listed.symbol.clone())
}

/// The same bid for each other instrument of its grade that would fill it.
fn elsewhere(market: &Market, placed: &PlaceOrder, limit: Option<Money>) -> Vec<Elsewhere> {
    let Side::Buy {
        target: Target::Instruments(wanted),
        ..
    } = &placed.side
    else {
        return Vec::new();
    };
    let grade = |id: &InstrumentId| {
        let listed = market.instrument(*id);
        listed.map(|one| Symbol::new(&one.listed.symbol).grade_name().to_owned())
    };
    let wanted_grade = wanted.first().and_then(grade);
    let mut found: Vec<(i128, Elsewhere)> = market
        .instruments()
        .filter(|one| !wanted.contains(&one.listed.instrument))
        .filter(|one| grade(&one.listed.instrument) == wanted_grade)
        .filter_map(|one| {
            let mut other = placed.clone();
            if let Side::Buy { target, .. } = &mut other.side {
                *target = Target::Instruments(vec![one.listed.instrument]);
            }
            let reckoned = Reckoned::new(market, other, limit).ok()?;
            let all_in = reckoned.quote.all_in();
            let out = Elsewhere {
                symbol: one.listed.symbol.clone(),
                limit: reckoned.placed.price.to_string(),
                all_in: decimal(all_in),
            };
            reckoned.is_whole().then_some((all_in, out))
        })
        .collect();
    found.sort_by(|(one, a), (other, b)| (one, &a.symbol).cmp(&(other, &b.symbol)));
    found.into_iter().map(|(_, out)| out).collect()
}

/// The same bid at the hours around its own, where it leaves no choice of them itself.
fn otherwise(market: &Market, placed: &PlaceOrder, limit: Option<Money>) -> Vec<Otherwise> {
    let is_fixed = matches!(placed.side, Side::Buy { flexible: None, .. });
    let Some(period) = Period::try_new(placed.start, placed.end, market.now()).filter(|_| is_fixed)
    else {
        return Vec::new();
    };
    let moved = |by: i64| -> Option<(i128, Hour, Otherwise)> {
        let mut other = placed.clone();
        other.start = Hour(period.start.0 + by).begins();
        other.end = Hour(period.end.0 + by).begins();
        let reckoned = Reckoned::new(market, other, limit).ok()?;
        let all_in = reckoned.quote.all_in();
        let out = Otherwise {
            start: instant::print(reckoned.placed.start),
            end: instant::print(reckoned.placed.end),
            limit: reckoned.placed.price.to_string(),
            all_in: decimal(all_in),
        };
        let start = Hour(period.start.0 + by);
        reckoned.is_whole().then_some((all_in, start, out))
    };
    let around = (-AROUND..=AROUND).filter(|by| *by != 0);
    let mut found: Vec<_> = around.filter_map(moved).collect();
    found.sort_by_key(|(all_in, start, _)| (*all_in, *start));
    let cheapest = found.into_iter().take(STARTS);
    cheapest.map(|(_, _, out)| out).collect()
}
