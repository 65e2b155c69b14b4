//! The open orders of an instrument, and who of them fits an order that arrives.
//!
//! A bid wants units in every hour of its window, and trades with the first ask by price, then
//! acceptance, that covers the window, sells so few hours and offers enough all through it; an ask
//! likewise with the bid of the highest limit. Most cheap asks don't fit, so it does not do to walk
//! in order of price.
//!
//! *One number for the fill.* A bid of which `rem` units are left and that trades no less than
//! `f` can trade with exactly what offers `f` where `rem ≥ 2f`, and with what offers `rem` where
//! not: its **need**. So whether two orders fit is four comparisons ([`Terms`]), start, end, units
//! and fewest hours, and what arrives gives the other side of all four.
//!
//! *The tree* ([`tree`]): nodes and ladders over blocks of some hundreds of entries ([`block`]), which
//! keep the least of each of the four numbers and the best rank of what is below each part. A block
//! has leaves of at most 32 entries, and the same of each leaf side by side. What is full is cut
//! ([`cut`]) near its middle: asks by their fewest hours first; then by hours while these lie apart,
//! as an interval tree does; then by each term in turn and by rank; by rank alone where no more
//! than one term differs, so that a book of one window is price levels.
//!
//! *The search* ([`search`]) opens the part with the best rank that can have what fits, and of a block
//! at once all leaves that can have a better one than what was found there. It misses nothing:
//! bounds are the least of what is below them.
//!
//! *What is sold.* An ask enters with all its hours and units, which may promise too much later:
//! trades don't touch it. Who finds that it lacks units has it narrowed to the largest offers
//! that it still makes ([`offer::largest`]), so that it is found in vain once for each change of
//! its pool's calendar at most. Where units come back, it is made wide again.
//!
//! *Tariffs* have a tree each, looked into only when the tariff has every hour of the bid. Asks
//! whose units have to be prepared have trees of their own, which a bid that begins too soon leaves
//! out. Bids pinned to a pool have a tree for each pool. Flexible bids stand in one queue: each of their
//! starts is a search of its own.

mod block;
mod cut;
mod leaf;
pub mod offer;
mod search;
mod terms;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::{BTreeMap, BTreeSet};

pub use search::{Hit, Search};
pub use terms::{Rank, Terms};

use crate::command::{Access, Weekly};
use crate::id::{OrderId, PoolId};
use crate::time::Period;
use leaf::Entry;
use tree::{Side, Tree};

/// An ask as the book sees it. It is taken out by the same values with which it was entered.
#[derive(Clone, Copy, Debug)]
pub struct RestingAsk<'a> {
    /// Its number.
    pub order: OrderId,
    /// Where it stands among the asks.
    pub rank: Rank,
    /// Its weekly tariff.
    pub weekly: Option<&'a Weekly>,
    /// How soon its units can be used.
    pub access: Access,
    /// The hours that it sells.
    pub hours: Period,
    /// How many units of each at the most.
    pub units: i64,
    /// No shorter period is sold.
    pub min_hours: i64,
}

/// A bid of fixed hours as the book sees it.
#[derive(Clone, Copy, Debug)]
pub struct RestingBid {
    /// Its number.
    pub order: OrderId,
    /// Where it stands among the bids.
    pub rank: Rank,
    /// The pool that it is pinned to.
    pub pool: Option<PoolId>,
    /// The hours that it wants.
    pub hours: Period,
    /// It trades with nothing less.
    pub need: i64,
}

/// The open orders of an instrument.
#[derive(Clone, Debug)]
pub struct Book {
    asks: Tree,
    /// The asks whose units have to be prepared.
    prepared: Tree,
    /// The asks of each weekly tariff, apart by access.
    tariffs: Vec<(Weekly, Access, Tree)>,
    bids: Tree,
    /// The bids that are pinned to each pool.
    pinned: BTreeMap<PoolId, Tree>,
    flexible: BTreeSet<(Rank, OrderId)>,
    /// The asks that offer less than they did when they were entered, and what.
    narrowed: BTreeMap<OrderId, Vec<(Period, i64)>>,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            asks: Tree::new(Side::Asks),
            prepared: Tree::new(Side::Asks),
            tariffs: Vec::new(),
            bids: Tree::new(Side::Bids),
            pinned: BTreeMap::new(),
            flexible: BTreeSet::new(),
            narrowed: BTreeMap::new(),
        }
    }
}

impl Book {
    /// Enters an ask.
    pub fn enter_ask(&mut self, ask: &RestingAsk<'_>) {
        let entry = ask.entry((ask.hours, ask.units));
        self.asks_of(ask).insert(entry);
    }

    /// Takes an ask out.
    pub fn leave_ask(&mut self, ask: &RestingAsk<'_>) {
        if self.narrowed.contains_key(&ask.order) {
            self.offer(ask, &[]);
        } else {
            let entry = ask.entry((ask.hours, ask.units));
            self.asks_of(ask).remove(&entry);
        }
        if ask.weekly.is_some() {
            self.tariffs.retain(|(_, _, tree)| !tree.is_empty());
        }
    }

