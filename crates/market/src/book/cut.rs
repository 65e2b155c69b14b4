//! Where entries are cut in two.
//!
//! Always between two of their values, near where the parts are as large as is wanted: so many
//! entries are never cut into a few and nearly all of them while one of their numbers allows better.

use super::leaf::Entry;
use super::terms::{Rank, Terms, reversed};
use super::tree::Side;

/// In which turn the rank comes, after the four terms.
pub(super) const RANK: u8 = 4;

/// In which turn the fewest hours of asks come.
const HOURS: u8 = 3;

/// An entry of which the number at `by` is at least `at` is beyond the cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    at: u128,
    by: u8,
}

impl Cut {
    /// 0 on this side of the cut, 1 beyond it.
    #[inline]
    pub(super) fn side(self, entry: &Entry) -> usize {
        usize::from(number(entry, self.by) >= self.at)
    }

    /// In which turn it is made.
    pub(super) fn by(self) -> u8 {
        self.by
    }

    /// Beyond it are a rank and all that come after.
    pub(super) fn by_rank(rank: Rank) -> Self {
        Self {
            at: rank.number(),
            by: RANK,
        }
    }

    /// From which rank on entries are beyond it, where it is one by rank.
    pub(super) fn rank(self) -> Option<Rank> {
        (self.by == RANK).then(|| Rank::of_number(self.at))
    }

    /// Puts what is beyond the cut behind the others; how many those are.
    pub(super) fn part(self, entries: &mut [Entry]) -> usize {
        let mut from = 0;
        for at in 0..entries.len() {
            if self.side(&entries[at]) == 0 {
                entries.swap(from, at);
                from += 1;
            }
        }
        from
    }
}

/// A term, or the rank.
#[inline]
fn number(entry: &Entry, by: u8) -> u128 {
    match entry.terms.0.get(usize::from(by)) {
        Some(term) => u128::from(*term),
        None => entry.rank.number(),
    }
}

/// The cut by a number beside the entry at a place in its order, and how many entries are on the
/// side that has fewer; `None` when it is the same of all.
fn beside(entries: &[Entry], by: u8, near: usize) -> Option<(Cut, usize)> {
    let mut values: Vec<u128> = entries.iter().map(|entry| number(entry, by)).collect();
    let count = values.len();
    let (low, here, high) = values.select_nth_unstable(near.min(count.checked_sub(1)?));
    let here = *here;
    let below = low.iter().filter(|value| **value < here).count();
    let above = high.iter().filter(|value| **value > here).count();
    let (at, fewer) = if below.min(count - below) >= above {
        (here, below.min(count - below))
    } else {
        let next = high.iter().copied().filter(|value| *value > here).min();
        (next.unwrap_or(here), above.min(count - above))
    };
    (fewer > 0).then_some((Cut { at, by }, fewer))
}

/// The cut of asks by their fewest hours at a power of two that leaves the most on the side that has
/// fewer; `None` when those of all are between two of them.
///
/// A bid's hours lie between two powers of two: before that, every ask sells so few hours, and beyond it
/// none does. Where the fewest hours were only cut in turn, the many that are far beyond would hide
/// the few that are not.
fn by_fewest_hours(entries: &[Entry]) -> Option<Cut> {
    let class = |entry: &Entry| entry.terms.0[3].checked_ilog2().unwrap_or(0);
    let mut counts = [0_usize; 32];
    for entry in entries {
        counts[usize::try_from(class(entry)).unwrap_or(0)] += 1;
    }
    let mut below = 0;
    let sides = (1..32_u8).zip(&counts).map(|(bit, count)| {
        below += count;
        (below.min(entries.len() - below), bit)
    });
    let (fewer, bit) = sides.max()?;
    let at = 1 << bit;
    (fewer > 0).then_some(Cut { at, by: HOURS })
}

/// Where to cut entries, `near` of which are to be on this side, if they can be cut at all.
///
/// While their hours lie apart: by start or end, in turn. When all have an hour in common: by each
/// number in turn that does not leave too few on one side, or by rank alone where they differ in no
/// more than one term.
pub(super) fn best_cut(side: Side, entries: &[Entry], turn: u8, near: usize) -> Option<Cut> {
    if side == Side::Asks
        && let Some(cut) = by_fewest_hours(entries)
    {
        return Some(cut);
    }
    if are_apart(side, entries) {
        let eighth = entries.len() >> 3;
        let turns = if turn == 0 { [1, 0] } else { [0, 1] };
        let cuts = turns.into_iter().filter_map(|by| beside(entries, by, near));
        let even = cuts
            .filter(|(_, fewer)| *fewer >= eighth)
            .map(|(cut, _)| cut);
        if let Some(cut) = even.into_iter().next() {
            return Some(cut);
        }
    }
    let first = entries.first()?;
    let differ = |by: u8| {
        entries
            .iter()
            .any(|entry| number(entry, by) != number(first, by))
    };
    if (0..RANK).filter(|by| differ(*by)).count() <= 1
        && let Some((cut, _)) = beside(entries, RANK, near)
    {
        return Some(cut);
    }
    // What is cut by another number for the sake of even parts is opened in vain later.
    let few = entries.len() >> 4;
    let mut uneven: Option<(Cut, usize)> = None;
    for by in (turn + 1..=RANK).chain(0..=turn.min(RANK)) {
        let Some((cut, fewer)) = beside(entries, by, near) else {
            continue;
        };
        if fewer >= few {
            return Some(cut);
        }
        if uneven.is_none_or(|(_, most)| fewer > most) {
            uneven = Some((cut, fewer));
        }
    }
    uneven.map(|(cut, _)| cut)
}

/// Whether no hour is one of all entries.
fn are_apart(side: Side, entries: &[Entry]) -> bool {
    let hours = |entry: &Entry| {
        let Terms([one, two, ..]) = entry.terms;
        match side {
            Side::Asks => (one, reversed(two)),
            Side::Bids => (reversed(one), two),
        }
    };
    let last_start = entries.iter().map(|entry| hours(entry).0).max();
    let first_end = entries.iter().map(|entry| hours(entry).1).min();
    last_start >= first_end
}
