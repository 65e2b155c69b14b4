//! The tank map: a week of a provider's capacity, hour by hour, filled from below with what is
//! sold, above it what is listed.

use askama::Template;
use askama::filters::HtmlSafe;
use jiff::ToSpan;
use market::{Hour, Market, Period, PoolId, Timestamp};

use super::capacity::Capacity;
use super::format;
use super::i18n::Locale;
use crate::clock;

/// How many days it shows, from today's midnight in China.
const DAYS: i64 = 7;

/// A week of capacity, as a table.
#[derive(Template)]
#[template(path = "components/tank.html")]
pub struct Tank {
    locale: Locale,
    days: Vec<Day>,
    most: String,
    has_gap: bool,
}

impl HtmlSafe for Tank {}

struct Day {
    name: String,
    cells: Vec<Cell>,
}

struct Cell {
    /// Tops and heights in per cent of the drawing.
    sold_top: i64,
    sold: i64,
    listed_top: i64,
    listed: i64,
    /// `past`, `now`, or the part of the gap that it is.
    class: &'static str,
    title: String,
}

/// The hours of a week, with what is sold and listed in each.
pub struct Week {
    first: Hour,
    now: Timestamp,
    hours: Vec<Capacity>,
}

/// The hours in a row that have the most units neither sold nor listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Which hours.
    pub period: Period,
    /// How many unit-hours.
    pub unit_hours: i64,
}

impl Week {
    /// These pools' week from today's midnight in China.
    pub fn new(market: &Market, pools: &[PoolId], now: Timestamp) -> Self {
        let today = format::local(now).date();
        let midnight = today.to_zoned(format::zone());
        let first = midnight.map_or(now.hour(), |midnight| {
            clock::stamp(midnight.timestamp()).hour()
        });
        let pools: Vec<_> = pools.iter().filter_map(|pool| market.pool(*pool)).collect();
        let hours = (first.0..first.0 + DAYS * 24).map(|hour| {
            let each = pools
                .iter()
                .map(|pool| Capacity::of(market, pool, Hour(hour)));
            each.fold(Capacity::default(), Capacity::and)
        });
        Self {
            first,
            now,
            hours: hours.collect(),
        }
    }

    /// The hours that have not begun, with their capacities.
    pub fn ahead(&self) -> impl Iterator<Item = (Hour, &Capacity)> {
        let next = Hour(self.now.hour().0 + 1);
        let each = (self.first.0..).map(Hour).zip(&self.hours);
        each.filter(move |(hour, _)| *hour >= next)
    }

    /// Today's capacity, hours that are over included.
    pub fn today(&self) -> Capacity {
        let today = self.hours.iter().take(24).copied();
        today.fold(Capacity::default(), Capacity::and)
    }

    /// The run of hours to come with the most units that could be listed and are not.
    pub fn gap(&self) -> Option<Gap> {
        let mut best: Option<Gap> = None;
        let mut run: Option<Gap> = None;
        for (hour, capacity) in self.ahead() {
            let free = capacity.free();
            run = (free > 0).then(|| {
                let (start, before) =
                    run.map_or((hour, 0), |run| (run.period.start, run.unit_hours));
                Gap {
                    period: Period {
                        start,
                        end: Hour(hour.0 + 1),
                    },
                    unit_hours: before + free,
                }
            });
            let most = |gap: &Option<Gap>| gap.map_or(0, |gap| gap.unit_hours);
            if most(&run) > most(&best) {
                best = run;
            }
        }
        best
    }

