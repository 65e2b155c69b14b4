//! The box's answer, and an order, a trade and a lease with the chain that they stand in.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use market::{LeaseId, OrderId, TradeId};

use super::forms::{Part, Search};
use super::fragments::{
    self, DisputeView, EntryView, Fact, FillView, HOURS, HitView, HourView, Step,
};
use super::queries::{self, Hit, PAGE, TradeRow};
use crate::app::App;
use crate::web::delivered::Delivered;
use crate::web::failure::{Failure, Reader};
use crate::web::identifier::{BadIdentifier, Identifier};
use crate::web::reference::Reference;
use crate::web::{Error, Role, Shell, format};

#[derive(Template, WebTemplate)]
#[template(path = "lookup/search.html")]
struct Found {
    shell: Shell,
    q: String,
    hits: Vec<HitView>,
    /// It looks like an identifier, but for its check digits.
    is_mistyped: bool,
}

/// `GET /ops/search`: straight to what is meant where there is one, else what there is.
///
/// # Errors
/// When the database can't be read.
pub async fn search(
    State(app): State<App>,
    Query(search): Query<Search>,
    shell: Shell,
) -> Result<Response, Error> {
    let hits = hits(&app, &search).await?;
    if let [hit] = hits.as_slice() {
        return Ok(Redirect::to(&hit.reference.href()).into_response());
    }
    let page = Found {
        hits: hits
            .iter()
            .map(|hit| HitView::new(shell.locale, hit))
            .collect(),
        is_mistyped: Identifier::read(&search.q) == Err(BadIdentifier::Check),
        q: search.q.trim().chars().take(100).collect(),
        shell,
    };
    Ok(page.into_response())
}

async fn hits(app: &App, search: &Search) -> Result<Vec<Hit>, Error> {
    let Some(text) = search.text() else {
        return Ok(Vec::new());
    };
    let mut found = queries::there(&app.db, &search.references()).await?;
    if let Ok(identifier) = Identifier::read(text) {
        found.extend(queries::by_identifier(&app.db, identifier).await?);
    }
    found.extend(queries::by_client_id(&app.db, text).await?);
    found.extend(queries::by_name(&app.db, text).await?);
    let mut hits: Vec<Hit> = Vec::new();
    for hit in found {
        if hits.iter().all(|known| known.reference != hit.reference) {
            hits.push(hit);
        }
    }
    Ok(hits)
}

