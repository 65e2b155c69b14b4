//! The `sluice` program.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sluice::ops;

/// Sluice 算渠: a marketplace where computing power is bought by the hour
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Example:\n  sluice serve --listen 127.0.0.1:8080"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the marketplace
    Serve(ops::serve::Arguments),
    /// Replay a cluster's traces, or their profile, as a market from beginning to end
    Replay(ops::replay::Arguments),
    /// Run commands through the bare market, no database
    Simulate(ops::simulate::Arguments),
    /// Check every invariant of the market against the database
    Audit(ops::audit::Arguments),
    /// Manage the marketplace's own people, and what must work when the web does not
    Admin(ops::admin::Arguments),
    /// Try leases' doors for an exchange, from where this runs
    Vantage(ops::vantage::Arguments),
    /// Drive the API of a running marketplace at a rate, and print its latencies
    Load(ops::load::Arguments),
    /// Print the settings in force and where each came from
    Config(ops::config::Arguments),
}

/// Exit codes: 0 done, 1 it failed and says why, 2 wrong usage (clap's).
fn main() -> ExitCode {
    let done = match &Arguments::parse().command {
        Command::Serve(arguments) => ops::serve::run(arguments),
        Command::Replay(arguments) => ops::replay::run(arguments),
        Command::Simulate(arguments) => ops::simulate::run(arguments),
        Command::Audit(arguments) => ops::audit::run(arguments),
        Command::Admin(arguments) => ops::admin::run(arguments),
        Command::Vantage(arguments) => ops::vantage::run(arguments),
        Command::Load(arguments) => ops::load::run(arguments),
        Command::Config(arguments) => ops::config::run(arguments),
    };
    done.unwrap_or_else(|why| {
        eprintln!("sluice: {why:#}");
        ExitCode::FAILURE
    })
}
