//! Ten thousand live leases on 1,250 machines, a signed reading of each a minute, beside trading at
//! half of what the machine carries; then all that an outage of twenty minutes held back, at once;
//! then the settlement of ten thousand lease-hours; then a default. `just bench` runs it in release
//! with ten minutes of readings (`SLUICE_BENCH_MINUTES` says otherwise); docs/BENCHMARKS.md keeps the
//! last.
//!
//! Server, keeper, load, machines and PostgreSQL share the machine. Machines sign as agents do and
//! send what they have once a minute and a heartbeat every twenty seconds, spread over the minute.
//! Every lease counts as accepted from its start. One is probed: that of the default, from three
//! vantages, a minute of the market after the other as fast as they are taken. The rule's waiting
//! time is over at the instant at which ten thousand lease-hours, of which nothing was told, are due.

#[path = "support/market.rs"]
mod market;
#[path = "support/pgbench.rs"]
mod pgbench;
#[path = "support/site.rs"]
mod site;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ::market::{
    Access, ClientId, Command, Hour, InstrumentId, LeaseId, ListInstrument, Money, OpenPool,
    ParticipantId, PlaceOrder, PoolId, Rules, Side, Target, TimeInForce, Timestamp,
};
use bytes::Bytes;
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use market::{BEGINS, Market};
use reading::{AgentKey, Digest, Minute, Reading, Request, SignedReading};
use serde_json::json;
use sluice::db::embedded::{Cluster, Options};
use sluice::delivery::keeper::Keeper;
use sluice::delivery::probes;
use sluice::load;
use sluice::sequencer::{Actor, Sequencer};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

const MACHINES: i64 = 1_250;
const UNITS: i64 = 8;
const LEASES: i64 = MACHINES * UNITS;
const POOLS: i64 = 25;
const FIRST_POOL: i64 = 1_001;
const FIRST_PROVIDER: i64 = 1;
const HOLDER: i64 = 900;
const INSTRUMENT: InstrumentId = InstrumentId(1_000);
const LEASE_HOURS: i64 = 24;
const OUTAGE_MINUTES: u32 = 20;
const CONNECTIONS: usize = 32;
const ME: Actor = Actor::System("bench");

fn main() {
    let minutes = std::env::var("SLUICE_BENCH_MINUTES").ok();
    let minutes: u32 = minutes.map_or(10, |text| text.parse().expect("a number"));
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let home = tempfile::tempdir().expect("a temporary folder");
    let options = Options {
        data_dir: home.path().join("pg"),
        durable: true,
    };
    let cluster = Cluster::start(options).expect("a cluster");
    pgbench::prepare(cluster.url());
    let plain = pgbench::transactions_a_second(cluster.url());
    let alone = pgbench::mean_latency(cluster.url());
    println!("pgbench -M prepared: -c 8 {plain:.0} tps, -c 1 {alone:.2} ms");
    runtime.block_on(run(cluster.url(), minutes, alone));
}

