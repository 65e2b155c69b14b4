//! The two ends of a period as a person picks them, by `components/period.html`.

use jiff::ToSpan;
use jiff::civil::Date;
use market::{Period, Timestamp};

use super::form::{FieldErrors, plain, whole};
use super::format;
use super::i18n::Locale;
use crate::clock;

/// The ends of a period as they are picked: days of the calendar and hours of the day, in China's
/// time. The last hour of a day ends at 24.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends<'f> {
    /// The day it begins on, as in `2026-10-06`.
    pub from_day: &'f str,
    /// The hour of that day, from 0.
    pub from_hour: &'f str,
    /// The day it ends on.
    pub to_day: &'f str,
    /// The hour of that day, 24 at the most.
    pub to_hour: &'f str,
}

/// A picked period's fields, in the order of [`Ends`].
pub fn ends_of(period: Period) -> [String; 4] {
    let (start, end) = (
        format::local(period.start.begins()),
        format::local(period.end.begins()),
    );
    let (to_day, to_hour) = match (end.hour(), end.date().yesterday()) {
        (0, Ok(day)) => (day, 24),
        (hour, _) => (end.date(), hour),
    };
    [
        start.date().to_string(),
        start.hour().to_string(),
        to_day.to_string(),
        to_hour.to_string(),
    ]
}

impl Ends<'_> {
    /// The period; none, with what is wrong noted at `from_day` or `to_day`.
    pub fn read(&self, locale: Locale, errors: &mut FieldErrors) -> Option<(Timestamp, Timestamp)> {
        let start = instant(self.from_day, self.from_hour);
        let end = instant(self.to_day, self.to_hour);
        if start.is_none() {
            errors.add("from_day", locale.t("period.bad.day"));
        }
        if end.is_none() {
            errors.add("to_day", locale.t("period.bad.day"));
        }
        let (start, end) = (start?, end?);
        if end <= start {
            errors.add("to_day", locale.t("period.bad.order"));
            return None;
        }
        Some((start, end))
    }
}

fn instant(day: &str, hour: &str) -> Option<Timestamp> {
    let day: Date = plain(day).parse().ok()?;
    let hour = whole(hour).filter(|hour| (0..=24).contains(hour))?;
    let midnight = day.to_zoned(format::zone()).ok()?;
    let at = midnight.checked_add(hour.hours()).ok()?;
    // Far years are days too; nothing here lasts so long.
    (1970..=9000)
        .contains(&at.year())
        .then(|| clock::stamp(at.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_hour_of_a_day_ends_at_24() {
        let ends = Ends {
            from_day: "2026-11-01",
            from_hour: "8",
            to_day: "2026-11-30",
            to_hour: "24",
        };
        let mut errors = FieldErrors::default();
        let (start, end) = ends.read(Locale::En, &mut errors).unwrap();
        // 2026-11-01T08:00+08:00 is 2026-11-01T00:00Z.
        assert_eq!(start, Timestamp(1_793_491_200_000_000));
        let period = Period {
            start: start.hour(),
            end: end.hour(),
        };
        assert_eq!(period.hours(), 30 * 24 - 8);
        let [from_day, from_hour, to_day, to_hour] = ends_of(period);
        assert_eq!(
            [&*from_day, &from_hour, &to_day, &to_hour],
            ["2026-11-01", "8", "2026-11-30", "24"]
        );
    }
}
