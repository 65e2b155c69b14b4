//! What is typed to open a pool, to offer it, and to plan a host's faults.

use market::catalogue::{Grade, Region};
use market::{Access, Hour, Money, Period, Rejection, Timestamp, Weekly};
use serde::Deserialize;

use crate::web::ends::Ends;
use crate::web::form::{price, whole};
use crate::web::{FieldErrors, Locale, format};

/// The most units that a form takes; a typing error is likelier than a larger pool.
pub(super) const MOST_UNITS: i64 = 100_000;

/// The longest lease that a tariff may ask for, in hours: four weeks.
const MOST_MIN_HOURS: i64 = 672;

/// The most hours between two planned faults: a year.
const MOST_FAILS_EVERY: i64 = 8_760;

/// A pool as it was typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NewPool {
    pub(super) name: String,
    pub(super) grade: String,
    pub(super) level: String,
    pub(super) units: String,
    pub(super) access: String,
    pub(super) from_day: String,
    pub(super) from_hour: String,
    pub(super) to_day: String,
    pub(super) to_hour: String,
    pub(super) form_id: String,
}

/// What a new pool is to be.
#[derive(Clone, Debug)]
pub(super) struct PoolTerms {
    pub(super) name: String,
    pub(super) grade: &'static Grade,
    pub(super) symbol: String,
    pub(super) units: i64,
    pub(super) access: Access,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

impl NewPool {
    pub(super) fn ends(&self) -> Ends<'_> {
        Ends {
            from_day: &self.from_day,
            from_hour: &self.from_hour,
            to_day: &self.to_day,
            to_hour: &self.to_hour,
        }
    }

    /// What it means in this region with these service levels, or what is wrong by field.
    pub(super) fn read(
        &self,
        locale: Locale,
        region: &'static Region,
        levels: &[String],
    ) -> Result<PoolTerms, FieldErrors> {
        let mut errors = FieldErrors::default();
        let name = self.name.trim();
        if !(1..=60).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            errors.add("name", locale.t("pools.bad.name"));
        }
        let grade = Grade::of(&self.grade);
        if grade.is_none() {
            errors.add("grade", locale.t("pools.bad.grade"));
        }
        if !levels.contains(&self.level) {
            errors.add("level", locale.t("pools.bad.level"));
        }
        let access = Access::from_code(&self.access);
        if access.is_none() {
            errors.add("access", locale.t("pools.bad.access"));
        }
        let units = units(&self.units, locale, &mut errors);
        let period = self.ends().read(locale, &mut errors);
        match (grade.zip(access), units, period) {
            (Some((grade, access)), Some(units), Some((start, end))) if errors.is_empty() => {
                Ok(PoolTerms {
                    name: name.to_owned(),
                    symbol: format!("{}.{}.{}", grade.name, region.symbol_part(), self.level),
                    grade,
                    units,
                    access,
                    start,
                    end,
                })
            }
            _ => Err(errors),
        }
    }
}

fn units(typed: &str, locale: Locale, errors: &mut FieldErrors) -> Option<i64> {
    let units = whole(typed).filter(|units| (1..=MOST_UNITS).contains(units));
    if units.is_none() {
        let most = format::count(MOST_UNITS);
        errors.add("units", locale.tr("pools.bad.units", [("n", &most)]));
    }
    units
}

fn tariff_price(typed: &str, locale: Locale, errors: &mut FieldErrors) -> Option<Money> {
    let price = price(typed, locale, errors)?;
    if price <= Money::ZERO {
        errors.add("price", locale.t("tariff.bad.price"));
        return None;
    }
    Some(price)
}

/// More units for a pool, as typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Growth {
    pub(super) units: String,
}

impl Growth {
    /// The new total.
    pub(super) fn read(&self, locale: Locale) -> Result<i64, FieldErrors> {
        let mut errors = FieldErrors::default();
        units(&self.units, locale, &mut errors).ok_or(errors)
    }
}

/// A tariff's new price and units, as typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Change {
    pub(super) units: String,
    pub(super) price: String,
}

