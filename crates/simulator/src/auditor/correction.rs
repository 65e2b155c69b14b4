//! Late evidence: what an hour would have paid, less what it has paid, minute by minute down to what
//! everybody has.

use std::collections::BTreeMap;

use market::{
    AccountKind, Corrected, Delivered, EventKind, LeaseId, Money, ParticipantId, Rejection,
    Timestamp,
};

use super::Out;
use super::model::{Amount, HOUR, Hour, Lease, Model};

/// All that a lease's settled hours have come to, worked out from nothing but what each hour got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sums {
    /// What each of provider and resellers earned in an hour, before the seller's fee.
    earned: BTreeMap<Hour, Vec<(ParticipantId, Amount)>>,
    /// What resellers and the holder got back of an hour, the buyer's fee aside.
    backs: BTreeMap<Hour, Vec<(ParticipantId, Amount)>>,
    refund: BTreeMap<Hour, Amount>,
    delivered: i64,
    seller_earned: Amount,
    seller_fee: Amount,
    buyer_fee: Amount,
    /// What is in escrow for the buyer's fee.
    fee_escrow: Amount,
}

impl Lease {
    fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for (hour, (minutes, _)) in &self.got {
            let awarded = self.awarded[hour];
            let part = |price: i64, minutes: i64| Amount::from(price) * Amount::from(minutes) / 60;
            let mut earned = vec![(
                self.provider,
                0.max(part(self.first_price(), *minutes) - awarded),
            )];
            let mut backs = Vec::new();
            let mut all = self.hour_price(*hour) - awarded;
            for &(who, bought, sold) in &self.chain {
                let left = 0.max(bought - sold);
                all += Amount::from(left) * Amount::from(self.held[hour]);
                backs.push((who, part(left, self.owed(*hour) - minutes)));
                earned.push((who, part(0.max(sold - bought), *minutes)));
            }
            for (_, amount) in earned.iter().chain(&backs) {
                all -= amount;
            }
            let of_seller = earned.last().map_or(0, |(_, amount)| *amount);
            sums.delivered += minutes;
            sums.seller_earned += of_seller;
            let share = sums.seller_earned * Amount::from(self.fee_bps) * 60;
            let flat = Amount::from(self.fees.0) * Amount::from(sums.delivered) * 10_000;
            let fee = (share + flat) / 600_000 - sums.seller_fee;
            sums.seller_fee += fee.min(of_seller);
            sums.earned.insert(*hour, earned);
            sums.backs.insert(*hour, backs);
            sums.refund.insert(*hour, all);
        }
        sums.buyer_fee = self.buyer_fee_on(sums.delivered);
        let open: i64 = self.unsettled.iter().map(|hour| self.owed(*hour)).sum();
        sums.fee_escrow = self.buyer_fee_on(sums.delivered + open) - sums.buyer_fee;
        sums
    }
}

/// A correction that is tried.
struct Try {
    balances: BTreeMap<(ParticipantId, AccountKind), Amount>,
    payable: Vec<(ParticipantId, Amount)>,
    earned: Vec<(ParticipantId, Amount)>,
    refunded: Amount,
    after: Lease,
    fees: (Amount, Amount),
}

impl Try {
    /// How much is missing on which accounts.
    fn missing(&self) -> Amount {
        let below = self.balances.iter();
        let below = below.filter(|((_, kind), amount)| *kind != AccountKind::Bank && **amount < 0);
        below.map(|(_, amount)| -amount).sum()
    }
}

fn money(amount: Amount) -> Money {
    Money(i64::try_from(amount).expect("amounts are small here"))
}

impl Model {
    pub(super) fn correct(
        &mut self,
        id: LeaseId,
        hour: Timestamp,
        (delivered, excused): (Delivered, i64),
        out: &mut Out,
    ) -> Result<(), Rejection> {
        let place = self.lease_at(id).ok_or(Rejection::UnknownLease)?;
        let lease = self.leases[place].clone();
        let rules = &self.rule_sets[&lease.rules];
        let deadline = rules.reading_deadline_hours.ok_or(Rejection::NotAllowed)?;
        let over = hour.0 + HOUR;
        let at = hour.0.div_euclid(HOUR);
        let units = lease.held.get(&at).copied().unwrap_or(0);
        let failed = lease.failed_from.is_some_and(|from| at >= from);
        if hour.0 % HOUR != 0 || units == 0 || failed {
            return Err(Rejection::OutsideLease);
        }
        if over > self.now.0 {
            return Err(Rejection::HourNotOver);
        }
        let Some(was) = lease.got.get(&at).copied() else {
            return Err(Rejection::NotSettled);
        };
        if self.now.0 > over + deadline * HOUR {
            return Err(Rejection::TooLate);
        }
        let minutes = match delivered {
            Delivered::Minutes(minutes) => minutes * units,
            Delivered::UnitMinutes(minutes) => minutes,
        };
        if minutes < 0 || excused < 0 || minutes + excused > lease.owed(at) {
            return Err(Rejection::BadMinutes);
        }
        if was == (minutes, excused) {
            return Err(Rejection::AlreadySettled);
        }
        let missing = self.try_with(&lease, at, (minutes, excused)).missing();
        // One minute after the other, from what is wanted to what is there.
        let mut counts = minutes;
        let (tried, excused) = loop {
            let excused = excused.min(lease.owed(at) - counts);
            let tried = self.try_with(&lease, at, (counts, excused));
            if tried.missing() == 0 {
                break (tried, excused);
            }
            if counts != was.0 {
                counts += (was.0 - counts).signum();
            }
            if counts == was.0 {
                return Err(Rejection::InsufficientFunds { missing });
            }
        };
        self.enact(place, at, (counts, excused), tried, out);
        Ok(())
    }

