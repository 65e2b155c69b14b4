//! A market rebuilt from what the tables keep of it.

use std::collections::BTreeMap;

use crate::bands::Counted;
use crate::command::{ListInstrument, OpenPool, PlaceOrder};
use crate::dispute::Dispute;
use crate::due::{Due, LAST};
use crate::event::DoneWhy;
use crate::id::{InstrumentId, OrderId, ParticipantId, PoolId};
use crate::lease::{Lease, Link};
use crate::ledger::{Account, Ledger};
use crate::money::Money;
use crate::order::Order;
use crate::pool::Pool;
use crate::rules::Rules;
use crate::state::{Instrument, Market, index};
use crate::steps::Steps;
use crate::time::{Hour, Period, Timestamp};

/// All that a market is, in the form in which tables keep it. Books, calendars and what falls
/// due are worked out from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The rule set with which it began.
    pub rules: Rules,
    /// Every other rule set with the instant from which it holds, in that order.
    pub rule_sets: Vec<(Timestamp, Rules)>,
    /// Until when each instrument is halted that is.
    pub halts: Vec<(InstrumentId, Timestamp)>,
    /// Of each participant that is related to another the lowest of them.
    pub related: Vec<(ParticipantId, ParticipantId)>,
    /// The latest trades of each instrument whose prices count, the earliest first.
    pub counted: Vec<(InstrumentId, Counted)>,
    /// The instant of the last command.
    pub now: Timestamp,
    /// How many places in the order of acceptance are taken.
    pub acceptances: i64,
    /// Every instrument.
    pub instruments: Vec<ListInstrument>,
    /// Every pool.
    pub pools: Vec<KnownPool>,
    /// Every order, by number from 1.
    pub orders: Vec<KnownOrder>,
    /// Every lease, by number from 1.
    pub leases: Vec<Lease>,
    /// Every dispute, by number from 1.
    pub disputes: Vec<Dispute>,
    /// Every balance.
    pub balances: BTreeMap<Account, Money>,
    /// How many journal entries were made.
    pub entries: i64,
    /// What is payable, by when it becomes cash and to whom.
    pub payable: Vec<(Timestamp, ParticipantId, Money)>,
}

/// A pool and when it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPool {
    /// Its terms, with the units that it has now.
    pub terms: OpenPool,
    /// When it was opened.
    pub opened_at: Timestamp,
}

/// An order and what has come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownOrder {
    /// Its terms when it was first sent.
    pub placed: PlaceOrder,
    /// When it was first accepted.
    pub placed_at: Timestamp,
    /// Its instruments.
    pub instruments: Vec<InstrumentId>,
    /// The pool that its units are in, or that it is pinned to.
    pub pool: Option<PoolId>,
    /// The rule set under which it was last accepted.
    pub rules: i64,
    /// Minutes of its first hour that were gone at its acceptance.
    pub late_minutes: i64,
    /// Its total units now.
    pub units: i64,
    /// Its price now.
    pub price: Money,
    /// Its place in the order of acceptance.
    pub acceptance: i64,
    /// When it was last accepted.
    pub accepted_at: Timestamp,
    /// What it still holds.
    pub held: Money,
    /// Why nothing more comes of it.
    pub done: Option<DoneWhy>,
}

impl Market {
    /// The market that a snapshot describes.
    ///
    /// # Errors
    /// What in the snapshot contradicts itself.
    pub fn restore(snapshot: Snapshot) -> Result<Self, String> {
        let mut market = Self::new(snapshot.rules);
        market.now = snapshot.now;
        market.acceptances = snapshot.acceptances;
        for (from, rules) in snapshot.rule_sets {
            market.rules_given(rules, from);
            if from <= market.now {
                market.change_rules(from);
            }
        }
        market.related = snapshot.related.into_iter().collect();
        for (instrument, until) in snapshot.halts {
            market.halted(instrument, until);
        }
        for (instrument, counted) in snapshot.counted {
            market.remember(instrument, counted);
        }
        market.ledger = Ledger::restore(snapshot.balances, snapshot.entries);
        for listed in snapshot.instruments {
            market
                .instruments
                .insert(listed.instrument, Instrument::new(listed));
        }
        for pool in snapshot.pools {
            market.restore_pool(&pool)?;
        }
        for order in snapshot.orders {
            market.restore_order(order)?;
        }
        for lease in snapshot.leases {
            market.restore_lease(lease)?;
        }
        for dispute in snapshot.disputes {
            market.restore_dispute(dispute)?;
        }
        for at in 0..market.orders.len() {
            let order = &market.orders[at];
            if order.done.is_none() {
                market.enter_books(order.id);
            }
        }
        market.count_positions();
        for (until, participant, amount) in snapshot.payable {
            market.payable.insert((until, participant), amount);
            market.due.insert((until, LAST, Due::Payout(participant)));
        }
        Ok(market)
    }

