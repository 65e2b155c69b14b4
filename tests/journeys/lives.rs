//! Lives by chance, through the sequencer and PostgreSQL, with stops on the way: the market that
//! is read back is the one that was committed, and the one that never saw a database.

use market::Market;
use simulator::rule_sets::RuleSet;
use simulator::workload::Workload;
use sluice::audit;
use sluice::sequencer::{Actor, Started};

use crate::support::market::{start, stop};
use crate::support::postgres::fresh_database;

/// How many commands are sent before their answers are awaited: they share transactions.
const TOGETHER: usize = 40;

/// After how many of these the sequencer is stopped and started again.
const STRETCHES: usize = 15;

/// Sends commands to the sequencer and to a market without a database; both say the same.
async fn live(started: &Started, bare: &mut Market, workload: &mut Workload) {
    for _ in 0..STRETCHES {
        let mut expected = Vec::new();
        let mut answers = Vec::new();
        for _ in 0..TOGETHER {
            let (at, command) = workload.next_command();
            expected.push((bare.apply(at, &command), command.clone()));
            let sent = started
                .sequencer
                .enqueue(at, Actor::System("life"), command);
            answers.push(sent.await.expect("the sequencer takes it"));
        }
        for (answer, (events, command)) in answers.into_iter().zip(expected) {
            let receipt = answer.await;
            let receipt = receipt.unwrap_or_else(|error| panic!("{error}: {command:?}"));
            assert_eq!(receipt.events, events, "{command:?}");
            workload.learn(&receipt.events);
        }
    }
}

async fn lives(rules: RuleSet, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let database = fresh_database().await;
        let mut workload = rules.workload(seed);
        let mut bare = Market::new(rules.rules());
        for part in 0..4 {
            let (started, _) = start(&database.url, rules.rules()).await;
            assert!(*started.feed.market() == bare, "seed {seed}, part {part}");
            live(&started, &mut bare, &mut workload).await;
            assert!(*started.feed.market() == bare, "seed {seed}, part {part}");
            stop(started);
        }
        let report = audit::run(&database.url).await.expect("the audit runs");
        assert!(report.ok, "seed {seed}: {report:#?}");
    }
}

#[tokio::test]
async fn lives_without_rules_are_read_back() {
    lives(RuleSet::None, 0..2).await;
}

#[tokio::test]
async fn lives_under_the_standard_rules_are_read_back() {
    lives(RuleSet::Standard, 2..4).await;
}

#[tokio::test]
async fn lives_under_changing_rules_are_read_back() {
    lives(RuleSet::Changing, 6..8).await;
}

#[tokio::test]
async fn lives_under_odd_rules_are_read_back() {
    lives(RuleSet::Odd, 4..6).await;
}
