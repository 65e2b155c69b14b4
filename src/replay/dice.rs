//! Seeded draws. Each thing that is drawn for has a stream of its own, named by what is drawn and
//! for which row, so that one more row, or one more draw, shifts nobody else's.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What is drawn; part of the name of a stream, so a new one goes at the end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Draw {
    /// A provider's service level, spread and habits.
    Provider = 1,
    /// Which nodes of a grade are listed.
    Sample,
    /// Whose a listed node is.
    Placement,
    /// The grade of a job.
    Grade,
    /// The buyer, region, limit and habits of a job.
    Bid,
    /// How much money a buyer brings.
    Purse,
    /// Whether and when a lease's host fails.
    Host,
    /// What one hour of a lease lacks.
    Reading,
    /// The jobs and nodes that a profile stands for.
    Profile,
    /// What traders of the demonstration do in an hour.
    Trader,
    /// How a provider's prices drift from day to day.
    Drift,
}

/// One stream of draws.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream for the `row`th thing of a kind.
    pub(crate) fn of(seed: u64, draw: Draw, row: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream((draw as u64) << 48 | row as u64);
        Self(rng)
    }

    /// A number from `low` to `high`, both included, each as likely.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        self.0.random_range(low..=high)
    }

    /// True once in `times` on average.
    pub(crate) fn one_in(&mut self, times: i64) -> bool {
        self.between(1, times) == 1
    }

    /// The place of one of these weights, each as likely as it is heavy; `None` when none is
    /// above zero.
    pub(crate) fn weighted(&mut self, weights: &[i64]) -> Option<usize> {
        let total: i64 = weights.iter().sum();
        if total <= 0 {
            return None;
        }
        let mut ticket = self.between(1, total);
        weights.iter().position(|weight| {
            ticket -= weight;
            ticket <= 0
        })
    }

    /// Puts a list in a drawn order.
    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        list.shuffle(&mut self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_named_by_seed_kind_and_row() {
        let first = |seed, draw, row| Dice::of(seed, draw, row).between(0, i64::MAX - 1);
        let one = first(1, Draw::Grade, 0);
        assert_eq!(one, first(1, Draw::Grade, 0));
        assert_ne!(one, first(2, Draw::Grade, 0));
        assert_ne!(one, first(1, Draw::Bid, 0));
        assert_ne!(one, first(1, Draw::Grade, 1));
    }

    #[test]
    fn heavier_is_likelier_and_weightless_is_never_drawn() {
        let mut counts = [0; 3];
        for row in 0..1_000 {
            let place = Dice::of(7, Draw::Placement, row).weighted(&[1, 0, 3]);
            counts[place.unwrap()] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!(counts[0] > 150 && counts[2] > 600, "{counts:?}");
        assert_eq!(Dice::of(7, Draw::Placement, 0).weighted(&[0, 0]), None);
    }
}
