//! Pages a second with 200 instruments and 100,000 open orders, against the bare ceiling: the same
//! bytes from axum and askama without a query. `just bench` runs it in release and prints the
//! ratio; docs/BENCHMARKS.md keeps the last.
//!
//! Both are served by this program's own accept loop on loopback and asked by the same 32
//! connections, so server and load share the cores. Once the market stands still, once an order
//! is committed every 100 ms, which every drawing has to follow.

#[path = "support/site.rs"]
mod site;

use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template;
use axum::Router;
use axum::body::Body;
use axum::response::Html;
use axum::routing::get;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use market::catalogue::{GRADES, REGIONS};
use market::{
    Access, ClientId, Command, Hour, InstrumentId, ListInstrument, Money, OpenPool, ParticipantId,
    PlaceOrder, PoolId, Side, Target, TimeInForce,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use site::Site;
use sluice::app::{App, Parts};
use sluice::clock::MarketClock;
use sluice::db;
use sluice::db::embedded::{Cluster, Options};
use sluice::sequencer::{self, Actor, Sequencer, Started};
use sluice::web::Web;
use tokio_util::sync::CancellationToken;

const INSTRUMENTS: i64 = 200;
const POOLS_EACH: i64 = 10;
const TARIFFS_EACH: i64 = 5;
const BIDS_EACH: i64 = 450;
const CONNECTIONS: usize = 32;
const ROUNDS: usize = 5;
const FOR: Duration = Duration::from_secs(3);
const COMMIT_EVERY: Duration = Duration::from_millis(100);
const BEGINS: Hour = Hour(500_000);
const PROVIDER: ParticipantId = ParticipantId(1);
const BUYER: ParticipantId = ParticipantId(2);
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
    let clock = MarketClock::set_to(BEGINS.begins());
    let rules = sluice::rules::load(None).expect("the standard rules");
    let started = sequencer::start(sequencer::Options {
        database_url: url.to_owned(),
        rules,
        clock: clock.clone(),
        queue: 2_000,
        batch: 1_000,
    });
    let started = started.await.expect("a sequencer");
    let orders = list(&started.sequencer).await;
    println!("{INSTRUMENTS} instruments, {orders} open orders");
    let app = App::new(Parts {
        db: db::connect(url).await.expect("a pool"),
        sequencer: started.sequencer.clone(),
        feed: started.feed.clone(),
        clock,
        audit: sluice::audit::Desk::new(url),
        web: Arc::new(Web::new(sluice::web::Options::default())),
    });
    let site = Site::serve(sluice::router::router(app)).await;
    let symbol = symbol(1);
    for (name, path) in [
        ("overview", "/".to_owned()),
        ("instrument page", format!("/market/{symbol}")),
    ] {
        let page = client()
            .ask(&format!("http://{}{path}", site.address))
            .await;
        let ceiling = Site::serve(ceiling(&page)).await;
        println!("{name}: {} bytes", page.len());
        compare(
            name,
            &format!("http://{}{path}", site.address),
            &format!("http://{}", ceiling.address),
        )
        .await;
        compare_while_it_moves(
            name,
            &format!("http://{}{path}", site.address),
            &format!("http://{}", ceiling.address),
            &started,
        )
        .await;
        ceiling.stop().await;
    }
    site.stop().await;
    started.sequencer.stop();
    started.thread.join().expect("the sequencer ends");
}

/// Rounds of one and the other in turn, and the median of their ratios.
async fn compare(name: &str, page: &str, ceiling: &str) {
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let (most, got) = (a_second(ceiling).await, a_second(page).await);
        println!(
            "  {name}: {got:.0} pages/s, ceiling {most:.0}, ratio {:.3}",
            got / most
        );
        ratios.push(got / most);
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "{name} over its ceiling: median {:.3} ×",
        ratios[ROUNDS / 2]
    );
}

async fn compare_while_it_moves(name: &str, page: &str, ceiling: &str, started: &Started) {
    let stop = CancellationToken::new();
    let (sequencer, stopped) = (started.sequencer.clone(), stop.clone());
    let name = format!("{name} while an order is committed every 100 ms");
    let prefix = name.replace(' ', "-");
    let moving = tokio::spawn(async move {
        let mut number = 0_i64;
        while !stopped.is_cancelled() {
            number += 1;
            let bid = bid(
                &format!("{prefix}{number}"),
                InstrumentId(1),
                1_000,
                (600, 604),
            );
            let receipt = sequencer.submit(ME, bid).await.expect("a receipt");
            assert_eq!(receipt.rejection(), None);
            tokio::time::sleep(COMMIT_EVERY).await;
        }
    });
    compare(&name, page, ceiling).await;
    stop.cancel();
    moving.await.expect("the market moves");
}

