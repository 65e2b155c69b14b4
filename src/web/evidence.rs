//! What is said of a lease's hours, by whom, laid out on one axis of time.

use std::collections::BTreeMap;

use askama::Template;
use askama::filters::HtmlSafe;
use market::{HOUR_MINUTES, Hour, Money, Period};

use super::format;
use super::i18n::Locale;
use super::minutes::Sum;

/// How many hours are laid out at most, and how many of them are named.
const SHOWN: i64 = 48;
const TICKS: i64 = 6;

/// Who says what an hour got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The demonstration's simulation: no machine is behind it.
    Simulated,
    /// A reading that was reported.
    Reported,
    /// Nobody: its deadline passed.
    Nobody,
}

/// A settled hour.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// What its units got, in unit-minutes.
    pub unit_minutes: i64,
    /// What was refunded for it.
    pub refunded: Money,
    /// Who says so.
    pub source: Source,
}

/// What the evidence is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// The units of the lease.
    pub units: i64,
    /// Its hours.
    pub period: Period,
    /// Those of them that are disputed.
    pub disputed: Period,
}

impl Subject {
    /// The hours that are laid out: of a long lease the disputed ones with some round them.
    pub fn axis(&self) -> Period {
        if self.period.hours() <= SHOWN {
            return self.period;
        }
        let from = self.disputed.start.0 - SHOWN / 8;
        let start = from.clamp(self.period.start.0, self.period.end.0 - SHOWN);
        Period {
            start: Hour(start),
            end: Hour(start + SHOWN),
        }
    }

    /// What an hour owes, in unit-minutes.
    fn promised(&self) -> i64 {
        self.units * HOUR_MINUTES
    }
}

/// A statement of missing minutes, with the keys of its title and of who makes it.
#[derive(Clone, Copy, Debug)]
pub struct Stated {
    /// The key of its title.
    pub title: &'static str,
    /// The key of who states it.
    pub by: &'static str,
    /// What is stated.
    pub sum: Sum,
    /// Whether it is what is found in the end.
    pub is_finding: bool,
}

/// The evidence, as a fragment.
#[derive(Template)]
#[template(path = "components/evidence.html")]
pub struct Evidence {
    locale: Locale,
    day: String,
    ticks: Vec<(String, String)>,
    lanes: Vec<Lane>,
    hours: Vec<HourRow>,
    is_cut: bool,
    is_simulated: bool,
}

impl HtmlSafe for Evidence {}

struct Lane {
    title: String,
    by: String,
    bars: Vec<Bar>,
    total: String,
    is_finding: bool,
}

struct Bar {
    class: &'static str,
    x: String,
    width: String,
    y: i64,
    height: i64,
}

struct HourRow {
    day: Option<String>,
    hour: String,
    reading: String,
    by: &'static str,
    refunded: String,
    is_short: bool,
}

impl Evidence {
    /// The readings of the axis' hours, and what else is stated of the disputed ones.
    pub fn new(
        locale: Locale,
        subject: &Subject,
        readings: &BTreeMap<Hour, Reading>,
        stated: &[Stated],
    ) -> Self {
        let axis = subject.axis();
        let stated = stated.iter().map(|one| lane_of(locale, subject, one));
        let step = (axis.hours() + TICKS - 1).div_euclid(TICKS);
        let ticks = axis
            .each()
            .filter(|hour| (hour.0 - axis.start.0) % step == 0);
        let place = |hour: Hour| percent(hour.0 - axis.start.0, axis.hours());
        Self {
            locale,
            day: locale.day(axis.start.begins()),
            ticks: ticks
                .map(|hour| (place(hour), format::hour_minute(hour.begins())))
                .collect(),
            lanes: std::iter::once(lane_of_readings(locale, subject, readings))
                .chain(stated)
                .collect(),
            hours: rows(locale, subject, readings),
            is_cut: axis != subject.period,
            is_simulated: readings
                .values()
                .any(|reading| reading.source == Source::Simulated),
        }
    }
}

/// A place on the axis, in per cent with two decimals.
fn percent(part: i64, of: i64) -> String {
    format::scaled(part * 10_000 / of.max(1), 2)
}

/// An hour's bars, by the share of it that was there, in per cent; none where nothing is known.
fn bars(axis: Period, hour: Hour, share: Option<i64>) -> Vec<Bar> {
    let bar = |class, y, height| Bar {
        class,
        x: percent(hour.0 - axis.start.0, axis.hours()),
        width: percent(1, axis.hours()),
        y,
        height,
    };
    match share {
        None => vec![bar("rail-line", 7, 2)],
        Some(share) if share >= 100 => vec![bar("ok", 4, 8)],
        Some(share) if share <= 0 => vec![bar("miss", 0, 2), bar("miss", 14, 2)],
        Some(share) => {
            // At least a pixel of either, so that it is seen to be in part.
            let height = (share * 16 / 100).clamp(1, 15);
            vec![bar("rest", 0, 16), bar("part", 16 - height, height)]
        }
    }
}

