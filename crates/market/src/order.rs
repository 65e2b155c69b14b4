//! Orders: what was asked, and what has come of it.

use std::sync::Arc;

use crate::command::{Access, Flexible, PlaceOrder, Side, Target, TimeInForce, Weekly};
use crate::event::DoneWhy;
use crate::id::{InstrumentId, LeaseId, OrderId, ParticipantId, PoolId};
use crate::money::Money;
use crate::rules::Fees;
use crate::steps::Steps;
use crate::time::{HOUR_MINUTES, Hour, Period, Timestamp};

/// An accepted order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its number.
    pub id: OrderId,
    /// Its terms when it was first sent, by which a retry is recognised.
    pub placed: PlaceOrder,
    /// The instruments in whose books it stands: several only for a bid. Orders of one alone share
    /// it.
    pub instruments: Arc<[InstrumentId]>,
    /// The pool that an ask's units are in, or that a bid is pinned to.
    pub pool: Option<PoolId>,
    /// How soon that pool's units can be used.
    pub access: Access,
    /// The rule set under which it was last accepted.
    pub rules: i64,
    /// Minutes of its first hour that were gone at its acceptance.
    pub late_minutes: i64,
    /// How many minutes before its last start a bid expires that rests and is pinned to a pool
    /// whose units have to be prepared.
    pub gate_minutes: i32,
    /// The smallest number of units in which it trades.
    pub lot: i64,
    /// The delivery period.
    pub period: Period,
    /// The total, in units; a replacement changes it.
    pub units: i64,
    /// The limit per unit-hour; a replacement changes it.
    pub price: Money,
    /// Its place among orders and leases; a replacement may move it to the end.
    pub acceptance: i64,
    /// When it was last accepted.
    pub accepted_at: Timestamp,
    /// A bid's traded units. Of an ask, what is sold differs by hour: see `sold`.
    pub filled: i64,
    /// What the bid still holds of its participant's money.
    pub held: Money,
    /// An ask's sold units by hour.
    pub sold: Steps,
    /// The first hour that an ask could still sell when it was placed.
    pub first_hour: Hour,
    /// Whether it stands in its books.
    pub(crate) rests: bool,
    /// Why nothing more comes of it; `None` while it is open.
    pub done: Option<DoneWhy>,
}

impl Order {
    /// Whether these are the terms that it was first sent with, in whatever words: instruments in
    /// another order, or the smallest fill named where it is the lot anyway.
    pub(crate) fn has_terms(&self, placed: &PlaceOrder) -> bool {
        let plain = |placed: &PlaceOrder| {
            let mut plain = placed.clone();
            if let Side::Buy {
                target, min_fill, ..
            } = &mut plain.side
            {
                min_fill.get_or_insert(self.lot);
                if let Target::Instruments(instruments) = target {
                    instruments.sort_unstable();
                    instruments.dedup();
                }
            }
            plain
        };
        plain(&self.placed) == plain(placed)
    }

    /// Whose it is.
    pub fn participant(&self) -> ParticipantId {
        self.placed.participant
    }

    /// Whether it is a bid.
    pub fn is_bid(&self) -> bool {
        matches!(self.placed.side, Side::Buy { .. })
    }

    /// The pool that an ask's units are in, or that a bid is pinned to.
    pub fn pool(&self) -> Option<PoolId> {
        self.pool
    }

    /// The lease that an ask sells on.
    pub fn resold(&self) -> Option<LeaseId> {
        match self.placed.side {
            Side::Resell { lease, .. } => Some(lease),
            Side::Sell { .. } | Side::Buy { .. } => None,
        }
    }

    /// An ask's weekly tariff and the shortest period that it sells; `None` of a bid.
    pub fn tariff(&self) -> Option<(Option<&Weekly>, i64)> {
        match &self.placed.side {
            Side::Sell {
                min_hours, weekly, ..
            }
            | Side::Resell {
                min_hours, weekly, ..
            } => Some((weekly.as_ref(), *min_hours)),
            Side::Buy { .. } => None,
        }
    }

    /// Whether an ask's period and weekly tariff have this hour.
    pub fn holds_in(&self, hour: Hour) -> bool {
        let on_tariff = |(weekly, _): (Option<&Weekly>, i64)| {
            weekly.is_none_or(|weekly| weekly.holds(hour.of_week()))
        };
        self.period.contains(hour) && self.tariff().is_some_and(on_tariff)
    }

    /// What a bid needs for so many units under these fees: price and fee, each rounded up. It may
    /// be absurd, so the type is wide.
    pub(crate) fn need(&self, units: i64, fees: Fees) -> i128 {
        let minutes = self.hours() * HOUR_MINUTES - self.late_minutes;
        fees.need(self.price, units, minutes)
    }

    /// The hours that a bid wants inside its period, where those are not all.
    pub fn flexible(&self) -> Option<Flexible> {
        match &self.placed.side {
            Side::Buy { flexible, .. } => *flexible,
            Side::Sell { .. } | Side::Resell { .. } => None,
        }
    }

