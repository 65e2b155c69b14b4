//! Commands by chance: mostly such as people send, some such as they should not.

mod leases;

use std::collections::BTreeMap;

use market::{
    Access, ClientId, Command, DisputeId, Event, EventKind, Flexible, HOUR_MICROS, Hour,
    InstrumentId, LeaseId, ListInstrument, Money, OpenPool, OrderId, ParticipantId, Period,
    PlaceOrder, PoolId, Rules, Side, Target, TimeInForce, Timestamp, Weekly,
};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// 2026-11-01T00:00:00Z, a Sunday: the week turns soon.
const BEGIN: i64 = 1_793_491_200_000_000;

/// Participants 1 to 3 mostly sell, all of them buy.
const PARTICIPANTS: i64 = 6;
const PROVIDERS: i64 = 3;

/// Lots, ticks and levels of the instruments, numbered from 1; lots of 4 and 6 meet at 12.
const INSTRUMENTS: [(&str, i64, i64); 4] = [
    ("A.EAST.SILVER", 1, 7),
    ("B.WEST.SILVER", 1, 1),
    ("C.WEST.GOLD", 4, 7),
    ("D.EAST.BRONZE", 6, 49),
];

/// An endless sequence of commands that a seed decides, and what came of them.
#[derive(Debug)]
pub struct Workload {
    rng: ChaCha8Rng,
    at: i64,
    step: i64,
    /// What sets the market up, last first.
    first: Vec<Command>,
    placed: Vec<PlaceOrder>,
    pools: Vec<OpenPool>,
    leases: Vec<Made>,
    /// Hours that were delivered, with the units that had them.
    settled: Vec<(LeaseId, Hour, i64)>,
    /// Whose each accepted order is.
    owners: BTreeMap<OrderId, ParticipantId>,
    /// Each open dispute with what was claimed.
    disputes: Vec<(DisputeId, Money)>,
    /// Whose the lease is that the last command ended, if it was to.
    failing: Option<ParticipantId>,
    /// Those that were ruled.
    ruled: Vec<(DisputeId, Money)>,
    /// Rule sets to give, and how many were given.
    changes: Vec<Rules>,
    given: usize,
}

/// A lease that came of a command.
#[derive(Clone, Debug)]
struct Made {
    lease: LeaseId,
    holder: ParticipantId,
    period: Period,
    units: i64,
    price: Money,
    lot: i64,
}

