//! Durable orders a second over HTTP, tokens checked, one order a request and a hundred, against
//! `pgbench -M prepared -c 8` on the same cluster in the same run; and the latency at half of that
//! load against the mean of `pgbench -M prepared -c 1`. `just bench` runs it in release;
//! docs/BENCHMARKS.md keeps the last.
//!
//! Server, load and PostgreSQL share the machine. The mix is that of `sluice load`: 50 % of orders
//! rest, 35 % trade with a lease of eight hours, 15 % are cancels; 1,000 participants with a token
//! each; what is rejected does not count. An order counts once it is answered, which is after its
//! commit. Each round has a database of its own.

#[path = "support/pgbench.rs"]
mod pgbench;
#[path = "support/site.rs"]
mod site;

use std::sync::Arc;
use std::time::Duration;

use market::{
    Access, ClientId, Command, Hour, InstrumentId, ListInstrument, Money, OpenPool, ParticipantId,
    PlaceOrder, PoolId, Rules, Side, TimeInForce,
};
use site::Site;
use sluice::app::{App, Parts};
use sluice::clock::MarketClock;
use sluice::db;
use sluice::db::embedded::{Cluster, Options};
use sluice::load::{self, Mix, Report};
use sluice::sequencer::{self, Actor, Sequencer};
use sluice::web::{Web, token};

const PARTICIPANTS: i64 = 1_000;
const INSTRUMENTS: i64 = 20;
const POOLS: i64 = 200;
const HOURS: i64 = 720;
const ROUNDS: usize = 5;
const SECONDS: u64 = 6;
const BEGINS: Hour = Hour(500_000);
const ME: Actor = Actor::System("bench");

/// One order a request, and a hundred: with how many connections.
const SHAPES: [(usize, usize); 2] = [(1, 192), (100, 16)];

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let home = tempfile::tempdir().expect("a temporary folder");
    let options = Options {
        data_dir: home.path().join("pg"),
        durable: true,
    };
    let cluster = Cluster::start(options).expect("a cluster");
    pgbench::prepare(cluster.url());
    let mut ratios = [Vec::new(), Vec::new()];
    let mut latencies = Vec::new();
    for round in 1..=ROUNDS {
        for (shape, (orders, connections)) in SHAPES.into_iter().enumerate() {
            let plain = pgbench::transactions_a_second(cluster.url());
            let alone = pgbench::mean_latency(cluster.url());
            let name = format!("bench_{round}_{orders}");
            let (most, half) = runtime.block_on(run(cluster.url(), &name, orders, connections));
            let ratio = most.accepted_a_second / plain;
            let slow = half.p99 / alone;
            println!(
                "round {round}, {orders} a request: {:.0} orders/s, pgbench {plain:.0} tps, ratio \
                 {ratio:.2}; at half of it p99 {:.2} ms, pgbench -c 1 {alone:.2} ms, ratio {slow:.1}",
                most.accepted_a_second, half.p99
            );
            println!("{most}\n{half}");
            if !most.rejected.is_empty() || most.errors > 0 {
                println!("  refused {:?}, {} errors", most.rejected, most.errors);
            }
            ratios[shape].push(ratio);
            if orders == 1 {
                latencies.push(slow);
            }
        }
    }
    for ((orders, _), ratios) in SHAPES.into_iter().zip(&mut ratios) {
        println!(
            "{orders} a request over pgbench -c 8: median {:.2} ×",
            median(ratios)
        );
    }
    println!(
        "p99 at half the load over the mean of pgbench -c 1: median {:.1} ×",
        median(&mut latencies)
    );
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// As much as the connections carry, then half of that at a fixed rate.
async fn run(url: &str, database: &str, orders: usize, connections: usize) -> (Report, Report) {
    let mut admin = db::first_connection(url).await.expect("a connection");
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {database}")))
        .execute(&mut admin)
        .await
        .expect("a database");
    // What pgbench wrote is on disk, and its pieces of the log can be taken.
    sqlx::query("CHECKPOINT")
        .execute(&mut admin)
        .await
        .expect("a checkpoint");
    let (server, _) = url.rsplit_once('/').expect("a database in the URL");
    let url = format!("{server}/{database}");
    db::migrate(&url).await.expect("migrations");
    let clock = MarketClock::set_to(BEGINS.begins());
    let started = sequencer::start(sequencer::Options {
        database_url: url.clone(),
        rules: Rules::none(),
        clock: clock.clone(),
        queue: 8_000,
        batch: 1_000,
    });
    let started = started.await.expect("a sequencer");
    list(&started.sequencer).await;
    let db = db::connect(&url).await.expect("a pool");
    let tokens = people(&db).await;
    let app = App::new(Parts {
        db,
        sequencer: started.sequencer.clone(),
        feed: started.feed.clone(),
        clock,
        audit: sluice::audit::Desk::new(&url),
        web: Arc::new(Web::new(sluice::web::Options::default())),
    });
    let site = Site::serve(sluice::router::router(app)).await;
    let options = |rate, seed| load::Options {
        address: site.address.clone(),
        // Who provides would meet their own asks.
        tokens: tokens[usize::try_from(POOLS).expect("a few")..].to_vec(),
        rate,
        duration: Duration::from_secs(SECONDS),
        connections,
        orders_a_request: orders,
        mix: Mix::default(),
        symbols: (1..=INSTRUMENTS).map(symbol).collect(),
        from: Hour(BEGINS.0 + 1).begins(),
        span: HOURS - 1,
        units: 1,
        limits: (Money(50_000), Money(110_000)),
        seed,
    };
    let most = load::run(options(None, 1)).await.expect("a load");
    let half = options(Some(most.accepted_a_second / 2.0), 2);
    let half = load::run(half).await.expect("half of it");
    site.stop().await;
    started.sequencer.stop();
    started.thread.join().expect("the sequencer ends");
    (most, half)
}

