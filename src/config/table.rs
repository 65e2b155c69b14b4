//! The one table of settings.

use super::kind::Kind;

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its key in `sluice.toml`; the flag and the environment variable are made from it.
    pub name: &'static str,
    /// What holds when nobody says otherwise; empty means none.
    pub default: &'static str,
    /// The form of its values.
    pub kind: Kind,
    /// What it does, in one line.
    pub doc: &'static str,
}

impl Setting {
    /// Its flag, without the dashes in front.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Its environment variable. The database's goes without our prefix too, see
    /// [`super::InForce::gather`].
    pub fn variable(&self) -> String {
        format!("SLUICE_{}", self.name.to_uppercase())
    }
}

/// Every setting there is.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "listen",
        default: "127.0.0.1:8080",
        kind: Kind::Address,
        doc: "Where the pages are served; port 0 takes a free one",
    },
    Setting {
        name: "public_url",
        default: "",
        kind: Kind::WebAddress,
        doc: "The address that people use, when a proxy with TLS stands in front",
    },
    Setting {
        name: "database_url",
        default: "",
        kind: Kind::Secret,
        doc: "The PostgreSQL to use (also from DATABASE_URL); none: a private one in the data folder",
    },
    Setting {
        name: "data_dir",
        default: "./.sluice",
        kind: Kind::Path,
        doc: "The folder of the private PostgreSQL",
    },
    Setting {
        name: "clock_speed",
        default: "1",
        kind: Kind::Count(1, 1_000_000),
        doc: "Market seconds per real second; 1 in earnest, more to try things out",
    },
    Setting {
        name: "data_hours",
        default: "24",
        kind: Kind::Count(0, 8_760),
        doc: "Market hours for which a holder's files stay on a machine after a lease's end",
    },
    Setting {
        name: "usd_cny",
        default: "7.1",
        kind: Kind::Rate,
        doc: "Yuan for one dollar, where a price list is in dollars; at most four decimals",
    },
    Setting {
        name: "rules",
        default: "",
        kind: Kind::Path,
        doc: "The market's rules (TOML); none: the documented defaults. A version above every one \
              before holds from the next full hour on",
    },
    Setting {
        name: "log_format",
        default: "text",
        kind: Kind::OneOf(&["text", "json"]),
        doc: "The form of log lines",
    },
    Setting {
        name: "log_level",
        default: "info",
        kind: Kind::LogFilter,
        doc: "Which log lines are kept, as in info or sluice=debug,sqlx=warn",
    },
    Setting {
        name: "max_connections",
        default: "1024",
        kind: Kind::Count(1, 100_000),
        doc: "Open connections in all",
    },
    Setting {
        name: "max_connections_per_address",
        default: "128",
        kind: Kind::Count(1, 100_000),
        doc: "Open connections from one address",
    },
    Setting {
        name: "header_timeout",
        default: "10",
        kind: Kind::Count(1, 600),
        doc: "Seconds within which a request's head must arrive",
    },
    Setting {
        name: "body_timeout",
        default: "30",
        kind: Kind::Count(1, 600),
        doc: "Seconds within which a request's body must arrive",
    },
    Setting {
        name: "argon2_permits",
        default: "2",
        kind: Kind::Count(1, 64),
        doc: "Passwords hashed at the same time",
    },
    Setting {
        name: "argon2_queue",
        default: "16",
        kind: Kind::Count(0, 1_000),
        doc: "Sign-ins that wait for their hash before others are sent away",
    },
    Setting {
        name: "queue_length",
        default: "4096",
        kind: Kind::Count(1, 1_000_000),
        doc: "Commands that wait for the sequencer before others are sent away",
    },
    Setting {
        name: "batch_max",
        default: "1000",
        kind: Kind::Count(1, 100_000),
        doc: "The most commands in one transaction",
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_defaults_have_the_form_of_their_kind() {
        let names: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
        assert_eq!(names.len(), SETTINGS.len());
        for setting in SETTINGS {
            if !setting.default.is_empty() {
                let checked = setting.kind.check(setting.default);
                assert_eq!(checked, Ok(()), "{}", setting.name);
            }
        }
    }
}
