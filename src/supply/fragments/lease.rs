//! One lease from its provider's side: what each hour earned, and the entries that paid it.

use std::collections::BTreeMap;

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::{Path, State};
use axum::response::Response;
use market::{HORIZON_HOURS, Hour, LeaseId, Money, Period, Timestamp};

use crate::app::App;
use crate::clock;
use crate::supply::queries::{self, LeaseRow, PostingRow, Settlement};
use crate::web::delivered::Delivered;
use crate::web::failure::{Failure, Reader};
use crate::web::i18n::LocaleOf;
use crate::web::live::{self, Audience, Topic, Watcher};
use crate::web::{Error, Locale, Member, format};

/// How many hours of a lease are shown at once.
const SHOWN: i64 = 168;

/// How the lease stands, in a word.
#[derive(Template)]
#[template(path = "supply/_stage.html")]
pub(in crate::supply) struct Stage {
    locale: Locale,
    state: &'static str,
    tone: &'static str,
}

impl HtmlSafe for Stage {}

/// The hours, with what each brought.
#[derive(Template)]
#[template(path = "supply/_hours.html")]
pub(in crate::supply) struct Hours {
    locale: Locale,
    rows: Vec<Row>,
    is_cut: bool,
    is_simulated: bool,
}

impl HtmlSafe for Hours {}

struct Row {
    day: Option<String>,
    hour: String,
    share: i64,
    minutes: String,
    money: Option<Split>,
    state: &'static str,
    payable_until: Option<String>,
    is_short: bool,
}

struct Split {
    paid: String,
    fee: String,
    refunded: String,
    entry: Option<i64>,
}

/// What the lease has brought and what is still open.
#[derive(Template)]
#[template(path = "supply/_money.html")]
pub(in crate::supply) struct Sums {
    locale: Locale,
    net: String,
    settled_hours: String,
    total: String,
    refunded: String,
    open: String,
    earned: String,
    fee: String,
    credited: String,
    bond: String,
}

impl HtmlSafe for Sums {}

/// The journal entries that touched the provider.
#[derive(Template)]
#[template(path = "supply/_journal.html")]
pub(in crate::supply) struct Journal {
    locale: Locale,
    rows: Vec<Posting>,
}

impl HtmlSafe for Journal {}

struct Posting {
    entry: i64,
    at: String,
    machine: String,
    reason: String,
    kind: String,
    amount: String,
}

/// The live parts of a lease.
pub(in crate::supply) struct Parts {
    pub(in crate::supply) stage: Stage,
    pub(in crate::supply) hours: Hours,
    pub(in crate::supply) sums: Sums,
    pub(in crate::supply) journal: Journal,
    pub(in crate::supply) failure: Failure,
    pub(in crate::supply) delivered: Delivered,
}

/// The parts of a lease as it stands.
pub(in crate::supply) async fn parts(
    app: &App,
    locale: Locale,
    provider: market::ParticipantId,
    row: &LeaseRow,
) -> Result<Parts, Error> {
    let now = app.clock.now();
    let shown = shown(row.period, now);
    let settled = queries::settlements(&app.db, row.id, shown).await?;
    let postings = queries::postings(&app.db, provider, row.id).await?;
    let (state, tone) = super::stage(row, now);
    Ok(Parts {
        stage: Stage {
            locale,
            state,
            tone,
        },
        hours: hours(locale, row, shown, &settled, now),
        sums: sums(locale, row),
        journal: journal(locale, &postings),
        failure: Failure::of(&app.db, locale, row.id, Reader::Provider).await?,
        delivered: Delivered::of(app, locale, row.id).await?,
    })
}

/// The hours of a long lease that are near now.
fn shown(period: Period, now: Timestamp) -> Period {
    if period.hours() <= SHOWN {
        return period;
    }
    let middle = now.hour().0.clamp(period.start.0, period.end.0);
    let start = (middle - SHOWN / 2).clamp(period.start.0, period.end.0 - SHOWN);
    Period {
        start: Hour(start),
        end: Hour(start + SHOWN),
    }
}

fn hours(
    locale: Locale,
    row: &LeaseRow,
    shown: Period,
    settled: &BTreeMap<Hour, Settlement>,
    now: Timestamp,
) -> Hours {
    debug_assert!(
        shown.hours() <= HORIZON_HOURS,
        "a lease is within the horizon"
    );
    let mut day_before = None;
    let rows = shown.each().map(|hour| {
        let day = locale.day(hour.begins());
        let is_new_day = day_before.replace(day.clone()) != Some(day.clone());
        let day = is_new_day.then_some(day);
        match settled.get(&hour) {
            Some(settlement) => settled_row(locale, row, hour, day, settlement, now),
            None => open_row(row, hour, day, now),
        }
    });
    Hours {
        locale,
        rows: rows.collect(),
        is_cut: shown != row.period,
        is_simulated: settled.values().any(|settlement| settlement.is_simulated),
    }
}

