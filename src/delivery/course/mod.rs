//! A lease's way on its machines: scheduled, preparing, accepting, running, ending, ended, wiped,
//! closed; or failed, suspended, terminated. Each step has a coded reason, who caused it, and what
//! shows it.

mod store;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::inbox::{Reason, Stage, StateChange};

pub(super) use store::{hold, say};

/// Who says what follows from the clock and the tables alone.
const EXCHANGE: &str = "exchange";

/// How long before its start a lease is made ready.
const LEAD: SignedDuration = SignedDuration::from_mins(15);

/// When a holder is warned that a lease ends, the longest time first: only of leases that are
/// longer.
const WARNINGS: [(i64, &str); 3] = [
    (24 * 60, "ends_in_24_hours"),
    (60, "ends_in_1_hour"),
    (10, "ends_in_10_minutes"),
];

/// Where a lease stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is traded, and its time has not come.
    Scheduled,
    /// Its machines are told of it.
    Preparing,
    /// The way in is there; probes have still to pass.
    Accepting,
    /// Probes have passed and its period has begun.
    Running,
    /// The same, and the holder is warned of the end.
    Ending,
    /// Nobody gets in; files are there for the stated hours.
    Ended,
    /// Nothing of it is on its machines.
    Wiped,
    /// And everything is settled.
    Closed,
    /// Its provider is in default.
    Failed,
    /// Its machine has no agent that is believed.
    Suspended,
    /// Its holder has parted with all of it.
    Terminated,
}

impl State {
    const ALL: [Self; 11] = [
        Self::Scheduled,
        Self::Preparing,
        Self::Accepting,
        Self::Running,
        Self::Ending,
        Self::Ended,
        Self::Wiped,
        Self::Closed,
        Self::Failed,
        Self::Suspended,
        Self::Terminated,
    ];

    /// Its name in the tables.
    pub fn code(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Preparing => "preparing",
            Self::Accepting => "accepting",
            Self::Running => "running",
            Self::Ending => "ending",
            Self::Ended => "ended",
            Self::Wiped => "wiped",
            Self::Closed => "closed",
            Self::Failed => "failed",
            Self::Suspended => "suspended",
            Self::Terminated => "terminated",
        }
    }

    /// The state of this name.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }
}

/// A step on a lease's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it leads; none where only something of note has happened.
    pub state: Option<State>,
    /// Why, as a code.
    pub reason: &'static str,
    /// Who caused it.
    pub actor: String,
    /// What shows it.
    pub evidence: serde_json::Value,
}

impl Step {
    fn of_exchange(state: State, reason: &'static str, evidence: serde_json::Value) -> Self {
        Self {
            state: Some(state),
            reason,
            actor: EXCHANGE.to_owned(),
            evidence,
        }
    }

    /// What an agent's change of state is to the lease that has the stay now.
    pub(super) fn of_agent(agent: i64, host: i64, change: &StateChange, is_over: bool) -> Self {
        let (state, reason) = match (change.stage, change.reason) {
            (Stage::Prepared, Reason::Restored) => (None, "restored"),
            (Stage::Prepared, _) => (Some(State::Accepting), "prepared"),
            (Stage::Closed, _) if !is_over => (None, "way_in_closed"),
            (Stage::Closed, Reason::Asked) => (Some(State::Ended), "asked_to_end"),
            (Stage::Closed, _) => (Some(State::Ended), "period_over"),
            (Stage::Wiped, _) => (Some(State::Wiped), "wiped"),
            (Stage::Failed, _) => (None, "machine_failed"),
        };
        let evidence = json!({ "host": host, "at": change.at, "said": change.evidence });
        Self {
            state,
            reason,
            actor: format!("agent:{agent}"),
            evidence,
        }
    }
}