#[derive(Template, WebTemplate)]
#[template(path = "lookup/order.html")]
struct OrderPage {
    shell: Shell,
    number: Reference,
    title: String,
    state: (String, &'static str),
    period: String,
    price: String,
    chain: Vec<Step>,
    facts: Vec<Fact>,
    fills: Vec<FillView>,
    next: Option<String>,
    entries: Vec<EntryView>,
}

/// `GET /ops/orders/{id}`: any participant's order.
///
/// # Errors
/// [`Error::NotFound`] where there is none.
pub async fn order(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(part): Query<Part>,
    shell: Shell,
) -> Result<Response, Error> {
    let id: OrderId = id.parse().map_err(|_| Error::NotFound)?;
    let row = queries::order(&app.db, id).await?.ok_or(Error::NotFound)?;
    let mut fills = queries::fills(&app.db, &row, part.after()).await?;
    let is_cut = fills.len() > PAGE;
    fills.truncate(PAGE);
    let entries = queries::entries_of_order(&app.db, id).await?;
    let locale = shell.locale;
    let last = fills.last().filter(|_| is_cut);
    let page = OrderPage {
        number: Reference::Order(id.0),
        title: fragments::title_of_order(locale, &row),
        state: fragments::state_of_order(locale, &row),
        period: locale.period(row.period()),
        price: format::money(row.price()),
        chain: fragments::chain_of_order(locale, &row),
        facts: fragments::facts_of_order(locale, &row),
        next: last.map(|last| format!("/ops/orders/{id}?after={}", last.id)),
        fills: fills
            .iter()
            .map(|fill| FillView::new(locale, fill))
            .collect(),
        entries: entries
            .iter()
            .map(|row| EntryView::new(locale, row))
            .collect(),
        shell,
    };
    Ok(page.into_response())
}

#[derive(Template, WebTemplate)]
#[template(path = "lookup/trade.html")]
struct TradePage {
    shell: Shell,
    number: Reference,
    title: String,
    period: String,
    price: String,
    chain: Vec<Step>,
    facts: Vec<Fact>,
    entries: Vec<EntryView>,
}

/// `GET /ops/trades/{id}`
///
/// # Errors
/// [`Error::NotFound`] where there is none.
pub async fn trade(
    State(app): State<App>,
    Path(id): Path<String>,
    shell: Shell,
) -> Result<Response, Error> {
    let id: TradeId = id.parse().map_err(|_| Error::NotFound)?;
    let row = queries::trade(&app.db, id.0)
        .await?
        .ok_or(Error::NotFound)?;
    let entries = queries::entries_of_lease(&app.db, LeaseId(id.0)).await?;
    let locale = shell.locale;
    let own = entries.iter().filter(|entry| entry.reason == "trade");
    let page = TradePage {
        number: Reference::Trade(id.0),
        title: title_of_trade(&shell, &row),
        period: locale.period(row.period()),
        price: format::money(row.price()),
        chain: fragments::chain_of_trade(locale, &row, false),
        facts: fragments::facts_of_trade(locale, &row),
        entries: own.map(|row| EntryView::new(locale, row)).collect(),
        shell,
    };
    Ok(page.into_response())
}

fn title_of_trade(shell: &Shell, row: &TradeRow) -> String {
    let symbol = crate::web::symbol::Symbol::new(&row.symbol);
    format!(
        "{} × {}",
        format::count(row.units),
        symbol.title(shell.locale)
    )
}

#[derive(Template, WebTemplate)]
#[template(path = "lookup/lease.html")]
struct LeasePage {
    shell: Shell,
    number: Reference,
    title: String,
    stage: (&'static str, &'static str),
    period: String,
    price: String,
    chain: Vec<Step>,
    facts: Vec<Fact>,
    money: Vec<(&'static str, String)>,
    hours: Vec<HourView>,
    earlier: Option<String>,
    later: Option<String>,
    entries: Vec<EntryView>,
    disputes: Vec<DisputeView>,
    failure: Failure,
    delivered: Delivered,
    /// Whether it may be found to be failed here.
    may_default: bool,
}

/// `GET /ops/leases/{id}`: any lease, a week of its hours at a time.
///
/// # Errors
/// [`Error::NotFound`] where there is none.
pub async fn lease(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(part): Query<Part>,
    shell: Shell,
) -> Result<Response, Error> {
    let id: LeaseId = id.parse().map_err(|_| Error::NotFound)?;
    let row = queries::trade(&app.db, id.0)
        .await?
        .ok_or(Error::NotFound)?;
    let (locale, now, period) = (shell.locale, app.clock.now(), row.period());
    let shown = fragments::shown(period, part.after().min(period.hours()));
    let settled = queries::settlements(&app.db, id, shown).await?;
    let entries = queries::entries_of_lease(&app.db, id).await?;
    let disputes = queries::disputes(&app.db, id).await?;
    let failure = Failure::of(&app.db, locale, id, Reader::Platform).await?;
    let part = |after: i64| format!("/ops/leases/{id}?after={after}#hours");
    let place = shown.start.0 - period.start.0;
    let page = LeasePage {
        number: Reference::Lease(id.0),
        title: title_of_trade(&shell, &row),
        stage: fragments::stage_of_lease(&row, now),
        period: locale.period(period),
        price: format::money(row.price()),
        chain: fragments::chain_of_trade(locale, &row, true),
        facts: fragments::facts_of_trade(locale, &row),
        money: fragments::money_of_lease(&row),
        hours: fragments::hours(locale, &row, shown, &settled, now),
        earlier: (place > 0).then(|| part((place - HOURS).max(0))),
        later: (shown.end < period.end).then(|| part(place + HOURS)),
        entries: entries
            .iter()
            .map(|row| EntryView::new(locale, row))
            .collect(),
        disputes: disputes.iter().map(DisputeView::new).collect(),
        may_default: shell.may(&[Role::Operations])
            && !row.ended
            && !failure.is_there()
            && now.next_hour() < period.end,
        failure,
        delivered: Delivered::of(&app, locale, id).await?,
        shell,
    };
    Ok(page.into_response())
}
