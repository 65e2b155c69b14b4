//! Corrections: late evidence changes what a settled hour counts, by an entry of the difference
//! (MARKET_RULES, 11; docs/decisions/0014 says why it is so).

use std::collections::BTreeMap;

use crate::command::Delivered;
use crate::event::{Corrected, Event, EventKind};
use crate::id::{LeaseId, ParticipantId};
use crate::lease::Lease;
use crate::ledger::{Account, AccountKind, Reason};
use crate::money::Money;
use crate::rejection::Rejection;
use crate::settlement::Minutes;
use crate::state::{Market, index};
use crate::time::{HOUR_MINUTES, Hour, Timestamp};

/// By how much those on a lease have more when an hour counts other minutes than it did.
struct Difference {
    /// Of the hour's earnings, after the seller's fee: the provider's, then the resellers'.
    earned: Vec<(ParticipantId, Money)>,
    /// Of what resellers had left in escrow and got back.
    backs: Vec<(ParticipantId, Money)>,
    /// Of the holder's refund.
    holder: Money,
    /// Of what is in escrow for the buyer's fee of the lease's other hours: what rounding moves.
    escrow: Money,
    seller_fee: Money,
    buyer_fee: Money,
}

/// A correction, worked out and not made.
struct Change {
    minutes: Minutes,
    difference: Difference,
    /// By how much what becomes cash at the hour's time changes, and when that is.
    payable: BTreeMap<ParticipantId, Money>,
    payable_until: Option<Timestamp>,
    lines: BTreeMap<Account, Money>,
}

impl Market {
    /// Corrects a settled hour to what late evidence says that it got, or as near to it as those
    /// who have to pay for that can.
    pub(crate) fn correct(
        &mut self,
        id: LeaseId,
        hour: Timestamp,
        reading: (Delivered, i64),
        out: &mut Vec<Event>,
    ) -> Result<(), Rejection> {
        let lease = self.lease(id).ok_or(Rejection::UnknownLease)?;
        let rules = self.rules_of(lease.rules);
        let deadline = rules.reading_deadline_hours.ok_or(Rejection::NotAllowed)?;
        let hour = hour
            .on_the_hour()
            .filter(|hour| lease.occupies(*hour) > 0)
            .ok_or(Rejection::OutsideLease)?;
        if hour.ends() > self.now {
            return Err(Rejection::HourNotOver);
        }
        if !lease.is_settled(hour) {
            return Err(Rejection::NotSettled);
        }
        if hour.ends().plus_hours(deadline) < self.now {
            return Err(Rejection::TooLate);
        }
        let wanted = lease.read(hour, reading).ok_or(Rejection::BadMinutes)?;
        if wanted == lease.counts(hour) {
            return Err(Rejection::AlreadySettled);
        }
        let change = self.nearest(lease, hour, wanted)?;
        self.make(id, hour, change, out);
        let lease = &self.leases[index(id.0)];
        // On default a penalty takes the place of the credit.
        if lease.is_ended() && lease.failed_from.is_none() {
            self.credit(id, out);
        }
        Ok(())
    }

    /// The change that is nearest to what is wanted and that everybody can pay: one after the other
    /// is looked at, but for those that are too dear as surely as the one before.
    fn nearest(&self, lease: &Lease, hour: Hour, wanted: Minutes) -> Result<Change, Rejection> {
        let (counted, owed) = (lease.counts(hour).delivered, lease.hour_minutes(hour));
        let mut change = self.change(lease, hour, wanted);
        let missing = self.short(&change).map(|short| i128::from(short.0)).sum();
        while let Some(short) = self.short(&change).max() {
            let delivered = change.minutes.delivered;
            let step = lease.too_dear(short);
            if step >= delivered.abs_diff(counted).into() {
                return Err(Rejection::InsufficientFunds { missing });
            }
            let step = i64::try_from(step).expect("less than the minutes of an hour");
            let delivered = if delivered > counted {
                delivered - step
            } else {
                delivered + step
            };
            let excused = wanted.excused.min(owed - delivered);
            change = self.change(lease, hour, Minutes { delivered, excused });
        }
        Ok(change)
    }

