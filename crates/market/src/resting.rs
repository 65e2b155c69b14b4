//! Where an open order can be found: its books, its pool's asks, what falls due.

use crate::book::offer::{Uneven, largest};
use crate::book::{Rank, RestingAsk, RestingBid};
use crate::due::Due;
use crate::id::{OrderId, PoolId};
use crate::order::Order;
use crate::plan::FoundInVain;
use crate::state::{Instrument, Market, index};
use crate::time::{Hour, Period};

impl Instrument {
    fn enter(&mut self, order: &Order) {
        match order.standing() {
            Standing::Ask(ask) => self.book.enter_ask(&ask),
            Standing::Bid(bid) => self.book.enter_bid(&bid),
            Standing::Flexible(rank) => self.book.enter_flexible(rank, order.id),
        }
    }

    fn leave(&mut self, order: &Order) {
        match order.standing() {
            Standing::Ask(ask) => self.book.leave_ask(&ask),
            Standing::Bid(bid) => self.book.leave_bid(&bid),
            Standing::Flexible(rank) => self.book.leave_flexible(rank, order.id),
        }
    }
}

/// An order as its books see it.
enum Standing<'a> {
    Ask(RestingAsk<'a>),
    Bid(RestingBid),
    Flexible(Rank),
}

impl Order {
    /// Where it stands among the orders of its side.
    pub(crate) fn rank(&self) -> Rank {
        if self.is_bid() {
            Rank::of_bid(self.price, self.acceptance)
        } else {
            Rank::of_ask(self.price, self.acceptance)
        }
    }

    /// The hours that an ask can still have sold anything of when it was placed.
    pub(crate) fn open_hours(&self) -> Period {
        Period {
            start: self.first_hour,
            end: self.period.end,
        }
    }

    fn standing(&self) -> Standing<'_> {
        let (order, rank) = (self.id, self.rank());
        if let Some((weekly, min_hours)) = self.tariff() {
            return Standing::Ask(RestingAsk {
                order,
                rank,
                weekly,
                access: self.access,
                hours: self.open_hours(),
                units: self.units,
                min_hours,
            });
        }
        if self.flexible().is_some() {
            return Standing::Flexible(rank);
        }
        Standing::Bid(RestingBid {
            order,
            rank,
            pool: self.pool(),
            hours: self.period,
            need: self.least_offer(self.remaining()),
        })
    }
}

impl Market {
    /// Puts an open order where it can be found.
    pub(crate) fn enter_books(&mut self, id: OrderId) {
        let order = &mut self.orders[index(id.0)];
        order.rests = true;
        for instrument in order.instruments.iter() {
            if let Some(instrument) = self.instruments.get_mut(instrument) {
                instrument.enter(order);
            }
        }
        if let Some(pool) = order.pool().and_then(|pool| self.pools.get_mut(&pool)) {
            if let Some(lease) = order.resold() {
                pool.resales.insert(id);
                self.resales.entry(lease).or_default().insert(id);
            } else if !order.is_bid() {
                pool.asks.insert(id);
            }
        }
        self.due
            .insert((order.expires(), order.due_place(), Due::Expiry(id)));
    }

    /// Takes an order out of where `enter_books` put it, if it did.
    pub(crate) fn leave_books(&mut self, id: OrderId) {
        let order = &mut self.orders[index(id.0)];
        if !std::mem::take(&mut order.rests) {
            return;
        }
        for instrument in order.instruments.iter() {
            if let Some(instrument) = self.instruments.get_mut(instrument) {
                instrument.leave(order);
            }
        }
        if let Some(pool) = order.pool().and_then(|pool| self.pools.get_mut(&pool)) {
            if let Some(lease) = order.resold() {
                pool.resales.remove(&id);
                let open = self.resales.entry(lease).or_default();
                open.remove(&id);
                if open.is_empty() {
                    self.resales.remove(&lease);
                }
            } else if !order.is_bid() {
                pool.asks.remove(&id);
            }
        }
        self.due
            .remove(&(order.expires(), order.due_place(), Due::Expiry(id)));
    }

