//! Orders of one side, cut by the bits of their terms, with bounds of what is below each cut.

use super::cut::{Cut, best_cut};
use super::terms::{Rank, Terms};
use crate::id::OrderId;

/// The most entries of a leaf.
pub(super) const LEAF: usize = 32;

/// A leaf and its neighbour become one when they have so few together.
const JOINED: usize = 12;

/// An order in a tree; an ask whose offer differs by hour has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    Leaf(u32),
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) bounds: [Bounds; 2],
    pub(super) kids: [Kid; 2],
    cut: Cut,
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
    leaves: Vec<Leaf>,
    unused_nodes: Vec<u32>,
    unused_leaves: Vec<u32>,
    /// The whole of it, if there is anything.
    root: Option<(Bounds, Kid)>,
}

/// What is left of a part out of which an entry was taken.
enum Left {
    /// The same part, with these bounds.
    Same(Bounds),
    /// Another part in its place.
    Other(Bounds, Kid),
    Nothing,
}

impl Tree {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            nodes: Vec::new(),
            leaves: Vec::new(),
            unused_nodes: Vec::new(),
            unused_leaves: Vec::new(),
            root: None,
        }
    }

    pub(super) fn root(&self) -> Option<(Bounds, Kid)> {
        self.root
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
        let Some((bounds, root)) = &mut self.root else {
            let leaf = self.new_leaf(Leaf {
                entries: vec![entry],
                turn: 0,
            });
            self.root = Some((here, Kid::Leaf(leaf)));
            return;
        };
        *bounds = bounds.with(here);
        let mut kid = *root;
        let mut above = None;
        let leaf = loop {
            match kid {
                Kid::Leaf(leaf) => break leaf,
                Kid::Node(at) => {
                    let node = &mut self.nodes[place(at)];
                    let side = node.cut.side(&entry);
                    node.bounds[side] = node.bounds[side].with(here);
                    above = Some((at, side));
                    kid = node.kids[side];
                }
            }
        };
        let entries = &mut self.leaves[place(leaf)].entries;
        let at = entries.partition_point(|other| *other < entry);
        entries.insert(at, entry);
        if entries.len() > LEAF {
            self.split(leaf, above);
        }
    }

    /// Cuts a leaf in two where its entries differ.
    fn split(&mut self, at: u32, above: Option<(u32, usize)>) {
        let leaf = &mut self.leaves[place(at)];
        let Some(cut) = best_cut(self.side, &leaf.entries, leaf.turn) else {
            return;
        };
        leaf.turn = cut.by();
        let mut low = Vec::with_capacity(LEAF);
        let mut high = Vec::with_capacity(LEAF);
        for entry in &leaf.entries {
            let part = if cut.side(entry) == 0 {
                &mut low
            } else {
                &mut high
            };
            part.push(*entry);
        }
        let (Some(below), Some(beyond)) = (Bounds::of_all(&low), Bounds::of_all(&high)) else {
            return;
        };
        leaf.entries = low;
        let turn = leaf.turn;
        let other = self.new_leaf(Leaf {
            entries: high,
            turn,
        });
        let node = self.new_node(Node {
            bounds: [below, beyond],
            kids: [Kid::Leaf(at), Kid::Leaf(other)],
            cut,
        });
        match above {
            Some((at, side)) => self.nodes[place(at)].kids[side] = Kid::Node(node),
            None => self.root = Some((below.with(beyond), Kid::Node(node))),
        }
    }

    /// Takes an entry out; whether it was there.
    pub(super) fn remove(&mut self, entry: &Entry) -> bool {
        let Some((_, root)) = self.root else {
            return false;
        };
        match self.remove_below(root, entry) {
            None => return false,
            Some(Left::Same(bounds)) => self.root = Some((bounds, root)),
            Some(Left::Other(bounds, kid)) => self.root = Some((bounds, kid)),
            Some(Left::Nothing) => self.root = None,
        }
        true
    }

    fn remove_below(&mut self, kid: Kid, entry: &Entry) -> Option<Left> {
        let at = match kid {
            Kid::Leaf(leaf) => return self.remove_from(leaf, entry),
            Kid::Node(at) => at,
        };
        let node = &self.nodes[place(at)];
        let side = node.cut.side(entry);
        let (below, other) = (node.kids[side], node.kids[1 - side]);
        let left = self.remove_below(below, entry)?;
        let node = &mut self.nodes[place(at)];
        let bounds = match left {
            Left::Nothing => {
                let rest = node.bounds[1 - side];
                self.unused_nodes.push(at);
                return Some(Left::Other(rest, other));
            }
            Left::Same(bounds) => bounds,
            Left::Other(bounds, kid) => {
                node.kids[side] = kid;
                bounds
            }
        };
        node.bounds[side] = bounds;
        let both = bounds.with(node.bounds[1 - side]);
        if let (Kid::Leaf(one), Kid::Leaf(two)) = (node.kids[0], node.kids[1])
            && self.join(one, two)
        {
            self.unused_nodes.push(at);
            return Some(Left::Other(both, Kid::Leaf(one)));
        }
        Some(Left::Same(both))
    }

    fn remove_from(&mut self, at: u32, entry: &Entry) -> Option<Left> {
        let entries = &mut self.leaves[place(at)].entries;
        let found = entries.binary_search(entry).ok()?;
        entries.remove(found);
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
        entries.sort_unstable();
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