    /// The map.
    pub fn tank(&self, locale: Locale) -> Tank {
        let gap = self.gap();
        let most = self.hours.iter().map(|hour| hour.units).max().unwrap_or(0);
        let class = |hour: Hour| {
            if hour == self.now.hour() {
                return "now";
            }
            if hour < self.now.hour() {
                return "past";
            }
            let Some(gap) = gap.filter(|gap| gap.period.contains(hour)) else {
                return "";
            };
            match (hour == gap.period.start, hour.0 + 1 == gap.period.end.0) {
                (true, true) => "gap first last",
                (true, false) => "gap first",
                (false, true) => "gap last",
                (false, false) => "gap",
            }
        };
        let cell = |hour: Hour, capacity: &Capacity| {
            let percent = |units: i64| units.saturating_mul(100) / most.max(1);
            let (sold, listed) = (percent(capacity.sold), percent(capacity.listed));
            let words = [
                ("hour", format::hour_span(hour)),
                ("sold", format::count(capacity.sold)),
                ("listed", format::count(capacity.listed)),
                ("free", format::count(capacity.free())),
            ];
            Cell {
                sold_top: 100 - sold,
                sold,
                listed_top: 100 - sold - listed,
                listed,
                class: class(hour),
                title: locale.tr("tank.cell", words),
            }
        };
        let hours: Vec<Hour> = (self.first.0..).map(Hour).take(self.hours.len()).collect();
        let days = hours.chunks(24).zip(self.hours.chunks(24));
        let days = days.map(|(hours, capacities)| Day {
            name: hours
                .first()
                .map(|hour| locale.day(hour.begins()))
                .unwrap_or_default(),
            cells: hours
                .iter()
                .zip(capacities)
                .map(|(hour, one)| cell(*hour, one))
                .collect(),
        });
        Tank {
            locale,
            days: days.collect(),
            most: format::count(most),
            has_gap: gap.is_some(),
        }
    }
}

/// The first instant of this month in China.
pub fn month(now: Timestamp) -> Timestamp {
    let today = format::local(now).date().first_of_month();
    let midnight = today.to_zoned(format::zone());
    midnight.map_or(now, |midnight| clock::stamp(midnight.timestamp()))
}

/// The first instant of the day so many days before today, in China.
pub fn days_ago(now: Timestamp, days: i64) -> Timestamp {
    let day = format::local(now).date().checked_sub(days.days());
    let midnight = day.and_then(|day| day.to_zoned(format::zone()));
    midnight.map_or(now, |midnight| clock::stamp(midnight.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-10-06T01:20:00Z: 09:20 in China.
    const NOW: Timestamp = Timestamp(1_791_249_600_000_000);

    fn week(free: impl Fn(i64) -> i64) -> Week {
        let first = Hour(NOW.hour().0 - 9);
        let hours = (0..DAYS * 24).map(|hour| Capacity {
            units: 100,
            sold: 60,
            listed: 40 - free(hour),
            worth: 0,
        });
        Week {
            first,
            now: NOW,
            hours: hours.collect(),
        }
    }

    #[test]
    fn the_gap_is_the_run_ahead_with_the_most_unlisted_units() {
        // Hours that are over or in course don't count, however much they had.
        let found = week(|hour| match hour {
            0..=9 => 40,
            20..=21 => 30,
            30..=39 => 8,
            _ => 0,
        });
        let gap = found.gap().unwrap();
        assert_eq!(
            (gap.period.start.0 - found.first.0, gap.period.hours()),
            (30, 10)
        );
        assert_eq!(gap.unit_hours, 80);
        assert_eq!(week(|_| 0).gap(), None);
    }

    #[test]
    fn cells_are_filled_from_below() {
        let tank = week(|hour| if hour == 12 { 10 } else { 0 }).tank(Locale::En);
        let cell = &tank.days[0].cells[12];
        assert_eq!((cell.sold_top, cell.sold), (40, 60));
        assert_eq!((cell.listed_top, cell.listed), (10, 30));
        assert_eq!(cell.class, "gap first last");
        assert_eq!(tank.days[0].cells[9].class, "now");
        assert_eq!(tank.days[0].cells[8].class, "past");
        assert!(cell.title.contains("12:00 – 13:00"), "{}", cell.title);
        assert_eq!(tank.days.len(), 7);
    }

    #[test]
    fn months_and_days_are_chinas() {
        // 2026-09-30T16:00:00Z is the first of October there.
        assert_eq!(format::machine(month(NOW)), "2026-10-01T00:00:00+08:00");
        let edge = Timestamp(clock::stamp("2026-09-30T16:00:00Z".parse().unwrap()).0);
        assert_eq!(month(edge), edge);
        assert_eq!(
            format::machine(days_ago(NOW, 29)),
            "2026-09-07T00:00:00+08:00"
        );
    }
}
