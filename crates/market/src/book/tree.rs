//! Orders of one side, cut by the bits of their terms, with bounds of what is below each cut.

use super::cut::{Cut, Numbers, RANK, best_cut};
use super::terms::{Rank, Terms};
use crate::id::OrderId;

/// The most entries of a leaf.
pub(super) const LEAF: usize = 32;

/// By how many entries a leaf's memory grows.
const GROWTH: usize = 8;

/// The most parts of a ladder.
const LADDER: usize = 32;

/// A leaf and its neighbour become one when they have so few together.
const JOINED: usize = 22;

/// An order in a tree; an ask whose offer differs by hour has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) rank: Rank,
    pub(super) terms: Terms,
    pub(super) order: OrderId,
}

impl Entry {
    #[inline]
    pub(super) fn numbers(&self) -> Numbers {
        self.terms.0
    }
}

/// The least of each number among some entries: what none of them demands less than.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) rank: Rank,
    pub(super) terms: Terms,
}

impl Bounds {
    fn of(entry: &Entry) -> Self {
        Self {
            rank: entry.rank,
            terms: entry.terms,
        }
    }

    fn of_all(entries: &[Entry]) -> Option<Self> {
        let (first, rest) = entries.split_first()?;
        // They stand in order of rank.
        let terms = rest
            .iter()
            .fold(first.terms, |least, entry| least.least(entry.terms));
        Some(Self {
            rank: first.rank,
            terms,
        })
    }

    #[inline]
    fn with(self, other: Self) -> Self {
        Self {
            rank: self.rank.min(other.rank),
            terms: self.terms.least(other.terms),
        }
    }
}

/// Where a part of the tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kid {
    Node(u32),
    Ladder(u32),
    Leaf(u32),
}

/// A part, and what none of its entries demands less than.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) bounds: Bounds,
    pub(super) kid: Kid,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) bounds: [Bounds; 2],
    pub(super) kids: [Kid; 2],
    cut: Cut,
}

/// Parts one behind the other in rank: no entry of one comes before an entry of the part before.
/// A ladder that is full is cut in two on a ladder above, so ladders are as even as a B-tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Ladder {
    /// From which rank on each part is the place of an entry; the first is that of all before, too.
    from: Vec<Rank>,
    pub(super) parts: Vec<Part>,
}

impl Ladder {
    fn place(&self, rank: Rank) -> usize {
        let beyond = self.from.partition_point(|from| *from <= rank);
        beyond.saturating_sub(1)
    }

    fn add(&mut self, place: usize, from: Rank, part: Part) {
        self.from.insert(place, from);
        self.parts.insert(place, part);
    }

