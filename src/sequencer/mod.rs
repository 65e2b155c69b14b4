//! The sequencer: the one writer of money and capacity.
//!
//! Commands queue up in a bounded queue. One thread takes what has come as a batch, stamps each
//! with a number and an instant, applies it to the market in memory, and works out the whole
//! effect; another one writes it in one PostgreSQL transaction and commits. Only then it is
//! published and answered. Nobody is told of what the database does not have.
//!
//! | step | where | statements |
//! | --- | --- | --- |
//! | drain up to `batch` commands, apply each; its events | [`engine`], `market` | |
//! | work out the rows, the chain and the digest | [`effect`], [`rows`], [`tables`], [`digest`] | |
//! | `BEGIN`, advance the engine's row (fencing), at most 17 array statements | [`commit`] | 1 round trip |
//! | `COMMIT` | [`commit`], on the thread of [`committer`] | 1 round trip |
//! | publish to the feed, answer | [`engine`] | |
//!
//! The next batch is applied while the last one commits: it grows until that is done or it is
//! full. The number of statements does not depend on the number of commands. A commit that fails,
//! comes with a warning, or whose answer is lost ends the market in memory with all that was
//! applied since: nobody was answered, and [`recover`] reads the tables anew. An engine that finds
//! that another one has led ends for good.

pub(crate) mod chain;
mod commit;
mod committer;
mod digest;
mod effect;
mod engine;
mod instant;
mod recover;
mod rows;
pub mod scheduler;
pub mod standby;
mod tables;

pub(crate) use commit::LEADER_LOCK;
pub use recover::{LEASES, ORDERS};
pub(crate) use recover::{instant as stored_instant, snapshot};

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use market::{Command, Event, Hour, Rejection, Rules, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::clock::MarketClock;
use crate::feed::Feed;

/// How the sequencer is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// The database, as a PostgreSQL URL.
    pub database_url: String,
    /// The rule set in force; one that differs from the stored one is refused.
    pub rules: Rules,
    /// What stamps commands.
    pub clock: MarketClock,
    /// How many commands may wait; one more is refused.
    pub queue: usize,
    /// How many commands share a transaction at most.
    pub batch: usize,
}

/// Who asked: kept with each command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A person, by the number of their sign-in.
    User(i64),
    /// A part of the program, by its name.
    System(&'static str),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user:{user}"),
            Self::System(name) => write!(f, "system:{name}"),
        }
    }
}

/// A command's committed effect.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// Its number in the command log.
    pub command: i64,
    /// When it was stamped.
    pub at: Timestamp,
    /// What happened, what had fallen due included.
    pub events: Vec<Event>,
}

impl Receipt {
    /// Why it was not done, if it was not.
    pub fn rejection(&self) -> Option<Rejection> {
        self.events.iter().find_map(|event| match &event.kind {
            market::EventKind::Rejected(rejection) => Some(*rejection),
            _ => None,
        })
    }
}

/// Why a command has no receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The queue is full, or the engine is recovering: nothing was done, ask again later.
    #[error("the market is busy")]
    Busy,
    /// The commit failed or its answer was lost: it happened wholly or not at all, and the same
    /// client id tells which.
    #[error("it is not known whether the command was done")]
    Uncertain,
    /// The sequencer has stopped.
    #[error("the market has stopped")]
    Stopped,
}

/// Why the sequencer can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database can't be reached or does not answer as it should.
    #[error("the database is not usable")]
    Database(#[from] tokio_postgres::Error),
    /// Another engine leads.
    #[error("another engine is running on this database")]
    Led,
    /// Another engine has led since this one did.
    #[error("another engine has taken the lead")]
    Fenced,
    /// The new epoch may be on one machine only.
    #[error("the commit of the new epoch came with a warning")]
    Warned,
    /// Another rule set of this version or a later one was given before.
    #[error(
        "rule set {given} is not one that the market knows, and it knows one of version {newest}: \
         rules that change need a version above every one before"
    )]
    OtherRules {
        /// The highest version that it knows.
        newest: i64,
        /// The version that was asked for.
        given: i64,
    },
    /// A rule set is announced for a later instant than the one from which this would hold.
    #[error("rule set {given} would hold before one that is announced already")]
    RulesToCome {
        /// The version that was asked for.
        given: i64,
    },
    /// The tables contradict themselves.
    #[error("the tables can't be read back: {0}")]
    Tables(String),
}

/// A connection that only reads, beside whatever engine leads.
pub(crate) async fn open_to_read(database_url: &str) -> Result<commit::Link, StartError> {
    commit::Link::open(database_url).await
}

struct Submission {
    at: Timestamp,
    actor: Actor,
    command: Command,
    answer: oneshot::Sender<Receipt>,
}

impl Submission {
    /// A submission, and where its answer comes.
    fn new(at: Timestamp, actor: Actor, command: Command) -> (Self, oneshot::Receiver<Receipt>) {
        let (answer, receipt) = oneshot::channel();
        let submission = Self {
            at,
            actor,
            command,
            answer,
        };
        (submission, receipt)
    }
}

