//! The loop: drain, apply, hand over to be committed, and, once that is known, publish and answer.
//!
//! The market here runs ahead of the database by at most two batches: one that commits, and one
//! that is applied and waits. Nobody sees them before they are committed.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use market::Market;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::commit::CommitError;
use super::committer::{Committer, Led};
use super::effect::{Effect, Head};
use super::rows::Applied;
use super::{Options, Receipt, StartError, Submission};
use crate::feed::Feed;

/// How long the engine waits before it tries the database again.
const PAUSE: Duration = Duration::from_millis(500);

/// How many batches are handed over at most: one that commits, and one to follow it at once.
const AHEAD: usize = 2;

/// How many commands are applied before it is looked whether a batch was committed.
const AT_ONCE: usize = 64;

/// The market in memory, with what of it the database does not have yet.
struct Engine {
    market: Market,
    /// How far the market has come with what is handed over.
    head: Head,
    epoch: i64,
    committer: Committer,
    /// Applied and not handed over.
    batch: Batch,
    /// Handed over, the earliest first.
    handed_over: VecDeque<(i64, Batch)>,
    /// How many commands share a transaction at most.
    limit: usize,
}

/// Commands that become fact together, and who waits for that.
#[derive(Default)]
struct Batch {
    applied: Vec<Applied>,
    answers: Vec<oneshot::Sender<Receipt>>,
}

/// Why an engine leads no longer.
enum End {
    /// It was told to stop, and all that was asked is done.
    Stopped,
    /// What it has in memory may not be what the tables hold.
    Lost,
    /// Another one leads.
    Fenced,
}

/// Runs the sequencer on this thread, on a runtime of its own: what web pages wait for does not
/// share it.
pub(super) fn run(
    options: &Options,
    mut submissions: mpsc::Receiver<Submission>,
    started: oneshot::Sender<Result<Feed, StartError>>,
    ready: &AtomicBool,
    stop: &CancellationToken,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the system can start a runtime");
    runtime.block_on(async {
        let mut engine = match Engine::lead(options, None).await {
            Ok(engine) => engine,
            Err(error) => {
                let _ = started.send(Err(error));
                return;
            }
        };
        let feed = Feed::new(engine.market.clone());
        if started.send(Ok(feed.clone())).is_err() {
            return;
        }
        while let End::Lost = engine.serve(&mut submissions, &feed, stop).await {
            ready.store(false, Ordering::SeqCst);
            // Nobody who asked this engine is answered by the next one: an epoch that is over has
            // said all that it ever will.
            while submissions.try_recv().is_ok() {}
            // Memory may differ from the tables now: it is dropped before anything else.
            let epoch = engine.epoch;
            drop(engine);
            let Some(recovered) = recover(options, epoch, stop).await else {
                return;
            };
            engine = recovered;
            feed.reset(engine.head.batch, engine.market.clone());
            ready.store(true, Ordering::SeqCst);
        }
        ready.store(false, Ordering::SeqCst);
    });
}

/// Tries until the market is read back; once only when it is told to stop, and not at all once
/// another engine has led.
async fn recover(options: &Options, epoch: i64, stop: &CancellationToken) -> Option<Engine> {
    loop {
        match Engine::lead(options, Some(epoch)).await {
            Ok(engine) => {
                tracing::warn!("the market was recovered from the tables");
                return Some(engine);
            }
            Err(error @ StartError::Fenced) => {
                tracing::error!(%error, "this engine ends");
                return None;
            }
            Err(error) => tracing::error!(%error, "the market can't be recovered yet"),
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => return None,
        }
    }
}

impl Engine {
    /// Takes the lead and reads the market back.
    async fn lead(options: &Options, epoch: Option<i64>) -> Result<Self, StartError> {
        let (committer, led) = Committer::lead(options, epoch).await?;
        let Led {
            market,
            head,
            epoch,
        } = led;
        Ok(Self {
            market,
            head,
            epoch,
            committer,
            batch: Batch::default(),
            handed_over: VecDeque::new(),
            limit: options.batch,
        })
    }

