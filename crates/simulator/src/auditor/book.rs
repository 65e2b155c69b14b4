//! The book, put together unit by unit.

use std::collections::BTreeMap;

use market::{Hour, InstrumentId, Market, Period};

use super::model::{Model, Order};

/// Price levels of asks and of bids.
pub(super) type Levels = (Vec<(i64, i64)>, Vec<(i64, i64)>);

/// The book that the market shows for an order's period, and the one that it should show.
pub(super) fn both(
    market: &Market,
    model: &Model,
    instrument: InstrumentId,
    order: &Order,
) -> (Levels, Levels) {
    let period = Period {
        start: Hour(order.start),
        end: Hour(order.end),
    };
    let depth = market.depth(instrument, period);
    let plain = |levels: Vec<market::Level>| {
        let levels = levels.into_iter();
        levels.map(|level| (level.price.0, level.units)).collect()
    };
    let shown = (plain(depth.asks), plain(depth.bids));
    let asks = asks(model, instrument, order.start, order.end);
    let bids = bids(model, instrument, order.start, order.end);
    (shown, (asks, bids))
}

/// Each pool's free units go to its best prices first, each ask giving what it offers.
fn asks(model: &Model, instrument: InstrumentId, start: i64, end: i64) -> Vec<(i64, i64)> {
    let mut levels: BTreeMap<i64, i64> = BTreeMap::new();
    for (id, pool) in &model.pools {
        if pool.instrument != instrument {
            continue;
        }
        let mut free = (start..end).map(|hour| pool.free(hour)).min().unwrap_or(0);
        let mut asks: Vec<&Order> = model
            .open
            .iter()
            .map(|place| &model.orders[*place])
            .filter(|order| !order.is_bid() && order.pool() == Some(*id))
            .filter(|ask| ask.resold().is_none())
            .filter(|ask| covers(ask, start, end) && model.is_ready(ask, start))
            .collect();
        asks.sort_by_key(|ask| (ask.price, ask.accepted));
        for ask in asks {
            let units = model.offer(ask, start, end).min(free).max(0);
            free -= units;
            *levels.entry(ask.price).or_default() += units;
        }
    }
    for place in &model.open {
        let ask = &model.orders[*place];
        let pool = ask.pool().filter(|_| ask.resold().is_some());
        let here = pool.is_some_and(|pool| model.pools[&pool].instrument == instrument);
        if here && covers(ask, start, end) && model.is_ready(ask, start) {
            *levels.entry(ask.price).or_default() += model.offer(ask, start, end).max(0);
        }
    }
    levels.into_iter().filter(|(_, units)| *units > 0).collect()
}

fn covers(ask: &Order, start: i64, end: i64) -> bool {
    let Some(min_hours) = ask.min_hours() else {
        return false;
    };
    let covered = ask.covered();
    end - start >= min_hours && (start..end).all(|hour| covered.contains(&hour))
}

fn bids(model: &Model, instrument: InstrumentId, start: i64, end: i64) -> Vec<(i64, i64)> {
    let mut levels: BTreeMap<i64, i64> = BTreeMap::new();
    for place in &model.open {
        let bid = &model.orders[*place];
        let market::Side::Buy {
            target: market::Target::Instruments(instruments),
            ..
        } = &bid.terms.side
        else {
            continue;
        };
        let is_plain = bid.flexible().is_none();
        if is_plain && (bid.start, bid.end) == (start, end) && instruments.contains(&instrument) {
            *levels.entry(bid.price).or_default() += bid.remaining();
        }
    }
    levels.into_iter().rev().collect()
}
