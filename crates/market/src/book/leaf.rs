//! Some orders side by side, without order among them.
//!
//! What they demand stands apart from their ranks and numbers, so that what fits none of them is seen
//! over few lines of memory.

use super::terms::{Rank, Terms};
use crate::id::OrderId;

/// The most entries of a leaf.
pub(super) const LEAF: usize = 32;

/// An order in a tree; an ask whose offer differs by hour has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) rank: Rank,
    pub(super) terms: Terms,
    pub(super) order: OrderId,
}

/// The least of each number among some entries: what none of them demands less than.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) rank: Rank,
    pub(super) terms: Terms,
}

impl Bounds {
    pub(super) fn of(entry: &Entry) -> Self {
        Self {
            rank: entry.rank,
            terms: entry.terms,
        }
    }

    #[inline]
    pub(super) fn with(self, other: Self) -> Self {
        Self {
            rank: self.rank.min(other.rank),
            terms: self.terms.least(other.terms),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Leaf {
    len: usize,
    terms: [Terms; LEAF],
    ranks: [Rank; LEAF],
    orders: [OrderId; LEAF],
}

impl Leaf {
    pub(super) fn new() -> Self {
        Self {
            len: 0,
            terms: [Terms::ALL; LEAF],
            ranks: [Rank::LAST; LEAF],
            orders: [OrderId(0); LEAF],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_full(&self) -> bool {
        self.len == LEAF
    }

    pub(super) fn rank(&self, place: usize) -> Rank {
        self.ranks[place]
    }

    pub(super) fn entry(&self, place: usize) -> Entry {
        Entry {
            rank: self.ranks[place],
            terms: self.terms[place],
            order: self.orders[place],
        }
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        (0..self.len).map(|place| self.entry(place))
    }

    /// The least of each number among all its entries.
    pub(super) fn bounds(&self) -> Bounds {
        let ranks = self.ranks[..self.len].iter();
        let terms = self.terms[..self.len].iter();
        Bounds {
            rank: ranks.min().copied().unwrap_or(Rank::LAST),
            terms: terms.fold(Terms::ALL, |least, terms| least.least(*terms)),
        }
    }

    /// Adds an entry; there is room for it.
    pub(super) fn push(&mut self, entry: &Entry) {
        let place = self.len;
        self.terms[place] = entry.terms;
        self.ranks[place] = entry.rank;
        self.orders[place] = entry.order;
        self.len += 1;
    }

    /// Where an entry is.
    pub(super) fn find(&self, entry: &Entry) -> Option<usize> {
        let mut places = (0..self.len).filter(|place| self.orders[*place] == entry.order);
        places.find(|place| self.entry(*place) == *entry)
    }

    /// Takes out what is at a place; the last entry comes there.
    pub(super) fn swap_remove(&mut self, place: usize) {
        self.len -= 1;
        let last = self.len;
        self.terms[place] = self.terms[last];
        self.ranks[place] = self.ranks[last];
        self.orders[place] = self.orders[last];
    }

    /// Whether these are the least of each term still, now that an entry with these terms is gone.
    pub(super) fn keeps(&self, least: Terms, gone: Terms) -> bool {
        let left = &self.terms[..self.len];
        let mut numbers = 0..least.0.len();
        numbers.all(|number| {
            let least = least.0[number];
            least < gone.0[number] || left.iter().any(|terms| terms.0[number] == least)
        })
    }

    /// The place of the entry with the best rank of those that demand no more than is given and that
    /// pass.
    #[inline]
    pub(super) fn best(&self, given: Terms, passes: impl Fn(Rank, Terms) -> bool) -> Option<usize> {
        let mut fitting = 0_u32;
        for (place, terms) in self.terms[..self.len].iter().enumerate() {
            fitting |= u32::from(terms.fits(given)) << place;
        }
        let mut best: Option<usize> = None;
        for place in 0..self.len {
            if fitting >> place == 0 {
                break;
            }
            let (rank, terms) = (self.ranks[place], self.terms[place]);
            let is_better = best.is_none_or(|best| rank < self.ranks[best]);
            if fitting >> place & 1 == 1 && is_better && passes(rank, terms) {
                best = Some(place);
            }
        }
        best
    }
}
