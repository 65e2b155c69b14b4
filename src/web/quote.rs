//! What units would cost now: a walk down the asks of a book.

use market::{Depth, Fees, HOUR_MINUTES, Level, Money, TimeInForce};

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

    /// The buyer's fee on what so many hours cost, where all of it is delivered.
    pub fn fee(&self, fees: Fees, hours: i64) -> Option<Money> {
        let fills = self.fills.iter();
        let fee = fills.map(|fill| fees.taken(fill.price, fill.units, hours * HOUR_MINUTES));
        amount(fee.fold(0, i128::saturating_add))
    }

    /// What so many hours cost with that fee, if it is an amount.
    pub fn all_in(&self, fees: Fees, hours: i64) -> Option<Money> {
        let (price, fee) = (self.total(hours)?, self.fee(fees, hours)?);
        amount(i128::from(price.0) + i128::from(fee.0))
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

/// What units cost for so many hours at a price, if it is an amount.
pub fn cost(price: Money, units: i64, hours: i64) -> Option<Money> {
    amount(price.times(units, hours))
}

/// What an order must hold: its limit for all its unit-hours and the buyer's fee at its dearest, if
/// it is an amount.
pub fn hold(fees: Fees, limit: Money, units: i64, hours: i64) -> Option<Money> {
    amount(fees.need(limit, units, hours.checked_mul(HOUR_MINUTES)?))
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
        assert_eq!(cost(Money(110), 16, 2), Some(Money(3520)));
        let fees = Fees {
            flat: Money(3),
            maker_bps: 0,
            taker_bps: 100,
        };
        // 35.2 of the price, rounded up, and 96 for the unit-hours; of what is paid 33.6.
        assert_eq!(hold(fees, Money(110), 16, 2), Some(Money(3520 + 132)));
        assert_eq!(quote.fee(fees, 2), Some(Money(48 + 16 + 48 + 17)));
        assert_eq!(hold(fees, Money(i64::MAX), 2, 1), None);
    }

    #[test]
    fn a_limit_and_the_end_of_the_book_stop_it() {
        assert_eq!(Quote::new(&depth(), 16, Some(Money(100))).units, 8);
        assert_eq!(Quote::new(&depth(), 100, None).units, 24);
        assert_eq!(Quote::new(&depth(), 8, Some(Money(99))).limit(), None);
    }
}
