//! What the demonstration's participants do in one hour of market time.
//!
//! Makers place bids below the lowest ask for the hours that a page shows first, so that books have
//! two sides; some are cancelled or raised in the next hour, and what is left goes at its start.
//! Takers pay what is asked, more of them by day than by night. How many cards are wanted is the
//! replay's, within what a demonstration can show.

use std::collections::BTreeMap;

use market::{
    ClientId, Command, Hour, InstrumentId, Market, Money, ParticipantId, Period, PlaceOrder, Side,
    Target, TimeInForce, Timestamp, WHOLE_BPS, YUAN,
};

use super::listing::{self, ask_id, share};
use super::tariffs::Tariffs;
use super::{Cast, SEED, room};
use crate::replay::dice::{Dice, Draw};

/// A command at its instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) at: Timestamp,
    pub(super) command: Command,
}

/// Takers in each hour of the day, from 00:00 in Shanghai.
const TAKERS: [i64; 24] = [
    14, 12, 10, 10, 10, 11, 14, 18, 26, 38, 44, 44, 34, 32, 42, 44, 44, 40, 34, 32, 32, 28, 22, 18,
];

/// How far UTC is behind Shanghai, in hours.
const SHANGHAI: i64 = 8;

/// How many hours before a period its makers come, and how long it is: pages show the next four
/// hours first.
const AHEAD: i64 = 3;
const SHOWN: i64 = 4;

/// Bids for any instrument of a grade, one below the other.
const LEVELS: usize = 3;

/// The most lots of a bid; how many a taker wants at least, and for how many hours.
const MOST_LOTS: i64 = 4;
const LOTS: [i64; 8] = [1, 1, 1, 1, 1, 2, 2, 4];
const HOURS: [i64; 10] = [1, 1, 2, 2, 2, 3, 4, 4, 6, 8];

/// What each buyer begins with, and how often what it spent is put back.
const PURSE: Money = Money(100_000 * YUAN);
const PURSE_HOURS: i64 = 12;

/// What the customer begins with.
const CUSTOMERS_PURSE: Money = Money(300_000 * YUAN);

/// How often the customer leases anew, and for how long: one lease always runs.
const STEADY_HOURS: i64 = 12;

/// The minutes of an hour at which makers change their minds.
const CHANGES: [i64; 4] = [8, 23, 38, 53];

const MINUTE_SECONDS: i64 = 60;
const HOUR_SECONDS: i64 = 3_600;

/// Streams of draws for one hour: where those of each kind begin.
const OF_TIED: usize = 64;
const OF_TAKERS: usize = 2_048;
const STREAMS: usize = 4_096;

/// What is done in an hour, in the order of its instants. `spent` is what each buyer's leases cost
/// that began in the [`PURSE_HOURS`] before it.
pub(super) fn plan(
    cast: &Cast,
    market: &Market,
    hour: Hour,
    spent: &BTreeMap<ParticipantId, Money>,
) -> Vec<Planned> {
    let tariffs = Tariffs::at(cast, market, hour);
    let mut planned = purses(cast, hour, spent);
    planned.extend(reprices(cast, &tariffs, hour));
    planned.extend(steady(cast, &tariffs, hour));
    let placed = |(at, order)| Planned {
        at,
        command: Command::PlaceOrder(order),
    };
    planned.extend(makers(cast, &tariffs, hour).into_iter().map(placed));
    if hour > cast.begins {
        let before = Hour(hour.0 - 1);
        let tariffs = Tariffs::at(cast, market, before);
        planned.extend(changes(hour, makers(cast, &tariffs, before)));
    }
    planned.extend(room::claim(cast, market, hour).map(|command| Planned {
        at: at(hour, 20 * MINUTE_SECONDS),
        command,
    }));
    planned.extend(takers(cast, &tariffs, hour).into_iter().map(placed));
    planned.sort_by_key(|planned| planned.at);
    planned
}

/// From which hour on, and to which, [`plan`] is to be told what was spent.
pub(super) fn counted(hour: Hour) -> (Hour, Hour) {
    (Hour(hour.0 - PURSE_HOURS), hour)
}