async fn run(url: &str, minutes: u32, alone: f64) {
    // What is trade and money is as in the other benches; what is promised is the standard set's.
    let mut rules = Rules::none();
    rules.service_levels = sluice::rules::load(None).expect("rules").service_levels;
    let market = Market::open(url, "delivery", rules).await;
    let most = market.load(None, Duration::from_secs(6), (1, 192), 1);
    let most = load::run(most).await.expect("a load").accepted_a_second;
    println!("trading alone: {most:.0} orders/s");
    let machines = machines(&market).await;
    let stop = CancellationToken::new();
    let keeper = Keeper {
        db: sluice::db::for_keeper(&market.app.db),
        sequencer: market.app.sequencer.clone(),
        feed: market.app.feed.clone(),
        clock: market.app.clock.clone(),
    };
    let keeping = tokio::spawn(keeper.run(stop.clone()));
    let began = Instant::now();
    sell(&market.app.sequencer).await;
    wait(&market, "SELECT count(*) FROM stays", LEASES).await;
    println!(
        "{LEASES} leases sold and placed on {MACHINES} machines in {:.1} s",
        began.elapsed().as_secs_f64()
    );
    accept(&market).await;
    let machines = Fleet::with(&market, machines).await;
    let begins = Hour(BEGINS.0 + 1);
    market.app.clock.set(begins.begins());
    let first = Minute::of(sluice::clock::instant(begins.begins())).expect("a minute");

    let load = market.load(
        Some(most / 2.0),
        Duration::from_secs(60 * u64::from(minutes)),
        (1, 192),
        2,
    );
    let trading = tokio::spawn(load::run(load));
    let before = used();
    let began = Instant::now();
    let latencies = machines.every_minute(&market, first, minutes).await;
    let seconds = began.elapsed().as_secs_f64();
    let after = used();
    let traded = trading.await.expect("it does not panic").expect("a load");
    println!(
        "trading beside it: {traded}, {:.0} commands a transaction",
        market.batch().await
    );
    println!(
        "{minutes} minutes of {LEASES} leases: {:.0} readings/s; a request of {UNITS}: p50 {:.1} ms, \
         p99 {:.1} ms ({:.0} × pgbench -c 1), max {:.1} ms",
        f64::from(u32::try_from(LEASES).expect("small") * minutes) / seconds,
        millis(&latencies, 0.5),
        millis(&latencies, 0.99),
        millis(&latencies, 0.99) / alone,
        millis(&latencies, 1.0)
    );
    println!(
        "processor time beside trading, of two cores: this program {:.0} %, PostgreSQL {:.0} %",
        50.0 * (after.0 - before.0) / seconds,
        50.0 * (after.1 - before.1) / seconds
    );

    let end = minutes + OUTAGE_MINUTES;
    market
        .app
        .clock
        .set(begins.begins().plus_minutes(end.into()));
    let began = Instant::now();
    machines.at_once(first, minutes..end).await;
    let seconds = began.elapsed().as_secs_f64();
    let rate = f64::from(u32::try_from(LEASES).expect("small") * OUTAGE_MINUTES) / seconds;
    println!(
        "after an outage of {OUTAGE_MINUTES} minutes, {MACHINES} machines at once: {rate:.0} \
         readings/s, {:.1} × one a minute of each",
        rate / (LEASES as f64 / 60.0)
    );
    market.app.clock.set(begins.ends());
    machines.at_once(first, end..60).await;
    let raw = size(&market, "readings").await;
    println!(
        "readings of an hour as they came: {:.0} MB, {:.0} bytes each",
        raw / 1e6,
        raw / (LEASES * 60) as f64
    );
    let began = Instant::now();
    wait(
        &market,
        "SELECT count(*) FROM settlements s JOIN placements p ON p.lease = s.lease",
        LEASES,
    )
    .await;
    println!(
        "{LEASES} lease-hours settled {:.2} s after their last reading came",
        began.elapsed().as_secs_f64()
    );
    let rest = size(&market, "reading_hours").await;
    println!(
        "at rest: {:.0} bytes a lease-hour, {:.1} kB a lease-day",
        rest / LEASES as f64,
        rest * 24.0 / LEASES as f64 / 1e3
    );
    // The server has ended connections that nobody used meanwhile.
    let fleet = Fleet {
        connections: Arc::new(connect(&market.site.address).await),
        ..machines
    };
    default(&market, &fleet).await;
    stop.cancel();
    keeping.await.expect("the keeper ends");
    market.stop().await;
}