    fn bounds(&self) -> Option<Bounds> {
        let bounds = self.parts.iter().map(|part| part.bounds);
        bounds.reduce(Bounds::with)
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Leaf {
    /// In order of rank.
    pub(super) entries: Vec<Entry>,
    /// By what it was cut off last.
    turn: u8,
}

/// Which side of the book a tree has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Asks,
    Bids,
}

#[derive(Clone, Debug)]
pub(super) struct Tree {
    side: Side,
    nodes: Vec<Node>,
    ladders: Vec<Ladder>,
    leaves: Vec<Leaf>,
    unused_nodes: Vec<u32>,
    unused_ladders: Vec<u32>,
    unused_leaves: Vec<u32>,
    /// The whole of it, if there is anything.
    root: Option<Part>,
}

/// What a part hangs on.
#[derive(Clone, Copy)]
enum Above {
    Nothing,
    Node(u32, usize),
    Ladder(u32, usize),
}

/// What is left of a part out of which an entry was taken.
enum Left {
    /// The same part, with the bounds that it had.
    Unchanged,
    /// The same part, of which only the best rank is another.
    Later(Rank),
    /// The same part, with these bounds.
    Same(Bounds),
    /// Another part in its place.
    Other(Part),
    Nothing,
}

impl Tree {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            nodes: Vec::new(),
            ladders: Vec::new(),
            leaves: Vec::new(),
            unused_nodes: Vec::new(),
            unused_ladders: Vec::new(),
            unused_leaves: Vec::new(),
            root: None,
        }
    }

    pub(super) fn root(&self) -> Option<Part> {
        self.root
    }

    #[inline]
    pub(super) fn ladder(&self, at: u32) -> &Ladder {
        &self.ladders[place(at)]
    }

    #[inline]
    pub(super) fn node(&self, at: u32) -> &Node {
        &self.nodes[place(at)]
    }

    #[inline]
    pub(super) fn leaf(&self, at: u32) -> &Leaf {
        &self.leaves[place(at)]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    pub(super) fn insert(&mut self, entry: Entry) {
        let here = Bounds::of(&entry);
        let Some(root) = &mut self.root else {
            let leaf = Leaf {
                entries: vec![entry],
                turn: 0,
            };
            let kid = Kid::Leaf(self.new_leaf(leaf));
            self.root = Some(Part { bounds: here, kid });
            return;
        };
        root.bounds = root.bounds.with(here);
        let mut kid = root.kid;
        let numbers = entry.numbers();
        let mut above = Above::Nothing;
        let leaf = loop {
            match kid {
                Kid::Leaf(leaf) => break leaf,
                Kid::Node(at) => {
                    let node = &mut self.nodes[place(at)];
                    let side = node.cut.side(&numbers);
                    node.bounds[side] = node.bounds[side].with(here);
                    above = Above::Node(at, side);
                    kid = node.kids[side];
                }
                Kid::Ladder(at) => {
                    let mut at = at;
                    if self.ladder(at).parts.len() == LADDER {
                        at = self.split_ladder(at, above);
                    }
                    let ladder = &mut self.ladders[place(at)];
                    let rung = ladder.place(entry.rank);
                    let part = &mut ladder.parts[rung];
                    part.bounds = part.bounds.with(here);
                    above = Above::Ladder(at, rung);
                    kid = part.kid;
                }
            }
        };
        let entries = &mut self.leaves[place(leaf)].entries;
        let at = entries.partition_point(|other| other.rank < entry.rank);
        if entries.len() == entries.capacity() {
            entries.reserve_exact(GROWTH);
        }
        entries.insert(at, entry);
        if entries.len() > LEAF {
            self.split(leaf, above);
        }
    }

    /// Cuts a leaf in two where its entries differ.
    fn split(&mut self, at: u32, above: Above) {
        let leaf = &mut self.leaves[place(at)];
        let Some(cut) = best_cut(self.side, &leaf.entries, leaf.turn) else {
            return;
        };
        leaf.turn = cut.map_or(RANK, Cut::by);
        let turn = leaf.turn;
        let high = match cut {
            None => {
                // Those of one rank are of one order and stay together.
                let middle = leaf.entries[leaf.entries.len() >> 1].rank;
                let from = leaf.entries.partition_point(|entry| entry.rank < middle);
                leaf.entries.split_off(from)
            }
            Some(cut) => {
                let mut high = Vec::new();
                leaf.entries.retain(|entry| {
                    let stays = cut.side(&entry.numbers()) == 0;
                    if !stays {
                        high.push(*entry);
                    }
                    stays
                });
                high
            }
        };
        leaf.entries.shrink_to(leaf.entries.len() + GROWTH);
        let (Some(below), Some(beyond)) = (Bounds::of_all(&leaf.entries), Bounds::of_all(&high))
        else {
            leaf.entries.extend(high);
            return;
        };
        let other = Kid::Leaf(self.new_leaf(Leaf {
            entries: high,
            turn,
        }));
        let here = Kid::Leaf(at);
        match cut {
            Some(cut) => {
                let node = self.new_node(Node {
                    bounds: [below, beyond],
                    kids: [here, other],
                    cut,
                });
                self.hang(Kid::Node(node), above);
            }
            None => {
                let parts = [(below, here), (beyond, other)];
                let parts = parts.map(|(bounds, kid)| Part { bounds, kid });
                self.put_behind(parts, beyond.rank, above);
            }
        }
    }

    /// Puts the two parts that a part was cut into at a rank in its place, on a ladder.
    fn put_behind(&mut self, [one, two]: [Part; 2], from: Rank, above: Above) -> u32 {
        if let Above::Ladder(at, rung) = above {
            let ladder = &mut self.ladders[place(at)];
            ladder.parts[rung] = one;
            ladder.add(rung + 1, from, two);
            return at;
        }
        let mut ladder = Ladder::default();
        ladder.add(0, one.bounds.rank, one);
        ladder.add(1, from, two);
        let at = self.new_ladder(ladder);
        self.hang(Kid::Ladder(at), above);
        at
    }

    fn hang(&mut self, kid: Kid, above: Above) {
        match above {
            Above::Nothing => {
                if let Some(root) = &mut self.root {
                    root.kid = kid;
                }
            }
            Above::Node(at, side) => self.nodes[place(at)].kids[side] = kid,
            Above::Ladder(at, rung) => self.ladders[place(at)].parts[rung].kid = kid,
        }
    }

    /// Cuts a ladder that is full in two, and gives the one on which both are.
    fn split_ladder(&mut self, at: u32, above: Above) -> u32 {
        let ladder = &mut self.ladders[place(at)];
        let half = ladder.parts.len() >> 1;
        let from = ladder.from[half];
        let high = Ladder {
            from: ladder.from.split_off(half),
            parts: ladder.parts.split_off(half),
        };
        let (Some(below), Some(beyond)) = (ladder.bounds(), high.bounds()) else {
            return at;
        };
        let other = Kid::Ladder(self.new_ladder(high));
        let parts = [(below, Kid::Ladder(at)), (beyond, other)];
        let parts = parts.map(|(bounds, kid)| Part { bounds, kid });
        self.put_behind(parts, from, above)
    }

    /// Takes an entry out; whether it was there.
    pub(super) fn remove(&mut self, entry: &Entry) -> bool {
        let Some(root) = self.root else {
            return false;
        };
        let mut part = root;
        match self.remove_below(root.kid, entry, &entry.numbers()) {
            None => return false,
            Some(Left::Unchanged) => {}
            Some(Left::Later(rank)) => part.bounds.rank = rank,
            Some(Left::Same(bounds)) => part.bounds = bounds,
            Some(Left::Other(other)) => part = other,
            Some(Left::Nothing) => {
                self.root = None;
                return true;
            }
        }
        self.root = Some(part);
        true
    }

    fn remove_below(&mut self, kid: Kid, entry: &Entry, numbers: &Numbers) -> Option<Left> {
        match kid {
            Kid::Leaf(at) => self.remove_from(at, entry),
            Kid::Node(at) => {
                let node = &self.nodes[place(at)];
                let side = node.cut.side(numbers);
                let left = self.remove_below(node.kids[side], entry, numbers)?;
                Some(self.left_of_node(at, side, left))
            }
            Kid::Ladder(at) => {
                let ladder = &self.ladders[place(at)];
                let rung = ladder.place(entry.rank);
                let left = self.remove_below(ladder.parts[rung].kid, entry, numbers)?;
                Some(self.left_of_ladder(at, rung, left))
            }
        }
    }

    fn left_of_node(&mut self, at: u32, side: usize, left: Left) -> Left {
        let node = &mut self.nodes[place(at)];
        let other = node.bounds[1 - side];
        match left {
            Left::Unchanged => return Left::Unchanged,
            Left::Later(rank) => {
                let before = node.bounds[side].rank;
                node.bounds[side].rank = rank;
                return if other.rank < before {
                    Left::Unchanged
                } else {
                    Left::Later(rank.min(other.rank))
                };
            }
            Left::Same(bounds) => node.bounds[side] = bounds,
            Left::Other(part) => {
                node.kids[side] = part.kid;
                node.bounds[side] = part.bounds;
            }
            Left::Nothing => {
                let kid = node.kids[1 - side];
                self.unused_nodes.push(at);
                return Left::Other(Part { bounds: other, kid });
            }
        }
        let bounds = node.bounds[0].with(node.bounds[1]);
        if let [Kid::Leaf(one), Kid::Leaf(two)] = node.kids
            && self.join(one, two)
        {
            self.unused_nodes.push(at);
            let kid = Kid::Leaf(one);
            return Left::Other(Part { bounds, kid });
        }
        Left::Same(bounds)
    }

    fn left_of_ladder(&mut self, at: u32, rung: usize, left: Left) -> Left {
        let ladder = &mut self.ladders[place(at)];
        match left {
            Left::Unchanged => return Left::Unchanged,
            Left::Later(rank) => {
                ladder.parts[rung].bounds.rank = rank;
                return if rung == 0 {
                    Left::Later(rank)
                } else {
                    Left::Unchanged
                };
            }
            Left::Same(bounds) => ladder.parts[rung].bounds = bounds,
            Left::Other(part) => ladder.parts[rung] = part,
            Left::Nothing => {
                ladder.from.remove(rung);
                ladder.parts.remove(rung);
            }
        }
        self.join_rungs(at, rung);
        let ladder = &mut self.ladders[place(at)];
        let Some(bounds) = ladder.bounds() else {
            self.unused_ladders.push(at);
            return Left::Nothing;
        };
        if let [Part { kid, .. }] = ladder.parts[..] {
            *ladder = Ladder::default();
            self.unused_ladders.push(at);
            return Left::Other(Part { bounds, kid });
        }
        Left::Same(bounds)
    }

    /// Makes one leaf of a rung and the next one, or the one before, where both are small leaves.
    fn join_rungs(&mut self, at: u32, rung: usize) {
        let pairs = [(rung, rung + 1), (rung.wrapping_sub(1), rung)];
        for (one, two) in pairs {
            let parts = &self.ladders[place(at)].parts;
            let (Some(first), Some(second)) = (parts.get(one), parts.get(two)) else {
                continue;
            };
            let bounds = first.bounds.with(second.bounds);
            if let (Kid::Leaf(low), Kid::Leaf(high)) = (first.kid, second.kid)
                && self.join(low, high)
            {
                let ladder = &mut self.ladders[place(at)];
                ladder.parts[one].bounds = bounds;
                ladder.from.remove(two);
                ladder.parts.remove(two);
                return;
            }
        }
    }

    fn remove_from(&mut self, at: u32, entry: &Entry) -> Option<Left> {
        let entries = &mut self.leaves[place(at)].entries;
        let first = entries.partition_point(|other| other.rank < entry.rank);
        let of_rank = entries[first..].iter();
        let found = first
            + of_rank
                .take_while(|other| other.rank == entry.rank)
                .position(|other| other == entry)?;
        entries.remove(found);
        // While another one demands as little in everything, only the rank can be another.
        let is_rank_alone = entries.len() > JOINED >> 1
            && entries.iter().any(|other| other.terms.fits(entry.terms));
        if is_rank_alone {
            return Some(match entries.first() {
                Some(first) if found == 0 => Left::Later(first.rank),
                _ => Left::Unchanged,
            });
        }
        let bounds = Bounds::of_all(entries);
        if bounds.is_none() {
            self.leaves[place(at)].entries = Vec::new();
            self.unused_leaves.push(at);
        }
        Some(bounds.map_or(Left::Nothing, Left::Same))
    }

    /// Puts the entries of two leaves into the first where they are few; whether it did.
    fn join(&mut self, one: u32, two: u32) -> bool {
        let sizes = [one, two].map(|at| self.leaves[place(at)].entries.len());
        if sizes[0] + sizes[1] > JOINED {
            return false;
        }
        let more = std::mem::take(&mut self.leaves[place(two)].entries);
        self.unused_leaves.push(two);
        let entries = &mut self.leaves[place(one)].entries;
        entries.extend(more);
        entries.sort_unstable_by_key(|entry| entry.rank);
        true
    }

    fn new_leaf(&mut self, leaf: Leaf) -> u32 {
        if let Some(at) = self.unused_leaves.pop() {
            self.leaves[place(at)] = leaf;
            return at;
        }
        self.leaves.push(leaf);
        number(self.leaves.len() - 1)
    }

    fn new_ladder(&mut self, ladder: Ladder) -> u32 {
        if let Some(at) = self.unused_ladders.pop() {
            self.ladders[place(at)] = ladder;
            return at;
        }
        self.ladders.push(ladder);
        number(self.ladders.len() - 1)
    }

    fn new_node(&mut self, node: Node) -> u32 {
        if let Some(at) = self.unused_nodes.pop() {
            self.nodes[place(at)] = node;
            return at;
        }
        self.nodes.push(node);
        number(self.nodes.len() - 1)
    }
}

#[inline]
fn place(at: u32) -> usize {
    usize::try_from(at).expect("a place of 32 bits is one of memory")
}

fn number(place: usize) -> u32 {
    u32::try_from(place).expect("a book has fewer than four billion parts")
}
