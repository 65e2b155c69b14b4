//! `sluice audit`: every invariant, checked against the database.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use sqlx::Connection;

use crate::audit::{self, Report};
use crate::config::{Flags, Settings};
use crate::db::{self, Database, Sharing};

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
        let report = audit_all(&database).await;
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

/// Audits the market and, where a private server has one, the replay's beside it; one that was
/// never begun is passed over if the other was.
async fn audit_all(database: &Database) -> anyhow::Result<Report> {
    let market = database.url();
    if !database.has_replay().await? {
        return audit(market).await;
    }
    let replay = audit(&database.for_replay().await?).await?;
    if !has_market(market).await? {
        return Ok(replay);
    }
    let mut report = audit(market).await?;
    report.ok &= replay.ok;
    for (check, of_replay) in report.checks.iter_mut().zip(replay.checks) {
        let wrong = of_replay.wrong.into_iter();
        check
            .wrong
            .extend(wrong.map(|wrong| format!("replay: {wrong}")));
    }
    Ok(report)
}

async fn audit(url: &str) -> anyhow::Result<Report> {
    audit::run(url).await.context("the market can't be audited")
}

/// Whether a database has the market's tables.
async fn has_market(url: &str) -> anyhow::Result<bool> {
    let mut connection = db::first_connection(url).await?;
    let sql = "SELECT to_regclass('public.commands') IS NOT NULL";
    let found = sqlx::query_scalar(sql).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(found)
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
