//! Leases that end before their time: handed back by their holder, or failed by their provider
//! (MATCHING, Hand-back, Buy-in, What a failure pays).

use crate::command::{PlaceOrder, Side, TimeInForce};
use crate::event::{DoneWhy, Event, EventKind};
use crate::id::{ClientId, LeaseId, OrderId, ParticipantId};
use crate::ledger::{Account, AccountKind, Reason};
use crate::money::{Money, WHOLE_BPS, floor_div};
use crate::plan::Look;
use crate::rejection::Rejection;
use crate::settlement::Minutes;
use crate::state::{Market, index};
use crate::time::{Hour, Period, Timestamp};

/// A stretch of hours in which a failed lease had the same units.
struct Rest {
    period: Period,
    units: i64,
}

impl Rest {
    fn unit_hours(&self) -> i64 {
        self.units * self.period.hours()
    }
}

/// What comes of hours of a lease that are given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// Which hours.
    pub period: Period,
    /// Their price, which leaves escrow.
    pub price: Money,
    /// The holder's share of it.
    pub share: Money,
    /// The buyer's fee that was in escrow for them: the holder's too.
    pub fee: Money,
    /// What resellers had left in escrow for them, and get back.
    pub left: Vec<(ParticipantId, Money)>,
}

impl Returned {
    /// What the provider keeps of the price.
    pub fn paid(&self) -> Money {
        self.price - self.share
    }
}

impl Market {
    /// What comes of giving whole hours of a lease back to its pool, without doing it.
    ///
    /// # Errors
    /// Why they can't be given back.
    pub fn would_hand_back(
        &self,
        participant: ParticipantId,
        id: LeaseId,
        (start, end): (Timestamp, Timestamp),
    ) -> Result<Returned, Rejection> {
        let lease = self
            .lease(id)
            .filter(|lease| lease.holder == participant)
            .ok_or(Rejection::UnknownLease)?;
        let period = Period::try_new(start, end, self.now).ok_or(Rejection::BadPeriod)?;
        if start < self.now {
            return Err(Rejection::PeriodStarted);
        }
        if !period.each().all(|hour| lease.open_in(hour) > 0) {
            return Err(Rejection::OutsideLease);
        }
        if self.offers_any(id, period) {
            return Err(Rejection::OverLease);
        }
        let rules = self.rules_of(lease.rules).hand_back;
        if !rules.allowed {
            return Err(Rejection::NotAllowed);
        }
        if self.now.plus_hours(rules.notice_hours) > start {
            return Err(Rejection::TooLate);
        }
        let price: Money = period.each().map(|hour| lease.hour_price(hour)).sum();
        let mut after = lease.clone();
        for hour in period.each() {
            after.part_with(hour.alone(), lease.held_in(hour));
        }
        let share = i128::from(price.0) * i128::from(rules.holder_bps);
        let share = floor_div(share, WHOLE_BPS.into());
        Ok(Returned {
            period,
            price,
            share,
            fee: lease.fee_held() - after.fee_held(),
            left: period.each().flat_map(|hour| lease.left_in(hour)).collect(),
        })
    }

    /// Gives whole hours of a lease back to its pool.
    pub(crate) fn hand_back(
        &mut self,
        participant: ParticipantId,
        id: LeaseId,
        hours: (Timestamp, Timestamp),
        out: &mut Vec<Event>,
    ) -> Result<(), Rejection> {
        let returned = self.would_hand_back(participant, id, hours)?;
        self.clear_deadline(id);
        let lease = &mut self.leases[index(id.0)];
        let (pool, provider) = (lease.pool, lease.provider);
        let hours = returned.period.each();
        let hours: Vec<(Hour, i64)> = hours.map(|hour| (hour, lease.held_in(hour))).collect();
        for (hour, units) in &hours {
            lease.part_with(hour.alone(), *units);
        }
        lease.escrow -= returned.price;
        let unit_hours: i64 = hours.iter().map(|(_, units)| units).sum();
        self.count_lease(id, -unit_hours);
        let (back, paid) = (returned.share + returned.fee, returned.paid());
        let mut lines = vec![
            (
                Account::of(participant, AccountKind::Escrow),
                -returned.price - returned.fee,
            ),
            (Account::of(participant, AccountKind::Cash), back),
            (Account::of(provider, AccountKind::Cash), paid),
        ];
        for (reseller, left) in &returned.left {
            lines.push((Account::of(*reseller, AccountKind::Escrow), -*left));
            lines.push((Account::of(*reseller, AccountKind::Cash), *left));
        }
        let handed_back = EventKind::HandedBack {
            lease: id,
            period: returned.period,
            refunded: back + returned.left.into_iter().map(|(_, left)| left).sum(),
            paid,
        };
        self.emit(out, handed_back);
        self.post(out, Reason::HandBack(id), &lines);
        self.set_deadline(id);
        self.close_if_ended(id, out);
        for (hour, units) in hours {
            self.pool_mut(pool).give_back(hour, units);
        }
        self.offer_again(pool, out);
        Ok(())
    }

