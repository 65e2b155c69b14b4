//! What a bid would do if it came now, without its coming: prices, fees and what it would lack.

use crate::book::{Search, Terms};
use crate::command::PlaceOrder;
use crate::id::OrderId;
use crate::ledger::{Account, AccountKind};
use crate::money::{Money, ceil_div};
use crate::order::Order;
use crate::plan::{FoundInVain, Look, Plan, PlanEnd, Pledged, Step};
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
    /// The lowest limit at which all of it would trade now; none where nothing offers so much.
    pub enough: Option<Money>,
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
        let (runs, meets_own) = self.would_trade_in(&bid);
        let hold = bid.need(bid.units, self.rules.buyer_fee);
        let cash = Account::of(bid.participant(), AccountKind::Cash);
        let cash = self.ledger.balance(cash);
        let mut quote = Quote {
            fills: Vec::new(),
            units: 0,
            price: 0,
            fee: 0,
            hold,
            missing: hold.saturating_sub(cash.0.into()).max(0),
            enough: self.enough(&bid),
            meets_own,
        };
        for (period, plan) in runs {
            let mut units = 0;
            for step in plan.steps {
                let Step::Trade(ask, traded) = step else {
                    continue;
                };
                let fill = Fill {
                    ask,
                    price: self.order(ask).price,
                    units: traded,
                    period,
                };
                self.count(&mut quote, &bid, &fill);
                quote.fills.push(fill);
                units += traded;
            }
            // The runs of a splittable bid have the same units each.
            quote.units = units;
        }
        Ok(quote)
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
    fn would_trade_in(&self, bid: &Order) -> (Vec<(Period, Plan)>, bool) {
        // Nothing is narrowed here: who asks changes nothing.
        let (look, vain) = (Look::default(), &mut FoundInVain::default());
        if bid.is_splittable() {
            return (self.best_runs(bid, look, vain).unwrap_or_default(), false);
        }
        if bid.flexible().is_some() {
            let best = self.best_start(bid, look, vain);
            return (best.into_iter().collect(), false);
        }
        let plan = self.plan(bid, bid.period, look, &mut Pledged::new(), vain);
        let meets_own = plan.end == PlanEnd::MetOwn;
        (vec![(bid.period, plan)], meets_own)
    }

    /// The lowest limit at which all of a bid would trade.
    fn enough(&self, bid: &Order) -> Option<Money> {
        let unlimited = Order {
            price: Money(i64::MAX),
            ..bid.clone()
        };
        let (runs, _) = self.would_trade_in(&unlimited);
        let is_whole = !runs.is_empty() && runs.iter().all(|(_, plan)| plan.end == PlanEnd::Filled);
        let steps = runs.iter().flat_map(|(_, plan)| &plan.steps);
        let prices = steps.filter_map(|step| match step {
            Step::Trade(ask, _) => Some(self.order(*ask).price),
            Step::Bondless(_) => None,
        });
        prices.max().filter(|_| is_whole)
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
