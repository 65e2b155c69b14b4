//! The loop: drain, apply, commit, publish, answer.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use market::Market;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::commit::Link;
use super::rows::{Applied, Rows};
use super::{Options, Receipt, StartError, Submission, recover as tables};
use crate::feed::Feed;

/// How long the engine waits before it tries the database again.
const PAUSE: Duration = Duration::from_millis(500);

/// The market in memory with the connection that writes what becomes of it.
struct Engine {
    market: Market,
    link: Link,
}

/// Runs the sequencer on this thread, on a runtime of its own: what web pages wait for does not
/// share it.
pub(super) fn run(
    options: Options,
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
        let (mut engine, feed) = match lead(&options).await {
            Ok(engine) => {
                let feed = Feed::new(engine.market.clone());
                (engine, feed)
            }
            Err(error) => {
                let _ = started.send(Err(error));
                return;
            }
        };
        if started.send(Ok(feed.clone())).is_err() {
            return;
        }
        let mut batch = Vec::with_capacity(options.batch);
        loop {
            let taken = tokio::select! {
                biased;
                // First, or it would not be heard while commands keep coming.
                () = stop.cancelled(), if !submissions.is_closed() => {
                    submissions.close();
                    continue;
                }
                taken = submissions.recv_many(&mut batch, options.batch) => taken,
            };
            if taken == 0 {
                break;
            }
            // A market that contradicts itself is one that can't be trusted: what it was asked is
            // uncertain, and what the tables hold is not touched by it.
            let work = AssertUnwindSafe(engine.work(&mut batch, &feed)).catch_unwind();
            if !work.await.unwrap_or(false) {
                // Memory may differ from the tables now: it is dropped before anything else.
                drop(engine);
                ready.store(false, Ordering::SeqCst);
                let Some(recovered) = recover(&options, stop).await else {
                    return;
                };
                engine = recovered;
                feed.reset(engine.link.batch(), engine.market.clone());
                ready.store(true, Ordering::SeqCst);
            }
        }
        ready.store(false, Ordering::SeqCst);
    });
}

async fn lead(options: &Options) -> Result<Engine, StartError> {
    let mut link = Link::open(&options.database_url).await?;
    let market = tables::load(&mut link, &options.rules).await?;
    Ok(Engine { market, link })
}

/// Tries until the market is read back; once only when it is told to stop.
async fn recover(options: &Options, stop: &CancellationToken) -> Option<Engine> {
    loop {
        match lead(options).await {
            Ok(engine) => {
                tracing::warn!("the market was recovered from the tables");
                return Some(engine);
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
    /// Does a batch; false when the market in memory can't be trusted any more.
    async fn work(&mut self, batch: &mut Vec<Submission>, feed: &Feed) -> bool {
        let mut answers = Vec::with_capacity(batch.len());
        let mut applied = Vec::with_capacity(batch.len());
        for (submission, seq) in batch.drain(..).zip(self.link.next_command()..) {
            // Commands come from many callers: the order of the queue is the order of time.
            let at = submission.at.max(self.market.now());
            let events = self.market.apply(at, &submission.command);
            let Submission {
                actor,
                command,
                answer,
                ..
            } = submission;
            answers.push(answer);
            applied.push(Applied {
                seq,
                at,
                actor,
                command,
                events,
            });
        }
        let rows = Rows::of(&self.market, &applied);
        let began = std::time::Instant::now();
        if let Err(error) = self.link.commit(&self.market, rows).await {
            tracing::error!(%error, commands = applied.len(), "a batch was not committed");
            return false;
        }
        metrics::histogram!("sluice_commit_seconds").record(began.elapsed().as_secs_f64());
        metrics::histogram!("sluice_batch_commands").record(applied.len() as f64);
        let seen = applied
            .iter()
            .map(|one| (one.at, &one.command, one.events.as_slice()));
        feed.publish(self.link.batch(), seen);
        for (answer, one) in answers.into_iter().zip(applied) {
            // Whoever asked may have gone; what was done stays done.
            let _ = answer.send(Receipt {
                command: one.seq,
                at: one.at,
                events: one.events,
            });
        }
        true
    }
}
