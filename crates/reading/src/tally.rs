//! What many readings come to, in whatever order they came, late, twice, or not at all.
//!
//! A [`Tally`] is the set of the readings of one agent about one lease, and everything that it
//! says is worked out from the set: so the order can't matter, nor how often something came. When
//! the time for an hour is over it is sealed: its readings are forgotten for one [`SealedHour`].

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::minute::{Hour, Minute};
use crate::one::Reading;
use crate::rest::{HOUR_MINUTES, SealedHour, runs};

/// The readings of one agent about one lease, as far as their hours are not sealed.
///
/// A chain breaks at the first number of which two different readings were signed, or whose
/// reading does not name the hash of the one numbered one lower, or is about no later minute than
/// one with a lower number. From there on nothing counts, now or later: somebody signed two
/// stories (an agent that lies, a stolen key, a disk put back to an earlier state), and only a
/// case and a new enrolment end that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    agent: u64,
    lease: u64,
    /// The hour up to which everything is sealed.
    sealed: Option<Hour>,
    /// The highest number that was sealed as sound, and its hash.
    sequence: u64,
    head: Digest,
    /// The lowest number at which the chain was seen to break when an hour was sealed.
    broken: Option<u64>,
    /// By number; two of one number are as telling as many, so no more than the two lowest stay.
    kept: BTreeMap<u64, BTreeSet<Kept>>,
}

/// What is kept of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kept {
    minute: Minute,
    units: u32,
    before: Digest,
    hash: Digest,
}

/// What a reading was to a tally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It was not there.
    New,
    /// It was there: nothing is different.
    Again,
    /// Another one with its number was there: the chain breaks at it.
    Another,
    /// Its hour, or its number, is sealed: nothing is different.
    TooLate,
    /// An hour was sealed with a break at its number or a lower one: nothing is different.
    Broken,
}

/// What is told of a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// So many units ran all of it.
    Units(u32),
    /// Nothing, and nothing can come any more that counts.
    Never,
    /// Nothing so far.
    NotYet,
}

/// Numbers from the first to the last, both included, that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The lowest.
    pub first: u64,
    /// The highest.
    pub last: u64,
}

/// A reading or a row that is of another agent or another lease than the tally.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("agent {agent} about lease {lease} is another chain")]
pub struct OtherChain {
    /// Whose it is.
    pub agent: u64,
    /// What it is about.
    pub lease: u64,
}

impl Tally {
    /// Of nothing.
    pub fn new(agent: u64, lease: u64) -> Self {
        Self {
            agent,
            lease,
            sealed: None,
            sequence: 0,
            head: Digest::beginning(agent, lease),
            broken: None,
            kept: BTreeMap::new(),
        }
    }

    /// As it was when it had just sealed this hour and kept nothing more: what comes after it can
    /// be added again from where the exchange keeps it.
    pub fn after(row: &SealedHour) -> Self {
        Self {
            sealed: Some(row.hour),
            sequence: row.sequence,
            head: row.head,
            broken: row.broken,
            ..Self::new(row.agent, row.lease)
        }
    }

    /// Takes in a reading that has passed [`check`](crate::SignedReading::check).
    ///
    /// # Errors
    /// It belongs to another tally.
    pub fn add(&mut self, reading: &Reading) -> Result<Added, OtherChain> {
        if (reading.agent, reading.lease) != (self.agent, self.lease) {
            return Err(OtherChain {
                agent: reading.agent,
                lease: reading.lease,
            });
        }
        let over = self
            .sealed
            .is_some_and(|hour| reading.minute.hour() <= hour);
        if over || reading.sequence <= self.sequence {
            return Ok(Added::TooLate);
        }
        if self.broken.is_some_and(|broken| reading.sequence >= broken) {
            return Ok(Added::Broken);
        }
        let of_number = self.kept.entry(reading.sequence).or_default();
        let new = of_number.insert(Kept {
            minute: reading.minute,
            units: reading.units,
            before: reading.before,
            hash: reading.hash(),
        });
        let another = of_number.len() > 1;
        if of_number.len() > 2 {
            of_number.pop_last();
        }
        Ok(match (new, another) {
            (true, false) => Added::New,
            (false, false) => Added::Again,
            (_, true) => Added::Another,
        })
    }

    /// The number from which on nothing counts, where there is one.
    pub fn first_break(&self) -> Option<u64> {
        let mut last = (self.sequence, self.head, None);
        let found = self.kept.iter().find_map(|(&sequence, of_number)| {
            let (number, hash, minute) = last;
            let one = of_number.first()?;
            let follows = number.checked_add(1) != Some(sequence) || one.before == hash;
            let later = minute.is_none_or(|minute| one.minute > minute);
            last = (sequence, one.hash, Some(one.minute));
            (of_number.len() > 1 || !follows || !later).then_some(sequence)
        });
        [found, self.broken].into_iter().flatten().min()
    }

