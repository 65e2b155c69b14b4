//! A list that grows without moving what it has.

use std::ops::{Index, IndexMut};

/// How many elements a piece has.
const PIECE: usize = 128;

/// What is numbered in the order in which it came. A vector that is full is copied whole, which for
/// a million orders takes a tenth of a second; this one adds a piece, so that no order waits for
/// those before it, and leaves no more than a piece unused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T> {
    /// All but the last are full.
    pieces: Vec<Vec<T>>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { pieces: Vec::new() }
    }
}

impl<T> List<T> {
    /// How many elements there are.
    pub fn len(&self) -> usize {
        let full = self.pieces.len().saturating_sub(1);
        full * PIECE + self.pieces.last().map_or(0, Vec::len)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Adds one at the end.
    pub fn push(&mut self, element: T) {
        match self.pieces.last_mut() {
            Some(piece) if piece.len() < PIECE => piece.push(element),
            _ => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(element);
                self.pieces.push(piece);
            }
        }
    }

    /// The one at this place, counted from 0.
    pub fn get(&self, place: usize) -> Option<&T> {
        let piece = self.pieces.get(place.div_euclid(PIECE))?;
        piece.get(place.rem_euclid(PIECE))
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.pieces.iter().flatten()
    }
}

impl<T> Index<usize> for List<T> {
    type Output = T;

    fn index(&self, place: usize) -> &T {
        &self.pieces[place.div_euclid(PIECE)][place.rem_euclid(PIECE)]
    }
}

impl<T> IndexMut<usize> for List<T> {
    fn index_mut(&mut self, place: usize) -> &mut T {
        &mut self.pieces[place.div_euclid(PIECE)][place.rem_euclid(PIECE)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_like_a_vector_over_several_pieces() {
        let mut list = List::default();
        let mut vector = Vec::new();
        assert_eq!((list.len(), list.is_empty()), (0, true));
        for number in 0..3 * PIECE + 7 {
            list.push(number);
            vector.push(number);
            assert_eq!(list.len(), vector.len());
        }
        list[PIECE] = 0;
        vector[PIECE] = 0;
        list[3 * PIECE + 6] = 1;
        vector[3 * PIECE + 6] = 1;
        assert!(list.iter().eq(&vector));
        assert!(list.iter().rev().eq(vector.iter().rev()));
        for place in [0, PIECE - 1, PIECE, 2 * PIECE + 1, 3 * PIECE + 6] {
            assert_eq!(
                (list[place], list.get(place)),
                (vector[place], vector.get(place))
            );
        }
        assert_eq!((list.get(3 * PIECE + 7), list.get(4 * PIECE)), (None, None));
        assert_eq!(list.clone(), list);
    }
}
