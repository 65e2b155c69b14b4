//! What falls due, and what an hour pays.

use market::{
    AccountKind, Delivered, DoneWhy, EventKind, InstrumentId, LeaseId, Money, ParticipantId,
    Rejection, Settled, Timestamp,
};

use super::Out;
use super::model::{Amount, HOUR, Hour, Lease, Model, Source};

/// What falls due, in the order in which it happens at one instant and acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Rules(i64),
    Expiry(usize),
    Deadline(usize, Hour),
    BondRelease(usize),
    HaltOver(InstrumentId),
    Payout(ParticipantId),
}

impl Model {
    /// Lets all that is due by `at` happen, looking through everything for the next each time.
    pub(super) fn let_happen(&mut self, at: Timestamp, out: &mut Out) {
        while let Some((instant, _, due)) = self.next_due(at) {
            self.now = instant;
            match due {
                Due::Rules(version) => {
                    self.rules_to_come.retain(|(_, one)| *one != version);
                    self.rules = self.rule_sets[&version].clone();
                }
                Due::HaltOver(instrument) => self.resume(instrument, out),
                Due::Expiry(order) => self.finish(order, DoneWhy::Expired, out),
                Due::Deadline(lease, hour) => self.settle(lease, hour, (0, 0), out),
                Due::BondRelease(lease) => {
                    let (provider, bond) = (self.leases[lease].provider, self.leases[lease].bond);
                    self.leases[lease].bond = 0;
                    let cash = (provider, AccountKind::Cash);
                    self.pay((provider, AccountKind::Bond), cash, bond);
                }
                Due::Payout(provider) => {
                    let (paid, rest) = std::mem::take(&mut self.payable)
                        .into_iter()
                        .partition(|(until, to, _)| *until == instant && *to == provider);
                    self.payable = rest;
                    let paid: Vec<(Timestamp, ParticipantId, Amount)> = paid;
                    let amount = paid.iter().map(|(.., amount)| *amount).sum();
                    let cash = (provider, AccountKind::Cash);
                    self.pay((provider, AccountKind::Payable), cash, amount);
                }
            }
            self.live.retain(|lease| {
                let lease = &self.leases[*lease];
                !lease.unsettled.is_empty() || lease.bond > 0
            });
        }
        self.now = at;
    }

    fn next_due(&self, at: Timestamp) -> Option<(Timestamp, u64, Due)> {
        let expiries = self.open.iter().filter_map(|place| {
            let order = &self.orders[*place];
            let over = order.over();
            // A bid that began as it was accepted waits until the instant is over.
            let waits = order.is_bid() && order.accepted_at == over && at == over;
            (!waits).then_some((over, order.accepted, Due::Expiry(*place)))
        });
        let deadlines = self.live.iter().filter_map(|place| {
            let lease = &self.leases[*place];
            let deadline = self.rule_sets[&lease.rules].reading_deadline_hours;
            let hour = *lease.unsettled.first()?;
            let when = Timestamp((hour + 1 + deadline?) * HOUR);
            Some((when, lease.accepted, Due::Deadline(*place, hour)))
        });
        let bonds = self.live.iter().filter_map(|place| {
            let lease = &self.leases[*place];
            let claims = self.rule_sets[&lease.rules].claim_window_hours;
            let when = Timestamp((lease.end + claims) * HOUR);
            (lease.bond > 0).then_some((when, lease.accepted, Due::BondRelease(*place)))
        });
        let payouts = self.payable.iter();
        let payouts = payouts.map(|(until, to, _)| (*until, u64::MAX, Due::Payout(*to)));
        let rules = self.rules_to_come.iter();
        let rules = rules.map(|(from, version)| (*from, 0, Due::Rules(*version)));
        let halts = self.halts.iter();
        let halts = halts.map(|(book, until)| (*until, u64::MAX, Due::HaltOver(*book)));
        expiries
            .chain(rules)
            .chain(halts)
            .chain(deadlines)
            .chain(bonds)
            .chain(payouts)
            .filter(|(when, ..)| *when <= at)
            .min()
    }

