//! The leases, and one of them.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use market::LeaseId;

use super::fragments::{self, Cost, Hours, List, StageTag, Timeline};
use super::queries;
use crate::app::App;
use crate::web::symbol::Symbol;
use crate::web::{Error, Member, Shell, format};

#[derive(Template, WebTemplate)]
#[template(path = "leases/index.html")]
struct Index {
    shell: Shell,
    list: List,
}

#[derive(Template, WebTemplate)]
#[template(path = "leases/show.html")]
struct Show {
    shell: Shell,
    id: String,
    symbol: Symbol,
    units: i64,
    period: String,
    price: String,
    stage: StageTag,
    is_new: bool,
    state: Timeline,
    hours: Hours,
    cost: Cost,
    facts: Vec<Fact>,
}

struct Fact {
    key: &'static str,
    value: String,
    href: Option<String>,
    is_code: bool,
}

/// `GET /leases`
///
/// # Errors
/// When the database can't be read.
pub async fn index(
    State(app): State<App>,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let list = fragments::list(&app, shell.locale, &member).await?;
    let shell = shell.live_from("/leases/live".to_owned());
    Ok(Index { shell, list }.into_response())
}

/// `GET /leases/{id}`
///
/// # Errors
/// [`Error::NotFound`] for another holder's as for none.
pub async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    uri: Uri,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let id: LeaseId = id.parse().map_err(|_| Error::NotFound)?;
    let row = queries::lease(&app.db, member.participant, id)
        .await?
        .ok_or(Error::NotFound)?;
    let locale = shell.locale;
    let parts = fragments::parts(&app, locale, &row).await?;
    let symbol = Symbol::new(&row.symbol);
    let fact = |key, value: String, href: Option<String>, is_code| Fact {
        key,
        value,
        href,
        is_code,
    };
    let provider = row.provider.clone().unwrap_or_default();
    let facts = vec![
        fact("lease.fact.provider", provider, None, false),
        fact("lease.fact.pool", format!("p{}", row.pool), None, true),
        fact(
            "lease.fact.instrument",
            row.symbol.clone(),
            Some(format!("/market/{}", row.symbol)),
            true,
        ),
        fact(
            "lease.fact.order",
            row.order.to_string(),
            Some(format!("/orders/{}", row.order)),
            true,
        ),
        fact("lease.fact.rules", format!("v{}", row.rules), None, false),
        fact("lease.fact.level", symbol.level(locale), None, false),
    ];
    let page = Show {
        id: id.to_string(),
        units: row.units,
        period: locale.period(row.period),
        price: format::money(row.price),
        stage: parts.stage,
        is_new: uri.query() == Some("bought"),
        state: parts.state,
        hours: parts.hours,
        cost: parts.cost,
        facts,
        symbol,
        shell: shell.live_from(format!("/leases/{id}/live")),
    };
    Ok(page.into_response())
}
