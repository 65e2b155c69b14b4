//! Some hundreds of orders in leaves, with the bounds of each leaf side by side.
//!
//! Which leaf an entry belongs to is found by cuts. A search does not follow them: it looks at the
//! bounds of one leaf after the other, in order of their best ranks, which lie next to each other in
//! memory. A block is small enough to be built anew at once, so it is as even as its entries allow.

use super::cut::{Cut, RANK, best_cut};
use super::leaf::{Bounds, Entry, LEAF, Leaf};
use super::terms::{Rank, Terms};
use super::tree::Side;

/// The most leaves of a block, but where more are needed to build one anew. Tests have few orders.
const LEAVES: usize = if cfg!(test) { 4 } else { 48 };

/// How many entries a leaf has that is built anew, at the most.
const FILL: usize = 24;

/// A leaf and its neighbour become one when they have so few together.
const JOINED: usize = 20;

/// Blocks of fewer entries are built anew rather than cut in two.
const SPARSE: usize = (LEAVES * LEAF) >> 1;

/// What a cut divides: further cuts, or leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Fork(u16),
    Leaf(u16),
}

#[derive(Clone, Copy, Debug)]
struct Fork {
    cut: Cut,
    ways: [Way; 2],
}

/// Entries that are cut by rank alone need no forks: each leaf has the ranks from its best one to that of
/// the next.
#[derive(Clone, Debug)]
pub(super) struct Block {
    count: usize,
    /// Where the forks begin, if there are any.
    root: Way,
    forks: Vec<Fork>,
    leaves: Vec<Leaf>,
    /// The leaves in order of their best ranks, and the least of each number of them.
    slots: Vec<u16>,
    ranks: Vec<Rank>,
    terms: Vec<Terms>,
}

/// Where an entry belongs: the last fork before it with the side, and the leaf with its place in order
/// of best ranks.
#[derive(Clone, Copy)]
struct Spot {
    above: Option<(u16, usize)>,
    slot: u16,
    place: usize,
}

/// What became of an entry that was to be taken out.
pub(super) enum Removed {
    NotThere,
    /// It is out; others have the least of each number.
    Inside,
    /// It is out, and these are the bounds of what is left.
    Bounds(Bounds),
    /// It was the last one.
    Last,
}

impl Block {
    /// Of no entry.
    pub(super) fn empty() -> Self {
        Self {
            count: 0,
            root: Way::Leaf(0),
            forks: Vec::new(),
            leaves: Vec::new(),
            slots: Vec::new(),
            ranks: Vec::new(),
            terms: Vec::new(),
        }
    }

