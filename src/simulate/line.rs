//! One line in: what is asked, as it was written, with names and not yet numbers.

use market::{Delivered, Flexible, Money, Rules, TimeInForce, Timestamp, Weekly};

use super::fields::Fields;

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
    },
    Order(Box<OrderLine>),
    Cancel {
        id: String,
        org: Option<String>,
    },
    CancelAll {
        org: String,
        symbol: Option<String>,
    },
    Replace {
        id: String,
        org: Option<String>,
        units: Option<i64>,
        price: Option<Money>,
    },
    Deliver {
        lease: String,
        hour: Timestamp,
        delivered: Delivered,
    },
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

/// An order's terms.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OrderLine {
    pub(super) id: String,
    pub(super) org: String,
    pub(super) side: SideLine,
    pub(super) units: i64,
    pub(super) price: Money,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) tif: TimeInForce,
    pub(super) post_only: bool,
}

/// What only one side has.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SideLine {
    Buy {
        target: TargetLine,
        min_fill: Option<i64>,
        flexible: Option<Flexible>,
        buy_in: bool,
    },
    Sell {
        pool: String,
        min_hours: i64,
        weekly: Option<Weekly>,
    },
    Resell {
        lease: String,
        min_hours: i64,
        weekly: Option<Weekly>,
    },
}

/// What a bid can be filled from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TargetLine {
    Symbols(Vec<String>),
    Pool(String),
}

/// Verbs that later versions will know.
const LATER: [&str; 1] = ["withdraw"];

/// Reads one line.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn read(text: &str) -> Result<Line, String> {
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
        },
        "order" => Verb::Order(Box::new(order(&mut fields)?)),
        "cancel" => Verb::Cancel {
            id: fields.text("id")?,
            org: fields.text_or_none("org")?,
        },
        "cancel_all" => Verb::CancelAll {
            org: fields.text("org")?,
            symbol: fields.text_or_none("symbol")?,
        },
        "replace" => replace(&mut fields)?,
        "deliver" => Verb::Deliver {
            lease: fields.text("lease")?,
            hour: fields.instant("hour")?,
            delivered: delivered(&mut fields)?,
        },
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
        verb => return Err(format!("unknown verb {verb:?}")),
    };
    fields.end()?;
    Ok(Line { at, verb })
}

fn order(fields: &mut Fields) -> Result<OrderLine, String> {
    let (id, org) = (fields.text("id")?, fields.text("org")?);
    let side = fields.text("side")?;
    let side = match side.as_str() {
        "buy" => buy(fields)?,
        "sell" => sell(fields)?,
        side => {
            return Err(format!("field \"side\" must be buy or sell, not {side:?}"));
        }
    };
    Ok(OrderLine {
        id,
        org,
        side,
        units: fields.whole("units")?,
        price: fields.money("price")?,
        start: fields.instant("start")?,
        end: fields.instant("end")?,
        tif: time_in_force(fields)?,
        post_only: fields.flag("post_only")?,
    })
}

fn buy(fields: &mut Fields) -> Result<SideLine, String> {
    let symbols = fields.texts_or_none("symbols")?;
    let pool = fields.text_or_none("pool")?;
    let target = match (symbols, pool) {
        (Some(symbols), None) => TargetLine::Symbols(symbols),
        (None, Some(pool)) => TargetLine::Pool(pool),
        _ => return Err("a bid names either \"symbols\" or \"pool\"".to_owned()),
    };
    let min_fill = fields.whole_or_none("min_fill")?;
    let duration = fields.whole_or_none("duration")?;
    let min_run = fields.whole_or_none("min_run")?.unwrap_or(1);
    let splittable = fields.flag("splittable")?;
    let is_flexible = duration.is_some() || min_run != 1 || splittable;
    // Runs of nothing in particular are for the market to refuse.
    let flexible = is_flexible.then(|| Flexible {
        duration: duration.unwrap_or(0),
        splittable,
        min_run,
    });
    Ok(SideLine::Buy {
        target,
        min_fill,
        flexible,
        buy_in: fields.flag("buy_in")?,
    })
}

fn sell(fields: &mut Fields) -> Result<SideLine, String> {
    let pool = fields.text_or_none("pool")?;
    let lease = fields.text_or_none("lease")?;
    let min_hours = fields.whole_or_none("min_hours")?.unwrap_or(1);
    let weekly = fields
        .text_or_none("weekly")?
        .map(Weekly::try_from)
        .transpose()
        .map_err(|error| format!("field \"weekly\": {error}"))?;
    match (pool, lease) {
        (Some(pool), None) => Ok(SideLine::Sell {
            pool,
            min_hours,
            weekly,
        }),
        (None, Some(lease)) => Ok(SideLine::Resell {
            lease,
            min_hours,
            weekly,
        }),
        _ => Err("an ask names either \"pool\" or \"lease\"".to_owned()),
    }
}

fn time_in_force(fields: &mut Fields) -> Result<TimeInForce, String> {
    let tif = fields.text_or_none("tif")?;
    let until = fields.instant_or_none("until")?;
    match (tif.as_deref().unwrap_or("GTC"), until) {
        ("GTD", Some(until)) => Ok(TimeInForce::Gtd { until }),
        ("GTD", None) => Err("\"tif\" GTD needs \"until\"".to_owned()),
        ("GTC" | "IOC" | "FOK", Some(_)) => Err("only \"tif\" GTD has \"until\"".to_owned()),
        ("GTC", None) => Ok(TimeInForce::Gtc),
        ("IOC", None) => Ok(TimeInForce::Ioc),
        ("FOK", None) => Ok(TimeInForce::Fok),
        (tif, _) => Err(format!(
            "field \"tif\" must be GTC, GTD, IOC or FOK, not {tif:?}"
        )),
    }
}

fn replace(fields: &mut Fields) -> Result<Verb, String> {
    let id = fields.text("id")?;
    let org = fields.text_or_none("org")?;
    let units = fields.whole_or_none("units")?;
    let price = fields.money_or_none("price")?;
    if units.is_none() && price.is_none() {
        return Err("a replacement names \"units\", \"price\" or both".to_owned());
    }
    Ok(Verb::Replace {
        id,
        org,
        units,
        price,
    })
}

/// A halt for so many minutes.
fn halt(fields: &mut Fields, at: Timestamp) -> Result<Verb, String> {
    let micros = fields.whole("minutes")?.saturating_mul(60_000_000);
    Ok(Verb::Halt {
        symbol: fields.text("symbol")?,
        until: Timestamp(at.0.saturating_add(micros)),
    })
}

fn delivered(fields: &mut Fields) -> Result<Delivered, String> {
    let minutes = fields.whole_or_none("minutes")?;
    let unit_minutes = fields.whole_or_none("unit_minutes")?;
    match (minutes, unit_minutes) {
        (Some(minutes), None) => Ok(Delivered::Minutes(minutes)),
        (None, Some(unit_minutes)) => Ok(Delivered::UnitMinutes(unit_minutes)),
        _ => Err("a delivery has either \"minutes\" or \"unit_minutes\"".to_owned()),
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
