//! Leases: what a trade obliges, and how much of it has been settled.

use std::collections::BTreeMap;

use crate::id::{LeaseId, OrderId, ParticipantId, PoolId, TradeId};
use crate::money::{Money, WHOLE_BPS, floor_div};
use crate::time::{HOUR_MINUTES, Hour, Period, Timestamp};

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
    /// How many units were traded, in each hour.
    pub units: i64,
    /// Which hours.
    pub period: Period,
    /// Per unit-hour: what the holder pays.
    pub price: Money,
    /// The lease out of which it was resold.
    pub parent: Option<LeaseId>,
    /// Who resold it on its way from the provider to the holder, the first reseller first.
    pub links: Vec<Link>,
    /// How many units it still has in each hour: what was resold or handed back is gone.
    pub held: Vec<i64>,
    /// Minutes of its first hour that were gone when it was traded: nobody owes or pays them.
    pub late_minutes: i64,
    /// The rule set under which it was traded.
    pub rules: i64,
    /// The seller's share-of-payment fee, in basis points.
    pub fee_bps: i64,
    /// The seller's flat fee, per delivered unit-hour.
    pub fee_flat: Money,
    /// The buyer's fee as a share of the price of what is delivered, in basis points.
    pub buyer_fee_bps: i64,
    /// The buyer's flat fee, per delivered unit-hour.
    pub buyer_fee_flat: Money,
    /// Its place among orders and leases in what falls due.
    pub acceptance: i64,
    /// When it was traded.
    pub traded_at: Timestamp,
    /// What of the holder's escrow is still for this lease's price; what a dispute froze is not
    /// there. The buyer's fee is in escrow beside it: see [`Lease::fee_held`].
    pub escrow: Money,
    /// What of the provider's bond is still for this lease; what a dispute froze is not there.
    pub bond: Money,
    /// Delivered so far, in unit-minutes.
    pub delivered: i64,
    /// What of the rest was declared maintenance, in unit-minutes, in the hours that had some. How
    /// much of it is excused depends on all that is owed: see [`Market::excused`].
    ///
    /// [`Market::excused`]: crate::Market::excused
    pub maintenance: BTreeMap<Hour, i64>,
    /// Earned so far by the seller of its trade, before the fee.
    pub earned: Money,
    /// The seller's fee taken so far.
    pub fee: Money,
    /// The buyer's fee taken so far.
    pub buyer_fee: Money,
    /// Whether each hour is settled.
    pub settled: Vec<bool>,
    /// What each settled hour counts as delivered, in unit-minutes; 0 of the others.
    pub counted: Vec<i64>,
    /// What was credited at its end.
    pub credited: Money,
    /// The first hour that it lacks since its provider failed.
    pub failed_from: Option<Hour>,
}

/// A resale on the way from the provider to the holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Who resold.
    pub reseller: ParticipantId,
    /// For what they had bought, per unit-hour.
    pub bought: Money,
    /// For what they sold, per unit-hour.
    pub sold: Money,
}

impl Link {
    /// What the reseller earns by a delivered unit-hour.
    pub fn gain(self) -> Money {
        (self.sold - self.bought).max(Money::ZERO)
    }

    /// What the reseller left in escrow for a unit-hour.
    pub fn left(self) -> Money {
        (self.bought - self.sold).max(Money::ZERO)
    }
}

/// What the minutes of an hour are worth to those on a lease, fees aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shares {
    /// To the provider.
    pub(crate) provider: Money,
    /// To each reseller: earned, and left in escrow by them and now back.
    pub(crate) resellers: Vec<(ParticipantId, Money, Money)>,
    /// Back to the holder.
    pub(crate) holder: Money,
}

impl Shares {
    /// What is earned by the seller of the trade: the last reseller, else the provider.
    pub(crate) fn of_seller(&self) -> Money {
        let reseller = self.resellers.last();
        reseller.map_or(self.provider, |(_, gain, _)| *gain)
    }
}

impl Lease {
    /// What the provider gets by a delivered unit-hour: the first price of the chain.
    pub fn first_price(&self) -> Money {
        self.links.first().map_or(self.price, |link| link.bought)
    }

    /// The units that it has in an hour.
    pub fn held_in(&self, hour: Hour) -> i64 {
        self.index(hour).map_or(0, |index| self.held[index])
    }

    /// The units that it has in an hour and that are to be delivered still.
    pub fn open_in(&self, hour: Hour) -> i64 {
        if self.is_settled(hour) {
            0
        } else {
            self.held_in(hour)
        }
    }

    /// The units of its pool that it takes up in an hour.
    pub fn occupies(&self, hour: Hour) -> i64 {
        if self.failed_from.is_some_and(|from| hour >= from) {
            0
        } else {
            self.held_in(hour)
        }
    }

    /// How many unit-hours it has.
    pub fn unit_hours(&self) -> i64 {
        self.held.iter().sum()
    }

    /// How many unit-hours of it are not settled.
    pub(crate) fn to_come(&self) -> i64 {
        self.unsettled().map(|hour| self.held_in(hour)).sum()
    }

    /// Its price: what all the hours that it has cost.
    pub fn total(&self) -> Money {
        self.period.each().map(|hour| self.hour_price(hour)).sum()
    }

    /// What one hour costs; less than a whole one where minutes were gone, rounded down.
    pub fn hour_price(&self, hour: Hour) -> Money {
        let minutes = i128::from(self.hour_minutes(hour));
        floor_div(
            i128::from(self.price.0).saturating_mul(minutes),
            HOUR_MINUTES.into(),
        )
    }

    /// What a claim against the provider can be about in one hour: not what resellers earn of it.
    pub fn claimable(&self, hour: Hour) -> Money {
        if self.links.is_empty() {
            return self.hour_price(hour);
        }
        let price = self.price.min(self.first_price());
        Money::exact(price.times(self.held_in(hour), 1))
    }

