//! Runs seeds through the market and its auditor.

use std::process::ExitCode;

use clap::Parser;
use simulator::rule_sets::RuleSet;

/// Seeded random commands for the market, judged by an independent auditor
#[derive(Debug, Parser)]
#[command(after_help = "Example:\n  cargo run -p simulator -- --seed 7 --steps 20000")]
struct Arguments {
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after the other
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// How many commands of each
    #[arg(long, default_value_t = 20_000)]
    steps: u64,
    /// Under which rules; all of them when not given
    #[arg(long)]
    rules: Option<RuleSet>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let steps = arguments.steps;
    let chosen = arguments.rules.map(|rules| vec![rules]);
    let rule_sets = chosen.unwrap_or(RuleSet::ALL.to_vec());
    for seed in (arguments.seed..)
        .zip(0..arguments.seeds)
        .map(|(seed, _)| seed)
    {
        for rules in &rule_sets {
            let name = rules.name();
            match simulator::run(seed, steps, *rules) {
                Ok(counts) => {
                    println!("seed {seed}, {steps} steps, rules {name}: all as it should be");
                    for (what, times) in counts {
                        println!("  {times:>8} {what}");
                    }
                }
                Err(failure) => {
                    let step = failure.step;
                    eprintln!(
                        "seed {seed}, step {step}, rules {name}: {}",
                        failure.problem
                    );
                    eprintln!(
                        "again: cargo run -p simulator -- --seed {seed} --steps {step} --rules {name}"
                    );
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    ExitCode::SUCCESS
}