/// The way to the sequencer. Clones share it; it stops when the last one is dropped, or by
/// [`Sequencer::stop`].
#[derive(Clone, Debug)]
pub struct Sequencer {
    queue: mpsc::Sender<Submission>,
    clock: MarketClock,
    ready: Arc<AtomicBool>,
    stop: CancellationToken,
}

/// The sequencer's own ends: the way in, the way out, and its thread.
#[derive(Debug)]
pub struct Started {
    /// Where commands go.
    pub sequencer: Sequencer,
    /// Where what was committed can be seen.
    pub feed: Feed,
    /// Ends with the sequencer, after what was queued is done.
    pub thread: std::thread::JoinHandle<()>,
}

/// Takes the lead, reads the market back from the tables, and starts. A rule set that is newer than
/// every one before is in force from the next full hour on.
///
/// # Errors
/// When the database can't be used, another engine leads, or the rule set is neither known nor the
/// newest.
pub async fn start(options: Options) -> Result<Started, StartError> {
    let rules = options.rules.clone();
    let (queue, submissions) = mpsc::channel(options.queue);
    let sequencer = Sequencer {
        queue,
        clock: options.clock.clone(),
        ready: Arc::new(AtomicBool::new(true)),
        stop: CancellationToken::new(),
    };
    let (ready, stop) = (sequencer.ready.clone(), sequencer.stop.clone());
    let (started, feed) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("sequencer".to_owned())
        .spawn(move || engine::run(&options, submissions, started, &ready, &stop))
        .expect("the system can start a thread");
    let feed = feed
        .await
        .map_err(|_| StartError::Tables("the engine died".to_owned()))??;
    let is_known = feed.market().knows_rules(&rules);
    if !is_known {
        announce(&sequencer, &feed, rules).await?;
    }
    Ok(Started {
        sequencer,
        feed,
        thread,
    })
}

/// Has a new rule set hold from the next full hour on.
async fn announce(sequencer: &Sequencer, feed: &Feed, rules: Rules) -> Result<(), StartError> {
    let given = rules.version;
    // Commands never come before the last one.
    let now = sequencer.clock.now().max(feed.market().now());
    let from = Hour(now.hour().0 + 1).begins();
    let command = Command::SetRules {
        rules: Box::new(rules),
        from,
    };
    let receipt = sequencer.submit(Actor::System("rules"), command).await;
    match receipt.map(|receipt| receipt.rejection()) {
        Ok(None) => Ok(()),
        // It is the newest, but the set to come holds from a later instant.
        Ok(Some(_)) => Err(StartError::RulesToCome { given }),
        Err(error) => Err(StartError::Tables(error.to_string())),
    }
}

impl Sequencer {
    /// Asks the market, and gives what was committed.
    ///
    /// # Errors
    /// See [`SubmitError`]; a rejection is not an error but among the events.
    pub async fn submit(&self, actor: Actor, command: Command) -> Result<Receipt, SubmitError> {
        self.send(actor, command)?.await
    }

    /// Asks the market, and goes on: what was committed comes later. What one caller sends keeps
    /// its order.
    ///
    /// # Errors
    /// [`SubmitError::Busy`] and [`SubmitError::Stopped`].
    pub fn send(
        &self,
        actor: Actor,
        command: Command,
    ) -> Result<impl Future<Output = Result<Receipt, SubmitError>> + use<>, SubmitError> {
        let answer = self.try_enqueue(self.clock.now(), actor, command)?;
        Ok(async move { answer.await.map_err(|_| SubmitError::Uncertain) })
    }

    /// Queues a command that happens at `at` and waits for room where there is none; the answer
    /// comes later. Commands that come from one caller keep their order.
    ///
    /// # Errors
    /// [`SubmitError::Stopped`].
    pub async fn enqueue(
        &self,
        at: Timestamp,
        actor: Actor,
        command: Command,
    ) -> Result<impl Future<Output = Result<Receipt, SubmitError>> + use<>, SubmitError> {
        let (submission, receipt) = Submission::new(at, actor, command);
        self.queue
            .send(submission)
            .await
            .map_err(|_| SubmitError::Stopped)?;
        Ok(async move { receipt.await.map_err(|_| SubmitError::Uncertain) })
    }

    fn try_enqueue(
        &self,
        at: Timestamp,
        actor: Actor,
        command: Command,
    ) -> Result<oneshot::Receiver<Receipt>, SubmitError> {
        if !self.is_ready() {
            return Err(SubmitError::Busy);
        }
        let (submission, receipt) = Submission::new(at, actor, command);
        self.queue
            .try_send(submission)
            .map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => SubmitError::Busy,
                mpsc::error::TrySendError::Closed(_) => SubmitError::Stopped,
            })?;
        Ok(receipt)
    }

    /// Whether it takes commands: not while it recovers or after it has stopped.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst) && !self.queue.is_closed()
    }

    /// Comes back when the sequencer has ended, or will take no more commands.
    pub async fn ended(&self) {
        self.queue.closed().await;
    }

    /// Takes no more commands, finishes those that are queued, and ends.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}