    /// The numbers below the highest one known that did not come, in order.
    pub fn missing(&self) -> Vec<Gap> {
        let mut gaps = Vec::new();
        let mut last = self.sequence;
        for &sequence in self.kept.keys() {
            let next = last.saturating_add(1);
            if sequence > next {
                gaps.push(Gap {
                    first: next,
                    last: sequence.saturating_sub(1),
                });
            }
            last = sequence;
        }
        gaps
    }

    /// The units that ran in a minute, as far as it is not sealed and as readings that count say.
    pub fn units(&self, minute: Minute) -> u32 {
        let mut sound = self.sound();
        sound
            .find(|(_, one)| one.minute == minute)
            .map_or(0, |(_, one)| one.units)
    }

    /// The hour up to which everything is sealed.
    pub fn sealed_hour(&self) -> Option<Hour> {
        self.sealed
    }

    /// What is told of each minute of an hour that is not sealed, in order. A minute of which two
    /// readings that follow each other lie around it never comes; nor does one after a break.
    pub fn told(&self, hour: Hour) -> Vec<Told> {
        let first = hour.begins().0;
        let mut told = vec![Told::NotYet; usize::from(HOUR_MINUTES)];
        // Of minutes of this hour from the one's place to before the other's.
        let place =
            |minute: Minute| usize::try_from(minute.0.saturating_sub(first)).unwrap_or(usize::MAX);
        let mut last = self.sequence;
        let mut open = 0;
        for (sequence, one) in self.sound() {
            let at = place(one.minute).min(told.len());
            if last.checked_add(1) == Some(sequence) && open < at {
                told[open..at].fill(Told::Never);
            }
            let is_before = one.minute.0 < first;
            if !is_before && at < told.len() {
                told[at] = Told::Units(one.units);
            }
            open = if is_before { 0 } else { at.saturating_add(1) };
            last = sequence;
            if at == told.len() {
                return told;
            }
        }
        if self.first_break().is_some() && open < told.len() {
            told[open..].fill(Told::Never);
        }
        told
    }

    /// The unit-minutes of an hour that is not sealed, as readings that count say.
    pub fn unit_minutes(&self, hour: Hour) -> u64 {
        let within = self.sound().filter(|(_, one)| one.minute.hour() == hour);
        within.map(|(_, one)| u64::from(one.units)).sum()
    }

    /// Ends an hour, and with it every hour before: what came of it is forgotten for one row, and
    /// nothing about it is taken in any more. Hours are sealed in their order; one that is sealed
    /// already gives `None`.
    pub fn seal(&mut self, hour: Hour) -> Option<SealedHour> {
        if self.sealed.is_some_and(|sealed| hour <= sealed) {
            return None;
        }
        let broken = self.first_break();
        let within = self.sound().filter(|(_, one)| one.minute.hour() == hour);
        let runs = runs(within.map(|(_, one)| (one.minute, one.units)));
        let over = self.sound().filter(|(_, one)| one.minute.hour() <= hour);
        let last = over.last().map(|(sequence, one)| (sequence, one.hash));
        (self.sequence, self.head) = last.unwrap_or((self.sequence, self.head));
        self.sealed = Some(hour);
        self.broken = broken;
        self.kept = self.kept.split_off(&self.sequence.saturating_add(1));
        if let Some(broken) = broken {
            self.kept.split_off(&broken);
        }
        Some(SealedHour {
            agent: self.agent,
            lease: self.lease,
            hour,
            runs,
            sequence: self.sequence,
            head: self.head,
            broken,
        })
    }

    /// What counts, in order of numbers and so of minutes.
    fn sound(&self) -> impl Iterator<Item = (u64, &Kept)> {
        let end = self.first_break().unwrap_or(u64::MAX);
        let sound = self.kept.range(..end);
        sound.filter_map(|(&sequence, of_number)| Some((sequence, of_number.first()?)))
    }
}

/// The unit-minutes of an hour of a lease that several agents deliver together. In no minute do
/// they come to more than the lease has, whatever they say.
pub fn unit_minutes<'a>(
    tallies: impl IntoIterator<Item = &'a Tally> + Clone,
    hour: Hour,
    units: u32,
) -> u64 {
    let of_minute = |minute| {
        let each = tallies
            .clone()
            .into_iter()
            .map(|tally| u64::from(tally.units(minute)));
        each.sum::<u64>().min(u64::from(units))
    };
    hour.minutes().map(of_minute).sum()
}
