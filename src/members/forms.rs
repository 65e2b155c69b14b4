//! What is typed about people.

use market::{Money, MoneyError};
use serde::Deserialize;

use crate::names;
use crate::web::form::plain;
use crate::web::passwords;
use crate::web::{FieldErrors, Locale, Role};

/// The roles that a participant's members have, in the order in which they are shown.
pub(super) const ROLES: [Role; 5] = [
    Role::Owner,
    Role::Buyer,
    Role::Approver,
    Role::Finance,
    Role::Operator,
];

/// A change of one's password.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Password {
    pub(super) current: String,
    pub(super) password: String,
}

/// Roles, each a box that is ticked or not.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ticked {
    owner: String,
    buyer: String,
    approver: String,
    finance: String,
    operator: String,
}

/// An invitation.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Invite {
    pub(super) note: String,
    /// What the link will have in it, and by which a form that is sent twice is known.
    pub(super) token: String,
    #[serde(flatten)]
    pub(super) roles: Ticked,
}

/// The amount above which an order needs a second person, in yuan; none does where it is empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Approval {
    pub(super) above: String,
}

/// Whoever follows an invitation.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Join {
    pub(super) invitation: String,
    pub(super) login: String,
    pub(super) password: String,
}

impl Ticked {
    /// Whether this role's box is ticked.
    pub(super) fn has(&self, role: Role) -> bool {
        let ticked = match role {
            Role::Owner => &self.owner,
            Role::Buyer => &self.buyer,
            Role::Approver => &self.approver,
            Role::Finance => &self.finance,
            Role::Operator => &self.operator,
            _ => return false,
        };
        !ticked.is_empty()
    }

    /// The roles whose boxes are ticked, by their names in the tables.
    pub(super) fn codes(&self) -> Vec<String> {
        let ticked = ROLES.into_iter().filter(|role| self.has(*role));
        ticked.map(|role| role.code().to_owned()).collect()
    }
}

impl Approval {
    /// The amount in force, as it is typed.
    pub(super) fn of(above: Option<Money>) -> Self {
        let text = above.map(|above| above.to_string());
        let text = text.map(|text| text.trim_end_matches("00").trim_end_matches('.').to_owned());
        Self {
            above: text.unwrap_or_default(),
        }
    }

    /// The amount that it means, or what is wrong with it.
    pub(super) fn read(&self, locale: Locale) -> Result<Option<Money>, FieldErrors> {
        let typed = plain(&self.above);
        if typed.is_empty() {
            return Ok(None);
        }
        let key = match typed.parse::<Money>() {
            Ok(above) if above >= Money::ZERO => return Ok(Some(above)),
            Ok(_) | Err(MoneyError::NotANumber) => "members.bad.above",
            Err(MoneyError::TooManyDecimals) => "ticket.bad.decimals",
            Err(MoneyError::TooLarge) => "members.bad.above_large",
        };
        let mut errors = FieldErrors::default();
        errors.add("above", locale.t(key));
        Err(errors)
    }
}

impl Invite {
    /// The token, if it is like one of ours.
    pub(super) fn token(&self) -> Option<&str> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let is_ours = (40..=64).contains(&self.token.len()) && self.token.bytes().all(is_plain);
        is_ours.then_some(&self.token)
    }

    /// What is wrong with it, by field.
    pub(super) fn check(&self, locale: Locale) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let note = self.note.trim();
        if note.chars().count() > 80 || !names::is_visible(note) {
            errors.add("note", locale.t("members.bad.note"));
        }
        if self.roles.codes().is_empty() {
            errors.add("roles", locale.t("members.bad.roles"));
        }
        errors
    }
}

impl Join {
    /// What is wrong with it, by field; the names are its new member's and the participant's.
    pub(super) fn check(&self, participant: &str, locale: Locale) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let login = self.login.trim();
        if !names::is_for_person(login) {
            errors.add("login", locale.t("sign_up.bad.login"));
        }
        if let Err(weak) = passwords::check(&self.password, &[participant, login]) {
            errors.add("password", weak.text(locale));
        }
        errors
    }
}
