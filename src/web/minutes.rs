//! Minutes of units that were missing, what they are worth, and what somebody says of them: what a
//! claim and a ruling have in common.

use market::{HOUR_MINUTES, Money, MoneyError};

use super::form::{FieldErrors, plain, whole};
use super::format;
use super::i18n::Locale;

/// The most characters of anything that is said.
pub const LONGEST: usize = 4_000;

/// So many minutes of so many units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minutes {
    /// How many minutes.
    pub minutes: i64,
    /// Of how many units.
    pub units: i64,
}

impl Minutes {
    /// The minutes that a table has in two columns, if it has them.
    pub fn of(minutes: Option<i64>, units: Option<i64>) -> Option<Self> {
        Some(Self {
            minutes: minutes?,
            units: units?,
        })
    }

    /// In unit-minutes.
    pub fn in_all(self) -> i64 {
        self.minutes.saturating_mul(self.units)
    }

    /// What they cost, rounded down: `⌊price × minutes × units ÷ 60⌋`. None when that is more than
    /// can be booked.
    pub fn worth(self, price: Money) -> Option<Money> {
        let wide = price
            .times(self.units, self.minutes)
            .div_euclid(HOUR_MINUTES.into());
        i64::try_from(wide).ok().map(Money)
    }

    /// As in `40 分钟 × 8 卡`.
    pub fn text(self, locale: Locale) -> String {
        locale.tr(
            "minutes.of_units",
            [
                ("minutes", &format::count(self.minutes)),
                ("units", &format::count(self.units)),
            ],
        )
    }

    /// How their worth is worked out, with the result.
    pub fn formula(self, locale: Locale, price: Money) -> String {
        let worth = self.worth(price).unwrap_or_default();
        locale.tr(
            "minutes.formula",
            [
                ("price", &*format::money(price)),
                ("minutes", &format::count(self.minutes)),
                ("units", &format::count(self.units)),
                ("worth", &format::four(worth)),
            ],
        )
    }
}

/// An amount, and the minutes that it was worked out from, if it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    /// The minutes.
    pub minutes: Option<Minutes>,
    /// The amount.
    pub amount: Money,
}

/// What a sum can be.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// What a unit-hour costs.
    pub price: Money,
    /// How many units there are.
    pub units: i64,
    /// How many hours it is about.
    pub hours: i64,
    /// The least number of minutes, and of 1/10,000 yuan.
    pub least: i64,
    /// The most that it can come to.
    pub most: Money,
}

/// The fields of a sum as they were typed: an amount where `by` says so, else minutes of units.
#[derive(Clone, Copy, Debug)]
pub struct TypedSum<'a> {
    /// `amount` or `minutes`.
    pub by: &'a str,
    /// The minutes.
    pub minutes: &'a str,
    /// The units.
    pub units: &'a str,
    /// The amount.
    pub amount: &'a str,
}

impl TypedSum<'_> {
    /// The sum, or what is wrong with it by field.
    pub fn read(self, locale: Locale, bounds: &Bounds, errors: &mut FieldErrors) -> Option<Sum> {
        let (sum, field) = if self.by == "amount" {
            (self.read_amount(locale, errors)?, "amount")
        } else {
            (self.read_minutes(locale, bounds, errors)?, "minutes")
        };
        if sum.amount > bounds.most {
            let most = format::money(bounds.most);
            errors.add(field, locale.tr("minutes.bad.over", [("most", &most)]));
            return None;
        }
        if sum.amount < Money(bounds.least) {
            errors.add(field, locale.t("minutes.bad.nothing"));
            return None;
        }
        Some(sum)
    }

    fn read_amount(self, locale: Locale, errors: &mut FieldErrors) -> Option<Sum> {
        let key = match plain(self.amount).parse::<Money>() {
            Ok(amount) => {
                return Some(Sum {
                    minutes: None,
                    amount,
                });
            }
            Err(MoneyError::NotANumber) => "minutes.bad.number",
            Err(MoneyError::TooManyDecimals) => "minutes.bad.decimals",
            Err(MoneyError::TooLarge) => "minutes.bad.large",
        };
        errors.add("amount", locale.t(key));
        None
    }

    fn read_minutes(
        self,
        locale: Locale,
        bounds: &Bounds,
        errors: &mut FieldErrors,
    ) -> Option<Sum> {
        let most = bounds.hours.saturating_mul(HOUR_MINUTES);
        let mut read = |field, typed: &str, from: i64, to: i64| {
            let number = whole(typed).filter(|number| (from..=to).contains(number));
            if number.is_none() {
                let words = [("from", &*from.to_string()), ("to", &*format::count(to))];
                errors.add(field, locale.tr("minutes.bad.whole", words));
            }
            number
        };
        let minutes = read("minutes", self.minutes, bounds.least, most);
        let units = read("units", self.units, 1, bounds.units);
        let minutes = Minutes::of(minutes, units)?;
        Some(Sum {
            minutes: Some(minutes),
            amount: minutes.worth(bounds.price)?,
        })
    }
}