    pub(super) fn new(side: Side, entries: &mut [Entry], turn: u8) -> Self {
        let mut block = Self::empty();
        block.count = entries.len();
        block.root = block.shelve(side, entries, turn);
        if block.forks.iter().all(|fork| fork.cut.rank().is_some()) {
            block.forks.clear();
        }
        block.look_anew();
        block
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn leaf(&self, slot: u16) -> &Leaf {
        &self.leaves[usize::from(slot)]
    }

    /// The best rank of the leaf of a place in order of those, and where it is.
    pub(super) fn leaf_at(&self, place: usize) -> (Rank, u16) {
        (self.ranks[place], self.slots[place])
    }

    /// The bounds of each leaf in order of best ranks, but of those that have nothing after a rank as
    /// far as that is known.
    #[inline]
    pub(super) fn terms_after(&self, rank: Option<Rank>) -> impl Iterator<Item = (usize, &Terms)> {
        let first = match rank {
            Some(rank) if self.forks.is_empty() => {
                let beyond = self.ranks.partition_point(|other| *other <= rank);
                beyond.saturating_sub(1)
            }
            _ => 0,
        };
        (first..).zip(&self.terms[first..])
    }

    pub(super) fn bounds(&self) -> Bounds {
        let terms = self.terms.iter().copied();
        Bounds {
            rank: self.ranks.first().copied().unwrap_or(Rank::LAST),
            terms: terms.reduce(Terms::least).unwrap_or(Terms::ALL),
        }
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.leaves.iter().flat_map(Leaf::entries).collect()
    }

    /// Makes leaves of entries, and the cuts between them.
    fn shelve(&mut self, side: Side, entries: &mut [Entry], turn: u8) -> Way {
        let count = entries.len();
        if count <= FILL {
            let mut leaf = Leaf::new();
            entries.iter().for_each(|entry| leaf.push(entry));
            return self.add_leaf(leaf);
        }
        let leaves = count.div_ceil(FILL);
        let near = (count * (leaves >> 1)).div_euclid(leaves);
        let cut = best_cut(side, entries, turn, near).expect("two entries differ in some number");
        let fork = self.add_fork(cut);
        let from = cut.part(entries);
        let (below, beyond) = entries.split_at_mut(from);
        let ways = [below, beyond].map(|part| self.shelve(side, part, cut.by()));
        self.forks[usize::from(fork)].ways = ways;
        Way::Fork(fork)
    }

    fn add_leaf(&mut self, leaf: Leaf) -> Way {
        if self.leaves.len() == self.leaves.capacity() {
            self.leaves.reserve_exact(4);
        }
        self.leaves.push(leaf);
        Way::Leaf(small(self.leaves.len() - 1))
    }

    fn add_fork(&mut self, cut: Cut) -> u16 {
        let ways = [Way::Leaf(0); 2];
        self.forks.push(Fork { cut, ways });
        small(self.forks.len() - 1)
    }

    /// Puts the bounds of all leaves in order.
    fn look_anew(&mut self) {
        let leaves = (0..).zip(&self.leaves);
        let mut bounds: Vec<(Bounds, u16)> =
            leaves.map(|(slot, leaf)| (leaf.bounds(), slot)).collect();
        bounds.sort_unstable_by_key(|(bounds, slot)| (bounds.rank, *slot));
        self.slots = bounds.iter().map(|(_, slot)| *slot).collect();
        self.ranks = bounds.iter().map(|(bounds, _)| bounds.rank).collect();
        self.terms = bounds.iter().map(|(bounds, _)| bounds.terms).collect();
    }

    /// Where an entry belongs.
    #[inline]
    fn way_to(&self, entry: &Entry) -> Spot {
        if self.forks.is_empty() {
            let beyond = self.ranks.partition_point(|rank| *rank <= entry.rank);
            let place = beyond.saturating_sub(1);
            return Spot {
                above: None,
                slot: self.slots[place],
                place,
            };
        }
        let (mut above, mut way) = (None, self.root);
        loop {
            match way {
                Way::Leaf(slot) => {
                    let place = self.place(slot);
                    return Spot { above, slot, place };
                }
                Way::Fork(at) => {
                    let fork = &self.forks[usize::from(at)];
                    let side = fork.cut.side(entry);
                    above = Some((at, side));
                    way = fork.ways[side];
                }
            }
        }
    }

    /// Adds an entry, if there is room for it.
    pub(super) fn insert(&mut self, side: Side, entry: &Entry) -> bool {
        let mut spot = self.way_to(entry);
        while self.leaf(spot.slot).is_full() {
            if self.leaves.len() >= LEAVES || !self.cut_leaf(side, spot) {
                return false;
            }
            spot = self.way_to(entry);
        }
        self.leaves[usize::from(spot.slot)].push(entry);
        self.count += 1;
        let place = spot.place;
        self.terms[place] = self.terms[place].least(entry.terms);
        if entry.rank < self.ranks[place] {
            self.ranks[place] = entry.rank;
            self.put_in_order(place);
        }
        true
    }

    fn place(&self, slot: u16) -> usize {
        let place = self.slots.iter().position(|other| *other == slot);
        place.expect("every leaf has its bounds")
    }

    /// Moves the bounds of a leaf, whose best rank is another, to where they belong.
    fn put_in_order(&mut self, mut place: usize) {
        while place > 0 && self.ranks[place] < self.ranks[place - 1] {
            self.swap(place - 1, place);
            place -= 1;
        }
        while place + 1 < self.ranks.len() && self.ranks[place + 1] < self.ranks[place] {
            self.swap(place, place + 1);
            place += 1;
        }
    }

    fn swap(&mut self, one: usize, two: usize) {
        self.slots.swap(one, two);
        self.ranks.swap(one, two);
        self.terms.swap(one, two);
    }

    fn set_bounds(&mut self, place: usize, bounds: Bounds) {
        self.terms[place] = bounds.terms;
        self.ranks[place] = bounds.rank;
        self.put_in_order(place);
    }

    /// Cuts a leaf that is full in two; whether it can be, as the block is cut.
    fn cut_leaf(&mut self, side: Side, spot: Spot) -> bool {
        let Spot { above, slot, place } = spot;
        let mut entries: Vec<Entry> = self.leaf(slot).entries().collect();
        let turn = above.map_or(0, |(fork, _)| self.forks[usize::from(fork)].cut.by());
        let cut = best_cut(side, &entries, turn, entries.len() >> 1);
        let cut = cut.expect("two entries differ in some number");
        let by_rank = self.forks.is_empty() && cut.rank().is_some();
        if self.forks.is_empty() && self.leaves.len() > 1 && !by_rank {
            return false;
        }
        let from = cut.part(&mut entries);
        let [below, beyond] = [&entries[..from], &entries[from..]].map(|part| {
            let mut leaf = Leaf::new();
            part.iter().for_each(|entry| leaf.push(entry));
            leaf
        });
        let bounds = [below.bounds(), beyond.bounds()];
        self.leaves[usize::from(slot)] = below;
        let other = self.add_leaf(beyond);
        self.slots.insert(place + 1, small(self.leaves.len() - 1));
        self.ranks.insert(place + 1, bounds[1].rank);
        self.terms.insert(place + 1, bounds[1].terms);
        if by_rank {
            self.set_bounds(place, bounds[0]);
            return true;
        }
        self.put_in_order(place + 1);
        let place = self.place(slot);
        self.set_bounds(place, bounds[0]);
        let fork = self.add_fork(cut);
        self.forks[usize::from(fork)].ways = [Way::Leaf(slot), other];
        match above {
            None => self.root = Way::Fork(fork),
            Some((above, side)) => self.forks[usize::from(above)].ways[side] = Way::Fork(fork),
        }
        true
    }

    /// Makes room where a leaf is full: of a block that has too many entries for that, what is beyond
    /// the cut comes out as another one.
    pub(super) fn make_room(&mut self, side: Side) -> Option<(Cut, Self)> {
        let turn = match self.root {
            Way::Fork(at) if !self.forks.is_empty() => self.forks[usize::from(at)].cut.by(),
            Way::Fork(_) | Way::Leaf(_) => RANK,
        };
        let mut entries = self.entries();
        if self.count < SPARSE {
            *self = Self::new(side, &mut entries, turn);
            if self.leaves.len() < LEAVES {
                return None;
            }
        }
        if let Some((cut, [below, beyond])) = self.along_the_root() {
            *self = below;
            return Some((cut, beyond));
        }
        let half = entries.len() >> 1;
        let cut = best_cut(side, &entries, turn, half).expect("two entries differ in some number");
        let from = cut.part(&mut entries);
        let (below, beyond) = entries.split_at_mut(from);
        *self = Self::new(side, below, cut.by());
        Some((cut, Self::new(side, beyond, cut.by())))
    }

    /// What lies on either side of the first cut, where that is not too little.
    fn along_the_root(&self) -> Option<(Cut, [Self; 2])> {
        let mut parts = [Self::empty(), Self::empty()];
        let cut = if self.forks.is_empty() {
            let half = self.slots.len() >> 1;
            for (part, slots) in parts
                .iter_mut()
                .zip([&self.slots[..half], &self.slots[half..]])
            {
                for slot in slots {
                    part.root = part.graft(self, Way::Leaf(*slot));
                }
            }
            Cut::by_rank(self.ranks[half])
        } else {
            let Way::Fork(root) = self.root else {
                return None;
            };
            let Fork { cut, ways } = self.forks[usize::from(root)];
            for (part, way) in parts.iter_mut().zip(ways) {
                part.root = part.graft(self, way);
                if part.forks.iter().all(|fork| fork.cut.rank().is_some()) {
                    part.forks.clear();
                }
            }
            cut
        };
        let quarter = self.count >> 2;
        if parts.iter().any(|part| part.count < quarter) {
            return None;
        }
        parts.iter_mut().for_each(Self::look_anew);
        Some((cut, parts))
    }

    fn graft(&mut self, from: &Self, way: Way) -> Way {
        match way {
            Way::Leaf(slot) => {
                let leaf = from.leaf(slot).clone();
                self.count += leaf.len();
                self.add_leaf(leaf)
            }
            Way::Fork(at) => {
                let Fork { cut, ways } = from.forks[usize::from(at)];
                let fork = self.add_fork(cut);
                let ways = ways.map(|way| self.graft(from, way));
                self.forks[usize::from(fork)].ways = ways;
                Way::Fork(fork)
            }
        }
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, entry: &Entry) -> Removed {
        let Spot { above, slot, place } = self.way_to(entry);
        let leaf = &mut self.leaves[usize::from(slot)];
        let Some(found) = leaf.find(entry) else {
            return Removed::NotThere;
        };
        leaf.swap_remove(found);
        self.count -= 1;
        if self.count == 0 {
            return Removed::Last;
        }
        let left = leaf.len();
        let is_inside =
            self.ranks[place] != entry.rank && leaf.keeps(self.terms[place], entry.terms);
        if !is_inside {
            let bounds = leaf.bounds();
            self.set_bounds(place, bounds);
        }
        if left == 0 && above.is_none() {
            self.forget(self.place(slot));
        } else if left <= JOINED >> 1 {
            match above {
                Some((fork, side)) => self.join(fork, side, slot),
                None => self.join_flat(place),
            }
        }
        if is_inside {
            Removed::Inside
        } else {
            Removed::Bounds(self.bounds())
        }
    }

    /// Makes one leaf of a small one and the next, or the one before, where all is cut by rank.
    fn join_flat(&mut self, place: usize) {
        let size = |place: usize| {
            let slot = self.slots.get(place);
            slot.map_or(LEAF, |slot| self.leaf(*slot).len())
        };
        if size(place) + size(place + 1) <= JOINED {
            self.put_into(place + 1, place);
        } else if place > 0 && size(place - 1) + size(place) <= JOINED {
            self.put_into(place, place - 1);
        }
    }

    /// Puts all entries of one leaf into another one, by their places; the first is gone then.
    fn put_into(&mut self, gone: usize, kept: usize) {
        let entries: Vec<Entry> = self.leaf(self.slots[gone]).entries().collect();
        let leaf = &mut self.leaves[usize::from(self.slots[kept])];
        entries.iter().for_each(|entry| leaf.push(entry));
        let bounds = leaf.bounds();
        self.forget(gone);
        let kept = kept - usize::from(gone < kept);
        self.set_bounds(kept, bounds);
    }

    /// Makes one leaf of a small one and the one on the other side of the last cut, where that is
    /// small too.
    fn join(&mut self, fork: u16, side: usize, slot: u16) {
        let sibling = self.forks[usize::from(fork)].ways[1 - side];
        let is_small = match sibling {
            Way::Leaf(other) => self.leaf(slot).len() + self.leaf(other).len() <= JOINED,
            Way::Fork(_) => false,
        };
        if !is_small && self.leaf(slot).len() > 0 {
            return;
        }
        self.lead(Way::Fork(fork), sibling);
        let last = small(self.forks.len() - 1);
        self.forks.swap_remove(usize::from(fork));
        if last != fork {
            self.lead(Way::Fork(last), Way::Fork(fork));
        }
        let gone = self.place(slot);
        match sibling {
            Way::Leaf(other) => self.put_into(gone, self.place(other)),
            Way::Fork(_) => self.forget(gone),
        }
    }

    /// Takes the leaf of a place out; the last leaf comes to where it was.
    fn forget(&mut self, place: usize) {
        let slot = self.slots.remove(place);
        self.ranks.remove(place);
        self.terms.remove(place);
        let last = small(self.leaves.len() - 1);
        self.leaves.swap_remove(usize::from(slot));
        if last != slot {
            let place = self.place(last);
            self.slots[place] = slot;
            self.lead(Way::Leaf(last), Way::Leaf(slot));
        }
    }

    /// Has what led to one place lead to another.
    fn lead(&mut self, from: Way, to: Way) {
        if self.root == from {
            self.root = to;
        }
        let ways = self.forks.iter_mut().flat_map(|fork| &mut fork.ways);
        ways.filter(|way| **way == from).for_each(|way| *way = to);
    }
}

fn small(place: usize) -> u16 {
    u16::try_from(place).expect("a block has some dozens of leaves")
}
