//! The desk, the applications, the participants.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use market::ParticipantId;

use super::forms::{Applications, Cases, Close, Participants, REFUSALS, SUSPENSIONS};
use super::fragments::{
    self, ActView, CaseView, EngineView, Figure, LeaseView, ListedView, MemberView, OrderView,
    ParticipantView, Waiting,
};
use super::queries::{self, PAGE};
use crate::app::App;
use crate::clock;
use crate::web::decision::Decision;
use crate::web::error::encoded;
use crate::web::reference::Reference;
use crate::web::{Error, FieldErrors, Kept, Role, Shell, format, say};

/// How many of the waiting applications the desk shows.
const ON_DESK: usize = 5;

#[derive(Template, WebTemplate)]
#[template(path = "oversight/desk.html")]
struct Desk {
    shell: Shell,
    figures: Vec<Figure>,
    applications: Vec<Waiting>,
    applications_count: String,
    disputes: Vec<Waiting>,
    disputes_count: String,
    missed: Vec<Waiting>,
    missed_count: String,
    /// How many cases of delivery nobody has closed.
    cases: i64,
    engine: EngineView,
}

/// `GET /ops`
///
/// # Errors
/// When the database can't be read.
pub async fn desk(State(app): State<App>, shell: Shell) -> Result<Response, Error> {
    let locale = shell.locale;
    let real = clock::stamp(clock::wall());
    let glance = queries::glance(&app.db).await?;
    let applications = queries::applications(&app.db, "submitted", None).await?;
    let waiting = queries::waiting(&app.db).await?;
    let (open, disputes) = queries::open_disputes(&app.db).await?;
    let (all, missed) = fragments::missed(&app.feed.market(), app.clock.now());
    let providers: Vec<ParticipantId> = missed.iter().map(|one| one.provider).collect();
    let names = queries::names(&app.db, &providers).await?;
    let missed = missed.iter().map(|one| {
        let name = names.get(&one.provider.0).map_or("", String::as_str);
        Waiting::missed(locale, one, name)
    });
    let page = Desk {
        figures: fragments::figures(&glance)?,
        applications: applications
            .iter()
            .take(ON_DESK)
            .map(|row| Waiting::application(locale, row, real))
            .collect(),
        applications_count: format::count(waiting),
        disputes: disputes
            .iter()
            .map(|row| Waiting::dispute(locale, row))
            .collect(),
        disputes_count: format::count(open),
        missed: missed.collect(),
        missed_count: all.to_string(),
        cases: queries::open_cases(&app.db).await?,
        engine: EngineView::new(locale, &app, &glance),
        shell,
    };
    Ok(page.into_response())
}

#[derive(Template, WebTemplate)]
#[template(path = "oversight/applications.html")]
struct ApplicationList {
    shell: Shell,
    state: &'static str,
    rows: Vec<ListedView>,
    next: Option<String>,
}

/// `GET /ops/applications`
///
/// # Errors
/// When the database can't be read.
pub async fn applications(
    State(app): State<App>,
    Query(wanted): Query<Applications>,
    shell: Shell,
) -> Result<Response, Error> {
    let state = wanted.state();
    let mut rows = queries::applications(&app.db, state, wanted.before()).await?;
    let is_cut = rows.len() > PAGE;
    rows.truncate(PAGE);
    let last = rows.last().filter(|_| is_cut);
    let page = ApplicationList {
        next: last.map(|last| format!("/ops/applications?state={state}&before={}", last.id)),
        rows: rows
            .iter()
            .map(|row| ListedView::new(shell.locale, row))
            .collect(),
        state,
        shell,
    };
    Ok(page.into_response())
}

/// An application, with what was typed about it.
#[derive(Template, WebTemplate)]
#[template(path = "oversight/application.html")]
pub(super) struct ApplicationPage {
    shell: Shell,
    application: ListedView,
    facts: Vec<(&'static str, String)>,
    note: Option<String>,
    earlier: Vec<ListedView>,
    reasons: Vec<(&'static str, String)>,
    decision: Decision,
    errors: FieldErrors,
    /// Somebody was earlier.
    is_late: bool,
    is_done: bool,
    may_decide: bool,
    waits: bool,
}

/// What is said on a page that a form led back to.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) decision: Decision,
    pub(super) errors: FieldErrors,
    pub(super) is_late: bool,
    /// What has just been done, by its name in the address.
    pub(super) done: Option<&'static str>,
}

impl Said {
    /// What the address says has just been done.
    fn done(query: Option<&str>) -> Self {
        let known = ["decided", "suspended", "restored", "cancelled"];
        Self {
            done: known.into_iter().find(|done| query == Some(done)),
            ..Self::default()
        }
    }

