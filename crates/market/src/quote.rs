//! What a bid would do if it came now, without its coming: prices, fees and what it would lack.

use crate::book::{Search, Terms};
use crate::command::PlaceOrder;
use crate::id::OrderId;
use crate::ledger::{Account, AccountKind};
use crate::money::{Money, ceil_div};
use crate::order::Order;
use crate::plan::{FoundInVain, Look, Plan, PlanEnd, Pledged};
use crate::rejection::Rejection;
use crate::state::Market;
use crate::time::{HOUR_MINUTES, Period};

/// What a bid would do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// What it would trade, in its order.
    pub fills: Vec<Fill>,
    /// How many units it would have, in each of its hours.
    pub units: i64,
    /// What these cost, in 1/10,000 yuan, minutes that are gone left out.
    pub price: i128,
    /// The buyer's fee on that, where all of it is delivered.
    pub fee: i128,
    /// What the bid holds until it has traded: its limit and the dearest fee for all of it.
    pub hold: i128,
    /// What of that its participant's cash lacks.
    pub missing: i128,
    /// The lowest limit at which all of it would trade now, of a flexible one with the hours that
    /// cost the least; none where nothing offers so much.
    pub enough: Option<Money>,
    /// How many units it would have in each of its hours whatever its limit.
    pub most: i64,
    /// Whether it would meet an ask of its own participant, or of a related one, before it has all.
    pub meets_own: bool,
}

/// A trade that a bid would make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// With which ask.
    pub ask: OrderId,
    /// At which price, per unit-hour.
    pub price: Money,
    /// How many units in each hour.
    pub units: i64,
    /// In which hours.
    pub period: Period,
}

impl Quote {
    /// Price and fee together, in 1/10,000 yuan.
    pub fn all_in(&self) -> i128 {
        self.price.saturating_add(self.fee)
    }
}

impl Market {
    /// What a bid would do now, and what it would lack; its cash is looked at, but no reason to say
    /// no.
    ///
    /// # Errors
    /// As for placing it, but for its client id, its cash and its post-only.
    pub fn quote(&self, placed: &PlaceOrder) -> Result<Quote, Rejection> {
        let bid = self.admit(placed, false)?;
        let any = self.whatever_the_limit(&bid);
        let runs = self.would_trade_in(&bid);
        Ok(self.quoted(&bid, runs, &any))
    }

    /// The same at the lowest limit that gets all of it, with that limit; at its own where nothing
    /// offers so much.
    ///
    /// # Errors
    /// As for [`Market::quote`]; when that limit is beyond the band.
    pub fn quote_whole(&self, placed: &PlaceOrder) -> Result<(Money, Quote), Rejection> {
        let mut bid = self.admit(placed, false)?;
        let any = self.whatever_the_limit(&bid);
        let runs = if let Some(enough) = any.enough {
            bid.price = enough;
            self.admit_price(&bid)?;
            // What is dearer than that takes no part in it.
            any.runs.clone()
        } else {
            self.would_trade_in(&bid)
        };
        Ok((bid.price, self.quoted(&bid, runs, &any)))
    }

