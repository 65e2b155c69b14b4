//! Settlement: what was delivered in an hour is paid, what was not is refunded, and a service
//! level not kept is credited at the lease's end (MATCHING, Money and With rules).

use crate::command::Delivered;
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
        let (frozen, awarded) = self.out_of_escrow(id, hour);
        let lease = &mut self.leases[index(id.0)];
        let price = lease.hour_price() - awarded;
        let earned = floor_div(lease.price.times(unit_minutes, 1), HOUR_MINUTES.into());
        // What a ruling awarded of the hour comes off what it earns first, then off the refund.
        let earned = (earned - awarded).max(Money::ZERO);
        let refunded = price - earned;
        let place = lease.index(hour).expect("an hour of the lease");
        assert!(!lease.settled[place], "lease {id} settles each hour once");
        lease.settled[place] = true;
        lease.delivered += unit_minutes;
        lease.earned += earned;
        lease.escrow -= price - frozen;
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
        let kept = paid.min(frozen);
        if let Some(until) = payable_until {
            self.change_payable(until, provider, paid - kept);
        }
        if frozen > Money::ZERO {
            self.keep_earned(id, hour, kept, payable_until);
        }
        let lines = [
            (Account::of(holder, AccountKind::Escrow), frozen - price),
            (Account::of(provider, AccountKind::Dispute), kept - frozen),
            (Account::of(provider, to), paid - kept),
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
            self.open_leases.remove(&id);
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
        let free = due.min(lease.bond);
        let (holder, provider) = (lease.holder, lease.provider);
        let mut thawed = Money::ZERO;
        if let Some(frozen) = self.frozen_parts(id) {
            // A frozen bond is the lease's still: the credit is the holder's whatever is ruled.
            thawed = (due - free).min(frozen.bond);
            frozen.bond -= thawed;
        }
        let amount = free + thawed;
        if amount == Money::ZERO {
            return;
        }
        self.leases[index(id.0)].credited = amount;
        self.change_bond(id, -free);
        self.emit(
            out,
            EventKind::Credited {
                lease: id,
                holder,
                amount,
            },
        );
        let lines = [
            (Account::of(provider, AccountKind::Bond), -free),
            (Account::of(provider, AccountKind::Dispute), -thawed),
            (Account::of(holder, AccountKind::Cash), amount),
        ];
        self.post(out, Reason::Credit(id), &lines);
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
