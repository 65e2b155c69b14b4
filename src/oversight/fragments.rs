//! What the desk shows, in words.

use market::catalogue::Region;
use market::{Hour, LeaseId, Market, ParticipantId, Timestamp};

use super::queries::{
    ActRow, Application, CaseRow, Glance, LeaseRow, Listed, MemberRow, OpenDispute, OrderRow,
    ParticipantRow,
};
use crate::app::App;
use crate::web::reference::Reference;
use crate::web::symbol::{Symbol, cluster};
use crate::web::{Error, Locale, format, say};

/// An hour's readings are missed when it has been over for so long, in minutes of market time.
const MISSED_AFTER: i64 = 15;

/// What falls due is late by so many seconds of real time; before that it is on its way.
const LATE_AFTER: i64 = 10;

/// How many leases without readings are named.
const NAMED: usize = 20;

/// One of the sums that stand above everything.
pub(super) struct Figure {
    pub(super) key: &'static str,
    pub(super) amount: String,
    pub(super) href: String,
    pub(super) is_wrong: bool,
}

/// The sums of the books at a glance.
pub(super) fn figures(glance: &Glance) -> Result<Vec<Figure>, Error> {
    let sum = glance.sum()?;
    let mut figures = vec![Figure {
        key: "sum",
        amount: format::wide(sum),
        href: "/ops/ledger".to_owned(),
        is_wrong: sum != 0,
    }];
    let keys = ["escrow", "bond", "payable", "dispute"];
    for (key, amount) in keys.into_iter().zip(glance.held()) {
        figures.push(Figure {
            key,
            amount: format::money(amount),
            href: format!("/ops/ledger?account={key}"),
            is_wrong: false,
        });
    }
    Ok(figures)
}

/// How the engine is.
pub(super) struct EngineView {
    pub(super) is_ready: bool,
    pub(super) batch: String,
    pub(super) command: String,
    pub(super) epoch: String,
    pub(super) rules: i64,
    pub(super) at: Option<String>,
    pub(super) age: Option<String>,
    /// By how much what fell due is late.
    pub(super) late_by: Option<String>,
}

impl EngineView {
    pub(super) fn new(locale: Locale, app: &App, glance: &Glance) -> Self {
        let now = app.clock.now();
        let age = |at: Timestamp| now.0.saturating_sub(at.0).max(0);
        let due = app.feed.market().next_due().map(age);
        let is_late = |late: &i64| *late > LATE_AFTER * 1_000_000 * app.clock.speed().max(1);
        Self {
            is_ready: app.sequencer.is_ready(),
            batch: format::count(glance.batch),
            command: format::count(glance.command),
            epoch: format::count(glance.epoch),
            rules: glance.rules,
            at: glance.at().map(|at| locale.second(at)),
            age: glance.at().map(|at| locale.span(age(at))),
            late_by: due.filter(is_late).map(|late| locale.span(late)),
        }
    }
}

/// A lease with hours that are over and have no readings.
pub(super) struct Missed {
    pub(super) lease: LeaseId,
    pub(super) provider: ParticipantId,
    pub(super) since: Hour,
    pub(super) hours: usize,
    pub(super) deadline: Option<Timestamp>,
}

/// The leases whose readings are missed, the longest first, and how many there are.
pub(super) fn missed(market: &Market, now: Timestamp) -> (usize, Vec<Missed>) {
    let over = |hour: Hour| hour.ends().0.saturating_add(MISSED_AFTER * 60_000_000) <= now.0;
    let deadline_hours = market.rules().reading_deadline_hours;
    let mut missed: Vec<Missed> = market
        .open_leases()
        .filter_map(|lease| {
            let since = lease.first_unsettled().filter(|hour| over(*hour))?;
            let hours = lease.unsettled().take_while(|hour| over(*hour));
            Some(Missed {
                lease: lease.id,
                provider: lease.provider,
                since,
                hours: hours.count(),
                deadline: deadline_hours.map(|hours| since.ends().plus_hours(hours)),
            })
        })
        .collect();
    missed.sort_by_key(|one| (one.since, one.lease));
    let all = missed.len();
    missed.truncate(NAMED);
    (all, missed)
}

/// Something that waits for somebody: what it is, since or until when, and where it is dealt with.
pub(super) struct Waiting {
    pub(super) title: String,
    pub(super) second: String,
    pub(super) when: String,
    pub(super) href: String,
    pub(super) number: String,
}

impl Waiting {
    pub(super) fn application(locale: Locale, row: &Listed, now: Timestamp) -> Self {
        let number = Reference::Participant(row.participant);
        let age = row
            .submitted_at()
            .map_or(0, |at| now.0.saturating_sub(at.0));
        Self {
            title: row.legal_name.clone(),
            second: format!("{} {number} · {}", row.name, region(locale, &row.region)),
            when: locale.tr("desk.waits", [("span", &locale.span(age))]),
            href: format!("/ops/applications/{}", row.id),
            number: row.id.to_string(),
        }
    }

