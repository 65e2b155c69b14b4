//! Rule sets from files: the standard one is part of the program, others are read from TOML.

use std::collections::BTreeMap;
use std::fs;

use market::{Bands, CreditStep, Fees, HandBack, Limits, Mode, Money, Resale, Rules, ServiceLevel};
use serde::{Deserialize, Deserializer, de};

/// The standard rule set, with what each key means.
pub const STANDARD: &str = include_str!("../rules/standard.toml");

/// A rule set that can't be had.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The file can't be read.
    #[error("rules {file} can't be read: {source}")]
    Unreadable {
        /// Its path.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not TOML, lacks a key, has one too many, or one of the wrong type.
    #[error("rules {file}: {source}")]
    Malformed {
        /// Its path.
        file: String,
        /// Which key and why.
        source: Box<toml::de::Error>,
    },
    /// A value is out of its range.
    #[error("rules {file}: {source}")]
    OutOfRange {
        /// Its path.
        file: String,
        /// Which key and why.
        source: market::BadRules,
    },
    /// The version is that of "none".
    #[error("rules {file}: version must be 1 or more; 0 stands for none")]
    Version {
        /// Its path.
        file: String,
    },
}

/// The rule set that `source` names: `none`, the path of a file, or the standard one.
///
/// # Errors
/// When the file can't be read or is not a rule set; says which file, which key and why.
pub fn load(source: Option<&str>) -> Result<Rules, RulesError> {
    match source {
        None => read("standard", STANDARD),
        Some("none") => Ok(Rules::none()),
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|source| RulesError::Unreadable {
                file: path.to_owned(),
                source,
            })?;
            read(path, &text)
        }
    }
}

/// A rule set from JSON with the keys of a file. Whether it can hold is for the market to say.
///
/// # Errors
/// Which key is missing, unknown or of a wrong type.
pub fn from_json(value: serde_json::Value) -> Result<Rules, String> {
    let rules: File = serde_json::from_value(value).map_err(|error| error.to_string())?;
    Ok(rules.into())
}

/// A rule set from the text of a file, which is named in what is wrong with it.
///
/// # Errors
/// When it is not a rule set; says which key and why.
pub fn read(file: &str, text: &str) -> Result<Rules, RulesError> {
    let rules: File = toml::from_str(text).map_err(|source| RulesError::Malformed {
        file: file.to_owned(),
        source: Box::new(source),
    })?;
    if rules.version < 1 {
        return Err(RulesError::Version {
            file: file.to_owned(),
        });
    }
    let rules = Rules::from(rules);
    rules.checked().map_err(|source| RulesError::OutOfRange {
        file: file.to_owned(),
        source,
    })
}

/// A rule set as a file has it: money is a decimal text there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: i64,
    bond_bps: i64,
    claim_window_hours: i64,
    reading_deadline_hours: i64,
    seller_fee: FeesInFile,
    buyer_fee: FeesInFile,
    resale: Resale,
    hand_back: HandBack,
    mode: Mode,
    gate_minutes: i64,
    current_hour: bool,
    bands: BandsInFile,
    limits: LimitsInFile,
    service_levels: BTreeMap<String, LevelInFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BandsInFile {
    width_bps: i64,
    lowest: Decimal,
    highest: Decimal,
    references: BTreeMap<String, Decimal>,
}

/// As in [`Limits`], which may lack what a rule set of old had not.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsInFile {
    asks_per_pool: i64,
    instruments_per_bid: i64,
    flexible_hours: i64,
    position_unit_hours: i64,
}

/// An amount in yuan as a decimal text.
#[derive(Deserialize)]
struct Decimal(#[serde(deserialize_with = "decimal_text")] Money);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LevelInFile {
    availability_bps: i64,
    penalty_bps: i64,
    grace_minutes: i64,
    default_minutes: i64,
    maintenance_bps: i64,
    maintenance_notice_hours: i64,
    credits: Vec<CreditStep>,
}

impl From<LevelInFile> for ServiceLevel {
    fn from(level: LevelInFile) -> Self {
        Self {
            availability_bps: level.availability_bps,
            penalty_bps: level.penalty_bps,
            grace_minutes: level.grace_minutes,
            default_minutes: level.default_minutes,
            maintenance_bps: level.maintenance_bps,
            maintenance_notice_hours: level.maintenance_notice_hours,
            credits: level.credits,
        }
    }
}

