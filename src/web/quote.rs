//! What units would cost now: a walk down the asks of a book.

use market::{Depth, Level, Money, TimeInForce};

use super::format;
use super::i18n::Locale;

/// What could be bought at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Which levels give how many units, cheapest first.
    pub fills: Vec<Level>,
    /// How many units in all; fewer than asked for when the book has no more.
    pub units: i64,
    /// What they cost for each hour, in 1/10,000 yuan.
    pub hourly: i128,
}

impl Quote {
    /// What up to so many units cost within this limit.
    pub fn new(depth: &Depth, units: i64, limit: Option<Money>) -> Self {
        let mut quote = Self {
            fills: Vec::new(),
            units: 0,
            hourly: 0,
        };
        for level in &depth.asks {
            let units = level.units.min(units - quote.units);
            if units <= 0 || limit.is_some_and(|limit| level.price > limit) {
                break;
            }
            quote.fills.push(Level {
                price: level.price,
                units,
            });
            quote.units += units;
            quote.hourly += level.price.times(units, 1);
        }
        quote
    }

    /// The price of the dearest level: the limit that gets all of it.
    pub fn limit(&self) -> Option<Money> {
        self.fills.last().map(|level| level.price)
    }

    /// What so many hours cost, if it is an amount.
    pub fn total(&self, hours: i64) -> Option<Money> {
        amount(self.hourly.checked_mul(hours.into())?)
    }

    /// What would come now of an order for so many units, in one sentence.
    pub fn outcome(&self, locale: Locale, units: i64, tif: TimeInForce, post_only: bool) -> String {
        let rest = format::count(units - self.units);
        let key = match (tif, self.units) {
            _ if post_only && self.units > 0 => "bill.post_only",
            (_, filled) if filled == units => "bill.all",
            (TimeInForce::Fok, _) => "bill.fok",
            (TimeInForce::Ioc, 0) => "bill.ioc_none",
            (TimeInForce::Ioc, _) => "bill.ioc_some",
            (_, 0) => "bill.rest_all",
            _ => "bill.rest_some",
        };
        locale.tr(key, [("n", &format::count(self.units)), ("rest", &rest)])
    }
}

/// What an order must hold: its limit for all its unit-hours, if it is an amount.
pub fn hold(limit: Money, units: i64, hours: i64) -> Option<Money> {
    amount(limit.times(units, hours))
}

fn amount(wide: i128) -> Option<Money> {
    i64::try_from(wide).ok().map(Money)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth() -> Depth {
        let level = |price, units| Level {
            price: Money(price),
            units,
        };
        Depth {
            asks: vec![level(100, 8), level(110, 16)],
            bids: Vec::new(),
        }
    }

    #[test]
    fn the_cheapest_levels_fill_first() {
        let quote = Quote::new(&depth(), 16, None);
        assert_eq!((quote.units, quote.hourly), (16, 8 * 100 + 8 * 110));
        assert_eq!(quote.limit(), Some(Money(110)));
        assert_eq!(quote.total(2), Some(Money(3360)));
        assert_eq!(hold(Money(110), 16, 2), Some(Money(3520)));
        assert_eq!(hold(Money(i64::MAX), 2, 1), None);
    }

    #[test]
    fn a_limit_and_the_end_of_the_book_stop_it() {
        assert_eq!(Quote::new(&depth(), 16, Some(Money(100))).units, 8);
        assert_eq!(Quote::new(&depth(), 100, None).units, 24);
        assert_eq!(Quote::new(&depth(), 8, Some(Money(99))).limit(), None);
    }
}
