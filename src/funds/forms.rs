//! What is typed to deposit.

use market::{Money, MoneyError, YUAN};
use serde::Deserialize;

use crate::web::form::plain;
use crate::web::{FieldErrors, Locale};

/// The most that one test deposit brings: ten million yuan.
const MOST: Money = Money(10_000_000 * YUAN);

/// The form of a deposit.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Deposit {
    pub(super) amount: String,
    pub(super) form_id: String,
}

impl Deposit {
    /// The form's own number, if it is one of ours.
    pub(super) fn id(&self) -> Option<String> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_ours = (16..=64).contains(&self.form_id.len()) && self.form_id.bytes().all(is_plain);
        is_ours.then(|| self.form_id.clone())
    }

    /// The amount, or what is wrong with it.
    pub(super) fn read(&self, locale: Locale) -> Result<Money, FieldErrors> {
        let key = match plain(&self.amount).parse::<Money>() {
            Ok(amount) if amount > MOST => "deposit.bad.large",
            Ok(amount) if amount > Money::ZERO => return Ok(amount),
            Ok(_) => "deposit.bad.nothing",
            Err(MoneyError::NotANumber) => "deposit.bad.number",
            Err(MoneyError::TooManyDecimals) => "deposit.bad.decimals",
            Err(MoneyError::TooLarge) => "deposit.bad.large",
        };
        let mut errors = FieldErrors::default();
        errors.add("amount", locale.t(key));
        Err(errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deposit_is_a_positive_amount_within_bounds() {
        let read = |amount: &str| {
            let form = Deposit {
                amount: amount.to_owned(),
                ..Deposit::default()
            };
            form.read(Locale::En)
                .map_err(|errors| errors.get("amount").is_some())
        };
        assert_eq!(read("１００.5"), Ok(Money(1_005_000)));
        assert_eq!(read("10000000"), Ok(MOST));
        for wrong in [
            "",
            "0",
            "-5",
            "10000000.0001",
            "1,000",
            "0.00001",
            "99999999999999999999",
        ] {
            assert_eq!(read(wrong), Err(true), "{wrong}");
        }
    }
}
