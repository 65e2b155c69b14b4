//! What is typed to deposit, and which part of the statement is asked for.

use market::{AccountKind, Money, MoneyError, YUAN};
use serde::Deserialize;

use super::fragments::KINDS;
use super::queries::Place;
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

/// Which part of a statement is looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct StatementQuery {
    account: String,
    before: String,
}

impl StatementQuery {
    /// The account that it is narrowed to.
    pub(super) fn account(&self) -> Option<AccountKind> {
        AccountKind::from_code(&self.account).filter(|kind| KINDS.contains(kind))
    }

    /// The place before which it goes on; what can't be read is as if it were not there.
    pub(super) fn before(&self) -> Option<Place> {
        let (entry, line) = self.before.strip_prefix('e')?.split_once('-')?;
        Some(Place {
            entry: entry.parse().ok()?,
            line: line.parse().ok()?,
        })
    }

    /// The address of a statement that is narrowed like this.
    pub(super) fn address(
        path: &str,
        account: Option<AccountKind>,
        before: Option<Place>,
    ) -> String {
        let account = account.map(|kind| format!("account={}", kind.code()));
        let before = before.map(|place| format!("before=e{}-{}", place.entry, place.line));
        let query: Vec<String> = [account, before].into_iter().flatten().collect();
        if query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{}", query.join("&"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_statement_survives_its_address() {
        let place = Place { entry: 12, line: 3 };
        let kind = Some(AccountKind::Cash);
        let address = StatementQuery::address("/wallet", kind, Some(place));
        assert_eq!(address, "/wallet?account=cash&before=e12-3");
        let query = |account: &str, before: &str| StatementQuery {
            account: account.to_owned(),
            before: before.to_owned(),
        };
        assert_eq!(query("cash", "e12-3").account(), kind);
        assert_eq!(query("", "e12-3").before(), Some(place));
        for before in [
            "",
            "12-3",
            "e12",
            "e-",
            "e99999999999999999999-1",
            "e1-99999",
        ] {
            assert_eq!(query("bank", before).before(), None, "{before}");
        }
        assert_eq!(query("bank", "").account(), None, "the marketplace's own");
    }

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
