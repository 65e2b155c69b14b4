//! What became of every order, as the market's answers tell it.

use std::collections::BTreeMap;

use market::{
    DoneWhy, Event, EventKind, InstrumentId, LeaseId, Money, OrderId, Period, PlaceOrder, PoolId,
    Rejection, Side, Target, TimeInForce, Timestamp, Trade,
};

/// An order that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// Its terms when it was placed.
    pub placed: PlaceOrder,
    /// The number that the market gave it.
    pub order: Option<OrderId>,
    /// Why it was not accepted.
    pub rejected: Option<Rejection>,
    /// Its prices, each with the instant from which it stood.
    pub prices: Vec<(Timestamp, Money)>,
    /// Units of a bid that traded; of an ask, unit-hours.
    pub traded: i64,
    /// When and why nothing more came of it.
    pub done: Option<(Timestamp, DoneWhy)>,
}

impl Fate {
    /// Whether it rests, as far as the answers tell.
    pub fn is_open(&self) -> bool {
        self.order.is_some() && self.done.is_none()
    }

    /// Its price now.
    pub fn price(&self) -> Money {
        self.prices
            .last()
            .map_or(self.placed.price, |(_, price)| *price)
    }

    /// Whether it is a bid.
    pub fn is_bid(&self) -> bool {
        matches!(self.placed.side, Side::Buy { .. })
    }
}

/// A lease whose hours are still to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its number.
    pub lease: LeaseId,
    /// Its place among the leases of this replay.
    pub at: usize,
    /// How many units.
    pub units: i64,
    /// Which hours.
    pub period: Period,
}

/// What is counted while the answers come in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Commands answered.
    pub commands: i64,
    /// Orders placed, bids and asks.
    pub orders: i64,
    /// Commands rejected, by reason.
    pub rejected: BTreeMap<&'static str, i64>,
    /// Bids that ended with units left, by reason.
    pub unfilled: BTreeMap<&'static str, i64>,
    /// Of these, how many traded some.
    pub partly_filled: i64,
    /// Trades.
    pub trades: i64,
    /// Unit-hours traded.
    pub unit_hours: i64,
    /// Leases begun.
    pub leases: i64,
    /// Hours of leases settled.
    pub settled_hours: i64,
    /// Unit-minutes delivered.
    pub unit_minutes: i64,
    /// What trades came to.
    pub turnover: Money,
    /// Paid to providers, after fees.
    pub paid: Money,
    /// Given back to holders for missing minutes.
    pub refunded: Money,
    /// Kept by the marketplace.
    pub fees: Money,
    /// Credited to holders at leases' ends.
    pub credited: Money,
}

/// A pool as the answers show it.
#[derive(Clone, Debug)]
struct Calendar {
    pool: PoolId,
    instrument: InstrumentId,
    units: i64,
    first: i64,
    leased: Vec<i64>,
}

/// What a command was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// An order's placing.
    Placing(usize),
    /// Its new price.
    Price(usize, Money),
    /// Anything else.
    Other,
}

/// What became of every order, lease and pool.
#[derive(Clone, Debug, Default)]
pub struct Fates {
    /// Every order sent, in order.
    pub orders: Vec<Fate>,
    /// What is counted.
    pub tally: Tally,
    /// Leases that are not over.
    pub running: Vec<Running>,
    by_order: BTreeMap<OrderId, usize>,
    calendars: Vec<Calendar>,
    last_trade: Option<Trade>,
}

impl Fates {
    /// Remembers an order that is about to be sent; its place.
    pub(super) fn send(&mut self, placed: PlaceOrder) -> usize {
        self.orders.push(Fate {
            placed,
            order: None,
            rejected: None,
            prices: Vec::new(),
            traded: 0,
            done: None,
        });
        self.orders.len() - 1
    }

    /// Remembers a pool that is about to be opened.
    pub(super) fn open(&mut self, pool: PoolId, instrument: InstrumentId, units: i64, of: Period) {
        self.calendars.push(Calendar {
            pool,
            instrument,
            units,
            first: of.start.0,
            leased: vec![0; usize::try_from(of.hours()).unwrap_or(0)],
        });
    }

