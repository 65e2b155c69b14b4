//! The orders, and one of them.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use market::OrderId;

use super::fragments::{self, List, View};
use super::queries;
use crate::app::App;
use crate::web::symbol::Symbol;
use crate::web::{Error, Member, Shell, format};

#[derive(Template, WebTemplate)]
#[template(path = "orders/index.html")]
struct Index {
    shell: Shell,
    list: List,
}

#[derive(Template, WebTemplate)]
#[template(path = "orders/show.html")]
struct Show {
    shell: Shell,
    order: View,
    fills: Vec<FillView>,
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
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let id: OrderId = id.parse().map_err(|_| Error::NotFound)?;
    let of = member.participant;
    let row = queries::order(&app.db, of, id)
        .await?
        .ok_or(Error::NotFound)?;
    let locale = shell.locale;
    let fills = queries::fills(&app.db, of, id)
        .await?
        .into_iter()
        .map(|fill| {
            let total = fill.price.times(fill.units, fill.period.hours());
            FillView {
                href: format!("/leases/{}", fill.lease),
                lease: fill.lease.to_string(),
                title: Symbol::new(&fill.symbol).title(locale),
                at: locale.second(fill.at),
                units: format::count(fill.units),
                price: format::money(fill.price),
                total: format::wide(total),
                period: locale.period(fill.period),
            }
        });
    let fills = fills.collect();
    let order = View::new(locale, &row, &app.feed.market());
    Ok(Show {
        shell,
        order,
        fills,
    }
    .into_response())
}
