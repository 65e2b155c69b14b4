//! What is set from outside: rule sets to come, halts, and who belongs together.

use crate::due::{Due, LAST};
use crate::event::{Event, EventKind};
use crate::id::{InstrumentId, OrderId, ParticipantId};
use crate::order::Order;
use crate::rejection::Rejection;
use crate::rules::Rules;
use crate::state::Market;
use crate::time::Timestamp;

/// The place of a rule set among what falls due at one instant: before all else.
pub(crate) const FIRST: i64 = i64::MIN;

impl Market {
    /// Takes note of a rule set and from when it holds.
    pub(crate) fn set_rules(
        &mut self,
        rules: &Rules,
        from: Timestamp,
        out: &mut Vec<Event>,
    ) -> Result<(), Rejection> {
        let newest = self.rule_sets.last_key_value();
        let is_newest = newest.is_none_or(|(version, _)| *version < rules.version);
        let last = self.rules_to_come.last_key_value();
        let is_last = last.is_none_or(|(at, _)| *at < from);
        let holds = rules.clone().checked().is_ok();
        if !holds || !is_newest || !is_last || from < self.now {
            return Err(Rejection::BadRules);
        }
        let version = rules.version;
        self.emit(out, EventKind::RulesSet { version, from });
        self.rules_given(rules.clone(), from);
        if from == self.now {
            self.change_rules(from);
        }
        Ok(())
    }

    /// Knows a rule set that is to come.
    pub(crate) fn rules_given(&mut self, rules: Rules, from: Timestamp) {
        self.rules_to_come.insert(from, rules.version);
        self.due.insert((from, FIRST, Due::Rules));
        self.rule_sets.insert(rules.version, rules);
    }

    /// Puts the rule set of an instant in force.
    pub(crate) fn change_rules(&mut self, from: Timestamp) {
        self.due.remove(&(from, FIRST, Due::Rules));
        if let Some(version) = self.rules_to_come.remove(&from) {
            self.rules = self.rule_sets[&version].clone();
            self.count_positions();
        }
    }

    /// Lets an instrument's orders only be cancelled for a time.
    pub(crate) fn halt(
        &mut self,
        instrument: InstrumentId,
        until: Timestamp,
        out: &mut Vec<Event>,
    ) -> Result<(), Rejection> {
        if self.instrument(instrument).is_none() {
            return Err(Rejection::UnknownSymbol);
        }
        if until <= self.now {
            return Err(Rejection::UntilPassed);
        }
        self.halted(instrument, until);
        self.emit(out, EventKind::Halted { instrument, until });
        Ok(())
    }

    /// Knows until when an instrument is halted.
    pub(crate) fn halted(&mut self, instrument: InstrumentId, until: Timestamp) {
        let before = self.halts.insert(instrument, until);
        if let Some(before) = before {
            self.due.remove(&(before, LAST, Due::HaltOver(instrument)));
        }
        self.due.insert((until, LAST, Due::HaltOver(instrument)));
    }

    /// An instrument is open again: what came back to its pools meanwhile is offered, its asks one
    /// after the other in order of acceptance.
    pub(crate) fn resume(&mut self, instrument: InstrumentId, out: &mut Vec<Event>) {
        self.halts.remove(&instrument);
        let pools = self
            .pools
            .values()
            .filter(|pool| pool.instrument == instrument);
        let asks: Vec<OrderId> = pools.flat_map(|pool| pool.asks.iter().copied()).collect();
        self.offer_each(asks, out);
    }

    /// Until when an instrument is halted, if it is.
    pub fn halted_until(&self, instrument: InstrumentId) -> Option<Timestamp> {
        self.halts.get(&instrument).copied()
    }

    /// Every instrument that is halted, and until when.
    pub fn halts(&self) -> impl Iterator<Item = (InstrumentId, Timestamp)> + '_ {
        let halts = self.halts.iter();
        halts.map(|(instrument, until)| (*instrument, *until))
    }

    /// The rule sets that are to come with the instant from which each holds, the earliest first.
    pub fn rules_to_come(&self) -> impl Iterator<Item = (Timestamp, &Rules)> {
        let to_come = self.rules_to_come.iter();
        to_come.map(|(from, version)| (*from, &self.rule_sets[version]))
    }

    pub(crate) fn admit_open(&self, order: &Order) -> Result<(), Rejection> {
        let mut books = order.instruments.iter();
        if books.any(|book| self.halts.contains_key(book)) {
            Err(Rejection::Halted)
        } else {
            Ok(())
        }
    }

    /// Says that participants belong together, and with all who belong to one of them.
    pub(crate) fn relate(&mut self, participants: &[ParticipantId], out: &mut Vec<Event>) {
        let groups: Vec<ParticipantId> = participants.iter().map(|one| self.group(*one)).collect();
        let Some(first) = groups.iter().min().copied() else {
            return;
        };
        for one in participants {
            self.related.entry(*one).or_insert(*one);
        }
        for group in self.related.values_mut() {
            if groups.contains(group) {
                *group = first;
            }
        }
        self.join_positions(&groups, first);
        let all = self.related.iter().filter(|(_, group)| **group == first);
        let participants = all.map(|(one, _)| *one).collect();
        self.emit(out, EventKind::Related { participants });
    }

    /// The lowest number of those that a participant belongs to.
    pub fn group(&self, participant: ParticipantId) -> ParticipantId {
        self.related
            .get(&participant)
            .copied()
            .unwrap_or(participant)
    }

    /// Everybody who belongs to a participant, and the participant itself; in order.
    pub fn related_to(&self, participant: ParticipantId) -> Vec<ParticipantId> {
        let group = self.group(participant);
        let related = self.related.iter().filter(|(_, of)| **of == group);
        let mut all: Vec<ParticipantId> = related.map(|(one, _)| *one).collect();
        if all.is_empty() {
            all.push(participant);
        }
        all
    }

    /// Whether two participants are one, or belong together.
    pub(crate) fn are_related(&self, one: ParticipantId, other: ParticipantId) -> bool {
        self.group(one) == self.group(other)
    }
}
