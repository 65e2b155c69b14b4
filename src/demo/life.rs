//! Follows the market clock: what is planned for an hour is sent at its instants.

use std::time::Duration;

use market::{Command, Hour, Timestamp};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::traders::{self, Planned};
use super::{Cast, TRADER, store};
use crate::clock::MarketClock;
use crate::feed::Feed;
use crate::sequencer::{Sequencer, SubmitError};

/// The longest real time for which the clock is not looked at, and the shortest.
const LONGEST: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(20);

/// How long a market that is busy, or a database that fails, is left alone.
const PAUSE: Duration = Duration::from_millis(500);

/// What the traders reach.
struct Life {
    db: PgPool,
    sequencer: Sequencer,
    feed: Feed,
    clock: MarketClock,
    stop: CancellationToken,
}

/// Lets the traders trade until it is told to stop. Hours that a fast clock has left behind are
/// passed over.
pub async fn run(
    db: PgPool,
    cast: Cast,
    sequencer: Sequencer,
    feed: Feed,
    clock: MarketClock,
    stop: CancellationToken,
) {
    let life = Life {
        db,
        sequencer,
        feed,
        clock,
        stop,
    };
    let mut hour = life.clock.now().hour();
    // A restart in the middle of an hour goes on where it was.
    let mut asked = life.asked_in(hour).await;
    while let Some(known) = &asked {
        let Some(planned) = life.plan(&cast, hour).await else {
            return;
        };
        for one in planned {
            if !known.contains(&one.command) && !life.send(one).await {
                return;
            }
        }
        let next = Hour(hour.0 + 1);
        if !life.wait_for(next.begins()).await {
            return;
        }
        hour = life.clock.now().hour().max(next);
        asked = Some(Vec::new());
    }
}

impl Life {
    /// What was asked in an hour that has begun; none when it is told to stop meanwhile.
    async fn asked_in(&self, hour: Hour) -> Option<Vec<Command>> {
        loop {
            match store::asked_since(&self.db, TRADER, hour.begins()).await {
                Ok(asked) => return Some(asked),
                Err(error) => tracing::warn!(%error, "the traders' commands can't be read"),
            }
            if !self.pause(PAUSE).await {
                return None;
            }
        }
    }

    /// What is to be done in an hour that has begun; none when it is told to stop meanwhile.
    async fn plan(&self, cast: &Cast, hour: Hour) -> Option<Vec<Planned>> {
        loop {
            // What the hours before left to do is done first, so that the plan is the same however
            // often it is made.
            let is_behind = self.feed.market().now() < hour.begins();
            let ticked = !is_behind || self.sequencer.submit(TRADER, Command::Tick).await.is_ok();
            let (from, to) = traders::counted(hour);
            match store::spent(&self.db, from, to).await {
                Ok(spent) if ticked => {
                    return Some(traders::plan(cast, &self.feed.market(), hour, &spent));
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "what buyers spent can't be read"),
            }
            if !self.pause(PAUSE).await {
                return None;
            }
        }
    }

    /// Sends a command at its instant; false when it is told to stop.
    async fn send(&self, planned: Planned) -> bool {
        if !self.wait_for(planned.at).await {
            return false;
        }
        // The same client id tells whether it was done where that is not known.
        while traders::is_due(&self.feed.market(), self.clock.now(), &planned.command) {
            match self.sequencer.submit(TRADER, planned.command.clone()).await {
                Ok(_) => break,
                Err(SubmitError::Stopped) => return false,
                Err(SubmitError::Uncertain)
                    if !matches!(planned.command, Command::PlaceOrder(_)) =>
                {
                    break;
                }
                Err(SubmitError::Busy | SubmitError::Uncertain) => {}
            }
            if !self.pause(PAUSE).await {
                return false;
            }
        }
        true
    }

    /// Waits until the market clock has come so far; false when it is told to stop.
    async fn wait_for(&self, at: Timestamp) -> bool {
        loop {
            let left = at.0.saturating_sub(self.clock.now().0);
            if left <= 0 {
                return !self.stop.is_cancelled();
            }
            let micros = u64::try_from(left / self.clock.speed().max(1)).unwrap_or(0);
            let real = Duration::from_micros(micros).clamp(SHORTEST, LONGEST);
            if !self.pause(real).await {
                return false;
            }
        }
    }

    /// Waits; false when it is told to stop.
    async fn pause(&self, time: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(time) => true,
            () = self.stop.cancelled() => false,
        }
    }
}
