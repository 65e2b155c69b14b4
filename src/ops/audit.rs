//! `sluice audit`: every invariant, checked against the database.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;

use crate::audit::{self, Report};
use crate::config::{Flags, Settings};
use crate::db::{Database, Sharing};

/// What `sluice audit` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sluice audit --json")]
pub struct Arguments {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Flags,
}

/// Audits; the exit code is 1 when something does not hold. A server may be running.
///
/// # Errors
/// The settings or the database can't be used.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(&arguments.settings)?;
    super::start_logging(&settings)?;
    let report = super::block_on(async {
        let (url, folder) = (settings.database_url, settings.data_dir);
        let database = Database::open(url, folder, Sharing::Beside).await?;
        let report = audit::run(database.url())
            .await
            .context("the market can't be audited");
        database.close().await?;
        report
    })?;
    print(&report, arguments.json)?;
    Ok(if report.ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print(report: &Report, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(report)?)?;
        return Ok(());
    }
    for check in &report.checks {
        let sign = if check.wrong.is_empty() {
            "holds"
        } else {
            "WRONG"
        };
        writeln!(out, "{sign}  {}", check.holds)?;
        for wrong in &check.wrong {
            writeln!(out, "         {wrong}")?;
        }
    }
    Ok(())
}
