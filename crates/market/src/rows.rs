//! A list that grows without moving what it has: no command waits until a million orders are copied.

use std::ops::{Index, IndexMut};

/// Bits of a place that count within one part of a list.
const BITS: u32 = 7;

/// How many lie together.
const PART: usize = 1 << BITS;

/// What is numbered in the order in which it came, in parts of which all but the last one are full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rows<T>(Vec<Vec<T>>);

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Rows<T> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        let full = self.0.len().saturating_sub(1);
        self.0.last().map_or(0, |last| full * PART + last.len())
    }

    /// Adds one behind all others.
    pub(crate) fn push(&mut self, one: T) {
        match self.0.last_mut() {
            Some(last) if last.len() < PART => last.push(one),
            _ => {
                let mut part = Vec::with_capacity(PART);
                part.push(one);
                self.0.push(part);
            }
        }
    }
}

impl<T> Index<usize> for Rows<T> {
    type Output = T;

    #[inline]
    fn index(&self, place: usize) -> &T {
        &self.0[place >> BITS][place & (PART - 1)]
    }
}

impl<T> IndexMut<usize> for Rows<T> {
    #[inline]
    fn index_mut(&mut self, place: usize) -> &mut T {
        &mut self.0[place >> BITS][place & (PART - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_as_a_list() {
        let mut rows = Rows::default();
        for number in 0..2_500_usize {
            assert_eq!(rows.len(), number);
            rows.push(number);
            assert_eq!(rows[number], number);
        }
        rows[1_024] = 7;
        assert_eq!((rows[1_023], rows[1_024], rows[2_048]), (1_023, 7, 2_048));
    }
}
