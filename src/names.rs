//! Names of participants and people: which can be told apart by looking at them, and by what they
//! are compared.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// What shows as nothing and is of no category that is refused anyway: fillers, joiners and
/// variation selectors.
const UNSEEN: [(char, char); 8] = [
    ('\u{34f}', '\u{34f}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{e0100}', '\u{e01ef}'),
];

/// Whether each character of a name can be seen: no control, no mark of direction or format, no
/// separator of lines, nothing private or unassigned.
pub fn is_visible(name: &str) -> bool {
    use GeneralCategory as Is;
    name.chars().all(|c| {
        let is_hidden = matches!(
            c.general_category(),
            Is::Control
                | Is::Format
                | Is::LineSeparator
                | Is::ParagraphSeparator
                | Is::PrivateUse
                | Is::Surrogate
                | Is::Unassigned
        );
        let is_unseen = UNSEEN.iter().any(|(from, to)| (*from..=*to).contains(&c));
        !is_hidden && !is_unseen
    })
}

/// Whether a participant can be called this.
pub fn is_for_participant(name: &str) -> bool {
    (2..=80).contains(&name.chars().count()) && !key(name).is_empty() && is_visible(name)
}

/// Whether a person can sign in under this.
pub fn is_for_person(login: &str) -> bool {
    let is_long_enough = (3..=254).contains(&login.chars().count());
    is_long_enough && !login.contains(char::is_whitespace) && is_visible(login)
}

/// By what a name is compared: the same for names that differ in width, case, composition or
/// spaces only.
pub fn key(name: &str) -> String {
    // Upper and then lower case folds what has two small forms, as ß and the Greek final sigma.
    let folded = name.nfkc().collect::<String>();
    let folded = folded.to_uppercase().to_lowercase();
    let folded: String = folded.nfkc().collect();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_have_one_key() {
        for (one, other) in [
            ("Ada", "ＡＤＡ"),
            ("听澜  科技", " 听澜\u{3000}科技 "),
            ("Straße", "STRASSE"),
            ("ΟΔΟΣ", "οδος"),
            ("caf\u{e9}", "cafe\u{301}"),
            ("①号", "1号"),
        ] {
            assert_eq!(key(one), key(other), "{one} {other}");
        }
        assert_ne!(key("ada"), key("adb"));
    }

    #[test]
    fn what_can_not_be_seen_is_no_part_of_a_name() {
        for plain in [
            "听澜科技（北京）",
            "Ada & Söhne 2.0",
            "ada@example.org",
            "ﾃｽﾄ",
        ] {
            assert!(is_visible(plain), "{plain}");
        }
        for hidden in [
            "a\u{202e}b",
            "a\u{2066}b",
            "a\u{200b}b",
            "a\u{feff}b",
            "a\u{2028}b",
            "a\u{2029}b",
            "a\u{e000}b",
            "a\u{0}b",
            "a\u{ad}b",
            "a\u{3164}b",
            "a\u{fe0f}b",
            "a\u{e0101}b",
        ] {
            assert!(!is_visible(hidden), "{}", hidden.escape_unicode());
        }
    }
}
