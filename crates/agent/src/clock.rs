//! The only place that reads the machine's clock, and what is known of how far it is off.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The machine's clock, corrected by what the exchange's said last. Readings and requests are
/// about the exchange's time: a machine that is an hour off delivers as well as any other.
#[derive(Debug, Default)]
pub struct Clock {
    ahead_ms: AtomicI64,
}

impl Clock {
    /// Now, as far as is known.
    pub fn now(&self) -> Timestamp {
        let ahead = SignedDuration::from_millis(self.ahead_ms());
        machine()
            .saturating_sub(ahead)
            .unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// By how many milliseconds the machine's clock is before the exchange's.
    pub fn ahead_ms(&self) -> i64 {
        self.ahead_ms.load(Ordering::Relaxed)
    }

    /// Learns from an answer: the exchange's clock stood at `theirs` at some moment of the
    /// `took` that have just gone by.
    pub fn learn(&self, theirs: Timestamp, took: Duration) {
        let half = SignedDuration::try_from(took / 2).unwrap_or(SignedDuration::ZERO);
        let ahead = machine().duration_since(theirs) - half;
        let ahead = i64::try_from(ahead.as_millis()).unwrap_or(0);
        self.ahead_ms.store(ahead, Ordering::Relaxed);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the place that reads the clock"
)]
fn machine() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_an_hour_off_is_put_right_by_the_exchange() {
        let clock = Clock::default();
        let before = clock.now();
        clock.learn(before - SignedDuration::from_hours(1), Duration::ZERO);
        let after = clock.now();
        let off = before.duration_since(after).as_secs();
        assert!((3_599..=3_600).contains(&off), "{off}");
        assert!((3_599_000..=3_601_000).contains(&clock.ahead_ms()));
    }
}