/// What a lease's next steps follow from.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) state: Option<State>,
    /// Reasons of the steps so far.
    pub(super) reasons: Vec<String>,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    /// Whether it has anything on a machine, now or later.
    pub(super) is_placed: bool,
    /// Whether another lease goes on where this one ends, on the same machines.
    pub(super) is_continued: bool,
    /// When the last of its stays was accepted; none where one was not.
    pub(super) accepted_at: Option<Timestamp>,
    /// Whether a machine of it has no agent.
    pub(super) is_orphaned: bool,
    /// Whether all that it had on machines is wiped.
    pub(super) is_wiped: bool,
    pub(super) failed_from: Option<Timestamp>,
    /// Whether everything of it is settled.
    pub(super) is_settled: bool,
}

impl Facts {
    /// The next step by now, if there is one; asked again once it is taken.
    pub(super) fn next(&self, now: Timestamp) -> Option<Step> {
        let Some(state) = self.state else {
            let evidence = json!({ "start": self.start, "end": self.end });
            return Some(Step::of_exchange(State::Scheduled, "traded", evidence));
        };
        match state {
            State::Closed => None,
            State::Failed | State::Terminated | State::Ended | State::Wiped => self.after(),
            _ if self.failed_from.is_some() => {
                let evidence = json!({ "from": self.failed_from });
                Some(Step::of_exchange(State::Failed, "default", evidence))
            }
            _ if !self.is_placed && now < self.end && self.is_settled => Some(Step::of_exchange(
                State::Terminated,
                "parted_with",
                json!({}),
            )),
            _ if now >= self.end => {
                let reason = if self.is_continued {
                    "extended"
                } else {
                    "period_over"
                };
                Some(Step::of_exchange(State::Ended, reason, json!({})))
            }
            _ => self.before(state, now),
        }
    }

    /// Once nobody gets in.
    fn after(&self) -> Option<Step> {
        let is_gone = self.is_wiped || self.is_continued || !self.is_placed;
        (is_gone && self.is_settled).then(|| Step::of_exchange(State::Closed, "settled", json!({})))
    }

