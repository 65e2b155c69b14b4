//! Orders at the door: what is checked, in which order, before one is accepted or replaced.

use std::sync::Arc;

use crate::command::{Access, PlaceOrder, Side, Target, TimeInForce};
use crate::event::{DoneWhy, Event, EventKind};
use crate::id::{InstrumentId, OrderId, PoolId};
use crate::ledger::{Account, AccountKind, Reason};
use crate::money::Money;
use crate::order::Order;
use crate::plan::{FoundInVain, Look};
use crate::rejection::Rejection;
use crate::state::{Market, is_lots};
use crate::steps::Steps;
use crate::time::{MINUTE_MICROS, Period};

impl Market {
    /// Accepts an order and lets it trade, or says why not.
    pub(crate) fn place(
        &mut self,
        placed: &PlaceOrder,
        out: &mut Vec<Event>,
    ) -> Result<(), Rejection> {
        if let Some(order) = self.order_of(placed.participant, &placed.client_id) {
            if !self.order(order).has_terms(placed) {
                return Err(Rejection::DuplicateId);
            }
            self.emit(out, EventKind::Accepted { order, again: true });
            return Ok(());
        }
        let mut order = self.admit(placed, false)?;
        if order.is_bid() {
            order.held = self.affordable(&order, Money::ZERO)?;
        }
        self.admit_post_only(&order)?;
        self.let_in(order, Look::default(), out);
        Ok(())
    }

    fn admit_post_only(&mut self, order: &Order) -> Result<(), Rejection> {
        if !order.placed.post_only {
            return Ok(());
        }
        let mut vain = FoundInVain::default();
        let would_trade = self.would_trade(order, &mut vain);
        self.narrow(&vain);
        if would_trade {
            Err(Rejection::WouldTrade)
        } else {
            Ok(())
        }
    }

    /// An order that buys in, if the buyer can afford it with what the bond adds to their cash.
    pub(crate) fn admit_buy_in(
        &self,
        placed: &PlaceOrder,
        added: Money,
    ) -> Result<Order, Rejection> {
        let mut order = self.admit(placed, true)?;
        order.held = self.affordable(&order, added)?;
        Ok(order)
    }

    /// Accepts an order that was checked and lets it trade.
    pub(crate) fn let_in(
        &mut self,
        mut order: Order,
        look: Look<'_>,
        out: &mut Vec<Event>,
    ) -> OrderId {
        order.acceptance = self.next_acceptance();
        let (id, held, participant) = (order.id, order.held, order.participant());
        let (hold, cash) = self.hold_and_cash(participant);
        self.name(order);
        self.count_bid(id, Order::remaining);
        self.emit(
            out,
            EventKind::Accepted {
                order: id,
                again: false,
            },
        );
        self.post(out, Reason::Hold(id), &[(cash, -held), (hold, held)]);
        self.arrive(id, look, out);
        id
    }

    /// The order that these terms would make, every check made but that of funds and post-only. One
    /// that buys in has no gate and no limit to its position.
    pub(crate) fn admit(&self, placed: &PlaceOrder, buys_in: bool) -> Result<Order, Rejection> {
        let (instruments, lot, tick) = self.admit_target(placed)?;
        let pool = match placed.side {
            Side::Sell { pool, .. }
            | Side::Buy {
                target: Target::Pool(pool),
                ..
            } => Some(pool),
            Side::Resell { lease, .. } => self.lease(lease).map(|lease| lease.pool),
            Side::Buy { .. } => None,
        };
        let access = self.access_of(pool);
        let mut min_fill = lot;
        if let Side::Buy {
            min_fill: Some(units),
            ..
        } = placed.side
        {
            min_fill = units;
        }
        if !is_lots(placed.units, lot) || !is_lots(min_fill, lot) {
            return Err(Rejection::NotALot);
        }
        if min_fill > placed.units {
            return Err(Rejection::MinFillOverUnits);
        }
        if !is_lots(placed.price.0, tick) {
            return Err(Rejection::NotATick);
        }
        let period =
            Period::try_new(placed.start, placed.end, self.now).ok_or(Rejection::BadPeriod)?;
        let order = Order {
            id: OrderId(i64::try_from(self.orders.len()).expect("orders are counted") + 1),
            placed: placed.clone(),
            instruments: self.named(&instruments),
            pool,
            access,
            rules: self.rules.version,
            late_minutes: self.late_minutes(placed),
            gate_minutes: self.rules.gate_of(placed, access),
            lot,
            period,
            units: placed.units,
            price: placed.price,
            acceptance: 0,
            accepted_at: self.now,
            filled: 0,
            held: Money::ZERO,
            sold: Steps::default(),
            first_hour: period.start.max(self.now.hour()),
            rests: false,
            done: None,
        };
        if !hours_fit(&order) {
            return Err(Rejection::BadDuration);
        }
        self.admit_period(&order, buys_in)?;
        if matches!(placed.tif, TimeInForce::Gtd { until } if until <= self.now) {
            return Err(Rejection::UntilPassed);
        }
        self.admit_amount(&order)?;
        if !buys_in {
            self.admit_position(&order, 0)?;
        }
        self.admit_open(&order)?;
        self.admit_price(&order)?;
        Ok(order)
    }

