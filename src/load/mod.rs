//! A load on the API of a running marketplace: orders that rest, trade and are cancelled, sent at a
//! fixed rate whether or not answers come in time.
//!
//! A latency counts from the instant at which a request was to be sent, not from when a connection
//! was free for it: a server that stalls is charged with all who would have come meanwhile.

mod connection;
mod mix;
mod report;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use market::{Money, Timestamp};
use tokio::time::Instant;

use self::connection::Connection;
pub use self::mix::Mix;
use self::mix::Sender;
pub use self::report::Report;
use self::report::Tally;

/// What is sent where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The marketplace's address: a host and a port.
    pub address: String,
    /// Tokens that place and cancel; requests take turns.
    pub tokens: Vec<String>,
    /// Orders a second; as many as the connections carry where there is none, and then a latency
    /// counts from the sending.
    pub rate: Option<f64>,
    /// For how long.
    pub duration: Duration,
    /// How many connections.
    pub connections: usize,
    /// How many orders a request has.
    pub orders_a_request: usize,
    /// Which orders.
    pub mix: Mix,
    /// Of which instruments.
    pub symbols: Vec<String>,
    /// Delivery begins at this hour or later.
    pub from: Timestamp,
    /// Within so many hours after it.
    pub span: i64,
    /// How many units each order wants.
    pub units: i64,
    /// The limit of what is to rest, and of what is to trade.
    pub limits: (Money, Money),
    /// What the orders follow from.
    pub seed: u64,
}

/// What the connections share.
struct Shared {
    options: Options,
    senders: Vec<Sender>,
    next: AtomicU64,
    begins: Instant,
}

impl Shared {
    /// The number of the next request and when it is to be sent; none after the last.
    fn next(&self) -> Option<(u64, Option<Instant>)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let orders = self.options.orders_a_request;
        let after = match self.options.rate {
            Some(rate) => Duration::from_secs_f64(number as f64 * orders as f64 / rate),
            None => self.begins.elapsed(),
        };
        let is_within = after < self.options.duration;
        let at = self.options.rate.map(|_| self.begins + after);
        is_within.then_some((number, at))
    }
}

/// Sends the load, and says what came of it.
///
/// # Errors
/// When the options can't be meant, or the address can't be reached.
pub async fn run(options: Options) -> anyhow::Result<Report> {
    ensure!(!options.tokens.is_empty(), "at least one token is needed");
    ensure!(!options.symbols.is_empty(), "at least one symbol is needed");
    ensure!(
        (1..=1_000).contains(&options.orders_a_request),
        "a request has 1 to 1,000 orders"
    );
    ensure!(options.connections > 0, "at least one connection is needed");
    ensure!(
        options.span >= mix::LONGEST,
        "the span is shorter than the longest order"
    );
    ensure!(
        options
            .rate
            .is_none_or(|rate| rate.is_finite() && rate > 0.0),
        "the rate is a number above zero"
    );
    let mut connections = Vec::with_capacity(options.connections);
    for _ in 0..options.connections {
        connections.push(Connection::open(&options.address).await?);
    }
    let senders = options.tokens.iter().enumerate();
    let senders = senders.map(|(index, token)| Sender::new(&options, index, token));
    let shared = Arc::new(Shared {
        senders: senders.collect(),
        options,
        next: AtomicU64::new(0),
        begins: Instant::now(),
    });
    let driving: Vec<_> = connections
        .into_iter()
        .map(|connection| tokio::spawn(drive(Arc::clone(&shared), connection)))
        .collect();
    let mut tally = Tally::new()?;
    for driven in driving {
        tally.add(&driven.await.context("a connection's task")??)?;
    }
    Ok(tally.report(shared.begins.elapsed()))
}

/// Sends what is next on one connection until there is no more.
async fn drive(shared: Arc<Shared>, mut connection: Connection) -> anyhow::Result<Tally> {
    let mut tally = Tally::new()?;
    while let Some((number, at)) = shared.next() {
        if let Some(at) = at {
            tokio::time::sleep_until(at).await;
        }
        let turn = usize::try_from(number)? % shared.senders.len();
        let sender = &shared.senders[turn];
        let request = sender.request(&shared.options);
        let intended = at.unwrap_or_else(Instant::now);
        let answer = connection.send(&sender.token, request.body.clone()).await;
        let latency = intended.elapsed();
        match answer {
            Ok(answer) => tally.count(sender, &request, &answer, latency)?,
            Err(error) => {
                tracing::debug!(%error, "a request failed");
                tally.fail(&request);
                connection = Connection::open(&shared.options.address).await?;
            }
        }
    }
    Ok(tally)
}