    /// Does what is asked until it is told to stop, or can't be trusted any more.
    async fn serve(
        &mut self,
        submissions: &mut mpsc::Receiver<Submission>,
        feed: &Feed,
        stop: &CancellationToken,
    ) -> End {
        let mut taken = Vec::with_capacity(AT_ONCE);
        let mut drained = false;
        loop {
            let ahead = self.handed_over.len();
            let has_some = !self.batch.applied.is_empty();
            if drained && !has_some && ahead == 0 {
                return End::Stopped;
            }
            let room = self.limit - self.batch.applied.len();
            // A batch grows while another one commits, and is closed once it may be next.
            let may_close = has_some && (ahead == 0 || room == 0 && ahead < AHEAD);
            tokio::select! {
                biased;
                // First, or it would not be heard while commands keep coming.
                () = stop.cancelled(), if !submissions.is_closed() => submissions.close(),
                done = self.committer.done() => match done {
                    Ok(()) => {
                        // Readers' market is the same one: should it contradict itself alone, it
                        // is read back too.
                        let publish = AssertUnwindSafe(|| self.committed(feed));
                        if catch_unwind(publish).is_err() {
                            return End::Lost;
                        }
                    }
                    Err(error) => return End::of(&error),
                },
                some = submissions.recv_many(&mut taken, room.min(AT_ONCE)),
                    if room > 0 && !drained => {
                    drained = some == 0;
                    // A market that contradicts itself is one that can't be trusted: what it was
                    // asked is uncertain, and what the tables hold is not touched by it.
                    let apply = AssertUnwindSafe(|| self.apply(&mut taken));
                    if catch_unwind(apply).is_err() {
                        return self.broken(feed).await;
                    }
                }
                () = std::future::ready(()), if may_close => {
                    let close = AssertUnwindSafe(|| self.close());
                    if catch_unwind(close).is_err() {
                        return self.broken(feed).await;
                    }
                }
            }
        }
    }

    /// Stamps commands with numbers and instants, and applies them.
    fn apply(&mut self, taken: &mut Vec<Submission>) {
        let first = self.head.command + 1 + self.batch.applied.len() as i64;
        for (submission, seq) in taken.drain(..).zip(first..) {
            let Submission {
                at,
                actor,
                command,
                answer,
            } = submission;
            // Commands come from many callers: the order of the queue is the order of time.
            let at = at.max(self.market.now());
            let events = self.market.apply(at, &command);
            self.batch.answers.push(answer);
            self.batch.applied.push(Applied {
                seq,
                at,
                actor,
                command,
                events,
            });
        }
    }

    /// Hands over what is applied as a batch.
    fn close(&mut self) {
        let effect = Effect::of(&self.market, &self.batch.applied, &mut self.head);
        let number = effect.batch;
        self.committer.hand_over(effect);
        let batch = std::mem::take(&mut self.batch);
        self.handed_over.push_back((number, batch));
    }

    /// The batch that was handed over first is committed: it is published, then answered.
    fn committed(&mut self, feed: &Feed) {
        let (number, batch) = self
            .handed_over
            .pop_front()
            .expect("only what was handed over is committed");
        let seen = batch
            .applied
            .iter()
            .map(|one| (one.at, &one.command, one.events.as_slice()));
        feed.publish(number, seen);
        for (answer, one) in batch.answers.into_iter().zip(batch.applied) {
            // Whoever asked may have gone; what was done stays done.
            let _ = answer.send(Receipt {
                command: one.seq,
                at: one.at,
                events: one.events,
            });
        }
    }

    /// The market has contradicted itself; what was handed over before it did becomes fact.
    async fn broken(&mut self, feed: &Feed) -> End {
        while !self.handed_over.is_empty() {
            match self.committer.done().await {
                Ok(()) => self.committed(feed),
                Err(error) => return End::of(&error),
            }
        }
        End::Lost
    }
}

impl End {
    fn of(error: &CommitError) -> Self {
        tracing::error!(%error, "the market in memory is given up");
        match error {
            CommitError::Fenced => Self::Fenced,
            _ => Self::Lost,
        }
    }
}
