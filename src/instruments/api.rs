//! The quote for programs: what a bid would cost now, by part, elsewhere and at other hours, and
//! what it lacks. Read from the readers' market: asking costs the sequencer nothing.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use market::{Money, decimal};
use serde::Serialize;

use crate::app::App;
use crate::feed::Feed;
use crate::protocol::{Fields, Flaw, Known, OrderLine, instant};
use crate::web::problem::Problem;
use crate::web::quote::{Reckoned, elsewhere, otherwise, symbol_of};
use crate::web::{Bearer, Error, Locale};

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
    let reckoned = {
        let market = app.feed.market();
        let placed = order.numbered(bearer.member.participant, &mut Known(&market));
        Reckoned::new(&market, placed, limit)
    };
    Ok(match reckoned {
        Ok(reckoned) => Json(Out::new(&app.feed, &reckoned, limit)).into_response(),
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
    fn new(feed: &Feed, reckoned: &Reckoned, limit: Option<Money>) -> Self {
        let Reckoned { placed, quote } = reckoned;
        let (regions, starts) = (
            elsewhere(feed, placed, limit),
            otherwise(feed, placed, limit),
        );
        let market = feed.market();
        let fill = |fill: &market::Fill| FillOut {
            symbol: symbol_of(&market, fill.ask),
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
            regions: regions.into_iter().map(Elsewhere::from).collect(),
            starts: starts.iter().take(STARTS).map(Otherwise::from).collect(),
        }
    }
}

impl From<(String, Reckoned)> for Elsewhere {
    fn from((symbol, reckoned): (String, Reckoned)) -> Self {
        Self {
            symbol,
            limit: reckoned.placed.price.to_string(),
            all_in: decimal(reckoned.quote.all_in()),
        }
    }
}

impl From<&Reckoned> for Otherwise {
    fn from(reckoned: &Reckoned) -> Self {
        Self {
            start: instant::print(reckoned.placed.start),
            end: instant::print(reckoned.placed.end),
            limit: reckoned.placed.price.to_string(),
            all_in: decimal(reckoned.quote.all_in()),
        }
    }
}