    /// Takes in the answer to a command.
    pub(super) fn learn(&mut self, about: About, events: &[Event]) {
        self.tally.commands += 1;
        if let About::Placing(_) = about {
            self.tally.orders += 1;
        }
        for event in events {
            match &event.kind {
                EventKind::Accepted { order, .. } => self.accepted(about, *order, event.at),
                EventKind::Rejected(rejection) => {
                    *self.tally.rejected.entry(rejection.code()).or_default() += 1;
                    if let About::Placing(at) = about {
                        self.orders[at].rejected = Some(*rejection);
                    }
                }
                EventKind::Traded(trade) => self.traded(trade),
                EventKind::Leased { lease, .. } => self.leased(*lease),
                EventKind::Done { order, why } => self.done(*order, *why, event.at),
                EventKind::Settled(settled) => {
                    self.tally.settled_hours += 1;
                    self.tally.unit_minutes += settled.unit_minutes;
                    self.tally.paid += settled.paid;
                    self.tally.refunded += settled.refunded;
                    self.tally.fees += settled.fee;
                }
                EventKind::Corrected(corrected) => {
                    self.tally.unit_minutes += corrected.difference;
                    self.tally.paid += corrected.paid;
                    self.tally.refunded += corrected.refunded;
                    self.tally.fees += corrected.fee;
                }
                EventKind::Credited { amount, .. } => self.tally.credited += *amount,
                EventKind::InstrumentListed
                | EventKind::PoolOpened { .. }
                | EventKind::Disputed { .. }
                | EventKind::Ruled { .. }
                | EventKind::HandedBack { .. }
                | EventKind::RulesSet { .. }
                | EventKind::Halted { .. }
                | EventKind::Related { .. }
                | EventKind::Defaulted { .. }
                | EventKind::Posted(_) => {}
            }
        }
    }

    fn accepted(&mut self, about: About, order: OrderId, when: Timestamp) {
        match about {
            About::Placing(at) => {
                let fate = &mut self.orders[at];
                fate.order = Some(order);
                fate.prices.push((when, fate.placed.price));
                self.by_order.insert(order, at);
            }
            About::Price(at, price) => self.orders[at].prices.push((when, price)),
            About::Other => {}
        }
    }

    fn traded(&mut self, trade: &Trade) {
        let unit_hours = trade.units * trade.period.hours();
        self.tally.trades += 1;
        self.tally.unit_hours += unit_hours;
        self.tally.turnover += Money::exact(trade.price.times(trade.units, trade.period.hours()));
        if let Some(at) = self.by_order.get(&trade.buy) {
            self.orders[*at].traded += trade.units;
        }
        if let Some(at) = self.by_order.get(&trade.sell) {
            self.orders[*at].traded += unit_hours;
        }
        let pool = self
            .calendars
            .iter_mut()
            .find(|known| known.pool == trade.pool);
        if let Some(pool) = pool {
            for hour in trade.period.each() {
                let at = usize::try_from(hour.0 - pool.first).ok();
                if let Some(leased) = at.and_then(|at| pool.leased.get_mut(at)) {
                    *leased += trade.units;
                }
            }
        }
        self.last_trade = Some(*trade);
    }

    fn leased(&mut self, lease: LeaseId) {
        // A lease comes right after the trade that made it.
        let Some(trade) = self.last_trade.take() else {
            return;
        };
        self.running.push(Running {
            lease,
            at: usize::try_from(self.tally.leases).unwrap_or(0),
            units: trade.units,
            period: trade.period,
        });
        self.tally.leases += 1;
    }

    fn done(&mut self, order: OrderId, why: DoneWhy, when: Timestamp) {
        let Some(at) = self.by_order.get(&order).copied() else {
            return;
        };
        self.orders[at].done = Some((when, why));
        let fate = &self.orders[at];
        if !fate.is_bid() || why == DoneWhy::Filled {
            return;
        }
        let reason = match why {
            DoneWhy::Cancelled => "cancelled",
            DoneWhy::SelfTrade => "self_trade",
            DoneWhy::Expired | DoneWhy::Unfilled if self.has_room_for(fate) => "price",
            DoneWhy::Expired | DoneWhy::Unfilled => "scarcity",
            DoneWhy::Filled | DoneWhy::Bond => why.code(),
        };
        self.tally.partly_filled += i64::from(fate.traded > 0);
        *self.tally.unfilled.entry(reason).or_default() += 1;
    }

    /// Whether pools had what was left of a bid free in all its hours, whatever they ask for it: a
    /// pool the smallest fill, or all pools together the whole of a FOK.
    fn has_room_for(&self, bid: &Fate) -> bool {
        let placed = &bid.placed;
        let Side::Buy {
            target: Target::Instruments(instruments),
            min_fill,
            ..
        } = &placed.side
        else {
            return false;
        };
        let pools = self.calendars.iter();
        let free = pools
            .filter(|pool| instruments.contains(&pool.instrument))
            .map(|pool| pool.least_free(placed));
        let least = min_fill.unwrap_or(1);
        let fills = free.filter(|free| *free >= least);
        match placed.tif {
            TimeInForce::Fok => fills.sum::<i64>() >= placed.units,
            TimeInForce::Gtc | TimeInForce::Gtd { .. } | TimeInForce::Ioc => {
                fills.max().is_some_and(|free| free > 0)
            }
        }
    }
}

impl Calendar {
    fn least_free(&self, placed: &PlaceOrder) -> i64 {
        let hours = placed.start.hour().0..placed.end.hour().0;
        let leased = hours.map(|hour| {
            let at = usize::try_from(hour - self.first).ok();
            at.and_then(|at| self.leased.get(at))
                .copied()
                .unwrap_or(self.units)
        });
        self.units - leased.max().unwrap_or(self.units)
    }
}
