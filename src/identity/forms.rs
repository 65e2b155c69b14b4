//! What is typed to sign up and to sign in.

use serde::Deserialize;

use crate::web::passwords::{self, LONGEST_BYTES, SHORTEST, Weak};
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

impl SignUp {
    /// What is wrong with it, by field.
    pub(super) fn check(&self, locale: Locale) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let name = self.name.trim();
        if !(2..=80).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            errors.add("name", locale.t("sign_up.bad.name"));
        }
        let login = self.login.trim();
        let is_plain = |c: char| !c.is_whitespace() && !c.is_control();
        if !(3..=254).contains(&login.chars().count()) || !login.chars().all(is_plain) {
            errors.add("login", locale.t("sign_up.bad.login"));
        }
        if let Err(weak) = passwords::check(&self.password, &[name, login]) {
            let text = match weak {
                Weak::Short => locale.tr("sign_up.bad.short", [("n", &SHORTEST.to_string())]),
                Weak::Long => locale.tr("sign_up.bad.long", [("n", &LONGEST_BYTES.to_string())]),
                Weak::Common => locale.t("sign_up.bad.common").into_owned(),
            };
            errors.add("password", text);
        }
        errors
    }
}
