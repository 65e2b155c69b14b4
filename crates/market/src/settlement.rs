//! Settlement: what was delivered in an hour is paid, what was not is refunded, and a service
//! level not kept is credited at the lease's end (MATCHING, Money, Resale and With rules).

use crate::command::Delivered;
use crate::event::{Event, EventKind, Settled};
use crate::id::LeaseId;
use crate::lease::{FEE_PARTS, Lease, Shares, fee_rate};
use crate::ledger::{Account, AccountKind, Reason};
use crate::money::{Money, WHOLE_BPS, floor_div};
use crate::rejection::Rejection;
use crate::state::{Market, index};
use crate::time::{HOUR_MINUTES, Hour, Timestamp};

/// What an hour of a lease got, in unit-minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Minutes {
    /// Delivered.
    pub(crate) delivered: i64,
    /// What of the rest was maintenance declared in time.
    pub(crate) excused: i64,
}

/// The fees of an hour.
struct Taken {
    seller: Money,
    buyer: Money,
    /// What of the buyer's fee comes back.
    back: Money,
}

/// An hour that is settled.
struct Settlement {
    id: LeaseId,
    hour: Hour,
    minutes: Minutes,
    /// What of its price no ruling has awarded.
    of_price: Money,
    frozen: Money,
    shares: Shares,
    taken: Taken,
}

impl Market {
    /// Settles an hour by what was delivered in it.
    pub(crate) fn deliver(
        &mut self,
        id: LeaseId,
        hour: Timestamp,
        reading: (Delivered, i64),
        out: &mut Vec<Event>,
    ) -> Result<(), Rejection> {
        let lease = self.lease(id).ok_or(Rejection::UnknownLease)?;
        let hour = hour
            .on_the_hour()
            .filter(|hour| lease.held_in(*hour) > 0)
            .ok_or(Rejection::OutsideLease)?;
        if hour.ends() > self.now {
            return Err(Rejection::HourNotOver);
        }
        if lease.is_settled(hour) {
            return Err(Rejection::AlreadySettled);
        }
        let minutes = lease.read(hour, reading).ok_or(Rejection::BadMinutes)?;
        self.settle(id, hour, minutes, out);
        Ok(())
    }

    /// Pays and refunds an unsettled hour; ends the lease with its last one.
    pub(crate) fn settle(
        &mut self,
        id: LeaseId,
        hour: Hour,
        minutes: Minutes,
        out: &mut Vec<Event>,
    ) {
        self.clear_deadline(id);
        let (frozen, awarded) = self.out_of_escrow(id, hour);
        let lease = &mut self.leases[index(id.0)];
        let mut shares = lease.share_out(hour, minutes.delivered, awarded);
        let of_price = lease.hour_price(hour) - awarded;
        let taken = lease.count(hour, minutes, &mut shares);
        lease.escrow -= of_price - frozen;
        let units = lease.held_in(hour);
        self.count_lease(id, -units);
        let settlement = Settlement {
            id,
            hour,
            minutes,
            of_price,
            frozen,
            shares,
            taken,
        };
        self.pay_out(settlement, out);
        self.set_deadline(id);
        self.close_if_ended(id, out);
    }