    pub(super) fn deliver(
        &mut self,
        id: LeaseId,
        hour: Timestamp,
        (delivered, excused): (Delivered, i64),
        out: &mut Out,
    ) -> Result<(), Rejection> {
        let place = self.leases.iter().position(|lease| lease.id == id);
        let place = place.ok_or(Rejection::UnknownLease)?;
        let lease = &self.leases[place];
        let units = lease
            .held
            .get(&hour.0.div_euclid(HOUR))
            .copied()
            .unwrap_or(0);
        if units == 0 || hour.0 % HOUR != 0 {
            return Err(Rejection::OutsideLease);
        }
        if hour.0 + HOUR > self.now.0 {
            return Err(Rejection::HourNotOver);
        }
        let hour = hour.0 / HOUR;
        if !lease.unsettled.contains(&hour) {
            return Err(Rejection::AlreadySettled);
        }
        let unit_minutes = match delivered {
            Delivered::Minutes(minutes) => minutes * units,
            Delivered::UnitMinutes(unit_minutes) => unit_minutes,
        };
        if unit_minutes < 0 || excused < 0 || unit_minutes + excused > lease.owed(hour) {
            return Err(Rejection::BadMinutes);
        }
        self.settle(place, hour, (unit_minutes, excused), out);
        Ok(())
    }

    pub(super) fn settle(
        &mut self,
        place: usize,
        hour: Hour,
        (unit_minutes, excused): (i64, i64),
        out: &mut Out,
    ) {
        let now = self.now;
        let frozen = self.thaw_hour(place, hour);
        let lease = &mut self.leases[place];
        let fee_before = lease.fee_escrow();
        // What is there is all of the hour's price, but for what was awarded of it.
        let units = lease.held[&hour];
        let price = lease.escrow.remove(&hour).unwrap_or(0);
        let awarded = lease.hour_price(hour) - price;
        let part = |price: i64, minutes: i64| Amount::from(price) * Amount::from(minutes) / 60;
        let mut provider = 0.max(part(lease.first_price(), unit_minutes) - awarded);
        let missing = lease.owed(hour) - unit_minutes;
        // By whom, what was left in escrow, what comes back of it, what is earned.
        let mut resellers: Vec<(ParticipantId, Amount, Amount, Amount)> = Vec::new();
        for &(who, bought, sold) in &lease.chain {
            let left = 0.max(bought - sold);
            let whole = Amount::from(left) * Amount::from(units);
            let gain = part(0.max(sold - bought), unit_minutes);
            resellers.push((who, whole, part(left, missing), gain));
        }
        let all = price + resellers.iter().map(|(_, left, ..)| left).sum::<Amount>();
        let theirs: Amount = resellers.iter().map(|(_, _, back, gain)| back + gain).sum();
        let refund = all - provider - theirs;
        lease.unsettled.remove(&hour);
        lease.delivered += unit_minutes;
        lease.got.insert(hour, (unit_minutes, excused));
        lease.awarded.insert(hour, awarded);
        let earned = match resellers.last_mut() {
            Some((.., gain)) => gain,
            None => &mut provider,
        };
        lease.earned += *earned;
        // In units of 1/600,000 of 1/10,000 yuan both parts are whole.
        let share = lease.earned * Amount::from(lease.fee_bps) * 60;
        let flat = Amount::from(lease.fees.0) * Amount::from(lease.delivered) * 10_000;
        let fee = ((share + flat) / 600_000 - lease.fee).min(*earned);
        lease.fee += fee;
        *earned -= fee;
        let buyer_fee = lease.buyer_fee_on(lease.delivered) - lease.buyer_fee;
        lease.buyer_fee += buyer_fee;
        let fee_back = fee_before - buyer_fee - lease.fee_escrow();
        let lease = lease.clone();
        let window = self.rule_sets[&lease.rules].claim_window_hours;
        let until = Timestamp((hour + 1 + window) * HOUR);
        let later = until > now;
        let to = if later {
            AccountKind::Payable
        } else {
            AccountKind::Cash
        };
        let escrow = (lease.holder, AccountKind::Escrow);
        let fees = (ParticipantId::MARKETPLACE, AccountKind::Fees);
        let mut earners = vec![(lease.provider, provider)];
        for (who, left, back, gain) in &resellers {
            self.pay((*who, AccountKind::Escrow), escrow, *left);
            self.pay(escrow, (*who, AccountKind::Cash), *back);
            earners.push((*who, *gain));
        }
        for (who, amount) in &earners {
            self.pay(escrow, (*who, to), *amount);
            if later && *amount > 0 {
                self.payable.push((until, *who, *amount));
            }
        }
        self.pay(escrow, fees, fee + buyer_fee);
        self.pay(escrow, (lease.holder, AccountKind::Cash), refund + fee_back);
        let kept = frozen.min(provider);
        let source = if later {
            Source::Payable(until)
        } else {
            Source::Cash
        };
        self.freeze_again(place, source, kept);
        let money = |amount: Amount| Money(i64::try_from(amount).expect("amounts are small here"));
        let backs: Amount = resellers.iter().map(|(_, _, back, _)| back).sum();
        let settled = Settled {
            lease: lease.id,
            hour: market::Hour(hour),
            units,
            unit_minutes,
            excused,
            paid: money(earners.iter().map(|(_, amount)| amount).sum()),
            refunded: money(refund + fee_back + backs),
            fee: money(fee + buyer_fee),
            buyer_fee: money(buyer_fee),
            payable_until: later.then_some(until),
            entry: None,
            resellers: earners[1..]
                .iter()
                .filter(|(_, amount)| *amount > 0)
                .map(|(who, amount)| (*who, money(*amount)))
                .collect(),
        };
        out.push((now, EventKind::Settled(settled)));
        if lease.unsettled.is_empty() && lease.failed_from.is_none() {
            self.credit(place, out);
        }
    }

