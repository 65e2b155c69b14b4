//! What providers deliver: seeded shortfalls, the same for the same lease of the same seed.

use market::{Delivered, HOUR_MINUTES};

use super::dice::{Dice, Draw};

/// One lease in so many loses its host.
const FAILS_ONE_IN: i64 = 150;

/// A lost host is back after at most so many hours more.
const LONGEST_OUTAGE: i64 = 6;

/// One hour in so many lacks some minutes.
const SHORT_ONE_IN: i64 = 60;

/// When a lease's host is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outage {
    /// In which hour of the lease it is lost.
    first: i64,
    /// The minutes of that hour before it is lost.
    minutes: i64,
    /// For how many hours after that one.
    hours: i64,
}

/// Whether and when the host of the `lease`th lease, of so many hours, fails.
pub(super) fn outage(seed: u64, lease: usize, hours: i64) -> Option<Outage> {
    let mut dice = Dice::of(seed, Draw::Host, lease);
    dice.one_in(FAILS_ONE_IN).then(|| Outage {
        first: dice.between(0, hours - 1),
        minutes: dice.between(0, HOUR_MINUTES - 1),
        hours: dice.between(0, LONGEST_OUTAGE),
    })
}

/// The reading of the `hour`th hour of the `lease`th lease.
pub(super) fn reading(
    seed: u64,
    lease: usize,
    hour: i64,
    units: i64,
    outage: Option<Outage>,
) -> Delivered {
    if let Some(outage) = outage {
        if hour == outage.first {
            return Delivered::Minutes(outage.minutes);
        }
        if (outage.first..=outage.first + outage.hours).contains(&hour) {
            return Delivered::Minutes(0);
        }
    }
    let row = lease << 16 | usize::try_from(hour).unwrap_or(0);
    let mut dice = Dice::of(seed, Draw::Reading, row);
    if !dice.one_in(SHORT_ONE_IN) {
        return Delivered::Minutes(HOUR_MINUTES);
    }
    if units == 1 {
        return Delivered::Minutes(HOUR_MINUTES - dice.between(1, 15));
    }
    // One card of several is gone for a while.
    Delivered::UnitMinutes(HOUR_MINUTES * units - dice.between(1, HOUR_MINUTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_host_delivers_nothing_until_it_is_back() {
        let outage = Some(Outage {
            first: 2,
            minutes: 20,
            hours: 3,
        });
        let minutes = |hour| match reading(1, 1, hour, 8, outage) {
            Delivered::Minutes(minutes) => minutes,
            Delivered::UnitMinutes(minutes) => minutes / 8,
        };
        assert_eq!([2, 3, 4, 5].map(minutes), [20, 0, 0, 0]);
        assert!(minutes(1) > 50 && minutes(6) > 50);
    }

    #[test]
    fn most_hours_are_whole_and_a_few_are_short() {
        let short = (0..6_000)
            .filter(|hour| reading(1, 1, *hour, 1, None) != Delivered::Minutes(60))
            .count();
        assert!((60..150).contains(&short), "{short}");
        let failed = (0..3_000)
            .filter(|lease| outage(1, *lease, 5).is_some())
            .count();
        assert!((8..40).contains(&failed), "{failed}");
    }
}
