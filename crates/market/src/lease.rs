//! Leases: what a trade obliges, and how much of it has been settled.

use crate::id::{LeaseId, OrderId, ParticipantId, PoolId, TradeId};
use crate::money::Money;
use crate::time::{HOUR_MINUTES, Hour, Period};

/// A holder's right to units of a pool over a period, and its provider's duty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its number.
    pub id: LeaseId,
    /// The trade that made it.
    pub trade: TradeId,
    /// The bid of that trade.
    pub buy: OrderId,
    /// The ask of that trade.
    pub sell: OrderId,
    /// Who may use it.
    pub holder: ParticipantId,
    /// Who owes it.
    pub provider: ParticipantId,
    /// Where its units are.
    pub pool: PoolId,
    /// How many units in each hour.
    pub units: i64,
    /// Which hours.
    pub period: Period,
    /// Per unit-hour.
    pub price: Money,
    /// The rule set under which it was traded.
    pub rules: i64,
    /// The seller's share-of-payment fee, in basis points.
    pub fee_bps: i64,
    /// The seller's flat fee, per delivered unit-hour.
    pub fee_flat: Money,
    /// Its place among orders and leases in what falls due.
    pub acceptance: i64,
    /// What of the holder's escrow is still for this lease; what a dispute froze is not there.
    pub escrow: Money,
    /// What of the provider's bond is still for this lease; what a dispute froze is not there.
    pub bond: Money,
    /// Delivered so far, in unit-minutes.
    pub delivered: i64,
    /// Earned so far by the provider, before the fee.
    pub earned: Money,
    /// The fee taken so far.
    pub fee: Money,
    /// Whether each hour is settled.
    pub settled: Vec<bool>,
    /// What was credited at its end.
    pub credited: Money,
}

impl Lease {
    /// Its price: what all its hours cost.
    pub fn total(&self) -> Money {
        Money::exact(self.price.times(self.units, self.period.hours()))
    }

    /// What one hour costs.
    pub fn hour_price(&self) -> Money {
        Money::exact(self.price.times(self.units, 1))
    }

    /// The unit-minutes that one hour owes.
    pub fn hour_minutes(&self) -> i64 {
        self.units * HOUR_MINUTES
    }

    /// The unit-minutes that all its hours owe.
    pub fn promised(&self) -> i64 {
        self.hour_minutes() * self.period.hours()
    }

    /// Whether this hour is settled; hours outside it are not.
    pub fn is_settled(&self, hour: Hour) -> bool {
        self.index(hour).is_some_and(|index| self.settled[index])
    }

    /// Whether every hour is settled.
    pub fn is_ended(&self) -> bool {
        self.first_unsettled().is_none()
    }

    /// The earliest hour that is not settled.
    pub fn first_unsettled(&self) -> Option<Hour> {
        self.period
            .each()
            .zip(&self.settled)
            .find(|(_, settled)| !**settled)
            .map(|(hour, _)| hour)
    }

    /// The place of an hour among its hours.
    pub(crate) fn index(&self, hour: Hour) -> Option<usize> {
        self.period.contains(hour).then(|| {
            usize::try_from(hour.0 - self.period.start.0).expect("an hour of it is not before it")
        })
    }
}
