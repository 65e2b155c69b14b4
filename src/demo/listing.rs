//! Lists the demonstration market: real nodes become pools and asks.

use anyhow::{Context, ensure};
use futures_util::future::try_join_all;
use market::{
    Access, ClientId, Command, Money, OpenPool, ParticipantId, PlaceOrder, Rules, Side,
    TimeInForce, Timestamp, WHOLE_BPS, Weekly,
};
use sqlx::PgPool;

use super::{Cast, store};
use crate::replay::fleet;
use crate::replay::fleet::PoolTerms;
use crate::replay::plan::Plan;
use crate::replay::tariff::TICK;
use crate::sequencer::{Actor, Started};

/// How long the pools last, in hours: a year.
const HOURS: i64 = 365 * 24;

/// From how many hours on the tariff for long work holds.
const LONG_HOURS: i64 = 24;

const ACTOR: Actor = Actor::System("demonstration");

/// Lists the demonstration market where nothing is listed yet, and goes on where that was
/// interrupted; beside another market it does nothing.
///
/// # Errors
/// When the market refuses something, or the database does.
pub async fn list(
    db: &PgPool,
    started: &Started,
    now: Timestamp,
    cast: &Cast,
) -> anyhow::Result<()> {
    let (begun, done) = store::done(db, ACTOR).await?;
    if begun.is_none() && started.feed.market().instruments().next().is_some() {
        return Ok(());
    }
    // The same hour makes the same commands.
    let begun = begun.unwrap_or(now);
    let rules = started.feed.market().rules().clone();
    let mut answers = Vec::new();
    let commands = commands(&cast.plan, &cast.providers, &rules, begun);
    for command in commands.into_iter().filter(|one| !done.contains(one)) {
        answers.push(started.sequencer.enqueue(now, ACTOR, command).await?);
    }
    for receipt in try_join_all(answers)
        .await
        .context("the demonstration was not listed")?
    {
        let rejection = receipt.rejection();
        ensure!(
            rejection.is_none(),
            "the demonstration was rejected: {rejection:?}"
        );
    }
    Ok(())
}

/// Instruments, then for each provider money for its bonds, its pools, and an ask for all of each.
fn commands(
    plan: &Plan,
    participants: &[ParticipantId],
    rules: &Rules,
    now: Timestamp,
) -> Vec<Command> {
    let mut commands = Vec::new();
    for listed in &plan.fleet.instruments {
        commands.push(listed.command());
    }
    for (at, participant) in participants.iter().enumerate() {
        let pools = || plan.fleet.pools.iter().filter(|pool| pool.provider == at);
        let worth: i128 = pools()
            .map(|pool| price(plan, pool).times(pool.units, HOURS))
            .sum();
        let bond = worth * i128::from(rules.bond_bps) / i128::from(WHOLE_BPS);
        if let Ok(amount @ 1..) = i64::try_from(bond) {
            let amount = Money(amount);
            commands.push(Command::Deposit {
                participant: *participant,
                amount,
            });
        }
        for pool in pools() {
            commands.extend(offer(plan, pool, *participant, now));
        }
    }
    commands
}

/// What a pool's base tariff asks for when it is listed.
pub(super) fn price(plan: &Plan, pool: &PoolTerms) -> Money {
    let grade = plan.fleet.instruments[pool.instrument].grade.name;
    plan.fleet.price(pool, &plan.tariffs[grade], None)
}

/// A price times basis points, down to the tick and at least one.
pub(super) fn share(price: Money, bps: i64) -> Money {
    let ticks = i128::from(price.0) * i128::from(bps) / i128::from(WHOLE_BPS * TICK.0);
    Money(i64::try_from(ticks).unwrap_or(i64::MAX / TICK.0).max(1) * TICK.0)
}

/// The name of a pool's ask.
pub(super) fn ask_id(pool: &PoolTerms, tariff: &str) -> ClientId {
    ClientId(format!("{}-{tariff}", pool.pool))
}

/// One of a pool's asks.
pub(super) struct Tariff {
    /// Its name in the ask's.
    pub(super) name: &'static str,
    /// Its price against the base tariff's, in basis points.
    pub(super) bps: i64,
    /// How many of the pool's units it offers, in basis points: prices climb as a pool fills.
    units_bps: i64,
    /// No shorter work.
    pub(super) min_hours: i64,
    /// The hours of the week in which it holds.
    pub(super) weekly: Option<Weekly>,
}

/// The tariffs of a pool: half of it at the base tariff, the rest dearer; cheaper for whoever takes
/// a day or more, at night with providers who sell it so, else in the small hours with some and at
/// weekends with others.
pub(super) fn tariffs(plan: &Plan, pool: &PoolTerms) -> Vec<Tariff> {
    let tariff = |name, bps, units_bps, min_hours, weekly| Tariff {
        name,
        bps,
        units_bps,
        min_hours,
        weekly,
    };
    let mut tariffs = vec![
        tariff("base", WHOLE_BPS, 5_000, 1, None),
        tariff("upper", 10_400, 8_000, 1, None),
        tariff("top", 11_000, WHOLE_BPS, 1, None),
        tariff("long", 9_200, 8_000, LONG_HOURS, None),
    ];
    if plan.fleet.providers[pool.provider].nights {
        tariffs.push(tariff("night", 8_000, WHOLE_BPS, 1, Some(fleet::night())));
    } else if pool.pool.0 % 2 == 0 {
        tariffs.push(tariff(
            "early",
            8_700,
            6_000,
            1,
            Some(in_shanghai(|_, hour| hour < 7)),
        ));
    }
    if pool.pool.0 % 3 == 0 {
        tariffs.push(tariff(
            "weekend",
            9_400,
            6_000,
            1,
            Some(in_shanghai(|day, _| day >= 5)),
        ));
    }
    tariffs
}

/// The hours of the week, by day from Monday and hour in Shanghai, of which this is true.
fn in_shanghai(holds: impl Fn(usize, usize) -> bool) -> Weekly {
    let hours = (0..168).map(|hour| {
        let local = (hour + 8) % 168;
        if holds(local / 24, local % 24) {
            '1'
        } else {
            '0'
        }
    });
    Weekly::try_from(hours.collect::<String>()).expect("a week has 168 hours")
}

/// A pool with its asks.
fn offer(
    plan: &Plan,
    pool: &PoolTerms,
    participant: ParticipantId,
    now: Timestamp,
) -> Vec<Command> {
    let first = now.hour().begins();
    let (start, end) = (first, first.plus_hours(HOURS));
    let listed = &plan.fleet.instruments[pool.instrument];
    let opened = OpenPool {
        pool: pool.pool,
        participant,
        instrument: listed.instrument,
        units: pool.units,
        start,
        end,
        // Some providers install what is asked for before they hand it over.
        access: if pool.pool.0 % 5 == 0 {
            Access::Prepared
        } else {
            Access::Instant
        },
    };
    let lot = listed.grade.lot;
    let mut commands = vec![Command::OpenPool(opened)];
    for tariff in tariffs(plan, pool) {
        let lots = pool.units * tariff.units_bps / (WHOLE_BPS * lot);
        commands.push(Command::PlaceOrder(PlaceOrder {
            participant,
            client_id: ask_id(pool, tariff.name),
            side: Side::Sell {
                pool: pool.pool,
                min_hours: tariff.min_hours,
                weekly: tariff.weekly,
            },
            units: lots.max(1) * lot,
            price: share(price(plan, pool), tariff.bps),
            start,
            end,
            tif: TimeInForce::Gtc,
            post_only: false,
        }));
    }
    commands
}