/// From the first failed probe of a lease to its refund and its buy-in on the ledger.
async fn default(market: &Market, fleet: &Fleet) {
    let failing = sqlx::query_as("SELECT stay, host FROM stays ORDER BY stay LIMIT 1");
    let (stay, host): (i64, i64) = failing.fetch_one(&market.app.db).await.expect("a stay");
    let first = market.app.clock.now();
    let waits = {
        let market = market.app.feed.market();
        let lease = market.lease(LeaseId(stay)).expect("it is there");
        market
            .service_level(lease)
            .expect("it has one")
            .default_minutes
    };
    // What is bought in has to be had somewhere.
    for command in pool(POOLS, 1, first.hour().begins()) {
        submit(market, command).await;
    }
    let vantages = vantages(market).await;
    let found = json!({"version": 1, "results": [
        {"stay": stay, "host": host, "reason": "unreachable", "evidence": {}}]});
    for minute in 0..waits {
        market.app.clock.set(first.plus_minutes(minute));
        for (place, vantage) in vantages.iter().enumerate() {
            let body = found.to_string().into_bytes();
            let request = vantage.request(&fleet.host, "/api/vantage/v1/results", body);
            fleet.post(place, request).await;
        }
    }
    market.app.clock.set(first.plus_minutes(waits));
    let began = Instant::now();
    let is_done = || {
        let market = market.app.feed.market();
        let failed = market.lease(LeaseId(stay)).expect("it is there");
        let bought = market
            .open_leases()
            .any(|lease| lease.pool == PoolId(FIRST_POOL + POOLS));
        failed.failed_from.is_some() && bought
    };
    while !is_done() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    println!(
        "default {waits} minutes of the market after the first failed probe: refund and buy-in on \
         the ledger {:.3} s after that, beside {LEASES} lease-hours to settle",
        began.elapsed().as_secs_f64()
    );
}

/// Three places that probe, as those who sign.
async fn vantages(market: &Market) -> Vec<Machine> {
    let mut vantages = Vec::new();
    for number in 0..3 {
        let key = key(MACHINES + number);
        let now = sluice::clock::instant(market.app.clock.now());
        let name = format!("place {number}");
        let added = probes::add(&market.app.db, &name, &key.public().to_bytes(), now).await;
        let id = added.expect("a vantage is added").expect("it is new");
        vantages.push(Machine {
            number: u64::try_from(id).expect("positive"),
            key,
            chains: Vec::new(),
        });
    }
    vantages
}

fn millis(latencies: &Histogram<u64>, share: f64) -> f64 {
    latencies.value_at_quantile(share) as f64 / 1e3
}

/// Processor seconds so far: of this program, and of PostgreSQL.
fn used() -> (f64, f64) {
    let ticks = |pid: &str| -> Option<(String, f64, String)> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (name, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks: f64 = fields[11].parse::<f64>().ok()? + fields[12].parse::<f64>().ok()?;
        Some((name.to_owned(), ticks / 100.0, fields[1].to_owned()))
    };
    let own = ticks("self").map_or(0.0, |(_, ticks, _)| ticks);
    let all = std::fs::read_dir("/proc").expect("/proc");
    let others = all.filter_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        let (program, ticks, _) = ticks(&name)?;
        program.ends_with("(postgres").then_some(ticks)
    });
    (own, others.sum())
}

