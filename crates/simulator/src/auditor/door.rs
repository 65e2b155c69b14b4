//! What is let in: the checks of every command, in the documented order.

use market::{
    Access, AccountKind, ClientId, Command, DoneWhy, EventKind, InstrumentId, Money, OpenPool,
    OrderId, ParticipantId, PlaceOrder, Rejection, Side, Target, TimeInForce, Timestamp,
};

use super::Out;
use super::model::{Amount, HOUR, MINUTE, Model, Order, Pool};

/// The longest time from a command to the end of a period.
const HORIZON: i64 = 400 * 24 * HOUR;

fn lots(units: i64, lot: i64) -> bool {
    units > 0 && units % lot == 0
}

/// The smallest number of which every one of these is a divisor, found by trying.
fn common_multiple(numbers: &[i64]) -> i64 {
    let most = numbers.iter().copied().max().unwrap_or(1);
    (1..)
        .map(|times| times * most)
        .find(|multiple| numbers.iter().all(|number| multiple % number == 0))
        .expect("there is always one")
}

impl Model {
    pub(super) fn command(&mut self, command: &Command, out: &mut Out) -> Result<(), Rejection> {
        match command {
            Command::ListInstrument(terms) => self.list(terms, out),
            Command::Deposit {
                participant,
                amount,
            } => {
                if amount.0 <= 0 {
                    return Err(Rejection::BadAmount);
                }
                let bank = (ParticipantId::MARKETPLACE, AccountKind::Bank);
                let cash = (*participant, AccountKind::Cash);
                self.pay(bank, cash, Amount::from(amount.0));
                Ok(())
            }
            Command::OpenPool(terms) => self.open_pool(terms, out),
            Command::PlaceOrder(terms) => self.place(terms, out),
            Command::CancelOrder {
                participant,
                client_id,
            } => {
                let place = self.own_open(*participant, client_id)?;
                self.finish(place, DoneWhy::Cancelled, out);
                Ok(())
            }
            Command::CancelAll {
                participant,
                instrument,
            } => {
                let mut open = self.open.clone();
                open.sort_by_key(|place| self.orders[*place].accepted);
                for place in open {
                    let order = &self.orders[place];
                    let books = self.instruments_of(&order.terms).unwrap_or_default();
                    let named = instrument.is_none_or(|one| books.contains(&one));
                    if order.owner() == *participant && named {
                        self.finish(place, DoneWhy::Cancelled, out);
                    }
                }
                Ok(())
            }
            Command::ReplaceOrder {
                participant,
                client_id,
                units,
                price,
            } => {
                let place = self.own_open(*participant, client_id)?;
                self.replace(place, *units, *price, out)
            }
            Command::Deliver {
                lease,
                hour,
                delivered,
                excused,
            } => self.deliver(*lease, *hour, (*delivered, *excused), out),
            Command::Correct {
                lease,
                hour,
                delivered,
                excused,
            } => self.correct(*lease, *hour, (*delivered, *excused), out),
            Command::OpenDispute {
                participant,
                lease,
                amount,
            } => self.claim(*participant, *lease, *amount, out),
            Command::RuleDispute { dispute, award } => self.ruling(*dispute, *award, out),
            Command::HandBack {
                participant,
                lease,
                start,
                end,
            } => self.hand_back(*participant, *lease, (*start, *end), out),
            Command::Default { lease } => self.default_of(*lease, out),
            Command::SetRules { rules, from } => self.set_rules(rules, *from, out),
            Command::Halt { instrument, until } => self.halt(*instrument, *until, out),
            Command::Relate { participants } => {
                self.relate(participants, out);
                Ok(())
            }
            Command::Tick => Ok(()),
        }
    }

    /// Whether a period is whole hours, not empty, near enough, and not too long ago.
    pub(super) fn is_period(&self, start: Timestamp, end: Timestamp) -> bool {
        let whole = start.0 % HOUR == 0 && end.0 % HOUR == 0 && start < end;
        whole && end.0 <= self.now.0 + HORIZON && start.0 >= 0
    }

