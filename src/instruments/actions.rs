//! Buying.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use market::{PlaceOrder, Rejection};

use super::forms::{Terms, Ticket};
use super::pages::{self, Refusal};
use super::queries;
use crate::app::App;
use crate::web::acts::Origin;
use crate::web::placing::{self, Placed};
use crate::web::symbol::Symbol;
use crate::web::window::soon;
use crate::web::{Error, FieldErrors, Form, Locale, Session, Shell};

/// `POST /market/{symbol}/orders`: the confirmed ticket as an order; then to its lease, to the
/// order, or to the request that a second person is to approve.
///
/// # Errors
/// When no such instrument is listed, or the market takes no commands.
pub async fn buy(
    State(app): State<App>,
    Path(symbol): Path<String>,
    origin: Origin,
    shell: Shell,
    session: Session,
    Form(mut ticket): Form<Ticket>,
) -> Result<Response, Error> {
    let locale = shell.locale;
    let listed = queries::listed(&app.feed.market(), &symbol)?;
    let terms = match read(&app, locale, &ticket) {
        Ok(terms) => terms,
        Err(errors) => {
            let refusal = Refusal {
                errors,
                ..Refusal::default()
            };
            return pages::refuse(&app, shell, &session, &symbol, ticket, refusal).await;
        }
    };
    let ask = async |ticket, refusal| {
        let page = pages::ask(
            &app,
            shell.clone(),
            &session,
            &listed,
            ticket,
            &terms,
            refusal,
        );
        Ok((StatusCode::UNPROCESSABLE_ENTITY, page.await?).into_response())
    };
    let notice = |key: &str| Refusal {
        notice: Some(locale.t(key).into_owned()),
        ..Refusal::default()
    };
    let Some(client_id) = ticket.client_id() else {
        ticket.client_id = crate::web::form::client_id();
        return ask(ticket, notice("ticket.again")).await;
    };
    let member = &session.member;
    let order = terms.order(member.participant, client_id, listed.instrument);
    let refused = flaw(&app, &order).map(|flaw| Refusal::new(locale, &terms, listed.lot, flaw));
    match refused {
        Some(refusal) if refusal.notice.is_some() => return ask(ticket, refusal).await,
        Some(refusal) => {
            return pages::refuse(&app, shell, &session, &symbol, ticket, refusal).await;
        }
        None => {}
    }
    let hold = placing::cost(app.feed.market().rules(), &order);
    if !ticket.names_hold(hold) {
        return ask(ticket, notice("ticket.hold_changed")).await;
    }
    let keys = queries::keys(&app.db, member.participant).await?;
    let access = match ticket.access(locale, Symbol::new(&symbol).grade, &keys) {
        Ok(access) => access,
        Err(errors) => {
            let refusal = Refusal {
                errors,
                ..Refusal::default()
            };
            return ask(ticket, refusal).await;
        }
    };
    let receipt = match placing::place(&app, &origin, member, order, access).await? {
        Placed::Answered(receipt) => receipt,
        Placed::Asked(id) => {
            let request = format!("/orders/requests/{id}?asked");
            return Ok(Redirect::to(&request).into_response());
        }
        Placed::Used => {
            ticket.client_id = crate::web::form::client_id();
            return ask(ticket, notice("ticket.used")).await;
        }
        // A form may always wait, so it is told the former.
        Placed::TooMany | Placed::Exceeds(_) => {
            return ask(ticket, notice("request.too_many")).await;
        }
        // The same ticket tells: sent again, it is the same order.
        Placed::Uncertain => {
            let page = ask(ticket, notice("ticket.uncertain")).await?;
            return Ok((StatusCode::SERVICE_UNAVAILABLE, page).into_response());
        }
    };
    match receipt.rejection() {
        None => Ok(Redirect::to(&placing::onward(&receipt)).into_response()),
        Some(Rejection::DuplicateId) => {
            // This ticket was an order already; what is sent now is another one.
            ticket.client_id = crate::web::form::client_id();
            ask(ticket, notice("ticket.used")).await
        }
        Some(rejection) => {
            let refusal = Refusal::new(locale, &terms, listed.lot, rejection);
            if refusal.notice.is_some() {
                ask(ticket, refusal).await
            } else {
                pages::refuse(&app, shell, &session, &symbol, ticket, refusal).await
            }
        }
    }
}

/// What a confirmed ticket means: its limit was named.
fn read(app: &App, locale: Locale, ticket: &Ticket) -> Result<Terms, FieldErrors> {
    let terms = ticket.read(locale, soon(&app.clock))?;
    if terms.price.is_none() {
        let mut errors = FieldErrors::default();
        errors.add("price", locale.t("ticket.bad.price"));
        return Err(errors);
    }
    Ok(terms)
}

/// Why the market would not take an order, so that none is asked for that it would not. One that is
/// there already is the market's to answer: sent again, it is the same.
fn flaw(app: &App, order: &PlaceOrder) -> Option<Rejection> {
    let market = app.feed.market();
    let is_there = market.order_of(order.participant, &order.client_id);
    if is_there.is_some() {
        return None;
    }
    market.quote(order).err()
}