/// Answers a second that 32 connections get.
async fn a_second(url: &str) -> f64 {
    let client = Arc::new(client());
    let begins = Instant::now();
    let ask = |_| {
        let (client, url) = (Arc::clone(&client), url.to_owned());
        tokio::spawn(async move {
            let mut answers = 0_u32;
            while begins.elapsed() < FOR {
                client.ask(&url).await;
                answers += 1;
            }
            answers
        })
    };
    let asking: Vec<_> = (0..CONNECTIONS).map(ask).collect();
    let mut answers = 0;
    for one in asking {
        answers += one.await.expect("it asks");
    }
    f64::from(answers) / begins.elapsed().as_secs_f64()
}

struct Asker(Client<HttpConnector, Empty<Bytes>>);

fn client() -> Asker {
    Asker(Client::builder(TokioExecutor::new()).build(HttpConnector::new()))
}

impl Asker {
    /// The body of an answer, which must be a good one.
    async fn ask(&self, url: &str) -> Bytes {
        let answer = self.0.get(url.parse().expect("a URL")).await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes()
    }
}

/// The bytes of a page, line by line as its templates write them.
#[derive(Template)]
#[template(
    source = "{% for line in lines.iter() %}{{ line|safe }}\n{% endfor %}",
    ext = "html"
)]
struct Bare {
    lines: Arc<Vec<String>>,
}

/// A router that answers with the same bytes and does nothing else.
fn ceiling(page: &Bytes) -> Router {
    let page = String::from_utf8_lossy(page);
    let lines: Arc<Vec<String>> = Arc::new(page.lines().map(str::to_owned).collect());
    Router::new().fallback(get(move || {
        let lines = Arc::clone(&lines);
        async move { Html(Body::from(Bare { lines }.render().expect("it renders"))) }
    }))
}

fn symbol(number: i64) -> String {
    let place = usize::try_from(number - 1).expect("it is small");
    let grade = GRADES[place % GRADES.len()].name;
    let rest = place / GRADES.len();
    let region = REGIONS[rest % REGIONS.len()].symbol_part();
    let level = ["SILVER", "GOLD", "BRONZE"][rest / REGIONS.len() % 3];
    format!("{grade}.{region}.{level}")
}

/// Lists the market; gives how many orders are open.
async fn list(sequencer: &Sequencer) -> usize {
    let mut random = ChaCha12Rng::seed_from_u64(1);
    let mut commands = Vec::new();
    for participant in [PROVIDER, BUYER] {
        commands.push(Command::Deposit {
            participant,
            amount: Money(10_000_000_000_000_000),
        });
    }
    let mut orders = 0;
    for number in 1..=INSTRUMENTS {
        let instrument = InstrumentId(number);
        commands.push(Command::ListInstrument(ListInstrument {
            instrument,
            symbol: symbol(number),
            lot: 1,
            tick: Money(100),
        }));
        for place in 0..POOLS_EACH {
            let pool = PoolId(number * POOLS_EACH + place);
            commands.push(Command::OpenPool(OpenPool {
                pool,
                participant: PROVIDER,
                instrument,
                units: 512,
                start: BEGINS.begins(),
                end: Hour(BEGINS.0 + 2_160).begins(),
                access: Access::Instant,
            }));
            for tariff in 0..TARIFFS_EACH {
                let cents = random.random_range(1_000..1_500);
                commands.push(ask(&format!("a{}-{tariff}", pool.0), pool, cents));
                orders += 1;
            }
        }
        for place in 0..BIDS_EACH {
            let cents = random.random_range(500..990);
            let from = random.random_range(1..1_000);
            let hours = (from, from + random.random_range(1..48));
            commands.push(bid(&format!("b{number}-{place}"), instrument, cents, hours));
            orders += 1;
        }
    }
    for some in commands.chunks(1_000) {
        let mut answers = Vec::new();
        for command in some {
            let answer = sequencer
                .enqueue(BEGINS.begins(), ME, command.clone())
                .await;
            answers.push(answer.expect("room in the queue"));
        }
        for answer in answers {
            let receipt = answer.await.expect("a receipt");
            assert_eq!(receipt.rejection(), None);
        }
    }
    orders
}

fn ask(client_id: &str, pool: PoolId, cents: i64) -> Command {
    let side = Side::Sell {
        pool,
        min_hours: 1,
        weekly: None,
    };
    order(PROVIDER, client_id, side, 512, cents, (0, 2_160))
}

fn bid(client_id: &str, instrument: InstrumentId, cents: i64, hours: (i64, i64)) -> Command {
    let target = Target::Instruments(vec![instrument]);
    let side = Side::Buy {
        target,
        min_fill: None,
        flexible: None,
        buy_in: false,
    };
    order(BUYER, client_id, side, 1, cents, hours)
}

fn order(
    participant: ParticipantId,
    client_id: &str,
    side: Side,
    units: i64,
    cents: i64,
    (from, to): (i64, i64),
) -> Command {
    Command::PlaceOrder(PlaceOrder {
        participant,
        client_id: ClientId(client_id.to_owned()),
        side,
        units,
        price: Money(cents * 100),
        start: Hour(BEGINS.0 + from).begins(),
        end: Hour(BEGINS.0 + to).begins(),
        tif: TimeInForce::Gtc,
        post_only: false,
    })
}
