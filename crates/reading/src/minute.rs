//! UTC minutes and hours.

use std::fmt;

use jiff::Timestamp;

const MINUTE_SECONDS: i64 = 60;
const HOUR_MINUTES: u32 = 60;

/// A whole UTC minute, named by its beginning: minutes since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(pub u32);

/// A whole UTC hour, named by its beginning: hours since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(pub u32);

impl Minute {
    /// The minute in course at an instant; `None` before 1970, and far beyond every lease.
    pub fn of(instant: Timestamp) -> Option<Self> {
        let minutes = instant.as_second().div_euclid(MINUTE_SECONDS);
        u32::try_from(minutes).ok().map(Self)
    }

    /// The instant at which it begins.
    pub fn begins(self) -> Timestamp {
        let seconds = i64::from(self.0).saturating_mul(MINUTE_SECONDS);
        // 2^32 minutes reach the year 10136; jiff's instants end with 9999.
        Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
    }

    /// Reads RFC 3339 with `Z` or an offset, on the minute; `None` when it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let instant: Timestamp = text.parse().ok()?;
        let minute = Self::of(instant)?;
        (minute.begins() == instant).then_some(minute)
    }

    /// The hour that it lies in.
    pub fn hour(self) -> Hour {
        Hour(self.0.div_euclid(HOUR_MINUTES))
    }

    /// Which minute of its hour it is: 0 to 59.
    pub fn of_hour(self) -> u8 {
        u8::try_from(self.0.rem_euclid(HOUR_MINUTES)).expect("59 fits in a byte")
    }
}

impl Hour {
    /// Its first minute.
    pub fn begins(self) -> Minute {
        Minute(self.0.saturating_mul(HOUR_MINUTES))
    }

    /// The minutes that it has.
    pub fn minutes(self) -> impl Iterator<Item = Minute> {
        let first = self.begins().0;
        (0..HOUR_MINUTES).map(move |later| Minute(first.saturating_add(later)))
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.begins(), out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_written_as_it_is_read() {
        let minute = Minute::parse("2026-11-26T14:02:00Z").expect("a minute");
        assert_eq!(minute.to_string(), "2026-11-26T14:02:00Z");
        assert_eq!(minute.of_hour(), 2);
        assert_eq!(minute.hour().begins().to_string(), "2026-11-26T14:00:00Z");
        assert_eq!(Minute::parse("2026-11-26T22:02:00+08:00"), Some(minute));
        for wrong in [
            "2026-11-26T14:02:01Z",
            "2026-11-26T14:02:00",
            "1969-12-31T23:59:00Z",
            "",
        ] {
            assert_eq!(Minute::parse(wrong), None, "{wrong}");
        }
        assert_eq!(minute.hour().minutes().count(), 60);
        assert!(
            minute
                .hour()
                .minutes()
                .all(|each| each.hour() == minute.hour())
        );
    }
}