impl From<File> for Rules {
    fn from(rules: File) -> Self {
        Self {
            version: rules.version,
            seller_fee: Fees {
                flat: rules.seller_fee.flat,
                maker_bps: rules.seller_fee.maker_bps,
                taker_bps: rules.seller_fee.taker_bps,
            },
            buyer_fee: Fees {
                flat: rules.buyer_fee.flat,
                maker_bps: rules.buyer_fee.maker_bps,
                taker_bps: rules.buyer_fee.taker_bps,
            },
            bond_bps: rules.bond_bps,
            claim_window_hours: rules.claim_window_hours,
            reading_deadline_hours: Some(rules.reading_deadline_hours),
            resale: rules.resale,
            hand_back: rules.hand_back,
            mode: rules.mode,
            gate_minutes: rules.gate_minutes,
            current_hour: rules.current_hour,
            bands: Bands {
                width_bps: rules.bands.width_bps,
                lowest: rules.bands.lowest.0,
                highest: rules.bands.highest.0,
                references: rules
                    .bands
                    .references
                    .into_iter()
                    .map(|(grade, price)| (grade, price.0))
                    .collect(),
            },
            limits: Limits {
                asks_per_pool: rules.limits.asks_per_pool,
                instruments_per_bid: rules.limits.instruments_per_bid,
                flexible_hours: rules.limits.flexible_hours,
                position_unit_hours: rules.limits.position_unit_hours,
            },
            service_levels: rules
                .service_levels
                .into_iter()
                .map(|(name, level)| (name, level.into()))
                .collect(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeesInFile {
    #[serde(deserialize_with = "decimal_text")]
    flat: Money,
    maker_bps: i64,
    taker_bps: i64,
}

fn decimal_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map_err(|error| de::Error::custom(format!("{text:?} is no amount in yuan: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_rules_hold() {
        let rules = load(None).unwrap();
        // The simulator has them again, since it has no files.
        assert_eq!(rules, simulator::rule_sets::RuleSet::Standard.rules());
        assert_eq!(rules.version, 3);
        assert_eq!(rules.seller_fee.maker_bps, 200);
        assert_eq!(rules.bond_bps, 1000);
        // Of 10,000 unit-minutes 9,899 are below 99 % and not below 95 %.
        assert_eq!(rules.credit_bps("SILVER", 9_899, 10_000), 300);
        assert_eq!(rules.credit_bps("SILVER", 9_900, 10_000), 0);
        assert_eq!(rules.credit_bps("SILVER", 0, 10_000), 1000);
    }

    #[test]
    fn a_wrong_file_says_which_key_and_why() {
        for (from, to, said) in [
            ("bond_bps = 1000", "", "bond_bps"),
            ("bond_bps = 1000", "bond_bps = 1000\nband = 1", "band"),
            (
                "bond_bps = 1000",
                "bond_bps = 10001",
                "bond_bps must be between",
            ),
            (
                "maker_bps = 200",
                "maker_bps = -1",
                "seller_fee.maker_bps must be",
            ),
            ("maker_bps = 200", "maker_bps = \"200\"", "maker_bps"),
            (
                "\"0.0000\"",
                "\"-0.0001\"",
                "seller_fee.flat must not be negative",
            ),
            ("\"0.0000\"", "\"0.00001\"", "more than four decimals"),
            ("flat = \"0.0000\"", "flat = 0.5", "flat"),
            (
                "gate_minutes = 15",
                "gate_minutes = -1",
                "gate_minutes must not be negative",
            ),
            ("position_unit_hours = 0", "", "position_unit_hours"),
            ("default_minutes = 60", "", "default_minutes"),
            (
                "grace_minutes = 15",
                "grace_minutes = -1",
                "grace_minutes must not be negative",
            ),
            (
                "maintenance_bps = 50",
                "maintenance_bps = 10001",
                "service_levels.SILVER.maintenance_bps",
            ),
            ("mode = \"continuous\"", "mode = \"auction\"", "auction"),
            (
                "line_hours = 24",
                "line_hours = 73",
                "reading_deadline_hours",
            ),
            (
                "line_hours = 24",
                "line_hours = -1",
                "reading_deadline_hours",
            ),
            ("version = 3", "version = 0", "version must be 1 or more"),
            (
                "credit_bps = 1000",
                "credit_bps = 10001",
                "service_levels.GOLD.credit_bps",
            ),
        ] {
            let text = STANDARD.replace(from, to);
            assert_ne!(text, STANDARD, "{from} stands in the standard rules");
            let error = read("mine.toml", &text).unwrap_err().to_string();
            assert!(error.starts_with("rules mine.toml: "), "{error}");
            assert!(error.contains(said), "{said:?} in {error}");
        }
        let error = load(Some("/there/is/none.toml")).unwrap_err().to_string();
        assert!(
            error.contains("/there/is/none.toml can't be read"),
            "{error}"
        );
    }
}
