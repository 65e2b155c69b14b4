//! A lease as it runs and is paid.

mod doings;
mod way_in;

use std::collections::BTreeMap;

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use market::{Hour, LeaseId, Money, Period, Timestamp};

pub(super) use self::doings::Doings;
pub(super) use self::way_in::WayIn;
use super::forms::ListQuery;
use super::queries::{self, LeaseRow, Settlement};
use crate::app::App;
use crate::web::delivered::Delivered;
use crate::web::failure::{Failure, Reader};
use crate::web::i18n::LocaleOf;
use crate::web::live::{self, Audience, Topic, Watcher};
use crate::web::symbol::Symbol;
use crate::web::{Error, Locale, Member, Session, format};

/// How many hours of a lease are shown at once.
const SHOWN: i64 = 168;

/// How long before its first hour a lease is got ready.
const PREPARING: i64 = market::HOUR_MICROS / 4;

/// How far a lease has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its first hour has not begun.
    Scheduled,
    /// Its first hour begins within a quarter of an hour.
    Preparing,
    /// One of its hours is in course.
    Running,
    /// Its hours are over; some are not settled.
    Settling,
    /// Every hour is settled.
    Ended,
}

impl Stage {
    pub(super) fn of(row: &LeaseRow, now: Timestamp) -> Self {
        if row.ended {
            Self::Ended
        } else if now < row.period.start.begins() {
            if row.period.start.begins().0 - now.0 <= PREPARING {
                Self::Preparing
            } else {
                Self::Scheduled
            }
        } else if now < row.period.end.begins() {
            Self::Running
        } else {
            Self::Settling
        }
    }

    /// Those that a list can be narrowed to.
    pub(super) const FILTERS: [Self; 4] =
        [Self::Scheduled, Self::Running, Self::Settling, Self::Ended];

    /// Its name in an address.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Scheduled | Self::Preparing => "scheduled",
            Self::Running => "running",
            Self::Settling => "settling",
            Self::Ended => "ended",
        }
    }

    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Scheduled => "lease.stage.scheduled",
            Self::Preparing => "lease.stage.preparing",
            Self::Running => "lease.stage.running",
            Self::Settling => "lease.stage.settling",
            Self::Ended => "lease.stage.ended",
        }
    }

    /// The tag's colour.
    pub(super) fn tone(self) -> &'static str {
        if self == Self::Running { "teal" } else { "" }
    }
}

/// The leases of a participant.
#[derive(Template)]
#[template(path = "leases/_list.html")]
pub(super) struct List {
    locale: Locale,
    rows: Vec<Line>,
    is_narrowed: bool,
    /// Where the list goes on.
    older: Option<String>,
}

impl HtmlSafe for List {}

struct Line {
    href: String,
    id: String,
    title: String,
    units: String,
    period: String,
    price: String,
    total: String,
    stage: Stage,
    /// Delivered unit-minutes as a share of all that are promised, in per cent.
    share: i64,
    refunded: Option<String>,
}

/// The state of one lease.
#[derive(Template)]
#[template(path = "leases/_state.html")]
pub(super) struct Timeline {
    locale: Locale,
    stage: Stage,
    steps: Vec<Step>,
}

impl HtmlSafe for Timeline {}

struct Step {
    key: &'static str,
    /// `done`, `now` or `next`.
    place: &'static str,
    /// How far the line to the next step is drawn, in per cent.
    share: i64,
    lines: Vec<String>,
    link: Option<(String, String)>,
}

/// How far one lease has come, in a word.
#[derive(Template)]
#[template(path = "leases/_stage.html")]
pub(super) struct StageTag {
    locale: Locale,
    stage: Stage,
}

impl HtmlSafe for StageTag {}

/// The hours of one lease.
#[derive(Template)]
#[template(path = "leases/_hours.html")]
pub(super) struct Hours {
    locale: Locale,
    rows: Vec<HourRow>,
    is_cut: bool,
    /// Whether readings of it come from no real machine.
    is_simulated: bool,
}

impl HtmlSafe for Hours {}

struct HourRow {
    day: Option<String>,
    hour: String,
    share: i64,
    minutes: String,
    paid: Option<String>,
    refunded: Option<String>,
    state: &'static str,
    is_short: bool,
    how: Option<String>,
    entry: Option<i64>,
}

