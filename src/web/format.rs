//! How money, times and quantities read on a page: by the reader's language, in China's time.

use jiff::Zoned;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use market::{Hour, Money, Period, Timestamp, decimal};

use super::i18n::Locale;
use crate::clock;

/// The zone of every time on a page, as it is named there.
pub const ZONE: &str = "UTC+8";

/// The time zone of every page: China's, which keeps no summer time.
pub fn zone() -> TimeZone {
    TimeZone::fixed(jiff::tz::offset(8))
}

/// An instant in China's time.
pub fn local(at: Timestamp) -> Zoned {
    clock::instant(at).to_zoned(zone())
}

/// An amount with a thousands separator, a true minus and two decimals, or four where two would
/// not be all of it: no amount is ever rounded on a page.
pub fn money(amount: Money) -> String {
    let all = four(amount);
    match all.strip_suffix("00") {
        Some(two) => two.to_owned(),
        None => all,
    }
}

/// An amount with a thousands separator, a true minus and four decimals.
pub fn four(amount: Money) -> String {
    wide(amount.0.into())
}

/// An amount that may exceed any balance, as [`money`] prints those that don't.
pub fn amount(wide: i128) -> String {
    i64::try_from(wide).map_or_else(|_| self::wide(wide), |amount| money(Money(amount)))
}

/// An amount that may exceed any balance, with four decimals.
pub fn wide(amount: i128) -> String {
    let plain = decimal(amount);
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(digits) => ("\u{2212}", digits),
        None => ("", plain.as_str()),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0000"));
    format!("{sign}{}.{part}", grouped(whole))
}

/// An amount with its sign, `+` or a true minus, and four decimals.
pub fn signed(amount: Money) -> String {
    let sign = if amount > Money::ZERO { "+" } else { "" };
    format!("{sign}{}", four(amount))
}

/// A count with a thousands separator.
pub fn count(number: i64) -> String {
    let sign = if number < 0 { "\u{2212}" } else { "" };
    format!("{sign}{}", grouped(&number.unsigned_abs().to_string()))
}

/// A number of so many decimals, given as an integer of its last one.
pub fn scaled(number: i64, decimals: u32) -> String {
    let scale = 10_u64.pow(decimals);
    let whole = grouped(&(number.unsigned_abs() / scale).to_string());
    let sign = if number < 0 { "\u{2212}" } else { "" };
    let part = number.unsigned_abs() % scale;
    let width = usize::try_from(decimals).unwrap_or(0);
    format!("{sign}{whole}.{part:0width$}")
}

/// A share in basis points as per cent, with no more decimals than it needs.
pub fn percent(bps: i64) -> String {
    let text = scaled(bps, 2);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

fn grouped(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

impl Locale {
    /// A day, as in `10-06 周二` or `Tue 6 Oct`.
    pub fn day(self, at: Timestamp) -> String {
        let at = local(at);
        let weekday = self.t(weekday_key(at.weekday()));
        match self {
            Self::Zh => format!("{:02}-{:02} {weekday}", at.month(), at.day()),
            Self::En => {
                let month = jiff::fmt::strtime::format("%b", &at).unwrap_or_default();
                format!("{weekday} {} {month}", at.day())
            }
        }
    }

    /// An instant to the minute, as in `10-06 周二 09:00`.
    pub fn minute(self, at: Timestamp) -> String {
        format!("{} {}", self.day(at), hour_minute(at))
    }

    /// An instant to the second, as in `10-06 周二 09:00:07`.
    pub fn second(self, at: Timestamp) -> String {
        format!("{} {}", self.day(at), clock_time(at))
    }

    /// A delivery period, as in `10-06 周二 09:00 – 17:00`; the second day is named if it is
    /// another.
    pub fn period(self, period: Period) -> String {
        let (start, end) = (period.start.begins(), period.end.begins());
        if local(start).date() == local(end).date() {
            format!("{} – {}", self.minute(start), hour_minute(end))
        } else {
            format!("{} – {}", self.minute(start), self.minute(end))
        }
    }

    /// How long until then, in the two largest units, as in `2 小时 40 分`.
    pub fn span(self, micros: i64) -> String {
        let minutes = micros.max(0) / 60_000_000;
        let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
        let (days_text, hours_text, minutes_text) =
            (days.to_string(), hours.to_string(), minutes.to_string());
        match (days, hours) {
            (0, 0) => self.tr("span.minutes", [("m", &minutes_text)]),
            (0, _) => self.tr("span.hours", [("h", &hours_text), ("m", &minutes_text)]),
            _ => self.tr("span.days", [("d", &days_text), ("h", &hours_text)]),
        }
    }
}

/// `09:00`.
pub fn hour_minute(at: Timestamp) -> String {
    let at = local(at);
    format!("{:02}:{:02}", at.hour(), at.minute())
}

/// `09:00:07`.
pub fn clock_time(at: Timestamp) -> String {
    let at = local(at);
    format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
}

/// The machine-readable form of an instant, as in `2026-10-06T09:00:00+08:00`.
pub fn machine(at: Timestamp) -> String {
    let at = local(at);
    let date = at.date();
    format!(
        "{date}T{:02}:{:02}:{:02}+08:00",
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// An hour of delivery, as in `09:00 – 10:00`.
pub fn hour_span(hour: Hour) -> String {
    format!(
        "{} – {}",
        hour_minute(hour.begins()),
        hour_minute(hour.ends())
    )
}

fn weekday_key(weekday: Weekday) -> &'static str {
    match weekday {
        Weekday::Monday => "weekday.mon",
        Weekday::Tuesday => "weekday.tue",
        Weekday::Wednesday => "weekday.wed",
        Weekday::Thursday => "weekday.thu",
        Weekday::Friday => "weekday.fri",
        Weekday::Saturday => "weekday.sat",
        Weekday::Sunday => "weekday.sun",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-10-06T01:00:00Z, a Tuesday.
    const AT: Timestamp = Timestamp(1_791_248_400_000_000);

    #[test]
    fn money_is_grouped_and_never_rounded() {
        assert_eq!(money(Money(124_800_000)), "12,480.00");
        assert_eq!(money(Money(124_800_001)), "12,480.0001");
        assert_eq!(money(Money(-5_000)), "\u{2212}0.50");
        assert_eq!(four(Money(6_451_100)), "645.1100");
        assert_eq!(signed(Money(10_000)), "+1.0000");
        assert_eq!(
            wide(i128::from(i64::MAX) * 10),
            "9,223,372,036,854,775.8070"
        );
        assert_eq!(scaled(31_990, 3), "31.990");
        assert_eq!(
            (percent(9_990), percent(300)),
            ("99.9%".to_owned(), "3%".to_owned())
        );
    }

    #[test]
    fn times_are_in_chinas_zone_and_the_readers_language() {
        let hour = AT.hour();
        let period = Period {
            start: hour,
            end: Hour(hour.0 + 8),
        };
        assert_eq!(Locale::Zh.period(period), "10-06 周二 09:00 – 17:00");
        assert_eq!(Locale::En.period(period), "Tue 6 Oct 09:00 – 17:00");
        let over_night = Period {
            start: Hour(hour.0 + 12),
            end: Hour(hour.0 + 20),
        };
        assert_eq!(
            Locale::Zh.period(over_night),
            "10-06 周二 21:00 – 10-07 周三 05:00"
        );
        assert_eq!(machine(AT), "2026-10-06T09:00:00+08:00");
        assert_eq!(Locale::Zh.span(160 * 60_000_000), "2 小时 40 分");
    }
}
