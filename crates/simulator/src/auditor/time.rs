//! What falls due, and what an hour pays.

use market::{
    AccountKind, Delivered, DoneWhy, EventKind, LeaseId, Money, ParticipantId, Rejection, Settled,
    Timestamp,
};

use super::Out;
use super::model::{Amount, HOUR, Hour, Model, Source};

/// What falls due, in the order in which it happens at one instant and acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Expiry(usize),
    Deadline(usize, Hour),
    BondRelease(usize),
    Payout(ParticipantId),
}

impl Model {
    /// Lets all that is due by `at` happen, looking through everything for the next each time.
    pub(super) fn let_happen(&mut self, at: Timestamp, out: &mut Out) {
        while let Some((instant, _, due)) = self.next_due(at) {
            self.now = instant;
            match due {
                Due::Expiry(order) => self.finish(order, DoneWhy::Expired, out),
                Due::Deadline(lease, hour) => self.settle(lease, hour, 0, out),
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
        let deadline = self.rules.reading_deadline_hours;
        let deadlines = self.live.iter().filter_map(|place| {
            let lease = &self.leases[*place];
            let hour = *lease.unsettled.first()?;
            let when = Timestamp((hour + 1 + deadline?) * HOUR);
            Some((when, lease.accepted, Due::Deadline(*place, hour)))
        });
        let claims = self.rules.claim_window_hours;
        let bonds = self.live.iter().filter_map(|place| {
            let lease = &self.leases[*place];
            let when = Timestamp((lease.end + claims) * HOUR);
            (lease.bond > 0).then_some((when, lease.accepted, Due::BondRelease(*place)))
        });
        let payouts = self.payable.iter();
        let payouts = payouts.map(|(until, to, _)| (*until, u64::MAX, Due::Payout(*to)));
        expiries
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
        delivered: Delivered,
        out: &mut Out,
    ) -> Result<(), Rejection> {
        let place = self.leases.iter().position(|lease| lease.id == id);
        let place = place.ok_or(Rejection::UnknownLease)?;
        let lease = &self.leases[place];
        let inside = hour.0 >= lease.start * HOUR && hour.0 < lease.end * HOUR;
        if !inside || hour.0 % HOUR != 0 {
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
            Delivered::Minutes(minutes) => minutes * lease.units,
            Delivered::UnitMinutes(unit_minutes) => unit_minutes,
        };
        if unit_minutes < 0 || unit_minutes > 60 * lease.units {
            return Err(Rejection::BadMinutes);
        }
        self.settle(place, hour, unit_minutes, out);
        Ok(())
    }

    fn settle(&mut self, place: usize, hour: Hour, unit_minutes: i64, out: &mut Out) {
        let now = self.now;
        let rules = self.rules.clone();
        let frozen = self.thaw_hour(place, hour);
        let lease = &mut self.leases[place];
        // What is there is all of the hour's price, but for what was awarded of it.
        let whole = Amount::from(lease.price) * Amount::from(lease.units);
        let price = lease.escrow.remove(&hour).unwrap_or(0);
        let by_minutes = Amount::from(lease.price) * Amount::from(unit_minutes) / 60;
        let earned = 0.max(by_minutes - (whole - price));
        lease.unsettled.remove(&hour);
        lease.earned += earned;
        lease.delivered += unit_minutes;
        // In units of 1/600,000 of 1/10,000 yuan both parts are whole.
        let share = lease.earned * Amount::from(lease.fee_bps) * 60;
        let flat = Amount::from(rules.seller_fee.flat.0) * Amount::from(lease.delivered) * 10_000;
        let fee = ((share + flat) / 600_000 - lease.fee).min(earned);
        lease.fee += fee;
        let lease = lease.clone();
        let until = Timestamp((hour + 1 + rules.claim_window_hours) * HOUR);
        let later = until > now;
        let escrow = (lease.holder, AccountKind::Escrow);
        let to = if later {
            AccountKind::Payable
        } else {
            AccountKind::Cash
        };
        self.pay(escrow, (lease.provider, to), earned - fee);
        self.pay(escrow, (ParticipantId::MARKETPLACE, AccountKind::Fees), fee);
        self.pay(escrow, (lease.holder, AccountKind::Cash), price - earned);
        if later && earned > fee {
            self.payable.push((until, lease.provider, earned - fee));
        }
        let kept = frozen.min(earned - fee);
        let source = if later {
            Source::Payable(until)
        } else {
            Source::Cash
        };
        self.freeze_again(place, source, kept);
        let money = |amount: Amount| Money(i64::try_from(amount).expect("amounts are small here"));
        let settled = Settled {
            lease: lease.id,
            hour: market::Hour(hour),
            unit_minutes,
            paid: money(earned - fee),
            refunded: money(price - earned),
            fee: money(fee),
            payable_until: later.then_some(until),
            entry: None,
        };
        out.push((now, EventKind::Settled(settled)));
        if lease.unsettled.is_empty() {
            self.credit(place, out);
        }
    }

    /// The credit of a lease that has ended: of the steps that it fell below, the lowest one's.
    fn credit(&mut self, place: usize, out: &mut Out) {
        let lease = self.leases[place].clone();
        let instrument = self.pools[&lease.pool].instrument;
        let symbol = self.instruments[&instrument].symbol.clone();
        let level = symbol.rsplit('.').next().unwrap_or_default();
        let Some(level) = self.rules.service_levels.get(level) else {
            return;
        };
        let promised = Amount::from(lease.units) * 60 * Amount::from(lease.end - lease.start);
        let below =
            |bps: i64| Amount::from(lease.delivered) * 10_000 < Amount::from(bps) * promised;
        let mut steps = level.credits.clone();
        steps.sort_by_key(|step| step.below_bps);
        let Some(step) = steps.into_iter().find(|step| below(step.below_bps)) else {
            return;
        };
        let due = lease.cost() * Amount::from(step.credit_bps) / 10_000;
        let free = due.min(lease.bond);
        self.leases[place].bond -= free;
        let bond = (lease.provider, AccountKind::Bond);
        self.pay(bond, (lease.holder, AccountKind::Cash), free);
        let credit = free + self.credit_from_frozen(place, due - free);
        if credit == 0 {
            return;
        }
        let credited = EventKind::Credited {
            lease: lease.id,
            holder: lease.holder,
            amount: Money(i64::try_from(credit).expect("amounts are small here")),
        };
        out.push((self.now, credited));
    }
}
