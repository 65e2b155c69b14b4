//! Pools: one provider's capacity, and the calendar of what of it is leased.

use std::collections::BTreeSet;

use crate::command::{Access, OpenPool};
use crate::id::{InstrumentId, OrderId, ParticipantId, PoolId};
use crate::steps::Steps;
use crate::time::{Hour, Period, Timestamp};

/// A provider's homogeneous capacity of one grade at one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its number.
    pub id: PoolId,
    /// The provider.
    pub participant: ParticipantId,
    /// What a unit of it is.
    pub instrument: InstrumentId,
    /// How many units it has in each hour.
    pub units: i64,
    /// The hours in which it has them.
    pub period: Period,
    /// How soon its units can be used.
    pub access: Access,
    /// The first of its hours that could still be leased when it was opened.
    pub first_hour: Hour,
    /// Its open asks.
    pub asks: BTreeSet<OrderId>,
    /// Open asks that sell a lease of it on.
    pub(crate) resales: BTreeSet<OrderId>,
    /// Leased units by hour.
    leased: Steps,
}

impl Pool {
    /// A pool of which nothing is leased, opened at this instant for this period of its terms.
    pub(crate) fn new(terms: &OpenPool, period: Period, opened_at: Timestamp) -> Self {
        Self {
            id: terms.pool,
            participant: terms.participant,
            instrument: terms.instrument,
            units: terms.units,
            period,
            access: terms.access,
            first_hour: period.start.max(opened_at.hour()),
            asks: BTreeSet::new(),
            resales: BTreeSet::new(),
            leased: Steps::default(),
        }
    }

    /// Units that leases hold in this hour.
    pub fn leased_in(&self, hour: Hour) -> i64 {
        self.leased.at(hour)
    }

    /// Units that no lease holds in this hour.
    pub fn free_in(&self, hour: Hour) -> i64 {
        self.units - self.leased_in(hour)
    }

    /// The fewest free units in any hour of a period.
    pub fn least_free(&self, period: Period) -> i64 {
        self.units - self.leased.most(period)
    }

    /// The free units in stretches of a period.
    pub(crate) fn free_by_stretch(
        &self,
        period: Period,
    ) -> impl Iterator<Item = (Period, i64)> + '_ {
        let leased = self.leased.pieces(period);
        leased.map(|(hours, units)| (hours, self.units - units))
    }

    /// Leases units in every hour of a period.
    ///
    /// # Panics
    /// When an hour has fewer free: nothing is ever sold twice.
    pub(crate) fn lease(&mut self, period: Period, units: i64) {
        self.leased.add(period, units);
        assert!(
            self.leased.most(period) <= self.units,
            "pool {} has {} units",
            self.id,
            self.units
        );
    }

    /// Takes back units of an hour that were leased.
    pub(crate) fn give_back(&mut self, hour: Hour, units: i64) {
        self.leased.add(hour.alone(), -units);
    }
}
