//! Runs seeds through the market and its auditor, on every core.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use clap::Parser;
use simulator::rule_sets::RuleSet;
use simulator::{Counts, Failure, shrink};

/// Seeded random commands for the market, judged by an independent auditor
#[derive(Debug, Parser)]
#[command(after_help = "Example:\n  cargo run -p simulator -- --seed 7 --steps 20000")]
struct Arguments {
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// How many commands of each
    #[arg(long, default_value_t = 20_000)]
    steps: u64,
    /// Under which rules; all of them when not given
    #[arg(long)]
    rules: Option<RuleSet>,
    /// Only these steps of each seed, as in 3,17,18
    #[arg(long, value_delimiter = ',')]
    only: Vec<u64>,
}

/// What has been found so far.
#[derive(Default)]
struct Findings {
    runs: u64,
    counts: Counts,
    failure: Option<(u64, RuleSet, Failure)>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let chosen = arguments.rules.map(|rules| vec![rules]);
    let rule_sets = chosen.unwrap_or(RuleSet::ALL.to_vec());
    let seeds = (arguments.seed..).zip(0..arguments.seeds);
    let runs = seeds.flat_map(|(seed, _)| rule_sets.iter().map(move |rules| (seed, *rules)));
    let findings = run_all(&arguments, runs);
    for (what, times) in &findings.counts {
        println!("{times:>10} {what}");
    }
    if let Some((seed, rules, failure)) = findings.failure {
        say(&arguments, seed, rules, &failure);
        return ExitCode::FAILURE;
    }
    let (runs, steps) = (findings.runs, arguments.steps);
    println!("{runs} runs of {steps} commands: all as it should be");
    ExitCode::SUCCESS
}

/// Runs on every core, until one fails.
fn run_all(arguments: &Arguments, runs: impl Iterator<Item = (u64, RuleSet)> + Send) -> Findings {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let (runs, findings) = (Mutex::new(runs), Mutex::new(Findings::default()));
    let failed = AtomicBool::new(false);
    let work = || {
        while !failed.load(Ordering::Relaxed)
            && let Some((seed, rules)) = runs.lock().expect("no run panics").next()
        {
            let result = if arguments.only.is_empty() {
                simulator::run(seed, arguments.steps, rules)
            } else {
                only(arguments, seed, rules)
            };
            let mut findings = findings.lock().expect("no run panics");
            findings.runs += 1;
            match result {
                Ok(counts) => {
                    for (what, times) in counts {
                        *findings.counts.entry(what).or_default() += times;
                    }
                }
                Err(failure) => {
                    failed.store(true, Ordering::Relaxed);
                    findings.failure = Some((seed, rules, failure));
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    findings.into_inner().expect("no run panics")
}

/// The named steps of a seed.
fn only(arguments: &Arguments, seed: u64, rules: RuleSet) -> Result<Counts, Failure> {
    let last = arguments.only.iter().max().copied().unwrap_or_default();
    let commands = simulator::commands(seed, last, rules);
    let kept = (1..)
        .zip(&commands)
        .filter(|(step, _)| arguments.only.contains(step));
    simulator::judge(kept.map(|(_, command)| command), rules)
}

/// Says what failed, and how it can be seen again with as few commands as possible.
fn say(arguments: &Arguments, seed: u64, rules: RuleSet, failure: &Failure) {
    let (step, name) = (failure.step, rules.name());
    eprintln!(
        "seed {seed}, step {step}, rules {name}: {}",
        failure.problem
    );
    let again = format!("again: cargo run -p simulator -- --seed {seed} --rules {name}");
    if !arguments.only.is_empty() {
        return;
    }
    eprintln!("{again} --steps {step}");
    let few: Vec<String> = shrink::steps(seed, step, rules)
        .iter()
        .map(u64::to_string)
        .collect();
    eprintln!("{again} --only {}", few.join(","));
}
