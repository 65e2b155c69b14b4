//! The overview of a provider, its leases, and one of them.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use market::LeaseId;

use super::forms::{Filter, Which};
use super::fragments::lease::{self, Hours, Journal, Stage, Sums};
use super::fragments::{self, Attention, Figures, Leases, Record};
use super::queries;
use crate::app::App;
use crate::web::certificate;
use crate::web::delivered::Delivered;
use crate::web::failure::Failure;
use crate::web::symbol::{Symbol, cluster};
use crate::web::tank::Tank;
use crate::web::{Error, Member, Shell, format};

/// How many leases a page has.
const PAGE: i64 = 50;

#[derive(Template, WebTemplate)]
#[template(path = "supply/index.html")]
struct Index {
    shell: Shell,
    under: String,
    is_certified: bool,
    /// What a participant that is not certified is told, and what its button says.
    door: Option<(&'static str, &'static str)>,
    attention: Attention,
    figures: Figures,
    tank: Tank,
    leases: Leases,
    record: Record,
}

#[derive(Template, WebTemplate)]
#[template(path = "supply/empty.html")]
struct Empty {
    shell: Shell,
    lead: &'static str,
    step: usize,
    href: &'static str,
    button: &'static str,
}

/// What a participant does next to become a provider: a sentence and a button.
fn door(application: Option<&str>) -> (&'static str, &'static str) {
    match application {
        None => ("supply.door.none", "supply.to_apply"),
        Some("draft") => ("supply.door.draft", "supply.door.go_on"),
        Some("refused") => ("supply.door.refused", "supply.door.mend"),
        Some(_) => ("supply.door.submitted", "supply.door.see"),
    }
}

/// `GET /provide`: the overview, or what to do first.
///
/// # Errors
/// When the database can't be read.
pub async fn index(
    State(app): State<App>,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let of = member.participant;
    let locale = shell.locale;
    let certificate = certificate::of(&app.db, of).await?;
    let application = queries::application(&app.db, of).await?;
    let parts = fragments::parts(&app, locale, &member).await?;
    let is_new = parts.pools == 0 && parts.leases.rows.is_empty();
    if is_new {
        let page = match certificate {
            Some(_) => Empty {
                shell,
                lead: "supply.door.certified",
                step: 2,
                href: "/provide/pools/new",
                button: "pools.new",
            },
            None => {
                let (lead, button) = door(application.as_deref());
                Empty {
                    shell,
                    lead,
                    step: 1,
                    href: "/provide/apply",
                    button,
                }
            }
        };
        return Ok(page.into_response());
    }
    let mut under = locale.tr(
        "supply.under",
        [
            ("name", &*member.name),
            ("pools", &parts.pools.to_string()),
            ("units", &format::count(parts.units)),
        ],
    );
    if let Some(certificate) = &certificate {
        under.push_str(" · ");
        under.push_str(cluster(certificate.region, locale));
    }
    let page = Index {
        under,
        is_certified: certificate.is_some(),
        door: certificate.is_none().then(|| door(application.as_deref())),
        attention: parts.attention,
        figures: parts.figures,
        tank: parts.tank,
        leases: parts.leases,
        record: parts.record,
        shell: shell.live_from("/provide/live".to_owned()),
    };
    Ok(page.into_response())
}

#[derive(Template, WebTemplate)]
#[template(path = "supply/leases.html")]
struct LeaseList {
    shell: Shell,
    which: Which,
    leases: Leases,
    older: Option<String>,
}

impl LeaseList {
    fn filters(&self) -> [Which; 4] {
        Which::ALL
    }
}

/// `GET /provide/leases`: what the participant has sold, the newest first.
///
/// # Errors
/// When the database can't be read.
pub async fn leases(
    State(app): State<App>,
    Query(filter): Query<Filter>,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let (which, now) = (filter.which(), app.clock.now());
    let of = member.participant;
    let mut rows = queries::leases(&app.db, of, which, now, filter.before(), PAGE + 1).await?;
    let size = usize::try_from(PAGE).unwrap_or_default();
    let has_more = rows.len() > size;
    rows.truncate(size);
    let older = rows
        .last()
        .filter(|_| has_more)
        .map(|row| format!("/provide/leases?state={}&before={}", which.name(), row.id));
    let page = LeaseList {
        leases: Leases::page(shell.locale, &rows, now),
        which,
        older,
        shell,
    };
    Ok(page.into_response())
}

#[derive(Template, WebTemplate)]
#[template(path = "supply/lease.html")]
struct Lease {
    shell: Shell,
    id: String,
    symbol: Symbol,
    units: String,
    /// What it has still, where that is not what was traded.
    held: Option<String>,
    period: String,
    price: String,
    stage: Stage,
    hours: Hours,
    sums: Sums,
    journal: Journal,
    failure: Failure,
    delivered: Delivered,
    holder: String,
    pool_href: String,
    pool_name: String,
    traded_at: String,
    rules: i64,
}

/// `GET /provide/leases/{id}`
///
/// # Errors
/// [`Error::NotFound`] for another provider's as for none.
pub async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let id: LeaseId = id.parse().map_err(|_| Error::NotFound)?;
    let of = member.participant;
    let row = queries::lease(&app.db, of, id).await?;
    let row = row.ok_or(Error::NotFound)?;
    let (locale, now) = (shell.locale, app.clock.now());
    let parts = lease::parts(&app, locale, of, &row).await?;
    let page = Lease {
        id: id.to_string(),
        symbol: Symbol::new(&row.symbol),
        units: row.held.units(now),
        held: row.held.note(locale, now),
        period: locale.period(row.period),
        price: format::money(row.price),
        stage: parts.stage,
        hours: parts.hours,
        sums: parts.sums,
        journal: parts.journal,
        failure: parts.failure,
        delivered: parts.delivered,
        holder: row.holder.clone(),
        pool_href: format!("/provide/pools/{}", row.pool),
        pool_name: row.pool_name.unwrap_or_else(|| row.pool.to_string()),
        traded_at: locale.second(row.traded_at),
        rules: row.rules,
        shell: shell.live_from(format!("/provide/leases/{id}/live")),
    };
    Ok(page.into_response())
}