    /// What each account lacks for a change, of those that lack something.
    fn short(&self, change: &Change) -> impl Iterator<Item = Money> {
        let after = change.lines.iter();
        after
            .map(|(account, amount)| self.ledger.balance(*account) + *amount)
            .filter(|balance| *balance < Money::ZERO)
            .map(|balance| -balance)
    }

    /// What it takes for an hour to count these minutes. What is to be had more is the provider's
    /// and the resellers' where an hour settled now would put it; what is had less comes out of
    /// there as far as it is there, and then, as everything else, out of cash.
    fn change(&self, lease: &Lease, hour: Hour, minutes: Minutes) -> Change {
        let awarded = |hour| self.out_of_escrow(lease.id, hour).1;
        let difference = lease.differ(hour, minutes.delivered, awarded);
        let window = self.rules_of(lease.rules).claim_window_hours;
        let until = Some(hour.ends().plus_hours(window)).filter(|until| *until > self.now);
        let mut earned: BTreeMap<ParticipantId, Money> = BTreeMap::new();
        for (who, amount) in &difference.earned {
            *earned.entry(*who).or_default() += *amount;
        }
        let mut lines: BTreeMap<Account, Money> = BTreeMap::new();
        let mut add = |account, amount| *lines.entry(account).or_default() += amount;
        let mut payable = BTreeMap::new();
        for (who, amount) in earned {
            let waiting = until.map(|until| {
                let there = self.payable.get(&(until, who)).copied().unwrap_or_default();
                amount.max(-there)
            });
            let waiting = waiting.unwrap_or_default();
            if waiting != Money::ZERO {
                payable.insert(who, waiting);
            }
            add(Account::of(who, AccountKind::Payable), waiting);
            add(Account::of(who, AccountKind::Cash), amount - waiting);
        }
        for (who, amount) in &difference.backs {
            add(Account::of(*who, AccountKind::Cash), *amount);
        }
        let holder = |kind| Account::of(lease.holder, kind);
        add(holder(AccountKind::Cash), difference.holder);
        add(holder(AccountKind::Escrow), difference.escrow);
        let fees = Account::marketplace(AccountKind::Fees);
        add(fees, difference.seller_fee + difference.buyer_fee);
        Change {
            minutes,
            difference,
            payable,
            payable_until: until,
            lines,
        }
    }

    /// Makes a change that everybody can pay.
    fn make(&mut self, id: LeaseId, hour: Hour, change: Change, out: &mut Vec<Event>) {
        let Change {
            minutes,
            difference,
            payable,
            payable_until,
            lines,
        } = change;
        let lines: Vec<(Account, Money)> = lines.into_iter().collect();
        let mut posted = Vec::new();
        let counted = self.leases[index(id.0)].counts(hour).delivered;
        let entry = self.post(&mut posted, Reason::Correction(id), &lines);
        self.leases[index(id.0)].count_anew(hour, minutes, &difference);
        if let Some(until) = payable_until {
            for (who, amount) in &payable {
                self.change_payable(until, *who, *amount);
            }
        }
        let Difference {
            earned,
            backs,
            holder,
            seller_fee,
            buyer_fee,
            ..
        } = difference;
        let paid = earned.iter().map(|(_, amount)| *amount).sum();
        let backs: Money = backs.into_iter().map(|(_, amount)| amount).sum();
        let of_resellers = earned.into_iter().skip(1);
        let corrected = Corrected {
            lease: id,
            hour,
            unit_minutes: minutes.delivered,
            difference: minutes.delivered - counted,
            excused: minutes.excused,
            paid,
            refunded: holder + backs,
            fee: seller_fee + buyer_fee,
            buyer_fee,
            resellers: of_resellers
                .filter(|(_, amount)| *amount != Money::ZERO)
                .collect(),
            payable: payable.into_iter().collect(),
            payable_until,
            entry,
        };
        self.emit(out, EventKind::Corrected(corrected));
        out.append(&mut posted);
    }
}

