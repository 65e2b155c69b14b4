//! Orders, trades and leases in words, and the chain that they stand in.

use std::collections::BTreeMap;

use market::{HOUR_MINUTES, Hour, Money, Period, Timestamp};

use super::queries::{DisputeRow, EntryRow, FillRow, Hit, OrderRow, SettlementRow, TradeRow};
use crate::web::reference::Reference;
use crate::web::symbol::Symbol;
use crate::web::{Locale, format, say};

/// How many hours of a lease are shown at once.
pub(super) const HOURS: i64 = 168;

/// Something that was found, in words.
pub(super) struct HitView {
    pub(super) kind: &'static str,
    pub(super) number: String,
    pub(super) href: String,
    pub(super) whose: String,
    pub(super) detail: String,
}

impl HitView {
    pub(super) fn new(locale: Locale, hit: &Hit) -> Self {
        let (kind, detail) = match hit.reference {
            Reference::Order(_) => ("find.kind.order", hit.detail.clone()),
            Reference::Trade(_) => ("find.kind.trade", Symbol::new(&hit.detail).title(locale)),
            Reference::Lease(_) => ("find.kind.lease", Symbol::new(&hit.detail).title(locale)),
            Reference::Participant(_) => ("find.kind.participant", hit.detail.clone()),
            Reference::Entry(_) => {
                let words = locale.t(format!("entry.{}", hit.detail));
                ("find.kind.entry", words.into_owned())
            }
            Reference::Dispute(_) => ("find.kind.dispute", hit.detail.clone()),
        };
        Self {
            kind,
            number: hit.reference.to_string(),
            href: hit.reference.href(),
            whose: hit.whose.clone(),
            detail,
        }
    }
}

/// One step from an order to the money: what it is, and where it leads.
pub(super) struct Step {
    pub(super) key: &'static str,
    pub(super) links: Vec<(String, String)>,
    /// What is said in place of links, or after them.
    pub(super) text: String,
    pub(super) is_here: bool,
}

impl Step {
    fn new(key: &'static str, links: Vec<(String, String)>, text: String) -> Self {
        Self {
            key,
            links,
            text,
            is_here: false,
        }
    }
}

fn link(reference: Reference) -> (String, String) {
    (reference.to_string(), reference.href())
}

/// The journal's entries about something.
fn journal(locale: Locale, about: Reference) -> (String, String) {
    let words = locale.t("find.entries_link").into_owned();
    (words, format!("/ops/journal?about={about}"))
}

/// Where an order stands in the chain.
pub(super) fn chain_of_order(locale: Locale, row: &OrderRow) -> Vec<Step> {
    let order = Reference::Order(row.id().0);
    let trades = locale.tr("find.trades_count", [("n", &format::count(row.trades))]);
    vec![
        Step {
            is_here: true,
            ..Step::new("find.kind.order", vec![link(order)], String::new())
        },
        Step::new("find.kind.trade", Vec::new(), trades),
        Step::new(
            "find.kind.entry",
            vec![journal(locale, order)],
            String::new(),
        ),
    ]
}

/// Where a trade stands in the chain, and the lease that it made.
pub(super) fn chain_of_trade(locale: Locale, row: &TradeRow, is_lease: bool) -> Vec<Step> {
    let orders = [row.buy, row.sell].map(|order| link(Reference::Order(order)));
    let step = |key, reference, is_here| Step {
        is_here,
        ..Step::new(key, vec![link(reference)], String::new())
    };
    let hours = [
        ("n", format::count(row.settled)),
        ("of", format::count(row.period().hours())),
    ];
    let hours_href = format!("{}#hours", Reference::Lease(row.id).href());
    let about = if is_lease {
        Reference::Lease(row.id)
    } else {
        Reference::Trade(row.id)
    };
    vec![
        Step::new("find.kind.orders", orders.into(), String::new()),
        step("find.kind.trade", Reference::Trade(row.id), !is_lease),
        step("find.kind.lease", Reference::Lease(row.id), is_lease),
        Step::new(
            "find.kind.hours",
            vec![(locale.tr("find.hours_settled", hours), hours_href)],
            String::new(),
        ),
        Step::new(
            "find.kind.entry",
            vec![journal(locale, about)],
            String::new(),
        ),
    ]
}

/// A line of facts: a key of the catalogue, what it says, and where it leads.
pub(super) struct Fact {
    pub(super) key: &'static str,
    pub(super) value: String,
    pub(super) href: Option<String>,
}

