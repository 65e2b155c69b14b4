//! The market's state, and how a command changes it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::bands::Counted;
use crate::book::Book;
use crate::command::{Command, ListInstrument, OpenPool};
use crate::dispute::Dispute;
use crate::due::Agenda;
use crate::event::{DoneWhy, Event, EventKind};
use crate::id::{ClientId, DisputeId, InstrumentId, LeaseId, OrderId, ParticipantId, PoolId};
use crate::lease::Lease;
use crate::ledger::{Account, AccountKind, Entry, Ledger, Reason};
use crate::list::List;
use crate::money::Money;
use crate::names::Names;
use crate::order::Order;
use crate::pool::Pool;
use crate::position::Positions;
use crate::rejection::Rejection;
use crate::rules::{Rules, ServiceLevel};
use crate::time::{Period, Timestamp};

/// The most money that the ledger counts in all: 15 trillion yuan. No sum of it can wrap, and no
/// count of unit-minutes either: a unit-hour costs 1/10,000 yuan or more and has 60 of them.
const MOST_MONEY: Money = Money(150_000_000_000_000_000);

/// An instrument with its book.
#[derive(Clone, Debug)]
pub struct Instrument {
    /// Its terms.
    pub listed: ListInstrument,
    pub(crate) book: Book,
    /// What orders of this instrument alone name.
    pub(crate) alone: Arc<[InstrumentId]>,
}

/// By their terms: what stands in a book follows from the orders.
impl PartialEq for Instrument {
    fn eq(&self, other: &Self) -> bool {
        self.listed == other.listed
    }
}

impl Eq for Instrument {}

impl Instrument {
    pub(crate) fn new(listed: ListInstrument) -> Self {
        Self {
            alone: Arc::from([listed.instrument]),
            listed,
            book: Book::default(),
        }
    }

    /// The service level that its symbol ends with.
    pub fn service_level(&self) -> &str {
        self.listed.symbol.rsplit('.').next().unwrap_or_default()
    }
}

/// The whole market: every book, pool calendar, lease and balance.
///
/// It is a pure function of the commands applied to it, in their order: two markets that were
/// given the same ones are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Market {
    pub(crate) rules: Rules,
    /// Every rule set that was in force, by version: leases keep to theirs.
    pub(crate) rule_sets: BTreeMap<i64, Rules>,
    /// From when which version holds, of those that are to come.
    pub(crate) rules_to_come: BTreeMap<Timestamp, i64>,
    /// Until when each instrument is halted that is.
    pub(crate) halts: BTreeMap<InstrumentId, Timestamp>,
    /// Of each participant that is related to another the lowest of them.
    pub(crate) related: BTreeMap<ParticipantId, ParticipantId>,
    /// The latest trades of each instrument whose prices count, the earliest first.
    pub(crate) counted: BTreeMap<InstrumentId, VecDeque<Counted>>,
    pub(crate) now: Timestamp,
    pub(crate) acceptances: i64,
    pub(crate) instruments: BTreeMap<InstrumentId, Instrument>,
    pub(crate) pools: BTreeMap<PoolId, Pool>,
    pub(crate) orders: List<Order>,
    /// Every order of each participant by its client id.
    pub(crate) names: BTreeMap<ParticipantId, Names>,
    pub(crate) leases: List<Lease>,
    /// Those of the leases that have an hour to settle.
    pub(crate) open_leases: BTreeSet<LeaseId>,
    /// The open asks that sell a lease on, of each that has any.
    pub(crate) resales: BTreeMap<LeaseId, BTreeSet<OrderId>>,
    pub(crate) disputes: Vec<Dispute>,
    /// The disputes of each lease that has any.
    pub(crate) disputed: BTreeMap<LeaseId, Vec<DisputeId>>,
    pub(crate) ledger: Ledger,
    pub(crate) due: Agenda,
    pub(crate) payable: BTreeMap<(Timestamp, ParticipantId), Money>,
    /// What of each instrument is still to come, kept while the rules limit it.
    pub(crate) positions: Option<Positions>,
}

