//! How the holder gets in.

use askama::Template;
use askama::filters::HtmlSafe;
use ssh_key::{HashAlg, PublicKey};

use super::super::queries::{self, DoorRow};
use super::LeaseRow;
use crate::app::App;
use crate::web::{Error, Locale};

/// How the holder gets in, from the lease's start to its end.
#[derive(Template)]
#[template(path = "leases/_way_in.html")]
pub(in crate::leases) struct WayIn {
    locale: Locale,
    said: String,
    doors: Vec<Door>,
}

impl HtmlSafe for WayIn {}

/// One machine's.
struct Door {
    command: String,
    /// Of the key by which the machine is known.
    fingerprint: String,
}

impl WayIn {
    pub(super) async fn of(
        app: &App,
        locale: Locale,
        row: &LeaseRow,
        by_machines: bool,
    ) -> Result<Self, Error> {
        let say = |key: &str| Self {
            locale,
            said: locale.t(key).into_owned(),
            doors: Vec::new(),
        };
        if !by_machines {
            return Ok(say("login.simulated"));
        }
        let (now, start) = (app.clock.now(), row.period.start.begins());
        if now >= row.period.end.begins() {
            let hours = app.web.options.data_hours.to_string();
            return Ok(Self {
                said: locale.tr("login.over", [("n", &*hours)]),
                ..say("login.over")
            });
        }
        let rows = queries::doors(&app.db, row.id, now.max(start)).await?;
        let is_prepared = !rows.is_empty() && rows.iter().all(|door| door.is_prepared);
        if now < start {
            let key = if is_prepared {
                "login.ready_at"
            } else {
                "login.not_yet"
            };
            return Ok(Self {
                said: locale.tr(key, [("at", &*locale.minute(start))]),
                ..say(key)
            });
        }
        let doors: Vec<Door> = rows.iter().filter_map(Door::of).collect();
        let key = match (doors.len(), is_prepared) {
            (0, _) if rows.is_empty() => "login.nowhere",
            (0, _) => "login.preparing",
            (_, true) => "login.open",
            _ => "login.open_in_part",
        };
        Ok(Self { doors, ..say(key) })
    }
}

impl Door {
    fn of(row: &DoorRow) -> Option<Self> {
        let (login, port) = (row.login.as_ref()?, row.port?);
        let key = row.host_key.clone().unwrap_or_default();
        let read = PublicKey::from_openssh(&key).ok();
        row.is_prepared.then(|| Self {
            command: format!("ssh -p {port} {login}@{}", row.address),
            fingerprint: read.map_or(key, |key| key.fingerprint(HashAlg::Sha256).to_string()),
        })
    }
}