    pub(super) fn dispute(locale: Locale, row: &OpenDispute) -> Self {
        let number = Reference::Dispute(row.id);
        let name = |name: &Option<String>| name.clone().unwrap_or_default();
        let words = [
            ("claimed", &*format::money(row.claimed())),
            ("frozen", &*format::money(row.frozen())),
            ("lease", &*Reference::Lease(row.lease).to_string()),
        ];
        let parties = [
            ("claimant", name(&row.claimant)),
            ("provider", name(&row.provider)),
        ];
        Self {
            title: locale.tr("desk.dispute", parties),
            second: locale.tr("desk.dispute_second", words),
            when: locale.tr("desk.since", [("at", &locale.minute(row.opened_at()))]),
            href: number.href(),
            number: number.to_string(),
        }
    }

    pub(super) fn missed(locale: Locale, row: &Missed, provider: &str) -> Self {
        let number = Reference::Lease(row.lease.0);
        let hours = [
            ("n", row.hours.to_string()),
            ("at", locale.minute(row.since.begins())),
        ];
        let when = match row.deadline {
            Some(at) => locale.tr("desk.until", [("at", &locale.minute(at))]),
            None => locale.t("desk.no_deadline").into_owned(),
        };
        Self {
            title: locale.tr("desk.missed", [("provider", provider)]),
            second: locale.tr("desk.missed_second", hours),
            when,
            href: number.href(),
            number: number.to_string(),
        }
    }
}

/// A region's cluster in the reader's words; what the catalogue does not know as it is written.
fn region(locale: Locale, code: &str) -> String {
    Region::of(code)
        .map_or(code, |region| cluster(region, locale))
        .to_owned()
}

/// An application in a list.
pub(super) struct ListedView {
    pub(super) href: String,
    pub(super) id: i64,
    pub(super) legal_name: String,
    pub(super) participant: Reference,
    pub(super) name: String,
    pub(super) region: String,
    pub(super) submitted_at: String,
    pub(super) state: StateView,
    pub(super) decided: Option<String>,
}

impl ListedView {
    pub(super) fn new(locale: Locale, row: &Listed) -> Self {
        let decided = row.decided_at().map(|at| {
            let who = row.decided_by.as_deref().unwrap_or_default();
            format!("{who} · {}", locale.minute(at))
        });
        Self {
            href: format!("/ops/applications/{}", row.id),
            id: row.id,
            legal_name: row.legal_name.clone(),
            participant: Reference::Participant(row.participant),
            name: row.name.clone(),
            region: region(locale, &row.region),
            submitted_at: row
                .submitted_at()
                .map_or_else(String::new, |at| locale.minute(at)),
            state: StateView::new(locale, &row.state, row.reason.as_deref()),
            decided,
        }
    }
}

/// Where an application stands.
pub(super) struct StateView {
    pub(super) words: String,
    pub(super) tone: &'static str,
    pub(super) why: Option<String>,
}

impl StateView {
    fn new(locale: Locale, state: &str, reason: Option<&str>) -> Self {
        let tone = match state {
            "submitted" => "amber",
            "certified" => "teal",
            _ => "",
        };
        Self {
            words: locale.t(format!("desk.state.{state}")).into_owned(),
            tone,
            why: reason.map(|reason| say::refusal(locale, reason)),
        }
    }
}

/// What an application says.
pub(super) fn facts(locale: Locale, row: &Application) -> Vec<(&'static str, String)> {
    vec![
        ("desk.fact.legal_name", row.listed.legal_name.clone()),
        ("desk.fact.credit_code", row.credit_code.clone()),
        ("desk.fact.contact", row.contact_name.clone()),
        ("desk.fact.phone", row.contact_phone.clone()),
        ("desk.fact.mail", row.contact_mail.clone()),
        ("desk.fact.region", region(locale, &row.listed.region)),
        ("desk.fact.site", row.site_address.clone()),
        ("desk.fact.capacity", row.capacity.clone()),
    ]
}

/// A participant in a list.
pub(super) struct ParticipantView {
    pub(super) number: Reference,
    pub(super) name: String,
    pub(super) created_at: String,
    pub(super) members: String,
    pub(super) cash: String,
    pub(super) is_certified: bool,
    pub(super) suspended: Option<String>,
    pub(super) suspended_at: Option<String>,
}

impl ParticipantView {
    pub(super) fn new(locale: Locale, row: &ParticipantRow) -> Self {
        let why = row.suspended.as_deref();
        Self {
            number: Reference::Participant(row.id),
            name: row.name.clone(),
            created_at: locale.minute(row.created_at()),
            members: format::count(row.members),
            cash: format::money(row.cash()),
            is_certified: row.is_certified,
            suspended: why.map(|why| say::suspension(locale, why)),
            suspended_at: row.suspended_at().map(|at| locale.minute(at)),
        }
    }
}

/// A member in words.
pub(super) struct MemberView {
    pub(super) login: String,
    pub(super) roles: String,
    pub(super) has_factor: bool,
    pub(super) since: String,
}

