//! The week's map: the lowest ask of each hour.

use askama::Template;
use jiff::ToSpan;
use market::{Hour, Money, Period, Timestamp};

use super::super::queries;
use crate::clock;
use crate::web::window::Window;
use crate::web::{Locale, format};

/// How many bands of price there are.
const BANDS: i64 = 5;

/// A hundredth of a yuan.
const FEN: i64 = 100;

/// The map of a week.
#[derive(Template)]
#[template(path = "instruments/_week.html")]
pub(super) struct Week {
    locale: Locale,
    title: String,
    /// The picked period.
    period: String,
    days: Vec<Day>,
    /// The lower limit of each band but the first.
    limits: Vec<String>,
    is_empty: bool,
}

/// One day of it.
struct Day {
    name: String,
    cells: Vec<Cell>,
}

/// One hour of it.
struct Cell {
    href: String,
    title: String,
    state: HourState,
    is_picked: bool,
}

/// What an hour has.
enum HourState {
    /// It has begun.
    Past,
    /// Nothing is offered.
    Sold,
    /// The lowest ask, and its band from 1, the cheapest.
    Ask {
        /// As it is printed.
        price: String,
        /// 1 to 5.
        band: i64,
    },
}

/// The map of these asks, with the picked period marked; a cell picks as many hours as are picked.
pub(super) fn week(
    asks: &[Option<(Money, i64)>],
    now: Timestamp,
    picked: &Window,
    path: &str,
    locale: Locale,
) -> Week {
    let prices = || asks.iter().flatten().map(|(price, _)| price.0);
    // Bands begin at whole fen, so that their limits are printed as they are.
    let low = prices().min().unwrap_or_default() / FEN * FEN;
    let high = prices().max().unwrap_or_default();
    let step = ((high - low) / (BANDS * FEN) + 1) * FEN;
    let first = queries::first_hour(now);
    let next = now.hour().0 + 1;
    let hours = picked.hours();
    let cell = |(place, ask): (usize, &Option<(Money, i64)>)| {
        let start = Hour(first.0 + i64::try_from(place).unwrap_or_default());
        let window = Window {
            period: Period {
                start,
                end: Hour(start.0 + hours),
            },
        };
        let when = locale.minute(start.begins());
        let (state, title) = match ask {
            _ if start.0 < next => (HourState::Past, locale.tr("hours.past", [("when", &when)])),
            None => (HourState::Sold, locale.tr("hours.sold", [("when", &when)])),
            Some((price, free)) => {
                let (price_text, free) = (format::money(*price), format::count(*free));
                let words = [("when", &*when), ("price", &price_text), ("n", &free)];
                let title = locale.tr("hours.ask", words);
                let band = (price.0 - low) / step + 1;
                (
                    HourState::Ask {
                        price: price_text,
                        band,
                    },
                    title,
                )
            }
        };
        Cell {
            href: format!("{path}?{}#ticket", window.query()),
            title,
            state,
            is_picked: picked.period.contains(start),
        }
    };
    let mut cells = asks.iter().enumerate().map(cell);
    let days = (0..queries::DAYS).map(|day| Day {
        name: locale.day(Hour(first.0 + i64::from(day) * 24).begins()),
        cells: cells.by_ref().take(24).collect(),
    });
    let days = days.collect();
    let limits = (1..BANDS)
        .map(|band| low + band * step)
        .filter(|limit| *limit <= high);
    let limits = limits.map(|limit| format::money(Money(limit)));
    Week {
        locale,
        title: week_title(now, locale),
        period: locale.period(picked.period),
        days,
        limits: limits.collect(),
        is_empty: prices().next().is_none(),
    }
}

/// The days of the map as a period, in words.
fn week_title(now: Timestamp, locale: Locale) -> String {
    let first = queries::first_hour(now).begins();
    let last = format::local(first).checked_add((queries::DAYS - 1).days());
    let last = last.map_or(first, |last| clock::stamp(last.timestamp()));
    format!("{} – {}", locale.day(first), locale.day(last))
}