async fn wait(market: &Market, count: &'static str, until: i64) {
    loop {
        let found: i64 = sqlx::query_scalar(count)
            .fetch_one(&market.app.db)
            .await
            .expect("a count");
        if found >= until {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Bytes of a table with its indexes and partitions.
async fn size(market: &Market, table: &'static str) -> f64 {
    let size: i64 = sqlx::query_scalar(
        "SELECT sum(pg_total_relation_size(relid))::bigint
         FROM (SELECT relid FROM pg_partition_tree($1) UNION SELECT to_regclass($1::text)) one",
    )
    .bind(table)
    .fetch_one(&market.app.db)
    .await
    .expect("a size");
    size as f64
}

/// Pools with machines whose agents are enrolled, and the agents' numbers.
async fn machines(market: &Market) -> Vec<i64> {
    let each = MACHINES / POOLS;
    let symbol = "DELIVERED.R.SILVER".to_owned();
    let listed = Command::ListInstrument(ListInstrument {
        instrument: INSTRUMENT,
        symbol,
        lot: 1,
        tick: Money(100),
    });
    let mut commands = vec![listed];
    for number in 0..POOLS {
        commands.extend(pool(number, each * UNITS, BEGINS.begins()));
    }
    for command in commands {
        submit(market, command).await;
    }
    let keys: Vec<Vec<u8>> = (0..MACHINES)
        .map(|number| key(number).public().to_bytes().to_vec())
        .collect();
    let registered = sqlx::query_scalar(
        "WITH opened AS (
             INSERT INTO pool_openings (pool, participant, form_id, name, opened_by, opened_at)
             OVERRIDING SYSTEM VALUE
             SELECT $1 + n, $2 + n, 'bench-form-' || lpad(n::text, 8, '0'), 'bench', 1, now()
             FROM generate_series(0, $3 - 1) n),
         machines AS (
             INSERT INTO hosts (pool, name, units, kind, address)
             SELECT $1 + n % $3, 'm' || n, $4, 'agent', '127.0.0.1'
             FROM generate_series(0, $5 - 1) n ORDER BY n RETURNING id)
         INSERT INTO agents (host, public_key, enrolled_at, seen_at, inventory)
         SELECT id, ($6::bytea[])[row_number() OVER (ORDER BY id)], now(), now(), '{}' FROM machines
         RETURNING id",
    )
    .bind(FIRST_POOL)
    .bind(FIRST_PROVIDER)
    .bind(POOLS)
    .bind(UNITS)
    .bind(MACHINES)
    .bind(keys)
    .fetch_all(&market.app.db)
    .await;
    registered.expect("machines are registered")
}

/// A pool of the machines' instrument from an instant on, and an ask for all of it.
fn pool(number: i64, units: i64, start: Timestamp) -> [Command; 2] {
    let (pool, participant) = (
        PoolId(FIRST_POOL + number),
        ParticipantId(FIRST_PROVIDER + number),
    );
    let end = Hour(BEGINS.0 + 720).begins();
    let opened = Command::OpenPool(OpenPool {
        pool,
        participant,
        instrument: INSTRUMENT,
        units,
        start,
        end,
        access: Access::Instant,
    });
    let offered = Command::PlaceOrder(PlaceOrder {
        participant,
        client_id: ClientId(format!("machines{number}")),
        side: Side::Sell {
            pool,
            min_hours: 1,
            weekly: None,
        },
        units,
        price: Money(100_000),
        start,
        end,
        tif: TimeInForce::Gtc,
        post_only: false,
    });
    [opened, offered]
}

async fn submit(market: &Market, command: Command) {
    let receipt = market.app.sequencer.submit(ME, command).await;
    assert_eq!(receipt.expect("a receipt").rejection(), None);
}

fn key(number: i64) -> AgentKey {
    let mut secret = [7; 32];
    secret[..8].copy_from_slice(&number.to_be_bytes());
    AgentKey::from_secret(&secret)
}

/// Ten thousand leases of a unit each, from the next hour on.
async fn sell(sequencer: &Sequencer) {
    let bid = |number: i64| {
        Command::PlaceOrder(PlaceOrder {
            participant: ParticipantId(HOLDER),
            client_id: ClientId(format!("live{number}")),
            side: Side::Buy {
                target: Target::Instruments(vec![INSTRUMENT]),
                min_fill: None,
                flexible: None,
                // One of them is to default.
                buy_in: number == 0,
            },
            units: 1,
            price: Money(100_000),
            start: Hour(BEGINS.0 + 1).begins(),
            end: Hour(BEGINS.0 + 1 + LEASE_HOURS).begins(),
            tif: TimeInForce::Gtc,
            post_only: false,
        })
    };
    let mut answers = Vec::new();
    for number in 0..LEASES {
        let answer = sequencer.enqueue(BEGINS.begins(), ME, bid(number)).await;
        answers.push(answer.expect("the queue takes it"));
    }
    for answer in answers {
        assert_eq!(answer.await.expect("a receipt").rejection(), None);
    }
}

/// Every lease is accepted from its start on.
async fn accept(market: &Market) {
    let at = sluice::clock::instant(BEGINS.begins());
    sqlx::query("UPDATE stays SET accepted_at = $1, stage = 'prepared'")
        .bind(jiff_sqlx::Timestamp::from(at))
        .execute(&market.app.db)
        .await
        .expect("stays are accepted");
}

/// A machine with the chains that it keeps, or a vantage, which has none.
struct Machine {
    /// What it is to those who check its signature.
    number: u64,
    key: AgentKey,
    chains: Vec<Chain>,
}

struct Chain {
    stay: u64,
    sequence: u64,
    before: Digest,
}

impl Machine {
    /// Signs minutes of all its leases.
    fn sign(&mut self, minutes: impl Iterator<Item = Minute>) -> Vec<SignedReading> {
        let mut signed = Vec::new();
        for minute in minutes {
            for chain in &mut self.chains {
                chain.sequence += 1;
                let reading = Reading {
                    agent: self.number,
                    lease: chain.stay,
                    sequence: chain.sequence,
                    minute,
                    units: 1,
                    before: chain.before,
                };
                chain.before = reading.hash();
                signed.push(reading.sign(&self.key));
            }
        }
        signed
    }

    fn request(
        &self,
        host: &str,
        path: &'static str,
        body: Vec<u8>,
    ) -> hyper::Request<Full<Bytes>> {
        let request = Request {
            method: "POST",
            path,
            body: &body,
        };
        let nonce: [u8; 16] = rand::random();
        let proof = request.prove(&self.key, self.number, sluice::clock::wall(), nonce);
        let mut request = hyper::Request::post(path)
            .header("host", host)
            .header("content-type", "application/json");
        for (name, value) in proof.headers() {
            request = request.header(name, value);
        }
        request
            .body(Full::new(Bytes::from(body)))
            .expect("a request")
    }
}

/// Connections to take turns on.
async fn connect(address: &str) -> Vec<Mutex<SendRequest<Full<Bytes>>>> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(address).await.expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP");
        tokio::spawn(connection);
        connections.push(Mutex::new(sender));
    }
    connections
}

