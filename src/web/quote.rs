//! What a bid would do now, as `Market::quote` reckons it from the readers' market: at its limit or
//! at the lowest that gets all of it, in other regions and at other hours, and in words. Asking
//! costs the sequencer nothing; each look at the market is for one quote, so that nobody waits for
//! many.

use market::{
    ClientId, Hour, InstrumentId, Market, Money, OrderId, ParticipantId, Period, PlaceOrder, Quote,
    Rejection, Side, Target, TimeInForce,
};

use super::format;
use super::i18n::Locale;
use super::symbol::Symbol;
use crate::feed::Feed;

/// Who asks without having signed in: no participant has this number.
pub const NOBODY: ParticipantId = ParticipantId(0);

/// How many hours earlier and later other starts are looked for.
const AROUND: i64 = 24;

/// A bid with what it would do.
#[derive(Clone, Debug)]
pub struct Reckoned {
    /// The bid, at the limit that this is about.
    pub placed: PlaceOrder,
    /// What it would do.
    pub quote: Quote,
}

impl Reckoned {
    /// What a bid would do at this limit; where there is none, at the lowest that gets all of it.
    ///
    /// # Errors
    /// Why the market would not take it, its cash and its client id aside.
    pub fn new(
        market: &Market,
        mut placed: PlaceOrder,
        limit: Option<Money>,
    ) -> Result<Self, Rejection> {
        let quote = if let Some(limit) = limit {
            placed.price = limit;
            market.quote(&placed)?
        } else {
            placed.price = tick(market, &placed);
            let (enough, quote) = market.quote_whole(&placed)?;
            placed.price = enough;
            quote
        };
        Ok(Self { placed, quote })
    }

    /// Whether all of it would trade.
    pub fn is_whole(&self) -> bool {
        self.quote.units == self.placed.units
    }

    /// The runs of hours that it would have, the earliest first; none where it would have nothing.
    pub fn runs(&self) -> Vec<Period> {
        let mut runs: Vec<Period> = self.quote.fills.iter().map(|fill| fill.period).collect();
        runs.sort_by_key(|run| run.start);
        runs.dedup();
        runs
    }

    /// What would come of it now, in one sentence.
    pub fn outcome(&self, locale: Locale) -> String {
        let (units, filled) = (self.placed.units, self.quote.units);
        let is_splittable = is_splittable(&self.placed.side);
        let key = match (self.placed.tif, filled) {
            _ if self.placed.post_only && filled > 0 => "bill.post_only",
            _ if filled == units && flexible(&self.placed.side) => return self.hours(locale),
            (_, filled) if filled == units => "bill.all",
            _ if is_splittable => "bill.split_none",
            (TimeInForce::Fok | TimeInForce::Ioc, _) if flexible(&self.placed.side) => {
                "bill.start_none"
            }
            (TimeInForce::Fok, _) => "bill.fok",
            (TimeInForce::Ioc, 0) => "bill.ioc_none",
            (TimeInForce::Ioc, _) => "bill.ioc_some",
            _ if flexible(&self.placed.side) => "bill.start_rests",
            (_, 0) => "bill.rest_all",
            _ => "bill.rest_some",
        };
        let (n, rest) = (format::count(filled), format::count(units - filled));
        locale.tr(key, [("n", &n), ("rest", &rest)])
    }

    /// The hours that a flexible bid would have, in one sentence.
    fn hours(&self, locale: Locale) -> String {
        let runs = self.runs();
        let hours: Vec<String> = runs.iter().map(|run| locale.period(*run)).collect();
        let hours = hours.join(&locale.t("list.and"));
        let key = match runs.len() {
            1 => "bill.start",
            _ => "bill.runs",
        };
        locale.tr(key, [("hours", &hours), ("n", &runs.len().to_string())])
    }

    /// What each price of the books adds, and the buyer's fee where there is one.
    pub fn lines(&self, locale: Locale) -> Vec<(String, String)> {
        // Asks at one price are one line.
        let mut levels: Vec<(Period, Money, i64)> = Vec::new();
        for fill in &self.quote.fills {
            match levels.last_mut() {
                Some((period, price, units)) if (*period, *price) == (fill.period, fill.price) => {
                    *units += fill.units;
                }
                _ => levels.push((fill.period, fill.price, fill.units)),
            }
        }
        let has_runs = is_splittable(&self.placed.side) && self.runs().len() > 1;
        let line = |(period, price, units): (Period, Money, i64)| {
            let words = [
                ("period", &*locale.period(period)),
                ("units", &format::count(units)),
                ("hours", &period.hours().to_string()),
                ("price", &format::money(price)),
            ];
            let key = if has_runs {
                "bill.fill_of_run"
            } else {
                "bill.fill"
            };
            let cost = format::amount(price.times(units, period.hours()));
            (locale.tr(key, words), cost)
        };
        let fee = Some(self.quote.fee).filter(|fee| *fee > 0);
        let fee = fee.map(|fee| (locale.t("bill.fee").into_owned(), format::amount(fee)));
        levels.into_iter().map(line).chain(fee).collect()
    }
}

