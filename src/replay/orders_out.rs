//! Every order with who could have traded with it, one JSON object a line, so that an outside
//! solver can work out the optimum.
//!
//! A bid and an ask could have traded when, at some instant, both were open, the ask sold what the
//! bid wanted for no more than its limit, and they were of different participants. Quantities are
//! left to the solver: a bid has `units`, `lot` and `min_fill`, an ask its pool, and a pool its
//! units, shared by all its asks hour by hour.

use std::io::{self, Write};

use market::{
    Hour, InstrumentId, Money, ParticipantId, Period, PoolId, Side, Target, TimeInForce, Timestamp,
};

use super::course::Course;
use super::fates::Fate;
use crate::clock;

/// One line.
#[derive(serde::Serialize)]
struct Line<'a> {
    /// Its place among the orders, from 1; rejected ones have one too.
    id: usize,
    /// The number that the market gave it.
    order: Option<String>,
    client_id: &'a str,
    participant: String,
    side: &'static str,
    symbols: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool_units: Option<i64>,
    units: i64,
    lot: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_fill: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_hours: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weekly: Option<String>,
    start: String,
    end: String,
    tif: &'static str,
    prices: Vec<Priced>,
    open_until: Option<String>,
    /// Units of a bid; unit-hours of an ask.
    traded: i64,
    done: Option<&'static str>,
    rejected: Option<&'static str>,
    /// Places of the orders that it could have traded with.
    counterparts: Vec<usize>,
}

/// A price and since when it stood.
#[derive(serde::Serialize)]
struct Priced {
    from: String,
    price: String,
}

/// What decides whether two orders could have traded.
struct Terms<'a> {
    participant: ParticipantId,
    side: &'a Side,
    period: Period,
    instruments: Vec<InstrumentId>,
    /// Each price, from when, until when.
    stood: Vec<(Money, Timestamp, Timestamp)>,
}

/// Writes every order of a course.
///
/// # Errors
/// The output can't be written.
pub fn write(course: &Course, mut out: impl Write) -> io::Result<()> {
    let orders = &course.fates.orders;
    let terms: Vec<Terms<'_>> = orders.iter().map(|fate| terms(course, fate)).collect();
    for (at, fate) in orders.iter().enumerate() {
        let counterparts = (0..orders.len()).filter(|other| {
            if fate.is_bid() {
                could_trade(&terms[at], &terms[*other])
            } else {
                could_trade(&terms[*other], &terms[at])
            }
        });
        let counterparts = counterparts.map(|other| other + 1).collect();
        serde_json::to_writer(&mut out, &line(course, at, fate, &terms[at], counterparts))?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

fn terms<'a>(course: &Course, fate: &'a Fate) -> Terms<'a> {
    let instruments = match &fate.placed.side {
        Side::Buy {
            target: Target::Instruments(instruments),
            ..
        } => instruments.clone(),
        Side::Buy {
            target: Target::Pool(pool),
            ..
        }
        | Side::Sell { pool, .. } => instrument_of(course, *pool).into_iter().collect(),
        // Nobody in a trace sells a lease on.
        Side::Resell { .. } => Vec::new(),
    };
    let closed = fate.done.map_or(Timestamp(i64::MAX), |(when, _)| when);
    let untils = fate.prices.iter().skip(1).map(|(when, _)| *when);
    let stood = fate.prices.iter().zip(untils.chain([closed]));
    Terms {
        participant: fate.placed.participant,
        side: &fate.placed.side,
        period: Period {
            start: fate.placed.start.hour(),
            end: fate.placed.end.hour(),
        },
        instruments,
        stood: stood
            .map(|(&(from, price), until)| (price, from, until))
            .collect(),
    }
}

fn could_trade(bid: &Terms<'_>, ask: &Terms<'_>) -> bool {
    let (
        Side::Buy { .. },
        Side::Sell {
            min_hours, weekly, ..
        },
    ) = (bid.side, ask.side)
    else {
        return false;
    };
    bid.participant != ask.participant
        && ask
            .instruments
            .iter()
            .all(|id| bid.instruments.contains(id))
        && ask.period.covers(bid.period)
        && bid.period.hours() >= *min_hours
        && weekly.as_ref().is_none_or(|weekly| {
            let mut hours = bid.period.each();
            hours.all(|hour: Hour| weekly.holds(hour.of_week()))
        })
        && bid.stood.iter().any(|&(limit, from, until)| {
            ask.stood
                .iter()
                .any(|&(price, since, to)| price <= limit && from.max(since) <= until.min(to))
        })
}

