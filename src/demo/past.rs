//! Lives through hours of market time fast, before anybody looks: the same commands as at the
//! market's own pace, stamped with the instants at which they would have come.

use std::collections::VecDeque;
use std::future::Future;

use market::{Command, Hour, Timestamp};
use sqlx::PgPool;

use super::{Cast, SEED, TRADER, store, traders};
use crate::delivery::simulated;
use crate::sequencer::{Actor, Receipt, Started, SubmitError};

/// How long after an hour its readings come, in microseconds.
const READINGS_AFTER: i64 = 5_000_000;

/// Lives through everything from where the market is up to `until`.
///
/// # Errors
/// When the sequencer ends or the database fails.
pub async fn run(
    db: &PgPool,
    started: &Started,
    cast: &Cast,
    until: Timestamp,
) -> anyhow::Result<()> {
    let mut hour = started.feed.market().now().hour().max(cast.begins);
    let mut asked = store::asked_since(db, TRADER, hour.begins()).await?;
    while hour.begins() < until {
        // What the hours before left to do is done, so that the plan is the same however often it
        // is made.
        if started.feed.market().now() < hour.begins() {
            let tick = started
                .sequencer
                .enqueue(hour.begins(), TRADER, Command::Tick);
            tick.await?.await?;
        }
        let readings = Timestamp(hour.begins().0 + READINGS_AFTER);
        if readings < until {
            let (sequencer, feed) = (&started.sequencer, &started.feed);
            simulated::catch_up(db, sequencer, feed, SEED, readings).await?;
        }
        let (from, to) = traders::counted(hour);
        let spent = store::spent(db, from, to).await?;
        let planned = traders::plan(cast, &started.feed.market(), hour, &spent);
        let mut answers = Answers::default();
        let mut depended = false;
        for one in planned {
            if one.at >= until || asked.contains(&one.command) {
                continue;
            }
            // Of those in a row none ends another's order or gives it a price, so they are judged
            // together: a commit for each would take most of the time.
            let depends = traders::depends(&one.command);
            if depends && !depended {
                answers.wait().await?;
            }
            depended = depends;
            if traders::is_due(&started.feed.market(), one.at, &one.command) {
                answers.send(started, one.at, TRADER, one.command).await?;
            }
        }
        answers.wait().await?;
        asked.clear();
        hour = Hour(hour.0 + 1);
    }
    Ok(())
}

/// An answer that is still to come.
type Pending = std::pin::Pin<Box<dyn Future<Output = Result<Receipt, SubmitError>> + Send>>;

/// Answers that are still to come.
#[derive(Default)]
struct Answers(VecDeque<Pending>);

impl Answers {
    async fn send(
        &mut self,
        started: &Started,
        at: Timestamp,
        actor: Actor,
        command: Command,
    ) -> Result<(), SubmitError> {
        let answer = started.sequencer.enqueue(at, actor, command).await?;
        self.0.push_back(Box::pin(answer));
        Ok(())
    }

    /// Waits for all of them. A rejection is an answer too.
    async fn wait(&mut self) -> Result<(), SubmitError> {
        while let Some(answer) = self.0.pop_front() {
            let receipt = answer.await?;
            if let Some(rejection) = receipt.rejection() {
                tracing::debug!(%rejection, command = receipt.command, "a trader was refused");
            }
        }
        Ok(())
    }
}
