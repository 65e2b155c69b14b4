//! What an ask offers where that differs by hour.

use super::terms::{Terms, reversed};
use crate::time::{Hour, Period};

/// What an ask offers in stretches of hours, first to last and without gaps between them, with the
/// least of any of them found in few steps.
#[derive(Clone, Debug)]
pub struct Uneven {
    /// The first hour of each stretch, then the hour after the last one.
    starts: Vec<Hour>,
    /// The least units of pairs, pairs of pairs and so on; the second half has each stretch.
    least: Vec<i64>,
}

impl Uneven {
    /// Of stretches and the units offered in each hour of them.
    pub fn new(stretches: &[(Period, i64)]) -> Self {
        let mut starts: Vec<Hour> = stretches.iter().map(|(hours, _)| hours.start).collect();
        starts.extend(stretches.last().map(|(hours, _)| hours.end));
        let count = stretches.len();
        let mut least = vec![i64::MAX; count];
        least.extend(stretches.iter().map(|(_, units)| *units));
        for at in (1..count).rev() {
            least[at] = least[2 * at].min(least[2 * at + 1]);
        }
        Self { starts, least }
    }

    /// The least units offered in any hour from the first to the one before the end; none in hours
    /// that are in no stretch.
    pub fn least(&self, start: Hour, end: Hour) -> i64 {
        let within = self.starts.first().is_some_and(|first| *first <= start)
            && self.starts.last().is_some_and(|last| end <= *last);
        if !within {
            return 0;
        }
        let count = self.least.len() >> 1;
        let mut from = count + self.starts.partition_point(|first| *first <= start) - 1;
        let mut to = count + self.starts.partition_point(|first| *first < end);
        let mut least = i64::MAX;
        while from < to {
            if from & 1 == 1 {
                least = least.min(self.least[from]);
                from += 1;
            }
            if to & 1 == 1 {
                to -= 1;
                least = least.min(self.least[to]);
            }
            (from, to) = (from >> 1, to >> 1);
        }
        least
    }

    /// Whether a bid can be served; of bounds of several bids, whether one of them may be: all of
    /// them have the hours between the last start and the first end.
    pub(super) fn serves(&self, bid: Terms) -> bool {
        let [start, end, need, _] = bid.0;
        let (start, end) = (reversed(start), end);
        let least = || self.least(Hour(start.into()), Hour(end.into()));
        start >= end || least() >= i64::from(need)
    }
}

/// The hours and units of the largest offers that an ask still makes: whatever it can sell lies
/// within one of them, and all of each can be sold. At most one for each stretch.
pub fn largest(stretches: &[(Period, i64)], lot: i64) -> Vec<(Period, i64)> {
    let mut found = Vec::new();
    // From which hour on so many units are offered, fewer first.
    let mut open: Vec<(Hour, i64)> = Vec::new();
    let end = stretches.last().map(|(hours, _)| hours.end);
    let steps = stretches.iter().map(|(hours, units)| (hours.start, *units));
    for (hour, units) in steps.chain(end.map(|end| (end, 0))) {
        let mut from = hour;
        while let Some((start, more)) = open.pop_if(|(_, more)| *more > units) {
            if more >= lot {
                found.push((Period { start, end: hour }, more));
            }
            from = start;
        }
        if open.last().is_none_or(|(_, fewer)| *fewer < units) {
            open.push((from, units));
        }
    }
    found.sort_unstable();
    found
}