    /// The instruments in whose books an order would stand, its lot (of a bid over several: the
    /// least common multiple of theirs) and the tick of its price (likewise).
    fn admit_target(
        &self,
        placed: &PlaceOrder,
    ) -> Result<(Vec<InstrumentId>, i64, i64), Rejection> {
        let instruments = match &placed.side {
            Side::Buy {
                target: Target::Instruments(instruments),
                ..
            } => {
                let mut instruments = instruments.clone();
                instruments.sort_unstable();
                instruments.dedup();
                instruments
            }
            Side::Buy {
                target: Target::Pool(pool),
                ..
            } => {
                vec![self.pool(*pool).ok_or(Rejection::UnknownPool)?.instrument]
            }
            Side::Sell {
                pool, min_hours, ..
            } => {
                let pool = self
                    .pool(*pool)
                    .filter(|pool| pool.participant == placed.participant)
                    .ok_or(Rejection::UnknownPool)?;
                if placed.tif == TimeInForce::Fok || *min_hours < 1 {
                    return Err(Rejection::NotSupported);
                }
                vec![pool.instrument]
            }
            Side::Resell {
                lease, min_hours, ..
            } => {
                let lease = self
                    .lease(*lease)
                    .filter(|lease| lease.holder == placed.participant)
                    .ok_or(Rejection::UnknownLease)?;
                if placed.tif == TimeInForce::Fok || *min_hours < 1 {
                    return Err(Rejection::NotSupported);
                }
                vec![self.pools[&lease.pool].instrument]
            }
        };
        let (mut lot, mut tick) = (1, 1);
        for id in &instruments {
            let listed = &self.instrument(*id).ok_or(Rejection::UnknownSymbol)?.listed;
            lot = least_common_multiple(lot, listed.lot).ok_or(Rejection::NotALot)?;
            tick = least_common_multiple(tick, listed.tick.0).ok_or(Rejection::NotATick)?;
        }
        if instruments.is_empty() {
            return Err(Rejection::UnknownSymbol);
        }
        Ok((instruments, lot, tick))
    }

    /// These instruments as an order names them.
    pub(crate) fn named(&self, instruments: &[InstrumentId]) -> Arc<[InstrumentId]> {
        match instruments {
            [one] => self.instrument(*one).map(|known| known.alone.clone()),
            _ => None,
        }
        .unwrap_or_else(|| Arc::from(instruments))
    }

    /// How soon a pool's units can be used; at once where none is named.
    pub(crate) fn access_of(&self, pool: Option<PoolId>) -> Access {
        let pool = pool.and_then(|pool| self.pool(pool));
        pool.map_or(Access::Instant, |pool| pool.access)
    }

    fn admit_period(&self, order: &Order, buys_in: bool) -> Result<(), Rejection> {
        if let Some(lease) = order.resold().and_then(|lease| self.lease(lease)) {
            self.admit_resale(order, lease)?;
            if !self.may_resell(lease) {
                return Err(Rejection::NotAllowed);
            }
            return Ok(());
        }
        let Side::Sell { pool, .. } = order.placed.side else {
            let starts = order.last_start().begins();
            let goes_on = self.rules.current_hour
                && order.flexible().is_none()
                && starts.hour() == self.now.hour();
            if starts < self.now && !goes_on {
                return Err(Rejection::PeriodStarted);
            }
            let waits = order.placed.is_pinned() && !buys_in;
            if waits && !self.is_ready(order, order.last_start()) {
                return Err(Rejection::GateClosed);
            }
            return Ok(());
        };
        if order.placed.end <= self.now {
            return Err(Rejection::PeriodOver);
        }
        let pool = self.pool(pool).ok_or(Rejection::UnknownPool)?;
        if !pool.period.covers(order.period) {
            return Err(Rejection::OutsidePool);
        }
        if order.units > pool.units {
            return Err(Rejection::OverPool);
        }
        Ok(())
    }

    /// What a bid must hold for what remains of it, if cash and what it holds already cover that.
    fn affordable(&self, bid: &Order, held: Money) -> Result<Money, Rejection> {
        let need = bid.need(bid.remaining(), self.rules_of(bid.rules).buyer_fee);
        let cash = self
            .ledger
            .balance(Account::of(bid.participant(), AccountKind::Cash));
        let missing = need.saturating_sub(i128::from(cash.0 + held.0));
        if missing > 0 {
            return Err(Rejection::InsufficientFunds { missing });
        }
        Ok(Money::exact(need))
    }

