//! Positions: what participants have still to come of each instrument, where the rules limit it.
//!
//! They are sums that follow each order and lease while a rule set with a limit holds, so that a bid
//! costs the same however many orders its participant has; without a limit there are none. They
//! follow from orders and leases: when a limit begins to hold they are counted anew.

use std::collections::BTreeMap;

use crate::id::{InstrumentId, LeaseId, OrderId, ParticipantId};
use crate::order::Order;
use crate::rejection::Rejection;
use crate::state::{Market, index};

/// Unit-hours by instrument, of each group of participants that belong together: by the lowest of
/// them. What is none is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Positions(BTreeMap<(ParticipantId, InstrumentId), i128>);

impl Positions {
    fn add(&mut self, group: ParticipantId, instrument: InstrumentId, unit_hours: i128) {
        let sum = self.0.entry((group, instrument)).or_default();
        *sum += unit_hours;
        if *sum == 0 {
            self.0.remove(&(group, instrument));
        }
    }

    fn of(&self, group: ParticipantId, instrument: InstrumentId) -> i128 {
        self.0.get(&(group, instrument)).copied().unwrap_or(0)
    }
}

impl Market {
    /// Whether the rules admit what a bid would give its participant to come, with all who belong to
    /// it. So many units of it are counted already.
    pub(crate) fn admit_position(&self, bid: &Order, counted: i64) -> Result<(), Rejection> {
        let Some(positions) = self.positions.as_ref().filter(|_| bid.is_bid()) else {
            return Ok(());
        };
        let group = self.group(bid.participant());
        let units = i128::from(bid.remaining()) - i128::from(counted);
        let more = units.saturating_mul(bid.hours().into());
        let limit = i128::from(self.rules.limits.position_unit_hours);
        let mut instruments = bid.instruments.iter();
        if instruments.any(|one| positions.of(group, *one).saturating_add(more) > limit) {
            Err(Rejection::OverLimit)
        } else {
            Ok(())
        }
    }

    /// Adds units of a bid, in each of its hours, to its participant's position in each of its
    /// instruments.
    pub(crate) fn count_bid(&mut self, id: OrderId, units: impl FnOnce(&Order) -> i64) {
        let bid = &self.orders[index(id.0)];
        if self.positions.is_none() || !bid.is_bid() {
            return;
        }
        let group = self.group(bid.participant());
        let unit_hours = i128::from(units(bid)) * i128::from(bid.hours());
        if let Some(positions) = &mut self.positions {
            for instrument in bid.instruments.iter() {
                positions.add(group, *instrument, unit_hours);
            }
        }
    }

    /// Adds unit-hours of a lease to its holder's position.
    pub(crate) fn count_lease(&mut self, id: LeaseId, unit_hours: i64) {
        if self.positions.is_none() {
            return;
        }
        let lease = &self.leases[index(id.0)];
        let (group, pool) = (self.group(lease.holder), lease.pool);
        let instrument = self.pools[&pool].instrument;
        if let Some(positions) = &mut self.positions {
            positions.add(group, instrument, unit_hours.into());
        }
    }

    /// Counts all positions anew, if the rules in force limit them.
    pub(crate) fn count_positions(&mut self) {
        self.positions = self.rules.limits_positions().then(Positions::default);
        if self.positions.is_none() {
            return;
        }
        let orders = self.orders.iter().filter(|order| order.done.is_none());
        for bid in orders.map(|order| order.id).collect::<Vec<_>>() {
            self.count_bid(bid, Order::remaining);
        }
        for lease in self.open_leases.iter().copied().collect::<Vec<_>>() {
            let unit_hours = self.leases[index(lease.0)].to_come();
            self.count_lease(lease, unit_hours);
        }
    }

    /// What groups had each is the first one's from now on.
    pub(crate) fn join_positions(&mut self, groups: &[ParticipantId], first: ParticipantId) {
        let Some(positions) = &mut self.positions else {
            return;
        };
        for ((group, instrument), unit_hours) in std::mem::take(&mut positions.0) {
            let is_joined = groups.contains(&group);
            let group = if is_joined { first } else { group };
            positions.add(group, instrument, unit_hours);
        }
    }
}
