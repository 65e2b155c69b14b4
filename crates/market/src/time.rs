//! Instants, whole hours and delivery periods. The market never asks the time: it is told.

use std::fmt;

/// An instant: microseconds since 1970-01-01T00:00:00Z, the resolution of PostgreSQL.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// Microseconds in an hour.
pub const HOUR_MICROS: i64 = 3_600_000_000;

/// Microseconds in a minute.
pub(crate) const MINUTE_MICROS: i64 = 60_000_000;

/// Minutes in an hour: what one unit owes in each hour of a lease.
pub const HOUR_MINUTES: i64 = 60;

/// The longest time from a command to the end of the period that it names, in hours.
pub const HORIZON_HOURS: i64 = 400 * 24;

/// No period begins earlier: 1970-01-01T00:00:00Z. What is far off can't be stored or written down.
const FIRST: Hour = Hour(0);

/// No period ends later: 9999-01-01T00:00:00Z.
const LAST: Hour = Hour(70_380_768);

/// A whole UTC hour, named by its beginning: hours since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Hour(pub i64);

impl Timestamp {
    /// The hour that begins at this instant, or `None` when none does.
    pub fn on_the_hour(self) -> Option<Hour> {
        (self.0.rem_euclid(HOUR_MICROS) == 0).then(|| self.hour())
    }

    /// The hour in course at this instant.
    pub fn hour(self) -> Hour {
        Hour(self.0.div_euclid(HOUR_MICROS))
    }

    /// The instant `minutes` later.
    pub fn plus_minutes(self, minutes: i64) -> Self {
        Self(self.0.saturating_add(minutes.saturating_mul(MINUTE_MICROS)))
    }

    /// The first hour that does not begin before this instant.
    pub fn next_hour(self) -> Hour {
        self.on_the_hour().unwrap_or(Hour(self.hour().0 + 1))
    }

    /// The instant `hours` later.
    pub fn plus_hours(self, hours: i64) -> Self {
        Self(self.0.saturating_add(hours.saturating_mul(HOUR_MICROS)))
    }
}

impl Hour {
    /// The instant at which this hour begins.
    pub fn begins(self) -> Timestamp {
        Timestamp(self.0.saturating_mul(HOUR_MICROS))
    }

    /// The instant at which this hour is over.
    pub fn ends(self) -> Timestamp {
        Hour(self.0 + 1).begins()
    }

    /// The hour of the week, 0 for Monday 00:00 UTC. (1970-01-01 was a Thursday.)
    pub fn of_week(self) -> usize {
        usize::try_from((self.0 + 72).rem_euclid(168)).expect("168 fits in a usize")
    }
}

impl Hour {
    /// The period of this hour alone.
    pub fn alone(self) -> Period {
        Period {
            start: self,
            end: Hour(self.0 + 1),
        }
    }
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hour {}", self.0)
    }
}

/// A delivery period: whole hours `[start, end)`, never empty.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Period {
    /// The first hour.
    pub start: Hour,
    /// The hour after the last one.
    pub end: Hour,
}

impl Period {
    /// The period between two instants, if it begins and ends on the hour, is not empty, ends at
    /// most 400 days after `at` (MATCHING, Terms), and lies in the years 1970 to 9998.
    pub fn try_new(start: Timestamp, end: Timestamp, at: Timestamp) -> Option<Self> {
        let horizon = at.plus_hours(HORIZON_HOURS);
        let period = Self {
            start: start.on_the_hour()?,
            end: end.on_the_hour()?,
        };
        let within = FIRST <= period.start && period.end <= LAST;
        (start < end && end <= horizon && within).then_some(period)
    }

    /// How many hours it has.
    pub fn hours(self) -> i64 {
        self.end.0 - self.start.0
    }

    /// Whether it has every hour of `other`.
    pub fn covers(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Whether it has this hour.
    pub fn contains(self, hour: Hour) -> bool {
        self.start <= hour && hour < self.end
    }

    /// Its hours, first to last.
    pub fn each(self) -> impl Iterator<Item = Hour> {
        (self.start.0..self.end.0).map(Hour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_monday() {
        // 2026-11-02T00:00:00Z, a Monday.
        let monday = Timestamp(1_793_577_600_000_000).on_the_hour().unwrap();
        assert_eq!(monday.of_week(), 0);
        assert_eq!(Hour(monday.0 - 1).of_week(), 167);
    }

    #[test]
    fn a_period_is_on_the_hour_not_empty_and_within_the_horizon() {
        let at = Timestamp(0);
        let hour = |n: i64| Hour(n).begins();
        assert!(Period::try_new(hour(1), hour(2), at).is_some());
        assert!(Period::try_new(hour(2), hour(2), at).is_none());
        assert!(Period::try_new(hour(2), hour(1), at).is_none());
        assert!(Period::try_new(Timestamp(1), hour(2), at).is_none());
        assert!(Period::try_new(hour(1), hour(9600), at).is_some());
        assert!(Period::try_new(hour(1), hour(9601), at).is_none());
        assert!(Period::try_new(hour(0), hour(1), at).is_some());
        assert!(Period::try_new(hour(-1), hour(1), at).is_none());
        assert!(Period::try_new(hour(LAST.0 - 1), hour(LAST.0), LAST.begins()).is_some());
        assert!(Period::try_new(hour(LAST.0 - 1), hour(LAST.0 + 1), LAST.begins()).is_none());
    }
}
