//! What is typed about a token.

use jiff::SignedDuration;
use serde::Deserialize;

use crate::names;
use crate::web::token::{self, Scope};
use crate::web::{FieldErrors, Locale};

/// For how many days a token may be good; the first is the usual one.
pub(super) const DAYS: [&str; 3] = ["90", "30", "365"];

/// What is chosen for a token that does not end by itself.
pub(super) const NEVER: &str = "never";

/// A token to be made.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NewToken {
    pub(super) name: String,
    read: String,
    place: String,
    cancel: String,
    pub(super) days: String,
    /// The token itself, by which a form that is sent twice is known.
    pub(super) token: String,
}

/// What it means.
pub(super) struct Terms {
    pub(super) name: String,
    pub(super) scopes: Vec<&'static str>,
    /// How long it is good; for ever where it does not say.
    pub(super) good_for: Option<SignedDuration>,
}

impl NewToken {
    /// Whether this scope's box is ticked.
    pub(super) fn has(&self, scope: Scope) -> bool {
        let ticked = match scope {
            Scope::Read => &self.read,
            Scope::Place => &self.place,
            Scope::Cancel => &self.cancel,
        };
        !ticked.is_empty()
    }

    /// The token that it holds, if it is like one of ours.
    pub(super) fn token(&self) -> Option<&str> {
        Some(&*self.token).filter(|token| token::is_like(token))
    }

    /// What it means, or what is wrong with it by field.
    pub(super) fn read(&self, locale: Locale) -> Result<Terms, FieldErrors> {
        let mut errors = FieldErrors::default();
        let name = self.name.trim();
        if !(1..=80).contains(&name.chars().count()) || !names::is_visible(name) {
            errors.add("name", locale.t("tokens.bad.name"));
        }
        let ticked = Scope::ALL.into_iter().filter(|scope| self.has(*scope));
        let scopes: Vec<&str> = ticked.map(Scope::code).collect();
        if scopes.is_empty() {
            errors.add("scopes", locale.t("tokens.bad.scopes"));
        }
        let days = match &*self.days {
            NEVER => Some(None),
            typed => DAYS
                .contains(&typed)
                .then(|| typed.parse().ok().map(|days: i64| days * 24)),
        };
        let Some(hours) = days else {
            errors.add("days", locale.t("tokens.bad.days"));
            return Err(errors);
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Terms {
            name: name.to_owned(),
            scopes,
            good_for: hours.map(SignedDuration::from_hours),
        })
    }
}