fn symbol(number: i64) -> String {
    format!("G{number}.R.SILVER")
}

/// A buyer of each participant, with a token.
async fn people(db: &sqlx::PgPool) -> Vec<String> {
    let tokens: Vec<String> = (0..PARTICIPANTS)
        .map(|_| token::secret().expect("a token"))
        .collect();
    let hashes: Vec<Vec<u8>> = tokens
        .iter()
        .map(|text| token::hash(text).to_vec())
        .collect();
    for sql in [
        "INSERT INTO participants (id, name, created_at) OVERRIDING SYSTEM VALUE
         SELECT n, 'p' || n, now() FROM generate_series(1, cardinality($1::bytea[])) n",
        "INSERT INTO users (id, participant, login, password_hash, created_at)
             OVERRIDING SYSTEM VALUE
         SELECT n, n, 'buyer' || n, '', now() FROM generate_series(1, cardinality($1::bytea[])) n",
        "INSERT INTO member_roles (user_id, participant, role, granted_at)
         SELECT n, n, 'buyer', now() FROM generate_series(1, cardinality($1::bytea[])) n",
        "INSERT INTO api_tokens (user_id, token_sha256, name, scopes, made_at)
         SELECT n, hash, 'load', '{place,cancel}', now()
         FROM unnest($1::bytea[]) WITH ORDINALITY AS t (hash, n)",
        "ANALYZE api_tokens, users, participants, member_roles",
    ] {
        let query = sqlx::query(sql);
        let query = if sql.contains("$1") {
            query.bind(&hashes)
        } else {
            query
        };
        query.execute(db).await.expect("people are written");
    }
    tokens
}

/// 20 instruments, 200 pools whose asks never run out, and money for everybody.
async fn list(sequencer: &Sequencer) {
    let instruments = (1..=INSTRUMENTS).map(|number| {
        Command::ListInstrument(ListInstrument {
            instrument: InstrumentId(number),
            symbol: symbol(number),
            lot: 1,
            tick: Money(100),
        })
    });
    let deposits = (1..=PARTICIPANTS).map(|number| Command::Deposit {
        participant: ParticipantId(number),
        amount: Money(1_000_000_000_000),
    });
    let (start, end) = (BEGINS.begins(), Hour(BEGINS.0 + HOURS).begins());
    let pools = (1..=POOLS).flat_map(|number| {
        let (pool, participant) = (PoolId(number), ParticipantId(number));
        let opened = Command::OpenPool(OpenPool {
            pool,
            participant,
            instrument: InstrumentId(1 + number % INSTRUMENTS),
            units: 1_000_000,
            start,
            end,
            access: Access::Instant,
        });
        let ask = Command::PlaceOrder(PlaceOrder {
            participant,
            client_id: ClientId(format!("ask{number}")),
            side: Side::Sell {
                pool,
                min_hours: 1,
                weekly: None,
            },
            units: 1_000_000,
            price: Money(100_000),
            start,
            end,
            tif: TimeInForce::Gtc,
            post_only: false,
        });
        [opened, ask]
    });
    for command in instruments.chain(deposits).chain(pools) {
        let receipt = sequencer.submit(ME, command).await.expect("a receipt");
        assert_eq!(receipt.rejection(), None);
    }
}
