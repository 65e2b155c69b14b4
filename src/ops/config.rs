//! `sluice config`: the settings in force and where each came from.

use std::io::Write;
use std::process::ExitCode;

use crate::config::{Flags, InForce, Settings};

/// What `sluice config` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  SLUICE_LISTEN=127.0.0.1:9000 sluice config --clock-speed 60")]
pub struct Arguments {
    #[command(flatten)]
    settings: Flags,
}

/// Prints each setting as a line of `sluice.toml`, with its source behind it. Secrets are masked.
///
/// # Errors
/// The settings can't be read or don't go together; they are printed before that is said.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let in_force = InForce::gather(&arguments.settings)?;
    let mut out = std::io::stdout().lock();
    for (setting, value, source) in in_force.shown() {
        let line = format!("{} = {}", setting.name, toml::Value::String(value));
        writeln!(out, "{line:<48} # {source}")?;
    }
    Settings::read(&in_force)?;
    Ok(ExitCode::SUCCESS)
}
