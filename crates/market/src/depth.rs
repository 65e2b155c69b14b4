//! The book as people see it: price levels for a delivery period.

use std::collections::BTreeMap;

use crate::book::{Search, Terms};
use crate::id::{InstrumentId, PoolId};
use crate::money::Money;
use crate::order::Order;
use crate::state::Market;
use crate::time::{Hour, Period};

/// The book of one instrument for one delivery period, best prices first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// What asks can sell for the whole period, the cheapest first.
    pub asks: Vec<Level>,
    /// What bids want for exactly this period, the highest limit first.
    pub bids: Vec<Level>,
}

/// One price and how many units stand at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Per unit-hour.
    pub price: Money,
    /// How many units in each hour of the period.
    pub units: i64,
}

impl Market {
    /// The book of an instrument for a period (MATCHING, Book): asks that sell all of it, each
    /// pool's free units counted once, at its best prices first, resale asks apart from them; bids with exactly this period,
    /// without flexible ones and those pinned to a pool. Empty for an instrument that is not listed.
    pub fn depth(&self, instrument: InstrumentId, period: Period) -> Depth {
        let Some(instrument) = self.instrument(instrument) else {
            return Depth::default();
        };
        let mut free: BTreeMap<PoolId, i64> = BTreeMap::new();
        let mut depth = Depth::default();
        let highest = Money(i64::MAX);
        // Books know asks by the hours that they could still sell when they were placed.
        let start = period.start.max(self.now.hour());
        let end = period.end.max(Hour(start.0 + 1));
        let given = Terms::given_by_bid(Period { start, end }, 1).lasting(period.hours());
        let mut asks = Search::of_asks(given, highest);
        let ready = self.is_far(start);
        instrument.book.search_asks(&mut asks, period, ready);
        for ask in asks.map(|hit| self.order(hit.order)) {
            let price = ask.price;
            let Some(pool) = ask.pool().filter(|_| ask.sells(period)) else {
                continue;
            };
            if ask.resold().is_some() {
                add(&mut depth.asks, price, self.offer(ask, period));
                continue;
            }
            let free = free
                .entry(pool)
                .or_insert_with(|| self.pools[&pool].least_free(period));
            let units = self.offer(ask, period).min(*free);
            *free -= units;
            add(&mut depth.asks, price, units);
        }
        // Within this period, and as long as it: of exactly this one.
        let exactly = Terms::given_by_ask(period, i64::MAX, period.hours());
        let mut bids = Search::of_bids(exactly, Money::ZERO);
        instrument.book.search_bids(&mut bids, None);
        for bid in bids.map(|hit| self.order(hit.order)) {
            add(&mut depth.bids, bid.price, bid.remaining());
        }
        depth
    }

    /// What an ask can sell now for a whole period: nothing where that begins too soon, else the
    /// least of its hours of what it has not sold and its pool has free, or its lease has.
    pub fn offer(&self, ask: &Order, period: Period) -> i64 {
        if self.is_ready(ask, period.start) {
            self.left(ask, period)
        } else {
            0
        }
    }

    /// The same, however soon the period begins.
    pub(crate) fn left(&self, ask: &Order, period: Period) -> i64 {
        if let Some(lease) = ask.resold().and_then(|lease| self.lease(lease)) {
            return self.resale_offer(ask, lease, period);
        }
        let Some(pool) = ask.pool().and_then(|pool| self.pool(pool)) else {
            return 0;
        };
        let unsold = ask.units - ask.sold.most(period);
        unsold.min(pool.least_free(period)).max(0)
    }
}

fn add(levels: &mut Vec<Level>, price: Money, units: i64) {
    match levels.last_mut() {
        _ if units <= 0 => {}
        Some(level) if level.price == price => level.units = level.units.saturating_add(units),
        _ => levels.push(Level { price, units }),
    }
}
