//! How long a leader takes from its start until it takes commands, with 1,000,000 open orders over
//! 400 days of random periods and 100,000 live leases, against a client that streams the same rows
//! and drops them. `just bench` runs it in release; docs/BENCHMARKS.md keeps the last.
//!
//! The market is filled by commands through the sequencer. Client and leader read with the same
//! statements, in turn, on the same server.

use std::time::Instant;

use futures_util::TryStreamExt;
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
use sluice::sequencer::{self, Actor, Sequencer, Started};

const OPEN: i64 = 1_000_000;
const LIVE: i64 = 100_000;
const PARTICIPANTS: i64 = 1_000;
const INSTRUMENTS: i64 = 20;
const HOURS: i64 = 9_600;
const AT_ONCE: usize = 8_000;
const ROUNDS: usize = 5;
const BEGINS: Hour = Hour(500_000);
const ME: Actor = Actor::System("bench");

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let home = tempfile::tempdir().expect("a temporary folder");
    let options = Options {
        data_dir: home.path().join("pg"),
        durable: true,
    };
    let cluster = Cluster::start(options).expect("a cluster");
    runtime.block_on(run(cluster.url()));
}

async fn run(url: &str) {
    db::migrate(url).await.expect("migrations");
    let started = start(url).await;
    fill(&started.sequencer).await;
    stop(started);
    let mut admin = db::first_connection(url).await.expect("a connection");
    sqlx::query("VACUUM ANALYZE")
        .execute(&mut admin)
        .await
        .expect("counted tables");
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let began = Instant::now();
        let rows = stream(url).await;
        let streamed = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let started = start(url).await;
        let recovered = began.elapsed().as_secs_f64();
        stop(started);
        let ratio = recovered / streamed;
        println!(
            "round {round}: {rows} rows streamed in {streamed:.2} s, recovered in {recovered:.2} \
             s, ratio {ratio:.2}"
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "recovery over streaming the same rows: median {:.2} ×",
        ratios[ROUNDS / 2]
    );
}

async fn start(url: &str) -> Started {
    let started = sequencer::start(sequencer::Options {
        database_url: url.to_owned(),
        rules: Rules::none(),
        clock: MarketClock::set_to(BEGINS.begins()),
        queue: AT_ONCE,
        batch: 1_000,
    });
    started.await.expect("a sequencer")
}

fn stop(started: Started) {
    started.sequencer.stop();
    started.thread.join().expect("the sequencer ends");
}

/// Every order and every lease, as a leader reads them.
async fn stream(url: &str) -> usize {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .expect("a connection");
    let connection = tokio::spawn(connection);
    let mut rows = 0;
    for sql in [sequencer::ORDERS, sequencer::LEASES] {
        let none: [i64; 0] = [];
        let found = client.query_raw(sql, none).await.expect("rows");
        let mut found = std::pin::pin!(found);
        while found.try_next().await.expect("a row").is_some() {
            rows += 1;
        }
    }
    drop(client);
    connection.await.expect("the task ends").expect("no error");
    rows
}

async fn fill(sequencer: &Sequencer) {
    let instruments = (1..=INSTRUMENTS).map(|number| {
        Command::ListInstrument(ListInstrument {
            instrument: InstrumentId(number),
            symbol: format!("G{number}.R.SILVER"),
            lot: 1,
            tick: Money(100),
        })
    });
    let deposits = (1..=PARTICIPANTS).map(|number| Command::Deposit {
        participant: ParticipantId(number),
        amount: Money(1_000_000_000_000),
    });
    // Those who sell buy nothing: they would meet their own asks.
    let asks = (1..=INSTRUMENTS).flat_map(|number| {
        let (pool, participant) = (PoolId(number), ParticipantId(number));
        let opened = Command::OpenPool(OpenPool {
            pool,
            participant,
            instrument: InstrumentId(number),
            units: 1_000_000,
            start: BEGINS.begins(),
            end: Hour(BEGINS.0 + HOURS).begins(),
            access: Access::Instant,
        });
        let side = Side::Sell {
            pool,
            min_hours: 1,
            weekly: None,
        };
        let ask = place(
            number,
            format!("a{number}"),
            side,
            1_000_000,
            1_000,
            (0, HOURS),
        );
        [opened, ask]
    });
    send(sequencer, instruments.chain(deposits).chain(asks)).await;
    let mut random = ChaCha12Rng::seed_from_u64(1);
    let bids = (0..OPEN + LIVE).map(|number| {
        let participant = random.random_range(INSTRUMENTS + 1..=PARTICIPANTS);
        let trades = number < LIVE;
        let hours = if trades {
            8
        } else {
            random.random_range(1..=48)
        };
        let from = random.random_range(1..HOURS - hours);
        let cents = if trades {
            1_100
        } else {
            random.random_range(500..900)
        };
        let side = Side::Buy {
            target: Target::Instruments(vec![InstrumentId(random.random_range(1..=INSTRUMENTS))]),
            min_fill: None,
            flexible: None,
            buy_in: false,
        };
        place(
            participant,
            format!("b{number}"),
            side,
            1,
            cents,
            (from, hours),
        )
    });
    send(sequencer, bids).await;
}

/// Sends commands in their order, all of which must be done.
async fn send(sequencer: &Sequencer, mut commands: impl Iterator<Item = Command>) {
    loop {
        let some: Vec<Command> = commands.by_ref().take(AT_ONCE).collect();
        if some.is_empty() {
            return;
        }
        let mut answers = Vec::with_capacity(some.len());
        for command in some {
            let answer = sequencer.enqueue(BEGINS.begins(), ME, command).await;
            answers.push(answer.expect("room in the queue"));
        }
        for receipt in join_all(answers).await {
            assert_eq!(receipt.expect("a receipt").rejection(), None);
        }
    }
}

fn place(
    participant: i64,
    client_id: String,
    side: Side,
    units: i64,
    cents: i64,
    (from, hours): (i64, i64),
) -> Command {
    Command::PlaceOrder(PlaceOrder {
        participant: ParticipantId(participant),
        client_id: ClientId(client_id),
        side,
        units,
        price: Money(cents * 100),
        start: Hour(BEGINS.0 + from).begins(),
        end: Hour(BEGINS.0 + from + hours).begins(),
        tif: TimeInForce::Gtc,
        post_only: false,
    })
}