/// Whether a planned command is still to be sent: not what names an order that is done, asks for the
/// price that it has, or comes too late to be taken.
pub(super) fn is_due(market: &Market, now: Timestamp, command: &Command) -> bool {
    let open = |participant: &ParticipantId, client_id: &ClientId| {
        let order = market.order_of(*participant, client_id)?;
        Some(market.order(order)).filter(|order| order.done.is_none())
    };
    match command {
        Command::PlaceOrder(placed) => {
            let until = match placed.tif {
                TimeInForce::Gtd { until } => until.min(placed.start),
                _ => placed.start,
            };
            now < until
        }
        Command::CancelOrder {
            participant,
            client_id,
        } => open(participant, client_id).is_some(),
        Command::ReplaceOrder {
            participant,
            client_id,
            price,
            ..
        } => open(participant, client_id).is_some_and(|order| *price != Some(order.price)),
        Command::OpenDispute { lease, .. } => market.disputes_of(*lease).next().is_none(),
        _ => true,
    }
}

/// Whether [`is_due`] depends on what the market has done so far.
pub(super) fn depends(command: &Command) -> bool {
    matches!(
        command,
        Command::CancelOrder { .. } | Command::ReplaceOrder { .. } | Command::OpenDispute { .. }
    )
}

/// Test money: a purse to begin with, later what was spent, each buyer in its turn.
fn purses(cast: &Cast, hour: Hour, spent: &BTreeMap<ParticipantId, Money>) -> Vec<Planned> {
    let customer = (cast.customer, CUSTOMERS_PURSE);
    let buyers = cast.buyers.iter().map(|buyer| (*buyer, PURSE));
    let amount = |(participant, purse): (ParticipantId, Money)| {
        let is_turn = (hour.0 + participant.0).rem_euclid(PURSE_HOURS) == 0;
        let amount = if hour == cast.begins {
            Some(purse)
        } else {
            spent.get(&participant).copied().filter(|_| is_turn)
        };
        amount.map(|amount| Planned {
            at: hour.begins(),
            command: Command::Deposit {
                participant,
                amount,
            },
        })
    };
    std::iter::once(customer)
        .chain(buyers)
        .filter_map(amount)
        .collect()
}

/// Providers whose turn it is ask what their pools are worth now.
fn reprices(cast: &Cast, tariffs: &Tariffs, hour: Hour) -> Vec<Planned> {
    let mut planned = Vec::new();
    for ((pool, asked), place) in tariffs.looked_at(cast, hour).zip(1..) {
        for (tariff, price) in asked {
            planned.push(Planned {
                at: at(hour, MINUTE_SECONDS + 5 * place),
                command: Command::ReplaceOrder {
                    participant: cast.providers[pool.provider],
                    client_id: ask_id(pool, tariff.name),
                    units: None,
                    price: Some(*price),
                },
            });
        }
    }
    planned
}

/// The customer's own: a lease that is always running, and a bid for tomorrow that rests.
fn steady(cast: &Cast, tariffs: &Tariffs, hour: Hour) -> Vec<Planned> {
    let mut planned = Vec::new();
    let since = hour.0 - cast.begins.0;
    let next = Hour(hour.0 + 1);
    let mut place = |minute, name: String, terms: Terms| {
        planned.push(Planned {
            at: at(hour, minute * MINUTE_SECONDS),
            command: Command::PlaceOrder(order(cast.customer, name, terms)),
        });
    };
    if since.rem_euclid(STEADY_HOURS) == 0
        && let Some(pool) = cast.customers_pool()
    {
        let lot = cast.plan.fleet.instruments[pool.instrument].grade.lot;
        let price = share(listing::price(&cast.plan, pool), 10_500);
        let terms = Terms {
            target: Target::Pool(pool.pool),
            units: lot,
            price,
            period: period(next, STEADY_HOURS + 1),
            tif: TimeInForce::Gtc,
            min_fill: None,
        };
        place(4, steady_id(hour), terms);
    }
    if of_day(hour) == 10 {
        let morning = Hour(hour.0 + 23);
        let wanted = period(morning, 8);
        let instruments = cast.instruments_of(super::CUSTOMERS_GRADE);
        if let Some(lowest) = tariffs.lowest(cast, &instruments, wanted) {
            let terms = Terms {
                target: Target::Instruments(instruments),
                units: 16,
                price: share(lowest, 9_300),
                period: wanted,
                tif: TimeInForce::Gtc,
                min_fill: None,
            };
            place(17, format!("tomorrow-{}", hour.0), terms);
        }
    }
    planned
}

