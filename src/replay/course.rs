//! The course of a replay: which command comes next, and what its answer means for those after it.
//!
//! It does no I/O: [`Course::step`] gives a command, the caller asks the market and hands the
//! answer to [`Course::learn`]. Many commands may be on their way at once. Where the next one
//! depends on answers that are not there yet, `step` says [`Step::Wait`]; so the commands are the
//! same however long the market takes to answer.

use std::collections::VecDeque;

use market::{
    Access, ClientId, Command, Event, Money, OpenPool, ParticipantId, Period, PlaceOrder, Rules,
    Side, Target, TimeInForce, Timestamp, WHOLE_BPS,
};

use super::dice::{Dice, Draw};
use super::fates::{About, Fates};
use super::fleet::night;
use super::plan::Plan;
use super::readings::{outage, reading};
use super::work::{BUYERS, Bid, FIRST_BUYER, Stands, at_hour, at_second};

/// Readings of an hour come so long after it: whole hours, where the rules allow as many, and five
/// minutes in microseconds. A few hours make room for commands to be on their way together.
const READING_LAG_HOURS: i64 = 3;
const READING_LAG: i64 = 300_000_000;

/// Providers ask anew every so many hours.
const WEEK_HOURS: i64 = 168;

/// One buyer in so many brings half of what its orders need.
const SHORT_PURSE_ONE_IN: i64 = 20;

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// This command, at this instant.
    Send(Timestamp, Command),
    /// An answer is needed first: the next one that is due to come.
    Wait,
    /// Everything was sent and answered.
    End,
}

/// What is known from the start to happen at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Reprice(usize),
    Place(usize),
    Raise(usize),
    Cancel(usize),
}

/// A replay on its way.
pub struct Course {
    /// What was drawn.
    pub plan: Plan,
    /// What became of it so far.
    pub fates: Fates,
    /// When the last payment and the last bond are free.
    closes: Timestamp,
    /// How many whole hours after an hour its readings come.
    lag: i64,
    actions: VecDeque<(Timestamp, Action)>,
    /// The next hour to read, from the trace's start.
    hour: i64,
    ready: VecDeque<(Timestamp, Command, About)>,
    under_way: VecDeque<(Timestamp, About)>,
    /// Each bid's place among the orders, once it was sent.
    bids: Vec<Option<usize>>,
    /// Each pool's base ask.
    asks: Vec<usize>,
    relisted: usize,
    closed: bool,
}

impl Course {
    /// The course that a plan takes under a rule set.
    pub fn new(plan: Plan, rules: &Rules) -> Self {
        let deadline = rules.reading_deadline_hours.unwrap_or(i64::MAX);
        let lag = READING_LAG_HOURS.min(deadline - 1).max(0);
        let last = rules.claim_window_hours.max(lag) + 1;
        let mut course = Self {
            closes: at_hour(plan.hours + last).begins(),
            lag,
            actions: actions(&plan).into(),
            hour: 0,
            ready: VecDeque::new(),
            under_way: VecDeque::new(),
            bids: vec![None; plan.bids.len()],
            asks: Vec::new(),
            relisted: 0,
            closed: false,
            fates: Fates::default(),
            plan,
        };
        course.open(rules);
        course
    }

    /// What comes next.
    pub fn step(&mut self) -> Step {
        loop {
            if let Some((at, command, about)) = self.ready.pop_front() {
                self.under_way.push_back((at, about));
                return Step::Send(at, command);
            }
            let reading = (self.hour < self.plan.hours)
                .then(|| Timestamp(at_hour(self.hour + self.lag).ends().0 + READING_LAG));
            let action = self.actions.front().copied();
            match (action, reading) {
                (Some((at, action)), reading) if reading.is_none_or(|reading| at <= reading) => {
                    if action.needs_answers() && !self.under_way.is_empty() {
                        return Step::Wait;
                    }
                    self.actions.pop_front();
                    self.act(at, action);
                }
                (_, Some(reading)) => {
                    // Who holds the hour was settled before it began.
                    let begins = at_hour(self.hour).begins();
                    if self.under_way.front().is_some_and(|(at, _)| *at <= begins) {
                        return Step::Wait;
                    }
                    self.read_hour(reading);
                    self.hour += 1;
                }
                (_, None) if !self.closed => {
                    self.closed = true;
                    self.queue(self.closes, Command::Tick, About::Other);
                }
                (_, None) if !self.under_way.is_empty() => return Step::Wait,
                (_, None) => return Step::End,
            }
        }
    }