fn fact(key: &'static str, value: String) -> Fact {
    Fact {
        key,
        value,
        href: None,
    }
}

fn party(key: &'static str, number: i64, name: Option<&str>) -> Fact {
    let reference = Reference::Participant(number);
    let value = match name {
        Some(name) => format!("{name} {reference}"),
        None => reference.to_string(),
    };
    Fact {
        key,
        value,
        href: Some(reference.href()),
    }
}

/// What an order says.
pub(super) fn facts_of_order(locale: Locale, row: &OrderRow) -> Vec<Fact> {
    let actor = say::actor(locale, &row.actor, row.login.as_deref());
    let mut facts = vec![
        party("find.participant", row.participant, row.name.as_deref()),
        fact("find.client_id", row.client_id.clone()),
        fact("find.placed_by", actor),
        fact("books.command", format::count(row.command)),
        fact("order.accepted_at", locale.second(row.accepted_at())),
        fact(
            "orders.filled",
            format!(
                "{} / {}",
                format::count(row.filled),
                format::count(row.units)
            ),
        ),
        fact("orders.held", format::four(row.held())),
    ];
    for symbol in &row.symbols {
        facts.push(Fact {
            key: "lease.fact.instrument",
            value: symbol.clone(),
            href: Some(format!("/market/{symbol}")),
        });
    }
    if let Some(pool) = row.pool {
        facts.push(fact("lease.fact.pool", format!("p{pool}")));
    }
    if let Some(at) = row.done_at() {
        facts.push(fact("order.done_at", locale.second(at)));
    }
    facts
}

/// What a trade says.
pub(super) fn facts_of_trade(locale: Locale, row: &TradeRow) -> Vec<Fact> {
    let maker = Reference::Order(row.maker);
    let owed = row.units * HOUR_MINUTES * row.period().hours();
    vec![
        party("find.holder", row.holder, row.holder_name.as_deref()),
        party("find.provider", row.provider, row.provider_name.as_deref()),
        fact("find.traded_at", locale.second(row.at())),
        Fact {
            key: "find.maker",
            value: maker.to_string(),
            href: Some(maker.href()),
        },
        Fact {
            key: "lease.fact.instrument",
            value: row.symbol.clone(),
            href: Some(format!("/market/{}", row.symbol)),
        },
        fact("lease.fact.pool", format!("p{}", row.pool)),
        fact("find.total", format::wide(row.total())),
        fact(
            "find.delivered",
            format!("{} / {}", format::count(row.delivered), format::count(owed)),
        ),
        fact("lease.fact.rules", format!("v{}", row.rules)),
        fact("books.command", format::count(row.command)),
    ]
}

/// Where a lease's money is.
pub(super) fn money_of_lease(row: &TradeRow) -> Vec<(&'static str, String)> {
    let [escrow, bond, earned, fee, credited] = row.money();
    let refunded = row.total() - i128::from(escrow.0) - i128::from(earned.0);
    vec![
        ("find.total", format::wide(row.total())),
        ("find.earned", format::four(earned)),
        ("find.of_it_fee", format::four(fee)),
        ("find.refunded", format::wide(refunded)),
        ("find.in_escrow", format::four(escrow)),
        ("find.credited", format::four(credited)),
        ("find.in_bond", format::four(bond)),
    ]
}

/// The heading of an order.
pub(super) fn title_of_order(locale: Locale, row: &OrderRow) -> String {
    let title = match row.symbols.as_slice() {
        [symbol] => Symbol::new(symbol).title(locale),
        symbols => locale.tr("orders.several", [("n", &symbols.len().to_string())]),
    };
    let side = locale.t(if row.is_bid {
        "order.buy"
    } else {
        "order.sell"
    });
    format!("{side} {} × {title}", format::count(row.units))
}

/// Where an order stands.
pub(super) fn state_of_order(locale: Locale, row: &OrderRow) -> (String, &'static str) {
    match &row.done {
        Some(why) => (say::done(locale, why), ""),
        None if row.filled > 0 => (locale.t("order.state.part").into_owned(), "teal"),
        None => (locale.t("order.state.open").into_owned(), "teal"),
    }
}

/// How far a lease has come.
pub(super) fn stage_of_lease(row: &TradeRow, now: Timestamp) -> (&'static str, &'static str) {
    let period = row.period();
    if row.ended {
        ("lease.stage.ended", "")
    } else if now < period.start.begins() {
        ("lease.stage.scheduled", "")
    } else if now < period.end.begins() {
        ("lease.stage.running", "teal")
    } else {
        ("lease.stage.settling", "")
    }
}

