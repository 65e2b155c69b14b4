//! What is looked for, as it was typed.

use serde::Deserialize;

use crate::web::form::whole;
use crate::web::reference::Reference;

/// Nothing that can be looked for is longer.
const LONGEST: usize = 100;

/// The text of the box.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Search {
    pub(super) q: String,
}

impl Search {
    /// What was typed; none when there is nothing, or nothing that anything could be called.
    pub(super) fn text(&self) -> Option<&str> {
        let text = self.q.trim();
        let is_name = !text.chars().any(char::is_control) && text.chars().count() <= LONGEST;
        (is_name && !text.is_empty()).then_some(text)
    }

    /// What it may stand for as a number: one thing with its letter, any without.
    pub(super) fn references(&self) -> Vec<Reference> {
        match (Reference::parse(&self.q), whole(&self.q)) {
            (Some(reference), _) => vec![reference],
            (None, Some(number)) => Reference::all_of(number).collect(),
            (None, None) => Vec::new(),
        }
    }
}

/// Which part of a long list.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Part {
    after: String,
}

impl Part {
    /// The number after which it begins; the whole list's beginning unless one is given.
    pub(super) fn after(&self) -> i64 {
        self.after
            .parse()
            .ok()
            .filter(|after| *after >= 0)
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_what_something_can_be_called() {
        let search = |q: &str| Search { q: q.to_owned() };
        assert_eq!(search("  黔云 ").text(), Some("黔云"));
        for nothing in ["", "  ", "a\0b", "a\u{7}"] {
            assert_eq!(search(nothing).text(), None, "{nothing:?}");
        }
        assert_eq!(search(&"长".repeat(101)).text(), None);
        assert_eq!(search("T12").references(), [Reference::Trade(12)]);
        assert_eq!(search("１２").references().len(), 6);
        assert!(search("黔云").references().is_empty());
        assert!(search("99999999999999999999").references().is_empty());
    }
}
