//! One line in: what is asked, as it was written, with names and not yet numbers.

use market::{Access, Delivered, Money, Rules, Timestamp};

use crate::protocol::{Fields, Flaw, OrderLine, ReplaceLine};

/// What a line asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// When.
    pub(super) at: Timestamp,
    /// What.
    pub(super) verb: Verb,
}

/// The verbs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Instrument {
        symbol: String,
        lot: i64,
        tick: Money,
    },
    Deposit {
        org: String,
        amount: Money,
    },
    Pool {
        pool: String,
        org: String,
        symbol: String,
        units: i64,
        start: Timestamp,
        end: Timestamp,
        access: Access,
    },
    Order {
        org: String,
        order: Box<OrderLine>,
    },
    Cancel {
        id: String,
        org: Option<String>,
    },
    CancelAll {
        org: String,
        symbol: Option<String>,
    },
    Replace {
        org: Option<String>,
        change: ReplaceLine,
    },
    Deliver(HourLine),
    Correct(HourLine),
    Dispute {
        org: String,
        lease: String,
        amount: Money,
    },
    Ruling {
        dispute: String,
        award: Money,
    },
    HandBack {
        org: String,
        lease: String,
        start: Timestamp,
        end: Timestamp,
    },
    Default {
        lease: String,
    },
    Rules {
        rules: Box<Rules>,
        from: Timestamp,
    },
    Halt {
        symbol: String,
        until: Timestamp,
    },
    Related {
        orgs: Vec<String>,
    },
    Balance {
        org: String,
    },
    Book {
        symbol: String,
        start: Timestamp,
        end: Timestamp,
    },
    Tick,
    /// A verb that is not built yet, and what it names where that can be told.
    Later {
        id: Option<String>,
    },
}

/// What an hour of a lease got.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HourLine {
    pub(super) lease: String,
    pub(super) hour: Timestamp,
    pub(super) delivered: Delivered,
    pub(super) excused: i64,
}

impl HourLine {
    fn read(fields: &mut Fields) -> Result<Self, Flaw> {
        Ok(Self {
            lease: fields.text("lease")?,
            hour: fields.instant("hour")?,
            delivered: delivered(fields)?,
            excused: fields.whole_or_none("excused")?.unwrap_or(0),
        })
    }
}

/// Verbs that later versions will know.
const LATER: [&str; 1] = ["withdraw"];

/// Reads one line.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(text: &str) -> Result<Line, Flaw> {
    let mut fields = Fields::read(text)?;
    let at = fields.instant("at")?;
    let verb = match fields.text("do")?.as_str() {
        "instrument" => Verb::Instrument {
            symbol: fields.text("symbol")?,
            lot: fields.whole("lot")?,
            tick: fields.money("tick")?,
        },
        "deposit" => Verb::Deposit {
            org: fields.text("org")?,
            amount: fields.money("amount")?,
        },
        "pool" => Verb::Pool {
            pool: fields.text("pool")?,
            org: fields.text("org")?,
            symbol: fields.text("symbol")?,
            units: fields.whole("units")?,
            start: fields.instant("start")?,
            end: fields.instant("end")?,
            access: access(&mut fields)?,
        },
        "order" => Verb::Order {
            org: fields.text("org")?,
            order: Box::new(OrderLine::read(&mut fields)?),
        },
        "cancel" => Verb::Cancel {
            id: fields.text("id")?,
            org: fields.text_or_none("org")?,
        },
        "cancel_all" => Verb::CancelAll {
            org: fields.text("org")?,
            symbol: fields.text_or_none("symbol")?,
        },
        "replace" => Verb::Replace {
            org: fields.text_or_none("org")?,
            change: ReplaceLine::read(&mut fields)?,
        },
        "deliver" => Verb::Deliver(HourLine::read(&mut fields)?),
        "correct" => Verb::Correct(HourLine::read(&mut fields)?),
        "dispute" => Verb::Dispute {
            org: fields.text("org")?,
            lease: fields.text("lease")?,
            amount: fields.money("amount")?,
        },
        "ruling" => Verb::Ruling {
            dispute: fields.text("dispute")?,
            award: fields.money("award")?,
        },
        "hand_back" => Verb::HandBack {
            org: fields.text("org")?,
            lease: fields.text("lease")?,
            start: fields.instant("start")?,
            end: fields.instant("end")?,
        },
        "default" => Verb::Default {
            lease: fields.text("lease")?,
        },
        "rules" => Verb::Rules {
            rules: Box::new(fields.rules("rules")?),
            from: fields.instant("from")?,
        },
        "halt" => halt(&mut fields, at)?,
        "related" => Verb::Related {
            orgs: fields.texts("orgs")?,
        },
        "balance" => Verb::Balance {
            org: fields.text("org")?,
        },
        "book" => Verb::Book {
            symbol: fields.text("symbol")?,
            start: fields.instant("start")?,
            end: fields.instant("end")?,
        },
        "tick" => Verb::Tick,
        verb if LATER.contains(&verb) => later(&mut fields),
        verb => return Err(Flaw::syntax(format!("unknown verb {verb:?}"))),
    };
    fields.end()?;
    Ok(Line { at, verb })
}

/// How soon a pool's units can be used; at once where nothing is said.
fn access(fields: &mut Fields) -> Result<Access, Flaw> {
    let Some(said) = fields.text_or_none("access")? else {
        return Ok(Access::Instant);
    };
    Access::from_code(&said).ok_or_else(|| {
        let wrong = format!("must be instant or prepared, not {said:?}");
        Flaw::of("bad_value", "access", wrong)
    })
}

/// A halt for so many minutes.
fn halt(fields: &mut Fields, at: Timestamp) -> Result<Verb, Flaw> {
    let micros = fields.whole("minutes")?.saturating_mul(60_000_000);
    Ok(Verb::Halt {
        symbol: fields.text("symbol")?,
        until: Timestamp(at.0.saturating_add(micros)),
    })
}

fn delivered(fields: &mut Fields) -> Result<Delivered, Flaw> {
    let minutes = fields.whole_or_none("minutes")?;
    let unit_minutes = fields.whole_or_none("unit_minutes")?;
    match (minutes, unit_minutes) {
        (Some(minutes), None) => Ok(Delivered::Minutes(minutes)),
        (None, Some(unit_minutes)) => Ok(Delivered::UnitMinutes(unit_minutes)),
        _ => Err(Flaw::together(
            "a delivery has either \"minutes\" or \"unit_minutes\"",
        )),
    }
}

fn later(fields: &mut Fields) -> Verb {
    let names = ["lease", "pool", "symbol", "id", "org"];
    let id = names
        .into_iter()
        .find_map(|name| fields.text_or_none(name).ok().flatten());
    fields.ignore_rest();
    Verb::Later { id }
}
