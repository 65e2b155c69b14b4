//! A pool's machines with what can be done about them, and the token that was just made.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use market::{PoolId, ServiceLevel};
use serde::Deserialize;

use super::forms::{self, NewMachine, NewMaintenance, REASONS, Revoke};
use super::fragments::{Machines, own};
use super::queries::{self, MaintenanceRow};
use crate::app::App;
use crate::clock;
use crate::delivery::evidence::is_in_time;
use crate::web::ends::ends_of;
use crate::web::symbol::Symbol;
use crate::web::{Error, FieldErrors, Kept, Locale, Member, Shell, form, format, level, say};

#[derive(Template, WebTemplate)]
#[template(path = "agents/machines.html")]
pub(super) struct Index {
    shell: Shell,
    id: PoolId,
    name: String,
    title: String,
    machines: Machines,
    acts: Vec<ActsView>,
    simulated: i64,
    done: Option<String>,
    notice: Option<String>,
    machine: NewMachine,
    errors: FieldErrors,
    most_units: String,
    maintenance: NewMaintenance,
    maintenance_errors: FieldErrors,
    /// The notice and what it does, as the service level has it; none without one.
    allowed: Option<String>,
    level: String,
    declared: Vec<DeclaredView>,
}

/// What can be done about one machine.
struct ActsView {
    host: i64,
    name: String,
    /// A token that would be made, so that a form that is sent twice makes one.
    token: String,
    has_agent: bool,
    /// The agent that would be ended.
    revoke: Revoke,
    reasons: Vec<(&'static str, String)>,
    errors: FieldErrors,
    is_open: bool,
}

struct DeclaredView {
    period: String,
    note: String,
    declared: String,
    is_in_time: bool,
}

/// What was typed and refused.
#[derive(Default)]
pub(super) struct Typed {
    pub(super) machine: Option<(NewMachine, FieldErrors)>,
    pub(super) maintenance: Option<(NewMaintenance, FieldErrors)>,
    pub(super) revoke: Option<(i64, Revoke, FieldErrors)>,
    pub(super) notice: Option<String>,
}

impl Typed {
    /// What was typed into one of the page's forms before its person had to sign in.
    fn kept(kept: &Kept, id: PoolId) -> Self {
        let path = format!("/provide/pools/{id}");
        let machine: Option<NewMachine> = kept.form(&format!("{path}/machines"));
        let maintenance: Option<NewMaintenance> = kept.form(&format!("{path}/maintenance"));
        let revoke = kept.form_of_row::<Revoke>(&format!("{path}/machines/"), "/revoke");
        Self {
            machine: machine.map(|typed| (typed, FieldErrors::default())),
            maintenance: maintenance.map(|typed| (typed, FieldErrors::default())),
            revoke: revoke.and_then(|(host, typed)| {
                Some((host.parse().ok()?, typed, FieldErrors::default()))
            }),
            notice: None,
        }
    }
}

/// What has just been done.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Done {
    done: String,
    /// Which maintenance was declared.
    declared: String,
}

/// `GET /provide/pools/{id}/machines`
///
/// # Errors
/// [`Error::NotFound`] for another participant's pool as for none.
pub async fn index(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(done): Query<Done>,
    kept: Kept,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let id: PoolId = id.parse().map_err(|_| Error::NotFound)?;
    let typed = Typed::kept(&kept, id);
    let mut page = draw(&app, kept.told(shell), &member, id, typed).await?;
    page.done = match &*done.done {
        "registered" => Some("machine.done.registered"),
        "revoked" => Some("machine.done.revoked"),
        _ => None,
    }
    .map(|key| page.shell.locale.t(key).into_owned());
    if let Ok(number) = done.declared.parse() {
        page.done = said_of_maintenance(&app, page.shell.locale, id, number).await?;
    }
    Ok(page.into_response())
}

/// What is said of maintenance that was just declared: whether it was in time.
async fn said_of_maintenance(
    app: &App,
    locale: Locale,
    id: PoolId,
    number: i64,
) -> Result<Option<String>, Error> {
    let rows = queries::maintenances(&app.db, id).await?;
    let declared = rows.iter().find(|row| row.id == number);
    let level = terms(app, id);
    Ok(declared.map(|row| {
        let view = DeclaredView::new(locale, row, level.as_ref());
        let key = if view.is_in_time {
            "maintenance.done.in_time"
        } else {
            "maintenance.done.late"
        };
        locale.tr(key, [("period", &view.period)])
    }))
}