/// What one lease has cost.
#[derive(Template)]
#[template(path = "leases/_cost.html")]
pub(super) struct Cost {
    locale: Locale,
    earned: String,
    settled_hours: usize,
    /// The delivered share of what was promised so far.
    availability: Option<String>,
    total: String,
    /// The price of what was resold or handed back.
    parted: Option<String>,
    paid: String,
    refunded: String,
    disputed: Option<String>,
    credited: Option<String>,
    escrow: String,
}

impl HtmlSafe for Cost {}

pub(super) struct Parts {
    pub(super) stage: StageTag,
    pub(super) state: Timeline,
    pub(super) hours: Hours,
    pub(super) cost: Cost,
    pub(super) doings: Doings,
    pub(super) failure: Failure,
    pub(super) way_in: WayIn,
    pub(super) delivered: Delivered,
}

/// The live parts of a lease.
pub(super) async fn parts(app: &App, locale: Locale, row: &LeaseRow) -> Result<Parts, Error> {
    let now = app.clock.now();
    let shown = shown(row.period, now);
    let settled = queries::settlements(&app.db, row.id, shown).await?;
    let settled_hours = if shown == row.period {
        settled.len()
    } else {
        queries::settlements(&app.db, row.id, row.period)
            .await?
            .len()
    };
    let by_machines = queries::by_machines(&app.db, row.pool).await?;
    Ok(Parts {
        stage: StageTag {
            locale,
            stage: Stage::of(row, now),
        },
        state: state(locale, row, now, by_machines),
        hours: hours(locale, row, shown, &settled, now),
        cost: cost(locale, row, settled_hours),
        doings: Doings::new(app, locale, row),
        failure: Failure::of(&app.db, locale, row.id, Reader::Holder).await?,
        way_in: WayIn::of(app, locale, row, by_machines).await?,
        delivered: Delivered::of(app, locale, row.id).await?,
    })
}

/// The hours of a long lease that are near now.
fn shown(period: Period, now: Timestamp) -> Period {
    if period.hours() <= SHOWN {
        return period;
    }
    let start = (now.hour().0 - SHOWN / 2).clamp(period.start.0, period.end.0 - SHOWN);
    Period {
        start: Hour(start),
        end: Hour(start + SHOWN),
    }
}

fn state(locale: Locale, row: &LeaseRow, now: Timestamp, by_machines: bool) -> Timeline {
    let stage = Stage::of(row, now);
    let (start, end) = (row.period.start.begins(), row.period.end.begins());
    let ready = Timestamp(start.0 - PREPARING).max(row.traded_at);
    let left = |to: Timestamp| locale.span(to.0 - now.0);
    let escrowed = format::wide(row.price.times(row.units, row.period.hours()));
    let provider = row.provider.as_deref().unwrap_or_default();
    let starts_in =
        (now < start).then(|| locale.tr("lease.step.starts_in", [("span", &left(start))]));
    let running = match stage {
        Stage::Running => Some(locale.tr("lease.step.left", [("span", &left(end))])),
        Stage::Scheduled | Stage::Preparing => starts_in,
        Stage::Settling | Stage::Ended => {
            Some(locale.tr("lease.step.ran", [("n", &row.period.hours().to_string())]))
        }
    };
    let ended = match stage {
        Stage::Ended => "lease.step.settled",
        Stage::Settling => "lease.step.settling",
        _ => "lease.step.hourly",
    };
    let note = format!("t{}", row.id.0);
    let note = (
        format!("/trades/{note}"),
        locale.tr("lease.step.note", [("trade", &note)]),
    );
    let step = |key, at, share, lines: Vec<String>| Step {
        key,
        place: place(stage, at),
        share,
        lines,
        link: None,
    };
    let mut steps = vec![
        step(
            "lease.step.traded",
            0,
            100,
            vec![locale.second(row.traded_at)],
        ),
        step(
            "lease.step.scheduled",
            1,
            gone(row.traded_at, ready, now),
            vec![
                locale.tr("lease.step.escrow", [("amount", &escrowed)]),
                locale.tr("lease.step.provider", [("name", provider)]),
            ],
        ),
        step(
            "lease.step.preparing",
            2,
            gone(ready, start, now),
            [
                Some(locale.minute(ready)),
                (!by_machines).then(|| locale.t("lease.step.simulated").into_owned()),
            ]
            .into_iter()
            .flatten()
            .collect(),
        ),
        step(
            "lease.step.running",
            3,
            gone(start, end, now),
            [Some(locale.minute(start)), running]
                .into_iter()
                .flatten()
                .collect(),
        ),
        step(
            "lease.step.ended",
            4,
            0,
            vec![locale.minute(end), locale.t(ended).into_owned()],
        ),
    ];
    steps[0].link = Some(note);
    Timeline {
        locale,
        stage,
        steps,
    }
}

