//! Where a leaf that is full is cut.
//!
//! Always at a whole power of two inside what its entries span, so that a number is cut at most
//! once for each of its bits, whatever comes in whatever order, and nothing is ever built anew.

use super::terms::Terms;
use super::tree::{Entry, Side};

/// The number by which a cut is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Term(u8),
    Worth,
    Acceptance,
}

/// An entry whose number is at least `at` is beyond the cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    by: By,
    at: u64,
}

/// In which turn the rank comes, after the four terms.
const RANK: u8 = 4;

impl Cut {
    /// 0 on this side of the cut, 1 beyond it.
    #[inline]
    pub(super) fn side(&self, entry: &Entry) -> usize {
        usize::from(value(entry, self.by) >= self.at)
    }

    /// In which turn it is made.
    pub(super) fn by(&self) -> u8 {
        match self.by {
            By::Term(term) => term,
            By::Worth | By::Acceptance => RANK,
        }
    }

    /// How many entries are on the side that has fewer.
    fn balance(self, entries: &[Entry]) -> usize {
        let beyond = entries.iter().filter(|entry| self.side(entry) == 1).count();
        beyond.min(entries.len() - beyond)
    }
}

#[inline]
fn value(entry: &Entry, by: By) -> u64 {
    match by {
        By::Term(term) => u64::from(entry.terms.0[usize::from(term)]),
        By::Worth => entry.rank.worth,
        By::Acceptance => entry.rank.acceptance(),
    }
}

/// The cut by a number at the highest bit in which its least and greatest differ.
fn middle(entries: &[Entry], by: By) -> Option<Cut> {
    let values = || entries.iter().map(|entry| value(entry, by));
    let at = split_point(values().min()?, values().max()?)?;
    Some(Cut { by, at })
}

/// The multiple of the greatest power of two that lies above the first and not above the last.
fn split_point(first: u64, last: u64) -> Option<u64> {
    let bit = (first ^ last).checked_ilog2()?;
    Some((last >> bit) << bit)
}

fn by_rank(entries: &[Entry]) -> Option<Cut> {
    middle(entries, By::Worth).or_else(|| middle(entries, By::Acceptance))
}

/// Where to cut a leaf. While its hours lie apart: beside the hour that most of them are cut at.
/// When all have an hour in common: by each number in turn in which they differ, or by rank alone
/// where they differ in no more than one.
pub(super) fn best_cut(side: Side, entries: &[Entry], turn: u8) -> Option<Cut> {
    let apart = by_time(side, entries);
    let eighth = entries.len() >> 3;
    if let Some(cut) = apart.filter(|cut| cut.balance(entries) >= eighth) {
        return Some(cut);
    }
    let terms = (0..RANK).filter_map(|term| middle(entries, By::Term(term)));
    let terms: Vec<Cut> = terms.collect();
    let rank = by_rank(entries);
    let alone = rank.filter(|_| terms.len() <= 1 && apart.is_none());
    if alone.is_some() {
        return alone;
    }
    let all = || terms.iter().copied().chain(rank);
    let after = all().filter(|cut| cut.by() > turn);
    let mut in_turn = after.chain(all().filter(|cut| cut.by() <= turn));
    let quarter = entries.len() >> 2;
    in_turn
        .find(|cut| cut.balance(entries) >= quarter)
        .or_else(|| all().chain(apart).max_by_key(|cut| cut.balance(entries)))
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
    let middle = split_point(first.into(), u64::from(last).checked_sub(1)?)?;
    let middle = u32::try_from(middle).ok()?;
    let begins_after = entries.iter().any(|entry| hours(entry).0 >= middle);
    let ends_before = entries.iter().any(|entry| hours(entry).1 <= middle);
    // An entry is beyond the cut when its number is at least this; of what is reversed, those
    // are beyond it that are not.
    let (by, at) = match (side, begins_after, ends_before) {
        (_, false, false) => return None,
        (Side::Asks, true, _) => (By::Term(0), middle),
        (Side::Asks, false, true) => (By::Term(1), !middle),
        (Side::Bids, true, _) => (By::Term(0), !middle + 1),
        (Side::Bids, false, true) => (By::Term(1), middle + 1),
    };
    Some(Cut { by, at: at.into() })
}
