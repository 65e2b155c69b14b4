//! The book as people see it: price levels for a delivery period.

use std::collections::BTreeMap;

use crate::id::{InstrumentId, PoolId};
use crate::money::Money;
use crate::order::Order;
use crate::state::Market;
use crate::time::Period;

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
        for &(price, _, id) in &instrument.asks {
            let ask = self.order(id);
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
        for &(price, _, id) in &instrument.bids {
            let bid = self.order(id);
            let is_plain = bid.pool().is_none() && bid.flexible().is_none();
            if bid.period == period && is_plain {
                add(&mut depth.bids, price.0, bid.remaining());
            }
        }
        depth
    }

    /// What an ask can sell for a whole period: the least of its hours of what it has not sold
    /// and its pool has free, or its lease has.
    pub fn offer(&self, ask: &Order, period: Period) -> i64 {
        if let Some(lease) = ask.resold().and_then(|lease| self.lease(lease)) {
            return self.resale_offer(ask, lease, period);
        }
        let Some(pool) = ask.pool().and_then(|pool| self.pool(pool)) else {
            return 0;
        };
        period
            .each()
            .map(|hour| (ask.units - ask.sold_in(hour)).min(pool.free_in(hour)))
            .min()
            .map_or(0, |units| units.max(0))
    }
}

fn add(levels: &mut Vec<Level>, price: Money, units: i64) {
    match levels.last_mut() {
        _ if units <= 0 => {}
        Some(level) if level.price == price => level.units = level.units.saturating_add(units),
        _ => levels.push(Level { price, units }),
    }
}
