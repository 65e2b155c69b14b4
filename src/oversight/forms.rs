//! What is typed at the desk: decisions with their coded reasons, and what lists are narrowed by.

use serde::Deserialize;

use crate::web::form::plain;
use crate::web::{FieldErrors, Locale};

/// Why an application is refused. The code is kept; words are the catalogue's.
pub(super) const REFUSALS: [&str; 6] = [
    "documents_missing",
    "code_invalid",
    "site_unverified",
    "capacity_unproven",
    "related_party",
    OTHER,
];

/// Why a participant is suspended.
pub(super) const SUSPENSIONS: [&str; 6] = [
    "undelivered",
    "documents_expired",
    "abuse",
    "authority_order",
    "own_request",
    OTHER,
];

/// The reason that says nothing without a note.
const OTHER: &str = "other";

/// The longest note, in characters.
const LONGEST_NOTE: usize = 2000;

/// A decision as it was typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Decision {
    pub(super) reason: String,
    pub(super) note: String,
}

/// A decision that can be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reasoned {
    pub(super) reason: &'static str,
    pub(super) note: Option<String>,
}

impl Decision {
    /// A decision with one of these reasons, or what is wrong with it.
    pub(super) fn read(
        &self,
        locale: Locale,
        reasons: &[&'static str],
    ) -> Result<Reasoned, FieldErrors> {
        let mut errors = FieldErrors::default();
        let reason = reasons.iter().find(|reason| **reason == self.reason);
        if reason.is_none() {
            errors.add("reason", locale.t("desk.bad.reason"));
        }
        let note = self.note(locale, &mut errors);
        if note.is_none() && errors.is_empty() && reason == Some(&OTHER) {
            errors.add("note", locale.t("desk.bad.note_missing"));
        }
        match reason {
            Some(reason) if errors.is_empty() => Ok(Reasoned { reason, note }),
            _ => Err(errors),
        }
    }

    /// The note alone, or what is wrong with it.
    pub(super) fn read_note(&self, locale: Locale) -> Result<Option<String>, FieldErrors> {
        let mut errors = FieldErrors::default();
        let note = self.note(locale, &mut errors);
        if errors.is_empty() {
            Ok(note)
        } else {
            Err(errors)
        }
    }

    fn note(&self, locale: Locale, errors: &mut FieldErrors) -> Option<String> {
        let note = self.note.trim().replace("\r\n", "\n");
        let is_odd = |typed: char| typed.is_control() && typed != '\n' && typed != '\t';
        if note.chars().count() > LONGEST_NOTE {
            errors.add("note", locale.t("desk.bad.note_long"));
        } else if note.chars().any(is_odd) {
            errors.add("note", locale.t("desk.bad.note_odd"));
        }
        (!note.is_empty()).then_some(note)
    }
}

/// Which applications.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Applications {
    pub(super) state: String,
    pub(super) before: String,
}

impl Applications {
    /// The state that is looked at: those that wait, unless another is picked.
    pub(super) fn state(&self) -> &'static str {
        let states = ["submitted", "certified", "refused"];
        let picked = states.into_iter().find(|state| *state == self.state);
        picked.unwrap_or("submitted")
    }

    pub(super) fn before(&self) -> Option<i64> {
        self.before.parse().ok()
    }
}

/// Which participants.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Participants {
    pub(super) q: String,
    pub(super) state: String,
    pub(super) before: String,
}

impl Participants {
    /// A piece of a name, as it is compared; PostgreSQL's texts hold no NUL.
    pub(super) fn name(&self) -> String {
        let typed = self.q.trim().chars().filter(|typed| !typed.is_control());
        typed.take(80).collect()
    }

    /// The number that may be meant, with or without its letter.
    pub(super) fn number(&self) -> Option<i64> {
        let typed = plain(&self.q).to_lowercase();
        typed.strip_prefix('n').unwrap_or(&typed).parse().ok()
    }

    /// The state that is looked at; none for all.
    pub(super) fn state(&self) -> Option<&'static str> {
        let states = ["certified", "suspended"];
        states.into_iter().find(|state| *state == self.state)
    }

    pub(super) fn before(&self) -> Option<i64> {
        self.before.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_of_the_list_and_other_says_what() {
        let read = |reason: &str, note: &str| {
            let decision = Decision {
                reason: reason.to_owned(),
                note: note.to_owned(),
            };
            decision.read(Locale::En, &REFUSALS)
        };
        let wrong = |reason: &str, note: &str, field: &str| {
            read(reason, note).is_err_and(|errors| errors.get(field).is_some())
        };
        assert_eq!(
            read("code_invalid", "  "),
            Ok(Reasoned {
                reason: "code_invalid",
                note: None
            })
        );
        assert_eq!(
            read("other", " two\r\nlines ").map(|read| read.note),
            Ok(Some("two\nlines".to_owned()))
        );
        assert!(wrong("", "why", "reason"));
        assert!(wrong("undelivered", "of another list", "reason"));
        assert!(wrong("other", " \n ", "note"));
        assert!(wrong("other", "nul\0", "note"));
        assert!(wrong("code_invalid", &"字".repeat(2001), "note"));
        assert!(read("code_invalid", &"字".repeat(2000)).is_ok());
    }
}
