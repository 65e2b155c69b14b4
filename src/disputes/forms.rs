//! What is typed to a dispute, and what it means.

use market::Money;
use serde::Deserialize;

use super::queries::Room;
use crate::web::form::client_id;
use crate::web::minutes::{Bounds, Sum, TypedSum, statement};
use crate::web::{FieldErrors, Locale};

/// What is said to a dispute, as it was typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Message {
    pub(super) text: String,
    pub(super) form_id: String,
}

impl Message {
    /// A message that nobody has typed yet.
    pub(super) fn untyped() -> Self {
        Self {
            text: String::new(),
            form_id: client_id(),
        }
    }

    pub(super) fn read(&self, locale: Locale) -> Result<String, FieldErrors> {
        at_field(statement(locale, &self.text), "text")
    }
}

fn at_field(read: Result<String, String>, field: &'static str) -> Result<String, FieldErrors> {
    read.map_err(|wrong| {
        let mut errors = FieldErrors::default();
        errors.add(field, wrong);
        errors
    })
}

/// A proposed ruling as it was typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Proposal {
    pub(super) by: String,
    pub(super) minutes: String,
    pub(super) units: String,
    pub(super) amount: String,
    pub(super) reason: String,
    /// The award that the button named.
    pub(super) award: String,
}

impl Proposal {
    /// A proposal that nobody has typed into: what was claimed.
    pub(super) fn new(room: &Room) -> Self {
        let claimed = room.claim.as_ref().and_then(|claim| claim.sum.minutes);
        Self {
            by: if claimed.is_some() {
                "minutes"
            } else {
                "amount"
            }
            .to_owned(),
            minutes: claimed.map_or_else(String::new, |one| one.minutes.to_string()),
            units: claimed.map_or(room.units, |one| one.units).to_string(),
            amount: String::new(),
            reason: String::new(),
            award: String::new(),
        }
    }

    /// The award, or what is wrong with it by field.
    pub(super) fn sum(&self, locale: Locale, room: &Room, errors: &mut FieldErrors) -> Option<Sum> {
        let bounds = Bounds {
            price: room.price,
            units: room.units,
            hours: room.disputed_hours().hours(),
            least: 0,
            most: room.claimed,
        };
        let typed = TypedSum {
            by: &self.by,
            minutes: &self.minutes,
            units: &self.units,
            amount: &self.amount,
        };
        typed.read(locale, &bounds, errors)
    }

    /// The award and why, or what is wrong with them by field.
    pub(super) fn read(&self, locale: Locale, room: &Room) -> Result<(Sum, String), FieldErrors> {
        let mut errors = FieldErrors::default();
        let sum = self.sum(locale, room, &mut errors);
        match (sum, statement(locale, &self.reason)) {
            (Some(sum), Ok(reason)) => Ok((sum, reason)),
            (_, reason) => {
                if let Err(wrong) = reason {
                    errors.add("reason", wrong);
                }
                Err(errors)
            }
        }
    }

    /// Whether the award that the button named is the one that will be proposed.
    pub(super) fn names(&self, sum: Sum) -> bool {
        self.award.parse::<Money>().ok() == Some(sum.amount)
    }
}

/// What a second person makes of a proposal.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Decision {
    /// `approve`, `return`, `resume` or `withdraw`.
    pub(super) decision: String,
    pub(super) proposal: String,
    pub(super) opinion: String,
}

impl Decision {
    pub(super) fn read(&self, locale: Locale) -> Result<String, FieldErrors> {
        at_field(statement(locale, &self.opinion), "opinion")
    }
}