    /// Moves the money of a settled hour.
    fn pay_out(&mut self, settlement: Settlement, out: &mut Vec<Event>) {
        let Settlement {
            id,
            hour,
            minutes,
            of_price,
            frozen,
            shares,
            taken,
        } = settlement;
        let lease = &self.leases[index(id.0)];
        let (holder, provider) = (lease.holder, lease.provider);
        let (units, left) = (lease.held_in(hour), lease.left_in(hour).collect::<Vec<_>>());
        let window = self.rules_of(lease.rules).claim_window_hours;
        let payable_until = Some(hour.ends().plus_hours(window)).filter(|until| *until > self.now);
        let to = if payable_until.is_some() {
            AccountKind::Payable
        } else {
            AccountKind::Cash
        };
        let escrow = of_price - frozen + taken.buyer + taken.back;
        let refunded = shares.holder + taken.back;
        let fee = taken.seller + taken.buyer;
        let kept = shares.provider.min(frozen);
        if frozen > Money::ZERO {
            self.keep_earned(id, hour, kept, payable_until);
        }
        let mut earned = vec![(provider, shares.provider - kept)];
        let mut lines = vec![
            (Account::of(holder, AccountKind::Escrow), -escrow),
            (Account::of(provider, AccountKind::Dispute), kept - frozen),
            (Account::of(provider, to), shares.provider - kept),
        ];
        for ((reseller, gain, back), (_, left)) in shares.resellers.iter().zip(left) {
            let account = |kind| Account::of(*reseller, kind);
            lines.push((account(AccountKind::Escrow), -left));
            lines.push((account(AccountKind::Cash), *back));
            lines.push((account(to), *gain));
            earned.push((*reseller, *gain));
        }
        lines.push((Account::marketplace(AccountKind::Fees), fee));
        lines.push((Account::of(holder, AccountKind::Cash), refunded));
        for (whose, amount) in &earned {
            if let Some(until) = payable_until {
                self.change_payable(until, *whose, *amount);
            }
        }
        let mut posted = Vec::new();
        let entry = self.post(&mut posted, Reason::Settlement(id), &lines);
        let resellers = shares.resellers.iter();
        let gains: Money = resellers.clone().map(|(_, gain, _)| *gain).sum();
        let backs: Money = resellers.clone().map(|(.., back)| *back).sum();
        let settled = Settled {
            lease: id,
            hour,
            units,
            unit_minutes: minutes.delivered,
            excused: minutes.excused,
            paid: shares.provider + gains,
            refunded: refunded + backs,
            fee,
            buyer_fee: taken.buyer,
            payable_until,
            entry,
            resellers: resellers
                .filter(|(_, gain, _)| *gain > Money::ZERO)
                .map(|(reseller, gain, _)| (*reseller, *gain))
                .collect(),
        };
        self.emit(out, EventKind::Settled(settled));
        out.append(&mut posted);
    }

    /// A lease that has no hour left to settle is open no more, and is credited what it is due.
    pub(crate) fn close_if_ended(&mut self, id: LeaseId, out: &mut Vec<Event>) {
        let lease = &self.leases[index(id.0)];
        // On default a penalty takes the place of the credit.
        let is_failed = lease.failed_from.is_some();
        if lease.is_ended() && self.open_leases.remove(&id) && !is_failed {
            self.credit(id, out);
        }
    }

    /// Credits the holder of an ended lease what its service level, not kept, makes due: from the
    /// lease's bond. What was credited before and is not due any more goes back, out of the holder's
    /// cash as far as it reaches.
    pub(crate) fn credit(&mut self, id: LeaseId, out: &mut Vec<Event>) {
        let lease = &self.leases[index(id.0)];
        assert!(
            lease.escrow == Money::ZERO && lease.fee_held() == Money::ZERO,
            "an ended lease {id} has no escrow"
        );
        let (holder, more) = (lease.holder, self.credit_due(lease) - lease.credited);
        let cash = Account::of(holder, AccountKind::Cash);
        let ([from, thawed], amount) = if more < Money::ZERO {
            let back = (-more).min(self.ledger.balance(cash));
            ([self.back_to_bond(id, back), (cash, Money::ZERO)], -back)
        } else {
            self.out_of_bond(id, more)
        };
        if amount == Money::ZERO {
            return;
        }
        self.leases[index(id.0)].credited += amount;
        let credited = EventKind::Credited {
            lease: id,
            holder,
            amount,
        };
        self.emit(out, credited);
        self.post(out, Reason::Credit(id), &[from, thawed, (cash, amount)]);
    }

    /// What an ended lease's service level makes due.
    fn credit_due(&self, lease: &Lease) -> Money {
        let owed = lease.promised() - self.excused(lease);
        let rules = self.rules_of(lease.rules);
        let bps = rules.credit_bps(self.level_of(lease), lease.delivered, owed);
        floor_div(
            i128::from(lease.total().0) * i128::from(bps),
            WHOLE_BPS.into(),
        )
    }

    /// Gives money back to a lease's bond; to its provider's cash when the bond is free. Gives the
    /// line of it.
    fn back_to_bond(&mut self, id: LeaseId, amount: Money) -> (Account, Money) {
        let lease = &self.leases[index(id.0)];
        let provider = lease.provider;
        if self.claim_window_ends(lease) > self.now {
            self.change_bond(id, amount);
            (Account::of(provider, AccountKind::Bond), amount)
        } else {
            (Account::of(provider, AccountKind::Cash), amount)
        }
    }