impl MemberView {
    pub(super) fn new(locale: Locale, row: &MemberRow) -> Self {
        let roles = row
            .roles
            .iter()
            .map(|role| locale.t(format!("role.{role}")));
        let roles: Vec<_> = roles.collect();
        Self {
            login: row.login.clone(),
            roles: roles.join(&locale.t("desk.list_comma")),
            has_factor: row.has_factor,
            since: locale.minute(row.created_at()),
        }
    }
}

/// An order in a list.
pub(super) struct OrderView {
    pub(super) number: Reference,
    pub(super) title: String,
    pub(super) is_bid: bool,
    pub(super) period: String,
    pub(super) filled: String,
    pub(super) units: String,
    pub(super) price: String,
    pub(super) state: String,
    pub(super) is_open: bool,
}

impl OrderView {
    pub(super) fn new(locale: Locale, row: &OrderRow) -> Self {
        let title = match row.symbols.as_slice() {
            [symbol] => Symbol::new(symbol).title(locale),
            symbols => locale.tr("orders.several", [("n", &symbols.len().to_string())]),
        };
        Self {
            number: Reference::Order(row.id().0),
            title,
            is_bid: row.is_bid,
            period: locale.period(row.period()),
            filled: format::count(row.filled),
            units: format::count(row.units),
            price: format::money(row.price()),
            state: match &row.done {
                Some(why) => say::done(locale, why),
                None => locale.t("order.state.open").into_owned(),
            },
            is_open: row.done.is_none(),
        }
    }
}

/// A lease in a list.
pub(super) struct LeaseView {
    pub(super) number: Reference,
    pub(super) is_provider: bool,
    pub(super) other: Reference,
    pub(super) other_name: String,
    pub(super) title: String,
    pub(super) period: String,
    pub(super) stage: &'static str,
}

impl LeaseView {
    pub(super) fn new(locale: Locale, row: &LeaseRow, now: Timestamp) -> Self {
        let other = Reference::Participant(row.other);
        let period = row.period();
        let stage = if row.ended {
            "lease.stage.ended"
        } else if now < period.start.begins() {
            "lease.stage.scheduled"
        } else if now < period.end.begins() {
            "lease.stage.running"
        } else {
            "lease.stage.settling"
        };
        let symbol = Symbol::new(&row.symbol).title(locale);
        Self {
            number: Reference::Lease(row.id),
            is_provider: row.is_provider,
            other,
            other_name: row.other_name.clone().unwrap_or_else(|| other.to_string()),
            title: format!("{} × {symbol}", format::count(row.units)),
            period: locale.period(period),
            stage,
        }
    }
}

/// An act in words.
pub(super) struct ActView {
    pub(super) at: String,
    pub(super) who: String,
    pub(super) what: String,
    pub(super) detail: String,
}

impl ActView {
    pub(super) fn new(locale: Locale, row: &ActRow) -> Self {
        let detail = match &row.detail {
            serde_json::Value::Object(detail) => {
                let given = detail.iter().filter(|(_, value)| !value.is_null());
                let parts = given.map(|(name, value)| match value.as_str() {
                    Some(text) => format!("{name}: {text}"),
                    None => format!("{name}: {value}"),
                });
                parts.collect::<Vec<_>>().join(" · ")
            }
            other => other.to_string(),
        };
        Self {
            at: locale.second(row.at()),
            who: row.login.clone().unwrap_or_default(),
            what: say::act(locale, &row.act),
            detail,
        }
    }
}

/// A case of delivery in words.
pub(super) struct CaseView {
    pub(super) id: i64,
    pub(super) kind: String,
    /// The lease that it is about, where there is one of this number.
    pub(super) lease: Option<Reference>,
    pub(super) machine: String,
    pub(super) provider: Reference,
    pub(super) provider_name: String,
    pub(super) opened: String,
    pub(super) evidence: String,
    /// By whom and when it was closed, and what they said.
    pub(super) closed: Option<(String, String)>,
}

impl CaseView {
    pub(super) fn new(locale: Locale, row: &CaseRow) -> Self {
        let machine = [
            ("machine", row.machine.clone()),
            ("pool", format!("p{}", row.pool)),
            ("agent", row.agent.to_string()),
        ];
        let closed = row.closed_at().map(|at| {
            let by = row.closed_by.as_deref().unwrap_or_default();
            let by = format!("{by} · {}", locale.minute(at));
            (by, row.note.clone().unwrap_or_default())
        });
        Self {
            id: row.id,
            kind: say::delivery_case(locale, &row.kind),
            lease: row.stay.filter(|_| row.is_lease).map(Reference::Lease),
            machine: locale.tr("case.machine", machine),
            provider: Reference::Participant(row.provider),
            provider_name: row.provider_name.clone(),
            opened: locale.minute(row.opened_at()),
            evidence: serde_json::to_string_pretty(&row.evidence).unwrap_or_default(),
            closed,
        }
    }
}