/// The name of the customer's order of this hour for a lease.
pub(super) fn steady_id(hour: Hour) -> String {
    format!("steady-{}", hour.0)
}

/// Bids that rest: a few for any instrument of each grade, and nearer ones for single instruments.
fn makers(cast: &Cast, tariffs: &Tariffs, hour: Hour) -> Vec<(Timestamp, PlaceOrder)> {
    let wanted = period(Hour(hour.0 + AHEAD), SHOWN);
    let listed = &cast.plan.fleet.instruments;
    let mut makers = Vec::new();
    let mut make = |stream: usize, instruments: Vec<InstrumentId>, lot: i64, below: i64| {
        let mut dice = dice(hour, stream);
        let Some(lowest) = tariffs.lowest(cast, &instruments, wanted) else {
            return;
        };
        let placed = at(hour, dice.between(3 * MINUTE_SECONDS, 50 * MINUTE_SECONDS));
        let tif = if dice.one_in(4) {
            let until = placed.0 + dice.between(60, 150) * MINUTE_SECONDS * 1_000_000;
            TimeInForce::Gtd {
                until: Timestamp(until),
            }
        } else {
            TimeInForce::Gtc
        };
        let terms = Terms {
            target: Target::Instruments(instruments),
            units: lot * dice.between(1, MOST_LOTS),
            price: share(lowest, WHOLE_BPS - below - dice.between(0, 120)),
            period: wanted,
            tif,
            min_fill: None,
        };
        let buyer = buyer(cast, &mut dice);
        let name = format!("maker-{}-{stream}", hour.0);
        makers.push((placed, order(buyer, name, terms)));
    };
    for (place, work) in cast.work.iter().enumerate() {
        let instruments = cast.instruments_of(work.grade);
        let lot = lot_of(cast, &instruments);
        for (level, below) in (0..LEVELS).zip([150, 350, 600]) {
            make(place * LEVELS + level, instruments.clone(), lot, below);
        }
    }
    for (place, listed) in listed.iter().enumerate() {
        // A book may lack one for once.
        if !dice(hour, OF_TIED + STREAMS / 4 + place).one_in(4) {
            make(
                OF_TIED + place,
                vec![listed.instrument],
                listed.grade.lot,
                80,
            );
        }
    }
    makers
}

/// Of the bids of the hour before one in eight is withdrawn, and one in eight raised.
fn changes(hour: Hour, makers: Vec<(Timestamp, PlaceOrder)>) -> Vec<Planned> {
    let mut planned = Vec::new();
    for (place, (_, order)) in makers.into_iter().enumerate() {
        let mut dice = dice(hour, STREAMS / 2 - OF_TIED - place);
        let minute = CHANGES[usize::try_from(dice.between(0, 3)).unwrap_or(0)];
        let (participant, client_id) = (order.participant, order.client_id);
        let command = match dice.between(1, 8) {
            1 => Command::CancelOrder {
                participant,
                client_id,
            },
            2 => Command::ReplaceOrder {
                participant,
                client_id,
                units: None,
                price: Some(share(order.price, WHOLE_BPS + 60)),
            },
            _ => continue,
        };
        planned.push(Planned {
            at: at(hour, minute * MINUTE_SECONDS),
            command,
        });
    }
    planned
}