    /// What of a lease's declared maintenance excuses its provider, in unit-minutes: no more than
    /// the share that its service level allows of all that it owes.
    pub fn excused(&self, lease: &Lease) -> i64 {
        let rules = self.rules_of(lease.rules);
        let excusable = rules.excusable(self.level_of(lease), lease.promised());
        excusable.min(lease.maintenance.values().sum())
    }

    /// The service level of a lease's units.
    pub(crate) fn level_of(&self, lease: &Lease) -> &str {
        let instrument = self.pools[&lease.pool].instrument;
        self.instruments[&instrument].service_level()
    }

    /// Takes as much as there is of what is due out of a lease's bond, and where that is not enough
    /// out of what a dispute has frozen of it: that is the lease's still, whatever is ruled. Gives
    /// the lines of it, and how much it is.
    pub(crate) fn out_of_bond(
        &mut self,
        id: LeaseId,
        due: Money,
    ) -> ([(Account, Money); 2], Money) {
        let lease = &self.leases[index(id.0)];
        let (provider, free) = (lease.provider, due.min(lease.bond));
        let mut thawed = Money::ZERO;
        if let Some(frozen) = self.frozen_parts(id) {
            thawed = (due - free).min(frozen.bond);
            frozen.bond -= thawed;
        }
        self.change_bond(id, -free);
        let lines = [
            (Account::of(provider, AccountKind::Bond), -free),
            (Account::of(provider, AccountKind::Dispute), -thawed),
        ];
        (lines, free + thawed)
    }
}

impl Lease {
    /// The seller's fee of an hour that earned so much, with which the lease has had so many
    /// unit-minutes and earned so much in all, and before which so much of a fee was taken: rounded
    /// down on the total.
    pub(crate) fn next_fee(
        &self,
        delivered: i64,
        earned: Money,
        taken: Money,
        of_hour: Money,
    ) -> Money {
        let rate = fee_rate(earned, self.fee_bps, Money::ZERO) * i128::from(HOUR_MINUTES);
        let flat = fee_rate(Money::ZERO, 0, self.fee_flat).saturating_mul(delivered.into());
        let running = rate.saturating_add(flat).div_euclid(FEE_PARTS);
        // A flat fee may exceed what a cheap hour paid: the seller never pays to deliver.
        Money::exact((running - i128::from(taken.0)).min(of_hour.0.into()))
    }

    /// What an hour of it got, as it was read; `None` when that is less than nothing or more than
    /// the hour owes.
    pub(crate) fn read(
        &self,
        hour: Hour,
        (delivered, excused): (Delivered, i64),
    ) -> Option<Minutes> {
        let delivered = match delivered {
            Delivered::Minutes(minutes) => minutes.checked_mul(self.held_in(hour))?,
            Delivered::UnitMinutes(unit_minutes) => unit_minutes,
        };
        let all = delivered.checked_add(excused)?;
        let minutes = Minutes { delivered, excused };
        (delivered >= 0 && excused >= 0 && all <= self.hour_minutes(hour)).then_some(minutes)
    }

    /// Counts an hour as settled and takes the fees out of its shares: each rounded down once on
    /// the total of the lease, so that rounding never adds up.
    fn count(&mut self, hour: Hour, minutes: Minutes, shares: &mut Shares) -> Taken {
        let held = self.fee_held();
        let place = self.index(hour).expect("an hour of the lease");
        assert!(
            !self.settled[place],
            "lease {} settles each hour once",
            self.id
        );
        self.settled[place] = true;
        self.counted[place] = minutes.delivered;
        self.delivered += minutes.delivered;
        if minutes.excused > 0 {
            self.maintenance.insert(hour, minutes.excused);
        }
        let earned = match shares.resellers.last_mut() {
            Some((_, gain, _)) => gain,
            None => &mut shares.provider,
        };
        self.earned += *earned;
        let seller = self.next_fee(self.delivered, self.earned, self.fee, *earned);
        self.fee += seller;
        *earned -= seller;
        let buyer = self.buyer_fee_of(self.delivered) - self.buyer_fee;
        self.buyer_fee += buyer;
        Taken {
            seller,
            buyer,
            back: held - buyer - self.fee_held(),
        }
    }
}
