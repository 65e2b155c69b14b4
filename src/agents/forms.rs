//! What is typed to register a machine, to end its agent, and to declare maintenance.

use std::net::IpAddr;

use market::{Hour, Period, Pool, Timestamp};
use serde::Deserialize;

use crate::delivery::agents::TOKEN_PREFIX;
use crate::names;
use crate::web::ends::Ends;
use crate::web::form::whole;
use crate::web::{Error, FieldErrors, Locale, session};

/// The longest stretch of maintenance, in hours: what takes longer is no maintenance.
const LONGEST_HOURS: i64 = 7 * 24;

/// Why an agent is ended. The code is kept; words are the catalogue's.
pub(super) const REASONS: [&str; 3] = ["key_stolen", "machine_gone", "reinstalled"];

/// A machine as it was typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NewMachine {
    pub(super) name: String,
    pub(super) units: String,
    pub(super) address: String,
}

/// A machine that can be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) name: String,
    pub(super) units: i64,
    pub(super) address: String,
}

/// How many units the machines of a pool may have together: twice what the pool has, so that each
/// may have one that stands by. More is a typing error.
pub(super) fn most_units(pool: &Pool) -> i64 {
    pool.units.saturating_mul(2)
}

impl NewMachine {
    /// The machine, or what is wrong with it. Leases are of whole lots, so a machine is too.
    pub(super) fn read(&self, locale: Locale, lot: i64, most: i64) -> Result<Machine, FieldErrors> {
        let mut errors = FieldErrors::default();
        let name = self.name.trim();
        if !(1..=60).contains(&name.chars().count()) || !names::is_visible(name) {
            errors.add("name", locale.t("machine.bad.name"));
        }
        let units = whole(&self.units).filter(|units| (1..=most).contains(units));
        match units {
            None => {
                let most = most.to_string();
                errors.add("units", locale.tr("machine.bad.units", [("n", &most)]));
            }
            Some(units) if units % lot.max(1) != 0 => {
                let lot = lot.to_string();
                errors.add("units", locale.tr("pools.bad.lot", [("n", &lot)]));
            }
            Some(_) => {}
        }
        let address = self.address.trim();
        if !is_address(address) {
            errors.add("address", locale.t("machine.bad.address"));
        }
        match units {
            Some(units) if errors.is_empty() => Ok(Machine {
                name: name.to_owned(),
                units,
                address: address.to_owned(),
            }),
            _ => Err(errors),
        }
    }
}

/// Whether it is the name or the address of a machine, without a port.
fn is_address(typed: &str) -> bool {
    let is_label = |label: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(is_plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_name = || {
        let last = typed.rsplit('.').next().unwrap_or_default();
        // Four numbers that are no address are no name either.
        let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
        typed.len() <= 253 && !is_number && typed.split('.').all(is_label)
    };
    typed.parse::<IpAddr>().is_ok() || is_name()
}

/// The token that a form has brought along, so that sent twice it is one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NewToken {
    token: String,
}

impl NewToken {
    /// The token, if it is like one of ours.
    pub(super) fn token(&self) -> Option<&str> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let secret = self.token.strip_prefix(TOKEN_PREFIX)?;
        (secret.len() == 43 && secret.bytes().all(is_plain)).then_some(&self.token)
    }
}

/// A new token, as it is shown once.
pub(super) fn secret() -> Result<String, Error> {
    Ok(format!("{TOKEN_PREFIX}{}", session::secret()?))
}

/// Which agent is to be ended, and why.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Revoke {
    /// The one that was there when the form was drawn: another one that came since is not meant.
    pub(super) agent: String,
    pub(super) reason: String,
}

impl Revoke {
    /// Why, or what is wrong with that.
    pub(super) fn read(&self, locale: Locale) -> Result<&'static str, FieldErrors> {
        let mut reasons = REASONS.into_iter();
        reasons.find(|one| *one == self.reason).ok_or_else(|| {
            let mut errors = FieldErrors::default();
            errors.add("reason", locale.t("desk.bad.reason"));
            errors
        })
    }
}

/// Maintenance as it was typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NewMaintenance {
    pub(super) from_day: String,
    pub(super) from_hour: String,
    pub(super) to_day: String,
    pub(super) to_hour: String,
    pub(super) note: String,
    pub(super) form_id: String,
}

/// Maintenance that can be declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Maintenance {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) note: String,
}

