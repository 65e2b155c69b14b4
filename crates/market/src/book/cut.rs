//! Where a leaf that is full is cut.
//!
//! Always at a whole power of two inside what its entries span, so that a number is cut at most
//! once for each of its bits, whatever comes in whatever order, and nothing is ever built anew.

use super::terms::Terms;
use super::tree::{Entry, Side};

/// The four terms of an entry.
pub(super) type Numbers = [u32; 4];

/// In which turn the rank comes, after the four terms.
pub(super) const RANK: u8 = 4;

/// An entry of which the number at `by` is at least `at` is beyond the cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    by: u8,
    at: u32,
}

impl Cut {
    /// 0 on this side of the cut, 1 beyond it.
    #[inline]
    pub(super) fn side(self, numbers: &Numbers) -> usize {
        usize::from(numbers[usize::from(self.by)] >= self.at)
    }

    /// In which turn it is made.
    pub(super) fn by(self) -> u8 {
        self.by
    }

    /// How many entries are on the side that has fewer.
    fn balance(self, entries: &[Entry]) -> usize {
        let sides = entries.iter().map(|entry| self.side(&entry.numbers()));
        let beyond: usize = sides.sum();
        beyond.min(entries.len() - beyond)
    }
}

/// The cut by a term at the highest bit in which its least and greatest differ.
fn middle(entries: &[Entry], by: u8) -> Option<Cut> {
    let values = || entries.iter().map(|entry| entry.numbers()[usize::from(by)]);
    let at = split_point(values().min()?, values().max()?)?;
    Some(Cut { by, at })
}

/// The multiple of the greatest power of two that lies above the first and not above the last.
fn split_point(first: u32, last: u32) -> Option<u32> {
    let bit = (first ^ last).checked_ilog2()?;
    Some((last >> bit) << bit)
}

/// Where to cut a leaf: by a term, or by rank (`Some(None)`), if it can be cut at all.
///
/// While its hours lie apart: beside the hour that most of them are cut at. When all have an hour
/// in common: by each number in turn in which they differ, or by rank alone where they differ in no
/// more than one term.
#[expect(
    clippy::option_option,
    reason = "whether to cut, and whether by a term"
)]
pub(super) fn best_cut(side: Side, entries: &[Entry], turn: u8) -> Option<Option<Cut>> {
    let apart = by_time(side, entries);
    let eighth = entries.len() >> 3;
    if let Some(cut) = apart.filter(|cut| cut.balance(entries) >= eighth) {
        return Some(Some(cut));
    }
    let terms: [Option<Cut>; 4] = [0, 1, 2, 3].map(|term| middle(entries, term));
    let terms = || terms.iter().flatten().copied();
    let by_rank = entries.first()?.rank < entries.last()?.rank;
    if by_rank && apart.is_none() && terms().count() <= 1 {
        return Some(None);
    }
    // What is cut by another number for the sake of even parts is opened in vain later.
    let few = entries.len() >> 4;
    let even = |cut: &Cut| cut.balance(entries) >= few;
    let later = terms().filter(|cut| cut.by() > turn).find(even);
    if later.is_some() {
        return Some(later);
    }
    if by_rank && turn != RANK {
        return Some(None);
    }
    let earlier = terms().filter(|cut| cut.by() <= turn).find(even);
    if earlier.is_some() || by_rank {
        return Some(earlier);
    }
    let uneven = terms().chain(apart);
    uneven.max_by_key(|cut| cut.balance(entries)).map(Some)
}

/// What divides entries that end before the middle of all their hours, or begin after it, from the
/// others; `None` when all of them have that middle inside.
fn by_time(side: Side, entries: &[Entry]) -> Option<Cut> {
    let hours = |entry: &Entry| {
        let Terms([one, two, ..]) = entry.terms;
        match side {
            Side::Asks => (one, !two),
            Side::Bids => (!one, two),
        }
    };
    let first = entries.iter().map(|entry| hours(entry).0).min()?;
    let last = entries.iter().map(|entry| hours(entry).1).max()?;
    let middle = split_point(first, last.checked_sub(1)?)?;
    let begins_after = entries.iter().any(|entry| hours(entry).0 >= middle);
    let ends_before = entries.iter().any(|entry| hours(entry).1 <= middle);
    // An entry is beyond the cut when its number is at least this; of what is reversed, those
    // are beyond it that are not.
    let (by, at) = match (side, begins_after, ends_before) {
        (_, false, false) => return None,
        (Side::Asks, true, _) => (0, middle),
        (Side::Asks, false, true) => (1, !middle),
        (Side::Bids, true, _) => (0, !middle + 1),
        (Side::Bids, false, true) => (1, middle + 1),
    };
    Some(Cut { by, at })
}
