//! The orders, one of them, what a change of it changes, a request for approval, and the contract
//! note of a trade.

mod replacement;
mod request;
mod trade;

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use market::OrderId;

use super::forms::Change;
use super::fragments::{self, List, View, why};
use super::queries::{self, Fill, OrderRow};
use crate::app::App;
use crate::web::symbol::Symbol;
use crate::web::{Error, FieldErrors, Kept, Locale, Member, Role, Shell, format, window};

pub use replacement::replacement;
pub(super) use replacement::{confirm, refuse, refuse_for, too_much};
pub(super) use request::draw_request;
pub use request::request;
pub use trade::{note_file, trade};

#[derive(Template, WebTemplate)]
#[template(path = "orders/index.html")]
struct Index {
    shell: Shell,
    list: List,
}

#[derive(Template, WebTemplate)]
#[template(path = "orders/show.html")]
pub(super) struct Show {
    shell: Shell,
    order: View,
    fills: Vec<FillView>,
    /// Other hours in which it would fill now, and their ticket.
    nearest: Option<(String, String)>,
    /// Where the pool of an ask is, for whoever runs it.
    pool: Option<String>,
    /// The change of an open bid as it was typed, for whoever may make one.
    change: Option<Change>,
    errors: FieldErrors,
    notice: Option<String>,
    done: Option<&'static str>,
}

/// What was typed to change an order, and what is wrong with it.
#[derive(Default)]
pub(super) struct Typed {
    pub(super) change: Option<Change>,
    pub(super) errors: FieldErrors,
    pub(super) notice: Option<String>,
}

struct FillView {
    href: String,
    lease: String,
    title: String,
    at: String,
    units: String,
    price: String,
    total: String,
    period: String,
}

/// `GET /orders`
///
/// # Errors
/// When the database can't be read.
pub async fn index(
    State(app): State<App>,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let list = fragments::list(&app, shell.locale, &member).await?;
    let shell = shell.live_from("/orders/live".to_owned());
    Ok(Index { shell, list }.into_response())
}

/// `GET /orders/{id}`
///
/// # Errors
/// [`Error::NotFound`] for another participant's as for none.
pub async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    uri: Uri,
    kept: Kept,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let typed = Typed {
        change: kept.form(&format!("/orders/{id}/replace")),
        ..Typed::default()
    };
    let page = draw(&app, kept.told(shell), &member, &id, typed).await?;
    let done = (uri.query() == Some("changed")).then_some("change.done");
    Ok(Show { done, ..page }.into_response())
}

/// The page of an order, with a change as it was typed and what is wrong with it.
pub(super) async fn draw(
    app: &App,
    shell: Shell,
    member: &Member,
    id: &str,
    typed: Typed,
) -> Result<Show, Error> {
    let row = row(app, member, id).await?;
    let (locale, now) = (shell.locale, app.clock.now());
    let fills = queries::fills(&app.db, member.participant, row.id).await?;
    let fills = fills.into_iter().map(|fill| FillView::new(locale, fill));
    let fills = fills.collect();
    let order = why::order_of(&row, &app.feed.market()).cloned();
    let order = order.as_ref();
    let open_bid = order.filter(|order| order.is_bid() && order.done.is_none());
    let soon = window::soon(&app.clock);
    let nearest =
        open_bid.and_then(|bid| why::nearest(&app.feed, bid, soon).map(|hours| (bid, hours)));
    let nearest = nearest.and_then(|(bid, hours)| {
        let symbol = row.symbols.first().filter(|_| row.symbols.len() == 1)?;
        let (units, query) = (bid.remaining(), hours.query());
        let ticket = format!("/market/{symbol}?units={units}&{query}#ticket");
        Some((locale.period(hours.period), ticket))
    });
    let may_change = member.roles.have(&[Role::Buyer]) && !member.is_suspended;
    let change = open_bid
        .filter(|_| may_change)
        .map(|bid| typed.change.unwrap_or_else(|| Change::of(bid)));
    let pool = order.filter(|order| !order.is_bid() && member.roles.have(&[Role::Operator]));
    let pool = pool.and_then(market::Order::pool);
    Ok(Show {
        order: View::new(locale, &row, &app.feed.market(), now),
        fills,
        nearest,
        pool: pool.map(|pool| format!("/provide/pools/{pool}")),
        change,
        errors: typed.errors,
        notice: typed.notice,
        done: None,
        shell,
    })
}

/// A participant's order by what stands in the address.
pub(super) async fn row(app: &App, member: &Member, id: &str) -> Result<OrderRow, Error> {
    let id: OrderId = id.parse().map_err(|_| Error::NotFound)?;
    let row = queries::order(&app.db, member.participant, id).await?;
    row.ok_or(Error::NotFound)
}

impl FillView {
    fn new(locale: Locale, fill: Fill) -> Self {
        let total = fill.price.times(fill.units, fill.period.hours());
        Self {
            href: format!("/leases/{}", fill.lease),
            lease: fill.lease.to_string(),
            title: Symbol::new(&fill.symbol).title(locale),
            at: locale.second(fill.at),
            units: format::count(fill.units),
            price: format::money(fill.price),
            total: format::wide(total),
            period: locale.period(fill.period),
        }
    }
}
