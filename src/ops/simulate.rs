//! `sluice simulate`: the bare market, JSON lines in and out.

use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::{rules, simulate};

/// What `sluice simulate` takes.
///
/// It reads one JSON command a line and prints one JSON event a line; the same lines always give the
/// same bytes. docs/PROTOCOL.md has the lines.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  echo '{\"at\":\"2026-11-01T00:00:00Z\",\"do\":\"balance\",\"org\":\"b1\"}' | sluice simulate")]
pub struct Arguments {
    /// The file of commands; standard input when not given
    file: Option<PathBuf>,
    /// A file of rules (TOML), or `none` for no fee and no bond; the standard rules when not given
    #[arg(long, value_name = "FILE|none")]
    rules: Option<String>,
    /// Print journal entries too
    #[arg(long)]
    postings: bool,
}

/// Runs the commands; the exit code is 1 when a line could not be read.
///
/// # Errors
/// When the rules or the commands can't be read, or the events can't be written.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let rules = rules::load(arguments.rules.as_deref())?;
    let stdout = io::stdout().lock();
    let errors = match &arguments.file {
        // Whoever types or pipes commands waits for their answers, line by line.
        None => simulate::run(io::stdin().lock(), stdout, rules, arguments.postings)?,
        Some(path) => {
            let file = File::open(path)
                .with_context(|| format!("commands {} can't be read", path.display()))?;
            let (input, output) = (BufReader::new(file), BufWriter::new(stdout));
            simulate::run(input, output, rules, arguments.postings)
                .with_context(|| format!("simulating {}", path.display()))?
        }
    };
    if errors > 0 {
        eprintln!("sluice simulate: {errors} lines could not be read, see their error events");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
