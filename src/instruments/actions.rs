//! Buying.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use market::{ListInstrument, Rejection};

use super::forms::{Terms, Ticket};
use super::pages::{self, Refusal};
use super::{fragments, queries};
use crate::app::App;
use crate::web::acts::Origin;
use crate::web::placing::{self, Placed};
use crate::web::symbol::Symbol;
use crate::web::{Error, FieldErrors, Form, Session, Shell, say};

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
    let listed = fragments::listed(&app.feed.market(), &symbol)?;
    let terms = match read(&app, &shell, &listed, &ticket) {
        Ok(terms) => terms,
        Err(refusal) => {
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
    let fees = app.feed.market().rules().buyer_fee;
    if !ticket.names_hold(&terms, fees) {
        return ask(ticket, notice("ticket.hold_changed")).await;
    }
    let member = &session.member;
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
    let order = terms.order(member.participant, client_id, listed.instrument);
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
        Placed::Uncertain => return ask(ticket, notice("ticket.uncertain")).await,
    };
    match receipt.rejection() {
        None => Ok(Redirect::to(&placing::onward(&receipt)).into_response()),
        Some(Rejection::DuplicateId) => {
            // This ticket was an order already; what is sent now is another one.
            ticket.client_id = crate::web::form::client_id();
            ask(ticket, notice("ticket.used")).await
        }
        Some(rejection) => {
            let refusal = refusal(&shell, &terms, listed.lot, rejection);
            if refusal.notice.is_some() {
                ask(ticket, refusal).await
            } else {
                pages::refuse(&app, shell, &session, &symbol, ticket, refusal).await
            }
        }
    }
}

/// What a sent ticket means, if the market could take it.
fn read(
    app: &App,
    shell: &Shell,
    listed: &ListInstrument,
    ticket: &Ticket,
) -> Result<Terms, Refusal> {
    let soon = crate::web::window::soon(&app.clock);
    let terms = ticket.read(shell.locale, soon).map_err(|errors| Refusal {
        errors,
        ..Refusal::default()
    })?;
    match terms.flaw(listed, app.clock.now()) {
        Some(flaw) => Err(refusal(shell, &terms, listed.lot, flaw)),
        None => Ok(terms),
    }
}

/// What the market's no means for the ticket: at its field, or for all of it.
fn refusal(shell: &Shell, terms: &Terms, lot: i64, rejection: Rejection) -> Refusal {
    let said = say::rejection(shell.locale, rejection);
    let mut errors = FieldErrors::default();
    let mut notice = None;
    match terms.field_of(rejection, lot) {
        Some(field) => errors.add(field, said),
        None => notice = Some(said),
    }
    Refusal { errors, notice }
}