    /// Whether an open ask offers something of a lease in a period.
    fn offers_any(&self, lease: LeaseId, period: Period) -> bool {
        let open = self.resales.get(&lease).into_iter().flatten();
        let mut asks = open.map(|ask| self.order(*ask));
        asks.any(|ask| {
            let mut hours = period.each().filter(|hour| ask.holds_in(*hour));
            hours.any(|hour| ask.units > ask.sold_in(hour))
        })
    }

    /// Ends a lease that its provider fails, from the next whole hour on: what is left is refunded,
    /// bought in where the holder wanted that, and the bond pays for it.
    pub(crate) fn fail(&mut self, id: LeaseId, out: &mut Vec<Event>) -> Result<(), Rejection> {
        let lease = self.lease(id).ok_or(Rejection::UnknownLease)?;
        let from = self.now.next_hour();
        let hours = lease.unsettled().filter(|hour| *hour >= from);
        let hours: Vec<(Hour, i64)> = hours.map(|hour| (hour, lease.held_in(hour))).collect();
        if hours.is_empty() {
            return Err(Rejection::LeaseOver);
        }
        let (pool, holder, price) = (lease.pool, lease.holder, lease.price);
        let wants_buy_in = matches!(
            self.order(lease.buy).placed.side,
            Side::Buy { buy_in: true, .. }
        );
        self.withdraw_resales(id, out);
        self.leases[index(id.0)].failed_from = Some(from);
        for (hour, _) in &hours {
            self.settle(id, *hour, Minutes::default(), out);
        }
        let rests = stretches(&hours);
        let mut left: i64 = rests.iter().map(Rest::unit_hours).sum();
        let (mut bought, mut difference) = (0, Money::ZERO);
        for rest in &rests {
            if wants_buy_in {
                let (got, paid) = self.buy_in(id, rest, left, out);
                bought += got;
                difference += paid;
            }
            left -= rest.unit_hours();
        }
        let missing: i64 = rests.iter().map(Rest::unit_hours).sum::<i64>() - bought;
        let penalty = self.penalty(id, price.times(missing, 1));
        let ([free, thawed], penalty) = self.out_of_bond(id, penalty);
        let failed = EventKind::Defaulted {
            lease: id,
            from,
            difference,
            penalty,
        };
        self.emit(out, failed);
        let lines = [
            free,
            thawed,
            (Account::of(holder, AccountKind::Cash), penalty),
        ];
        self.post(out, Reason::Default(id), &lines);
        for (hour, units) in hours {
            self.pool_mut(pool).give_back(hour, units);
        }
        self.offer_again(pool, out);
        Ok(())
    }

    /// The penalty for hours that cost so much.
    fn penalty(&self, id: LeaseId, price: i128) -> Money {
        let lease = &self.leases[index(id.0)];
        let levels = &self.rules_of(lease.rules).service_levels;
        let level = levels.get(self.level_of(lease));
        let bps = level.map_or(0, |level| level.penalty_bps);
        floor_div(price * i128::from(bps), WHOLE_BPS.into())
    }

