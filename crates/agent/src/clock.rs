//! The only place that reads the machine's clock, and what is known of how far it is off.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::messages::MarketTime;

/// How often leases are looked at, in market time, and never more often than that in real time.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const LOOK_LEAST: Duration = Duration::from_millis(50);
/// How often they are looked at while market time stands: it may be set at any moment.
const LOOK_STANDING: Duration = Duration::from_millis(250);
/// How often the exchange is told that the agent is there, likewise.
const TALK_EVERY: Duration = Duration::from_secs(20);
const TALK_LEAST: Duration = Duration::from_millis(500);

/// The machine's clock, corrected by what the exchange's said last; and market time, in which
/// leases begin and end. Requests are signed by the exchange's real time: a machine that is an
/// hour off delivers as well as any other. Market time is the same, but in a demonstration, where
/// it runs faster, and in tests, where it stands until it is set.
#[derive(Debug, Default)]
pub struct Clock {
    ahead_ms: AtomicI64,
    market: Mutex<Option<Market>>,
}

/// Market time as the exchange said it last.
#[derive(Clone, Copy, Debug)]
struct Market {
    at: Timestamp,
    speed: u32,
    since: Instant,
}

impl Market {
    fn at(&self, instant: Instant) -> Timestamp {
        let gone = instant.saturating_duration_since(self.since);
        let gone = SignedDuration::try_from(gone.saturating_mul(self.speed));
        let at = gone.map(|gone| self.at.saturating_add(gone));
        at.ok().and_then(Result::ok).unwrap_or(Timestamp::MAX)
    }
}

impl Clock {
    /// Real time now, as far as is known.
    pub fn now(&self) -> Timestamp {
        let ahead = SignedDuration::from_millis(self.ahead_ms());
        machine()
            .saturating_sub(ahead)
            .unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Market time now, as far as is known: real time until the exchange has said otherwise.
    pub fn market_now(&self) -> Timestamp {
        let market = *self.market();
        market.map_or_else(|| self.now(), |market| market.at(Instant::now()))
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

    /// The same of market time. What agrees with what is known, as exactly as the answer can tell,
    /// changes nothing: a clock that jitters would make minutes look as if they were not seen.
    pub fn learn_market(&self, theirs: MarketTime, took: Duration) {
        let mut market = self.market();
        if theirs.speed == 1 {
            *market = None;
            return;
        }
        let now = Instant::now();
        let new = Market {
            at: theirs.at,
            speed: theirs.speed,
            since: now.checked_sub(took / 2).unwrap_or(now),
        };
        let unsure = SignedDuration::try_from(took.saturating_mul(theirs.speed));
        let known = market.filter(|market| market.speed == new.speed);
        let apart = known.map(|known| known.at(now).duration_since(new.at(now)).abs());
        let agrees = apart.is_some_and(|apart| unsure.is_ok_and(|unsure| apart <= unsure));
        if !agrees {
            *market = Some(new);
        }
    }

    /// How long to wait between two looks at the leases.
    pub fn look_pause(&self) -> Duration {
        self.pause(LOOK_EVERY, LOOK_LEAST, LOOK_STANDING)
    }

    /// How long to wait between two words with the exchange.
    pub fn talk_pause(&self) -> Duration {
        self.pause(TALK_EVERY, TALK_LEAST, TALK_LEAST)
    }

    fn pause(&self, every: Duration, least: Duration, standing: Duration) -> Duration {
        let speed = self.market().map_or(1, |market| market.speed);
        let pause = every.checked_div(speed);
        pause.map_or(standing, |pause| pause.max(least))
    }

    fn market(&self) -> MutexGuard<'_, Option<Market>> {
        self.market.lock().unwrap_or_else(PoisonError::into_inner)
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
    use std::thread;

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

    fn market(at: &str, speed: u32) -> MarketTime {
        let at = at.parse().expect("an instant");
        MarketTime { at, speed }
    }

    fn apart(clock: &Clock, at: &str) -> i64 {
        let at: Timestamp = at.parse().expect("an instant");
        i64::try_from(clock.market_now().duration_since(at).as_millis()).expect("near")
    }

    #[test]
    fn market_time_is_real_time_until_it_is_said_and_at_speed_1() {
        let clock = Clock::default();
        let near = |clock: &Clock| clock.market_now().duration_since(clock.now()).abs();
        assert!(near(&clock) < SignedDuration::from_secs(1));
        clock.learn_market(market("2030-01-01T00:00:00Z", 0), Duration::ZERO);
        assert!(near(&clock) > SignedDuration::from_hours(1));
        clock.learn_market(market("2030-01-01T00:00:00Z", 1), Duration::ZERO);
        assert!(near(&clock) < SignedDuration::from_secs(1));
        // Real time as the exchange has it, not as the machine does.
        clock.learn(
            clock.now() - SignedDuration::from_hours(1),
            Duration::from_millis(2),
        );
        assert!(near(&clock) < SignedDuration::from_secs(1));
        assert_eq!(clock.look_pause(), Duration::from_secs(10));
        assert_eq!(clock.talk_pause(), Duration::from_secs(20));
    }

    #[test]
    fn market_time_runs_as_fast_as_it_was_said_to_and_stands_at_0() {
        let clock = Clock::default();
        let at = "2026-11-26T14:00:00Z";
        clock.learn_market(market(at, 3_600), Duration::ZERO);
        thread::sleep(Duration::from_millis(50));
        let ran = apart(&clock, at);
        assert!((180_000..3_600_000).contains(&ran), "{ran}");
        clock.learn_market(market(at, 0), Duration::from_secs(2));
        thread::sleep(Duration::from_millis(5));
        assert_eq!(
            apart(&clock, at),
            0,
            "it stands, however long the answer took"
        );
        clock.learn_market(market("2026-11-26T13:00:00Z", 0), Duration::from_secs(2));
        assert_eq!(apart(&clock, "2026-11-26T13:00:00Z"), 0, "and is set back");
    }

    #[test]
    fn an_answer_counts_from_the_middle_of_its_way_and_jitter_not_at_all() {
        let clock = Clock::default();
        let at = "2026-11-26T14:00:00Z";
        let took = Duration::from_secs(2);
        clock.learn_market(market(at, 60), took);
        let first = apart(&clock, at);
        assert!((60_000..90_000).contains(&first), "{first}");
        // A minute later by its word, which can't tell more exactly than two minutes.
        clock.learn_market(market("2026-11-26T14:01:00Z", 60), took);
        let second = apart(&clock, at);
        assert!((first..first + 30_000).contains(&second), "{second}");
        clock.learn_market(market("2026-11-26T15:00:00Z", 60), took);
        let third = apart(&clock, "2026-11-26T15:00:00Z");
        assert!(
            (60_000..90_000).contains(&third),
            "what is apart is learnt: {third}"
        );
    }

    #[test]
    fn pauses_are_in_market_time_within_bounds() {
        let clock = Clock::default();
        let pauses = |speed| {
            clock.learn_market(market("2026-11-26T14:00:00Z", speed), Duration::ZERO);
            (
                clock.look_pause().as_millis(),
                clock.talk_pause().as_millis(),
            )
        };
        assert_eq!(pauses(1), (10_000, 20_000));
        assert_eq!(pauses(10), (1_000, 2_000));
        assert_eq!(pauses(60), (166, 500));
        assert_eq!(pauses(u32::MAX), (50, 500));
        assert_eq!(pauses(0), (250, 500));
    }
}
