//! Decimal fractions in ten-thousandths: the load, the rate of exchange, dollar prices, factors.
//! Integers, because they are multiplied into prices and a float would round as it likes.

use std::fmt;
use std::str::FromStr;

use market::{Money, MoneyError};

/// One in the unit in which fractions are counted.
pub const ONE: i64 = 10_000;

/// A decimal fraction, in 1/10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal(pub i64);

impl FromStr for Decimal {
    type Err = MoneyError;

    /// Reads `7.1` or `0.4006`: digits, and at most four after the point, as amounts of money.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        text.parse::<Money>().map(|Money(parts)| Self(parts))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Money(self.0).fmt(f)
    }
}

/// `amount × Π fractions`, rounded once, to the nearest multiple of `step` (half up), and at least
/// one of it. All are in ten-thousandths.
///
/// # Panics
/// When the product does not fit: callers multiply prices by a few fractions near one.
pub(super) fn scaled(amount: i64, fractions: &[i64], step: i64) -> i64 {
    let mut product = i128::from(amount);
    let mut scale = i128::from(step);
    for fraction in fractions {
        product *= i128::from(*fraction);
        scale *= i128::from(ONE);
    }
    let steps = (product + scale / 2).div_euclid(scale).max(1);
    i64::try_from(steps * i128::from(step)).expect("a price fits in 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_in_integers_and_rounds_once() {
        // 2.19 USD × 7.1 = 15.549 yuan, to the fen 15.55.
        assert_eq!(scaled(21_900, &[71_000], 100), 155_500);
        // 2.19 × 7.1 × 0.4006 = 6.2289…, to the fen 6.23.
        assert_eq!(scaled(21_900, &[71_000, 4_006], 100), 62_300);
        assert_eq!(scaled(1, &[1], 100), 100, "never below one step");
    }

    #[test]
    fn reads_what_a_flag_or_a_table_has() {
        assert_eq!("0.7".parse(), Ok(Decimal(7_000)));
        assert_eq!("7.1".parse(), Ok(Decimal(71_000)));
        assert!("0.70001".parse::<Decimal>().is_err());
        assert!("7,1".parse::<Decimal>().is_err());
    }
}
