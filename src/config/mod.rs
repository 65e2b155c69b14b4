//! The settings: from flags, then the environment, then `sluice.toml`, then the defaults.
//!
//! Each is named once, in [`table::SETTINGS`]; the flag, the environment variable, the key of the
//! file, `--help` and `sluice config` all come from there.

mod flags;
mod in_force;
mod kind;
mod table;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use flags::Flags;
pub use in_force::{InForce, Source};
pub use kind::Kind;
pub use table::{SETTINGS, Setting};

/// A setting that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The settings file can't be read.
    #[error("the settings file {path} can't be read: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system or the TOML reader said, in one line.
        why: String,
    },
    /// The settings file has a key that is no setting.
    #[error("the settings file {path} has `{key}`, which is not a setting (see sluice config)")]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
    /// A value of the wrong form.
    #[error("the setting {name} (from {source_name}) is wrong: {why}")]
    Value {
        /// The setting's name.
        name: &'static str,
        /// Where the value came from.
        source_name: String,
        /// What it should be.
        why: String,
    },
    /// Open to the network without TLS.
    #[error(
        "{0} is open to the network, where passwords need TLS: \
         set public_url to the https address of the proxy in front, or listen on 127.0.0.1"
    )]
    OpenWithoutTls(SocketAddr),
}

/// The settings in force, read and checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the pages are served.
    pub listen: SocketAddr,
    /// The address people use, when a proxy stands in front; no slash at its end.
    pub public_url: Option<String>,
    /// The database; none means the private one below [`Settings::data_dir`].
    pub database_url: Option<String>,
    /// The folder of the private database.
    pub data_dir: PathBuf,
    /// Market seconds per real second.
    pub clock_speed: u32,
    /// How many hours a holder's files stay after a lease's end.
    pub data_hours: u32,
    /// Yuan for one dollar, in ten-thousandths.
    pub usd_cny: i64,
    /// The market's rules; none means the documented defaults.
    pub rules: Option<PathBuf>,
    /// Whether log lines are JSON.
    pub log_json: bool,
    /// Which log lines are kept, as tracing's filter reads it.
    pub log_level: String,
    /// Open connections in all.
    pub max_connections: usize,
    /// Open connections from one address.
    pub max_connections_per_address: usize,
    /// How long a request's head may take to arrive.
    pub header_timeout: Duration,
    /// How long a request's body may take to arrive.
    pub body_timeout: Duration,
    /// Passwords that are hashed at the same time.
    pub argon2_permits: usize,
    /// Sign-ins that wait for a permit before others are sent away.
    pub argon2_queue: usize,
    /// Commands that wait for the sequencer before others are sent away.
    pub queue_length: usize,
    /// The most commands in one transaction.
    pub batch_max: usize,
}

impl Settings {
    /// Reads what is in force.
    ///
    /// # Errors
    /// The file can't be read, a value has the wrong form, or two of them don't go together.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        Self::read(&InForce::gather(flags)?)
    }

    /// Reads settings that have been gathered.
    ///
    /// # Errors
    /// A value has the wrong form, or two of them don't go together.
    pub fn read(from: &InForce) -> Result<Self, ConfigError> {
        from.check()?;
        let settings = Self {
            listen: from.parse("listen")?,
            public_url: from
                .optional("public_url")
                .map(|url| url.trim_end_matches('/').to_owned()),
            database_url: from.optional("database_url"),
            data_dir: from.text("data_dir").into(),
            clock_speed: from.parse("clock_speed")?,
            data_hours: from.parse("data_hours")?,
            usd_cny: from.rate("usd_cny")?,
            rules: from.optional("rules").map(PathBuf::from),
            log_json: from.text("log_format") == "json",
            log_level: from.text("log_level").to_owned(),
            max_connections: from.parse("max_connections")?,
            max_connections_per_address: from.parse("max_connections_per_address")?,
            header_timeout: Duration::from_secs(from.parse("header_timeout")?),
            body_timeout: Duration::from_secs(from.parse("body_timeout")?),
            argon2_permits: from.parse("argon2_permits")?,
            argon2_queue: from.parse("argon2_queue")?,
            queue_length: from.parse("queue_length")?,
            batch_max: from.parse("batch_max")?,
        };
        settings.require_tls_in_the_open()?;
        Ok(settings)
    }

    fn require_tls_in_the_open(&self) -> Result<(), ConfigError> {
        let ip = match self.listen.ip() {
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4),
            v4 => v4,
        };
        let has_tls = self
            .public_url
            .as_deref()
            .is_some_and(|u| u.starts_with("https://"));
        if ip.is_loopback() || has_tls {
            return Ok(());
        }
        Err(ConfigError::OpenWithoutTls(self.listen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(values: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        Settings::read(&InForce::of_flags(values))
    }

    #[test]
    fn the_defaults_can_be_read() {
        let settings = with(&[]).expect("they are valid");
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.usd_cny, 71_000);
        assert_eq!(settings.database_url, None);
        assert_eq!(settings.header_timeout, Duration::from_secs(10));
    }

    #[test]
    fn an_open_address_needs_a_proxy_with_tls() {
        for open in [
            "0.0.0.0:80",
            "[::]:80",
            "192.168.1.9:8080",
            "[::ffff:10.0.0.1]:80",
        ] {
            let refused = with(&[("listen", open)])
                .expect_err("it is open")
                .to_string();
            assert!(refused.contains("passwords need TLS"), "{refused}");
            let plain = with(&[("listen", open), ("public_url", "http://example.org")]);
            assert!(plain.is_err());
            let behind = [("listen", open), ("public_url", "https://example.org/")];
            let settings = with(&behind).expect("TLS stands in front");
            assert_eq!(settings.public_url.as_deref(), Some("https://example.org"));
        }
        for closed in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:80"] {
            with(&[("listen", closed)]).expect("it is closed to the network");
        }
    }

    #[test]
    fn a_wrong_value_says_where_it_came_from() {
        for (name, value) in [
            ("listen", "here"),
            ("clock_speed", "0"),
            ("clock_speed", "1.5"),
            ("usd_cny", "7.12345"),
            ("usd_cny", "0"),
            ("usd_cny", "-7"),
            ("log_format", "xml"),
            ("log_level", "sluice=loud"),
            ("public_url", "example.org"),
            ("max_connections", "none"),
        ] {
            let error = with(&[(name, value)]).expect_err("it is wrong").to_string();
            let begins = format!("the setting {name} (from flag --{}", name.replace('_', "-"));
            assert!(error.starts_with(&begins), "{error}");
        }
    }
}