impl Market {
    /// A market in which nothing has happened.
    pub fn new(rules: Rules) -> Self {
        Self {
            positions: rules.limits_positions().then(Positions::default),
            rule_sets: BTreeMap::from([(rules.version, rules.clone())]),
            rules,
            rules_to_come: BTreeMap::new(),
            halts: BTreeMap::new(),
            related: BTreeMap::new(),
            counted: BTreeMap::new(),
            now: Timestamp(i64::MIN),
            acceptances: 0,
            instruments: BTreeMap::new(),
            pools: BTreeMap::new(),
            orders: List::default(),
            names: BTreeMap::new(),
            leases: List::default(),
            open_leases: BTreeSet::new(),
            resales: BTreeMap::new(),
            disputes: Vec::new(),
            disputed: BTreeMap::new(),
            ledger: Ledger::default(),
            due: Agenda::default(),
            payable: BTreeMap::new(),
        }
    }

    /// Lets happen what is due by `at`, then does the command, or rejects it and changes nothing
    /// more. The events come in the order in which things happened.
    ///
    /// # Panics
    /// When `at` is earlier than that of the command before it: whoever stamps commands keeps
    /// them in order.
    pub fn apply(&mut self, at: Timestamp, command: &Command) -> Vec<Event> {
        assert!(self.now <= at, "commands come in the order of their time");
        let mut out = Vec::new();
        self.let_happen(at, &mut out);
        self.now = at;
        if let Err(rejection) = self.dispatch(command, &mut out) {
            self.emit(&mut out, EventKind::Rejected(rejection));
        }
        out
    }

