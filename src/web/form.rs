//! Forms: what a browser sends, and what is wrong with it.
//!
//! A form's struct has only texts, so that nothing typed is lost when a field can't be read; the
//! area's `forms.rs` turns it into a command or says at which field it can't.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, Request};
use market::{Money, MoneyError};
use serde::de::DeserializeOwned;

use super::error::Error;
use super::i18n::Locale;

/// The fields of a form.
#[derive(Clone, Copy, Debug)]
pub struct Form<T>(pub T);

impl<S, T> FromRequest<S> for Form<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        match axum::Form::from_request(request, state).await {
            Ok(axum::Form(fields)) => Ok(Self(fields)),
            Err(_) => Err(Error::Invalid),
        }
    }
}

/// What is wrong with a form: a sentence by the field that it stands at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldErrors(BTreeMap<&'static str, String>);

impl FieldErrors {
    /// Notes what is wrong with a field; the first word about it stays.
    pub fn add(&mut self, field: &'static str, text: impl Into<String>) {
        self.0.entry(field).or_insert_with(|| text.into());
    }

    /// Notes all that is wrong by another reading of the same form.
    pub fn extend(&mut self, others: Self) {
        for (field, text) in others.0 {
            self.add(field, text);
        }
    }

    /// What is wrong with a field.
    pub fn get(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str)
    }

    /// Everything that is wrong, field by field.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(String::as_str)
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A new client id for a ticket: a form that is sent twice is one order.
pub fn client_id() -> String {
    format!("web-{}", uuid::Uuid::now_v7().simple())
}

/// The number that a browser's form sends back, if it is like one of ours: 16 to 64 letters,
/// digits and hyphens.
pub fn form_id(sent: &str) -> Option<&str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_ours = (16..=64).contains(&sent.len()) && sent.bytes().all(is_plain);
    is_ours.then_some(sent)
}

/// What a person typed as a number, without the spaces round it and with the full-width digits of
/// a Chinese keyboard as plain ones.
pub fn plain(typed: &str) -> String {
    let narrow = |typed: char| match typed {
        '\u{ff10}'..='\u{ff19}' => {
            char::from_u32(u32::from(typed) - 0xff10 + u32::from('0')).unwrap_or(typed)
        }
        '\u{ff0e}' | '\u{3002}' => '.',
        _ => typed,
    };
    typed.trim().chars().map(narrow).collect()
}

/// A whole number as a person types it; no sign, no separators.
pub fn whole(typed: &str) -> Option<i64> {
    let digits = plain(typed);
    let is_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_digits)
}

/// A price a unit-hour as a person types it, in yuan with up to four decimals; what keeps it from
/// being read is noted at the field `price`.
pub fn price(typed: &str, locale: Locale, errors: &mut FieldErrors) -> Option<Money> {
    let read = plain(typed).parse::<Money>();
    if let Err(error) = read {
        let key = match error {
            MoneyError::NotANumber => "ticket.bad.price",
            MoneyError::TooManyDecimals => "ticket.bad.decimals",
            MoneyError::TooLarge => "ticket.bad.large",
        };
        errors.add("price", locale.t(key));
    }
    read.ok()
}

/// A price as people type it: with no more decimals than it needs, and at least two.
pub fn plain_price(price: Money) -> String {
    let all = price.to_string();
    all.strip_suffix("00").map_or(all.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_form_is_plain() {
        assert_eq!(form_id(&"a".repeat(15)), None);
        assert_eq!(form_id(&"a".repeat(65)), None);
        assert_eq!(form_id("web-0123456789\0abcdef"), None);
        assert!(form_id(&client_id()).is_some());
    }

    #[test]
    fn numbers_are_read_as_people_type_them() {
        assert_eq!(whole(" 8 "), Some(8));
        assert_eq!(whole("１６"), Some(16));
        for typed in ["", "-8", "+8", "8.0", "1e3", "8 8", "99999999999999999999"] {
            assert_eq!(whole(typed), None, "{typed}");
        }
        assert_eq!(plain("９．９８"), "9.98");
    }
}
