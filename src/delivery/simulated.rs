//! Simulated delivery: hours of leases that are over are reported with seeded shortfalls.

use std::time::Duration;

use market::{Command, Delivered, HOUR_MINUTES, Hour, Lease, LeaseId, Market, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use tokio_util::sync::CancellationToken;

use crate::clock::MarketClock;
use crate::feed::Feed;
use crate::sequencer::{Actor, Sequencer};

/// How often the demonstration looks for hours that are over, in real time.
const GLANCE: Duration = Duration::from_millis(250);

/// The most hours that are reported at one glance.
const AT_ONCE: usize = 500;

/// Who reports them.
pub const ACTOR: Actor = Actor::System("simulated-delivery");

/// What a lease got in an hour, in minutes for each unit, drawn from the seed, the lease and the
/// hour alone: 97 of 100 hours are whole, two miss a few minutes, one misses most of them.
pub fn minutes(seed: u64, lease: LeaseId, hour: Hour) -> i64 {
    let place = u64::from_ne_bytes(lease.0.to_ne_bytes()).rotate_left(32)
        ^ u64::from_ne_bytes(hour.0.to_ne_bytes());
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    random.set_stream(place);
    match random.random_range(0..100) {
        0 => random.random_range(0..30),
        1 | 2 => random.random_range(45..HOUR_MINUTES),
        _ => HOUR_MINUTES,
    }
}

/// The report of an hour.
pub fn report(seed: u64, lease: LeaseId, hour: Hour) -> Command {
    let delivered = Delivered::Minutes(minutes(seed, lease, hour));
    Command::Deliver {
        lease,
        hour: hour.begins(),
        delivered,
    }
}

/// Hours of a lease that are over and not settled.
fn unsettled(lease: &Lease, now: Timestamp) -> impl Iterator<Item = (LeaseId, Hour)> + '_ {
    lease
        .period
        .each()
        .take_while(move |hour| hour.ends() <= now)
        .filter(|hour| !lease.is_settled(*hour))
        .map(|hour| (lease.id, hour))
}

/// Hours of leases that are over and not settled, as many as are reported at once.
pub(crate) fn overdue(market: &Market, now: Timestamp) -> Vec<(LeaseId, Hour)> {
    market
        .open_leases()
        .flat_map(|lease| unsettled(lease, now))
        .take(AT_ONCE)
        .collect()
}

/// Reports every hour as it is over, until it is told to stop.
pub async fn run(
    sequencer: Sequencer,
    feed: Feed,
    clock: MarketClock,
    seed: u64,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let hours = overdue(&feed.market(), clock.now());
        for (lease, hour) in hours {
            if let Err(error) = sequencer.submit(ACTOR, report(seed, lease, hour)).await {
                tracing::debug!(%error, "a simulated reading was not taken");
                break;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(GLANCE) => {}
            () = stop.cancelled() => {}
        }
    }
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