    fn dispatch(&mut self, command: &Command, out: &mut Vec<Event>) -> Result<(), Rejection> {
        match command {
            Command::ListInstrument(terms) => self.list_instrument(terms, out),
            Command::Deposit {
                participant,
                amount,
            } => self.deposit(*participant, *amount, out),
            Command::OpenPool(terms) => self.open_pool(terms, out),
            Command::PlaceOrder(placed) => self.place(placed, out),
            Command::CancelOrder {
                participant,
                client_id,
            } => {
                let order = self.open_order(*participant, client_id)?;
                self.finish(order, DoneWhy::Cancelled, out);
                Ok(())
            }
            Command::CancelAll {
                participant,
                instrument,
            } => {
                self.cancel_all(*participant, *instrument, out);
                Ok(())
            }
            Command::ReplaceOrder {
                participant,
                client_id,
                units,
                price,
            } => {
                let order = self.open_order(*participant, client_id)?;
                self.replace(order, *units, *price, out)
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
            Command::RuleDispute { dispute, award } => self.rule(*dispute, *award, out),
            Command::HandBack {
                participant,
                lease,
                start,
                end,
            } => self.hand_back(*participant, *lease, (*start, *end), out),
            Command::Default { lease } => self.fail(*lease, out),
            Command::SetRules { rules, from } => self.set_rules(rules, *from, out),
            Command::Halt { instrument, until } => self.halt(*instrument, *until, out),
            Command::Relate { participants } => {
                self.relate(participants, out);
                Ok(())
            }
            Command::Tick => Ok(()),
        }
    }

    fn list_instrument(
        &mut self,
        terms: &ListInstrument,
        out: &mut Vec<Event>,
    ) -> Result<(), Rejection> {
        if let Some(listed) = self.instruments.get(&terms.instrument) {
            return if listed.listed == *terms {
                Ok(())
            } else {
                Err(Rejection::DuplicateId)
            };
        }
        if self
            .instruments
            .values()
            .any(|other| other.listed.symbol == terms.symbol)
        {
            return Err(Rejection::DuplicateId);
        }
        if terms.lot < 1 {
            return Err(Rejection::NotALot);
        }
        if terms.tick.0 < 1 {
            return Err(Rejection::NotATick);
        }
        self.instruments
            .insert(terms.instrument, Instrument::new(terms.clone()));
        self.emit(out, EventKind::InstrumentListed);
        Ok(())
    }

    fn deposit(
        &mut self,
        participant: ParticipantId,
        amount: Money,
        out: &mut Vec<Event>,
    ) -> Result<(), Rejection> {
        let bank = Account::marketplace(AccountKind::Bank);
        let room = MOST_MONEY + self.ledger.balance(bank);
        if amount <= Money::ZERO || amount > room || participant == ParticipantId::MARKETPLACE {
            return Err(Rejection::BadAmount);
        }
        let cash = Account::of(participant, AccountKind::Cash);
        self.post(out, Reason::Deposit, &[(bank, -amount), (cash, amount)]);
        Ok(())
    }

    fn open_pool(&mut self, terms: &OpenPool, out: &mut Vec<Event>) -> Result<(), Rejection> {
        let known = self.pools.get(&terms.pool);
        let instrument = self.instruments.get(&terms.instrument);
        let period = Period::try_new(terms.start, terms.end, self.now);
        if let Some(pool) = known {
            let same = pool.participant == terms.participant
                && pool.instrument == terms.instrument
                && pool.period.start.begins() == terms.start
                && pool.period.end.begins() == terms.end
                && pool.access == terms.access;
            if !same || terms.units < pool.units {
                return Err(Rejection::DuplicateId);
            }
        }
        let lot = instrument.ok_or(Rejection::UnknownSymbol)?.listed.lot;
        if !is_lots(terms.units, lot) {
            return Err(Rejection::NotALot);
        }
        if let Some(pool) = self.pools.get_mut(&terms.pool) {
            if pool.units == terms.units {
                return Ok(());
            }
            pool.units = terms.units;
            self.emit(out, EventKind::PoolOpened { pool: terms.pool });
            self.offer_again(terms.pool, out);
            return Ok(());
        }
        let period = period.ok_or(Rejection::BadPeriod)?;
        let pool = Pool::new(terms, period, self.now);
        self.pools.insert(terms.pool, pool);
        self.emit(out, EventKind::PoolOpened { pool: terms.pool });
        Ok(())
    }

    /// A participant's open order of this name.
    fn open_order(
        &self,
        participant: ParticipantId,
        client_id: &ClientId,
    ) -> Result<OrderId, Rejection> {
        let named = self.order_of(participant, client_id);
        let order = named.ok_or(Rejection::UnknownOrder)?;
        if self.order(order).done.is_some() {
            Err(Rejection::OrderDone)
        } else {
            Ok(order)
        }
    }

    /// Cancels a participant's open orders, or those that stand in one book, in order of
    /// acceptance.
    fn cancel_all(
        &mut self,
        participant: ParticipantId,
        instrument: Option<InstrumentId>,
        out: &mut Vec<Event>,
    ) {
        let names = self.names.get(&participant).into_iter();
        let mut open: Vec<(i64, OrderId)> = names
            .flat_map(Names::orders)
            .map(|order| self.order(order))
            .filter(|order| order.done.is_none())
            .filter(|order| instrument.is_none_or(|one| order.instruments.contains(&one)))
            .map(|order| (order.acceptance, order.id))
            .collect();
        open.sort_unstable();
        for (_, order) in open {
            self.finish(order, DoneWhy::Cancelled, out);
        }
    }

    /// Ends an order: frees what it holds, takes it out of the books, and says why.
    pub(crate) fn finish(&mut self, id: OrderId, why: DoneWhy, out: &mut Vec<Event>) {
        self.leave_books(id);
        let order = self.order(id);
        let free = order.held;
        self.count_bid(id, |order| -order.remaining());
        let order = self.order(id);
        let (hold, cash) = self.hold_and_cash(order.participant());
        self.post(out, Reason::Release(id), &[(hold, -free), (cash, free)]);
        let order = self.order_mut(id);
        order.held = Money::ZERO;
        order.done = Some(why);
        self.emit(out, EventKind::Done { order: id, why });
    }

    /// Makes a journal entry and says so.
    pub(crate) fn post(
        &mut self,
        out: &mut Vec<Event>,
        reason: Reason,
        lines: &[(Account, Money)],
    ) -> Option<crate::id::EntryId> {
        let entry: Entry = self.ledger.post(reason, lines)?;
        let id = entry.id;
        self.emit(out, EventKind::Posted(entry));
        Some(id)
    }

    pub(crate) fn emit(&self, out: &mut Vec<Event>, kind: EventKind) {
        out.push(Event { at: self.now, kind });
    }

    /// The next place in the order of acceptance.
    pub(crate) fn next_acceptance(&mut self) -> i64 {
        self.acceptances += 1;
        self.acceptances
    }

    pub(crate) fn hold_and_cash(&self, participant: ParticipantId) -> (Account, Account) {
        (
            Account::of(participant, AccountKind::Hold),
            Account::of(participant, AccountKind::Cash),
        )
    }

    /// The instant of the last command, or of what fell due last.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// When the next thing falls due, if anything is to.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, ..)| at)
    }

