//! Simulated delivery: hours of leases that are over are reported, as the pool's simulated hosts
//! ran; of a pool without hosts, with seeded shortfalls lease by lease.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use market::{Command, Delivered, HOUR_MINUTES, Hour, Lease, LeaseId, Market, PoolId, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use sqlx::PgPool;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::TryRecvError;
use tokio_util::sync::CancellationToken;

use super::hosts::{self, Host};
use crate::clock::MarketClock;
use crate::feed::{Feed, Published};
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

/// An hour that is over and not settled.
struct Overdue {
    lease: Lease,
    lot: i64,
    hour: Hour,
}

/// The leases with hours to settle, by the first of them: what is due is found without looking at
/// the others.
#[derive(Debug, Default)]
struct Watch {
    first: BTreeMap<LeaseId, Hour>,
    due: BTreeSet<(Hour, LeaseId)>,
}

impl Watch {
    /// Every lease of a market; once, and when word of changes was missed.
    fn all(market: &Market) -> Self {
        let mut watch = Self::default();
        for lease in market.open_leases() {
            watch.look(market, lease.id);
        }
        watch
    }

    /// Takes in how a lease stands now.
    fn look(&mut self, market: &Market, id: LeaseId) {
        self.forget(id);
        let first = market.lease(id).and_then(Lease::first_unsettled);
        if let Some(hour) = first {
            self.first.insert(id, hour);
            self.due.insert((hour, id));
        }
    }

    /// Leaves a lease alone until something happens to it.
    fn forget(&mut self, id: LeaseId) {
        if let Some(hour) = self.first.remove(&id) {
            self.due.remove(&(hour, id));
        }
    }

    /// Takes in what was published since the last glance.
    fn follow(
        &mut self,
        batches: &mut broadcast::Receiver<std::sync::Arc<Published>>,
        feed: &Feed,
    ) {
        loop {
            match batches.try_recv() {
                Ok(batch) => {
                    let market = feed.market();
                    for lease in &batch.leases {
                        self.look(&market, *lease);
                    }
                }
                Err(TryRecvError::Lagged(_)) => *self = Self::all(&feed.market()),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    /// Hours that are over by now, of the leases that have waited longest first.
    fn overdue(&self, market: &Market, now: Timestamp) -> Vec<Overdue> {
        let leases = self
            .due
            .iter()
            .take_while(|(hour, _)| hour.ends() <= now)
            .filter_map(|(_, lease)| market.lease(*lease));
        let hours = leases.flat_map(|lease| {
            let pool = market.pool(lease.pool);
            let instrument = pool.and_then(|pool| market.instrument(pool.instrument));
            let lot = instrument.map_or(1, |instrument| instrument.listed.lot);
            lease
                .unsettled()
                .take_while(move |hour| hour.ends() <= now)
                .map(move |hour| Overdue {
                    lease: lease.clone(),
                    lot,
                    hour,
                })
        });
        hours.take(AT_ONCE).collect()
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
        let overdue = watch.overdue(&feed.market(), clock.now());
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
            Watch::all(&market).overdue(&market, at)
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
    fn only_leases_with_something_due_are_looked_at() {
        use market::{
            Access, ClientId, InstrumentId, ListInstrument, Money, OpenPool, ParticipantId,
            PlaceOrder, Rules, Side, Target, TimeInForce,
        };
        let mut market = Market::new(Rules::none());
        let order = |name: &str, participant, side, hours: (i64, i64)| {
            Command::PlaceOrder(PlaceOrder {
                participant: ParticipantId(participant),
                client_id: ClientId(name.to_owned()),
                side,
                units: 1,
                price: Money(1),
                start: Hour(hours.0).begins(),
                end: Hour(hours.1).begins(),
                tif: TimeInForce::Gtc,
                post_only: false,
            })
        };
        let ask = Side::Sell {
            pool: PoolId(1),
            min_hours: 1,
            weekly: None,
        };
        let bid = || Side::Buy {
            target: Target::Pool(PoolId(1)),
            min_fill: None,
            flexible: None,
            buy_in: false,
        };
        for command in [
            Command::ListInstrument(ListInstrument {
                instrument: InstrumentId(1),
                symbol: "A.B.C".to_owned(),
                lot: 1,
                tick: Money(1),
            }),
            Command::Deposit {
                participant: ParticipantId(2),
                amount: Money(1_000),
            },
            Command::OpenPool(OpenPool {
                pool: PoolId(1),
                participant: ParticipantId(1),
                instrument: InstrumentId(1),
                units: 1,
                start: Hour(0).begins(),
                end: Hour(10).begins(),
                access: Access::Instant,
            }),
            order("ask", 1, ask, (0, 10)),
            order("late", 2, bid(), (6, 8)),
            order("soon", 2, bid(), (1, 3)),
        ] {
            market.apply(Timestamp(0), &command);
        }
        let mut watch = Watch::all(&market);
        let over = |watch: &Watch, market: &Market, hour: i64| {
            let overdue = watch.overdue(market, Hour(hour).begins());
            overdue
                .iter()
                .map(|one| (one.lease.id.0, one.hour.0))
                .collect::<Vec<_>>()
        };
        assert_eq!(over(&watch, &market, 1), []);
        assert_eq!(over(&watch, &market, 3), [(2, 1), (2, 2)]);
        market.apply(Hour(3).begins(), &report(1, LeaseId(2), Hour(1)));
        watch.look(&market, LeaseId(2));
        assert_eq!(over(&watch, &market, 3), [(2, 2)]);
        market.apply(Hour(3).begins(), &report(1, LeaseId(2), Hour(2)));
        watch.look(&market, LeaseId(2));
        assert_eq!(over(&watch, &market, 7), [(1, 6)]);
        watch.forget(LeaseId(1));
        assert_eq!(over(&watch, &market, 7), []);
        assert!(watch.first.is_empty() && watch.due.is_empty());
    }

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