    fn restore_pool(&mut self, known: &KnownPool) -> Result<(), String> {
        let terms = &known.terms;
        let period = Period::try_new(terms.start, terms.end, known.opened_at)
            .ok_or_else(|| format!("pool {} has no period", terms.pool))?;
        let pool = Pool::new(terms, period, known.opened_at);
        self.pools.insert(terms.pool, pool);
        Ok(())
    }

    fn restore_order(&mut self, known: KnownOrder) -> Result<(), String> {
        let id = OrderId(i64::try_from(self.orders.len()).map_err(|error| error.to_string())? + 1);
        let mut lot = 1;
        for instrument in &known.instruments {
            let listed = self
                .instrument(*instrument)
                .ok_or(format!("order {id} has no book"))?;
            lot = crate::admission::least_common_multiple(lot, listed.listed.lot)
                .ok_or(format!("order {id} has no lot"))?;
        }
        let placed = known.placed;
        let period = Period::try_new(placed.start, placed.end, known.placed_at)
            .ok_or_else(|| format!("order {id} has no period"))?;
        let rules = self
            .rule_sets
            .get(&known.rules)
            .ok_or_else(|| format!("order {id} has no rules"))?;
        let access = self.access_of(known.pool);
        let gate_minutes = rules.gate_of(&placed, access);
        self.name(Order {
            id,
            placed,
            instruments: self.named(&known.instruments),
            pool: known.pool,
            access,
            rules: known.rules,
            late_minutes: known.late_minutes,
            gate_minutes,
            lot,
            period,
            units: known.units,
            price: known.price,
            acceptance: known.acceptance,
            accepted_at: known.accepted_at,
            filled: 0,
            held: known.held,
            sold: Steps::default(),
            first_hour: period.start.max(known.placed_at.hour()),
            rests: false,
            done: known.done,
        });
        Ok(())
    }

    fn restore_lease(&mut self, mut lease: Lease) -> Result<(), String> {
        let known = |id: OrderId| usize::try_from(id.0 - 1).is_ok_and(|at| at < self.orders.len());
        let numbered = usize::try_from(lease.id.0 - 1) == Ok(self.leases.len());
        if !numbered || !known(lease.buy) || !known(lease.sell) {
            return Err(format!("lease {} is out of order", lease.id));
        }
        if let Some(parent) = lease.parent {
            let parent = self
                .lease(parent)
                .ok_or_else(|| format!("lease {} has no parent", lease.id))?;
            lease.links.clone_from(&parent.links);
            lease.links.push(Link {
                reseller: parent.holder,
                bought: parent.price,
                sold: lease.price,
            });
        }
        let pool = self
            .pools
            .get_mut(&lease.pool)
            .ok_or_else(|| format!("lease {} has no pool", lease.id))?;
        let ask = &self.orders[index(lease.sell.0)];
        let within = pool.period.covers(lease.period)
            && ask.period.covers(lease.period)
            && lease.period.start >= ask.first_hour.max(pool.first_hour);
        let holds = |hour: Hour| lease.occupies(hour) <= pool.free_in(hour);
        if !within || !lease.period.each().all(holds) {
            return Err(format!("lease {} is not within its pool", lease.id));
        }
        for hour in lease.period.each() {
            pool.lease(hour.alone(), lease.occupies(hour));
        }
        if lease.delivered != lease.counted.iter().sum() {
            return Err(format!("lease {} has not got what its hours got", lease.id));
        }
        self.order_mut(lease.buy).count_bought(lease.units);
        self.order_mut(lease.sell).sell(lease.period, lease.units);
        self.begin_lease(lease);
        Ok(())
    }

    fn restore_dispute(&mut self, dispute: Dispute) -> Result<(), String> {
        let numbered = usize::try_from(dispute.id.0 - 1) == Ok(self.disputes.len());
        let lease = self
            .lease(dispute.lease)
            .filter(|lease| lease.holder == dispute.claimant && lease.provider == dispute.provider);
        let free = dispute.ruled.is_some() || self.open_dispute(dispute.lease).is_none();
        if !numbered || lease.is_none() || !free {
            return Err(format!("dispute {} is out of order", dispute.id));
        }
        self.begin_dispute(dispute);
        Ok(())
    }
}