    /// Has an ask offer these hours and units, in order, and nothing else.
    pub fn narrow(&mut self, ask: &RestingAsk<'_>, offers: Vec<(Period, i64)>) {
        self.offer(ask, &offers);
        self.narrowed.insert(ask.order, offers);
    }

    /// Has an ask offer all its hours and units again.
    pub fn widen(&mut self, ask: &RestingAsk<'_>) {
        if self.narrowed.contains_key(&ask.order) {
            self.offer(ask, &[(ask.hours, ask.units)]);
            self.narrowed.remove(&ask.order);
        }
    }

    fn offer(&mut self, ask: &RestingAsk<'_>, offers: &[(Period, i64)]) {
        let before = self.narrowed.remove(&ask.order);
        let before = before.unwrap_or_else(|| vec![(ask.hours, ask.units)]);
        let tree = self.asks_of(ask);
        for gone in before
            .iter()
            .filter(|one| offers.binary_search(one).is_err())
        {
            tree.remove(&ask.entry(*gone));
        }
        for new in offers
            .iter()
            .filter(|one| before.binary_search(one).is_err())
        {
            tree.insert(ask.entry(*new));
        }
    }

    fn asks_of(&mut self, ask: &RestingAsk<'_>) -> &mut Tree {
        let Some(weekly) = ask.weekly else {
            return match ask.access {
                Access::Instant => &mut self.asks,
                Access::Prepared => &mut self.prepared,
            };
        };
        let mut known = self.tariffs.iter();
        let found = known.position(|(tariff, access, _)| (tariff, *access) == (weekly, ask.access));
        let place = found.unwrap_or_else(|| {
            let tree = Tree::new(Side::Asks);
            self.tariffs.push((weekly.clone(), ask.access, tree));
            self.tariffs.len() - 1
        });
        &mut self.tariffs[place].2
    }

    /// Enters a bid of fixed hours.
    pub fn enter_bid(&mut self, bid: &RestingBid) {
        let tree = match bid.pool {
            None => &mut self.bids,
            Some(pool) => self
                .pinned
                .entry(pool)
                .or_insert_with(|| Tree::new(Side::Bids)),
        };
        tree.insert(bid.entry());
    }

    /// Takes a bid of fixed hours out.
    pub fn leave_bid(&mut self, bid: &RestingBid) {
        let Some(pool) = bid.pool else {
            self.bids.remove(&bid.entry());
            return;
        };
        if let Some(tree) = self.pinned.get_mut(&pool) {
            tree.remove(&bid.entry());
            if tree.is_empty() {
                self.pinned.remove(&pool);
            }
        }
    }

    /// Enters a flexible bid.
    pub(crate) fn enter_flexible(&mut self, rank: Rank, bid: OrderId) {
        self.flexible.insert((rank, bid));
    }

    /// Takes a flexible bid out.
    pub(crate) fn leave_flexible(&mut self, rank: Rank, bid: OrderId) {
        self.flexible.remove(&(rank, bid));
    }

    /// The first flexible bid after a rank.
    pub(crate) fn flexible_after(&self, after: Option<Rank>) -> Option<Hit> {
        let mut from = match after {
            None => self.flexible.range(..),
            // No two orders have one rank.
            Some(rank) => self.flexible.range((rank, OrderId(i64::MAX))..),
        };
        from.next().map(|&(rank, order)| Hit { order, rank })
    }

    /// Has a search go through every ask.
    pub(crate) fn search_every_ask<'a>(&'a self, search: &mut Search<'a>) {
        search.add(&self.asks);
        search.add(&self.prepared);
        let tariffs = self.tariffs.iter();
        tariffs.for_each(|(_, _, tree)| search.add(tree));
    }

    /// Has a search go through every bid that is for hours of its own.
    pub(crate) fn search_every_bid<'a>(&'a self, search: &mut Search<'a>) {
        search.add(&self.bids);
        self.pinned.values().for_each(|tree| search.add(tree));
    }

    /// Has a search go through the asks that sell every one of these hours, with or without those
    /// whose units have to be prepared.
    pub fn search_asks<'a>(&'a self, search: &mut Search<'a>, hours: Period, prepared: bool) {
        search.add(&self.asks);
        if prepared {
            search.add(&self.prepared);
        }
        for (weekly, access, tree) in &self.tariffs {
            let is_asked = prepared || *access == Access::Instant;
            if is_asked && weekly.covers(hours) {
                search.add(tree);
            }
        }
    }

    /// Has a search go through the bids that name no pool, or this one.
    pub fn search_bids<'a>(&'a self, search: &mut Search<'a>, pool: Option<PoolId>) {
        search.add(&self.bids);
        if let Some(tree) = pool.and_then(|pool| self.pinned.get(&pool)) {
            search.add(tree);
        }
    }
}

impl RestingAsk<'_> {
    fn entry(&self, (hours, units): (Period, i64)) -> Entry {
        Entry {
            rank: self.rank,
            terms: Terms::of_ask(hours, units, self.min_hours),
            order: self.order,
        }
    }
}

impl RestingBid {
    fn entry(&self) -> Entry {
        Entry {
            rank: self.rank,
            terms: Terms::of_bid(self.hours, self.need),
            order: self.order,
        }
    }
}