impl Change {
    /// Units and price.
    pub(super) fn read(&self, locale: Locale) -> Result<(i64, Money), FieldErrors> {
        let mut errors = FieldErrors::default();
        let units = units(&self.units, locale, &mut errors);
        let price = tariff_price(&self.price, locale, &mut errors);
        match (units, price) {
            (Some(units), Some(price)) => Ok((units, price)),
            _ => Err(errors),
        }
    }
}

/// On which days a tariff holds: the first seven are those of the week, from Monday.
pub(super) const DAYS: [&str; 10] = [
    "mon", "tue", "wed", "thu", "fri", "sat", "sun", "all", "weekdays", "weekend",
];

/// A tariff as it was typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Tariff {
    pub(super) days: String,
    pub(super) begins: String,
    pub(super) ends: String,
    pub(super) min_hours: String,
    pub(super) units: String,
    pub(super) price: String,
    pub(super) from_day: String,
    pub(super) from_hour: String,
    pub(super) to_day: String,
    pub(super) to_hour: String,
    pub(super) client_id: String,
}

/// What a tariff means.
#[derive(Clone, Debug)]
pub(super) struct TariffTerms {
    pub(super) weekly: Option<Weekly>,
    pub(super) min_hours: i64,
    pub(super) units: i64,
    pub(super) price: Money,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

impl Tariff {
    pub(super) fn ends(&self) -> Ends<'_> {
        Ends {
            from_day: &self.from_day,
            from_hour: &self.from_hour,
            to_day: &self.to_day,
            to_hour: &self.to_hour,
        }
    }

    /// What it means, or what is wrong by field.
    pub(super) fn read(&self, locale: Locale) -> Result<TariffTerms, FieldErrors> {
        let mut errors = FieldErrors::default();
        let weekly = weekly(&self.days, &self.begins, &self.ends);
        if weekly.is_none() {
            errors.add("days", locale.t("tariff.bad.hours"));
        }
        let min_hours = whole(&self.min_hours).filter(|hours| (1..=MOST_MIN_HOURS).contains(hours));
        if min_hours.is_none() {
            let most = MOST_MIN_HOURS.to_string();
            errors.add(
                "min_hours",
                locale.tr("tariff.bad.min_hours", [("n", &most)]),
            );
        }
        // A lease is one run of hours: a night of eight can't be sold by the twelve.
        if let (Some(Some(weekly)), Some(min_hours)) = (&weekly, min_hours)
            && min_hours > longest_run(weekly)
        {
            let run = longest_run(weekly).to_string();
            errors.add("min_hours", locale.tr("tariff.bad.run", [("n", &run)]));
        }
        let units = units(&self.units, locale, &mut errors);
        let price = tariff_price(&self.price, locale, &mut errors);
        let period = self.ends().read(locale, &mut errors);
        match (weekly, min_hours, units, price, period) {
            (Some(weekly), Some(min_hours), Some(units), Some(price), Some((start, end)))
                if errors.is_empty() =>
            {
                Ok(TariffTerms {
                    weekly,
                    min_hours,
                    units,
                    price,
                    start,
                    end,
                })
            }
            _ => Err(errors),
        }
    }
}

/// How many hours the clock here is ahead of the market's weeks.
const AHEAD: usize = 8;

/// The hours of the week, from Monday 00:00 UTC, that are picked by day and hour in China's time:
/// from `begins` to `ends`, over midnight where it does not come after. `Some(None)` is all of
/// them; `None` when the fields can't be read.
#[expect(
    clippy::option_option,
    reason = "unreadable, every hour, and some hours are three things"
)]
fn weekly(days: &str, begins: &str, ends: &str) -> Option<Option<Weekly>> {
    let days = match DAYS.iter().position(|name| *name == days)? {
        7 => 0..7,
        8 => 0..5,
        9 => 5..7,
        day => day..day + 1,
    };
    let begins = usize::try_from(whole(begins)?)
        .ok()
        .filter(|hour| *hour < 24)?;
    let ends = usize::try_from(whole(ends)?)
        .ok()
        .filter(|hour| *hour <= 24)?;
    let hours = if ends > begins {
        ends - begins
    } else {
        ends + 24 - begins
    };
    let mut flags = [b'0'; 168];
    for day in days {
        for hour in begins..begins + hours {
            flags[(day * 24 + hour + 168 - AHEAD) % 168] = b'1';
        }
    }
    if flags.iter().all(|flag| *flag == b'1') {
        return Some(None);
    }
    let text = String::from_utf8(flags.to_vec()).ok()?;
    Weekly::try_from(text).ok().map(Some)
}