    /// Whether a bid may be had in several runs: then it never rests.
    pub(crate) fn is_splittable(&self) -> bool {
        self.flexible().is_some_and(|flexible| flexible.splittable)
    }

    /// How many hours a bid wants.
    pub fn hours(&self) -> i64 {
        let wanted = self.flexible().map(|flexible| flexible.duration);
        wanted.unwrap_or(self.period.hours())
    }

    /// The hour with which a bid begins at the latest.
    pub fn last_start(&self) -> Hour {
        Hour(self.period.end.0 - self.hours())
    }

    /// A bid's units that have not traded.
    pub fn remaining(&self) -> i64 {
        self.units - self.filled
    }

    /// The least offer with which a bid can trade while so many units of it remain (MATCHING, Fill):
    /// `min_fill`, but all of the rest where less would strand some.
    pub(crate) fn least_offer(&self, remaining: i64) -> i64 {
        let min_fill = self.min_fill();
        if remaining < min_fill {
            i64::MAX
        } else if remaining - min_fill >= min_fill {
            min_fill
        } else {
            remaining
        }
    }

    /// No fill of a bid is smaller.
    pub fn min_fill(&self) -> i64 {
        match &self.placed.side {
            Side::Buy { min_fill, .. } => min_fill.unwrap_or(self.lot),
            Side::Sell { .. } | Side::Resell { .. } => self.lot,
        }
    }

    /// Whether an ask sells this whole period: every hour within its own, on its weekly tariff,
    /// and not shorter than it allows.
    pub fn sells(&self, period: Period) -> bool {
        let Some((weekly, min_hours)) = self.tariff() else {
            return false;
        };
        self.period.covers(period)
            && period.hours() >= min_hours
            && weekly.is_none_or(|weekly| weekly.covers(period))
    }

    /// What an ask has sold of this hour.
    pub fn sold_in(&self, hour: Hour) -> i64 {
        self.sold.at(hour)
    }

    /// Counts units that a bid has bought. The runs of a splittable one, all of which it buys at
    /// once, have the same units.
    pub(crate) fn count_bought(&mut self, units: i64) {
        self.filled = if self.is_splittable() {
            self.units
        } else {
            self.filled + units
        };
    }

    /// Counts units of an ask as sold in every hour of a period.
    pub(crate) fn sell(&mut self, period: Period, units: i64) {
        self.sold.add(period, units);
    }

    /// The fewest units that an ask has sold of any hour that it covers; a bid's traded units.
    pub fn least_sold(&self) -> i64 {
        if self.is_bid() {
            return self.filled;
        }
        let covered = |hour: &Hour| self.holds_in(*hour);
        // Hours that were over when it was placed were never sold; one week shows them all.
        let gone = Period {
            start: self.period.start,
            end: self.first_hour,
        };
        let mut gone = gone.each().take(168);
        if gone.any(|hour| covered(&hour)) {
            return 0;
        }
        if let Some((None, _)) = self.tariff() {
            return self.sold.least(self.open_hours());
        }
        let stretches = self.sold.pieces(self.open_hours());
        let covered =
            stretches.filter(|(hours, _)| hours.each().take(168).any(|hour| covered(&hour)));
        covered.map(|(_, sold)| sold).min().unwrap_or(0)
    }

    /// Whether all of it has traded.
    pub fn is_filled(&self) -> bool {
        let unsold_at_first = !self.is_bid() && self.sold.is_empty();
        !unsold_at_first && self.least_sold() >= self.units
    }

    /// When it expires: a bid when it closes, an ask at its end, each earlier where a date says so.
    ///
    /// A bid accepted at its very start rests for what else comes at that instant, so it expires
    /// with the next one (MATCHING, Time).
    pub fn expires(&self) -> Timestamp {
        let last = if !self.is_bid() {
            self.period.end.begins()
        } else if self.was_accepted_at_its_start() {
            Timestamp(self.accepted_at.0 + 1)
        } else {
            self.closes()
        };
        match self.placed.tif {
            TimeInForce::Gtd { until } => last.min(until),
            TimeInForce::Gtc | TimeInForce::Ioc | TimeInForce::Fok => last,
        }
    }

    /// Its place among what falls due at the instant at which it expires: that of its acceptance,
    /// but before all others where its time was over the instant before.
    pub(crate) fn due_place(&self) -> i64 {
        if self.is_bid() && self.was_accepted_at_its_start() {
            self.acceptance - i64::MAX
        } else {
            self.acceptance
        }
    }

    fn was_accepted_at_its_start(&self) -> bool {
        self.accepted_at >= self.closes()
    }

    /// The last instant at which a bid can trade: that of its last start, less the gate's minutes.
    pub(crate) fn closes(&self) -> Timestamp {
        self.last_start()
            .begins()
            .plus_minutes(-i64::from(self.gate_minutes))
    }
}