    /// What is open on the other side of an order's books, the best price first, then the earliest
    /// acceptance.
    pub fn across<'a>(&'a self, order: &Order) -> Box<dyn Iterator<Item = &'a Order> + 'a> {
        let books = order
            .instruments
            .iter()
            .filter_map(|id| self.instrument(*id));
        if order.is_bid() {
            if let Some(pool) = order.pool() {
                return Box::new(self.asks_on(pool).into_iter());
            }
            let mut asks = Search::of_asks(Terms::ALL, Money(i64::MAX));
            books.for_each(|one| one.book.search_every_ask(&mut asks));
            return Box::new(asks.map(|hit| self.order(hit.order)));
        }
        // An ask stands in one book.
        let Some(one) = books.into_iter().next() else {
            return Box::new(std::iter::empty());
        };
        let mut fixed = Search::of_bids(Terms::ALL, Money::ZERO);
        one.book.search_every_bid(&mut fixed);
        let first = one.book.flexible_after(None);
        let flexible = std::iter::successors(first, |hit| one.book.flexible_after(Some(hit.rank)));
        let (mut fixed, mut flexible) = (fixed.peekable(), flexible.peekable());
        Box::new(std::iter::from_fn(move || {
            let next = match (fixed.peek(), flexible.peek()) {
                (Some(one), Some(other)) if one.rank < other.rank => fixed.next(),
                (Some(_), None) => fixed.next(),
                _ => flexible.next(),
            };
            next.map(|hit| self.order(hit.order))
        }))
    }

    /// The greedy trades of a bid, over the hours in which it would have them.
    fn would_trade_in(&self, bid: &Order) -> Vec<(Period, Plan)> {
        // Nothing is narrowed here: who asks changes nothing.
        let (look, vain) = (Look::default(), &mut FoundInVain::default());
        if bid.is_splittable() {
            return self.best_runs(bid, look, vain).unwrap_or_default();
        }
        if bid.flexible().is_some() {
            let best = self.best_start(bid, look, vain);
            return best.into_iter().collect();
        }
        let plan = self.plan(bid, bid.period, look, &mut Pledged::new(), vain);
        vec![(bid.period, plan)]
    }

    /// What a bid would trade if it had no limit.
    fn whatever_the_limit(&self, bid: &Order) -> Any {
        let unlimited = Order {
            price: Money(i64::MAX),
            ..bid.clone()
        };
        let runs = self.would_trade_in(&unlimited);
        let is_whole = !runs.is_empty() && runs.iter().all(|(_, plan)| plan.end == PlanEnd::Filled);
        let prices = runs.iter().flat_map(|(_, plan)| plan.trades());
        let dearest = prices.map(|(ask, _)| self.order(ask).price).max();
        Any {
            enough: dearest.filter(|_| is_whole),
            runs,
        }
    }

    /// What these trades come to.
    fn quoted(&self, bid: &Order, runs: Vec<(Period, Plan)>, any: &Any) -> Quote {
        let hold = bid.need(bid.units, self.rules.buyer_fee);
        let cash = Account::of(bid.participant(), AccountKind::Cash);
        let cash = self.ledger.balance(cash);
        let mut quote = Quote {
            fills: Vec::new(),
            units: units_of(&runs),
            price: 0,
            fee: 0,
            hold,
            missing: hold.saturating_sub(cash.0.into()).max(0),
            enough: any.enough,
            most: units_of(&any.runs),
            meets_own: runs.iter().any(|(_, plan)| plan.end == PlanEnd::MetOwn),
        };
        for (period, plan) in runs {
            for (ask, units) in plan.trades() {
                let fill = Fill {
                    ask,
                    price: self.order(ask).price,
                    units,
                    period,
                };
                self.count(&mut quote, bid, &fill);
                quote.fills.push(fill);
            }
        }
        quote
    }

    /// Adds what a trade costs: the minutes that are gone cost nothing.
    fn count(&self, quote: &mut Quote, bid: &Order, fill: &Fill) {
        let minutes = fill.period.hours() * HOUR_MINUTES - bid.late_minutes;
        let price = fill.price.times(fill.units, minutes);
        quote.price += ceil_div(price, HOUR_MINUTES.into());
        let fees = self.rules.buyer_fee;
        quote.fee += fees.taken(fill.price, fill.units, minutes);
    }
}

/// What a bid would trade without a limit.
struct Any {
    /// The dearest price of that where it is all of the bid.
    enough: Option<Money>,
    runs: Vec<(Period, Plan)>,
}

/// How many units a bid has in each of its hours. The runs of a splittable one have the same each.
fn units_of(runs: &[(Period, Plan)]) -> i64 {
    let first = runs.first();
    first.map_or(0, |(_, plan)| plan.trades().map(|(_, units)| units).sum())
}
