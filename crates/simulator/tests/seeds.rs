//! A million commands of many seeds under every rule set; `just sim` runs as many as one likes.

use std::thread;

use simulator::Counts;
use simulator::rule_sets::RuleSet;

const SEEDS: u64 = 102;
const STEPS: u64 = 2_500;

/// What a run that tries the market meets; whatever is missing here was not tried.
const MET: [&str; 66] = [
    "accepted",
    "accepted again",
    "corrected",
    "corrected down",
    "corrected in part",
    "corrected up",
    "credit back",
    "credited",
    "defaulted",
    "defaulted, bought in dearer",
    "disputed",
    "done bond",
    "done cancelled",
    "done expired",
    "done filled",
    "done self_trade",
    "done unfilled",
    "halted",
    "handed back",
    "instrument listed",
    "lease",
    "lease resold",
    "pool opened",
    "posted",
    "related",
    "rejected bad_rules",
    "rejected gate_closed",
    "rejected halted",
    "rejected outside_band",
    "rejected over_limit",
    "rejected already_disputed",
    "rejected already_ruled",
    "rejected already_settled",
    "rejected bad_amount",
    "rejected bad_duration",
    "rejected bad_minutes",
    "rejected bad_period",
    "rejected claim_window_over",
    "rejected duplicate_id",
    "rejected hour_not_over",
    "rejected insufficient_funds",
    "rejected lease_over",
    "rejected min_fill_over_units",
    "rejected not_a_lot",
    "rejected not_a_tick",
    "rejected not_allowed",
    "rejected not_settled",
    "rejected not_supported",
    "rejected order_done",
    "rejected outside_lease",
    "rejected outside_pool",
    "rejected over_lease",
    "rejected over_pool",
    "rejected period_over",
    "rejected period_started",
    "rejected too_late",
    "rejected unknown_dispute",
    "rejected unknown_lease",
    "rejected unknown_order",
    "rejected unknown_pool",
    "rejected unknown_symbol",
    "rejected until_passed",
    "rejected would_trade",
    "ruled",
    "rules set",
    "settled",
];

#[test]
fn the_market_does_what_the_auditor_expects() {
    let runs = thread::scope(|scope| {
        let halves = [0, 1].map(|odd| scope.spawn(move || run_every_second(odd)));
        halves.map(|half| half.join().expect("no seed fails"))
    });
    let mut met = Counts::new();
    for (what, times) in runs.into_iter().flatten() {
        *met.entry(what).or_default() += times;
    }
    for what in MET {
        assert!(met.contains_key(what), "no seed met {what}: {met:?}");
    }
    assert!(met["trade"] > 30_000, "{met:?}");
}

fn run_every_second(odd: u64) -> Counts {
    let mut met = Counts::new();
    for seed in (0..SEEDS).filter(|seed| seed % 2 == odd) {
        for rules in RuleSet::ALL {
            match simulator::run(seed, STEPS, rules) {
                Ok(counts) => {
                    for (what, times) in counts {
                        *met.entry(what).or_default() += times;
                    }
                }
                Err(failure) => panic!(
                    "{}\nshorter: just sim --seed {seed} --seeds 1 --steps {} --rules {}",
                    failure.problem,
                    failure.step,
                    rules.name()
                ),
            }
        }
    }
    met
}

#[test]
fn a_seed_gives_the_same_run_every_time() {
    let run = || simulator::run(42, 1_000, RuleSet::Odd);
    assert_eq!(run(), run());
    let other = simulator::run(43, 1_000, RuleSet::Odd);
    assert_ne!(run(), other);
}
