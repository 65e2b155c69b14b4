//! The delivery period that a reader picks: a day and an hour in China's time, and how many hours.

use jiff::ToSpan;
use jiff::civil::Date;
use market::{HORIZON_HOURS, Hour, Period, Timestamp};

use super::format;
use super::i18n::Locale;
use crate::clock::{self, MarketClock};

/// A picked period, as the fields that it is picked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The period.
    pub period: Period,
}

/// From when on a period is offered to a reader who names none: a minute and a half of theirs from
/// now, so that a fast market's next hour has not begun before they have read the page.
pub fn soon(clock: &MarketClock) -> Timestamp {
    let micros = clock.speed().saturating_mul(90_000_000);
    Timestamp(clock.now().0.saturating_add(micros))
}

/// The field of a period that can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadField {
    /// Not a day of the calendar.
    Day,
    /// Not an hour of the day.
    Hour,
    /// Not a number of hours from 1 to the horizon.
    Hours,
}

impl BadField {
    /// The field's name in a form.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Hours => "hours",
        }
    }
}

impl Window {
    /// So many hours from the next whole one after an instant.
    pub fn next(now: Timestamp, hours: i64) -> Self {
        let start = Hour(now.hour().0 + 1);
        Self {
            period: Period {
                start,
                end: Hour(start.0 + hours),
            },
        }
    }

    /// The period that these fields name; a field that is empty is as in `like`.
    ///
    /// # Errors
    /// The first field that can't be read.
    pub fn read(day: &str, hour: &str, hours: &str, like: &Self) -> Result<Self, BadField> {
        let first = format::local(like.period.start.begins());
        let day = match day.trim() {
            "" => first.date(),
            day => day.parse::<Date>().map_err(|_| BadField::Day)?,
        };
        let hour = match hour.trim() {
            "" => first.hour(),
            hour => hour
                .parse()
                .ok()
                .filter(|hour| (0..24).contains(hour))
                .ok_or(BadField::Hour)?,
        };
        let hours = match hours.trim() {
            "" => like.period.hours(),
            hours => super::form::whole(hours)
                .filter(|hours| (1..=HORIZON_HOURS).contains(hours))
                .ok_or(BadField::Hours)?,
        };
        let start = day
            .at(hour, 0, 0, 0)
            .to_zoned(format::zone())
            .map_err(|_| BadField::Day)?
            .timestamp();
        let start = clock::stamp(start).hour();
        Ok(Self {
            period: Period {
                start,
                end: Hour(start.0 + hours),
            },
        })
    }

    /// The same, with each field that can't be read as in `like`: the others stay as they are.
    pub fn nearest(day: &str, hour: &str, hours: &str, like: &Self) -> Self {
        let (mut day, mut hour, mut hours) = (day, hour, hours);
        loop {
            let wrong = match Self::read(day, hour, hours, like) {
                Ok(window) => return window,
                Err(BadField::Day) => &mut day,
                Err(BadField::Hour) => &mut hour,
                Err(BadField::Hours) => &mut hours,
            };
            if wrong.is_empty() {
                return like.clone();
            }
            *wrong = "";
        }
    }

    /// The day it begins on, as in `2026-10-06`.
    pub fn day(&self) -> String {
        format::local(self.period.start.begins()).date().to_string()
    }

    /// The hour it begins at, 0 to 23.
    pub fn hour(&self) -> i8 {
        format::local(self.period.start.begins()).hour()
    }

    /// How many hours it has.
    pub fn hours(&self) -> i64 {
        self.period.hours()
    }

    /// As a query, `day=…&hour=…&hours=…`.
    pub fn query(&self) -> String {
        format!(
            "day={}&hour={}&hours={}",
            self.day(),
            self.hour(),
            self.hours()
        )
    }

    /// The days that can be picked from, with their names: today and the `count − 1` after it, and
    /// the picked one if it is none of them.
    pub fn days(&self, now: Timestamp, count: i32, locale: Locale) -> Vec<(String, String)> {
        let today = format::local(now).date();
        let mut days: Vec<Date> = (0..count)
            .filter_map(|ahead| today.checked_add(ahead.days()).ok())
            .collect();
        let picked = format::local(self.period.start.begins()).date();
        if !days.contains(&picked) {
            days.push(picked);
        }
        days.into_iter()
            .map(|day| (day.to_string(), day_name(day, today, locale)))
            .collect()
    }
}

fn day_name(day: Date, today: Date, locale: Locale) -> String {
    let ahead = day.since(today).map_or(99, |span| span.get_days());
    match ahead {
        0 => locale.t("day.today").into_owned(),
        1 => locale.t("day.tomorrow").into_owned(),
        _ => {
            let noon = day.at(12, 0, 0, 0).to_zoned(format::zone());
            let at = noon.map_or(jiff::Timestamp::UNIX_EPOCH, |noon| noon.timestamp());
            locale.day(clock::stamp(at))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-10-05T06:32:00Z: Monday, 14:32 in China.
    const NOW: Timestamp = Timestamp(1_791_181_920_000_000);

    #[test]
    fn fields_name_a_period_in_chinas_time() {
        let next = Window::next(NOW, 4);
        assert_eq!(next.query(), "day=2026-10-05&hour=15&hours=4");
        let picked = Window::read("2026-10-06", "9", "8", &next).unwrap();
        assert_eq!(
            picked.period.start.begins(),
            Timestamp(1_791_248_400_000_000)
        );
        assert_eq!(picked.query(), "day=2026-10-06&hour=9&hours=8");
        assert_eq!(Window::read("", "", "", &next), Ok(next));
    }

    #[test]
    fn a_field_that_cannot_be_read_is_named() {
        let like = Window::next(NOW, 4);
        let read = |day, hour, hours| Window::read(day, hour, hours, &like);
        assert_eq!(read("2026-02-30", "9", "8"), Err(BadField::Day));
        assert_eq!(read("9999-12-31", "23", "8"), Err(BadField::Day));
        assert_eq!(read("2026-10-06", "24", "8"), Err(BadField::Hour));
        assert_eq!(read("2026-10-06", "9", "1.5"), Err(BadField::Hours));
        assert_eq!(read("2026-10-06", "9", "0"), Err(BadField::Hours));
        assert_eq!(
            read("2026-10-06", "9", "99999999999999999999"),
            Err(BadField::Hours)
        );
    }

    #[test]
    fn one_field_that_cannot_be_read_loses_no_other() {
        let like = Window::next(NOW, 4);
        let near = |day, hour, hours| Window::nearest(day, hour, hours, &like).query();
        assert_eq!(
            near("2026-10-06", "9", "x"),
            "day=2026-10-06&hour=9&hours=4"
        );
        assert_eq!(near("never", "9", "8"), "day=2026-10-05&hour=9&hours=8");
        assert_eq!(
            near("9999-12-31", "23", "8"),
            "day=2026-10-05&hour=23&hours=8"
        );
        assert_eq!(near("never", "99", "0"), like.query());
    }

    #[test]
    fn a_fast_market_offers_hours_that_have_not_begun_when_the_page_is_read() {
        let still = MarketClock::set_to(NOW);
        assert_eq!(soon(&still), NOW);
        let wall = clock::stamp(clock::wall());
        let fast = MarketClock::running(wall, NOW, 120);
        let three_hours = soon(&fast).0 - NOW.0;
        assert!(three_hours >= 3 * market::HOUR_MICROS, "{three_hours}");
    }
}