    fn open_pool(&mut self, terms: &OpenPool, out: &mut Out) -> Result<(), Rejection> {
        let opened = EventKind::PoolOpened { pool: terms.pool };
        if let Some(pool) = self.pools.get(&terms.pool) {
            let same = pool.owner == terms.participant
                && pool.instrument == terms.instrument
                && pool.start * HOUR == terms.start.0
                && pool.end * HOUR == terms.end.0
                && pool.access == terms.access;
            if !same || terms.units < pool.units {
                return Err(Rejection::DuplicateId);
            }
        }
        let listed = self.instruments.get(&terms.instrument);
        let lot = listed.ok_or(Rejection::UnknownSymbol)?.lot;
        if !lots(terms.units, lot) {
            return Err(Rejection::NotALot);
        }
        if let Some(pool) = self.pools.get_mut(&terms.pool) {
            if pool.units < terms.units {
                pool.units = terms.units;
                out.push((self.now, opened));
                self.offer_again(terms.pool, out);
            }
            return Ok(());
        }
        if !self.is_period(terms.start, terms.end) {
            return Err(Rejection::BadPeriod);
        }
        let pool = Pool {
            owner: terms.participant,
            instrument: terms.instrument,
            units: terms.units,
            start: terms.start.0 / HOUR,
            end: terms.end.0 / HOUR,
            access: terms.access,
            leased: std::collections::BTreeMap::new(),
        };
        self.pools.insert(terms.pool, pool);
        out.push((self.now, opened));
        Ok(())
    }

    /// The asks of a pool arrive again.
    pub(super) fn offer_again(&mut self, pool: market::PoolId, out: &mut Out) {
        if self.halts.contains_key(&self.pools[&pool].instrument) {
            return;
        }
        let mut asks = self.open.clone();
        asks.retain(|place| {
            let ask = &self.orders[*place];
            !ask.is_bid() && ask.resold().is_none() && ask.pool() == Some(pool)
        });
        asks.sort_by_key(|place| self.orders[*place].accepted);
        for ask in asks {
            if self.orders[ask].done.is_none() {
                self.arrive(ask, out);
            }
        }
    }

    fn own_open(&self, whose: ParticipantId, client_id: &ClientId) -> Result<usize, Rejection> {
        let place = self.known(whose, client_id);
        let place = place.ok_or(Rejection::UnknownOrder)?;
        match self.orders[place].done {
            Some(_) => Err(Rejection::OrderDone),
            None => Ok(place),
        }
    }

    pub(super) fn known(&self, whose: ParticipantId, client_id: &ClientId) -> Option<usize> {
        let named = |order: &Order| order.owner() == whose && order.terms.client_id == *client_id;
        self.orders.iter().position(named)
    }

    /// The instruments that an order can trade.
    pub(super) fn instruments_of(
        &self,
        terms: &PlaceOrder,
    ) -> Result<Vec<InstrumentId>, Rejection> {
        match &terms.side {
            Side::Buy {
                target: Target::Instruments(instruments),
                ..
            } => {
                let listed = |instrument| self.instruments.contains_key(instrument);
                if instruments.is_empty() || !instruments.iter().all(listed) {
                    return Err(Rejection::UnknownSymbol);
                }
                Ok(instruments.clone())
            }
            Side::Buy {
                target: Target::Pool(pool),
                ..
            } => {
                let pool = self.pools.get(pool).ok_or(Rejection::UnknownPool)?;
                Ok(vec![pool.instrument])
            }
            Side::Sell {
                pool, min_hours, ..
            } => {
                let pool = self.pools.get(pool);
                let pool = pool.filter(|pool| pool.owner == terms.participant);
                let pool = pool.ok_or(Rejection::UnknownPool)?;
                if terms.tif == TimeInForce::Fok || *min_hours < 1 {
                    return Err(Rejection::NotSupported);
                }
                Ok(vec![pool.instrument])
            }
            Side::Resell {
                lease, min_hours, ..
            } => {
                let lease = self.lease_at(*lease).map(|place| &self.leases[place]);
                let lease = lease.filter(|lease| lease.holder == terms.participant);
                let lease = lease.ok_or(Rejection::UnknownLease)?;
                if terms.tif == TimeInForce::Fok || *min_hours < 1 {
                    return Err(Rejection::NotSupported);
                }
                Ok(vec![self.pools[&lease.pool].instrument])
            }
        }
    }