/// The service level of a pool's units, as the rule set in force has it.
fn terms(app: &App, id: PoolId) -> Option<ServiceLevel> {
    let market = app.feed.market();
    let instrument = market.instrument(market.pool(id)?.instrument)?;
    let levels = &market.rules().service_levels;
    levels.get(instrument.service_level()).cloned()
}

impl DeclaredView {
    fn new(locale: Locale, row: &MaintenanceRow, level: Option<&ServiceLevel>) -> Self {
        let period = row.period();
        let minute = locale.minute(row.declared_at());
        let start = clock::instant(period.start.begins());
        let declared_at = clock::instant(row.declared_at());
        let counts = |level: &ServiceLevel| {
            let notice = level.maintenance_notice_hours;
            level.maintenance_bps > 0 && is_in_time(start, declared_at, notice)
        };
        Self {
            period: locale.period(period),
            note: row.note.clone(),
            declared: match &row.login {
                Some(login) => format!("{login} · {minute}"),
                None => minute,
            },
            is_in_time: level.is_some_and(counts),
        }
    }
}

/// The page, with what was typed and refused.
pub(super) async fn draw(
    app: &App,
    shell: Shell,
    member: &Member,
    id: PoolId,
    typed: Typed,
) -> Result<Index, Error> {
    let (pool, row) = own(app, member.participant, id).await?;
    let (locale, now) = (shell.locale, app.clock.now());
    let symbol = Symbol::new(&row.symbol);
    let machines = Machines::of(app, locale, id, &row).await?;
    let level = terms(app, id);
    let (machine, errors) = typed.machine.unwrap_or_default();
    let (maintenance, maintenance_errors) = typed.maintenance.unwrap_or_else(|| {
        let notice = level
            .as_ref()
            .map_or(0, |level| level.maintenance_notice_hours);
        let period = forms::soonest(now, notice, pool.period);
        let [from_day, from_hour, to_day, to_hour] = ends_of(period);
        let form = NewMaintenance {
            from_day,
            from_hour,
            to_day,
            to_hour,
            note: String::new(),
            form_id: form::client_id(),
        };
        (form, FieldErrors::default())
    });
    let declared = queries::maintenances(&app.db, id).await?;
    Ok(Index {
        acts: acts(app, locale, id, typed.revoke.as_ref()).await?,
        id,
        name: row.name,
        title: symbol.title(locale),
        machines,
        simulated: row.simulated,
        done: None,
        notice: typed.notice,
        machine,
        errors,
        most_units: format::count(forms::most_units(&pool)),
        maintenance,
        maintenance_errors,
        allowed: level
            .as_ref()
            .map(|level| level::maintenance(locale, level)),
        level: symbol.level(locale),
        declared: declared
            .iter()
            .map(|row| DeclaredView::new(locale, row, level.as_ref()))
            .collect(),
        shell: shell.live_from(format!("/provide/pools/{id}/machines/live")),
    })
}

async fn acts(
    app: &App,
    locale: Locale,
    id: PoolId,
    typed: Option<&(i64, Revoke, FieldErrors)>,
) -> Result<Vec<ActsView>, Error> {
    let rows = queries::machines(&app.db, id).await?;
    let mut acts = Vec::with_capacity(rows.len());
    for row in rows {
        let typed = typed.filter(|(host, ..)| *host == row.id);
        let agent = row.agent.map(|agent| agent.to_string());
        acts.push(ActsView {
            host: row.id,
            token: forms::secret()?,
            has_agent: row.agent.is_some(),
            revoke: Revoke {
                agent: agent.unwrap_or_default(),
                reason: typed
                    .map(|(_, form, _)| form.reason.clone())
                    .unwrap_or_default(),
            },
            reasons: REASONS
                .map(|code| (code, say::agent_ended(locale, code)))
                .into(),
            errors: typed.map(|(.., errors)| errors.clone()).unwrap_or_default(),
            is_open: typed.is_some(),
            name: row.name,
        });
    }
    Ok(acts)
}

/// A token, this once.
#[derive(Template, WebTemplate)]
#[template(path = "agents/token.html")]
pub(super) struct Token {
    pub(super) shell: Shell,
    pub(super) id: PoolId,
    pub(super) name: String,
    /// The line that enrols the machine.
    pub(super) command: String,
    pub(super) hours: String,
}