    /// Takes in the answer to the earliest command that has none yet.
    ///
    /// # Panics
    /// When every command was answered.
    pub fn learn(&mut self, events: &[Event]) {
        let (_, about) = self.under_way.pop_front().expect("an answer to a command");
        self.fates.learn(about, events);
    }

    /// How many commands were answered, and how many are known to come in all.
    pub fn progress(&self) -> (u64, u64) {
        let now = at_hour(self.hour);
        let hours = self.fates.running.iter().map(|lease| {
            let first = lease.period.start.max(now);
            u64::try_from(lease.period.end.0 - first.0).unwrap_or(0)
        });
        let answered = u64::try_from(self.fates.tally.commands).unwrap_or(0);
        let to_come = self.ready.len() + self.under_way.len() + self.actions.len();
        (answered, answered + to_come as u64 + hours.sum::<u64>())
    }

    /// Which day of the trace it has come to, for people.
    pub fn day(&self) -> String {
        format!("day {}", self.hour / 24)
    }

    fn queue(&mut self, at: Timestamp, command: Command, about: About) {
        self.ready.push_back((at, command, about));
    }

    fn place(&mut self, at: Timestamp, placed: PlaceOrder) -> usize {
        let order = self.fates.send(placed.clone());
        self.queue(at, Command::PlaceOrder(placed), About::Placing(order));
        order
    }

    /// Lists instruments, brings money, opens pools and asks, all at the trace's start.
    fn open(&mut self, rules: &Rules) {
        let at = at_hour(0).begins();
        for listed in &self.plan.fleet.instruments {
            let command = listed.command();
            self.ready.push_back((at, command, About::Other));
        }
        for (participant, amount) in self.purses(rules) {
            let command = Command::Deposit {
                participant,
                amount,
            };
            self.queue(at, command, About::Other);
        }
        for pool in 0..self.plan.fleet.pools.len() {
            self.open_pool(at, pool);
        }
    }

    fn open_pool(&mut self, at: Timestamp, pool: usize) {
        let terms = self.plan.fleet.pools[pool].clone();
        let provider = &self.plan.fleet.providers[terms.provider];
        let listed = &self.plan.fleet.instruments[terms.instrument];
        let (instrument, nights) = (listed.instrument, provider.nights);
        let tariff = &self.plan.tariffs[listed.grade.name];
        let price = self.plan.fleet.price(&terms, tariff, None);
        let night_price = self.plan.fleet.night_price(&terms, tariff);
        let period = Period {
            start: at_hour(0),
            end: at_hour(self.plan.hours),
        };
        let command = Command::OpenPool(OpenPool {
            pool: terms.pool,
            participant: provider.participant,
            instrument,
            units: terms.units,
            start: period.start.begins(),
            end: period.end.begins(),
            access: Access::Instant,
        });
        self.fates.open(terms.pool, instrument, terms.units, period);
        self.queue(at, command, About::Other);
        let ask = self.ask(at, pool, price, "base");
        self.asks.push(ask);
        if nights {
            self.ask(at, pool, night_price, "night");
        }
    }