/// The runs of hours of a week, as China's clock has them: where each begins, from Monday 00:00,
/// and how long it is. A run over the end of the week is one.
pub(super) fn runs(weekly: &Weekly) -> Vec<(usize, usize)> {
    let holds = |hour: usize| weekly.holds((hour + 168 - AHEAD) % 168);
    let starts = (0..168).filter(|hour| holds(*hour) && !holds((hour + 167) % 168));
    starts
        .map(|start| {
            let length = (0..168)
                .take_while(|more| holds((start + more) % 168))
                .count();
            (start, length)
        })
        .collect()
}

fn longest_run(weekly: &Weekly) -> i64 {
    let longest = runs(weekly).into_iter().map(|(_, length)| length).max();
    i64::try_from(longest.unwrap_or(0)).unwrap_or(0)
}

/// How many hours of a period a tariff covers, from an hour on.
pub(super) fn hours_covered(weekly: Option<&Weekly>, period: Period, from: Hour) -> i64 {
    let start = period.start.max(from);
    if start >= period.end {
        return 0;
    }
    let Some(weekly) = weekly else {
        return period.end.0 - start.0;
    };
    let hours = Period {
        start,
        end: period.end,
    };
    let covered = hours.each().filter(|hour| weekly.holds(hour.of_week()));
    i64::try_from(covered.count()).unwrap_or(i64::MAX)
}

/// A host's planned faults, as typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Faults {
    pub(super) fails_every: String,
    pub(super) fails_minutes: String,
}

impl Faults {
    /// Every how many hours it loses how many minutes; none where nothing is typed.
    pub(super) fn read(&self, locale: Locale) -> Result<Option<(i64, i64)>, FieldErrors> {
        if self.fails_every.trim().is_empty() && self.fails_minutes.trim().is_empty() {
            return Ok(None);
        }
        let within = |typed: &str, most: i64| whole(typed).filter(|n| (1..=most).contains(n));
        let every = within(&self.fails_every, MOST_FAILS_EVERY);
        let minutes = within(&self.fails_minutes, market::HOUR_MINUTES);
        let mut errors = FieldErrors::default();
        if every.is_none() {
            errors.add("fails_every", locale.t("host.bad.fails_every"));
        }
        if minutes.is_none() {
            errors.add("fails_minutes", locale.t("host.bad.fails_minutes"));
        }
        every.zip(minutes).map(Some).ok_or(errors)
    }
}

