//! What an hour of a lease comes to: of each minute and unit, whether it is proven, and if not why.
//!
//! A minute of a unit is proven when its agent has signed that it ran, after the first passed probe
//! of its machine, and while no quorum of probes denied it. The agent's word alone never pays
//! beyond what probes leave standing, and probes alone never pay.

use market::Lease;
use reading::{Hour, Minute};

/// What a lease is owed in an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    /// How many units.
    pub units: i64,
    /// How many minutes of it were gone when it was traded: nobody owes these.
    pub gone: i64,
}

impl Owed {
    /// What this lease is owed in this hour.
    pub fn to(lease: &Lease, hour: market::Hour) -> Self {
        let is_first = hour == lease.period.start;
        Self {
            units: lease.held_in(hour),
            gone: if is_first { lease.late_minutes } else { 0 },
        }
    }
}

/// What an agent said of a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// So many units ran all of it.
    Units(i64),
    /// Nothing, and it never will.
    Never,
    /// Nothing so far.
    NotYet,
}

/// What is known of some units of a lease on one machine in an hour.
#[derive(Clone, Debug)]
pub struct Part {
    /// How many.
    pub units: i64,
    /// The first passed probe, as the first minute that is paid for; none before one has passed.
    pub accepted: Option<Minute>,
    /// What its agent said, minute by minute of the hour.
    pub said: Vec<Said>,
    /// Whether a quorum of probes denies it, minute by minute of the hour.
    pub denied: Vec<bool>,
}

/// An hour in unit-minutes: what it owes is the sum of all but `excused`, which is among what is
/// missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Signed, probed and denied by nobody: this is paid.
    pub proven: i64,
    /// Before the first passed probe.
    pub unaccepted: i64,
    /// Signed, and a quorum of probes has found otherwise.
    pub denied: i64,
    /// The agent itself says that it did not run.
    pub stopped: i64,
    /// No reading came.
    pub unseen: i64,
    /// No machine had room for it.
    pub unplaced: i64,
    /// Of all that is missing, what fell into maintenance that was declared in time.
    pub excused: i64,
    /// How much may still be told.
    pub open: i64,
}

impl Proof {
    /// What the first so many minutes of an hour come to, all 60 of one that is over.
    ///
    /// # Arguments
    /// `is_maintained` says whether a minute of the hour, 0 to 59, is declared maintenance.
    pub fn of(
        owed: Owed,
        hour: market::Hour,
        minutes: usize,
        parts: &[Part],
        is_maintained: impl Fn(usize) -> bool,
    ) -> Self {
        let held = owed.units;
        let gone = usize::try_from(owed.gone).unwrap_or(0);
        let first = Hour(u32::try_from(hour.0).unwrap_or(0)).begins().0;
        let mut proof = Self::default();
        for place in gone..minutes.min(60) {
            let number = u32::try_from(place).unwrap_or(0);
            let minute = Minute(first.saturating_add(number));
            let mut of_minute = Self::default();
            let mut left = held;
            for part in parts {
                let units = part.units.min(left);
                left -= units;
                of_minute.add(part, units, minute, place);
            }
            of_minute.unplaced = left;
            if is_maintained(place) {
                of_minute.excused = held - of_minute.proven;
            }
            proof.sum(&of_minute);
        }
        proof
    }

    /// What of the hour was owed.
    pub fn owed(&self) -> i64 {
        self.proven + self.unaccepted + self.denied + self.stopped + self.unseen + self.unplaced
    }

    fn add(&mut self, part: &Part, units: i64, minute: Minute, place: usize) {
        let said = part.said.get(place).copied().unwrap_or(Said::NotYet);
        let is_denied = part.denied.get(place).copied().unwrap_or(false);
        let is_accepted = part.accepted.is_some_and(|accepted| accepted <= minute);
        match said {
            _ if !is_accepted => self.unaccepted += units,
            Said::Units(ran) => {
                let ran = ran.clamp(0, units);
                self.stopped += units - ran;
                if is_denied {
                    self.denied += ran;
                } else {
                    self.proven += ran;
                }
            }
            Said::Never => self.unseen += units,
            Said::NotYet => {
                self.unseen += units;
                if !is_denied {
                    self.open += units;
                }
            }
        }
    }

    fn sum(&mut self, other: &Self) {
        self.proven += other.proven;
        self.unaccepted += other.unaccepted;
        self.denied += other.denied;
        self.stopped += other.stopped;
        self.unseen += other.unseen;
        self.unplaced += other.unplaced;
        self.excused += other.excused;
        self.open += other.open;
    }
}
