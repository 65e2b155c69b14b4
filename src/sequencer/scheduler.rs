//! Turns the clock into commands: a tick whenever something falls due. It holds no rules.

use std::time::Duration;

use market::Command;
use tokio_util::sync::CancellationToken;

use super::{Actor, Sequencer};
use crate::clock::MarketClock;
use crate::feed::Feed;

/// The longest real time for which the clock is not looked at.
const GLANCE: Duration = Duration::from_millis(250);

/// Sends a tick when something is due, until it is told to stop.
pub async fn run(sequencer: Sequencer, feed: Feed, clock: MarketClock, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let due = feed.market().next_due();
        if due.is_some_and(|due| due <= clock.now())
            && let Err(error) = sequencer
                .submit(Actor::System("scheduler"), Command::Tick)
                .await
        {
            tracing::debug!(%error, "a tick was not taken");
        }
        tokio::select! {
            () = tokio::time::sleep(GLANCE) => {}
            () = stop.cancelled() => {}
        }
    }
}
