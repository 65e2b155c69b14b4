//! The next order that fits what another one gives, in order of rank.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::offer::Uneven;
use super::terms::{Rank, Terms};
use super::tree::{Kid, Part, Tree};
use crate::id::OrderId;
use crate::money::Money;

/// An order that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Which order.
    pub order: OrderId,
    /// Where it stands among those of its side.
    pub rank: Rank,
}

/// Goes through the orders of some books that fit, the best rank first. What is given may become
/// less on the way, never more.
///
/// It holds the parts of trees that could have such an order, and always opens the one whose
/// bounds have the best rank: what it opens in vain has bounds that come from several orders.
pub struct Search<'a> {
    given: Terms,
    /// What none may be worse than.
    worst: u64,
    /// Only what comes after this: an ask with several entries is found once.
    after: Option<Rank>,
    uneven: Option<Uneven>,
    ahead: BinaryHeap<Reverse<Spot<'a>>>,
}

/// A part of a tree, or the entry of a leaf, and the best rank that can be there.
struct Spot<'a> {
    rank: Rank,
    tree: &'a Tree,
    place: Place,
}

/// Where a search goes on.
#[derive(Clone, Copy)]
enum Place {
    Part(Kid),
    /// The parts of a ladder from one on.
    Rungs(u32, usize),
    /// An entry of a leaf of a block.
    Entry(u32, u16, usize),
}

impl PartialEq for Spot<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Spot<'_> {}

impl PartialOrd for Spot<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Spot<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.cmp(&other.rank)
    }
}

/// How many parts a search mostly has ahead.
const AHEAD: usize = 30;

impl<'a> Search<'a> {
    /// For a bid: the asks up to its limit that fit what it gives.
    pub fn of_asks(given: Terms, limit: Money) -> Self {
        Self::new(given, Rank::of_ask(limit, 0))
    }

    /// For an ask: the bids from its price on that fit what it gives.
    pub fn of_bids(given: Terms, price: Money) -> Self {
        Self::new(given, Rank::of_bid(price, 0))
    }

    fn new(given: Terms, worst: Rank) -> Self {
        Self {
            given,
            worst: worst.worth,
            after: None,
            uneven: None,
            ahead: BinaryHeap::new(),
        }
    }

    /// Only what comes after this rank.
    #[must_use]
    pub fn after(mut self, rank: Option<Rank>) -> Self {
        self.after = rank;
        self
    }

    /// Whether there is nothing left to find.
    pub fn is_over(&self) -> bool {
        self.ahead.is_empty()
    }

    /// From now on what is given differs by hour.
    pub fn becomes_uneven(&mut self, offer: Uneven) {
        self.uneven = Some(offer);
    }

    /// From now on less is given.
    pub fn lower(&mut self, given: Terms) {
        self.given = given;
    }

    pub(super) fn add(&mut self, tree: &'a Tree) {
        let Some(Part { bounds, kid }) = tree.root() else {
            return;
        };
        if self.can_have(bounds.rank, bounds.terms) {
            if self.ahead.capacity() == 0 {
                self.ahead.reserve(AHEAD);
            }
            self.ahead.push(Reverse(Spot {
                rank: bounds.rank,
                tree,
                place: Place::Part(kid),
            }));
        }
    }

    #[inline]
    fn can_have(&self, rank: Rank, terms: Terms) -> bool {
        rank.worth <= self.worst && terms.fits(self.given) && self.can_serve(terms)
    }

    /// Whether nothing of this rank was found yet.
    fn is_ahead(&self, rank: Rank) -> bool {
        self.after.is_none_or(|after| rank > after)
    }

    /// Whether what is given by hour is enough.
    #[inline]
    fn can_serve(&self, terms: Terms) -> bool {
        let offer = self.uneven.as_ref();
        offer.is_none_or(|offer| offer.serves(terms))
    }

