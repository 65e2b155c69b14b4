//! A vantage: a place of the exchange's own from which leases' doors are tried, as `sluice vantage`
//! or inside another process.
//!
//! It asks the exchange what is due, tries many ways in at once, and says what came of each. It
//! keeps nothing but its key, with which it signs what it asks and signs in at doors: what was found
//! while the exchange is gone is dropped, and is due again.

pub mod probe;
mod reach;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reading::AgentKey;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sluice_agent::clock::Clock;
use sluice_agent::exchange::{CallError, Exchange};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::delivery::probes::{Ask, MOST_TAKEN, Outcome, Results, Target, VERSION, Work};
use probe::{Patience, Prober};

pub use reach::Reach;

/// How long to wait after the exchange could not be asked.
const LOST: Duration = Duration::from_secs(5);

/// How long outcomes are gathered to be sent together.
const GATHERED: Duration = Duration::from_millis(100);

/// What a vantage is set up with.
#[derive(Debug)]
pub struct Options {
    /// The exchange.
    pub exchange: Exchange,
    /// The vantage's number there.
    pub number: u64,
    /// Its key.
    pub key: AgentKey,
    /// Which addresses it tries.
    pub reach: Reach,
    /// How long it waits for machines.
    pub patience: Patience,
    /// How many ways in it tries at once.
    pub at_once: usize,
}

/// What its tasks share.
struct Vantage {
    exchange: Exchange,
    number: u64,
    key: AgentKey,
    clock: Clock,
    /// What is being tried, or was and is not told yet: it is still due.
    tried: Mutex<BTreeSet<(i64, i64)>>,
}

/// Works until it is told to stop. What goes wrong is said and tried again.
pub async fn run(options: Options, stop: CancellationToken) {
    let prober = Prober::new(&options.key, options.patience, options.reach);
    let room = Arc::new(Semaphore::new(options.at_once.max(1)));
    let vantage = Arc::new(Vantage {
        exchange: options.exchange,
        number: options.number,
        key: options.key,
        clock: Clock::default(),
        tried: Mutex::default(),
    });
    let (outcomes, found) = mpsc::unbounded_channel();
    let tasks = TaskTracker::new();
    tasks.spawn(tell(vantage.clone(), found));
    loop {
        let ask = vantage.clone().post("work", Ask { version: VERSION });
        let asked = tokio::select! {
            asked = ask => asked,
            () = stop.cancelled() => break,
        };
        let pause = match asked {
            Ok(Work { targets, again_ms }) => {
                for target in targets {
                    let Some(tried) = Tried::begin(&vantage, &target) else {
                        continue;
                    };
                    let (prober, room) = (prober.clone(), room.clone());
                    let (outcomes, stop) = (outcomes.clone(), stop.clone());
                    tasks.spawn(async move {
                        tokio::select! {
                            outcome = probe(&prober, &room, &target) => {
                                // Nobody takes it where all is ending.
                                let _ = outcomes.send((tried, outcome));
                            }
                            () = stop.cancelled() => {}
                        }
                    });
                }
                Duration::from_millis(again_ms)
            }
            Err(error) => {
                tracing::warn!(%error, "the exchange does not say what to probe");
                LOST
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => break,
        }
    }
    drop(outcomes);
    tasks.close();
    tasks.wait().await;
}

async fn probe(prober: &Prober, room: &Semaphore, target: &Target) -> Outcome {
    let _place = room.acquire().await;
    let outcome = prober.probe(target).await;
    tracing::debug!(
        stay = outcome.stay,
        host = outcome.host,
        reason = outcome.reason.code()
    );
    outcome
}

/// Tells the exchange what was found, as it comes. What can't be told is forgotten: told later it
/// would count as found later.
async fn tell(vantage: Arc<Vantage>, mut found: mpsc::UnboundedReceiver<(Tried, Outcome)>) {
    let mut some = Vec::new();
    while found.recv_many(&mut some, 1).await > 0 {
        tokio::time::sleep(GATHERED).await;
        while some.len() < MOST_TAKEN
            && let Ok(one) = found.try_recv()
        {
            some.push(one);
        }
        let (tried, results): (Vec<Tried>, Vec<Outcome>) = some.drain(..).unzip();
        let version = VERSION;
        let told = vantage
            .clone()
            .post("results", Results { version, results });
        let told: Result<serde_json::Value, CallError> = told.await;
        if let Err(error) = told {
            tracing::warn!(%error, "the exchange does not take what was found");
        }
        drop(tried);
    }
}

impl Vantage {
    async fn post<T>(self: Arc<Self>, name: &str, message: impl Serialize) -> Result<T, CallError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let path = format!("/api/vantage/v1/{name}");
        let body = serde_json::to_vec(&message).expect("a message is JSON");
        let calling = tokio::task::spawn_blocking(move || {
            let Self {
                exchange,
                key,
                clock,
                ..
            } = &*self;
            exchange.post(&path, &body, key, self.number, clock)
        });
        let called = calling.await;
        called.unwrap_or_else(|error| Err(CallError::Unreachable(error.to_string())))
    }
}

/// A way in that is being tried; when this is dropped, it may be tried again.
struct Tried {
    vantage: Arc<Vantage>,
    stay: (i64, i64),
}

impl Tried {
    fn begin(vantage: &Arc<Vantage>, target: &Target) -> Option<Self> {
        let stay = (target.stay, target.host);
        let mut tried = vantage.tried.lock().unwrap_or_else(PoisonError::into_inner);
        tried.insert(stay).then(|| Self {
            vantage: vantage.clone(),
            stay,
        })
    }
}

impl Drop for Tried {
    fn drop(&mut self) {
        let tried = self.vantage.tried.lock();
        let mut tried = tried.unwrap_or_else(PoisonError::into_inner);
        tried.remove(&self.stay);
    }
}
