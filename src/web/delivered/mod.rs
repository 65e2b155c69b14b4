//! What machines delivered of a lease, and how that is known: its way, step by step; of each hour
//! who was believed, with the service level's formula; and what probes found. Its holder, its
//! provider and the marketplace's people see the same. Of a lease that no machine has anything to do
//! with, the formula alone.

mod believed;
mod probed;
mod queries;
mod way;

use market::LeaseId;

pub use self::believed::Believed;
pub use self::probed::Probed;
pub use self::way::Way;
use super::error::Error;
use super::i18n::Locale;
use super::live;
use crate::app::App;

/// The parts of it, each a fragment of its own, so that one that has not changed stays as it is.
pub struct Delivered {
    /// Its way.
    pub way: Way,
    /// Its hours, with the service level's formula.
    pub believed: Believed,
    /// What probes found.
    pub probed: Probed,
}

impl Delivered {
    /// What is told of a lease to whoever may see it.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn of(app: &App, locale: Locale, lease: LeaseId) -> Result<Self, Error> {
        let found = app.feed.market().lease(lease).cloned();
        let now = app.clock.now();
        // How to get in is nobody's to read before the lease begins.
        let shows = found
            .as_ref()
            .is_none_or(|lease| lease.period.start.begins() <= now);
        let placed = queries::is_placed(&app.db, lease).await?;
        Ok(Self {
            way: Way::of(&app.db, locale, lease, shows).await?,
            believed: match found {
                Some(lease) => Believed::of(app, locale, &lease, (now, placed)).await?,
                None => Believed::nothing(locale),
            },
            probed: Probed::of(&app.db, locale, lease, shows).await?,
        })
    }

    /// The parts by the names that a page listens to.
    ///
    /// # Errors
    /// When one can't be drawn.
    pub fn fragments(&self) -> Result<live::Fragments, Error> {
        Ok(vec![
            ("way", live::html(&self.way)?),
            ("believed", live::html(&self.believed)?),
            ("probed", live::html(&self.probed)?),
        ])
    }
}

/// What shows something, as it was said; nothing where there is nothing to see.
fn shown(evidence: &serde_json::Value) -> Option<String> {
    let is_empty = match evidence {
        serde_json::Value::Null => true,
        serde_json::Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    if is_empty {
        return None;
    }
    serde_json::to_string_pretty(evidence).ok()
}