/// A bid of nobody's for these units of an instrument, all of them or nothing.
pub fn fixed(instrument: InstrumentId, units: i64, period: Period) -> PlaceOrder {
    PlaceOrder {
        participant: NOBODY,
        client_id: ClientId("quote".to_owned()),
        side: Side::Buy {
            target: Target::Instruments(vec![instrument]),
            min_fill: None,
            flexible: None,
            buy_in: false,
        },
        units,
        price: Money::ZERO,
        start: period.start.begins(),
        end: period.end.begins(),
        tif: TimeInForce::Fok,
        post_only: false,
    }
}

/// Whether a bid leaves its hours open.
pub fn flexible(side: &Side) -> bool {
    matches!(
        side,
        Side::Buy {
            flexible: Some(_),
            ..
        }
    )
}

fn is_splittable(side: &Side) -> bool {
    matches!(side, Side::Buy { flexible: Some(flexible), .. } if flexible.splittable)
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

/// The symbol of an ask's instrument.
pub fn symbol_of(market: &Market, ask: OrderId) -> String {
    let instrument = market.order(ask).instruments.first();
    let listed = instrument.and_then(|id| market.instrument(*id));
    listed.map_or_else(String::new, |one| one.listed.symbol.clone())
}

/// The same bid for each other instrument of its grade that would fill it, with its symbol, the
/// cheapest first.
pub fn elsewhere(
    feed: &Feed,
    placed: &PlaceOrder,
    limit: Option<Money>,
) -> Vec<(String, Reckoned)> {
    let Side::Buy {
        target: Target::Instruments(wanted),
        ..
    } = &placed.side
    else {
        return Vec::new();
    };
    let others: Vec<(InstrumentId, String)> = {
        let market = feed.market();
        let grade = |symbol: &str| Symbol::new(symbol).grade_name().to_owned();
        let first = wanted.first().and_then(|id| market.instrument(*id));
        let wanted_grade = first.map(|one| grade(&one.listed.symbol));
        let others = market.instruments().map(|one| &one.listed);
        let others = others
            .filter(|one| !wanted.contains(&one.instrument))
            .filter(|one| Some(grade(&one.symbol)) == wanted_grade);
        others
            .map(|one| (one.instrument, one.symbol.clone()))
            .collect()
    };
    let mut found: Vec<(String, Reckoned)> = others
        .into_iter()
        .filter_map(|(instrument, symbol)| {
            let mut other = placed.clone();
            if let Side::Buy { target, .. } = &mut other.side {
                *target = Target::Instruments(vec![instrument]);
            }
            let reckoned = Reckoned::new(&feed.market(), other, limit).ok()?;
            reckoned.is_whole().then_some((symbol, reckoned))
        })
        .collect();
    found.sort_by(|(a, one), (b, other)| (one.quote.all_in(), a).cmp(&(other.quote.all_in(), b)));
    found
}

/// The same bid at the hours around its own, where it leaves no choice of them itself; the cheapest
/// first.
pub fn otherwise(feed: &Feed, placed: &PlaceOrder, limit: Option<Money>) -> Vec<Reckoned> {
    let now = feed.market().now();
    match Period::try_new(placed.start, placed.end, now) {
        Some(period) if !flexible(&placed.side) => {
            let around = (-AROUND..=AROUND).filter(|by| *by != 0);
            let starts = around.map(|by| Hour(period.start.0 + by));
            begun(feed, placed, limit, starts, period.hours())
        }
        _ => Vec::new(),
    }
}

/// What a flexible bid would do with each start that it leaves open, the cheapest first.
pub fn starts(feed: &Feed, placed: &PlaceOrder, limit: Option<Money>) -> Vec<Reckoned> {
    let mut one = placed.clone();
    let Side::Buy { flexible, .. } = &mut one.side else {
        return Vec::new();
    };
    let Some(wanted) = flexible.take() else {
        return Vec::new();
    };
    let starts = (placed.start.hour().0..=placed.end.hour().0 - wanted.duration).map(Hour);
    begun(feed, &one, limit, starts, wanted.duration)
}

/// A bid with each of these starts that would fill it, the cheapest first, then the earliest.
fn begun(
    feed: &Feed,
    placed: &PlaceOrder,
    limit: Option<Money>,
    starts: impl Iterator<Item = Hour>,
    hours: i64,
) -> Vec<Reckoned> {
    let begun = |start: Hour| {
        let mut other = placed.clone();
        other.start = start.begins();
        other.end = Hour(start.0 + hours).begins();
        let reckoned = Reckoned::new(&feed.market(), other, limit).ok()?;
        reckoned.is_whole().then_some(reckoned)
    };
    let mut found: Vec<Reckoned> = starts.filter_map(begun).collect();
    found.sort_by_key(|one| (one.quote.all_in(), one.placed.start));
    found
}