fn line<'a>(
    course: &Course,
    at: usize,
    fate: &'a Fate,
    terms: &Terms<'_>,
    counterparts: Vec<usize>,
) -> Line<'a> {
    let placed = &fate.placed;
    let fleet = &course.plan.fleet;
    let listed = fleet.instruments.iter();
    let listed: Vec<_> = listed
        .filter(|listed| terms.instruments.contains(&listed.instrument))
        .collect();
    let mut line = Line {
        id: at + 1,
        order: fate.order.map(|order| order.to_string()),
        client_id: &placed.client_id.0,
        participant: placed.participant.to_string(),
        side: if fate.is_bid() { "buy" } else { "sell" },
        symbols: listed.iter().map(|listed| listed.symbol()).collect(),
        pool: None,
        pool_units: None,
        units: placed.units,
        // All grades of one order are the same, so its lot is theirs.
        lot: listed.first().map_or(1, |listed| listed.grade.lot),
        min_fill: None,
        min_hours: None,
        weekly: None,
        start: time(placed.start),
        end: time(placed.end),
        tif: match placed.tif {
            TimeInForce::Gtc => "GTC",
            TimeInForce::Gtd { .. } => "GTD",
            TimeInForce::Ioc => "IOC",
            TimeInForce::Fok => "FOK",
        },
        prices: prices(fate),
        open_until: fate.done.map(|(when, _)| time(when)),
        traded: fate.traded,
        done: fate.done.map(|(_, why)| why.code()),
        rejected: fate.rejected.map(market::Rejection::code),
        counterparts,
    };
    match &placed.side {
        Side::Buy { min_fill, .. } => line.min_fill = Some(min_fill.unwrap_or(line.lot)),
        Side::Sell {
            pool,
            min_hours,
            weekly,
        } => {
            let known = fleet.pools.iter().find(|known| known.pool == *pool);
            line.pool = Some(pool.to_string());
            line.pool_units = known.map(|pool| pool.units);
            line.min_hours = Some(*min_hours);
            line.weekly = weekly.clone().map(String::from);
        }
        Side::Resell { .. } => {}
    }
    line
}

fn prices(fate: &Fate) -> Vec<Priced> {
    let prices = fate.prices.iter();
    prices
        .map(|(from, price)| Priced {
            from: time(*from),
            price: price.to_string(),
        })
        .collect()
}

fn instrument_of(course: &Course, pool: PoolId) -> Option<InstrumentId> {
    let fleet = &course.plan.fleet;
    let pool = fleet.pools.iter().find(|known| known.pool == pool)?;
    Some(fleet.instruments[pool.instrument].instrument)
}

fn time(at: Timestamp) -> String {
    clock::instant(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(buys: bool) -> Side {
        if buys {
            Side::Buy {
                target: Target::Instruments(vec![InstrumentId(1)]),
                min_fill: None,
                flexible: None,
                buy_in: false,
            }
        } else {
            Side::Sell {
                pool: PoolId(1),
                min_hours: 2,
                weekly: None,
            }
        }
    }

    fn terms(side: &Side, participant: i64, hours: (i64, i64)) -> Terms<'_> {
        Terms {
            participant: ParticipantId(participant),
            side,
            period: Period {
                start: Hour(hours.0),
                end: Hour(hours.1),
            },
            instruments: vec![InstrumentId(1)],
            stood: vec![(Money(100), Timestamp(0), Timestamp(10))],
        }
    }

    #[test]
    fn orders_could_trade_when_terms_times_and_prices_meet() {
        let (buy, sell) = (side(true), side(false));
        let ask = terms(&sell, 1, (0, 10));
        let bid = || terms(&buy, 2, (3, 5));
        assert!(could_trade(&bid(), &ask), "at its very limit");
        assert!(!could_trade(&ask, &bid()), "the other way round");
        type Spoil = fn(&mut Terms<'_>);
        let spoils: [Spoil; 6] = [
            |bid| bid.participant = ParticipantId(1),
            |bid| bid.instruments = vec![InstrumentId(2)],
            |bid| bid.period.end = Hour(11),
            |bid| bid.period.end = Hour(4),
            |bid| bid.stood = vec![(Money(99), Timestamp(0), Timestamp(10))],
            |bid| bid.stood = vec![(Money(100), Timestamp(11), Timestamp(20))],
        ];
        for (at, spoil) in spoils.into_iter().enumerate() {
            let mut spoilt = bid();
            spoil(&mut spoilt);
            assert!(!could_trade(&spoilt, &ask), "{at}");
        }
        // Raised while the ask still stood.
        let mut raised = bid();
        raised.stood = vec![
            (Money(99), Timestamp(0), Timestamp(8)),
            (Money(100), Timestamp(8), Timestamp(20)),
        ];
        assert!(could_trade(&raised, &ask));
    }
}
