//! `sluice serve`: the marketplace.

use std::process::ExitCode;

use anyhow::Context;

use crate::config::{Flags, Settings};
use crate::db::{self, Database, Sharing};

/// What `sluice serve` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sluice serve --listen 127.0.0.1:9000 --clock-speed 60")]
pub struct Arguments {
    /// List a demonstration market to buy from, where there is none yet
    #[arg(long)]
    demo: bool,
    /// Serve from a database that may lose what it acknowledged; for tests only
    #[arg(long, hide = true)]
    allow_unsafe_database: bool,
    #[command(flatten)]
    settings: Flags,
}

/// Serves until asked to stop.
///
/// # Errors
/// The settings, the database or the address can't be used.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(&arguments.settings)?;
    super::start_logging(&settings)?;
    super::block_on(serve(arguments, settings))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(arguments: &Arguments, settings: Settings) -> anyhow::Result<()> {
    let url = settings.database_url.clone();
    let database = Database::open(url, settings.data_dir.clone(), Sharing::Alone).await?;
    let served = serve_from(arguments, &settings, &database).await;
    let closed = database.close().await;
    served?;
    Ok(closed?)
}

async fn serve_from(
    arguments: &Arguments,
    settings: &Settings,
    database: &Database,
) -> anyhow::Result<()> {
    if !arguments.allow_unsafe_database {
        db::require_durable(database.url()).await?;
    }
    db::migrate(database.url()).await?;
    let pool = db::connect(database.url()).await?;
    tracing::info!(demo = arguments.demo, listen = %settings.listen, "the database is ready");
    super::asked_to_stop()
        .await
        .context("waiting for a signal")?;
    pool.close().await;
    Ok(())
}
