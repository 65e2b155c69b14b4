//! What a lease has now: its units by the hour, without what was resold or handed back.

use market::{HOUR_MINUTES, Hour, Money, Period, Timestamp};

use super::format;
use super::i18n::Locale;

/// The units of a lease by the hour.
#[derive(Clone, Debug)]
pub struct Held {
    period: Period,
    traded: i64,
    /// From its first hour on; as many as were traded in each where there is none.
    by_hour: Option<Vec<i64>>,
    late_minutes: i64,
}

impl Held {
    /// From what the tables have: the hours and units of the trade, the units in each hour where
    /// they are not those, and the minutes of the first hour that were gone.
    pub fn new(period: Period, traded: i64, by_hour: Option<Vec<i64>>, late_minutes: i64) -> Self {
        Self {
            period,
            traded,
            by_hour,
            late_minutes,
        }
    }

    /// The units in an hour.
    pub fn in_hour(&self, hour: Hour) -> i64 {
        let place = usize::try_from(hour.0 - self.period.start.0).ok();
        match (&self.by_hour, place) {
            _ if !self.period.contains(hour) => 0,
            (Some(units), Some(place)) => units.get(place).copied().unwrap_or_default(),
            _ => self.traded,
        }
    }

    /// The unit-minutes that an hour owes.
    pub fn minutes(&self, hour: Hour) -> i64 {
        let gone = if hour == self.period.start {
            self.late_minutes
        } else {
            0
        };
        self.in_hour(hour) * (HOUR_MINUTES - gone)
    }

    /// The unit-minutes that all of its hours owe.
    pub fn promised(&self) -> i64 {
        self.period.each().map(|hour| self.minutes(hour)).sum()
    }

    /// What all of its hours cost at so much a unit-hour, each rounded down, in 1/10,000 yuan.
    pub fn cost(&self, price: Money) -> i128 {
        let hours = self.period.each();
        hours.map(|hour| self.hour_cost(price, hour)).sum()
    }

    /// What one hour costs, rounded down, in 1/10,000 yuan.
    pub fn hour_cost(&self, price: Money, hour: Hour) -> i128 {
        let minutes = i128::from(self.minutes(hour));
        (i128::from(price.0) * minutes).div_euclid(HOUR_MINUTES.into())
    }

    /// What was traded and is the lease's no more: the price of it, in 1/10,000 yuan.
    pub fn parted_with(&self, price: Money) -> i128 {
        let gone = self
            .period
            .each()
            .map(|hour| self.traded - self.in_hour(hour));
        price.times(gone.sum(), 1)
    }

    /// The most units in an hour that is not over; of a lease whose hours are, in any of them.
    pub fn most(&self, now: Timestamp) -> i64 {
        let to_come = self.stretches(now).into_iter();
        let most = to_come.map(|(_, units)| units).max();
        most.unwrap_or_else(|| {
            let all = self.period.each().map(|hour| self.in_hour(hour));
            all.max().unwrap_or_default()
        })
    }

    /// The units of each hour that is not over as one text: a number, or from the fewest to the
    /// most.
    pub fn units(&self, now: Timestamp) -> String {
        let stretches = self.stretches(now);
        let units = || stretches.iter().map(|(_, units)| *units);
        match (units().min(), units().max()) {
            (Some(least), Some(most)) if least != most => {
                format!("{}–{}", format::count(least), format::count(most))
            }
            _ => format::count(self.most(now)),
        }
    }

    /// What the lease has still, where that is not what was traded.
    pub fn note(&self, locale: Locale, now: Timestamp) -> Option<String> {
        self.by_hour.as_ref()?;
        let traded = format::count(self.traded);
        let stretches = self.stretches(now);
        if stretches.is_empty() {
            let over = self.period.end.begins() <= now;
            let key = if over { "held.less" } else { "held.none" };
            return Some(locale.tr(key, [("traded", &traded)]));
        }
        let parts = stretches.into_iter().map(|(period, units)| {
            let words = [
                ("period", &*locale.period(period)),
                ("n", &format::count(units)),
            ];
            locale.tr("held.stretch", words)
        });
        let parts: Vec<String> = parts.collect();
        let now = parts.join(&locale.t("list.semicolon"));
        Some(locale.tr("held.now", [("traded", &*traded), ("now", &now)]))
    }

    /// The hours that are not over and have units, those with as many together.
    fn stretches(&self, now: Timestamp) -> Vec<(Period, i64)> {
        let mut stretches: Vec<(Period, i64)> = Vec::new();
        for hour in self.period.each().filter(|hour| hour.ends() > now) {
            let units = self.in_hour(hour);
            match stretches.last_mut() {
                _ if units == 0 => {}
                Some((period, same)) if *same == units && period.end == hour => {
                    period.end = Hour(hour.0 + 1);
                }
                _ => stretches.push((hour.alone(), units)),
            }
        }
        stretches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_that_are_gone_are_not_counted() {
        let period = Period {
            start: Hour(100),
            end: Hour(104),
        };
        let held = Held::new(period, 8, Some(vec![8, 4, 0, 4]), 0);
        let before = Hour(99).begins();
        assert_eq!(held.units(before), "4–8");
        assert_eq!(held.units(Hour(101).begins()), "4");
        assert_eq!(held.most(Hour(104).begins()), 8);
        assert_eq!(held.promised(), 16 * 60);
        assert_eq!(held.cost(Money(100)), 1_600);
        assert_eq!(held.parted_with(Money(100)), 1_600);
        let note = held.note(Locale::En, Hour(101).begins()).unwrap();
        assert_eq!(note.matches("4 units").count(), 2, "{note}");
        let whole = Held::new(period, 8, None, 30);
        assert_eq!(
            (whole.units(before), whole.promised()),
            ("8".to_owned(), 8 * (30 + 3 * 60))
        );
        assert_eq!(whole.note(Locale::En, before), None);
    }
}