    /// Changes an open order's units, price or both (MATCHING, Replace).
    pub(crate) fn replace(
        &mut self,
        id: OrderId,
        units: Option<i64>,
        price: Option<Money>,
        out: &mut Vec<Event>,
    ) -> Result<(), Rejection> {
        let old = self.order(id).clone();
        let mut new = old.clone();
        new.units = units.unwrap_or(old.units);
        new.price = price.unwrap_or(old.price);
        let (_, _, tick) = self.admit_target(&old.placed)?;
        if !is_lots(new.units, new.lot) {
            return Err(Rejection::NotALot);
        }
        if new.min_fill() > new.units {
            return Err(Rejection::MinFillOverUnits);
        }
        if !is_lots(new.price.0, tick) {
            return Err(Rejection::NotATick);
        }
        self.admit_capacity(&new)?;
        let keeps_place = new.price == old.price && new.units < old.units;
        let rest_is_cancelled = new.units <= old.least_sold();
        if !keeps_place && !rest_is_cancelled {
            self.admit_position(&new, old.remaining())?;
        }
        self.admit_open(&new)?;
        self.admit_price(&new)?;
        // What has traded stands: the total of a bid is never less.
        new.units = new.units.max(old.filled);
        if !keeps_place {
            new.rules = self.rules.version;
        }
        if old.is_bid() && !rest_is_cancelled {
            new.held = self.affordable(&new, old.held)?;
        }
        if !keeps_place && !rest_is_cancelled {
            new.accepted_at = self.now;
            new.gate_minutes = self.rules.gate_of(&new.placed, new.access);
            // Its old place is gone: what it would trade, it trades as the later one.
            new.acceptance = 0;
            self.admit_post_only(&new)?;
            new.acceptance = self.next_acceptance();
        }
        let more = new.held - old.held;
        self.leave_books(id);
        new.rests = false;
        self.count_bid(id, |old| new.remaining() - old.remaining());
        *self.order_mut(id) = new;
        self.emit(
            out,
            EventKind::Accepted {
                order: id,
                again: false,
            },
        );
        let (hold, cash) = self.hold_and_cash(old.participant());
        self.post(out, Reason::Hold(id), &[(cash, -more), (hold, more)]);
        if rest_is_cancelled {
            self.finish(id, DoneWhy::Cancelled, out);
        } else if keeps_place {
            self.enter_books(id);
        } else {
            self.arrive(id, Look::default(), out);
        }
        Ok(())
    }

    /// Minutes of the first hour of a bid that have gone.
    fn late_minutes(&self, placed: &PlaceOrder) -> i64 {
        let is_bid = matches!(placed.side, Side::Buy { flexible: None, .. });
        let gone = self.now.0.saturating_sub(placed.start.0);
        if is_bid && placed.start.hour() == self.now.hour() {
            gone.max(0).div_euclid(MINUTE_MICROS)
        } else {
            0
        }
    }

    /// Whether the rules admit so many asks of a pool, instruments of a bid, and hours in which a
    /// flexible bid may lie.
    fn admit_amount(&self, order: &Order) -> Result<(), Rejection> {
        let limits = self.rules.limits;
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let within = |number: i64, limit: i64| limit == 0 || number <= limit;
        let pool = order.pool().and_then(|pool| self.pool(pool));
        let asks = pool.map_or(0, |pool| count(pool.asks.len()) + 1);
        let is_pools = matches!(order.placed.side, Side::Sell { .. });
        let fits = (!is_pools || within(asks, limits.asks_per_pool))
            && (!order.is_bid()
                || within(count(order.instruments.len()), limits.instruments_per_bid))
            && (order.flexible().is_none() || within(order.period.hours(), limits.flexible_hours));
        if fits {
            Ok(())
        } else {
            Err(Rejection::OverLimit)
        }
    }

    fn admit_capacity(&self, order: &Order) -> Result<(), Rejection> {
        if let Some(lease) = order.resold().and_then(|lease| self.lease(lease)) {
            return self.admit_resold_units(order, lease);
        }
        let pool = order
            .pool()
            .filter(|_| !order.is_bid())
            .and_then(|pool| self.pool(pool));
        match pool {
            Some(pool) if order.units > pool.units => Err(Rejection::OverPool),
            _ => Ok(()),
        }
    }
}

/// Whether a bid can have the hours that it wants inside its period, in runs as long as it wants.
fn hours_fit(bid: &Order) -> bool {
    bid.flexible().is_none_or(|flexible| {
        (1..=bid.period.hours()).contains(&flexible.duration)
            && (1..=flexible.duration).contains(&flexible.min_run)
    })
}

/// `None` when it does not fit.
pub(crate) fn least_common_multiple(a: i64, b: i64) -> Option<i64> {
    let (mut divisor, mut rest) = (a, b);
    while rest != 0 {
        (divisor, rest) = (rest, divisor.rem_euclid(rest));
    }
    a.checked_mul(b.div_euclid(divisor))
}