    /// The entry of a block with the best rank of those that fit and were not found yet. Leaf after leaf
    /// is looked at where it lies: to put each in order among all parts that are ahead costs more than
    /// to open some that come later.
    fn first_of(&self, tree: &'a Tree, at: u32) -> Option<Spot<'a>> {
        let block = tree.block(at);
        let passes = |rank: Rank, terms: Terms| {
            self.is_ahead(rank) && rank.worth <= self.worst && self.can_serve(terms)
        };
        let mut best: Option<Spot<'a>> = None;
        for (place, terms) in block.terms_after(self.after) {
            if !terms.fits(self.given) || !self.can_serve(*terms) {
                continue;
            }
            let (rank, slot) = block.leaf_at(place);
            if rank.worth > self.worst || best.as_ref().is_some_and(|best| best.rank < rank) {
                break;
            }
            let leaf = block.leaf(slot);
            let Some(found) = leaf.best(self.given, passes) else {
                continue;
            };
            let rank = leaf.rank(found);
            if best.as_ref().is_none_or(|best| rank < best.rank) {
                let place = Place::Entry(at, slot, found);
                best = Some(Spot { rank, tree, place });
            }
        }
        best
    }

    /// The better of what is ahead and a part that was found.
    fn better(&mut self, spot: Option<Spot<'a>>) -> Option<Spot<'a>> {
        let Some(spot) = spot else {
            return self.ahead.pop().map(|Reverse(spot)| spot);
        };
        match self.ahead.peek_mut() {
            Some(mut head) if head.0.rank < spot.rank => {
                Some(std::mem::replace(&mut *head, Reverse(spot)).0)
            }
            _ => Some(spot),
        }
    }

    /// The first part of a ladder from a place on that can have what fits; the others are ahead.
    fn climb(&mut self, tree: &'a Tree, at: u32, from: usize) -> Option<Spot<'a>> {
        let parts = tree.ladder(at).parts.get(from..)?;
        let can_have = |part: &Part| self.can_have(part.bounds.rank, part.bounds.terms);
        let (place, part) = (from..).zip(parts).find(|(_, part)| can_have(part))?;
        if let Some(next) = tree.ladder(at).parts.get(place + 1)
            && next.bounds.rank.worth <= self.worst
        {
            self.ahead.push(Reverse(Spot {
                rank: next.bounds.rank,
                tree,
                place: Place::Rungs(at, place + 1),
            }));
        }
        Some(Spot {
            rank: part.bounds.rank,
            tree,
            place: Place::Part(part.kid),
        })
    }

    /// The part below a node to look at next; the other one is ahead.
    fn open(&mut self, tree: &'a Tree, at: u32) -> Option<Spot<'a>> {
        let node = tree.node(at);
        let [one, two] = [0, 1].map(|side| {
            let bounds = &node.bounds[side];
            let spot = Spot {
                rank: bounds.rank,
                tree,
                place: Place::Part(node.kids[side]),
            };
            self.can_have(bounds.rank, bounds.terms).then_some(spot)
        });
        match (one, two) {
            (Some(one), Some(two)) => {
                let (first, second) = if one.rank <= two.rank {
                    (one, two)
                } else {
                    (two, one)
                };
                self.ahead.push(Reverse(second));
                Some(first)
            }
            (one, two) => one.or(two),
        }
    }
}

impl Iterator for Search<'_> {
    type Item = Hit;

    fn next(&mut self) -> Option<Hit> {
        let mut spot = self.better(None)?;
        loop {
            let tree = spot.tree;
            let next = match spot.place {
                Place::Part(Kid::Node(at)) => self.open(tree, at),
                Place::Part(Kid::Ladder(at)) => self.climb(tree, at, 0),
                Place::Rungs(at, from) => self.climb(tree, at, from),
                Place::Part(Kid::Block(at)) => self.first_of(tree, at),
                Place::Entry(block, slot, place) => {
                    let entry = tree.block(block).leaf(slot).entry(place);
                    let fits = entry.terms.fits(self.given) && self.can_serve(entry.terms);
                    if fits && self.is_ahead(entry.rank) {
                        self.after = Some(entry.rank);
                        let place = Place::Part(Kid::Block(block));
                        self.ahead.push(Reverse(Spot { place, ..spot }));
                        return Some(Hit {
                            order: entry.order,
                            rank: entry.rank,
                        });
                    }
                    self.first_of(tree, block)
                }
            };
            spot = self.better(next)?;
        }
    }
}
