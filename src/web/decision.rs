//! A decision as a person types it: a coded reason, and a note in their own words.

use serde::Deserialize;

use super::form::FieldErrors;
use super::i18n::Locale;

/// The reason that says nothing without a note.
pub const OTHER: &str = "other";

/// The longest note, in characters.
const LONGEST_NOTE: usize = 2000;

/// A decision as it was typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Decision {
    /// The code of its reason.
    pub reason: String,
    /// What is said beyond that.
    pub note: String,
}

/// A decision that can be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reasoned {
    /// The code of its reason.
    pub reason: &'static str,
    /// What is said beyond that.
    pub note: Option<String>,
}

impl Decision {
    /// A decision with one of these reasons, or what is wrong with it.
    ///
    /// # Errors
    /// At `reason` when it is none of them; at `note` when it can't be kept, or the reason is
    /// [`OTHER`] and it says nothing.
    pub fn read(&self, locale: Locale, reasons: &[&'static str]) -> Result<Reasoned, FieldErrors> {
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

    /// The same where a note is always needed.
    ///
    /// # Errors
    /// As those of [`Decision::read`], and at `note` when it says nothing.
    pub fn read_explained(
        &self,
        locale: Locale,
        reasons: &[&'static str],
    ) -> Result<(&'static str, String), FieldErrors> {
        let mut errors = match self.read(locale, reasons) {
            Ok(Reasoned {
                reason,
                note: Some(note),
            }) => return Ok((reason, note)),
            Ok(_) => FieldErrors::default(),
            Err(errors) => errors,
        };
        if self.note.trim().is_empty() {
            errors.add("note", locale.t("desk.bad.note_needed"));
        }
        Err(errors)
    }

    /// The note alone, or what is wrong with it.
    ///
    /// # Errors
    /// At `note` when it can't be kept.
    pub fn read_note(&self, locale: Locale) -> Result<Option<String>, FieldErrors> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const REASONS: [&str; 2] = ["code_invalid", OTHER];

    #[test]
    fn a_reason_is_one_of_the_list_and_other_says_what() {
        let read = |reason: &str, note: &str| {
            let decision = Decision {
                reason: reason.to_owned(),
                note: note.to_owned(),
            };
            decision.read(Locale::En, &REASONS)
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
        let unexplained = Decision {
            reason: "code_invalid".to_owned(),
            note: " ".to_owned(),
        };
        let refused = unexplained.read_explained(Locale::En, &REASONS);
        assert!(refused.is_err_and(|errors| errors.get("note").is_some()));
        assert!(wrong("other", "nul\0", "note"));
        assert!(wrong("code_invalid", &"字".repeat(2001), "note"));
        assert!(read("code_invalid", &"字".repeat(2000)).is_ok());
    }
}