    /// Offers all of a pool from an instant on.
    fn ask(&mut self, at: Timestamp, pool: usize, price: Money, tariff: &str) -> usize {
        let terms = &self.plan.fleet.pools[pool];
        let placed = PlaceOrder {
            participant: self.plan.fleet.providers[terms.provider].participant,
            client_id: ClientId(format!("{}-{tariff}", terms.pool)),
            side: Side::Sell {
                pool: terms.pool,
                min_hours: 1,
                weekly: (tariff == "night").then(night),
            },
            units: terms.units,
            price,
            start: at_hour(0).begins(),
            end: at_hour(self.plan.hours).begins(),
            tif: TimeInForce::Gtc,
            post_only: false,
        };
        self.place(at, placed)
    }

    /// What each participant brings: buyers what their orders may hold, providers the bond of
    /// all that they could ever sell at once again.
    fn purses(&self, rules: &Rules) -> Vec<(ParticipantId, Money)> {
        let mut purses = Vec::new();
        let fleet = &self.plan.fleet;
        for (at, provider) in fleet.providers.iter().enumerate() {
            let pools = fleet.pools.iter().filter(|pool| pool.provider == at);
            let worth: i128 = pools
                .map(|pool| {
                    let grade = fleet.instruments[pool.instrument].grade.name;
                    let price = fleet.price(pool, &self.plan.tariffs[grade], None);
                    // Twice: limits, and so trades, may be dearer than the reference.
                    price.times(2 * pool.units, self.plan.hours)
                })
                .sum();
            let bond = worth * i128::from(rules.bond_bps) / i128::from(WHOLE_BPS);
            purses.push((provider.participant, whole_yuan(bond)));
        }
        let mut needs = vec![0_i128; BUYERS];
        for bid in &self.plan.bids {
            let buyer = usize::try_from(bid.participant.0 - FIRST_BUYER).unwrap_or(0);
            needs[buyer] += bid.need();
        }
        for (buyer, (need, number)) in needs.into_iter().zip(FIRST_BUYER..).enumerate() {
            let mut dice = Dice::of(self.plan.wish.seed, Draw::Purse, buyer);
            let short = dice.one_in(SHORT_PURSE_ONE_IN);
            let brought = if short { need / 2 } else { need };
            purses.push((ParticipantId(number), whole_yuan(brought)));
        }
        purses.retain(|(_, amount)| *amount > Money::ZERO);
        purses
    }

    fn act(&mut self, at: Timestamp, action: Action) {
        match action {
            Action::Reprice(week) => {
                for pool in 0..self.plan.fleet.pools.len() {
                    self.reprice(at, pool, week);
                }
            }
            Action::Place(bid) => {
                let placed = order_of(&self.plan.bids[bid]);
                self.bids[bid] = Some(self.place(at, placed));
            }
            Action::Raise(bid) => {
                if let (Some(order), Some((_, price))) =
                    (self.resting(bid), self.plan.bids[bid].raise)
                {
                    self.replace(at, order, price);
                }
            }
            Action::Cancel(bid) => {
                if let Some(order) = self.resting(bid) {
                    self.cancel(at, order);
                }
            }
        }
    }

    /// The place of a bid that rests.
    fn resting(&self, bid: usize) -> Option<usize> {
        self.bids[bid].filter(|order| self.fates.orders[*order].is_open())
    }

    fn replace(&mut self, at: Timestamp, order: usize, price: Money) {
        let placed = &self.fates.orders[order].placed;
        let command = Command::ReplaceOrder {
            participant: placed.participant,
            client_id: placed.client_id.clone(),
            units: None,
            price: Some(price),
        };
        self.queue(at, command, About::Price(order, price));
    }

    fn cancel(&mut self, at: Timestamp, order: usize) {
        let placed = &self.fates.orders[order].placed;
        let command = Command::CancelOrder {
            participant: placed.participant,
            client_id: placed.client_id.clone(),
        };
        self.queue(at, command, About::Other);
    }

