//! Which value of each setting holds, and where it came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::ConfigError;
use super::flags::Flags;
use super::kind::ten_thousandths;
use super::table::{SETTINGS, Setting};
use crate::db::without_secrets;

/// Where a value came from; what stands first wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A flag of the command line.
    Flag(String),
    /// A variable of the environment.
    Environment(String),
    /// The settings file.
    File(PathBuf),
    /// The table of settings.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "flag --{name}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Default => write!(f, "default"),
        }
    }
}

/// The value in force of every setting, with its source.
#[derive(Debug)]
pub struct InForce(BTreeMap<&'static str, (String, Source)>);

impl InForce {
    /// Gathers the values. `DATABASE_URL` counts as the environment's word for `database_url`
    /// after our own; an empty variable counts as unset.
    ///
    /// # Errors
    /// The settings file can't be read or has a key that is no setting.
    pub fn gather(flags: &Flags) -> Result<Self, ConfigError> {
        let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let named = flags
            .file
            .clone()
            .or_else(|| environment("SLUICE_CONFIG").map(PathBuf::from));
        let path = named.clone().unwrap_or_else(|| "sluice.toml".into());
        let file = match std::fs::read_to_string(&path) {
            Ok(text) => read_file(&path, &text)?,
            Err(e) if named.is_none() && e.kind() == std::io::ErrorKind::NotFound => {
                BTreeMap::new()
            }
            Err(e) => {
                let why = e.to_string();
                return Err(ConfigError::File { path, why });
            }
        };
        let choose = |setting: &'static Setting| {
            if let Some(value) = flags.given.get(setting.name) {
                return (value.clone(), Source::Flag(setting.flag()));
            }
            let mut variables = vec![setting.variable()];
            if setting.name == "database_url" {
                variables.push("DATABASE_URL".to_owned());
            }
            for variable in variables {
                if let Some(value) = environment(&variable) {
                    return (value, Source::Environment(variable));
                }
            }
            match file.get(setting.name) {
                Some(value) => (value.clone(), Source::File(path.clone())),
                None => (setting.default.to_owned(), Source::Default),
            }
        };
        let chosen = SETTINGS
            .iter()
            .map(|setting| (setting.name, choose(setting)));
        Ok(Self(chosen.collect()))
    }

    /// Every setting with its value, fit to be shown, and its source.
    pub fn shown(&self) -> impl Iterator<Item = (&'static Setting, String, &Source)> {
        SETTINGS.iter().filter_map(|setting| {
            let (value, source) = self.0.get(setting.name)?;
            let value = if setting.kind.is_secret() {
                without_secrets(value)
            } else {
                value.clone()
            };
            Some((setting, value, source))
        })
    }

    /// The value as text; empty when there is none.
    pub(super) fn text(&self, name: &'static str) -> &str {
        self.0.get(name).map_or("", |(value, _)| value)
    }

    /// The value, unless it is empty.
    pub(super) fn optional(&self, name: &'static str) -> Option<String> {
        Some(self.text(name).to_owned()).filter(|value| !value.is_empty())
    }

    /// The value, read.
    pub(super) fn parse<T: FromStr>(&self, name: &'static str) -> Result<T, ConfigError>
    where
        T::Err: fmt::Display,
    {
        self.text(name)
            .parse()
            .map_err(|e: T::Err| self.wrong(name, e.to_string()))
    }

    /// The value in ten-thousandths.
    pub(super) fn rate(&self, name: &'static str) -> Result<i64, ConfigError> {
        ten_thousandths(self.text(name)).map_err(|why| self.wrong(name, why))
    }

    /// Checks every value that is there against its kind.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for setting in SETTINGS {
            let value = self.text(setting.name);
            if !value.is_empty() || !setting.default.is_empty() {
                let checked = setting.kind.check(value);
                checked.map_err(|why| self.wrong(setting.name, why))?;
            }
        }
        Ok(())
    }

    fn wrong(&self, name: &'static str, why: String) -> ConfigError {
        let source = self.0.get(name).map(|(_, source)| source.to_string());
        ConfigError::Value {
            name,
            source_name: source.unwrap_or_default(),
            why,
        }
    }

    /// Defaults but for these, as if they had been flags.
    #[cfg(test)]
    pub(super) fn of_flags(values: &[(&str, &str)]) -> Self {
        let choose = |setting: &'static Setting| {
            let given = values.iter().find(|(name, _)| *name == setting.name);
            match given {
                Some((_, value)) => ((*value).to_owned(), Source::Flag(setting.flag())),
                None => (setting.default.to_owned(), Source::Default),
            }
        };
        let chosen = SETTINGS
            .iter()
            .map(|setting| (setting.name, choose(setting)));
        Self(chosen.collect())
    }
}

/// Reads the file's keys; a value may be written as text, number or truth.
fn read_file(path: &Path, text: &str) -> Result<BTreeMap<String, String>, ConfigError> {
    let table: toml::Table = text
        .parse()
        .map_err(|e: toml::de::Error| ConfigError::File {
            path: path.to_owned(),
            why: e.message().to_owned(),
        })?;
    let mut values = BTreeMap::new();
    for (key, value) in table {
        if !SETTINGS.iter().any(|setting| setting.name == key) {
            let path = path.to_owned();
            return Err(ConfigError::UnknownKey { path, key });
        }
        let value = match value {
            toml::Value::String(text) => text,
            other => other.to_string(),
        };
        values.insert(key, value);
    }
    Ok(values)
}
