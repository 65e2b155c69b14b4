//! What is typed at the desk: the coded reasons of decisions, and what lists are narrowed by.

use serde::Deserialize;

use crate::web::decision::OTHER;
use crate::web::form::plain;

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

/// Which cases of delivery.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Cases {
    state: String,
    before: String,
}

impl Cases {
    /// Whether those that were closed are looked at.
    pub(super) fn are_closed(&self) -> bool {
        self.state == "closed"
    }

    pub(super) fn before(&self) -> Option<i64> {
        self.before.parse().ok()
    }
}

/// What came of a case, as it was typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Close {
    pub(super) note: String,
}