    /// Where the units of an order are, or have to be.
    fn pool_of(&self, terms: &PlaceOrder) -> Option<market::PoolId> {
        match &terms.side {
            Side::Buy {
                target: Target::Pool(pool),
                ..
            }
            | Side::Sell { pool, .. } => Some(*pool),
            Side::Resell { lease, .. } => {
                let place = self.lease_at(*lease)?;
                Some(self.leases[place].pool)
            }
            Side::Buy { .. } => None,
        }
    }

    /// Whether resale asks would offer more of a lease than it has.
    fn is_over_lease(&self, order: &Order) -> bool {
        let Some(lease) = order.resold().and_then(|lease| self.lease_at(lease)) else {
            return false;
        };
        let lease = &self.leases[lease];
        order.covered().into_iter().any(|hour| {
            let others = self.open.iter().map(|place| &self.orders[*place]);
            let others = others.filter(|other| {
                other.id != order.id
                    && other.resold() == order.resold()
                    && other.covered().contains(&hour)
            });
            let unsold = |ask: &Order| (ask.units - ask.sold_in(hour)).max(0);
            let offered: i64 = others.map(unsold).sum();
            let is_open = lease.unsettled.contains(&hour);
            let held = if is_open { lease.held[&hour] } else { 0 };
            offered + unsold(order) > held
        })
    }

    fn place(&mut self, terms: &PlaceOrder, out: &mut Out) -> Result<(), Rejection> {
        if let Some(known) = self.known(terms.participant, &terms.client_id) {
            let order = &self.orders[known];
            if plain(&order.terms, order.lot) != plain(terms, order.lot) {
                return Err(Rejection::DuplicateId);
            }
            let accepted = EventKind::Accepted {
                order: order.id,
                again: true,
            };
            out.push((self.now, accepted));
            return Ok(());
        }
        let order = self.checked(terms, false)?;
        self.check_funds(&order, 0)?;
        if terms.post_only && self.could_trade(&order) {
            return Err(Rejection::WouldTrade);
        }
        self.enter(order, out);
        Ok(())
    }

    /// Lets a checked order in, and lets it trade.
    pub(super) fn enter(&mut self, order: Order, out: &mut Out) {
        let place = self.orders.len();
        self.orders.push(order);
        self.open.push(place);
        self.let_in(place, 0, out);
        self.arrive(place, out);
    }