/// All machines, and the connections that they take turns on.
#[derive(Clone)]
struct Fleet {
    machines: Arc<Vec<Mutex<Machine>>>,
    connections: Arc<Vec<Mutex<SendRequest<Full<Bytes>>>>>,
    host: String,
}

impl Fleet {
    async fn with(market: &Market, agents: Vec<i64>) -> Self {
        let mut machines = Vec::new();
        for (number, agent) in (0..).zip(agents) {
            let stays: Vec<i64> = sqlx::query_scalar(
                "SELECT stay FROM stays s JOIN agents a ON a.host = s.host WHERE a.id = $1 ORDER BY 1",
            )
            .bind(agent)
            .fetch_all(&market.app.db)
            .await
            .expect("stays");
            let agent = u64::try_from(agent).expect("positive");
            let chain = |stay: i64| {
                let stay = u64::try_from(stay).expect("positive");
                Chain {
                    stay,
                    sequence: 0,
                    before: Digest::beginning(agent, stay),
                }
            };
            machines.push(Mutex::new(Machine {
                number: agent,
                key: key(number),
                chains: stays.into_iter().map(chain).collect(),
            }));
        }
        Self {
            machines: Arc::new(machines),
            connections: Arc::new(connect(&market.site.address).await),
            host: market.site.address.clone(),
        }
    }