    /// Counts units that a bid has bought; its books know what it needs from now on.
    pub(crate) fn count_bought(&mut self, id: OrderId, units: i64) {
        self.count_bid(id, |bid| {
            if bid.is_splittable() {
                -bid.remaining()
            } else {
                -units
            }
        });
        let order = &mut self.orders[index(id.0)];
        let need = order.least_offer(order.remaining());
        let is_same = need == order.least_offer(order.remaining() - units);
        if !order.rests || order.flexible().is_some() || is_same {
            order.count_bought(units);
            return;
        }
        for instrument in order.instruments.iter() {
            if let Some(instrument) = self.instruments.get_mut(instrument) {
                instrument.leave(order);
            }
        }
        order.count_bought(units);
        for instrument in order.instruments.iter() {
            if let Some(instrument) = self.instruments.get_mut(instrument) {
                instrument.enter(order);
            }
        }
    }

    /// Has the books know of asks, which promised what they don't have, what they still offer.
    pub(crate) fn narrow(&mut self, vain: &FoundInVain) {
        for id in &vain.0 {
            let order = self.order(*id);
            if !order.rests {
                continue;
            }
            let offers = largest(&self.stretches(order, false), order.lot);
            let order = &self.orders[index(id.0)];
            if let Standing::Ask(ask) = order.standing() {
                for instrument in order.instruments.iter() {
                    if let Some(instrument) = self.instruments.get_mut(instrument) {
                        instrument.book.narrow(&ask, offers.clone());
                    }
                }
            }
        }
    }

    /// Has the books know that a pool's asks may offer again what they did not.
    pub(crate) fn widen(&mut self, pool: PoolId) {
        let pool = &self.pools[&pool];
        let Some(instrument) = self.instruments.get_mut(&pool.instrument) else {
            return;
        };
        for ask in &pool.asks {
            if let Standing::Ask(ask) = self.orders[index(ask.0)].standing() {
                instrument.book.widen(&ask);
            }
        }
    }

    /// What an arriving ask offers where that differs by hour.
    pub(crate) fn uneven(&self, ask: &Order) -> Uneven {
        Uneven::new(&self.stretches(ask, true))
    }

    /// What an ask offers from now on, in stretches of hours without gaps; with or without a regard
    /// to its weekly tariff.
    fn stretches(&self, ask: &Order, on_tariff: bool) -> Vec<(Period, i64)> {
        let mut hours = ask.open_hours();
        let now = match ask.resold() {
            None => self.now.hour(),
            Some(_) => self.now.next_hour(),
        };
        hours.start = hours.start.max(now);
        let mut stretches: Vec<(Period, i64)> = Vec::new();
        if hours.start >= hours.end {
            return stretches;
        }
        let mut add = |hours: Period, units: i64| match stretches.last_mut() {
            Some((last, same)) if *same == units => last.end = hours.end,
            _ => stretches.push((hours, units)),
        };
        let weekly = ask.tariff().and_then(|(weekly, _)| weekly);
        for (piece, sold) in ask.sold.pieces(hours) {
            for (part, most) in self.open_by_stretch(ask, piece) {
                let units = (ask.units - sold).min(most).max(0);
                match weekly.filter(|_| on_tariff) {
                    None => add(part, units),
                    Some(weekly) => part.each().for_each(|hour| {
                        let holds = weekly.holds(hour.of_week());
                        add(hour.alone(), if holds { units } else { 0 });
                    }),
                }
            }
        }
        stretches
    }

    /// What the pool of an ask has free, or its lease has, in stretches of a period.
    fn open_by_stretch(&self, ask: &Order, period: Period) -> Vec<(Period, i64)> {
        if let Some(lease) = ask.resold().and_then(|lease| self.lease(lease)) {
            let hours = period.each();
            return hours
                .map(|hour: Hour| (hour.alone(), lease.open_in(hour)))
                .collect();
        }
        let pool = ask.pool().and_then(|pool| self.pool(pool));
        let free = pool
            .into_iter()
            .flat_map(|pool| pool.free_by_stretch(period));
        free.collect()
    }

    /// Asks on a pool in order of rank, resale asks of its leases among them.
    pub(crate) fn asks_on(&self, pool: PoolId) -> Vec<&Order> {
        let pool = self.pool(pool).into_iter();
        let ids = pool.flat_map(|pool| pool.asks.iter().chain(&pool.resales));
        let mut asks: Vec<&Order> = ids.map(|ask| self.order(*ask)).collect();
        asks.sort_unstable_by_key(|ask| ask.rank());
        asks
    }
}