    /// An order with these terms, checked but for its funds and for post-only.
    pub(super) fn checked(&self, terms: &PlaceOrder, buys_in: bool) -> Result<Order, Rejection> {
        let instruments = self.instruments_of(terms)?;
        let listed = || instruments.iter().map(|id| &self.instruments[id]);
        let lot = common_multiple(&listed().map(|terms| terms.lot).collect::<Vec<_>>());
        let tick = common_multiple(&listed().map(|terms| terms.tick.0).collect::<Vec<_>>());
        let order = Order {
            id: OrderId(i64::try_from(self.orders.len()).expect("orders are few") + 1),
            terms: terms.clone(),
            lot,
            tick,
            pool: self.pool_of(terms),
            late: self.minutes_gone(terms),
            gate: self.gate_of(terms),
            buys_in,
            fees: self.rules.buyer_fee,
            splits: 0,
            start: terms.start.0.div_euclid(HOUR),
            end: terms.end.0.div_euclid(HOUR),
            units: terms.units,
            price: terms.price.0,
            accepted: 0,
            accepted_at: self.now,
            traded: 0,
            sold: std::collections::BTreeMap::new(),
            done: None,
        };
        check_size(&order)?;
        if !self.is_period(terms.start, terms.end) {
            return Err(Rejection::BadPeriod);
        }
        if let Some(wanted) = order.flexible() {
            let fits = wanted.duration >= 1 && wanted.duration <= order.end - order.start;
            if !fits || wanted.min_run < 1 || wanted.min_run > wanted.duration {
                return Err(Rejection::BadDuration);
            }
        }
        let resold = order.resold().and_then(|lease| self.lease_at(lease));
        if resold.is_some() && terms.start < self.now {
            return Err(Rejection::PeriodStarted);
        }
        let starts = (order.end - order.hours()) * HOUR;
        let in_course = self.rules.current_hour
            && order.flexible().is_none()
            && self.now.0.div_euclid(HOUR) == order.start;
        if order.is_bid() && starts < self.now.0 && !in_course {
            return Err(Rejection::PeriodStarted);
        }
        if self.waits_for_prepared(terms) && !buys_in && !self.is_far(order.end - order.hours()) {
            return Err(Rejection::GateClosed);
        }
        if !order.is_bid() && terms.end <= self.now {
            return Err(Rejection::PeriodOver);
        }
        if let Some(lease) = resold {
            if self.is_over_lease(&order) {
                return Err(Rejection::OverLease);
            }
            let lease = &self.leases[lease];
            let resale = self.rule_sets[&lease.rules].resale;
            let from = lease.made_at.0 + resale.cooling_off_hours * HOUR;
            if !resale.allowed || self.now.0 < from {
                return Err(Rejection::NotAllowed);
            }
        } else if let (false, Some(pool)) = (order.is_bid(), order.pool()) {
            let pool = &self.pools[&pool];
            if order.start < pool.start || order.end > pool.end {
                return Err(Rejection::OutsidePool);
            }
            if order.units > pool.units {
                return Err(Rejection::OverPool);
            }
        }
        if matches!(terms.tif, TimeInForce::Gtd { until } if until <= self.now) {
            return Err(Rejection::UntilPassed);
        }
        let limits = self.rules.limits;
        let over =
            |count: usize, limit: i64| limit > 0 && count > usize::try_from(limit).unwrap_or(0);
        let mut books = instruments.clone();
        books.sort_unstable();
        books.dedup();
        let of_pool = self.open.iter().filter(|place| {
            let other = &self.orders[**place];
            !other.is_bid() && other.resold().is_none() && other.pool() == order.pool()
        });
        let asks = of_pool.count() + 1;
        let is_pools = !order.is_bid() && order.resold().is_none();
        let hours = usize::try_from(order.end - order.start).unwrap_or(0);
        if (is_pools && over(asks, limits.asks_per_pool))
            || (order.is_bid() && over(books.len(), limits.instruments_per_bid))
            || (order.flexible().is_some() && over(hours, limits.flexible_hours))
            || (!buys_in && self.is_over_position(&order))
        {
            return Err(Rejection::OverLimit);
        }
        self.check_moment(&order)?;
        Ok(order)
    }

    /// Whether a bid names a pool whose units are not ready at once.
    fn waits_for_prepared(&self, terms: &PlaceOrder) -> bool {
        match &terms.side {
            Side::Buy {
                target: Target::Pool(pool),
                ..
            } => self.pools[pool].access == Access::Prepared,
            Side::Buy { .. } | Side::Sell { .. } | Side::Resell { .. } => false,
        }
    }

    fn gate_of(&self, terms: &PlaceOrder) -> i64 {
        if self.waits_for_prepared(terms) {
            self.rules.gate_minutes
        } else {
            0
        }
    }

    /// Whether an hour begins as many minutes after now as the gate has, or more.
    pub(super) fn is_far(&self, hour: i64) -> bool {
        hour * HOUR - self.now.0 >= self.rules.gate_minutes * MINUTE
    }

    /// Whether a bid would give its owner, with all who belong to them, more to come of one of its
    /// instruments than the limit.
    fn is_over_position(&self, bid: &Order) -> bool {
        let limit = Amount::from(self.rules.limits.position_unit_hours);
        let books = self.instruments_of(&bid.terms).unwrap_or_default();
        let wanted = |bid: &Order| Amount::from(bid.remaining()) * Amount::from(bid.hours());
        let mut over = books.iter().map(|book| {
            let open = self.open.iter().map(|place| &self.orders[*place]);
            let others = open.filter(|other| {
                let named = self.instruments_of(&other.terms).unwrap_or_default();
                other.is_bid()
                    && other.id != bid.id
                    && self.are_one(other.owner(), bid.owner())
                    && named.contains(book)
            });
            let leases = self.leases.iter().filter(|lease| {
                self.are_one(lease.holder, bid.owner())
                    && self.pools[&lease.pool].instrument == *book
            });
            let to_come = leases.flat_map(|lease| {
                let hours = lease.unsettled.iter();
                hours.map(|hour| Amount::from(lease.held[hour]))
            });
            wanted(bid) + others.map(wanted).sum::<Amount>() + to_come.sum::<Amount>() > limit
        });
        bid.is_bid() && limit > 0 && over.any(|over| over)
    }