    fn enact(
        &mut self,
        place: usize,
        hour: Hour,
        (unit_minutes, excused): (i64, i64),
        tried: Try,
        out: &mut Out,
    ) {
        let lease = tried.after;
        let window = self.rule_sets[&lease.rules].claim_window_hours;
        let until = Timestamp((hour + 1 + window) * HOUR);
        let later = until > self.now;
        self.balances = tried.balances;
        for (who, amount) in &tried.payable {
            self.payable.push((until, *who, *amount));
        }
        let corrected = Corrected {
            lease: lease.id,
            hour: market::Hour(hour),
            unit_minutes,
            difference: unit_minutes - self.leases[place].got[&hour].0,
            excused,
            paid: money(tried.earned.iter().map(|(_, amount)| amount).sum()),
            refunded: money(tried.refunded),
            fee: money(tried.fees.0 + tried.fees.1),
            buyer_fee: money(tried.fees.1),
            resellers: tried.earned[1..]
                .iter()
                .filter(|(_, amount)| *amount != 0)
                .map(|(who, amount)| (*who, money(*amount)))
                .collect(),
            payable: tried
                .payable
                .iter()
                .map(|(who, amount)| (*who, money(*amount)))
                .collect(),
            payable_until: later.then_some(until),
            entry: None,
        };
        out.push((self.now, EventKind::Corrected(corrected)));
        let (over, failed) = (lease.unsettled.is_empty(), lease.failed_from.is_some());
        self.leases[place] = lease;
        if over && !failed {
            self.credit(place, out);
        }
    }

    /// What would be if an hour had got these minutes.
    fn try_with(&self, lease: &Lease, hour: Hour, got: (i64, i64)) -> Try {
        let before = lease.sums();
        let mut after = lease.clone();
        after.got.insert(hour, got);
        let sums = after.sums();
        let seller_fee = sums.seller_fee - lease.fee;
        let buyer_fee = sums.buyer_fee - lease.buyer_fee;
        let less = |now: &[(ParticipantId, Amount)], then: &[(ParticipantId, Amount)]| {
            let both = now.iter().zip(then);
            let less = both.map(|((who, now), (_, then))| (*who, now - then));
            less.collect::<Vec<(ParticipantId, Amount)>>()
        };
        let mut earned = less(&sums.earned[&hour], &before.earned[&hour]);
        if let Some((_, amount)) = earned.last_mut() {
            *amount -= seller_fee;
        }
        let backs = less(&sums.backs[&hour], &before.backs[&hour]);
        let in_escrow = sums.fee_escrow - lease.fee_escrow();
        let refund = sums.refund[&hour] - before.refund[&hour] - buyer_fee - in_escrow;
        let mut balances = self.balances.clone();
        let mut pay =
            |who, kind, amount: Amount| *balances.entry((who, kind)).or_default() += amount;
        let mut payable = Vec::new();
        let mut earners: Vec<ParticipantId> = earned.iter().map(|(who, _)| *who).collect();
        earners.sort_unstable();
        earners.dedup();
        for who in earners {
            let own = earned.iter().filter(|(earner, _)| *earner == who);
            let amount: Amount = own.map(|(_, amount)| amount).sum();
            let waits = self.waiting_share(lease, hour, who, amount);
            if waits != 0 {
                payable.push((who, waits));
            }
            pay(who, AccountKind::Payable, waits);
            pay(who, AccountKind::Cash, amount - waits);
        }
        for (who, amount) in &backs {
            pay(*who, AccountKind::Cash, *amount);
        }
        pay(lease.holder, AccountKind::Cash, refund);
        pay(lease.holder, AccountKind::Escrow, in_escrow);
        let fees = seller_fee + buyer_fee;
        pay(ParticipantId::MARKETPLACE, AccountKind::Fees, fees);
        (after.delivered, after.earned) = (sums.delivered, sums.seller_earned);
        (after.fee, after.buyer_fee) = (sums.seller_fee, sums.buyer_fee);
        Try {
            balances,
            payable,
            earned,
            refunded: refund + backs.iter().map(|(_, amount)| amount).sum::<Amount>(),
            after,
            fees: (seller_fee, buyer_fee),
        }
    }

    /// What of a change in what somebody earned of an hour changes what is payable then: all of it
    /// when it is more, as much as is there when it is less, and nothing when the time has come.
    fn waiting_share(
        &self,
        lease: &Lease,
        hour: Hour,
        who: ParticipantId,
        amount: Amount,
    ) -> Amount {
        let window = self.rule_sets[&lease.rules].claim_window_hours;
        let until = Timestamp((hour + 1 + window) * HOUR);
        if until <= self.now {
            return 0;
        }
        let there = self.payable.iter();
        let there = there.filter(|(when, whose, _)| *when == until && *whose == who);
        let there: Amount = there.map(|(.., amount)| amount).sum();
        amount.max(-there)
    }
}
