//! The driver: sends a course's commands through the sequencer, many at a time.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use crate::clock::MarketClock;
use crate::sequencer::{self, Receipt, SubmitError};

use super::course::{Course, Step};
use super::ground::ACTOR;
use super::work::at_hour;

/// Why a replay did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The sequencer could not start.
    #[error("the market could not start")]
    Start(#[from] sequencer::StartError),
    /// The sequencer ended, or a commit failed, before every command was answered.
    #[error("the replay ended early")]
    Submit(#[from] SubmitError),
    /// Whoever is told of the progress can't go on.
    #[error("the answers can't be passed on")]
    Told(#[from] io::Error),
}

/// How many commands wait, and how many share a transaction.
#[derive(Clone, Copy, Debug)]
pub struct Width {
    /// Commands that wait for the sequencer.
    pub queue: usize,
    /// The most commands in one transaction.
    pub batch: usize,
}

/// Runs a course to its end on a prepared database; how long it took. `tell` hears of the progress
/// after every answer.
///
/// # Errors
/// The sequencer can't start, or ends early.
pub async fn run(
    course: &mut Course,
    database_url: &str,
    rules: market::Rules,
    width: Width,
    mut tell: impl FnMut(&Course, &Receipt) -> io::Result<()>,
) -> Result<Duration, RunError> {
    let begun = Instant::now();
    let clock = MarketClock::set_to(at_hour(0).begins());
    let started = sequencer::start(sequencer::Options {
        database_url: database_url.to_owned(),
        rules,
        clock: clock.clone(),
        queue: width.queue,
        batch: width.batch,
    })
    .await?;
    let mut answers = VecDeque::new();
    loop {
        match course.step() {
            Step::Send(at, command) => {
                clock.set(at);
                answers.push_back(started.sequencer.enqueue(at, ACTOR, command).await?);
            }
            Step::Wait => {
                let Some(answer) = answers.pop_front() else {
                    return Err(SubmitError::Stopped.into());
                };
                let receipt = answer.await?;
                course.learn(&receipt.events);
                tell(course, &receipt)?;
            }
            Step::End => break,
        }
    }
    started.sequencer.stop();
    let thread = started.thread;
    let ended = tokio::task::spawn_blocking(move || thread.join()).await;
    if !matches!(ended, Ok(Ok(()))) {
        return Err(SubmitError::Stopped.into());
    }
    Ok(begun.elapsed())
}