    /// The unit-minutes that one hour owes.
    pub fn hour_minutes(&self, hour: Hour) -> i64 {
        let gone = if hour == self.period.start {
            self.late_minutes
        } else {
            0
        };
        self.held_in(hour) * (HOUR_MINUTES - gone)
    }

    /// The unit-minutes that all its hours owe.
    pub fn promised(&self) -> i64 {
        self.period.each().map(|hour| self.hour_minutes(hour)).sum()
    }

    /// What of the holder's escrow is for the buyer's fee: that of all that can still be delivered.
    pub fn fee_held(&self) -> Money {
        let open = self.unsettled().map(|hour| self.hour_minutes(hour));
        self.buyer_fee_of(self.delivered + open.sum::<i64>()) - self.buyer_fee
    }

    /// What of the buyer's fee comes back when so many unit-hours are parted with.
    pub(crate) fn fee_freed(&self, unit_hours: i64) -> Money {
        let open = self.unsettled().map(|hour| self.hour_minutes(hour));
        let all = self.delivered + open.sum::<i64>();
        self.buyer_fee_of(all) - self.buyer_fee_of(all - unit_hours * HOUR_MINUTES)
    }

    /// The buyer's fee on so many unit-minutes, rounded down.
    pub(crate) fn buyer_fee_of(&self, unit_minutes: i64) -> Money {
        let rate = fee_rate(self.price, self.buyer_fee_bps, self.buyer_fee_flat);
        let fee = rate.saturating_mul(unit_minutes.into());
        floor_div(fee, FEE_PARTS)
    }

    /// What resellers left in escrow for hours that are not settled.
    pub fn left(&self) -> impl Iterator<Item = (ParticipantId, Money)> + '_ {
        let open: i64 = self.unsettled().map(|hour| self.held_in(hour)).sum();
        let links = self.links.iter();
        links.map(move |link| (link.reseller, Money::exact(link.left().times(open, 1))))
    }

    /// The unit-minutes that a settled hour counts; none of one that is not settled.
    pub fn delivered_in(&self, hour: Hour) -> Option<i64> {
        let index = self.index(hour)?;
        self.settled[index].then(|| self.counted[index])
    }

    /// Whether this hour is settled; hours outside it are not.
    pub fn is_settled(&self, hour: Hour) -> bool {
        self.index(hour).is_some_and(|index| self.settled[index])
    }

    /// Whether every hour that it has is settled.
    pub fn is_ended(&self) -> bool {
        self.first_unsettled().is_none()
    }

    /// The earliest hour that is not settled.
    pub fn first_unsettled(&self) -> Option<Hour> {
        self.unsettled().next()
    }

    /// The hours that it has and that are not settled.
    pub fn unsettled(&self) -> impl Iterator<Item = Hour> + '_ {
        let hours = self.period.each().zip(self.held.iter().zip(&self.settled));
        hours
            .filter(|(_, (held, settled))| **held > 0 && !**settled)
            .map(|(hour, _)| hour)
    }

    /// The place of an hour among its hours.
    pub(crate) fn index(&self, hour: Hour) -> Option<usize> {
        self.period.contains(hour).then(|| {
            usize::try_from(hour.0 - self.period.start.0).expect("an hour of it is not before it")
        })
    }

    /// Takes units out of hours that it has.
    pub(crate) fn part_with(&mut self, period: Period, units: i64) {
        for hour in period.each() {
            let index = self.index(hour).expect("what is parted with is had");
            self.held[index] -= units;
            assert!(self.held[index] >= 0, "lease {} has what it gives", self.id);
        }
    }

    /// How an hour's minutes share it out, of which `awarded` is gone by a ruling: that comes off
    /// what the provider earns first, then off what comes back to the holder.
    pub(crate) fn share_out(&self, hour: Hour, unit_minutes: i64, awarded: Money) -> Shares {
        let minutes = i128::from(unit_minutes);
        let earned = |price: Money| floor_div(i128::from(price.0) * minutes, HOUR_MINUTES.into());
        let whole = i128::from(self.held_in(hour)) * i128::from(HOUR_MINUTES);
        let back =
            |left: Money| floor_div(i128::from(left.0) * (whole - minutes), HOUR_MINUTES.into());
        let provider = (earned(self.first_price()) - awarded).max(Money::ZERO);
        let links = self.links.iter();
        let resellers: Vec<(ParticipantId, Money, Money)> = links
            .map(|link| (link.reseller, earned(link.gain()), back(link.left())))
            .collect();
        let left: Money = self.left_in(hour).map(|(_, left)| left).sum();
        let paid: Money = resellers.iter().map(|(_, gain, back)| *gain + *back).sum();
        Shares {
            provider,
            resellers,
            holder: self.hour_price(hour) + left - awarded - provider - paid,
        }
    }

    /// What each reseller left in escrow for an hour.
    pub(crate) fn left_in(&self, hour: Hour) -> impl Iterator<Item = (ParticipantId, Money)> + '_ {
        let held = self.held_in(hour);
        let links = self.links.iter();
        links.map(move |link| (link.reseller, Money::exact(link.left().times(held, 1))))
    }
}

/// The part of 1/10,000 yuan in which fees of a unit-minute are whole.
pub(crate) const FEE_PARTS: i128 = 600_000;

/// A fee of one unit-minute at a price, in [`FEE_PARTS`]. A flat part can be absurd, so the type is
/// wide.
pub(crate) fn fee_rate(price: Money, bps: i64, flat: Money) -> i128 {
    i128::from(price.0) * i128::from(bps) + i128::from(flat.0) * i128::from(WHOLE_BPS)
}