    /// Whole minutes of the hour in course that are gone, for a bid that starts with it.
    fn minutes_gone(&self, terms: &PlaceOrder) -> i64 {
        let bid = matches!(terms.side, Side::Buy { flexible: None, .. });
        let start = terms.start.0.div_euclid(HOUR);
        if bid && start == self.now.0.div_euclid(HOUR) && self.now > terms.start {
            (self.now.0 - terms.start.0) / MINUTE
        } else {
            0
        }
    }

    /// Whether cash and what is held already cover an order.
    pub(super) fn check_funds(&self, order: &Order, held: Amount) -> Result<(), Rejection> {
        let cash = self.balance(order.owner(), AccountKind::Cash);
        let missing = order.needs() - cash - held;
        if missing > 0 {
            return Err(Rejection::InsufficientFunds { missing });
        }
        Ok(())
    }

    /// Gives an order its place, and holds what it needs beyond what it held.
    fn let_in(&mut self, place: usize, held: Amount, out: &mut Out) {
        self.orders[place].accepted = self.accept();
        self.orders[place].accepted_at = self.now;
        self.hold(place, held, out);
    }

    fn hold(&mut self, place: usize, held: Amount, out: &mut Out) {
        let order = &self.orders[place];
        let (id, owner, more) = (order.id, order.owner(), order.needs() - held);
        self.pay((owner, AccountKind::Cash), (owner, AccountKind::Hold), more);
        let accepted = EventKind::Accepted {
            order: id,
            again: false,
        };
        out.push((self.now, accepted));
    }

    fn replace(
        &mut self,
        place: usize,
        units: Option<i64>,
        price: Option<Money>,
        out: &mut Out,
    ) -> Result<(), Rejection> {
        let old = self.orders[place].clone();
        let mut new = old.clone();
        new.units = units.unwrap_or(old.units);
        new.price = price.map_or(old.price, |price| price.0);
        check_size(&new)?;
        if self.is_over_lease(&new) {
            return Err(Rejection::OverLease);
        }
        if let (false, None, Some(pool)) = (new.is_bid(), new.resold(), new.pool())
            && new.units > self.pools[&pool].units
        {
            return Err(Rejection::OverPool);
        }
        let keeps_place = new.units < old.units && new.price == old.price;
        let is_over = new.units <= old.least_sold();
        if !keeps_place && !is_over && self.is_over_position(&new) {
            return Err(Rejection::OverLimit);
        }
        self.check_moment(&new)?;
        if is_over {
            let accepted = EventKind::Accepted {
                order: old.id,
                again: false,
            };
            out.push((self.now, accepted));
            self.finish(place, DoneWhy::Cancelled, out);
            // It is the last limit that was given, should something have to be bought in.
            self.orders[place].price = new.price;
            return Ok(());
        }
        if !keeps_place {
            (new.fees, new.gate) = (self.rules.buyer_fee, self.gate_of(&new.terms));
        }
        self.check_funds(&new, old.needs())?;
        if !keeps_place && new.terms.post_only && self.could_trade(&new) {
            return Err(Rejection::WouldTrade);
        }
        self.orders[place] = new;
        if keeps_place {
            self.hold(place, old.needs(), out);
            return Ok(());
        }
        self.let_in(place, old.needs(), out);
        self.arrive(place, out);
        Ok(())
    }
}

fn check_size(order: &Order) -> Result<(), Rejection> {
    if !lots(order.units, order.lot) || !lots(order.min_fill(), order.lot) {
        return Err(Rejection::NotALot);
    }
    if order.min_fill() > order.units {
        return Err(Rejection::MinFillOverUnits);
    }
    if !lots(order.price, order.tick) {
        return Err(Rejection::NotATick);
    }
    Ok(())
}

/// The terms of an order in the same words for the same thing.
fn plain(terms: &PlaceOrder, lot: i64) -> PlaceOrder {
    let mut terms = terms.clone();
    if let Side::Buy {
        target, min_fill, ..
    } = &mut terms.side
    {
        *min_fill = Some(min_fill.unwrap_or(lot));
        if let Target::Instruments(instruments) = target {
            let set: std::collections::BTreeSet<InstrumentId> = instruments.drain(..).collect();
            instruments.extend(set);
        }
    }
    terms
}
