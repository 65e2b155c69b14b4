//! Orders of one side: blocks of some hundreds, cut from each other by their terms and by rank, with
//! bounds of what is below each cut.

use super::block::{Block, Removed};
use super::cut::{Cut, RANK};
use super::leaf::{Bounds, Entry};
use super::terms::Rank;

/// The most parts of a ladder.
const LADDER: usize = 32;

/// A block and its neighbour become one when they have so few entries together.
const JOINED: usize = if cfg!(test) { 30 } else { 256 };

/// Where a part of the tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kid {
    Node(u32),
    Ladder(u32),
    Block(u32),
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
    blocks: Vec<Block>,
    unused_nodes: Vec<u32>,
    unused_ladders: Vec<u32>,
    unused_blocks: Vec<u32>,
    /// The whole of it, if there is anything.
    root: Option<Part>,
    /// What lies above a block while an entry is taken out of it.
    path: Vec<Above>,
}

/// What a part hangs on.
#[derive(Clone, Copy, Debug)]
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

impl Left {
    /// What it comes to where these were the bounds before.
    fn beside(self, before: Bounds) -> Self {
        match self {
            Self::Same(bounds) if bounds == before => Self::Unchanged,
            Self::Same(bounds) if bounds.terms == before.terms => Self::Later(bounds.rank),
            Self::Unchanged | Self::Later(_) | Self::Same(_) | Self::Other(_) | Self::Nothing => {
                self
            }
        }
    }
}

impl Tree {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            nodes: Vec::new(),
            ladders: Vec::new(),
            blocks: Vec::new(),
            unused_nodes: Vec::new(),
            unused_ladders: Vec::new(),
            unused_blocks: Vec::new(),
            root: None,
            path: Vec::new(),
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
    pub(super) fn block(&self, at: u32) -> &Block {
        &self.blocks[place(at)]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    pub(super) fn insert(&mut self, entry: Entry) {
        let here = Bounds::of(&entry);
        let Some(root) = &mut self.root else {
            let block = Block::new(self.side, &mut [entry], RANK);
            let kid = Kid::Block(self.new_block(block));
            self.root = Some(Part { bounds: here, kid });
            return;
        };
        root.bounds = root.bounds.with(here);
        let mut kid = root.kid;
        let mut above = Above::Nothing;
        let block = loop {
            match kid {
                Kid::Block(block) => break block,
                Kid::Node(at) => {
                    let node = &mut self.nodes[place(at)];
                    let side = node.cut.side(&entry);
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
        if self.blocks[place(block)].insert(self.side, &entry) {
            return;
        }
        if let Some((cut, other)) = self.blocks[place(block)].make_room(self.side) {
            self.split(block, cut, other, above);
        }
        self.insert(entry);
    }

    /// Hangs what was cut off a block beside it.
    fn split(&mut self, at: u32, cut: Cut, other: Block, above: Above) {
        let (below, beyond) = (self.block(at).bounds(), other.bounds());
        let kids = [Kid::Block(at), Kid::Block(self.new_block(other))];
        if let Some(from) = cut.rank() {
            let parts = [(below, kids[0]), (beyond, kids[1])];
            let parts = parts.map(|(bounds, kid)| Part { bounds, kid });
            self.put_behind(parts, from, above);
        } else {
            let bounds = [below, beyond];
            let node = self.new_node(Node { bounds, kids, cut });
            self.hang(Kid::Node(node), above);
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
        let Some(mut root) = self.root else {
            return false;
        };
        let mut path = std::mem::take(&mut self.path);
        path.clear();
        let mut kid = root.kid;
        let block = loop {
            match kid {
                Kid::Block(block) => break block,
                Kid::Node(at) => {
                    let node = self.node(at);
                    let side = node.cut.side(entry);
                    path.push(Above::Node(at, side));
                    kid = node.kids[side];
                }
                Kid::Ladder(at) => {
                    let ladder = self.ladder(at);
                    let rung = ladder.place(entry.rank);
                    path.push(Above::Ladder(at, rung));
                    kid = ladder.parts[rung].kid;
                }
            }
        };
        let removed = self.blocks[place(block)].remove(entry);
        let was_there = !matches!(removed, Removed::NotThere);
        let mut left = match removed {
            Removed::NotThere | Removed::Inside => Left::Unchanged,
            Removed::Bounds(bounds) => Left::Same(bounds),
            Removed::Last => {
                self.blocks[place(block)] = Block::empty();
                self.unused_blocks.push(block);
                Left::Nothing
            }
        };
        for above in path.iter().rev() {
            left = match (left, *above) {
                (Left::Unchanged, _) | (_, Above::Nothing) => Left::Unchanged,
                (left, Above::Node(at, side)) => self.left_of_node(at, side, left),
                (left, Above::Ladder(at, rung)) => self.left_of_ladder(at, rung, left),
            };
        }
        self.path = path;
        match left {
            Left::Unchanged => return was_there,
            Left::Later(rank) => root.bounds.rank = rank,
            Left::Same(bounds) => root.bounds = bounds,
            Left::Other(part) => root = part,
            Left::Nothing => {
                self.root = None;
                return true;
            }
        }
        self.root = Some(root);
        true
    }

    fn left_of_node(&mut self, at: u32, side: usize, left: Left) -> Left {
        let node = &mut self.nodes[place(at)];
        let other = node.bounds[1 - side];
        match left.beside(node.bounds[side]) {
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
        if let [Kid::Block(one), Kid::Block(two)] = node.kids
            && self.join(one, two)
        {
            self.unused_nodes.push(at);
            let kid = Kid::Block(one);
            return Left::Other(Part { bounds, kid });
        }
        Left::Same(bounds)
    }

    fn left_of_ladder(&mut self, at: u32, rung: usize, left: Left) -> Left {
        let ladder = &mut self.ladders[place(at)];
        match left.beside(ladder.parts[rung].bounds) {
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

    /// Makes one block of a rung and the next one, or the one before, where both are small blocks.
    fn join_rungs(&mut self, at: u32, rung: usize) {
        let pairs = [(rung, rung + 1), (rung.wrapping_sub(1), rung)];
        for (one, two) in pairs {
            let parts = &self.ladders[place(at)].parts;
            let (Some(first), Some(second)) = (parts.get(one), parts.get(two)) else {
                continue;
            };
            let bounds = first.bounds.with(second.bounds);
            if let (Kid::Block(low), Kid::Block(high)) = (first.kid, second.kid)
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

    /// Puts the entries of two blocks into the first where they are few; whether it did.
    fn join(&mut self, one: u32, two: u32) -> bool {
        let [first, second] = [one, two].map(|at| self.block(at));
        if first.count() + second.count() > JOINED {
            return false;
        }
        let mut entries = first.entries();
        entries.extend(second.entries());
        self.blocks[place(one)] = Block::new(self.side, &mut entries, RANK);
        self.blocks[place(two)] = Block::empty();
        self.unused_blocks.push(two);
        true
    }

    fn new_block(&mut self, block: Block) -> u32 {
        if let Some(at) = self.unused_blocks.pop() {
            self.blocks[place(at)] = block;
            return at;
        }
        self.blocks.push(block);
        number(self.blocks.len() - 1)
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
