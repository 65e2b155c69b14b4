//! Seeded random commands for the market, judged by an independent auditor.
//!
//! The same seed gives the same commands for ever, so what one run found another finds again.

pub mod auditor;
pub mod rule_sets;
pub mod shrink;
pub mod workload;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use market::{Command, Delivered, Event, EventKind, Market, Posting, Reason, Timestamp};

use crate::auditor::Auditor;
use crate::rule_sets::RuleSet;

/// How often the books are compared: each time it costs a look at every order for every order.
const BOOKS_EVERY: u64 = 50;

/// What happened in a run, by name of event or reason.
pub type Counts = BTreeMap<String, u64>;

/// A market that did not keep to the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// After how many commands.
    pub step: u64,
    /// What was asked, and what was wrong.
    pub problem: String,
}

/// Runs so many commands of a seed through a new market and judges each.
///
/// # Errors
/// The first thing that is not as the rules have it.
pub fn run(seed: u64, steps: u64, rules: RuleSet) -> Result<Counts, Failure> {
    let mut trial = Trial::new(rules);
    let mut workload = rules.workload(seed);
    for _ in 0..steps {
        let (at, command) = workload.next_command();
        workload.learn(&trial.step(at, &command)?);
    }
    trial.end()
}

/// What a seed asks for, in so many commands: it depends on what the market answered.
pub fn commands(seed: u64, steps: u64, rules: RuleSet) -> Vec<(Timestamp, Command)> {
    let mut market = Market::new(rules.rules());
    let mut workload = rules.workload(seed);
    let mut asked = Vec::new();
    for _ in 0..steps {
        let (at, command) = workload.next_command();
        let applied = catch_unwind(AssertUnwindSafe(|| market.apply(at, &command)));
        asked.push((at, command));
        let Ok(events) = applied else { break };
        workload.learn(&events);
    }
    asked
}

/// Judges these commands, one after the other, in a new market.
///
/// # Errors
/// As [`run`].
pub fn judge<'c>(
    commands: impl IntoIterator<Item = &'c (Timestamp, Command)>,
    rules: RuleSet,
) -> Result<Counts, Failure> {
    let mut trial = Trial::new(rules);
    for (at, command) in commands {
        trial.step(*at, command)?;
    }
    trial.end()
}

/// A market and who judges it.
struct Trial {
    market: Market,
    auditor: Auditor,
    counts: Counts,
    step: u64,
}

impl Trial {
    fn new(rules: RuleSet) -> Self {
        Self {
            market: Market::new(rules.rules()),
            auditor: Auditor::new(rules.rules()),
            counts: Counts::new(),
            step: 0,
        }
    }

    /// Asks the market for one thing, and judges what it does.
    fn step(&mut self, at: Timestamp, command: &Command) -> Result<Vec<Event>, Failure> {
        self.step += 1;
        let step = self.step;
        let failure = |problem| Failure {
            step,
            problem: format!("at {} {command:?}\n{problem}", at.0),
        };
        let preview = preview(&self.market, at, command);
        // What the market asserts of itself is a finding like any other.
        let applied = catch_unwind(AssertUnwindSafe(|| self.market.apply(at, command)));
        let events = applied.map_err(|_| failure("the market panicked".to_owned()))?;
        for event in &events {
            *self.counts.entry(name(&event.kind)).or_default() += 1;
        }
        if let Some(name) = is_in_part(command, &events) {
            *self.counts.entry(name.to_owned()).or_default() += 1;
        }
        let judged = self.auditor.judge(at, command, &events);
        judged.map_err(failure)?;
        if let Some(preview) = preview
            && preview != ruled(&events)
        {
            return Err(failure(format!(
                "{preview:?} was shown before it was ruled"
            )));
        }
        if step.is_multiple_of(BOOKS_EVERY) {
            self.judge_books().map_err(failure)?;
        }
        Ok(events)
    }

    fn judge_books(&mut self) -> Result<(), String> {
        self.auditor.judge_books(&self.market)?;
        self.auditor.judge_open_leases(&self.market)
    }

    /// Compares the books a last time, and says what happened.
    fn end(mut self) -> Result<Counts, Failure> {
        let step = self.step;
        let failure = |problem| Failure { step, problem };
        self.judge_books().map_err(failure)?;
        Ok(self.counts)
    }
}

/// Whether an hour was corrected to other minutes than were asked for.
fn is_in_part(command: &Command, events: &[Event]) -> Option<&'static str> {
    let Command::Correct {
        delivered: Delivered::UnitMinutes(wanted),
        ..
    } = command
    else {
        return None;
    };
    let corrected = events.iter().find_map(|event| match &event.kind {
        EventKind::Corrected(corrected) => Some(corrected.unit_minutes),
        _ => None,
    })?;
    (corrected != *wanted).then_some("corrected in part")
}

/// What a ruling is said to post, if the command is one.
fn preview(market: &Market, at: Timestamp, command: &Command) -> Option<Vec<Posting>> {
    let Command::RuleDispute { dispute, award } = command else {
        return None;
    };
    let mut market = market.clone();
    market.apply(at, &Command::Tick);
    Some(market.ruling_preview(*dispute, *award))
}

/// What a ruling posted.
fn ruled(events: &[Event]) -> Vec<Posting> {
    let entries = events.iter().filter_map(|event| match &event.kind {
        EventKind::Posted(entry) => Some(entry),
        _ => None,
    });
    let ruling = entries.filter(|entry| matches!(entry.reason, Reason::Ruling(_)));
    ruling.flat_map(|entry| entry.postings.clone()).collect()
}

fn name(kind: &EventKind) -> String {
    match kind {
        EventKind::Rejected(rejection) => format!("rejected {}", rejection.code()),
        EventKind::Done { why, .. } => format!("done {}", why.code()),
        EventKind::InstrumentListed => "instrument listed".to_owned(),
        EventKind::PoolOpened { .. } => "pool opened".to_owned(),
        EventKind::Accepted { again: false, .. } => "accepted".to_owned(),
        EventKind::Accepted { again: true, .. } => "accepted again".to_owned(),
        EventKind::Traded(_) => "trade".to_owned(),
        EventKind::Leased { parent: None, .. } => "lease".to_owned(),
        EventKind::Leased { .. } => "lease resold".to_owned(),
        EventKind::Settled(_) => "settled".to_owned(),
        EventKind::Credited { amount, .. } if amount.0 < 0 => "credit back".to_owned(),
        EventKind::Credited { .. } => "credited".to_owned(),
        EventKind::Corrected(corrected) if corrected.paid.0 > 0 => "corrected up".to_owned(),
        EventKind::Corrected(corrected) if corrected.paid.0 < 0 => "corrected down".to_owned(),
        EventKind::Corrected(_) => "corrected".to_owned(),
        EventKind::Disputed { .. } => "disputed".to_owned(),
        EventKind::Ruled { .. } => "ruled".to_owned(),
        EventKind::HandedBack { .. } => "handed back".to_owned(),
        EventKind::Defaulted { difference, .. } => {
            let dearer = if difference.0 > 0 {
                ", bought in dearer"
            } else {
                ""
            };
            format!("defaulted{dearer}")
        }
        EventKind::RulesSet { .. } => "rules set".to_owned(),
        EventKind::Halted { .. } => "halted".to_owned(),
        EventKind::Related { .. } => "related".to_owned(),
        EventKind::Posted(_) => "posted".to_owned(),
    }
}