impl NewMaintenance {
    /// The maintenance, or what is wrong with it: hours that are over are not declared any more.
    pub(super) fn read(
        &self,
        locale: Locale,
        pool: Period,
        now: Timestamp,
    ) -> Result<Maintenance, FieldErrors> {
        let mut errors = FieldErrors::default();
        let ends = Ends {
            from_day: &self.from_day,
            from_hour: &self.from_hour,
            to_day: &self.to_day,
            to_hour: &self.to_hour,
        };
        let picked = ends.read(locale, &mut errors);
        if let Some((start, end)) = picked {
            let hours = end.hour().0.saturating_sub(start.hour().0);
            if start < now.hour().begins() {
                errors.add("from_day", locale.t("maintenance.bad.past"));
            }
            if hours > LONGEST_HOURS {
                let most = LONGEST_HOURS.to_string();
                errors.add("to_day", locale.tr("maintenance.bad.long", [("n", &most)]));
            }
            if start < pool.start.begins() || end > pool.end.begins() {
                errors.add("to_day", locale.t("maintenance.bad.outside"));
            }
        }
        let note = self.note.trim();
        if !(1..=200).contains(&note.chars().count()) || !names::is_visible(note) {
            errors.add("note", locale.t("maintenance.bad.note"));
        }
        match picked {
            Some((start, end)) if errors.is_empty() => Ok(Maintenance {
                start,
                end,
                note: note.to_owned(),
            }),
            _ => Err(errors),
        }
    }
}

/// The next whole hours that maintenance declared now would be in time for: a form begins there.
pub(super) fn soonest(now: Timestamp, notice_hours: i64, pool: Period) -> Period {
    let last = pool.end.0.saturating_sub(1);
    let first = (now.hour().0.saturating_add(1)).saturating_add(notice_hours);
    let start = Hour(first.min(last));
    Period {
        start,
        end: Hour(start.0.saturating_add(2).min(pool.end.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_whole_lots_and_an_address_without_a_port() {
        let read = |name: &str, units: &str, address: &str| {
            let typed = NewMachine {
                name: name.to_owned(),
                units: units.to_owned(),
                address: address.to_owned(),
            };
            typed.read(Locale::En, 8, 128)
        };
        let machine = read(" 一号 ", "１６", "gpu-1.example.cn").unwrap();
        assert_eq!((&*machine.name, machine.units), ("一号", 16));
        for address in ["192.0.2.1", "2001:db8::1", "localhost"] {
            assert!(read("a", "8", address).is_ok(), "{address}");
        }
        for (field, typed) in [
            ("name", ("", "8", "a")),
            ("units", ("a", "4", "a")),
            ("units", ("a", "136", "a")),
            ("units", ("a", "0", "a")),
            ("address", ("a", "8", "")),
            ("address", ("a", "8", "a b")),
            ("address", ("a", "8", "a:22")),
            ("address", ("a", "8", "-a.example")),
            ("address", ("a", "8", "-oProxyCommand=x")),
            ("address", ("a", "8", "300.1.1.1")),
            ("address", ("a", "8", "a..b")),
        ] {
            let errors = read(typed.0, typed.1, typed.2).unwrap_err();
            assert!(errors.get(field).is_some(), "{typed:?}");
        }
    }

    #[test]
    fn maintenance_is_ahead_within_the_pool_and_not_for_ever() {
        let hour = |hour: i64| Hour(498_024 + hour);
        let pool = Period {
            start: hour(-100),
            end: hour(1_000),
        };
        let now = hour(10).begins().plus_minutes(30);
        let read = |from: i64, to: i64| {
            let period = Period {
                start: hour(from),
                end: hour(to),
            };
            let [from_day, from_hour, to_day, to_hour] = crate::web::ends::ends_of(period);
            let typed = NewMaintenance {
                from_day,
                from_hour,
                to_day,
                to_hour,
                note: "换电源".to_owned(),
                form_id: String::new(),
            };
            typed.read(Locale::En, pool, now)
        };
        assert_eq!(read(10, 12).unwrap().start, hour(10).begins());
        assert!(read(9, 12).is_err_and(|errors| errors.get("from_day").is_some()));
        assert!(read(20, 20 + 169).is_err_and(|errors| errors.get("to_day").is_some()));
        assert!(read(999, 1_001).is_err_and(|errors| errors.get("to_day").is_some()));
        assert_eq!(soonest(now, 24, pool).start, hour(35));
        assert_eq!(soonest(now, 9_999, pool).end, hour(1_000));
    }
}