/// Bids that pay what is asked: of the replay's work, tied to one instrument or not.
fn takers(cast: &Cast, tariffs: &Tariffs, hour: Hour) -> Vec<(Timestamp, PlaceOrder)> {
    let place = usize::try_from(of_day(hour)).unwrap_or(0);
    let mut takers = Vec::new();
    for stream in (OF_TAKERS..).take(usize::try_from(TAKERS[place]).unwrap_or(0)) {
        let mut dice = dice(hour, stream);
        let weights: Vec<i64> = cast.work.iter().map(|work| work.listed).collect();
        let work = dice.weighted(&weights).map(|place| &cast.work[place]);
        let job = work.and_then(|work| Some((work, *pick(&work.units, &mut dice)?)));
        let Some((work, units)) = job else {
            continue;
        };
        let all = cast.plan.fleet.instruments_of(work.grade, &[]);
        let is_tied = dice.between(1, 10) <= 6;
        let pressures: Vec<i64> = all.iter().map(|at| cast.plan.fleet.pressure(*at)).collect();
        let home = dice.weighted(&pressures).unwrap_or(0);
        let listed = &cast.plan.fleet.instruments;
        let instruments: Vec<InstrumentId> = if is_tied {
            all.get(home)
                .map(|at| listed[*at].instrument)
                .into_iter()
                .collect()
        } else {
            all.iter().map(|at| listed[*at].instrument).collect()
        };
        let lot = lot_of(cast, &instruments);
        let lots = pick(&LOTS, &mut dice).copied().unwrap_or(1);
        let units = units.max(lots * lot).min(MOST_LOTS * lot);
        let hours = pick(&HOURS, &mut dice).copied().unwrap_or(1);
        let later = [0, 0, 0, 0, 0, 1, 1, 2, 3, 5, 8, 14];
        let start = Hour(hour.0 + 1 + pick(&later, &mut dice).copied().unwrap_or(0));
        let wanted = period(start, hours);
        let Some(lowest) = tariffs.lowest(cast, &instruments, wanted) else {
            continue;
        };
        let tif = match dice.between(1, 30) {
            1..=5 => TimeInForce::Ioc,
            6..=8 => TimeInForce::Fok,
            _ => TimeInForce::Gtc,
        };
        let terms = Terms {
            target: Target::Instruments(instruments),
            units,
            price: share(lowest, WHOLE_BPS + dice.between(0, 1_200)),
            period: wanted,
            tif,
            min_fill: dice.one_in(3).then_some(units),
        };
        let placed = at(hour, dice.between(MINUTE_SECONDS, 54 * MINUTE_SECONDS));
        let buyer = buyer(cast, &mut dice);
        let name = format!("taker-{}-{stream}", hour.0);
        takers.push((placed, order(buyer, name, terms)));
    }
    takers
}

/// What a bid asks for.
struct Terms {
    target: Target,
    units: i64,
    price: Money,
    period: Period,
    tif: TimeInForce,
    min_fill: Option<i64>,
}

fn order(participant: ParticipantId, name: String, terms: Terms) -> PlaceOrder {
    PlaceOrder {
        participant,
        client_id: ClientId(name),
        side: Side::Buy {
            target: terms.target,
            min_fill: terms.min_fill,
            flexible: None,
            buy_in: false,
        },
        units: terms.units,
        price: terms.price,
        start: terms.period.start.begins(),
        end: terms.period.end.begins(),
        tif: terms.tif,
        post_only: false,
    }
}

fn period(start: Hour, hours: i64) -> Period {
    Period {
        start,
        end: Hour(start.0 + hours.max(1)),
    }
}

/// The lot of instruments of one grade.
fn lot_of(cast: &Cast, instruments: &[InstrumentId]) -> i64 {
    let mut listed = cast.plan.fleet.instruments.iter();
    let found = listed.find(|listed| instruments.contains(&listed.instrument));
    found.map_or(1, |listed| listed.grade.lot)
}

fn buyer(cast: &Cast, dice: &mut Dice) -> ParticipantId {
    pick(&cast.buyers, dice).copied().unwrap_or(cast.customer)
}

fn pick<'a, T>(list: &'a [T], dice: &mut Dice) -> Option<&'a T> {
    let last = i64::try_from(list.len()).ok()?.checked_sub(1)?;
    list.get(usize::try_from(dice.between(0, last.max(0))).ok()?)
}

fn dice(hour: Hour, stream: usize) -> Dice {
    let hour = usize::try_from(hour.0).unwrap_or(0);
    Dice::of(SEED, Draw::Trader, hour * STREAMS + stream)
}

/// The hour of the day in Shanghai.
fn of_day(hour: Hour) -> i64 {
    (hour.0 + SHANGHAI).rem_euclid(24)
}

fn at(hour: Hour, second: i64) -> Timestamp {
    let second = second.min(HOUR_SECONDS - 1);
    Timestamp(hour.begins().0 + second * 1_000_000)
}
