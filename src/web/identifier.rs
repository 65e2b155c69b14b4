//! Identifiers: permanent numbers of providers and pools, with check characters.
//!
//! `SL`, a letter for the kind, the number in ten digits, and two check digits by ISO 7064,
//! MOD 97-10, which find every single wrong character and every two that changed places. An
//! identifier is never given again. The area `certification` says what one stands for.

use std::fmt;

use market::{ParticipantId, PoolId};

use super::form::plain;

/// What an identifier is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A participant that has applied to provide.
    Provider(ParticipantId),
    /// A pool.
    Pool(PoolId),
}

impl Subject {
    /// Its kind's name in the tables and in JSON.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Provider(_) => "provider",
            Self::Pool(_) => "pool",
        }
    }

    /// Its number among its kind.
    pub fn number(self) -> i64 {
        match self {
            Self::Provider(participant) => participant.0,
            Self::Pool(pool) => pool.0,
        }
    }

    fn letter(self) -> char {
        match self {
            Self::Provider(_) => 'N',
            Self::Pool(_) => 'P',
        }
    }

    fn of(letter: &str, number: i64) -> Option<Self> {
        match letter {
            "N" => Some(Self::Provider(ParticipantId(number))),
            "P" => Some(Self::Pool(PoolId(number))),
            _ => None,
        }
    }
}

/// An identifier whose check digits are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identifier(pub Subject);

/// Why a text is no identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentifier {
    /// Not `SL`, a known letter and twelve digits.
    #[error("not an identifier of this marketplace")]
    Shape,
    /// The check digits are of another number: something was mistyped.
    #[error("the check digits are not those of this number")]
    Check,
}

impl Identifier {
    /// The identifier that a person typed: spaces, hyphens, case and full-width digits don't
    /// matter.
    ///
    /// # Errors
    /// [`BadIdentifier`].
    pub fn read(typed: &str) -> Result<Self, BadIdentifier> {
        let text: String = plain(typed)
            .chars()
            .filter(|typed| !typed.is_whitespace() && !"-‐‑–—－".contains(*typed))
            .map(|typed| typed.to_ascii_uppercase())
            .collect();
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let (Some(letter), Some(digits)) = (text.get(2..3), text.get(3..13)) else {
            return Err(BadIdentifier::Shape);
        };
        if !is_plain || text.len() != 15 || !text.starts_with("SL") {
            return Err(BadIdentifier::Shape);
        }
        let number: i64 = digits.parse().map_err(|_| BadIdentifier::Shape)?;
        let subject = Subject::of(letter, number).filter(|_| number > 0);
        let identifier = Self(subject.ok_or(BadIdentifier::Shape)?);
        // MOD 97-10 alone takes two pairs of digits for some numbers; only the one that was given
        // out counts.
        if identifier.compact() == text {
            Ok(identifier)
        } else {
            Err(BadIdentifier::Check)
        }
    }

    /// Without hyphens, as it is stored.
    pub fn compact(self) -> String {
        let base = format!("SL{}{:010}", self.0.letter(), self.0.number());
        let check = iso7064::generate_check_digits(&base).unwrap_or_default();
        base + &check
    }
}

/// In groups, as it is shown: `SLP-0000100001-27`.
impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.compact();
        let (kind, rest) = text.split_at(3);
        let (number, check) = rest.split_at(rest.len().min(10));
        write!(f, "{kind}-{number}-{check}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ISO 7064 MOD 97-10 as the standard words it: letters are 10 to 35, and the whole number
    /// leaves 1 when it is divided by 97.
    fn remainder(text: &str) -> u32 {
        let digits: String = text
            .chars()
            .filter_map(|one| one.to_digit(36))
            .map(|value| value.to_string())
            .collect();
        digits
            .chars()
            .filter_map(|one| one.to_digit(10))
            .fold(0, |rest, digit| (rest * 10 + digit) % 97)
    }

    #[test]
    fn an_identifier_reads_as_it_is_shown_and_as_people_type_it() {
        let pool = Identifier(Subject::Pool(PoolId(100_001)));
        let shown = pool.to_string();
        assert_eq!(remainder(&pool.compact()), 1);
        assert!(shown.starts_with("SLP-0000100001-"), "{shown}");
        for typed in [
            shown.clone(),
            shown.to_lowercase(),
            format!("  {} ", pool.compact()),
            shown.replace('-', " "),
            shown.replace("100001", "１００００１").replace('-', "－"),
        ] {
            assert_eq!(Identifier::read(&typed), Ok(pool), "{typed}");
        }
        let provider = Identifier(Subject::Provider(ParticipantId(3)));
        assert_eq!(Identifier::read(&provider.compact()), Ok(provider));
        assert_ne!(provider.compact(), pool.compact());
    }

    #[test]
    fn one_wrong_character_and_two_that_changed_places_are_found() {
        for number in [1, 3, 42, 100_001, 9_876_543_210] {
            let text = Identifier(Subject::Pool(PoolId(number))).compact();
            for at in 3..text.len() {
                for digit in b'0'..=b'9' {
                    let mut wrong = text.clone().into_bytes();
                    if wrong[at] == digit {
                        continue;
                    }
                    wrong[at] = digit;
                    let wrong = String::from_utf8(wrong).unwrap();
                    assert!(Identifier::read(&wrong).is_err(), "{wrong} for {text}");
                }
                let mut swapped = text.clone().into_bytes();
                if at + 1 < swapped.len() && swapped[at] != swapped[at + 1] {
                    swapped.swap(at, at + 1);
                    let swapped = String::from_utf8(swapped).unwrap();
                    assert!(Identifier::read(&swapped).is_err(), "{swapped} for {text}");
                }
            }
        }
    }

    #[test]
    fn each_number_has_one_pair_of_check_digits() {
        for number in 1..2_000 {
            let text = Identifier(Subject::Pool(PoolId(number))).compact();
            let taken = (0..100).filter(|check| {
                let other = format!("{}{check:02}", &text[..13]);
                Identifier::read(&other).is_ok()
            });
            assert_eq!(taken.count(), 1, "{text}");
        }
    }

    #[test]
    fn what_is_no_identifier_is_refused() {
        for typed in [
            "",
            "SL",
            "SLP",
            "p100001",
            "SLX000010000100",
            "SLP00001000012",
            "SLP-0000000000-00",
            "SLP+000100001-27",
            "统一标识",
            "SLP\u{0}00100001270",
            &"9".repeat(5_000),
        ] {
            let refused = Identifier::read(typed);
            assert_eq!(refused, Err(BadIdentifier::Shape), "{typed}");
        }
    }
}
