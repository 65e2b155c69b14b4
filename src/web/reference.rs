//! What a person names by its number: read as it is typed, and where an administrator sees it.

use std::fmt;

use market::ParticipantId;

use super::form::plain;

/// Something that has a number of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// An order, as in `o12`.
    Order(i64),
    /// A trade, as in `t12`.
    Trade(i64),
    /// A lease, as in `l12`; it has the number of its trade.
    Lease(i64),
    /// A participant, as in `n3`.
    Participant(i64),
    /// A journal entry, as in `J-40`.
    Entry(i64),
    /// A dispute, as in `d2`.
    Dispute(i64),
}

impl Reference {
    /// What is meant by `o12`, `Ｏ１２`, `L 12` or `J-40`; nothing by what has no such form.
    pub fn parse(typed: &str) -> Option<Self> {
        let narrow = |typed: char| match typed {
            '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' => {
                char::from_u32(u32::from(typed) - 0xfee0).unwrap_or(typed)
            }
            '\u{ff0d}' | '\u{2212}' => '-',
            _ => typed,
        };
        let typed: String = plain(typed).chars().map(narrow).collect();
        let mut rest = typed.chars();
        let prefix = rest.next()?.to_ascii_lowercase();
        let rest = rest.as_str().trim_start();
        let digits = rest.strip_prefix('-').unwrap_or(rest);
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        let number: i64 = digits.parse().ok().filter(|_| is_number)?;
        let is_possible = number > 0 || prefix == 'n' && number == ParticipantId::MARKETPLACE.0;
        Self::of(prefix, number).filter(|_| is_possible)
    }

    /// Everything that a bare number may stand for.
    pub fn all_of(number: i64) -> impl Iterator<Item = Self> {
        "otlnjd"
            .chars()
            .filter_map(move |prefix| Self::of(prefix, number))
    }

    fn of(prefix: char, number: i64) -> Option<Self> {
        match prefix {
            'o' => Some(Self::Order(number)),
            't' => Some(Self::Trade(number)),
            'l' => Some(Self::Lease(number)),
            'n' => Some(Self::Participant(number)),
            'j' | 'e' => Some(Self::Entry(number)),
            'd' => Some(Self::Dispute(number)),
            _ => None,
        }
    }

    /// What a journal entry of this reason is about.
    pub fn of_entry(reason: &str, subject: i64) -> Option<Self> {
        match reason {
            "hold" | "release" => Some(Self::Order(subject)),
            "trade" => Some(Self::Trade(subject)),
            "settlement" | "correction" | "credit" | "bond_release" | "buy_in" | "default" => {
                Some(Self::Lease(subject))
            }
            "dispute" | "ruling" => Some(Self::Dispute(subject)),
            _ => None,
        }
    }

    /// Where an administrator sees it.
    pub fn href(self) -> String {
        match self {
            Self::Order(_) => format!("/ops/orders/{self}"),
            Self::Trade(_) => format!("/ops/trades/{self}"),
            Self::Lease(_) => format!("/ops/leases/{self}"),
            Self::Participant(_) => format!("/ops/participants/{self}"),
            Self::Entry(number) => format!("/ops/journal/{number}"),
            Self::Dispute(_) => format!("/disputes/{self}"),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order(number) => write!(f, "o{number}"),
            Self::Trade(number) => write!(f, "t{number}"),
            Self::Lease(number) => write!(f, "l{number}"),
            Self::Participant(number) => write!(f, "n{number}"),
            Self::Entry(number) => write!(f, "J-{number}"),
            Self::Dispute(number) => write!(f, "d{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_people_type_it() {
        for (typed, meant) in [
            ("o12", Reference::Order(12)),
            (" O12 ", Reference::Order(12)),
            ("ｔ１２", Reference::Trade(12)),
            ("L 3", Reference::Lease(3)),
            ("J-40", Reference::Entry(40)),
            ("j40", Reference::Entry(40)),
            ("e40", Reference::Entry(40)),
            ("n0", Reference::Participant(0)),
            ("d2", Reference::Dispute(2)),
        ] {
            assert_eq!(Reference::parse(typed), Some(meant), "{typed}");
        }
        for typed in [
            "",
            "o",
            "12",
            "o0",
            "o-",
            "o--1",
            "o1.5",
            "o+1",
            "x1",
            "o9223372036854775808",
            "争1",
            "o1' OR 1=1",
        ] {
            assert_eq!(Reference::parse(typed), None, "{typed}");
        }
    }

    #[test]
    fn it_reads_as_it_prints() {
        for reference in Reference::all_of(7) {
            assert_eq!(Reference::parse(&reference.to_string()), Some(reference));
        }
        assert_eq!(Reference::all_of(7).count(), 6);
    }
}
