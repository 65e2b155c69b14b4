//! Durable orders a second over HTTP, tokens checked, one order a request and a hundred, against
//! `pgbench -M prepared -c 8` on the same cluster in the same run; and the latency at half of that
//! load against the mean of `pgbench -M prepared -c 1`. `just bench` runs it in release;
//! docs/BENCHMARKS.md keeps the last.
//!
//! Server, load and PostgreSQL share the machine. The mix is that of `sluice load`: 50 % of orders
//! rest, 35 % trade with a lease of eight hours, 15 % are cancels; 1,000 participants with a token
//! each; what is rejected does not count. An order counts once it is answered, which is after its
//! commit. Each round has a database of its own.

#[path = "support/market.rs"]
mod market;
#[path = "support/pgbench.rs"]
mod pgbench;
#[path = "support/site.rs"]
mod site;

use std::time::Duration;

use sluice::db::embedded::{Cluster, Options};
use sluice::load::{self, Report};

const ROUNDS: usize = 5;
const SECONDS: u64 = 6;

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
    let market = market::Market::open(url, database, ::market::Rules::none()).await;
    let duration = Duration::from_secs(SECONDS);
    let shape = (orders, connections);
    let most = load::run(market.load(None, duration, shape, 1))
        .await
        .expect("a load");
    println!("{:.0} commands a transaction", market.batch().await);
    let rate = most.accepted_a_second / 2.0;
    let half = market.load(Some(rate), duration, shape, 2);
    let half = load::run(half).await.expect("half of it");
    market.stop().await;
    (most, half)
}
