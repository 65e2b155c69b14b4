//! Log lines, on stderr.

use std::io::IsTerminal;

use anyhow::anyhow;
use tracing_subscriber::EnvFilter;

use crate::config::Settings;

/// Begins to write log lines as the settings say.
///
/// # Errors
/// It has begun already.
pub fn start_logging(settings: &Settings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.log_level)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let begun = if settings.log_json {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
    begun.map_err(|e| anyhow!("the log could not be started: {e}"))
}
