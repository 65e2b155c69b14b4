//! What is typed: a halt, a relation, a default, each with its coded reason.

use market::{HOUR_MINUTES, Hour, Market, Money, Timestamp};
use serde::Deserialize;

use super::fragments::Reckoning;
use super::store::What;
use crate::web::decision::{Decision, OTHER, Reasoned};
use crate::web::form::{plain, whole};
use crate::web::{FieldErrors, Locale};

/// Why an instrument is halted. The code is kept; words are the catalogue's.
pub(super) const HALTS: [&str; 5] = [
    "abnormal_price",
    "incident",
    "investigation",
    "authority_order",
    OTHER,
];

/// Why participants are taken to be related.
pub(super) const RELATIONS: [&str; 5] = ["declared", "ownership", "control", "conduct", OTHER];

/// The longest halt, in minutes: a week. It can be prolonged.
pub(super) const LONGEST: i64 = 7 * 24 * HOUR_MINUTES;

/// A minute, in microseconds.
const MINUTE: i64 = 60_000_000;

/// A halt as it was typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Halt {
    pub(super) symbol: String,
    pub(super) minutes: String,
    pub(super) reason: String,
    pub(super) note: String,
    pub(super) form_id: String,
}

fn decision(reason: &str, note: &str) -> Decision {
    Decision {
        reason: reason.to_owned(),
        note: note.to_owned(),
    }
}

impl Halt {
    /// The halt that is meant, or what is wrong with it. One that holds can only be prolonged:
    /// whoever relies on it must not find it lifted.
    pub(super) fn read(
        &self,
        locale: Locale,
        market: &Market,
        now: Timestamp,
    ) -> Result<(What, Reasoned), FieldErrors> {
        let mut errors = FieldErrors::default();
        let symbol = plain(&self.symbol).to_uppercase();
        let mut instruments = market.instruments();
        let listed = instruments.find(|one| one.listed.symbol == symbol);
        if listed.is_none() {
            errors.add("symbol", locale.t("control.bad.symbol"));
        }
        let minutes = whole(&self.minutes).filter(|minutes| (1..=LONGEST).contains(minutes));
        let until = minutes.map(|minutes| Timestamp(now.0.saturating_add(minutes * MINUTE)));
        if until.is_none() {
            let most = [("n", LONGEST.to_string())];
            errors.add("minutes", locale.tr("control.bad.minutes", most));
        }
        let holds = listed.and_then(|one| market.halted_until(one.listed.instrument));
        if let (Some(until), Some(holds)) = (until, holds.filter(|holds| *holds > now))
            && until <= holds
        {
            let least = (holds.0 - now.0).div_euclid(MINUTE) + 1;
            let words = [("until", locale.minute(holds)), ("n", least.to_string())];
            errors.add("minutes", locale.tr("control.bad.shorter", words));
        }
        match (
            listed,
            until,
            decision(&self.reason, &self.note).read(locale, &HALTS),
        ) {
            (Some(one), Some(until), Ok(why)) if errors.is_empty() => {
                let instrument = one.listed.instrument;
                let what = What::Halt {
                    instrument,
                    symbol,
                    until,
                };
                Ok((what, why))
            }
            (_, _, read) => {
                errors.extend(read.err().unwrap_or_default());
                Err(errors)
            }
        }
    }
}

/// A relation as it was typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Relation {
    pub(super) one: String,
    pub(super) other: String,
    pub(super) reason: String,
    pub(super) note: String,
    pub(super) form_id: String,
}

impl Relation {
    /// Its reason and evidence, or what is wrong with them.
    pub(super) fn why(&self, locale: Locale) -> Result<(&'static str, String), FieldErrors> {
        decision(&self.reason, &self.note).read_explained(locale, &RELATIONS)
    }
}

/// Which page of a list, and what its form begins with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    pub(super) before: String,
    pub(super) symbol: String,
    pub(super) one: String,
}