    /// Buys in a stretch of a failed lease by an order that takes what there is at once. The bond
    /// adds the same to each of the `left` unit-hours; beyond that the buyer's own limit holds, at
    /// the buyer's expense. Gives the unit-hours that were bought and what the bond paid for them.
    fn buy_in(
        &mut self,
        id: LeaseId,
        rest: &Rest,
        left: i64,
        out: &mut Vec<Event>,
    ) -> (i64, Money) {
        let lease = &self.leases[index(id.0)];
        let (old, bond) = (lease.price, lease.bond);
        let own = self.order(lease.buy).price;
        let with_bond = old + Money(bond.0.div_euclid(left));
        let mut limits = vec![with_bond.max(own), with_bond];
        limits.dedup();
        for limit in limits {
            let limit = self.on_tick(id, limit);
            let added = (limit - old).max(Money::ZERO).times(rest.unit_hours(), 1);
            let advance = Money::exact(added.min(bond.0.into()));
            let placed = self.replacement(id, rest, limit);
            let Ok(order) = self.admit_buy_in(&placed, advance) else {
                continue;
            };
            self.move_bond(id, advance, out);
            let look = Look {
                past_gate: true,
                ..Look::default()
            };
            let order = self.let_in(order, look, out);
            let (bought, dearer) = self.bought_by(order, old);
            let paid = advance.min(dearer);
            self.move_bond(id, paid - advance, out);
            return (bought, paid);
        }
        (0, Money::ZERO)
    }

    /// The order that buys in a stretch of a failed lease.
    fn replacement(&self, id: LeaseId, rest: &Rest, limit: Money) -> PlaceOrder {
        let lease = &self.leases[index(id.0)];
        let bid = self.order(lease.buy);
        let mut side = bid.placed.side.clone();
        if let Side::Buy {
            min_fill, flexible, ..
        } = &mut side
        {
            (*min_fill, *flexible) = (None, None);
        }
        // The first name of its kind that the buyer has not used.
        let name = |number: i64| ClientId(format!("{id}/{number}"));
        let free = |name: &ClientId| self.order_of(lease.holder, name).is_none();
        PlaceOrder {
            participant: lease.holder,
            client_id: (1..).map(name).find(free).expect("names don't end"),
            side,
            units: rest.units,
            price: limit,
            start: rest.period.start.begins(),
            end: rest.period.end.begins(),
            tif: TimeInForce::Ioc,
            post_only: false,
        }
    }

    /// The highest price not above a limit at which a failed lease's bid can be repeated.
    fn on_tick(&self, id: LeaseId, limit: Money) -> Money {
        let bid = self.order(self.leases[index(id.0)].buy);
        let ticks = bid.instruments.iter();
        let tick = ticks
            .map(|instrument| self.instruments[instrument].listed.tick.0)
            .try_fold(1, crate::admission::least_common_multiple)
            .expect("the bid's own price was a multiple of it");
        Money(limit.0 - limit.0.rem_euclid(tick))
    }

    /// Moves money between a failed lease's bond and its holder's cash.
    fn move_bond(&mut self, id: LeaseId, amount: Money, out: &mut Vec<Event>) {
        let lease = &self.leases[index(id.0)];
        let (holder, provider) = (lease.holder, lease.provider);
        self.change_bond(id, -amount);
        let lines = [
            (Account::of(provider, AccountKind::Bond), -amount),
            (Account::of(holder, AccountKind::Cash), amount),
        ];
        self.post(out, Reason::BuyIn(id), &lines);
    }

    /// How many unit-hours an order bought, and what they cost above an old price.
    fn bought_by(&self, order: OrderId, old: Money) -> (i64, Money) {
        let (mut bought, mut dearer) = (0, Money::ZERO);
        let made = self.leases.iter().rev();
        for lease in made.take_while(|lease| lease.buy == order) {
            bought += lease.unit_hours();
            let more = (lease.price - old).max(Money::ZERO);
            dearer += Money::exact(more.times(lease.unit_hours(), 1));
        }
        (bought, dearer)
    }

    /// Cancels what is still offered of a lease that fails.
    fn withdraw_resales(&mut self, lease: LeaseId, out: &mut Vec<Event>) {
        let open = self.resales.get(&lease).into_iter().flatten().copied();
        let mut open: Vec<OrderId> = open.collect();
        open.sort_unstable_by_key(|ask| self.order(*ask).acceptance);
        for ask in open {
            self.finish(ask, DoneWhy::Cancelled, out);
        }
    }
}

/// Hours and their units as stretches of the same units.
fn stretches(hours: &[(Hour, i64)]) -> Vec<Rest> {
    let mut rests: Vec<Rest> = Vec::new();
    for &(hour, units) in hours {
        match rests.last_mut() {
            Some(rest) if rest.period.end == hour && rest.units == units => {
                rest.period.end = Hour(hour.0 + 1);
            }
            _ => rests.push(Rest {
                period: hour.alone(),
                units,
            }),
        }
    }
    rests
}
