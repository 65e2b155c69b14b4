//! What an order demands of its counterpart, as four numbers of which each can be compared alone.

use std::cmp::Ordering;

use crate::money::Money;
use crate::time::Period;

/// Where an order stands among those of its side: at the better price, then earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    /// The lower, the better for the counterpart: an ask's price; of a bid, how far its limit is
    /// from the highest there can be.
    pub(super) worth: u64,
    acceptance: u64,
}

impl Ord for Rank {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().cmp(&other.number())
    }
}

impl PartialOrd for Rank {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Rank {
    /// No order has a worse one.
    pub(super) const LAST: Self = Self {
        worth: u64::MAX,
        acceptance: u64::MAX,
    };

    /// Both numbers as one: compared without a branch.
    #[inline]
    pub(super) fn number(self) -> u128 {
        (u128::from(self.worth) << 64) | u128::from(self.acceptance)
    }

    /// The rank of which both numbers are this one.
    pub(super) fn of_number(number: u128) -> Self {
        let half = |number: u128| u64::try_from(number & u128::from(u64::MAX)).unwrap_or(u64::MAX);
        Self {
            worth: half(number >> 64),
            acceptance: half(number),
        }
    }

    /// The rank of an ask.
    pub fn of_ask(price: Money, acceptance: i64) -> Self {
        Self {
            worth: whole(price.0),
            acceptance: whole(acceptance),
        }
    }

    /// The rank of a bid.
    pub fn of_bid(limit: Money, acceptance: i64) -> Self {
        Self {
            worth: u64::MAX - whole(limit.0),
            acceptance: whole(acceptance),
        }
    }
}

/// The greatest term.
const MOST: u32 = u32::MAX >> 1;

/// The highest bits of two terms side by side, which no term has.
const HIGHEST: u64 = 0x8000_0000_8000_0000;

/// What an order demands, or what one that arrives gives: an order fits what is given when each of
/// its four demands is at most that.
///
/// | | an ask demands | a bid gives it | a bid demands | an ask gives it |
/// | --- | --- | --- | --- | --- |
/// | 0 | its first hour | the first hour | start, reversed | first hour, reversed |
/// | 1 | its end, reversed | the end, reversed | its end | the end |
/// | 2 | its units, reversed | the need, reversed | its need | the units |
/// | 3 | its fewest hours | the hours | its hours, reversed | fewest hours, reversed |
///
/// Reversed is the distance from the greatest number. What is greater than 31 bits counts as the
/// greatest, so that what fits is never missed; who trades looks at the orders themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Terms(pub(super) [u32; 4]);

impl Terms {
    /// What every order fits.
    pub const ALL: Self = Self([MOST; 4]);

    /// Of an ask that offers at most so many units in these hours.
    pub fn of_ask(hours: Period, units: i64, min_hours: i64) -> Self {
        let (start, end) = bounds(hours);
        Self([
            start,
            reversed(end),
            reversed(small(units)),
            small(min_hours),
        ])
    }

    /// Of a bid for these hours that trades with nothing less than its need.
    pub fn of_bid(hours: Period, need: i64) -> Self {
        let (start, end) = bounds(hours);
        Self([
            reversed(start),
            end,
            small(need),
            reversed(small(hours.hours())),
        ])
    }

    /// What a bid gives to asks.
    pub fn given_by_bid(hours: Period, need: i64) -> Self {
        let (start, end) = bounds(hours);
        Self([
            start,
            reversed(end),
            reversed(small(need)),
            small(hours.hours()),
        ])
    }

    /// What an ask gives to bids.
    pub fn given_by_ask(hours: Period, units: i64, min_hours: i64) -> Self {
        let (start, end) = bounds(hours);
        Self([
            reversed(start),
            end,
            small(units),
            reversed(small(min_hours)),
        ])
    }

    /// The same, given by a bid for so many hours: some of them are gone and need not be covered.
    #[must_use]
    pub fn lasting(mut self, hours: i64) -> Self {
        self.0[3] = small(hours);
        self
    }

    /// Whether each is at most what is given: all four are compared by two subtractions, in which
    /// the highest bit of each stays where it is enough.
    #[inline]
    pub(super) fn fits(self, given: Self) -> bool {
        let [a, b, c, d] = self.0;
        let [w, x, y, z] = given.0;
        let one = (pair(w, x) | HIGHEST).wrapping_sub(pair(a, b));
        let two = (pair(y, z) | HIGHEST).wrapping_sub(pair(c, d));
        one & two & HIGHEST == HIGHEST
    }

    /// The least of each.
    #[inline]
    pub(super) fn least(self, other: Self) -> Self {
        let [a, b, c, d] = self.0;
        let [w, x, y, z] = other.0;
        Self([a.min(w), b.min(x), c.min(y), d.min(z)])
    }
}

fn bounds(hours: Period) -> (u32, u32) {
    (small(hours.start.0), small(hours.end.0))
}

fn small(number: i64) -> u32 {
    u32::try_from(number.max(0)).map_or(MOST, |number| number.min(MOST))
}

/// How far a term is from the greatest.
#[inline]
pub(super) fn reversed(term: u32) -> u32 {
    MOST - term
}

#[inline]
fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | (u64::from(high) << 32)
}

fn whole(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
