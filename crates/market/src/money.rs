//! Money and prices: integers of 1/10,000 yuan, with named rounding.

use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

/// One yuan in the unit in which money is counted.
pub const YUAN: i64 = 10_000;

/// One hundred per cent in basis points.
pub const WHOLE_BPS: i64 = 10_000;

/// An amount of money in 1/10,000 yuan. Also a price, then per unit-hour.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Money(pub i64);

impl Money {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// A price per unit-hour times units times hours, exact and never wrapping: what does not fit
    /// is larger than any balance, so the largest number stands for it.
    pub fn times(self, units: i64, hours: i64) -> i128 {
        i128::from(self.0)
            .saturating_mul(i128::from(units))
            .saturating_mul(i128::from(hours))
    }

    /// The amount that `wide` stands for.
    ///
    /// # Panics
    /// When it does not fit: callers pass what is bounded by a balance.
    pub fn exact(wide: i128) -> Self {
        Self(i64::try_from(wide).expect("an amount that a balance bounds fits in 64 bits"))
    }
}

/// `⌊a / b⌋` for positive `b`, as an amount of money.
pub(crate) fn floor_div(a: i128, b: i128) -> Money {
    Money::exact(a.div_euclid(b))
}

/// `⌈a / b⌉` for positive `b`, in the wide type: a caller compares it with a balance first.
pub(crate) fn ceil_div(a: i128, b: i128) -> i128 {
    -(a.saturating_neg().div_euclid(b))
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Money {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Money {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// Prints with four decimals, as in `-12.5000`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&decimal(i128::from(self.0)))
    }
}

/// An amount in 1/10,000 yuan that may exceed any balance, printed with four decimals.
pub fn decimal(wide: i128) -> String {
    let sign = if wide < 0 { "-" } else { "" };
    let (whole, part) = (
        wide.unsigned_abs().div_euclid(YUAN.unsigned_abs().into()),
        wide.unsigned_abs().rem_euclid(YUAN.unsigned_abs().into()),
    );
    format!("{sign}{whole}.{part:04}")
}

/// Why a text is not an amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not digits with at most one point between them.
    #[error("not a decimal number")]
    NotANumber,
    /// More than four digits after the point.
    #[error("more than four decimals")]
    TooManyDecimals,
    /// Larger than 900 billion yuan.
    #[error("too large")]
    TooLarge,
}

/// The largest amount that can be read, in 1/10,000 yuan: a thousand of them still add up.
const MAX_READ: i64 = 9_000_000_000_000_000;

impl FromStr for Money {
    type Err = MoneyError;

    /// Reads `12`, `12.5` or `-12.5000`; no exponent, no thousands separator, no bare point.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, part) = match digits.split_once('.') {
            Some((_, "")) => return Err(MoneyError::NotANumber),
            Some(parts) => parts,
            None => (digits, ""),
        };
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_digits(whole) || !is_digits(part) {
            return Err(MoneyError::NotANumber);
        }
        if part.len() > 4 {
            return Err(MoneyError::TooManyDecimals);
        }
        let amount = format!("{whole}{part:0<4}")
            .parse::<i64>()
            .ok()
            .filter(|amount| *amount <= MAX_READ)
            .ok_or(MoneyError::TooLarge)?;
        Ok(Self(if negative { -amount } else { amount }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_four_decimals() {
        for (text, printed) in [
            ("12", "12.0000"),
            ("0.5", "0.5000"),
            ("-3.0001", "-3.0001"),
            ("007.10", "7.1000"),
        ] {
            assert_eq!(text.parse::<Money>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn refuses_what_is_not_exactly_money() {
        for text in [
            "", ".", "1.", ".5", "1e3", "1,000", "+1", " 1", "1.2.3", "--1", "１",
        ] {
            assert_eq!(text.parse::<Money>(), Err(MoneyError::NotANumber), "{text}");
        }
        assert_eq!("1.00001".parse::<Money>(), Err(MoneyError::TooManyDecimals));
        assert_eq!("900000000001".parse::<Money>(), Err(MoneyError::TooLarge));
        assert_eq!(
            "99999999999999999999999".parse::<Money>(),
            Err(MoneyError::TooLarge)
        );
    }

    #[test]
    fn rounds_as_named() {
        assert_eq!(floor_div(7, 2), Money(3));
        assert_eq!(ceil_div(7, 2), 4);
        assert_eq!(ceil_div(8, 2), 4);
        assert_eq!(ceil_div(0, 2), 0);
    }
}