    /// Before its end.
    fn before(&self, state: State, now: Timestamp) -> Option<Step> {
        let has_run = matches!(state, State::Running | State::Ending);
        let has_begun = now >= self.start;
        let is_accepted = self.accepted_at.is_some();
        if self.is_orphaned && has_run {
            return Some(Step::of_exchange(State::Suspended, "no_agent", json!({})));
        }
        if state == State::Suspended && !self.is_orphaned {
            return Some(Step::of_exchange(
                State::Running,
                "agent_is_back",
                json!({}),
            ));
        }
        let is_due = now
            .saturating_add(LEAD)
            .is_ok_and(|told| told >= self.start);
        if state == State::Scheduled && is_due {
            return Some(Step::of_exchange(
                State::Preparing,
                "time_to_prepare",
                json!({}),
            ));
        }
        let is_waiting = matches!(state, State::Preparing | State::Accepting);
        if is_waiting && has_begun && is_accepted {
            let evidence = json!({ "accepted_at": self.accepted_at });
            return Some(Step::of_exchange(State::Running, "accepted", evidence));
        }
        if !has_run || self.is_continued {
            return None;
        }
        let length = self.end.duration_since(self.start).as_mins();
        let left = self.end.duration_since(now).as_mins();
        let due = |(minutes, _): &&(i64, &str)| length > *minutes && left < *minutes;
        // The last of those that are due: an agent that was away is not told of all at once.
        let (_, reason) = WARNINGS.iter().rfind(due)?;
        let is_told = self.reasons.iter().any(|known| known == reason);
        (!is_told).then(|| Step::of_exchange(State::Ending, reason, json!({ "end": self.end })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).expect("an instant")
    }

    fn facts() -> Facts {
        Facts {
            state: None,
            reasons: Vec::new(),
            start: at(600),
            end: at(720),
            is_placed: true,
            is_continued: false,
            accepted_at: None,
            is_orphaned: false,
            is_wiped: false,
            failed_from: None,
            is_settled: false,
        }
    }

    /// All steps up to an instant, as state and reason.
    fn steps(facts: &mut Facts, minute: i64) -> Vec<(State, &'static str)> {
        let mut taken = Vec::new();
        while let Some(step) = facts.next(at(minute)) {
            facts.state = step.state.or(facts.state);
            facts.reasons.push(step.reason.to_owned());
            taken.extend(step.state.map(|state| (state, step.reason)));
            assert!(taken.len() < 20, "it ends: {taken:?}");
        }
        taken
    }

    #[test]
    fn a_lease_goes_its_way() {
        let mut facts = facts();
        assert_eq!(steps(&mut facts, 0), [(State::Scheduled, "traded")]);
        assert_eq!(
            steps(&mut facts, 585),
            [(State::Preparing, "time_to_prepare")]
        );
        facts.state = Some(State::Accepting);
        assert_eq!(steps(&mut facts, 600), [], "no probe has passed");
        facts.accepted_at = Some(at(602));
        assert_eq!(steps(&mut facts, 602), [(State::Running, "accepted")]);
        assert_eq!(steps(&mut facts, 660), []);
        assert_eq!(steps(&mut facts, 661), [(State::Ending, "ends_in_1_hour")]);
        assert_eq!(
            steps(&mut facts, 711),
            [(State::Ending, "ends_in_10_minutes")]
        );
        assert_eq!(steps(&mut facts, 720), [(State::Ended, "period_over")]);
        facts.is_settled = true;
        assert_eq!(steps(&mut facts, 721), [], "its files are there");
        (facts.state, facts.is_wiped) = (Some(State::Wiped), true);
        assert_eq!(steps(&mut facts, 800), [(State::Closed, "settled")]);
    }

    #[test]
    fn who_was_away_is_told_the_last_only() {
        let mut facts = facts();
        (facts.state, facts.accepted_at) = (Some(State::Running), Some(at(600)));
        assert_eq!(
            steps(&mut facts, 715),
            [(State::Ending, "ends_in_10_minutes")]
        );
    }

    #[test]
    fn an_extension_is_no_end_and_a_default_is() {
        let mut extended = Facts {
            state: Some(State::Running),
            is_continued: true,
            accepted_at: Some(at(600)),
            ..facts()
        };
        assert_eq!(steps(&mut extended, 715), []);
        assert_eq!(steps(&mut extended, 720), [(State::Ended, "extended")]);
        let mut failed = Facts {
            state: Some(State::Running),
            failed_from: Some(at(660)),
            ..facts()
        };
        assert_eq!(steps(&mut failed, 630), [(State::Failed, "default")]);
        failed.is_settled = true;
        assert_eq!(steps(&mut failed, 730), []);
        failed.is_wiped = true;
        assert_eq!(steps(&mut failed, 730), [(State::Closed, "settled")]);
    }

    #[test]
    fn a_machine_without_an_agent_suspends_and_a_lease_without_hours_ends() {
        let mut orphaned = Facts {
            state: Some(State::Running),
            is_orphaned: true,
            accepted_at: Some(at(600)),
            ..facts()
        };
        assert_eq!(steps(&mut orphaned, 610), [(State::Suspended, "no_agent")]);
        orphaned.is_orphaned = false;
        assert_eq!(
            steps(&mut orphaned, 620),
            [(State::Running, "agent_is_back")]
        );
        let mut parted = Facts {
            is_placed: false,
            is_settled: true,
            ..facts()
        };
        assert_eq!(
            steps(&mut parted, 10),
            [
                (State::Scheduled, "traded"),
                (State::Terminated, "parted_with"),
                (State::Closed, "settled")
            ]
        );
    }

    #[test]
    fn states_have_names() {
        for state in State::ALL {
            assert_eq!(State::from_code(state.code()), Some(state));
        }
    }
}
