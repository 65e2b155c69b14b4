//! `sluice load`: a load generator for benchmarks.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use market::Money;

use crate::load::{self, Mix, Options};
use crate::protocol::instant;

/// What `sluice load` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  SLUICE_TOKEN=sluice_… sluice load --symbol A100-80GB.GUZ-GAN.SILVER \
                  --from 2026-11-03T00:00:00Z --rate 200 --seconds 10"
)]
pub struct Arguments {
    /// The marketplace's host and port; plain HTTP
    #[arg(long, default_value = "127.0.0.1:8080")]
    address: String,
    /// A token that places and cancels; others see a command line, so better the environment
    #[arg(long, env = "SLUICE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file with a token a line: requests take turns
    #[arg(long)]
    tokens: Option<PathBuf>,
    /// Orders a second; without it as many as the connections carry
    #[arg(long)]
    rate: Option<f64>,
    /// For how many seconds
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How many connections
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// How many orders a request has, 1 to 1,000
    #[arg(long, default_value_t = 1)]
    orders: usize,
    /// What rests, trades and is cancelled, in percent
    #[arg(long, default_value = "50:35:15")]
    mix: Mix,
    /// An instrument; may be given again
    #[arg(long, required = true)]
    symbol: Vec<String>,
    /// The hour from which on delivery is asked for, as in 2026-11-03T00:00:00Z
    #[arg(long)]
    from: String,
    /// Within how many hours after it
    #[arg(long, default_value_t = 600)]
    span: i64,
    /// How many units each order wants: whole lots
    #[arg(long, default_value_t = 8)]
    units: i64,
    /// The limit of what is to rest, in yuan
    #[arg(long, default_value = "0.01")]
    rest_price: Money,
    /// The limit of what is to trade, in yuan
    #[arg(long, default_value = "100.00")]
    trade_price: Money,
    /// What the orders and their ids follow from; the time of day when not given
    #[arg(long)]
    seed: Option<u64>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Sends the load and prints what came of it.
///
/// # Errors
/// Wrong options, or an address that can't be reached.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut tokens: Vec<String> = arguments.token.iter().cloned().collect();
    if let Some(path) = &arguments.tokens {
        let read = std::fs::read_to_string(path);
        let read = read.with_context(|| format!("{} can't be read", path.display()))?;
        let lines = read.lines().map(str::trim).filter(|line| !line.is_empty());
        tokens.extend(lines.map(str::to_owned));
    }
    let from = instant::read(&arguments.from);
    let from = from.map_err(|why| anyhow::anyhow!("--from: {why}"))?;
    let now = crate::clock::stamp(crate::clock::wall());
    let options = Options {
        address: arguments.address.clone(),
        tokens,
        rate: arguments.rate,
        duration: Duration::from_secs(arguments.seconds),
        connections: arguments.connections,
        orders_a_request: arguments.orders,
        mix: arguments.mix,
        symbols: arguments.symbol.clone(),
        from,
        span: arguments.span,
        units: arguments.units,
        limits: (arguments.rest_price, arguments.trade_price),
        seed: arguments.seed.unwrap_or(now.0.unsigned_abs()),
    };
    let report = super::block_on(load::run(options))?;
    let mut out = std::io::stdout().lock();
    if arguments.json {
        serde_json::to_writer(&mut out, &report)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{report}")?;
    }
    Ok(if report.errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