/// The field that a rejection is about; none for what is about the whole form.
pub(super) fn field_of(rejection: Rejection) -> Option<&'static str> {
    match rejection {
        Rejection::NotALot | Rejection::OverPool => Some("units"),
        Rejection::NotATick => Some("price"),
        Rejection::BadPeriod | Rejection::PeriodOver | Rejection::OutsidePool => Some("to_day"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(days: &str, begins: &str, ends: &str) -> Option<String> {
        weekly(days, begins, ends).map(|weekly| weekly.map_or("all".to_owned(), String::from))
    }

    #[test]
    fn hours_are_picked_on_chinas_clock_and_kept_in_utc() {
        // 22:00 to 06:00 here is 14:00 to 22:00 UTC of the same seven days.
        let nights = flags("all", "22", "6").unwrap();
        assert_eq!(nights, "000000000000001111111100".repeat(7));
        // Monday 00:00 to 02:00 here is Sunday 16:00 to 18:00 UTC.
        let monday = flags("mon", "0", "2").unwrap();
        assert_eq!(monday.find('1'), Some(6 * 24 + 16));
        assert_eq!(monday.matches('1').count(), 2);
        let weekend = flags("weekend", "0", "24").unwrap();
        assert_eq!(weekend.matches('1').count(), 48);
        assert_eq!(weekend.find('1'), Some(4 * 24 + 16));
        assert_eq!(flags("all", "0", "24").as_deref(), Some("all"));
        // From an hour to itself is a whole day.
        assert_eq!(flags("all", "9", "9").as_deref(), Some("all"));
        for (days, begins, ends) in [
            ("", "0", "24"),
            ("all", "24", "6"),
            ("all", "0", "25"),
            ("all", "", ""),
        ] {
            assert_eq!(flags(days, begins, ends), None, "{days} {begins} {ends}");
        }
    }

    #[test]
    fn runs_are_found_over_midnight_and_over_the_week() {
        let runs_of = |days, begins, ends| {
            let weekly = weekly(days, begins, ends).unwrap().unwrap();
            runs(&weekly)
        };
        let nights: Vec<_> = (0..7).map(|day| (day * 24 + 22, 8)).collect();
        assert_eq!(runs_of("all", "22", "6"), nights);
        assert_eq!(runs_of("weekend", "0", "24"), [(120, 48)]);
        assert_eq!(runs_of("sun", "22", "6"), [(166, 8)]);
    }

    fn tariff() -> Tariff {
        let typed = |text: &str| text.to_owned();
        Tariff {
            days: typed("all"),
            begins: typed("22"),
            ends: typed("6"),
            min_hours: typed("8"),
            units: typed("64"),
            price: typed("8.57"),
            from_day: typed("2026-11-01"),
            from_hour: typed("8"),
            to_day: typed("2026-11-30"),
            to_hour: typed("24"),
            client_id: String::new(),
        }
    }

    #[test]
    fn a_tariff_means_an_ask() {
        let terms = tariff().read(Locale::En).unwrap();
        assert_eq!((terms.units, terms.price), (64, Money(85_700)));
        // 2026-11-01T08:00+08:00 is 2026-11-01T00:00Z.
        assert_eq!(terms.start, Timestamp(1_793_491_200_000_000));
        let hours = (terms.end.0 - terms.start.0) / market::HOUR_MICROS;
        assert_eq!(hours, 30 * 24 - 8);
        let period = Period {
            start: terms.start.hour(),
            end: terms.end.hour(),
        };
        let covered = hours_covered(terms.weekly.as_ref(), period, terms.start.hour());
        // 29 whole nights, and two hours of the last day.
        assert_eq!(covered, 29 * 8 + 2);
    }

    #[test]
    fn what_cannot_be_read_is_said_at_its_field() {
        let bad = |change: fn(&mut Tariff), field: &str| {
            let mut tariff = tariff();
            change(&mut tariff);
            let errors = tariff.read(Locale::En).unwrap_err();
            assert!(errors.get(field).is_some(), "{field}");
        };
        bad(|t| t.days = "never".to_owned(), "days");
        bad(|t| t.begins = "99".to_owned(), "days");
        bad(|t| t.min_hours = "0".to_owned(), "min_hours");
        bad(|t| t.min_hours = "9".to_owned(), "min_hours");
        bad(|t| t.units = "-8".to_owned(), "units");
        bad(|t| t.units = "100001".to_owned(), "units");
        bad(|t| t.price = "free".to_owned(), "price");
        bad(|t| t.price = "0".to_owned(), "price");
        bad(|t| t.price = "-1".to_owned(), "price");
        bad(|t| t.price = "9".repeat(40), "price");
        bad(|t| t.from_day = "2026-02-30".to_owned(), "from_day");
        bad(|t| t.to_day = "9999-12-31".to_owned(), "to_day");
        bad(|t| t.to_day = "2026-10-01".to_owned(), "to_day");
        bad(|t| t.to_hour = "25".to_owned(), "to_day");
    }

    #[test]
    fn faults_are_planned_whole_or_not_at_all() {
        let read = |every: &str, minutes: &str| {
            let typed = Faults {
                fails_every: every.to_owned(),
                fails_minutes: minutes.to_owned(),
            };
            typed.read(Locale::En).ok()
        };
        assert_eq!(read("", " "), Some(None));
        assert_eq!(read("24", "60"), Some(Some((24, 60))));
        for (every, minutes) in [
            ("24", ""),
            ("", "60"),
            ("0", "60"),
            ("24", "61"),
            ("x", "1"),
            ("99999", "1"),
        ] {
            assert_eq!(read(every, minutes), None, "{every} {minutes}");
        }
    }
}