fn lane_of_readings(locale: Locale, subject: &Subject, readings: &BTreeMap<Hour, Reading>) -> Lane {
    let (axis, promised) = (subject.axis(), subject.promised());
    let has = |source| readings.values().any(|reading| reading.source == source);
    let by = if readings.is_empty() {
        "evidence.by.none"
    } else if has(Source::Simulated) {
        "evidence.by.simulated"
    } else {
        "evidence.by.reported"
    };
    let missing: i64 = readings
        .values()
        .map(|reading| promised - reading.unit_minutes)
        .sum();
    let draw = |hour: Hour| {
        let reading = readings.get(&hour);
        bars(
            axis,
            hour,
            reading.map(|reading| reading.unit_minutes * 100 / promised.max(1)),
        )
    };
    Lane {
        title: locale.t("evidence.readings").into_owned(),
        by: locale.t(by).into_owned(),
        bars: axis.each().flat_map(draw).collect(),
        total: locale.tr("evidence.missing", [("n", &format::count(missing))]),
        is_finding: false,
    }
}

/// Minutes said to be missing, spread over the hours that they are said of.
fn lane_of(locale: Locale, subject: &Subject, stated: &Stated) -> Lane {
    let (axis, of) = (subject.axis(), subject.disputed);
    let all = (subject.promised() * of.hours()).max(1);
    let draw = |hour: Hour| match stated.sum.minutes {
        _ if !of.contains(hour) => bars(axis, hour, None),
        Some(minutes) => {
            let missing = minutes.in_all().saturating_mul(100) / all;
            bars(axis, hour, Some(100 - missing))
        }
        None => {
            let mut bars = bars(axis, hour, Some(0));
            bars.iter_mut().for_each(|bar| bar.class = "asked");
            bars
        }
    };
    Lane {
        title: locale.t(stated.title).into_owned(),
        by: locale.t(stated.by).into_owned(),
        bars: axis.each().flat_map(draw).collect(),
        total: match stated.sum.minutes {
            Some(minutes) => minutes.text(locale),
            None => format!("¥{}", format::money(stated.sum.amount)),
        },
        is_finding: stated.is_finding,
    }
}

/// The disputed hours in figures.
fn rows(locale: Locale, subject: &Subject, readings: &BTreeMap<Hour, Reading>) -> Vec<HourRow> {
    let promised = subject.promised();
    let mut day_before = None;
    let hours = subject.axis().each();
    let hours = hours.filter(|hour| subject.disputed.contains(*hour));
    let row = |hour: Hour| {
        let day = locale.day(hour.begins());
        let is_new = day_before.replace(day.clone()) != Some(day.clone());
        let reading = readings.get(&hour);
        let none = || "–".to_owned();
        HourRow {
            day: is_new.then_some(day),
            hour: format::hour_span(hour),
            reading: reading.map_or_else(none, |reading| {
                let got = format::count(reading.unit_minutes);
                format!("{got} / {}", format::count(promised))
            }),
            by: match reading.map(|reading| reading.source) {
                None => "evidence.source.none",
                Some(Source::Simulated) => "evidence.source.simulated",
                Some(Source::Reported) => "evidence.source.reported",
                Some(Source::Nobody) => "evidence.source.nobody",
            },
            refunded: reading.map_or_else(none, |one| format::four(one.refunded)),
            is_short: reading.is_some_and(|one| one.unit_minutes < promised),
        }
    };
    hours.map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::minutes::Minutes;

    fn subject(hours: i64, disputed: (i64, i64)) -> Subject {
        let period = |from, to| Period {
            start: Hour(from),
            end: Hour(to),
        };
        Subject {
            units: 8,
            period: period(0, hours),
            disputed: period(disputed.0, disputed.1),
        }
    }

    #[test]
    fn a_long_lease_is_laid_out_round_what_is_disputed() {
        assert_eq!(subject(48, (40, 41)).axis().hours(), 48);
        assert_eq!(subject(500, (100, 101)).axis().start, Hour(94));
        assert_eq!(subject(500, (0, 1)).axis().start, Hour(0));
        assert_eq!(subject(500, (499, 500)).axis().end, Hour(500));
    }

    #[test]
    fn a_faulty_hour_is_tall_and_a_sound_one_is_quiet() {
        let axis = subject(4, (0, 4)).axis();
        let of = |share| {
            let bars = bars(axis, Hour(1), share);
            bars.iter()
                .map(|bar| (bar.class, bar.y, bar.height))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(Some(100)), [("ok", 4, 8)]);
        assert_eq!(of(Some(50)), [("rest", 0, 16), ("part", 8, 8)]);
        assert_eq!(of(Some(99)), [("rest", 0, 16), ("part", 1, 15)]);
        assert_eq!(of(Some(0)), [("miss", 0, 2), ("miss", 14, 2)]);
        assert_eq!(of(None), [("rail-line", 7, 2)]);
        assert_eq!(bars(axis, Hour(1), None)[0].x, "25.00");
    }

    #[test]
    fn stated_minutes_are_spread_over_the_hours_that_they_are_stated_of() {
        let subject = subject(4, (1, 3));
        let stated = Stated {
            title: "evidence.readings",
            by: "evidence.by.none",
            sum: Sum {
                minutes: Minutes::of(Some(60), Some(8)),
                amount: Money(1),
            },
            is_finding: false,
        };
        let lane = lane_of(Locale::En, &subject, &stated);
        let classes: Vec<&str> = lane.bars.iter().map(|bar| bar.class).collect();
        let half = ["rest", "part", "rest", "part"];
        assert_eq!(
            classes,
            [&["rail-line"], &half[..], &["rail-line"]].concat()
        );
        let evidence = Evidence::new(Locale::En, &subject, &BTreeMap::new(), &[stated]);
        assert_eq!((evidence.lanes.len(), evidence.hours.len()), (2, 2));
    }
}
