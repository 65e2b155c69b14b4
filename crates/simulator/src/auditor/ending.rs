//! Leases that end early, hour by hour.

use market::{
    AccountKind, ClientId, DoneWhy, EventKind, LeaseId, Money, ParticipantId, PlaceOrder, PoolId,
    Rejection, Side, TimeInForce, Timestamp,
};

use super::Out;
use super::model::{Amount, HOUR, Hour, Model};

fn money(amount: Amount) -> Money {
    Money(i64::try_from(amount).expect("amounts are small here"))
}

impl Model {
    pub(super) fn hand_back(
        &mut self,
        whose: ParticipantId,
        id: LeaseId,
        (start, end): (Timestamp, Timestamp),
        out: &mut Out,
    ) -> Result<(), Rejection> {
        let place = self.lease_at(id);
        let place = place.filter(|place| self.leases[*place].holder == whose);
        let place = place.ok_or(Rejection::UnknownLease)?;
        if !self.is_period(start, end) {
            return Err(Rejection::BadPeriod);
        }
        if start < self.now {
            return Err(Rejection::PeriodStarted);
        }
        let hours: Vec<Hour> = (start.0 / HOUR..end.0 / HOUR).collect();
        let lease = &self.leases[place];
        if !hours.iter().all(|hour| lease.unsettled.contains(hour)) {
            return Err(Rejection::OutsideLease);
        }
        let offered = self.open.iter().any(|order| {
            let order = &self.orders[*order];
            let covered = order.covered();
            let left = |hour: &Hour| covered.contains(hour) && order.sold_in(*hour) < order.units;
            order.resold() == Some(id) && hours.iter().any(left)
        });
        if offered {
            return Err(Rejection::OverLease);
        }
        let rules = self.rule_sets[&lease.rules].hand_back;
        if !rules.allowed {
            return Err(Rejection::NotAllowed);
        }
        if start.0 < self.now.0 + rules.notice_hours * HOUR {
            return Err(Rejection::TooLate);
        }
        let (pool, provider) = (lease.pool, lease.provider);
        let lease = &mut self.leases[place];
        let fee = lease.fee_escrow();
        let (mut price, mut back) = (0, Vec::new());
        let mut free = Vec::new();
        for hour in &hours {
            price += lease.escrow.remove(hour).unwrap_or(0);
            lease.unsettled.remove(hour);
            let units = lease.held.insert(*hour, 0).unwrap_or(0);
            free.push((*hour, units));
            for (who, bought, sold) in &lease.chain {
                back.push((
                    *who,
                    Amount::from(0.max(bought - sold)) * Amount::from(units),
                ));
            }
        }
        let fee = fee - lease.fee_escrow();
        let to_holder = price * Amount::from(rules.holder_bps) / 10_000;
        let over = lease.unsettled.is_empty();
        let escrow = (whose, AccountKind::Escrow);
        self.pay(escrow, (whose, AccountKind::Cash), to_holder + fee);
        self.pay(escrow, (provider, AccountKind::Cash), price - to_holder);
        for (who, left) in &back {
            self.pay(
                (*who, AccountKind::Escrow),
                (*who, AccountKind::Cash),
                *left,
            );
        }
        let back: Amount = back.iter().map(|(_, left)| left).sum();
        let handed_back = EventKind::HandedBack {
            lease: id,
            period: market::Period {
                start: market::Hour(start.0 / HOUR),
                end: market::Hour(end.0 / HOUR),
            },
            refunded: money(to_holder + fee + back),
            paid: money(price - to_holder),
        };
        out.push((self.now, handed_back));
        if over {
            self.credit(place, out);
        }
        self.free_hours(pool, &free, out);
        Ok(())
    }

    /// Hours come back to a pool, and its asks are offered again.
    fn free_hours(&mut self, pool: PoolId, hours: &[(Hour, i64)], out: &mut Out) {
        let known = self.pools.get_mut(&pool).expect("a lease's pool is known");
        for (hour, units) in hours {
            *known.leased.entry(*hour).or_default() -= units;
        }
        self.offer_again(pool, out);
    }