/// What somebody says: not empty, not endless, nothing that no page can show.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub fn statement(locale: Locale, typed: &str) -> Result<String, String> {
    let text = typed.replace("\r\n", "\n");
    let text = text.trim();
    let is_shown = |one: char| !one.is_control() || one == '\n' || one == '\t';
    let length = text.chars().count();
    if text.is_empty() {
        Err(locale.t("said.bad.empty").into_owned())
    } else if length > LONGEST {
        let (most, has) = (LONGEST.to_string(), length.to_string());
        Err(locale.tr("said.bad.long", [("most", &most), ("has", &has)]))
    } else if !text.chars().all(is_shown) {
        Err(locale.t("said.bad.control").into_owned())
    } else {
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_of_units_are_worth_their_share_of_the_price_rounded_down() {
        let minutes = Minutes {
            minutes: 40,
            units: 8,
        };
        assert_eq!(minutes.in_all(), 320);
        assert_eq!(minutes.worth(Money(100_000)), Some(Money(533_333)));
        assert_eq!(minutes.worth(Money(i64::MAX)), None);
    }

    #[test]
    fn a_sum_keeps_within_its_bounds() {
        let bounds = Bounds {
            price: Money(100_000),
            units: 8,
            hours: 1,
            least: 1,
            most: Money(533_333),
        };
        let read = |by, minutes, units, amount| {
            let typed = TypedSum {
                by,
                minutes,
                units,
                amount,
            };
            let mut errors = FieldErrors::default();
            let sum = typed.read(Locale::En, &bounds, &mut errors);
            let wrong = ["minutes", "units", "amount"].map(|field| errors.get(field).is_some());
            (sum.map(|sum| sum.amount.0), wrong)
        };
        let right = [false, false, false];
        assert_eq!(read("minutes", "40", "8", "x"), (Some(533_333), right));
        assert_eq!(
            read("amount", "x", "x", "５３.3333"),
            (Some(533_333), right)
        );
        let (minutes, units, amount) = (
            [true, false, false],
            [false, true, false],
            [false, false, true],
        );
        for typed in ["", "0", "61", "-1", "1.5", "99999999999999999999999999"] {
            assert_eq!(read("minutes", typed, "8", ""), (None, minutes), "{typed}");
        }
        // More than there is to claim.
        assert_eq!(read("minutes", "41", "8", ""), (None, minutes));
        for typed in ["", "0", "9"] {
            assert_eq!(read("minutes", "40", typed, ""), (None, units), "{typed}");
        }
        for typed in [
            "",
            "0",
            "-1",
            "1e9",
            "53.33334",
            "53.3334",
            "99999999999999999999",
        ] {
            assert_eq!(read("amount", "", "", typed), (None, amount), "{typed}");
        }
    }

    #[test]
    fn what_is_said_is_neither_empty_nor_endless_nor_unseen() {
        let said = |typed: &str| statement(Locale::En, typed);
        assert_eq!(said(" a\r\nb "), Ok("a\nb".to_owned()));
        assert_eq!(said(&"長".repeat(4_000)), Ok("長".repeat(4_000)));
        for typed in [" \r\n ", "a\0b", "\u{1b}[2J", &"長".repeat(4_001)] {
            assert!(said(typed).is_err());
        }
    }
}