impl Workload {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        let listed = INSTRUMENTS.iter().zip(1..);
        let mut first: Vec<Command> = listed
            .map(|(&(symbol, lot, tick), number)| {
                Command::ListInstrument(ListInstrument {
                    instrument: InstrumentId(number),
                    symbol: symbol.to_owned(),
                    lot,
                    tick: Money(tick),
                })
            })
            .collect();
        first.extend((1..=PARTICIPANTS).map(|number| Command::Deposit {
            participant: ParticipantId(number),
            amount: Money(if number <= PROVIDERS { 40_000 } else { 400_000 }),
        }));
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            at: BEGIN,
            step: 0,
            first,
            placed: Vec::new(),
            pools: Vec::new(),
            leases: Vec::new(),
            settled: Vec::new(),
            owners: BTreeMap::new(),
            disputes: Vec::new(),
            failing: None,
            ruled: Vec::new(),
            changes: Vec::new(),
            given: 0,
        }
    }

    /// The same with these rule sets given one after the other.
    #[must_use]
    pub fn changing(mut self, changes: Vec<Rules>) -> Self {
        self.changes = changes;
        self
    }

    /// The next command and its instant.
    pub fn next_command(&mut self) -> (Timestamp, Command) {
        self.step += 1;
        if let Some(command) = self.first.pop() {
            return (Timestamp(self.at), command);
        }
        self.pass_time();
        let command = match self.below(118) {
            0..2 => self.deposit(),
            2..8 => self.open_pool(),
            8..26 => self.ask(),
            26..30 => self.resale(),
            30..62 => self.bid(),
            62..66 => self.cancel(),
            66..80 => self.replace(),
            80..82 => self.again(),
            82..95 => self.deliver(),
            95 => self.list(),
            96 => self.cancel_all(),
            97..100 => self.claim(),
            100..103 => self.ruling(),
            103..105 => self.hand_back(),
            105..107 => self.default_of(),
            110 => self.halt(),
            111 => self.outside(),
            112..118 => self.correct(),
            _ => Command::Tick,
        };
        self.failing = match &command {
            Command::Default { lease } => self.holder(*lease),
            _ => None,
        };
        match &command {
            Command::PlaceOrder(placed) => self.placed.push(placed.clone()),
            Command::OpenPool(pool) => self.pools.push(pool.clone()),
            _ => {}
        }
        (Timestamp(self.at), command)
    }

    /// Takes note of the orders, leases and disputes that came of a command.
    pub fn learn(&mut self, events: &[Event]) {
        for event in events {
            match event.kind {
                EventKind::Settled(ref settled) => {
                    // Not what a default or a deadline settled: nothing can be corrected there.
                    let since = event.at.0 - settled.hour.ends().0;
                    if (0..3 * HOUR_MICROS).contains(&since) {
                        self.settled
                            .push((settled.lease, settled.hour, settled.units));
                    }
                }
                EventKind::Accepted { order, .. } => {
                    // An order that is not known yet is the one that was placed last, or buys in
                    // what was failed last.
                    let owner = self.placed.last().map(|placed| placed.participant);
                    if let Some(owner) = self.failing.or(owner) {
                        self.owners.entry(order).or_insert(owner);
                    }
                }
                EventKind::Traded(trade) => self.leases.push(Made {
                    lease: LeaseId(trade.trade.0),
                    holder: self.owners[&trade.buy],
                    period: trade.period,
                    units: trade.units,
                    price: trade.price,
                    lot: self.lot_of_pool(trade.pool),
                }),
                EventKind::Disputed {
                    dispute, claimed, ..
                } => self.disputes.push((dispute, claimed)),
                EventKind::Ruled { dispute, .. } => {
                    let open = std::mem::take(&mut self.disputes).into_iter();
                    let (ruled, open) = open.partition(|(known, _)| *known == dispute);
                    self.disputes = open;
                    let ruled: Vec<(DisputeId, Money)> = ruled;
                    self.ruled.extend(ruled);
                }
                _ => {}
            }
        }
    }

    fn holder(&self, lease: LeaseId) -> Option<ParticipantId> {
        let made = self.leases.iter().find(|made| made.lease == lease);
        made.map(|made| made.holder)
    }

    /// 0 to `n - 1`.
    fn below(&mut self, n: i64) -> i64 {
        self.rng.random_range(0..n)
    }

    fn chance(&mut self, percent: i64) -> bool {
        self.below(100) < percent
    }

    /// One of a list, the later ones more likely: they are still of interest.
    fn recent<T: Clone>(&mut self, window: i64, of: impl Fn(&Self) -> &Vec<T>) -> Option<T> {
        let count = i64::try_from(of(self).len()).expect("few enough");
        if count == 0 {
            return None;
        }
        let window = if self.chance(95) { window } else { count };
        let back = self.below(window.min(count)) + 1;
        of(self).get(usize::try_from(count - back).ok()?).cloned()
    }

    /// Mostly none, often minutes, at times to the very hour or past several.
    fn pass_time(&mut self) {
        self.at += match self.below(1_000) {
            0..800 => 0,
            800..830 => 1,
            830..940 => (self.below(10) + 1) * 60_000_000,
            940..985 => HOUR_MICROS - self.at.rem_euclid(HOUR_MICROS),
            985..997 => self.below(3 * HOUR_MICROS),
            _ => self.below(30) * HOUR_MICROS,
        };
    }

    /// An hour about so many hours from now, as an instant.
    fn hour_from_now(&mut self, from: i64, to: i64) -> i64 {
        let now = self.at.div_euclid(HOUR_MICROS);
        (now + self.rng.random_range(from..to)) * HOUR_MICROS
    }

    fn participant(&mut self) -> ParticipantId {
        ParticipantId(self.below(PARTICIPANTS) + 1)
    }

    fn instrument(&mut self) -> InstrumentId {
        InstrumentId(match self.below(100) {
            0..45 => 1,
            45..70 => 2,
            70..85 => 3,
            85..99 => 4,
            _ => 5,
        })
    }

    fn deposit(&mut self) -> Command {
        let amount = if self.chance(5) {
            -self.below(2)
        } else {
            self.below(400_000) + 1
        };
        Command::Deposit {
            participant: self.participant(),
            amount: Money(amount),
        }
    }

    fn list(&mut self) -> Command {
        let place = usize::try_from(self.below(4)).expect("not negative");
        let (symbol, lot, tick) = INSTRUMENTS[place];
        Command::ListInstrument(ListInstrument {
            instrument: InstrumentId(self.below(5) + 1),
            symbol: symbol.to_owned(),
            lot: lot + self.below(2) - self.below(2),
            tick: Money(tick),
        })
    }

    fn open_pool(&mut self) -> Command {
        if self.chance(40)
            && let Some(mut pool) = self.recent(8, |known| &known.pools)
        {
            pool.units += [0, 1, 2, 12, 12, -12][usize::try_from(self.below(6)).expect("small")];
            if self.chance(2) {
                pool.access = Access::Prepared;
            }
            return Command::OpenPool(pool);
        }
        let start = match self.below(100) {
            0 => (self.below(3) - 1) * HOUR_MICROS,
            1 => -self.at.div_euclid(HOUR_MICROS) * HOUR_MICROS,
            _ => self.hour_from_now(-2, 6),
        };
        let units = if self.chance(5) {
            self.below(30) - 3
        } else {
            12 * (self.below(3) + 1)
        };
        let pools = i64::try_from(self.pools.len()).expect("few enough");
        Command::OpenPool(OpenPool {
            pool: PoolId(pools + 1),
            participant: ParticipantId(self.below(PROVIDERS) + 1),
            instrument: self.instrument(),
            units,
            start: Timestamp(start + if self.chance(2) { 1 } else { 0 }),
            end: Timestamp(start + (self.below(30) + 1) * HOUR_MICROS),
            access: if self.chance(35) {
                Access::Prepared
            } else {
                Access::Instant
            },
        })
    }

    fn lot_of(&self, instrument: InstrumentId) -> i64 {
        let place = usize::try_from(instrument.0 - 1).expect("from 1");
        INSTRUMENTS.get(place).map_or(1, |(_, lot, _)| *lot)
    }

    fn lot_of_pool(&self, pool: PoolId) -> i64 {
        let known = self.pools.iter().find(|known| known.pool == pool);
        known.map_or(1, |pool| self.lot_of(pool.instrument))
    }

    /// Prices on a short ladder that all ticks divide and 60 minutes don't, so that they often meet
    /// and seldom settle without rounding.
    fn price(&mut self) -> Money {
        Money(if self.chance(2) {
            self.below(2_000) - 50
        } else {
            931 + 294 * self.below(8)
        })
    }

    fn time_in_force(&mut self, fok: i64) -> TimeInForce {
        match self.below(100) {
            0..70 => TimeInForce::Gtc,
            70..82 => TimeInForce::Gtd {
                until: Timestamp(self.at + self.below(5 * HOUR_MICROS) - HOUR_MICROS / 8),
            },
            82..86 => TimeInForce::Gtd {
                until: {
                    let next = self.hour_from_now(1, 4);
                    Timestamp(next + self.below(2))
                },
            },
            at if at < 100 - fok => TimeInForce::Ioc,
            _ => TimeInForce::Fok,
        }
    }

    fn client_id(&self) -> ClientId {
        ClientId(format!("c{}", self.step))
    }

    fn ask(&mut self) -> Command {
        let mut chosen = self.recent(8, |known| &known.pools);
        if chosen.as_ref().is_some_and(|pool| pool.end.0 <= self.at) && self.chance(95) {
            chosen = self.pools.last().cloned();
        }
        let Some(pool) = chosen else {
            return Command::Tick;
        };
        let lot = self.lot_of(pool.instrument);
        let hours = (pool.end.0 - pool.start.0).div_euclid(HOUR_MICROS).max(1);
        let (mut start, mut end) = (pool.start.0, pool.end.0);
        if self.chance(30) {
            start += self.below(hours) * HOUR_MICROS;
        }
        if self.chance(30) {
            end = start + (self.below(hours) + 1) * HOUR_MICROS;
        }
        let weekly = self.chance(15).then(|| {
            let flags: String = (0..168)
                .map(|_| if self.chance(85) { '1' } else { '0' })
                .collect();
            Weekly::try_from(flags).expect("168 flags")
        });
        let units = lot * (self.below(pool.units.max(1)).div_euclid(lot) + 1);
        Command::PlaceOrder(PlaceOrder {
            participant: if self.chance(2) {
                self.participant()
            } else {
                pool.participant
            },
            client_id: self.client_id(),
            side: Side::Sell {
                pool: pool.pool,
                min_hours: if self.chance(20) { self.below(5) } else { 1 },
                weekly,
            },
            units: units
                + match self.below(50) {
                    0 => 1,
                    1 => 36,
                    _ => 0,
                },
            price: self.price(),
            start: Timestamp(start),
            end: Timestamp(end),
            tif: self.time_in_force(1),
            post_only: self.chance(8),
        })
    }

    fn bid(&mut self) -> Command {
        let (target, lot) = self.target();
        let units = lot * (self.below(8) + 1);
        let from = if self.chance(10) { 0 } else { 1 };
        let start = self.hour_from_now(from, 6);
        let hours = self.below(6) + if self.chance(2) { 0 } else { 1 };
        let end = start + hours * HOUR_MICROS;
        let flexible = self.chance(20).then(|| Flexible {
            duration: self.below(hours.max(1) + 1) + if self.chance(2) { 1 } else { 0 },
            splittable: self.chance(40),
            min_run: self.below(2) + if self.chance(90) { 1 } else { 0 },
        });
        let min_fill = match self.below(4) {
            0 => Some(lot * (self.below(4) + 1)),
            1 => Some(lot * (self.below(8) + 1).min(units.div_euclid(lot))),
            _ => None,
        };
        Command::PlaceOrder(PlaceOrder {
            participant: self.participant(),
            client_id: self.client_id(),
            side: Side::Buy {
                target,
                min_fill,
                flexible,
                buy_in: self.chance(50),
            },
            units: units + if self.chance(2) { 1 } else { 0 },
            price: self.price(),
            start: Timestamp(start + if self.chance(1) { 1 } else { 0 }),
            end: Timestamp(end),
            tif: self.time_in_force(8),
            post_only: self.chance(8),
        })
    }

    /// What a bid wants, and its lot.
    fn target(&mut self) -> (Target, i64) {
        if self.chance(10)
            && let Some(pool) = self.recent(8, |known| &known.pools)
        {
            return (Target::Pool(pool.pool), self.lot_of(pool.instrument));
        }
        let one = self.instrument();
        if self.chance(60) {
            return (Target::Instruments(vec![one]), self.lot_of(one));
        }
        let other = self.instrument();
        let lot = match (self.lot_of(one), self.lot_of(other)) {
            (4, 6) | (6, 4) => 12,
            (one, other) => one.max(other),
        };
        (Target::Instruments(vec![one, other]), lot)
    }

    fn cancel(&mut self) -> Command {
        let Some(placed) = self.recent(40, |known| &known.placed) else {
            return Command::Tick;
        };
        Command::CancelOrder {
            participant: if self.chance(2) {
                self.participant()
            } else {
                placed.participant
            },
            client_id: placed.client_id,
        }
    }

    fn cancel_all(&mut self) -> Command {
        Command::CancelAll {
            participant: self.participant(),
            instrument: self.chance(50).then(|| self.instrument()),
        }
    }

    fn replace(&mut self) -> Command {
        let Some(placed) = self.recent(40, |known| &known.placed) else {
            return Command::Tick;
        };
        let lot = match &placed.side {
            Side::Buy {
                target: Target::Instruments(instruments),
                ..
            } => self.lot_of(instruments[0]),
            Side::Buy { .. } | Side::Sell { .. } | Side::Resell { .. } => 1,
        };
        let units = (placed.units + lot * (self.below(9) - 5)).max(lot);
        let units = self.chance(70).then_some(units);
        let price = self.chance(50).then(|| self.price());
        Command::ReplaceOrder {
            participant: placed.participant,
            client_id: placed.client_id,
            units,
            price,
        }
    }

    /// An order sent before: as it was, or under its name with another price.
    fn again(&mut self) -> Command {
        let Some(mut placed) = self.recent(40, |known| &known.placed) else {
            return Command::Tick;
        };
        if self.chance(30) {
            placed.price = self.price();
        }
        if let Side::Buy {
            target: Target::Instruments(instruments),
            ..
        } = &mut placed.side
        {
            instruments.reverse();
        }
        Command::PlaceOrder(placed)
    }
}
