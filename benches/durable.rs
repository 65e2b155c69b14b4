//! Durable orders a second, against `pgbench -M prepared -c 8` on the same cluster in the same
//! run. `just bench` runs it in release and prints the ratio; docs/BENCHMARKS.md keeps the last.
//!
//! The mix: 50 % of orders rest, 35 % trade with a lease of eight hours, 15 % are cancels; 1,000
//! participants; what is rejected does not count. An order counts once its receipt is there,
//! which is after its commit.

#[expect(
    dead_code,
    reason = "it shares this with the bench over HTTP, which asks for more"
)]
#[path = "support/pgbench.rs"]
mod pgbench;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use market::{
    Access, ClientId, Command, Hour, InstrumentId, ListInstrument, Money, OpenPool, ParticipantId,
    PlaceOrder, PoolId, Rules, Side, Target, TimeInForce,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use sluice::clock::MarketClock;
use sluice::db;
use sluice::db::embedded::{Cluster, Options};
use sluice::feed::Published;
use sluice::sequencer::{self, Actor, Sequencer};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

const PARTICIPANTS: i64 = 1_000;
const INSTRUMENTS: i64 = 20;
const POOLS: i64 = 200;
const ORDERS: usize = 60_000;
const IN_FLIGHT: usize = 2_000;
const ROUNDS: usize = 5;
const ME: Actor = Actor::System("bench");

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let home = tempfile::tempdir().expect("a temporary folder");
    let options = Options {
        data_dir: home.path().join("pg"),
        durable: true,
    };
    let cluster = Cluster::start(options).expect("a cluster");
    pgbench::prepare(cluster.url());
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let plain = pgbench::transactions_a_second(cluster.url());
        let (orders, batch) = runtime.block_on(run(cluster.url(), round));
        let ratio = orders / plain;
        println!(
            "round {round}: {orders:.0} durable orders/s (mean batch {batch:.0}), pgbench \
             {plain:.0} tps, ratio {ratio:.2}"
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "durable orders a second over pgbench -M prepared -c 8: median {:.2} ×",
        ratios[ROUNDS / 2]
    );
}

async fn run(url: &str, round: usize) -> (f64, f64) {
    let database = format!("bench_{round}");
    let mut admin = db::first_connection(url).await.expect("a connection");
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {database}")))
        .execute(&mut admin)
        .await
        .expect("a database");
    let url = format!(
        "{}/{database}",
        url.rsplit_once('/').expect("a database in the URL").0
    );
    db::migrate(&url).await.expect("migrations");
    let start = Hour(500_000).begins();
    let started = sequencer::start(sequencer::Options {
        database_url: url,
        rules: Rules::none(),
        clock: MarketClock::set_to(start),
        queue: IN_FLIGHT,
        batch: 1_000,
    })
    .await
    .expect("a sequencer");
    let mut published = started.feed.subscribe();
    list(&started.sequencer).await;
    let batches_before = last_batch(&mut published);
    let mut workload = Workload::new(round);
    let began = Instant::now();
    let mut counted = 0_usize;
    let mut waiting = VecDeque::new();
    while counted < ORDERS {
        while waiting.len() < IN_FLIGHT {
            let command = workload.next();
            waiting.push_back(
                started
                    .sequencer
                    .enqueue(start, ME, command)
                    .await
                    .expect("room in the queue"),
            );
        }
        let ready: Vec<_> = waiting.drain(..IN_FLIGHT / 2).collect();
        for receipt in join_all(ready).await {
            let receipt = receipt.expect("a receipt");
            counted += usize::from(receipt.rejection().is_none());
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    started.sequencer.stop();
    started.thread.join().expect("the sequencer ends");
    let batches = last_batch(&mut published) - batches_before;
    (counted as f64 / seconds, counted as f64 / batches as f64)
}

/// The number of the last batch that was published.
fn last_batch(published: &mut Receiver<Arc<Published>>) -> i64 {
    let mut last = 0;
    loop {
        match published.try_recv() {
            Ok(published) => last = published.batch,
            Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return last,
        }
    }
}

async fn list(sequencer: &Sequencer) {
    let mut commands = Vec::new();
    for number in 1..=INSTRUMENTS {
        commands.push(Command::ListInstrument(ListInstrument {
            instrument: InstrumentId(number),
            symbol: format!("G{number}.R.SILVER"),
            lot: 1,
            tick: Money(100),
        }));
    }
    for number in 1..=PARTICIPANTS {
        let participant = ParticipantId(number);
        commands.push(Command::Deposit {
            participant,
            amount: Money(1_000_000_000_000),
        });
    }
    for number in 1..=POOLS {
        commands.push(Command::OpenPool(OpenPool {
            pool: PoolId(number),
            participant: ParticipantId(number),
            instrument: InstrumentId(1 + number % INSTRUMENTS),
            units: 1_000_000,
            start: Hour(500_000).begins(),
            end: Hour(500_720).begins(),
            access: Access::Instant,
        }));
        let side = Side::Sell {
            pool: PoolId(number),
            min_hours: 1,
            weekly: None,
        };
        commands.push(place(
            number,
            format!("ask{number}"),
            side,
            1_000_000,
            1_000,
            0,
            720,
        ));
    }
    for command in commands {
        let receipt = sequencer.submit(ME, command).await.expect("a receipt");
        assert_eq!(receipt.rejection(), None);
    }
}

fn place(
    participant: i64,
    client_id: String,
    side: Side,
    units: i64,
    cents: i64,
    from: i64,
    hours: i64,
) -> Command {
    Command::PlaceOrder(PlaceOrder {
        participant: ParticipantId(participant),
        client_id: ClientId(client_id),
        side,
        units,
        price: Money(cents * 100),
        start: Hour(500_000 + from).begins(),
        end: Hour(500_000 + from + hours).begins(),
        tif: TimeInForce::Gtc,
        post_only: false,
    })
}

/// The seeded mix.
struct Workload {
    random: ChaCha12Rng,
    number: usize,
    resting: Vec<(i64, String)>,
}

impl Workload {
    fn new(seed: usize) -> Self {
        let random = ChaCha12Rng::seed_from_u64(seed as u64);
        Self {
            random,
            number: 0,
            resting: Vec::new(),
        }
    }

    fn next(&mut self) -> Command {
        self.number += 1;
        let share = self.random.random_range(0..100);
        if share < 15 && self.resting.len() > 100 {
            let at = self.random.random_range(0..self.resting.len() - 50);
            let (participant, client_id) = self.resting.swap_remove(at);
            return Command::CancelOrder {
                participant: ParticipantId(participant),
                client_id: ClientId(client_id),
            };
        }
        let participant = self.random.random_range(POOLS + 1..=PARTICIPANTS);
        let instrument = InstrumentId(self.random.random_range(1..=INSTRUMENTS));
        let client_id = format!("b{}", self.number);
        let rests = share < 15 + 50;
        let cents = if rests {
            self.random.random_range(500..900)
        } else {
            1_100
        };
        let hours = if rests {
            self.random.random_range(1..48)
        } else {
            8
        };
        let from = self.random.random_range(1..600);
        if rests {
            self.resting.push((participant, client_id.clone()));
        }
        let target = Target::Instruments(vec![instrument]);
        place(
            participant,
            client_id,
            Side::Buy {
                target,
                min_fill: None,
                flexible: None,
                buy_in: false,
            },
            1,
            cents,
            from,
            hours,
        )
    }
}