    /// The same with a decision that was typed before its person had to sign in.
    fn with(self, typed: Option<Decision>) -> Self {
        Self {
            decision: typed.unwrap_or_default(),
            ..self
        }
    }
}

/// `GET /ops/applications/{id}`
///
/// # Errors
/// [`Error::NotFound`] for one that was not sent as for none.
pub async fn application(
    State(app): State<App>,
    Path(id): Path<String>,
    uri: axum::http::Uri,
    kept: Kept,
    shell: Shell,
) -> Result<Response, Error> {
    let id = number(&id)?;
    let decision = kept.form(&format!("/ops/applications/{id}/refuse"));
    let said = Said::done(uri.query()).with(decision);
    let page = draw_application(&app, kept.told(shell), id, said).await?;
    Ok(page.into_response())
}

/// A number in a path, as it prints.
pub(super) fn number(text: &str) -> Result<i64, Error> {
    let number = text.parse::<i64>().ok().filter(|number| *number > 0);
    number
        .filter(|number| number.to_string() == text)
        .ok_or(Error::NotFound)
}

/// An application's page.
pub(super) async fn draw_application(
    app: &App,
    shell: Shell,
    id: i64,
    said: Said,
) -> Result<ApplicationPage, Error> {
    let locale = shell.locale;
    let row = queries::application(&app.db, id)
        .await?
        .ok_or(Error::NotFound)?;
    let all = queries::applications_of(&app.db, row.listed.participant).await?;
    let earlier = all.iter().filter(|other| other.id != id);
    Ok(ApplicationPage {
        facts: fragments::facts(locale, &row),
        earlier: earlier.map(|row| ListedView::new(locale, row)).collect(),
        reasons: REFUSALS
            .map(|code| (code, say::refusal(locale, code)))
            .into(),
        decision: said.decision,
        errors: said.errors,
        is_late: said.is_late,
        is_done: said.done.is_some(),
        may_decide: shell.may(&[Role::Operations]),
        waits: row.listed.state == "submitted",
        application: ListedView::new(locale, &row.listed),
        note: row.note,
        shell,
    })
}

#[derive(Template, WebTemplate)]
#[template(path = "oversight/participants.html")]
struct ParticipantList {
    shell: Shell,
    wanted: Participants,
    rows: Vec<ParticipantView>,
    next: Option<String>,
}

/// `GET /ops/participants`
///
/// # Errors
/// When the database can't be read.
pub async fn participants(
    State(app): State<App>,
    Query(wanted): Query<Participants>,
    shell: Shell,
) -> Result<Response, Error> {
    let (name, number, state) = (wanted.name(), wanted.number(), wanted.state());
    let found = queries::participants(&app.db, &name, number, state, wanted.before());
    let mut rows = found.await?;
    let is_cut = rows.len() > PAGE;
    rows.truncate(PAGE);
    let next = rows.last().filter(|_| is_cut).map(|last| {
        let (q, state) = (encoded(&name), state.unwrap_or_default());
        format!("/ops/participants?q={q}&state={state}&before={}", last.id)
    });
    let page = ParticipantList {
        rows: rows
            .iter()
            .map(|row| ParticipantView::new(shell.locale, row))
            .collect(),
        next,
        wanted,
        shell,
    };
    Ok(page.into_response())
}

/// A participant with all that is theirs, and what was typed about it.
#[derive(Template, WebTemplate)]
#[template(path = "oversight/participant.html")]
pub(super) struct ParticipantPage {
    shell: Shell,
    participant: ParticipantView,
    suspended_by: Option<ActView>,
    members: Vec<MemberView>,
    balances: Vec<(String, String, String)>,
    open_count: i64,
    open: String,
    held: String,
    orders: Vec<OrderView>,
    leases: Vec<LeaseView>,
    applications: Vec<ListedView>,
    acts: Vec<ActView>,
    reasons: Vec<(&'static str, String)>,
    decision: Decision,
    errors: FieldErrors,
    is_late: bool,
    done: Option<&'static str>,
    may_decide: bool,
    is_marketplace: bool,
}

/// `GET /ops/participants/{id}`
///
/// # Errors
/// [`Error::NotFound`] where there is none.
pub async fn participant(
    State(app): State<App>,
    Path(id): Path<String>,
    uri: axum::http::Uri,
    kept: Kept,
    shell: Shell,
) -> Result<Response, Error> {
    let number = participant_number(&id)?;
    let typed = |act: &str| kept.form(&format!("/ops/participants/{id}/{act}"));
    let decision = typed("suspend").or_else(|| typed("restore"));
    let said = Said::done(uri.query()).with(decision);
    let page = draw_participant(&app, kept.told(shell), number, said).await?;
    Ok(page.into_response())
}

/// A participant's number in a path, as in `n3`.
pub(super) fn participant_number(text: &str) -> Result<i64, Error> {
    match Reference::parse(text) {
        Some(number @ Reference::Participant(id)) if number.to_string() == text => Ok(id),
        _ => Err(Error::NotFound),
    }
}

/// A participant's page.
pub(super) async fn draw_participant(
    app: &App,
    shell: Shell,
    id: i64,
    said: Said,
) -> Result<ParticipantPage, Error> {
    let locale = shell.locale;
    let db = &app.db;
    let row = queries::participant(db, id).await?.ok_or(Error::NotFound)?;
    let members = queries::members(db, id).await?;
    let balances = queries::balances(db, id).await?;
    let open = queries::open_orders(db, id).await?;
    let orders = queries::orders(db, id).await?;
    let leases = queries::leases(db, id).await?;
    let applications = queries::applications_of(db, id).await?;
    let acts = queries::acts(db, id).await?;
    let suspended_by = match row.suspended {
        Some(_) => queries::last_act(db, id, "suspend").await?,
        None => None,
    };
    let now = app.clock.now();
    let balance = |(kind, amount): &(String, market::Money)| {
        let words = locale.t(format!("account.{kind}")).into_owned();
        let href = format!("/ops/journal?participant=n{id}&account={kind}");
        (words, format::four(*amount), href)
    };
    Ok(ParticipantPage {
        participant: ParticipantView::new(locale, &row),
        suspended_by: suspended_by.map(|act| ActView::new(locale, &act)),
        members: members
            .iter()
            .map(|row| MemberView::new(locale, row))
            .collect(),
        balances: balances.iter().map(balance).collect(),
        open_count: open.count,
        open: format::count(open.count),
        held: format::money(open.held()),
        orders: orders
            .iter()
            .map(|row| OrderView::new(locale, row))
            .collect(),
        leases: leases
            .iter()
            .map(|row| LeaseView::new(locale, row, now))
            .collect(),
        applications: applications
            .iter()
            .map(|row| ListedView::new(locale, row))
            .collect(),
        acts: acts.iter().map(|row| ActView::new(locale, row)).collect(),
        reasons: SUSPENSIONS
            .map(|code| (code, say::suspension(locale, code)))
            .into(),
        decision: said.decision,
        errors: said.errors,
        is_late: said.is_late,
        done: said.done,
        may_decide: shell.may(&[Role::Operations]),
        is_marketplace: id == ParticipantId::MARKETPLACE.0,
        shell,
    })
}

/// Cases of delivery, with what was typed about one.
#[derive(Template, WebTemplate)]
#[template(path = "oversight/cases.html")]
pub(super) struct CaseList {
    shell: Shell,
    are_closed: bool,
    rows: Vec<CaseView>,
    next: Option<String>,
    typed: Option<TypedNote>,
    is_late: bool,
    is_done: bool,
    may_close: bool,
}

/// What came of a case, as it was typed, and what is wrong with it.
pub(super) struct TypedNote {
    pub(super) case: i64,
    pub(super) form: Close,
    pub(super) errors: FieldErrors,
}

impl CaseList {
    /// What was typed about this case.
    fn typed(&self, case: &CaseView) -> Option<&TypedNote> {
        self.typed.as_ref().filter(|typed| typed.case == case.id)
    }
}

/// `GET /ops/cases`
///
/// # Errors
/// When the database can't be read.
pub async fn cases(
    State(app): State<App>,
    Query(wanted): Query<Cases>,
    uri: axum::http::Uri,
    kept: Kept,
    shell: Shell,
) -> Result<Response, Error> {
    let typed = kept.form_of_row::<Close>("/ops/cases/", "/close");
    let typed = typed.and_then(|(case, form)| {
        let (case, errors) = (case.parse().ok()?, FieldErrors::default());
        Some(TypedNote { case, form, errors })
    });
    let mut page = draw_cases(&app, kept.told(shell), &wanted, typed).await?;
    page.is_done = uri.query() == Some("closed");
    Ok(page.into_response())
}

/// The list of cases.
pub(super) async fn draw_cases(
    app: &App,
    shell: Shell,
    wanted: &Cases,
    typed: Option<TypedNote>,
) -> Result<CaseList, Error> {
    let are_closed = wanted.are_closed();
    let mut rows = queries::cases(&app.db, are_closed, wanted.before()).await?;
    let is_cut = rows.len() > PAGE;
    rows.truncate(PAGE);
    let state = if are_closed { "closed" } else { "open" };
    let last = rows.last().filter(|_| is_cut);
    Ok(CaseList {
        are_closed,
        next: last.map(|last| format!("/ops/cases?state={state}&before={}", last.id)),
        rows: rows
            .iter()
            .map(|row| CaseView::new(shell.locale, row))
            .collect(),
        typed,
        is_late: false,
        is_done: false,
        may_close: shell.may(&[Role::Operations]),
        shell,
    })
}

impl CaseList {
    /// The same, where somebody was earlier.
    pub(super) fn late(self) -> Self {
        Self {
            is_late: true,
            ..self
        }
    }
}
