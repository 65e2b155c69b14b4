//! The flags of the settings, made from their table.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches};

use super::table::{SETTINGS, Setting};

/// The settings that were given as flags. A command takes them with `#[command(flatten)]`.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// The settings file that was named.
    pub(super) file: Option<PathBuf>,
    /// What was given, by the setting's name.
    pub(super) given: BTreeMap<&'static str, String>,
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = SETTINGS.iter().filter_map(|setting| {
            let value = matches.get_one::<String>(setting.name)?;
            Some((setting.name, value.clone()))
        });
        Ok(Self {
            file: matches.get_one::<PathBuf>("config").cloned(),
            given: given.collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help_heading("Settings")
            .help("The settings file [SLUICE_CONFIG] [default: sluice.toml, if it is there]");
        command.arg(file).args(SETTINGS.iter().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flag(setting: &'static Setting) -> Arg {
    let parser = |text: &str| setting.kind.check(text).map(|()| text.to_owned());
    let default = match setting.default {
        "" => String::new(),
        value => format!(" [default: {value}]"),
    };
    Arg::new(setting.name)
        .long(setting.flag())
        .value_name(setting.kind.placeholder())
        .value_parser(ValueParser::from(parser))
        .help_heading("Settings")
        .help(format!("{} [{}]{default}", setting.doc, setting.variable()))
}
