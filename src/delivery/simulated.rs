//! Simulated delivery: hours of leases that are over are reported, as the pool's simulated hosts
//! ran; of a pool without hosts, with seeded shortfalls lease by lease.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use market::{Command, Delivered, HOUR_MINUTES, Hour, Lease, LeaseId, PoolId, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::hosts::{self, Host};
use super::placing;
use super::watch::{Overdue, Watch};
use crate::clock::MarketClock;
use crate::feed::Feed;
use crate::sequencer::{Actor, Sequencer};

/// How often the demonstration looks for hours that are over, in real time.
const GLANCE: Duration = Duration::from_millis(250);

/// The most hours that are reported at one glance.
const AT_ONCE: usize = 500;

/// Who reports them.
pub const ACTOR: Actor = Actor::System("simulated-delivery");

/// What something ran in an hour, in minutes, drawn from the seed, its number and the hour alone:
/// 97 of 100 hours are whole, two miss a few minutes, one misses most of them.
pub(super) fn drawn(seed: u64, number: i64, hour: Hour) -> i64 {
    let place = u64::from_ne_bytes(number.to_ne_bytes()).rotate_left(32)
        ^ u64::from_ne_bytes(hour.0.to_ne_bytes());
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    random.set_stream(place);
    match random.random_range(0..100) {
        0 => random.random_range(0..30),
        1 | 2 => random.random_range(45..HOUR_MINUTES),
        _ => HOUR_MINUTES,
    }
}

/// What a lease of a pool without hosts got in an hour, in minutes for each unit.
pub fn minutes(seed: u64, lease: LeaseId, hour: Hour) -> i64 {
    drawn(seed, lease.0, hour)
}

/// The report of an hour of a lease of a pool without hosts.
pub fn report(seed: u64, lease: LeaseId, hour: Hour) -> Command {
    let delivered = Delivered::Minutes(minutes(seed, lease, hour));
    Command::Deliver {
        lease,
        hour: hour.begins(),
        delivered,
        excused: 0,
    }
}

/// The report of an hour of a lease that runs on these hosts.
fn report_of_hosts(seed: u64, hosts: &[Host], overdue: &Overdue) -> Command {
    if hosts.is_empty() {
        return report(seed, overdue.lease.id, overdue.hour);
    }
    let got = hosts::unit_minutes(seed, hosts, overdue.lot, &overdue.lease, overdue.hour);
    Command::Deliver {
        lease: overdue.lease.id,
        hour: overdue.hour.begins(),
        delivered: Delivered::UnitMinutes(got),
        excused: 0,
    }
}

/// Reports every hour as it is over, until it is told to stop.
pub async fn run(
    db: PgPool,
    sequencer: Sequencer,
    feed: Feed,
    clock: MarketClock,
    seed: u64,
    stop: CancellationToken,
) {
    // Listening begins before looking, so nothing falls between.
    let mut batches = feed.subscribe();
    let mut watch = Watch::all(&feed.market());
    while !stop.is_cancelled() {
        watch.follow(&mut batches, &feed);
        let machines = match placing::pools(&db).await {
            Ok(pools) => pools,
            Err(error) => {
                tracing::debug!(%error, "pools can't be read");
                tokio::time::sleep(GLANCE).await;
                continue;
            }
        };
        let is_ours = |lease: &Lease, _| !machines.contains_key(&lease.pool);
        let overdue = watch.overdue(&feed.market(), clock.now(), is_ours, AT_ONCE);
        let is_more = overdue.len() == AT_ONCE;
        let all_taken = match report_all(&db, &sequencer, clock.now(), seed, &overdue).await {
            Ok(refused) => {
                for lease in refused {
                    watch.forget(lease);
                }
                true
            }
            Err(error) => {
                tracing::debug!(%error, "simulated readings were not taken");
                false
            }
        };
        if is_more && all_taken {
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(GLANCE) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Reports every hour that is over at an instant of a market whose clock does not run, at that
/// instant.
///
/// # Errors
/// When the sequencer ends or the database fails.
pub(crate) async fn catch_up(
    db: &PgPool,
    sequencer: &Sequencer,
    feed: &Feed,
    seed: u64,
    at: Timestamp,
) -> anyhow::Result<()> {
    loop {
        let overdue = {
            let market = feed.market();
            Watch::all(&market).overdue(&market, at, |_, _| true, AT_ONCE)
        };
        let refused = report_all(db, sequencer, at, seed, &overdue).await?;
        if refused.len() == overdue.len() {
            return Ok(());
        }
    }
}

/// Reports these hours together; gives the leases of those that the market did not take.
async fn report_all(
    db: &PgPool,
    sequencer: &Sequencer,
    at: Timestamp,
    seed: u64,
    overdue: &[Overdue],
) -> anyhow::Result<Vec<LeaseId>> {
    if overdue.is_empty() {
        return Ok(Vec::new());
    }
    let pools: BTreeSet<PoolId> = overdue.iter().map(|one| one.lease.pool).collect();
    let pools: Vec<PoolId> = pools.into_iter().collect();
    let hosts = hosts::of(db, &pools).await?;
    let mut answers = Vec::new();
    for one in overdue {
        let hosts = hosts.get(&one.lease.pool).map_or(&[][..], Vec::as_slice);
        let command = report_of_hosts(seed, hosts, one);
        answers.push(sequencer.enqueue(at, ACTOR, command).await?);
    }
    let mut refused = Vec::new();
    for (one, answer) in overdue.iter().zip(join_all(answers).await) {
        if let Some(rejection) = answer?.rejection() {
            tracing::debug!(lease = %one.lease.id, %rejection, "a simulated reading was refused");
            refused.push(one.lease.id);
        }
    }
    Ok(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortfalls_are_seeded_and_rare() {
        let hours: Vec<i64> = (0..1_000)
            .map(|hour| minutes(1, LeaseId(3), Hour(hour)))
            .collect();
        assert_eq!(
            hours,
            (0..1_000)
                .map(|hour| minutes(1, LeaseId(3), Hour(hour)))
                .collect::<Vec<_>>()
        );
        assert!(
            hours
                .iter()
                .all(|minutes| (0..=HOUR_MINUTES).contains(minutes))
        );
        let short = hours
            .iter()
            .filter(|minutes| **minutes < HOUR_MINUTES)
            .count();
        assert!((5..100).contains(&short), "{short} of 1000");
    }
}
