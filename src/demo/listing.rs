//! Lists the demonstration market: real nodes become pools and asks.

use anyhow::{Context, ensure};
use futures_util::future::try_join_all;
use market::{
    ClientId, Command, Money, OpenPool, ParticipantId, PlaceOrder, Rules, Side, TimeInForce,
    Timestamp, WHOLE_BPS, Weekly,
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

/// From how many hours on the tariff for long work holds, and its price in basis points.
const LONG_HOURS: i64 = 24;
pub(super) const LONG_BPS: i64 = 9_200;

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

/// A pool with its asks: a base tariff, a night tariff of providers who have one, and a cheaper
/// one for whoever takes a day or more.
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
    };
    let ask = |tariff: &str, price: Money, min_hours: i64, weekly: Option<Weekly>| {
        Command::PlaceOrder(PlaceOrder {
            participant,
            client_id: ask_id(pool, tariff),
            side: Side::Sell {
                pool: pool.pool,
                min_hours,
                weekly,
            },
            units: pool.units,
            price,
            start,
            end,
            tif: TimeInForce::Gtc,
            post_only: false,
        })
    };
    let tariff = &plan.tariffs[listed.grade.name];
    let base = price(plan, pool);
    let mut commands = vec![Command::OpenPool(opened), ask("base", base, 1, None)];
    commands.push(ask("long", share(base, LONG_BPS), LONG_HOURS, None));
    if plan.fleet.providers[pool.provider].nights {
        let price = plan.fleet.night_price(pool, tariff);
        commands.push(ask("night", price, 1, Some(fleet::night())));
    }
    commands
}
