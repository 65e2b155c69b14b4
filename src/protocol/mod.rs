//! JSON as docs/PROTOCOL.md has it, read strictly: what the lines of `sluice simulate` and the
//! bodies of the API have in common.

mod fields;
pub mod instant;
mod order;

use std::fmt;

pub use fields::Fields;
pub use order::{
    Known, Numbers, OrderLine, ReplaceLine, SideLine, SourceLine, TargetLine, lease_number,
};

/// What is wrong with what was written, before anybody is asked to do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Of which kind, for programs: `bad_json`, `missing_field`, `unknown_field`, `wrong_type` or
    /// `bad_value`.
    pub code: &'static str,
    /// The field; none for what is about several, or about all.
    pub field: Option<String>,
    /// In words.
    text: String,
}

impl Flaw {
    /// It is not what can be read.
    pub fn syntax(text: impl Into<String>) -> Self {
        Self {
            code: "bad_json",
            field: None,
            text: text.into(),
        }
    }

    /// A field's flaw of this kind.
    pub fn of(code: &'static str, field: &str, text: impl fmt::Display) -> Self {
        Self {
            code,
            field: Some(field.to_owned()),
            text: format!("field {field:?} {text}"),
        }
    }

    /// A field of the right type whose value means nothing.
    pub fn value(field: &str, text: impl fmt::Display) -> Self {
        Self {
            code: "bad_value",
            field: Some(field.to_owned()),
            text: format!("field {field:?}: {text}"),
        }
    }

    /// Fields that don't go together.
    pub fn together(text: impl Into<String>) -> Self {
        Self {
            code: "bad_value",
            field: None,
            text: text.into(),
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
