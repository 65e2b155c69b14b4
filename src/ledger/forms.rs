//! What the journal can be narrowed down by.

use jiff::civil::DateTime;
use market::AccountKind;
use serde::Deserialize;

use crate::web::error::encoded;
use crate::web::form::plain;
use crate::web::format::zone;
use crate::web::reference::Reference;
use crate::web::{FieldErrors, Locale};

/// Every reason of an entry, in the order of the list.
pub(super) const REASONS: [&str; 11] = [
    "deposit",
    "hold",
    "release",
    "trade",
    "settlement",
    "correction",
    "payout",
    "credit",
    "bond_release",
    "dispute",
    "ruling",
];

/// No name of a participant is longer.
const LONGEST_NAME: usize = 80;

/// The journal's filters as they were typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Filter {
    pub(super) participant: String,
    pub(super) account: String,
    pub(super) reason: String,
    pub(super) about: String,
    pub(super) from: String,
    pub(super) to: String,
    /// Only entries older than this one: where the page before ended.
    pub(super) before: String,
}

/// Whose accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Number(i64),
    Named(String),
}

/// What is looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) who: Option<Who>,
    pub(super) account: Option<AccountKind>,
    pub(super) reason: Option<&'static str>,
    pub(super) about: Option<Reference>,
    pub(super) from: Option<jiff::Timestamp>,
    pub(super) to: Option<jiff::Timestamp>,
    pub(super) before: Option<i64>,
}

impl Filter {
    /// Whether nothing is narrowed down.
    pub(super) fn is_empty(&self) -> bool {
        let fields = [
            &self.participant,
            &self.account,
            &self.reason,
            &self.about,
            &self.from,
            &self.to,
        ];
        fields.iter().all(|field| field.trim().is_empty())
    }

    /// What is looked for, or what is wrong with which field.
    pub(super) fn read(&self, locale: Locale) -> Result<Wanted, FieldErrors> {
        let mut errors = FieldErrors::default();
        let mut wanted = Wanted {
            before: plain(&self.before).parse().ok(),
            ..Wanted::default()
        };
        let mut refuse = |field, key| errors.add(field, locale.t(key));
        match who(&self.participant) {
            Ok(who) => wanted.who = who,
            Err(()) => refuse("participant", "books.bad.participant"),
        }
        match given(&self.account).map(AccountKind::from_code) {
            Some(None) => refuse("account", "books.bad.account"),
            kind => wanted.account = kind.flatten(),
        }
        let known = |code: &str| REASONS.into_iter().find(|reason| *reason == code);
        match given(&self.reason).map(known) {
            Some(None) => refuse("reason", "books.bad.reason"),
            reason => wanted.reason = reason.flatten(),
        }
        let has_entries = |about: &Reference| !matches!(about, Reference::Participant(_));
        match given(&self.about).map(|typed| Reference::parse(typed).filter(has_entries)) {
            Some(None) => refuse("about", "books.bad.about"),
            about => wanted.about = about.flatten(),
        }
        match given(&self.from).map(instant) {
            Some(None) => refuse("from", "books.bad.time"),
            from => wanted.from = from.flatten(),
        }
        match given(&self.to).map(instant) {
            Some(None) => refuse("to", "books.bad.time"),
            to => wanted.to = to.flatten(),
        }
        if let (Some(from), Some(to)) = (wanted.from, wanted.to)
            && from >= to
        {
            refuse("to", "books.bad.order");
        }
        if errors.is_empty() {
            Ok(wanted)
        } else {
            Err(errors)
        }
    }

    /// The address of the journal with these filters, from this entry on.
    pub(super) fn href(&self, before: i64) -> String {
        let fields = [
            ("participant", &self.participant),
            ("account", &self.account),
            ("reason", &self.reason),
            ("about", &self.about),
            ("from", &self.from),
            ("to", &self.to),
        ];
        let given = fields.into_iter().filter_map(|(name, value)| {
            let value = given(value)?;
            Some(format!("{name}={}&", encoded(value)))
        });
        format!("/ops/journal?{}before={before}", given.collect::<String>())
    }
}

