//! Units by hour, kept where they change: what an ask has sold, what of a pool is leased.

use crate::time::{Hour, Period};

/// How many units there are in each hour: none but where units were added.
///
/// It takes 16 bytes for each hour in which the number changes, 8 while it is empty, and equals
/// another one when each hour has the same units in both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps(Option<Box<Changes>>);

/// From which hour there are how many, until the next one; never the same as the one before. There
/// is at least one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Changes(Vec<(Hour, i64)>);

impl Steps {
    fn changes(&self) -> &[(Hour, i64)] {
        self.0.as_ref().map_or(&[], |changes| &changes.0)
    }

    /// Whether no hour has any.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The units in an hour.
    pub fn at(&self, hour: Hour) -> i64 {
        let place = self.changes().partition_point(|(from, _)| *from <= hour);
        value(self.changes(), place)
    }

    /// Adds units, or takes some away, in every hour of a period.
    pub fn add(&mut self, period: Period, units: i64) {
        let changes = &mut self.0.get_or_insert_default().0;
        let first = cut(changes, period.start);
        let last = cut(changes, period.end);
        for (_, value) in &mut changes[first..last] {
            *value += units;
        }
        join(changes, last);
        join(changes, first);
        if changes.is_empty() {
            self.0 = None;
        }
    }

    /// The stretches of a period with the units in each, first to last; neighbours differ.
    pub fn pieces(&self, period: Period) -> impl Iterator<Item = (Period, i64)> + '_ {
        let changes = self.changes();
        let mut place = changes.partition_point(|(from, _)| *from <= period.start);
        let mut start = period.start;
        std::iter::from_fn(move || {
            if start >= period.end {
                return None;
            }
            let units = value(changes, place);
            let next = changes.get(place).map_or(period.end, |(from, _)| *from);
            let end = next.min(period.end);
            let piece = Period { start, end };
            start = end;
            place += 1;
            Some((piece, units))
        })
    }

    /// The most units in any hour of a period.
    pub fn most(&self, period: Period) -> i64 {
        let pieces = self.pieces(period);
        pieces.map(|(_, units)| units).max().unwrap_or(0)
    }

    /// The fewest units in any hour of a period.
    pub fn least(&self, period: Period) -> i64 {
        let pieces = self.pieces(period);
        pieces.map(|(_, units)| units).min().unwrap_or(0)
    }

    /// The units of all hours together.
    pub fn sum(&self) -> i64 {
        let stretches = self.changes().windows(2);
        stretches
            .map(|pair| pair[0].1 * (pair[1].0.0 - pair[0].0.0))
            .sum()
    }
}

/// The units before the change of this place.
fn value(changes: &[(Hour, i64)], place: usize) -> i64 {
    place.checked_sub(1).map_or(0, |before| changes[before].1)
}

/// The place of the change at this hour, made one.
fn cut(changes: &mut Vec<(Hour, i64)>, hour: Hour) -> usize {
    let place = changes.partition_point(|(from, _)| *from < hour);
    if changes.get(place).is_none_or(|(from, _)| *from != hour) {
        let value = value(changes, place);
        changes.insert(place, (hour, value));
    }
    place
}

/// Forgets a change that is none.
fn join(changes: &mut Vec<(Hour, i64)>, place: usize) {
    if changes[place].1 == value(changes, place) {
        changes.remove(place);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn period(start: i64, end: i64) -> Period {
        Period {
            start: Hour(start),
            end: Hour(end),
        }
    }

    proptest! {
        #[test]
        fn steps_are_as_units_by_hour(
            added in proptest::collection::vec((0..30_i64, 1..10_i64, -3..4_i64), 0..20),
            asked in (0..30_i64, 1..12_i64),
        ) {
            let mut steps = Steps::default();
            let mut hours = [0_i64; 40];
            for (start, length, units) in added {
                steps.add(period(start, start + length), units);
                for hour in start..start + length {
                    hours[usize::try_from(hour).unwrap()] += units;
                }
            }
            for (hour, units) in (0..).zip(hours) {
                prop_assert_eq!(steps.at(Hour(hour)), units);
            }
            let asked = period(asked.0, (asked.0 + asked.1).min(40));
            let of = |hour: Hour| hours[usize::try_from(hour.0).unwrap()];
            let within: Vec<i64> = asked.each().map(of).collect();
            let pieces = steps.pieces(asked);
            let again: Vec<i64> = pieces.flat_map(|(piece, units)| piece.each().map(move |_| units)).collect();
            prop_assert_eq!(&again, &within);
            prop_assert_eq!(steps.most(asked), *within.iter().max().unwrap());
            prop_assert_eq!(steps.least(asked), *within.iter().min().unwrap());
            prop_assert_eq!(steps.sum(), hours.iter().sum::<i64>());
            let mut plain = Steps::default();
            for (hour, units) in (0..).zip(hours) {
                plain.add(Hour(hour).alone(), units);
            }
            prop_assert_eq!(steps, plain);
        }
    }
}