/// Whether a step of the timeline is behind, in course or ahead.
fn place(stage: Stage, step: usize) -> &'static str {
    let reached = match stage {
        Stage::Scheduled => 1,
        Stage::Preparing => 2,
        Stage::Running => 3,
        Stage::Settling => 4,
        Stage::Ended => 5,
    };
    match step.cmp(&reached) {
        std::cmp::Ordering::Less => "done",
        std::cmp::Ordering::Equal => "now",
        std::cmp::Ordering::Greater => "next",
    }
}

/// How much of the time between two instants is over, in per cent.
fn gone(from: Timestamp, to: Timestamp, now: Timestamp) -> i64 {
    let all = i128::from((to.0 - from.0).max(1));
    let gone = i128::from(now.0 - from.0).clamp(0, all);
    i64::try_from(gone * 100 / all).unwrap_or(100)
}

fn hours(
    locale: Locale,
    row: &LeaseRow,
    shown: Period,
    settled: &BTreeMap<Hour, Settlement>,
    now: Timestamp,
) -> Hours {
    let mut day_before = None;
    let rows = shown.each().map(|hour| {
        let day = locale.day(hour.begins());
        let is_new_day = day_before.replace(day.clone()) != Some(day.clone());
        let day = is_new_day.then_some(day);
        match settled.get(&hour) {
            Some(settlement) => settled_row(locale, row, hour, day, settlement),
            None => open_row(locale, row, hour, day, now),
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
) -> HourRow {
    let (promised, units) = (row.held.minutes(hour), row.held.in_hour(hour));
    let earned = settlement.paid + settlement.fee;
    let words = [
        ("price", &*format::money(row.price)),
        ("units", &format::count(units)),
        ("delivered", &format::count(settlement.unit_minutes)),
        ("promised", &format::count(promised)),
        ("hourly", &format::wide(row.held.hour_cost(row.price, hour))),
        ("earned", &format::four(earned)),
        ("refunded", &format::four(settlement.refunded)),
    ];
    HourRow {
        day,
        hour: format::hour_span(hour),
        share: settlement.unit_minutes * 100 / promised.max(1),
        minutes: format!(
            "{} / {}",
            format::count(settlement.unit_minutes),
            format::count(promised)
        ),
        paid: Some(format::four(earned)),
        refunded: Some(format::four(settlement.refunded)),
        state: "lease.hour.settled",
        is_short: settlement.unit_minutes < promised,
        how: Some(locale.tr("lease.how", words)),
        entry: settlement.entry,
    }
}

fn open_row(
    locale: Locale,
    row: &LeaseRow,
    hour: Hour,
    day: Option<String>,
    now: Timestamp,
) -> HourRow {
    let units = row.held.in_hour(hour);
    let state = if units == 0 {
        "lease.hour.gone"
    } else if now < hour.begins() {
        "lease.hour.next"
    } else if now < hour.ends() {
        "lease.hour.running"
    } else {
        "lease.hour.waiting"
    };
    HourRow {
        day,
        hour: format::hour_span(hour),
        share: 0,
        minutes: match units {
            0 => "–".to_owned(),
            units if units < row.units => {
                locale.tr("lease.hour.has", [("n", &format::count(units))])
            }
            _ => "–".to_owned(),
        },
        paid: None,
        refunded: None,
        state,
        is_short: false,
        how: None,
        entry: None,
    }
}

fn cost(locale: Locale, row: &LeaseRow, settled_hours: usize) -> Cost {
    let (held, parted) = (row.held.cost(row.price), row.held.parted_with(row.price));
    // What a dispute has taken out of the escrow is neither paid nor refunded by an hour.
    let rest = row.escrow + row.earned + row.refunded;
    let disputed = held - i128::from(rest.0);
    let share = (i128::from(row.delivered) * 10_000).checked_div(row.owed.into());
    Cost {
        locale,
        earned: format::money(row.earned),
        settled_hours,
        availability: share
            .and_then(|bps| i64::try_from(bps).ok())
            .map(format::percent),
        total: format::wide(held + parted),
        parted: (parted > 0).then(|| format::wide(-parted)),
        paid: format::four(-row.earned),
        refunded: format::four(-row.refunded),
        disputed: (disputed > 0).then(|| format::wide(-disputed)),
        credited: (row.credited > Money::ZERO).then(|| format::signed(row.credited)),
        escrow: format::four(row.escrow),
    }
}

/// The leases of a participant, in words.
pub(super) async fn list(
    app: &App,
    locale: Locale,
    member: &Member,
    query: &ListQuery,
) -> Result<List, Error> {
    let now = app.clock.now();
    let filter = query.filter();
    let mut held = queries::held(&app.db, member.participant, &filter, now).await?;
    let older = (held.len() > queries::PAGE).then(|| {
        held.truncate(queries::PAGE);
        let last = held.last().map(|row| row.id);
        ListQuery::address(filter.stage, last)
    });
    let rows = held.iter().map(|row| line(locale, row, now));
    Ok(List {
        locale,
        rows: rows.collect(),
        is_narrowed: filter.stage.is_some() || filter.before.is_some(),
        older,
    })
}

fn line(locale: Locale, row: &LeaseRow, now: Timestamp) -> Line {
    let promised = row.held.promised();
    Line {
        href: format!("/leases/{}", row.id),
        id: row.id.to_string(),
        title: Symbol::new(&row.symbol).title(locale),
        units: row.held.units(now),
        period: locale.period(row.period),
        price: format::money(row.price),
        total: format::amount(row.held.cost(row.price)),
        stage: Stage::of(row, now),
        share: row.delivered.saturating_mul(100) / promised.max(1),
        refunded: (row.refunded > Money::ZERO).then(|| format::money(row.refunded)),
    }
}

/// `GET /leases/live`: the leases, after each commit that touches the participant.
///
/// # Errors
/// When the server has as many streams as it may.
pub async fn live_list(
    State(app): State<App>,
    LocaleOf(locale): LocaleOf,
    watcher: Watcher,
    Query(query): Query<ListQuery>,
) -> Result<Response, Error> {
    live::for_participant(&app, watcher, move |app, member| {
        let query = query.clone();
        async move {
            let list = list(&app, locale, &member, &query).await?;
            Ok(vec![("list", live::html(&list)?)])
        }
    })
}

/// `GET /leases/{id}/live`: state, hours, cost, the way in, what shows it and what can be done, after each commit that touches
/// the lease, and with each minute until nothing about it changes any more.
///
/// # Errors
/// [`Error::NotFound`] for another holder's as for none.
pub async fn live(
    State(app): State<App>,
    Path(id): Path<String>,
    LocaleOf(locale): LocaleOf,
    session: Session,
    watcher: Watcher,
) -> Result<Response, Error> {
    let id: LeaseId = id.parse().map_err(|_| Error::NotFound)?;
    let holder = session.member.participant;
    let row = queries::lease(&app.db, holder, id)
        .await?
        .ok_or(Error::NotFound)?;
    let window = app.feed.market().rules().claim_window_hours;
    let (clock, last) = (
        app.clock.clone(),
        row.period.end.begins().plus_hours(window),
    );
    let stands = move || (clock.now() <= last).then(|| clock.minute());
    let drawn = app.clone();
    let render = move || {
        let app = drawn.clone();
        async move {
            let row = queries::lease(&app.db, holder, id)
                .await?
                .ok_or(Error::NotFound)?;
            let parts = parts(&app, locale, &row).await?;
            let mut drawn = vec![
                ("stage", live::html(&parts.stage)?),
                ("state", live::html(&parts.state)?),
                ("hours", live::html(&parts.hours)?),
                ("cost", live::html(&parts.cost)?),
                ("doings", live::html(&parts.doings)?),
                ("failure", live::html(&parts.failure)?),
                ("way-in", live::html(&parts.way_in)?),
            ];
            drawn.extend(parts.delivered.fragments()?);
            Ok(drawn)
        }
    };
    let wants = move |published: &crate::feed::Published| published.leases.contains(&id);
    let topic = Topic::new("lease", Audience::Participant(holder), wants, render);
    let topic = topic.while_it_stands(stands);
    live::stream(&app, watcher, vec![topic])
}
