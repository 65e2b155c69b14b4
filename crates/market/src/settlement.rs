//! Settlement: what was delivered in an hour is paid, what was not is refunded, and a service
//! level not kept is credited at the lease's end (MATCHING, Money and With rules).

use crate::command::Delivered;
use crate::due::{Due, LAST};
use crate::event::{Event, EventKind, Settled};
use crate::id::LeaseId;
use crate::ledger::{Account, AccountKind, Reason};
use crate::money::{Money, WHOLE_BPS, floor_div};
use crate::rejection::Rejection;
use crate::state::{Market, index};
use crate::time::{HOUR_MINUTES, Hour, Timestamp};

impl Market {
    /// Settles an hour by what was delivered in it.
    pub(crate) fn deliver(
        &mut self,
        id: LeaseId,
        hour: Timestamp,
        delivered: Delivered,
        out: &mut Vec<Event>,
    ) -> Result<(), Rejection> {
        let lease = self.lease(id).ok_or(Rejection::UnknownLease)?;
        let hour = hour
            .on_the_hour()
            .filter(|hour| lease.period.contains(*hour))
            .ok_or(Rejection::OutsideLease)?;
        if hour.ends() > self.now {
            return Err(Rejection::HourNotOver);
        }
        if lease.is_settled(hour) {
            return Err(Rejection::AlreadySettled);
        }
        let unit_minutes = match delivered {
            Delivered::Minutes(minutes) => minutes.checked_mul(lease.units),
            Delivered::UnitMinutes(unit_minutes) => Some(unit_minutes),
        };
        let unit_minutes = unit_minutes
            .filter(|minutes| (0..=lease.hour_minutes()).contains(minutes))
            .ok_or(Rejection::BadMinutes)?;
        self.settle(id, hour, unit_minutes, out);
        Ok(())
    }

    /// Pays and refunds an unsettled hour; ends the lease with its last one.
    pub(crate) fn settle(
        &mut self,
        id: LeaseId,
        hour: Hour,
        unit_minutes: i64,
        out: &mut Vec<Event>,
    ) {
        self.clear_deadline(id);
        let claim_window = self.rules.claim_window_hours;
        let payable_until =
            Some(hour.ends().plus_hours(claim_window)).filter(|until| *until > self.now);
        let lease = &mut self.leases[index(id.0)];
        let price = Money::exact(lease.price.times(lease.units, 1));
        let earned = floor_div(lease.price.times(unit_minutes, 1), HOUR_MINUTES.into());
        let refunded = price - earned;
        let place = lease.index(hour).expect("an hour of the lease");
        assert!(!lease.settled[place], "lease {id} settles each hour once");
        lease.settled[place] = true;
        lease.delivered += unit_minutes;
        lease.earned += earned;
        lease.escrow -= price;
        let running = running_fee(lease.earned, lease.fee_bps, lease.fee_flat, lease.delivered);
        // A flat fee may exceed what a cheap hour paid: the provider never pays to deliver.
        let fee = Money::exact((running - i128::from(lease.fee.0)).min(earned.0.into()));
        lease.fee += fee;
        let paid = earned - fee;
        let (holder, provider) = (lease.holder, lease.provider);
        let to = if payable_until.is_some() {
            AccountKind::Payable
        } else {
            AccountKind::Cash
        };
        if let Some(until) = payable_until.filter(|_| paid > Money::ZERO) {
            *self.payable.entry((until, provider)).or_default() += paid;
            self.due.insert((until, LAST, Due::Payout(provider)));
        }
        let lines = [
            (Account::of(holder, AccountKind::Escrow), -price),
            (Account::of(provider, to), paid),
            (Account::marketplace(AccountKind::Fees), fee),
            (Account::of(holder, AccountKind::Cash), refunded),
        ];
        let mut posted = Vec::new();
        let entry = self.post(&mut posted, Reason::Settlement(id), &lines);
        let settled = Settled {
            lease: id,
            hour,
            unit_minutes,
            paid,
            refunded,
            fee,
            payable_until,
            entry,
        };
        self.emit(out, EventKind::Settled(settled));
        out.append(&mut posted);
        self.set_deadline(id);
        if self.leases[index(id.0)].is_ended() {
            self.credit(id, out);
        }
    }

    /// Credits the holder when the service level was not kept, from the lease's bond.
    fn credit(&mut self, id: LeaseId, out: &mut Vec<Event>) {
        let lease = &self.leases[index(id.0)];
        assert!(
            lease.escrow == Money::ZERO,
            "an ended lease {id} has no escrow"
        );
        let instrument = self.pools[&lease.pool].instrument;
        let level = self.instruments[&instrument].service_level();
        let bps = self
            .rules
            .credit_bps(level, lease.delivered, lease.promised());
        let due = floor_div(
            i128::from(lease.total().0) * i128::from(bps),
            WHOLE_BPS.into(),
        );
        let amount = due.min(lease.bond);
        if amount == Money::ZERO {
            return;
        }
        let (holder, provider) = (lease.holder, lease.provider);
        let lease = &mut self.leases[index(id.0)];
        lease.bond -= amount;
        lease.credited = amount;
        if lease.bond == Money::ZERO {
            let free = lease
                .period
                .end
                .begins()
                .plus_hours(self.rules.claim_window_hours);
            self.due
                .remove(&(free, lease.acceptance, Due::BondRelease(id)));
        }
        let bond = Account::of(provider, AccountKind::Bond);
        let cash = Account::of(holder, AccountKind::Cash);
        self.emit(
            out,
            EventKind::Credited {
                lease: id,
                holder,
                amount,
            },
        );
        self.post(out, Reason::Credit(id), &[(bond, -amount), (cash, amount)]);
    }
}

/// The seller's fee on all that a lease has earned so far, rounded down once on the total, so
/// that rounding never adds up: a share of what was earned and a flat part a delivered unit-hour.
/// A flat part can be absurd, so the type is wide.
fn running_fee(earned: Money, bps: i64, flat: Money, delivered: i64) -> i128 {
    let share = i128::from(earned.0) * i128::from(bps) * i128::from(HOUR_MINUTES);
    let flat = flat.times(delivered, WHOLE_BPS);
    share
        .saturating_add(flat)
        .div_euclid(i128::from(WHOLE_BPS) * i128::from(HOUR_MINUTES))
}