    /// How many places in the order of acceptance are taken.
    pub fn acceptances(&self) -> i64 {
        self.acceptances
    }

    /// Every lease that has an hour to settle, by number.
    pub fn open_leases(&self) -> impl Iterator<Item = &Lease> {
        self.open_leases
            .iter()
            .map(|lease| &self.leases[index(lease.0)])
    }

    /// The rule set in force.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The rule set of this version: one that is or was in force.
    pub fn rules_of(&self, version: i64) -> &Rules {
        &self.rule_sets[&version]
    }

    /// The service level that a lease was sold under, where its rules have one.
    pub fn service_level(&self, lease: &Lease) -> Option<&ServiceLevel> {
        let pool = self.pools.get(&lease.pool)?;
        let instrument = self.instruments.get(&pool.instrument)?;
        let levels = &self.rules_of(lease.rules).service_levels;
        levels.get(instrument.service_level())
    }

    /// The rule sets that are, were or will be in force.
    pub fn all_rules(&self) -> impl Iterator<Item = &Rules> {
        self.rule_sets.values()
    }

    /// Whether this rule set is, was or will be in force.
    pub fn knows_rules(&self, rules: &Rules) -> bool {
        self.rule_sets.get(&rules.version) == Some(rules)
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// An instrument, if it is listed.
    pub fn instrument(&self, id: InstrumentId) -> Option<&Instrument> {
        self.instruments.get(&id)
    }

    /// Every listed instrument.
    pub fn instruments(&self) -> impl Iterator<Item = &Instrument> {
        self.instruments.values()
    }

    /// A pool, if it was opened.
    pub fn pool(&self, id: PoolId) -> Option<&Pool> {
        self.pools.get(&id)
    }

    /// An order that the market numbered.
    ///
    /// # Panics
    /// When it did not number it.
    pub fn order(&self, id: OrderId) -> &Order {
        &self.orders[index(id.0)]
    }

    /// The number of a participant's order of this name, if one was accepted.
    pub fn order_of(&self, participant: ParticipantId, client_id: &ClientId) -> Option<OrderId> {
        let names = self.names.get(&participant)?;
        names.find(client_id, |order| &self.order(order).placed.client_id)
    }

    /// Knows an order by its name from now on.
    pub(crate) fn name(&mut self, order: Order) {
        let names = self.names.entry(order.participant()).or_default();
        names.add(&order.placed.client_id, order.id);
        self.orders.push(order);
    }

    /// A lease, if the market made it.
    pub fn lease(&self, id: LeaseId) -> Option<&Lease> {
        usize::try_from(id.0.checked_sub(1)?)
            .ok()
            .and_then(|index| self.leases.get(index))
    }

    pub(crate) fn order_mut(&mut self, id: OrderId) -> &mut Order {
        &mut self.orders[index(id.0)]
    }

    pub(crate) fn pool_mut(&mut self, id: PoolId) -> &mut Pool {
        self.pools
            .get_mut(&id)
            .expect("an accepted order names a known pool")
    }
}

/// The place of what is numbered from 1.
pub(crate) fn index(number: i64) -> usize {
    usize::try_from(number - 1).expect("numbers begin at 1")
}

/// Whether units are a positive multiple of the lot.
pub(crate) fn is_lots(units: i64, lot: i64) -> bool {
    units > 0 && units.rem_euclid(lot) == 0
}