/// A trade of an order.
pub(super) struct FillView {
    pub(super) trade: Reference,
    pub(super) lease: Reference,
    pub(super) at: String,
    pub(super) other: Reference,
    pub(super) other_name: String,
    pub(super) period: String,
    pub(super) units: String,
    pub(super) price: String,
    pub(super) total: String,
}

impl FillView {
    pub(super) fn new(locale: Locale, row: &FillRow) -> Self {
        let other = Reference::Participant(row.other);
        let period = row.period();
        Self {
            trade: Reference::Trade(row.id),
            lease: Reference::Lease(row.id),
            at: locale.second(row.at()),
            other,
            other_name: row.other_name.clone().unwrap_or_else(|| other.to_string()),
            period: locale.period(period),
            units: format::count(row.units),
            price: format::money(row.price()),
            total: format::wide(row.price().times(row.units, period.hours())),
        }
    }
}

/// An hour of a lease.
pub(super) struct HourView {
    pub(super) hour: String,
    pub(super) minutes: String,
    pub(super) paid: Option<String>,
    pub(super) fee: Option<String>,
    pub(super) refunded: Option<String>,
    pub(super) entry: Option<Reference>,
    pub(super) said_by: String,
    pub(super) is_short: bool,
}

/// The hours of a lease that are shown: a week from the one with this place.
pub(super) fn shown(period: Period, after: i64) -> Period {
    let start = (period.start.0 + after)
        .min(period.end.0 - 1)
        .max(period.start.0);
    Period {
        start: Hour(start),
        end: Hour((start + HOURS).min(period.end.0)),
    }
}

/// Hours with what came of them.
pub(super) fn hours(
    locale: Locale,
    row: &TradeRow,
    shown: Period,
    settled: &[SettlementRow],
    now: Timestamp,
) -> Vec<HourView> {
    let settled: BTreeMap<Hour, &SettlementRow> =
        settled.iter().map(|row| (row.hour(), row)).collect();
    let owed = row.units * HOUR_MINUTES;
    let view = |hour: Hour| {
        let name = format!("{} {}", locale.day(hour.begins()), format::hour_span(hour));
        let Some(settlement) = settled.get(&hour) else {
            let state = if now < hour.begins() {
                "lease.hour.next"
            } else if now < hour.ends() {
                "lease.hour.running"
            } else {
                "lease.hour.waiting"
            };
            return HourView {
                hour: name,
                minutes: format!("– / {}", format::count(owed)),
                paid: None,
                fee: None,
                refunded: None,
                entry: None,
                said_by: locale.t(state).into_owned(),
                is_short: false,
            };
        };
        let [paid, fee, refunded] = settlement.money().map(format::four);
        let said_by = if settlement.is_simulated {
            locale.t("lease.simulated").into_owned()
        } else {
            say::actor(locale, &settlement.actor, settlement.login.as_deref())
        };
        HourView {
            hour: name,
            minutes: format!(
                "{} / {}",
                format::count(settlement.unit_minutes),
                format::count(owed)
            ),
            paid: Some(paid),
            fee: Some(fee),
            refunded: Some(refunded),
            entry: settlement.entry.map(Reference::Entry),
            said_by,
            is_short: settlement.unit_minutes < owed,
        }
    };
    shown.each().map(view).collect()
}

/// A journal entry in short.
pub(super) struct EntryView {
    pub(super) number: Reference,
    pub(super) reason: String,
    pub(super) at: String,
    pub(super) moved: String,
}

impl EntryView {
    pub(super) fn new(locale: Locale, row: &EntryRow) -> Self {
        Self {
            number: Reference::Entry(row.id),
            reason: locale.t(format!("entry.{}", row.reason)).into_owned(),
            at: locale.second(row.at()),
            moved: format::four(row.moved()),
        }
    }
}

/// A dispute about a lease.
pub(super) struct DisputeView {
    pub(super) number: Reference,
    pub(super) claimed: String,
    pub(super) awarded: Option<String>,
}

impl DisputeView {
    pub(super) fn new(row: &DisputeRow) -> Self {
        Self {
            number: Reference::Dispute(row.id),
            claimed: format::money(row.claimed()),
            awarded: row.awarded().map(|amount: Money| format::money(amount)),
        }
    }
}
