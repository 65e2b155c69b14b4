//! What is typed to sign up and to sign in.

use serde::Deserialize;

use crate::names;
use crate::web::passwords;
use crate::web::{FieldErrors, Locale};

/// The form of a new participant.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct SignUp {
    pub(super) name: String,
    pub(super) login: String,
    pub(super) password: String,
    pub(super) next: String,
}

/// The form of one who was here before.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct SignIn {
    pub(super) login: String,
    pub(super) password: String,
    pub(super) next: String,
}

/// A code of a second factor.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Code {
    pub(super) code: String,
    pub(super) next: String,
}

impl SignUp {
    /// What is wrong with it, by field.
    pub(super) fn check(&self, locale: Locale) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let name = self.name.trim();
        if !names::is_for_participant(name) {
            errors.add("name", locale.t("sign_up.bad.name"));
        }
        let login = self.login.trim();
        if !names::is_for_person(login) {
            errors.add("login", locale.t("sign_up.bad.login"));
        }
        if let Err(weak) = passwords::check(&self.password, &[name, login]) {
            errors.add("password", weak.text(locale));
        }
        errors
    }
}
