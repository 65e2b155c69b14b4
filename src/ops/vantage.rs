//! `sluice vantage`: try leases' doors for an exchange, from where this runs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use reading::AgentKey;
use sluice_agent::exchange::Exchange;
use sluice_agent::folder::Folder;
use sluice_agent::key::{self, KeyError};
use tokio_util::sync::CancellationToken;

use super::StopSignals;
use crate::config::{Flags, Settings};
use crate::vantage::probe::Patience;
use crate::vantage::{self, Options, Reach};

/// How many ways in are tried at once.
const AT_ONCE: usize = 200;

/// What `sluice vantage` takes.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Example:\n  sluice vantage key\n  \
                  sluice admin vantage add --name 贵安 --key HEX     # at the exchange: says the number\n  \
                  sluice vantage --exchange https://market.example --number 1"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The exchange's address
    #[arg(long, env = "SLUICE_VANTAGE_EXCHANGE", required = true)]
    exchange: Option<String>,
    /// The number that this vantage has there
    #[arg(long, env = "SLUICE_VANTAGE_NUMBER", required = true)]
    number: Option<u64>,
    /// Also try addresses of private networks and of this machine
    #[arg(long, env = "SLUICE_VANTAGE_PRIVATE")]
    private: bool,
    /// A file of certificates (PEM) by which the exchange is known, in place of the public ones
    #[arg(long, env = "SLUICE_VANTAGE_CERTIFICATES")]
    certificates: Option<PathBuf>,
    /// The folder for its key
    #[arg(
        long,
        global = true,
        env = "SLUICE_VANTAGE_STATE",
        default_value = "/var/lib/sluice-vantage"
    )]
    state: PathBuf,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the public key by which the exchange is to know this vantage; it is made the first time
    #[command(after_help = "Example:\n  sluice vantage key --state /var/lib/sluice-vantage")]
    Key,
}

/// Tries doors until it is told to stop, or prints the key.
///
/// # Errors
/// The folder, the key or the exchange's address is no good.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let state = &arguments.state;
    if let Some(Command::Key) = arguments.command {
        let key = match key::load(&state.join("key")) {
            Err(KeyError::None(_)) => own_key(&Folder::take(state)?, state)?,
            other => other?,
        };
        writeln!(std::io::stdout().lock(), "{}", key.public().to_hex())?;
        return Ok(ExitCode::SUCCESS);
    }
    super::start_logging(&Settings::load(&Flags::default())?)?;
    let exchange = arguments
        .exchange
        .as_deref()
        .context("--exchange is missing")?;
    let folder = Folder::take(state)?;
    let key = own_key(&folder, state)?;
    tracing::info!(exchange, key = key.public().to_hex(), "trying doors");
    let options = Options {
        exchange: Exchange::new(exchange, arguments.certificates.as_deref())?,
        number: arguments.number.context("--number is missing")?,
        key,
        reach: match arguments.private {
            true => Reach::Any,
            false => Reach::Public,
        },
        patience: Patience::default(),
        at_once: AT_ONCE,
    };
    super::block_on(async {
        let mut signals = StopSignals::listen().context("listening for signals")?;
        let stop = CancellationToken::new();
        let running = tokio::spawn(vantage::run(options, stop.clone()));
        signals.asked().await;
        stop.cancel();
        running.await?;
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The key of a folder, made where there is none.
fn own_key(folder: &Folder, state: &Path) -> anyhow::Result<AgentKey> {
    let path = folder.file("key");
    let key = match key::load(&path) {
        Err(KeyError::None(_)) => key::make(&path),
        other => other,
    };
    key.with_context(|| format!("the key in {}", state.display()))
}