impl Asked {
    pub(super) fn before(&self) -> Option<i64> {
        self.before.parse().ok()
    }
}

/// A default as it was typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct DefaultForm {
    pub(super) reason: String,
    pub(super) note: String,
    /// What it would do, as it was shown.
    pub(super) shown: String,
    pub(super) form_id: String,
}

impl DefaultForm {
    /// Its reason and text, or what is wrong with them.
    pub(super) fn why(&self, locale: Locale) -> Result<(&'static str, String), FieldErrors> {
        let reasons = &crate::web::failure::REASONS;
        decision(&self.reason, &self.note).read_explained(locale, reasons)
    }

    /// Whether what was shown is what would be done now.
    pub(super) fn shows(&self, reckoning: &Reckoning) -> bool {
        self.shown == shown(reckoning)
    }
}

/// What a default would do, as a form sends it back: the first hour that is lacking, and what is
/// refunded, paid for what is dearer, and paid as penalty.
pub(super) fn shown(reckoning: &Reckoning) -> String {
    let Reckoning {
        from: Hour(from),
        refunded: Money(refunded),
        difference: Money(difference),
        penalty: Money(penalty),
        ..
    } = reckoning;
    format!("{from}-{refunded}-{difference}-{penalty}")
}

#[cfg(test)]
mod tests {
    use market::{Command, InstrumentId, ListInstrument, Rules};

    use super::*;

    const INSTRUMENT: InstrumentId = InstrumentId(1);

    fn market() -> Market {
        let mut market = Market::new(Rules::none());
        let listed = ListInstrument {
            instrument: INSTRUMENT,
            symbol: "A100-80GB.GUZ-GAN.SILVER".to_owned(),
            lot: 1,
            tick: Money(100),
        };
        market.apply(Timestamp(0), &Command::ListInstrument(listed));
        market
    }

    fn typed(symbol: &str, minutes: &str) -> Halt {
        Halt {
            symbol: symbol.to_owned(),
            minutes: minutes.to_owned(),
            reason: "incident".to_owned(),
            ..Halt::default()
        }
    }

    #[test]
    fn a_halt_names_an_instrument_and_so_many_minutes() {
        let market = market();
        let read = |symbol: &str, minutes: &str| {
            let halt = typed(symbol, minutes).read(Locale::En, &market, Timestamp(5));
            halt.map(|(what, _)| match what {
                What::Halt { until, .. } => until,
                other => panic!("{other:?} is no halt"),
            })
        };
        let until = Timestamp(30 * MINUTE + 5);
        for symbol in ["A100-80GB.GUZ-GAN.SILVER", " a100-80gb.guz-gan.silver "] {
            assert_eq!(read(symbol, "３０"), Ok(until), "{symbol}");
        }
        let wrong = |symbol, minutes, field: &str| {
            read(symbol, minutes).is_err_and(|errors| errors.get(field).is_some())
        };
        assert!(wrong("A100-80GB.GUZ-GAN.GOLD", "30", "symbol"));
        for minutes in ["0", "-1", "1.5", "10081", ""] {
            assert!(wrong("A100-80GB.GUZ-GAN.SILVER", minutes, "minutes"));
        }
    }

    #[test]
    fn a_halt_that_holds_is_prolonged_and_never_shortened() {
        let mut market = market();
        let halt = Command::Halt {
            instrument: INSTRUMENT,
            until: Timestamp(30 * MINUTE),
        };
        market.apply(Timestamp(0), &halt);
        let read = |minutes: &str, at: i64| {
            let now = Timestamp(at * MINUTE);
            typed("A100-80GB.GUZ-GAN.SILVER", minutes)
                .read(Locale::En, &market, now)
                .is_ok()
        };
        assert!(!read("30", 0), "it would end at the same instant");
        assert!(!read("10", 10), "it would end earlier");
        assert!(read("31", 0));
        // Whoever looks at the end itself, before the market has heard of it.
        assert!(read("1", 30));
    }
}