/// A field that something was typed into.
fn given(typed: &str) -> Option<&str> {
    let typed = typed.trim();
    (!typed.is_empty()).then_some(typed)
}

/// A participant by number, with or without its letter, or by name.
fn who(typed: &str) -> Result<Option<Who>, ()> {
    let Some(typed) = given(typed) else {
        return Ok(None);
    };
    if let Some(Reference::Participant(number)) = Reference::parse(typed) {
        return Ok(Some(Who::Number(number)));
    }
    if let Some(number) = crate::web::form::whole(typed) {
        return Ok(Some(Who::Number(number)));
    }
    if typed.chars().count() > LONGEST_NAME || typed.chars().any(char::is_control) {
        return Err(());
    }
    Ok(Some(Who::Named(typed.to_owned())))
}

/// A minute of China's time, as a browser's field for it gives one; a day is its first minute.
fn instant(typed: &str) -> Option<jiff::Timestamp> {
    let typed = plain(typed);
    let at: DateTime = match typed.parse::<jiff::civil::Date>() {
        Ok(day) if !typed.contains(':') => day.to_datetime(jiff::civil::Time::midnight()),
        _ => typed.parse().ok()?,
    };
    // Before our era PostgreSQL and people write years in another way.
    if at.year() < 1 {
        return None;
    }
    Some(at.to_zoned(zone()).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(field: &str, typed: &str) -> Result<Wanted, bool> {
        let mut filter = Filter::default();
        let typed = typed.to_owned();
        match field {
            "participant" => filter.participant = typed,
            "account" => filter.account = typed,
            "reason" => filter.reason = typed,
            "about" => filter.about = typed,
            "from" => filter.from = typed,
            _ => filter.to = typed,
        }
        let read = filter.read(Locale::En);
        read.map_err(|errors| errors.get(field).is_some())
    }

    #[test]
    fn each_filter_is_read_or_said_to_be_wrong_at_its_field() {
        let at = |text: &str| Some(text.parse::<jiff::Timestamp>().unwrap());
        for (typed, who) in [
            ("n3", Who::Number(3)),
            ("３", Who::Number(3)),
            ("0", Who::Number(0)),
            ("黔云算力", Who::Named("黔云算力".to_owned())),
            ("x' OR 1=1 --", Who::Named("x' OR 1=1 --".to_owned())),
        ] {
            assert_eq!(read("participant", typed).unwrap().who, Some(who));
        }
        assert_eq!(
            read("account", "bond").unwrap().account,
            Some(AccountKind::Bond)
        );
        assert_eq!(read("reason", "payout").unwrap().reason, Some("payout"));
        assert_eq!(
            read("about", "L12").unwrap().about,
            Some(Reference::Lease(12))
        );
        let opening = at("2026-11-01T00:00:00Z");
        for typed in [
            "2026-11-01T08:00",
            "2026-11-01 08:00",
            "2026-11-01T08:00:00",
        ] {
            assert_eq!(read("from", typed).unwrap().from, opening, "{typed}");
        }
        assert_eq!(
            read("to", "2026-11-01").unwrap().to,
            at("2026-10-31T16:00:00Z")
        );
        for (field, typed) in [
            ("participant", "x\0"),
            ("account", "gold"),
            ("reason", "why"),
            ("about", "12"),
            ("about", "n3"),
            ("from", "yesterday"),
            ("from", "-000001-01-01T00:00"),
            ("from", "99999-01-01T00:00"),
            ("to", "2026-13-01"),
        ] {
            assert_eq!(read(field, typed), Err(true), "{field}: {typed}");
        }
        assert_eq!(read("participant", &"x".repeat(10_000)), Err(true));
        let filter = Filter {
            from: "2026-11-02".to_owned(),
            to: "2026-11-01".to_owned(),
            ..Filter::default()
        };
        assert!(filter.read(Locale::En).unwrap_err().get("to").is_some());
    }

    #[test]
    fn the_next_page_keeps_what_was_typed() {
        let filter = Filter {
            participant: "a&b=c 丙".to_owned(),
            ..Filter::default()
        };
        assert_eq!(
            filter.href(7),
            "/ops/journal?participant=a%26b%3Dc%20%E4%B8%99&before=7"
        );
    }
}