    /// The credit of a lease that has ended: of the steps that it fell below, the lowest one's. What
    /// it was credited before is set against it.
    pub(super) fn credit(&mut self, place: usize, out: &mut Out) {
        let lease = self.leases[place].clone();
        let due = self.credit_due(&lease);
        let bond = (lease.provider, AccountKind::Bond);
        let cash = (lease.holder, AccountKind::Cash);
        let credit = if due >= lease.credited {
            let more = due - lease.credited;
            let free = more.min(lease.bond);
            self.leases[place].bond -= free;
            self.pay(bond, cash, free);
            free + self.credit_from_frozen(place, more - free)
        } else {
            let there = self.balance(lease.holder, AccountKind::Cash);
            let back = there.min(lease.credited - due);
            let claims = self.rule_sets[&lease.rules].claim_window_hours;
            if self.now.0 < (lease.end + claims) * HOUR {
                self.leases[place].bond += back;
                self.pay(cash, bond, back);
                if !self.live.contains(&place) {
                    self.live.push(place);
                }
            } else {
                self.pay(cash, (lease.provider, AccountKind::Cash), back);
            }
            -back
        };
        if credit == 0 {
            return;
        }
        self.leases[place].credited += credit;
        let credited = EventKind::Credited {
            lease: lease.id,
            holder: lease.holder,
            amount: Money(i64::try_from(credit).expect("amounts are small here")),
        };
        out.push((self.now, credited));
    }

    fn credit_due(&self, lease: &Lease) -> Amount {
        let instrument = self.pools[&lease.pool].instrument;
        let symbol = self.instruments[&instrument].symbol.clone();
        let level = symbol.rsplit('.').next().unwrap_or_default();
        let rules = &self.rule_sets[&lease.rules];
        let Some(level) = rules.service_levels.get(level) else {
            return 0;
        };
        let promised: i64 = lease.held.keys().map(|hour| lease.owed(*hour)).sum();
        // Declared maintenance is taken off what was promised, up to its share of that.
        let most = Amount::from(promised) * Amount::from(level.maintenance_bps) / 10_000;
        let declared: i64 = lease.got.values().map(|(_, excused)| excused).sum();
        let owed = Amount::from(promised) - most.min(Amount::from(declared));
        let below = |bps: i64| Amount::from(lease.delivered) * 10_000 < Amount::from(bps) * owed;
        let mut steps = level.credits.clone();
        steps.sort_by_key(|step| step.below_bps);
        let step = steps.into_iter().find(|step| below(step.below_bps));
        let bps = step.map_or(0, |step| step.credit_bps);
        lease.cost() * Amount::from(bps) / 10_000
    }
}