    /// Asks what the week's index says: by replacing the ask, or by cancelling it and listing anew.
    fn reprice(&mut self, at: Timestamp, pool: usize, week: usize) {
        let fleet = &self.plan.fleet;
        let terms = &fleet.pools[pool];
        let grade = fleet.instruments[terms.instrument].grade.name;
        let price = fleet.price(terms, &self.plan.tariffs[grade], Some(week));
        let relists = fleet.providers[terms.provider].relists;
        let order = self.asks[pool];
        let asked = &self.fates.orders[order];
        let open = asked.is_open();
        if open && asked.price() == price {
            return;
        }
        if open && !relists {
            self.replace(at, order, price);
            return;
        }
        if open {
            self.cancel(at, order);
        }
        self.relisted += 1;
        let name = format!("base-{}", self.relisted);
        self.asks[pool] = self.ask(at, pool, price, &name);
    }

    /// Readings of every lease that had the hour.
    fn read_hour(&mut self, at: Timestamp) {
        let hour = at_hour(self.hour);
        let seed = self.plan.wish.seed;
        let mut readings = Vec::new();
        for lease in &self.fates.running {
            if !lease.period.contains(hour) {
                continue;
            }
            let failure = outage(seed, lease.at, lease.period.hours());
            let place = hour.0 - lease.period.start.0;
            readings.push(Command::Deliver {
                lease: lease.lease,
                hour: hour.begins(),
                delivered: reading(seed, lease.at, place, lease.units, failure),
                excused: 0,
            });
        }
        for command in readings {
            self.queue(at, command, About::Other);
        }
        let running = &mut self.fates.running;
        running.retain(|lease| hour.ends() < lease.period.end.begins());
    }
}

impl Action {
    /// Whether what it does depends on what became of an order.
    fn needs_answers(self) -> bool {
        !matches!(self, Self::Place(_))
    }
}

/// Everything that is known to happen, in order of time, then of kind.
fn actions(plan: &Plan) -> Vec<(Timestamp, Action)> {
    let mut actions = Vec::new();
    let weeks = (1..).take_while(|week| week * WEEK_HOURS < plan.hours);
    for (at, week) in weeks.enumerate() {
        let monday = at_hour(week * WEEK_HOURS).begins();
        actions.push((monday, Action::Reprice(at)));
    }
    for (at, bid) in plan.bids.iter().enumerate() {
        actions.push((at_second(bid.at), Action::Place(at)));
        if let Some((when, _)) = bid.raise {
            actions.push((at_second(when), Action::Raise(at)));
        }
        if let Some(when) = bid.cancel {
            actions.push((at_second(when), Action::Cancel(at)));
        }
    }
    actions.sort_by_key(|(at, _)| *at);
    actions
}

/// The order that a bid is.
fn order_of(bid: &Bid) -> PlaceOrder {
    let tif = match bid.stands {
        Stands::Rests => TimeInForce::Gtc,
        Stands::Until(seconds) => TimeInForce::Gtd {
            until: at_second(seconds),
        },
        Stands::AtOnce => TimeInForce::Ioc,
        Stands::Whole => TimeInForce::Fok,
    };
    PlaceOrder {
        participant: bid.participant,
        client_id: ClientId(format!("job-{}", bid.job)),
        side: Side::Buy {
            target: Target::Instruments(bid.instruments.clone()),
            min_fill: bid.min_fill,
            flexible: None,
            buy_in: false,
        },
        units: bid.units,
        price: bid.price,
        start: at_hour(bid.hours.0).begins(),
        end: at_hour(bid.hours.1).begins(),
        tif,
        post_only: false,
    }
}

/// An amount rounded up to whole yuan, as people deposit. More than the ledger counts is refused
/// there.
fn whole_yuan(amount: i128) -> Money {
    let yuan = i128::from(market::YUAN);
    let whole = amount.saturating_add(yuan - 1).div_euclid(yuan) * yuan;
    Money(i64::try_from(whole).unwrap_or(i64::MAX))
}