    pub(super) fn default_of(&mut self, id: LeaseId, out: &mut Out) -> Result<(), Rejection> {
        let place = self.lease_at(id).ok_or(Rejection::UnknownLease)?;
        let lease = &self.leases[place];
        let from = (0..)
            .find(|hour| hour * HOUR >= self.now.0)
            .expect("time ends no hours");
        let hours = lease.unsettled.iter().filter(|hour| **hour >= from);
        let hours: Vec<(Hour, i64)> = hours.map(|hour| (*hour, lease.held[hour])).collect();
        if hours.is_empty() {
            return Err(Rejection::LeaseOver);
        }
        let mut asks: Vec<usize> = self.open.clone();
        asks.retain(|ask| self.orders[*ask].resold() == Some(id));
        asks.sort_by_key(|ask| self.orders[*ask].accepted);
        for ask in asks {
            self.finish(ask, DoneWhy::Cancelled, out);
        }
        self.leases[place].failed_from = Some(from);
        for (hour, _) in &hours {
            self.settle(place, *hour, (0, 0), out);
        }
        let lease = self.leases[place].clone();
        let bid = self.orders[lease.bid].clone();
        let buys_in = matches!(bid.terms.side, Side::Buy { buy_in: true, .. });
        let mut left: i64 = hours.iter().map(|(_, units)| units).sum();
        let (mut bought, mut difference, total) = (0, 0, left);
        let mut at = 0;
        while at < hours.len() && buys_in {
            let (start, units) = hours[at];
            let same = |nth: &i64| {
                let next = usize::try_from(*nth)
                    .ok()
                    .and_then(|nth| hours.get(at + nth));
                next == Some(&(start + nth, units))
            };
            let length = (0..).take_while(same).count();
            let length = i64::try_from(length).expect("a lease is short");
            let (got, paid) = self.buy_in(place, (start, start + length, units), left, out);
            (bought, difference) = (bought + got, difference + paid);
            left -= units * length;
            at += usize::try_from(length).expect("not negative");
        }
        let price = Amount::from(lease.price) * Amount::from(total - bought);
        let instrument = self.pools[&lease.pool].instrument;
        let level = self.instruments[&instrument].symbol.clone();
        let level = level.rsplit('.').next().unwrap_or_default();
        let level = self.rule_sets[&lease.rules].service_levels.get(level);
        let due = price * Amount::from(level.map_or(0, |level| level.penalty_bps)) / 10_000;
        let free = due.min(self.leases[place].bond);
        self.leases[place].bond -= free;
        let bond = (lease.provider, AccountKind::Bond);
        self.pay(bond, (lease.holder, AccountKind::Cash), free);
        let penalty = free + self.credit_from_frozen(place, due - free);
        let failed = EventKind::Defaulted {
            lease: id,
            from: market::Hour(from),
            difference: money(difference),
            penalty: money(penalty),
        };
        out.push((self.now, failed));
        self.free_hours(lease.pool, &hours, out);
        Ok(())
    }

    /// Buys in some hours; the unit-hours that were bought, and what the bond added.
    fn buy_in(
        &mut self,
        place: usize,
        (start, end, units): (Hour, Hour, i64),
        left: i64,
        out: &mut Out,
    ) -> (i64, Amount) {
        let lease = self.leases[place].clone();
        let bid = self.orders[lease.bid].clone();
        let with_bond = Amount::from(lease.price) + lease.bond / Amount::from(left);
        let with_bond = i64::try_from(with_bond).expect("prices are small here");
        for limit in [with_bond.max(bid.price), with_bond] {
            let limit = limit - limit % bid.tick;
            let unit_hours = Amount::from(units * (end - start));
            let added = Amount::from(0.max(limit - lease.price)) * unit_hours;
            let added = added.min(lease.bond);
            let mut side = bid.terms.side.clone();
            if let Side::Buy {
                min_fill, flexible, ..
            } = &mut side
            {
                *min_fill = None;
                *flexible = None;
            }
            let mut number = 1;
            let name = |number: i64| ClientId(format!("l{}/{number}", lease.id.0));
            while self.known(lease.holder, &name(number)).is_some() {
                number += 1;
            }
            let terms = PlaceOrder {
                participant: lease.holder,
                client_id: name(number),
                side,
                units,
                price: Money(limit),
                start: Timestamp(start * HOUR),
                end: Timestamp(end * HOUR),
                tif: TimeInForce::Ioc,
                post_only: false,
            };
            let Ok(order) = self.checked(&terms, true) else {
                continue;
            };
            if self.check_funds(&order, added).is_err() {
                continue;
            }
            let (bond, cash) = (
                (lease.provider, AccountKind::Bond),
                (lease.holder, AccountKind::Cash),
            );
            self.pay(bond, cash, added);
            self.leases[place].bond -= added;
            let first = self.leases.len();
            self.enter(order, out);
            let made = self.leases[first..].iter();
            let hours = |lease: &super::model::Lease| lease.units * (lease.end - lease.start);
            let bought = made.clone().map(hours).sum();
            let dearer: Amount = made
                .map(|new| Amount::from(0.max(new.price - lease.price)) * Amount::from(hours(new)))
                .sum();
            let back = 0.max(added - dearer);
            self.pay(cash, bond, back);
            self.leases[place].bond += back;
            return (bought, added - back);
        }
        (0, 0)
    }
}