impl Lease {
    /// What a settled hour counts.
    pub(crate) fn counts(&self, hour: Hour) -> Minutes {
        let place = self.index(hour);
        Minutes {
            delivered: place.map_or(0, |place| self.counted[place]),
            excused: self.maintenance.get(&hour).copied().unwrap_or(0),
        }
    }

    /// What changes when a settled hour counts other minutes. Of the escrow of some hours a part is
    /// gone by rulings: `awarded` says how much.
    fn differ(&self, hour: Hour, delivered: i64, awarded: impl Fn(Hour) -> Money) -> Difference {
        let counted = self.counts(hour).delivered;
        let was = self.share_out(hour, counted, awarded(hour));
        let is = self.share_out(hour, delivered, awarded(hour));
        let mut earned = vec![(self.provider, is.provider - was.provider)];
        let mut backs = Vec::new();
        for ((who, gain, back), (_, gain_was, back_was)) in is.resellers.iter().zip(was.resellers) {
            earned.push((*who, *gain - gain_was));
            backs.push((*who, *back - back_was));
        }
        let (_, seller) = earned.last_mut().expect("the provider is there");
        let seller_fee = self.fee_of_hours((hour, delivered), awarded) - self.fee;
        *seller -= seller_fee;
        let all = self.delivered - counted + delivered;
        let open: i64 = self.unsettled().map(|hour| self.hour_minutes(hour)).sum();
        let buyer_fee = self.buyer_fee_of(all) - self.buyer_fee;
        let held = self.buyer_fee_of(all + open) - self.buyer_fee_of(all);
        let escrow = held - self.fee_held();
        Difference {
            earned,
            backs,
            holder: is.holder - was.holder - buyer_fee - escrow,
            escrow,
            seller_fee,
            buyer_fee,
        }
    }

    /// The seller's fee on all settled hours, one after the other, if one of them had got these
    /// minutes: on the running total, and no more of an hour than it earned.
    fn fee_of_hours(&self, (hour, minutes): (Hour, i64), awarded: impl Fn(Hour) -> Money) -> Money {
        let (mut delivered, mut earned, mut fee) = (0, Money::ZERO, Money::ZERO);
        let settled = self.period.each().filter(|hour| self.is_settled(*hour));
        for one in settled {
            let minutes = if one == hour {
                minutes
            } else {
                self.counts(one).delivered
            };
            let of_hour = self.share_out(one, minutes, awarded(one)).of_seller();
            delivered += minutes;
            earned += of_hour;
            fee += self.next_fee(delivered, earned, fee, of_hour);
        }
        fee
    }

    /// Counts other minutes of a settled hour.
    fn count_anew(&mut self, hour: Hour, minutes: Minutes, difference: &Difference) {
        let place = self.index(hour).expect("an hour of the lease");
        self.delivered += minutes.delivered - self.counted[place];
        self.counted[place] = minutes.delivered;
        self.maintenance.remove(&hour);
        if minutes.excused > 0 {
            self.maintenance.insert(hour, minutes.excused);
        }
        let (_, net) = difference.earned.last().expect("the provider is there");
        self.earned += *net + difference.seller_fee;
        self.fee += difference.seller_fee;
        self.buyer_fee += difference.buyer_fee;
    }

    /// How many unit-minutes fewer are as surely too dear, where somebody lacks so much: at least
    /// one. A unit-minute changes what one has to pay by a sixtieth of all prices and fees on the
    /// lease at most, three times that for who stands on several sides of it, and what is rounded.
    fn too_dear(&self, short: Money) -> u128 {
        let resold = self.links.iter().map(|link| link.gain() + link.left());
        let prices = [self.price, self.first_price()].into_iter().chain(resold);
        let fees = [self.fee_flat, self.buyer_fee_flat].into_iter();
        let hour: i128 = prices.chain(fees).map(|price| i128::from(price.0)).sum();
        let rounded = 4 * self.links.len() + 12;
        let rounded = i128::try_from(rounded).expect("a lease is resold so many times");
        let beyond = (i128::from(short.0) - rounded) * i128::from(HOUR_MINUTES);
        u128::try_from(beyond.div_euclid(3 * hour)).map_or(1, |step| step.max(1))
    }
}
