//! Pools: one provider's capacity, and the calendar of what of it is leased.

use std::collections::BTreeSet;

use crate::command::OpenPool;
use crate::id::{InstrumentId, OrderId, ParticipantId, PoolId};
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
    /// The first of its hours that could still be leased when it was opened.
    pub first_hour: Hour,
    /// Its open asks.
    pub asks: BTreeSet<OrderId>,
    /// Leased units by hour, from `first_hour`.
    leased: Vec<i64>,
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
            first_hour: period.start.max(opened_at.hour()),
            asks: BTreeSet::new(),
            leased: Vec::new(),
        }
    }

    /// Units that leases hold in this hour.
    pub fn leased_in(&self, hour: Hour) -> i64 {
        usize::try_from(hour.0 - self.first_hour.0)
            .ok()
            .and_then(|index| self.leased.get(index))
            .copied()
            .unwrap_or(0)
    }

    /// Units that no lease holds in this hour.
    pub fn free_in(&self, hour: Hour) -> i64 {
        self.units - self.leased_in(hour)
    }

    /// The fewest free units in any hour of a period.
    pub fn least_free(&self, period: Period) -> i64 {
        period
            .each()
            .map(|hour| self.free_in(hour))
            .min()
            .unwrap_or(0)
    }

    /// Leases units in every hour of a period.
    ///
    /// # Panics
    /// When an hour has fewer free: nothing is ever sold twice.
    pub(crate) fn lease(&mut self, period: Period, units: i64) {
        for hour in period.each() {
            let index = usize::try_from(hour.0 - self.first_hour.0)
                .expect("what is leased has not begun when the pool is opened");
            if self.leased.len() <= index {
                self.leased.resize(index + 1, 0);
            }
            self.leased[index] += units;
            assert!(
                self.leased[index] <= self.units,
                "pool {} has {} units in {hour}",
                self.id,
                self.units
            );
        }
    }

    /// Takes back units of an hour that were leased.
    pub(crate) fn give_back(&mut self, hour: Hour, units: i64) {
        let index =
            usize::try_from(hour.0 - self.first_hour.0).expect("what is given back has not begun");
        self.leased[index] -= units;
    }
}
