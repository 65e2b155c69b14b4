//! What the program does: one file for each of its commands.

pub mod admin;
pub mod audit;
pub mod config;
pub mod load;
mod logging;
pub mod replay;
pub mod serve;
mod signals;
pub mod simulate;
pub mod vantage;

pub use logging::start_logging;
pub use signals::StopSignals;

use std::future::Future;

use anyhow::Context;

/// Runs a command's asynchronous work to its end.
///
/// # Errors
/// What the work fails with, or that no threads could be started for it.
pub fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.enable_all().build();
    runtime
        .context("the program's threads could not be started")?
        .block_on(work)
}
