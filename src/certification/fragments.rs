//! Whether the draft is saved.

use askama::Template;
use askama_web::WebTemplate;

use crate::web::{FieldErrors, Locale};

/// What became of the draft, beside its buttons.
#[derive(Template, WebTemplate)]
#[template(path = "certification/_saved.html")]
pub(super) struct Saved {
    pub(super) locale: Locale,
    pub(super) outcome: Outcome,
}

impl askama::filters::HtmlSafe for Saved {}

/// What became of it.
pub(super) enum Outcome {
    /// Nothing was typed yet.
    Nothing,
    /// Saved at this time.
    At(String),
    /// Not saved: why, by field.
    Refused(FieldErrors),
    /// It was sent already.
    Sent,
}

impl Saved {
    /// The first thing that is wrong.
    fn wrong<'e>(&self, errors: &'e FieldErrors) -> &'e str {
        errors.texts().next().unwrap_or_default()
    }
}