fn settled_row(
    locale: Locale,
    row: &LeaseRow,
    hour: Hour,
    day: Option<String>,
    settlement: &Settlement,
    now: Timestamp,
) -> Row {
    let promised = row.held.minutes(hour);
    let until = settlement.payable_until.filter(|until| *until > now);
    Row {
        day,
        hour: format::hour_span(hour),
        share: settlement.unit_minutes * 100 / promised.max(1),
        minutes: format!(
            "{} / {}",
            format::count(settlement.unit_minutes),
            format::count(promised)
        ),
        money: Some(Split {
            paid: format::four(settlement.paid),
            fee: format::four(settlement.fee),
            refunded: format::four(settlement.refunded),
            entry: settlement.entry,
        }),
        state: if until.is_some() {
            "supply.hour.payable"
        } else {
            "supply.hour.paid"
        },
        payable_until: until
            .map(|until| locale.tr("supply.hour.until", [("at", &locale.minute(until))])),
        is_short: settlement.unit_minutes < promised,
    }
}

fn open_row(row: &LeaseRow, hour: Hour, day: Option<String>, now: Timestamp) -> Row {
    let state = if row.held.in_hour(hour) == 0 {
        "lease.hour.gone"
    } else if now < hour.begins() {
        "lease.hour.next"
    } else if now < hour.ends() {
        "lease.hour.running"
    } else {
        "lease.hour.waiting"
    };
    Row {
        day,
        hour: format::hour_span(hour),
        share: 0,
        minutes: "–".to_owned(),
        money: None,
        state,
        payable_until: None,
        is_short: false,
    }
}

fn sums(locale: Locale, row: &LeaseRow) -> Sums {
    let total = row.held.cost(row.price);
    let refunded = total - i128::from((row.escrow + row.earned).0);
    Sums {
        locale,
        net: format::money(row.earned - row.fee),
        settled_hours: row.settled_hours.to_string(),
        total: format::wide(total),
        refunded: format::wide(-refunded),
        open: format::four(-row.escrow),
        earned: format::four(row.earned),
        fee: format::four(-row.fee),
        credited: format::four(-row.credited),
        bond: format::four(row.bond),
    }
}

fn journal(locale: Locale, postings: &[PostingRow]) -> Journal {
    let row = |posting: &PostingRow| {
        let at = clock::stamp(posting.at.to_jiff());
        Posting {
            entry: posting.entry,
            at: locale.second(at),
            machine: format::machine(at),
            // The same entry is an escrow to the holder and a pledge to the provider.
            reason: if posting.reason == "trade" {
                locale.t("supply.entry_trade").into_owned()
            } else {
                locale.t(format!("entry.{}", posting.reason)).into_owned()
            },
            kind: locale.t(format!("account.{}", posting.kind)).into_owned(),
            amount: format::signed(Money(posting.amount)),
        }
    };
    Journal {
        locale,
        rows: postings.iter().map(row).collect(),
    }
}

/// `GET /provide/leases/{id}/live`: all parts, after each commit that touches the provider, and
/// with each minute while there may be something new to show.
///
/// # Errors
/// [`Error::NotFound`] for another provider's as for none.
pub async fn live(
    State(app): State<App>,
    Path(id): Path<String>,
    LocaleOf(locale): LocaleOf,
    member: Member,
    watcher: Watcher,
) -> Result<Response, Error> {
    let id: LeaseId = id.parse().map_err(|_| Error::NotFound)?;
    let provider = member.participant;
    let row = queries::lease(&app.db, provider, id).await?;
    let row = row.ok_or(Error::NotFound)?;
    let window = app.feed.market().rules().claim_window_hours;
    let last = row.period.end.begins().plus_hours(window);
    let (clock, drawn) = (app.clock.clone(), app.clone());
    let stands = move || (clock.now() <= last).then(|| clock.minute());
    let render = move || {
        let app = drawn.clone();
        async move {
            let row = queries::lease(&app.db, provider, id).await?;
            let parts = parts(&app, locale, provider, &row.ok_or(Error::NotFound)?).await?;
            let mut drawn = vec![
                ("stage", live::html(&parts.stage)?),
                ("hours", live::html(&parts.hours)?),
                ("money", live::html(&parts.sums)?),
                ("journal", live::html(&parts.journal)?),
                ("failure", live::html(&parts.failure)?),
            ];
            drawn.extend(parts.delivered.fragments()?);
            Ok(drawn)
        }
    };
    let wants = move |batch: &crate::feed::Published| batch.participants.contains(&provider);
    let audience = Audience::Member(provider, member.user);
    let topic = Topic::new("lease", audience, wants, render).while_it_stands(stands);
    live::stream(&app, watcher, vec![topic])
}
