//! From looks at a lease to one reading a minute.
//!
//! A minute counts for what every look at it found, the least of them. It has to have been looked
//! at near its beginning, near its end and often enough between: an agent that slept says nothing
//! about what it did not see, and the minute is missing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reading::{AgentKey, Digest, Minute, Reading, SignedReading};

use crate::spool::Head;

/// The longest that a minute may go without a look, in seconds.
const LONGEST_GAP: i64 = 20;

/// What was seen of the leases in the minute in course.
#[derive(Debug, Default)]
pub struct Meter {
    seen: BTreeMap<u64, Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    minute: Minute,
    units: u32,
    last: Timestamp,
    whole: bool,
}

/// A minute of a lease that is over and was seen whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Which lease.
    pub lease: u64,
    /// Which minute.
    pub minute: Minute,
    /// The units that ran all of it.
    pub units: u32,
}

impl Meter {
    /// Notes that so many units ran at this instant. Gives the minute before when this look is the
    /// first of a new one and that was seen whole.
    pub fn look(&mut self, lease: u64, at: Timestamp, units: u32) -> Option<Ran> {
        let minute = Minute::of(at)?;
        let near = |one: Timestamp, other: Timestamp| {
            (0..=LONGEST_GAP).contains(&other.duration_since(one).as_secs())
        };
        let fresh = Seen {
            minute,
            units,
            last: at,
            whole: near(minute.begins(), at),
        };
        let Some(seen) = self.seen.get_mut(&lease) else {
            self.seen.insert(lease, fresh);
            return None;
        };
        let before = *seen;
        if before.minute == minute {
            seen.units = before.units.min(units);
            seen.whole = before.whole && near(before.last, at);
            seen.last = at;
            return None;
        }
        *seen = fresh;
        let end = Minute(before.minute.0.saturating_add(1)).begins();
        let whole = before.whole && near(before.last, end) && minute > before.minute;
        whole.then_some(Ran {
            lease,
            minute: before.minute,
            units: before.units,
        })
    }

    /// Forgets a lease that is over. The minute in course is not counted: nobody could use it to
    /// its end.
    pub fn forget(&mut self, lease: u64) {
        self.seen.remove(&lease);
    }
}

/// Signs what ran as the next reading of its lease; `None` for a minute that is not after the one
/// that was signed last: a clock was put back, and no minute is told twice.
pub fn sign(ran: Ran, head: Option<Head>, agent: u64, key: &AgentKey) -> Option<SignedReading> {
    let lease = ran.lease;
    let (sequence, before) = match head {
        Some(head) if ran.minute <= head.minute => return None,
        Some(head) => (head.sequence + 1, head.hash),
        None => (1, Digest::beginning(agent, lease)),
    };
    let reading = Reading {
        agent,
        lease,
        sequence,
        minute: ran.minute,
        units: ran.units,
        before,
    };
    Some(reading.sign(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at seconds of 14:00, the last of them in 14:01 or later.
    fn looked(looks: &[(i64, u32)]) -> Option<u32> {
        let begins: Timestamp = "2026-11-26T14:00:00Z".parse().expect("an instant");
        let mut meter = Meter::default();
        let mut last = None;
        for &(second, units) in looks {
            let at = Timestamp::from_second(begins.as_second() + second).expect("an instant");
            last = meter.look(12, at, units);
        }
        last.inspect(|ran| assert_eq!(ran.minute.begins(), begins))
            .map(|ran| ran.units)
    }

    #[test]
    fn a_minute_counts_for_the_least_that_was_seen_all_through_it() {
        assert_eq!(looked(&[(0, 8), (20, 8), (40, 8), (60, 8)]), Some(8));
        assert_eq!(looked(&[(0, 8), (20, 3), (40, 8), (60, 8)]), Some(3));
        assert_eq!(
            looked(&[(0, 8), (20, 8), (40, 8), (60, 0)]),
            Some(8),
            "the next minute's"
        );
        assert_eq!(looked(&[(19, 8), (30, 8), (50, 8), (119, 8)]), Some(8));
    }

    #[test]
    fn a_minute_that_was_not_seen_whole_is_missing() {
        assert_eq!(
            looked(&[(21, 8), (40, 8), (59, 8), (60, 8)]),
            None,
            "begun late"
        );
        assert_eq!(
            looked(&[(0, 8), (21, 8), (40, 8), (60, 8)]),
            None,
            "slept between"
        );
        assert_eq!(
            looked(&[(0, 8), (20, 8), (39, 8), (60, 8)]),
            None,
            "not seen to its end"
        );
        assert_eq!(
            looked(&[(0, 8), (20, 8), (10, 8), (40, 8), (60, 8)]),
            None,
            "a clock put back"
        );
        assert_eq!(
            looked(&[(0, 8), (20, 8), (40, 8), (-60, 8)]),
            None,
            "into an earlier minute"
        );
    }

    #[test]
    fn no_minute_is_signed_twice() {
        let key = AgentKey::from_secret(&[1; 32]);
        let ran = |minute| Ran {
            lease: 12,
            minute: Minute(minute),
            units: 8,
        };
        let first = sign(ran(100), None, 7, &key).expect("the first").reading;
        assert_eq!(
            (first.sequence, first.before),
            (1, Digest::beginning(7, 12))
        );
        let head = Head {
            sequence: 1,
            hash: first.hash(),
            minute: first.minute,
        };
        let second = sign(ran(101), Some(head), 7, &key)
            .expect("the next")
            .reading;
        assert_eq!((second.sequence, second.before), (2, first.hash()));
        assert_eq!(sign(ran(100), Some(head), 7, &key), None);
        assert_eq!(sign(ran(99), Some(head), 7, &key), None);
    }
}