    /// Sends a body of one machine; how long it took.
    async fn post(&self, place: usize, request: hyper::Request<Full<Bytes>>) -> Duration {
        let began = Instant::now();
        let mut connection = self.connections[place % CONNECTIONS].lock().await;
        connection.ready().await.expect("a connection");
        let answer = connection.send_request(request).await.expect("an answer");
        let status = answer.status();
        let body = answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        assert!(
            status.is_success(),
            "{status} {}",
            String::from_utf8_lossy(&body)
        );
        began.elapsed()
    }

    /// A reading of each lease a minute and a heartbeat of each machine every twenty seconds, as real
    /// time goes by; latencies of the readings in microseconds.
    async fn every_minute(&self, market: &Market, first: Minute, minutes: u32) -> Histogram<u64> {
        let latencies = Arc::new(Mutex::new(Histogram::new(3).expect("a histogram")));
        let began = tokio::time::Instant::now();
        let mut tasks = Vec::new();
        for (place, _) in self.machines.iter().enumerate() {
            let (fleet, latencies) = (self.clone(), Arc::clone(&latencies));
            tasks.push(tokio::spawn(async move {
                let offset = Duration::from_millis(20_000 * place as u64 / MACHINES as u64);
                for minute in 0..minutes {
                    for beat in 0..3 {
                        let at = Duration::from_secs(u64::from(minute) * 60 + 20 * beat) + offset;
                        tokio::time::sleep_until(began + at).await;
                        fleet.beat(place).await;
                    }
                    // A minute is told after it is over.
                    let at = Duration::from_secs(u64::from(minute + 1) * 60) + 3 * offset;
                    tokio::time::sleep_until(
                        began + at.min(Duration::from_secs(60 * u64::from(minutes)) + offset),
                    )
                    .await;
                    let one = std::iter::once(Minute(first.0 + minute));
                    let took = fleet.tell(place, one).await;
                    let took = u64::try_from(took.as_micros()).expect("short");
                    latencies
                        .lock()
                        .await
                        .record(took.max(1))
                        .expect("in bounds");
                }
            }));
        }
        let start = market.app.clock.now();
        let clock = market.app.clock.clone();
        let ticking = tokio::spawn(async move {
            loop {
                let gone = i64::try_from(began.elapsed().as_micros()).expect("short");
                clock.set(Timestamp(start.0 + gone));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        for task in tasks {
            task.await.expect("a machine goes on");
        }
        ticking.abort();
        let latencies = latencies.lock().await;
        latencies.clone()
    }

    async fn beat(&self, place: usize) {
        let machine = self.machines[place].lock().await;
        let body = br#"{"version":1,"program":"0.1.0","clock_ahead_ms":0,"waiting":0,"inventory":{"cpus":64,"memory_mib":524288}}"#;
        let request = machine.request(&self.host, "/api/agent/v1/heartbeat", body.to_vec());
        self.post(place, request).await;
    }

    async fn tell(&self, place: usize, minutes: impl Iterator<Item = Minute>) -> Duration {
        let mut machine = self.machines[place].lock().await;
        let signed = machine.sign(minutes);
        let body = reading::to_json(machine.number, &signed);
        let request = machine.request(&self.host, "/api/agent/v1/readings", body);
        self.post(place, request).await
    }

    /// All machines tell these minutes as fast as they are taken.
    async fn at_once(&self, first: Minute, minutes: std::ops::Range<u32>) {
        let next = Arc::new(AtomicUsize::new(0));
        let mut tasks = Vec::new();
        for _ in 0..CONNECTIONS {
            let (fleet, next, minutes) = (self.clone(), Arc::clone(&next), minutes.clone());
            tasks.push(tokio::spawn(async move {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= fleet.machines.len() {
                        return;
                    }
                    let minutes = minutes.clone().map(|minute| Minute(first.0 + minute));
                    fleet.tell(place, minutes).await;
                }
            }));
        }
        for task in tasks {
            task.await.expect("a machine goes on");
        }
    }
}
