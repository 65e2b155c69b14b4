//! Buying.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use market::{Command, EventKind, LeaseId, OrderId, Rejection};

use super::forms::{self, Ticket};
use super::{fragments, pages};
use crate::app::App;
use crate::sequencer::{Actor, Receipt, SubmitError};
use crate::web::window::soon;
use crate::web::{Error, FieldErrors, Form, Session, Shell, say};

/// `POST /market/{symbol}/orders`: the ticket as an order; then to its lease, or to the order.
///
/// # Errors
/// When no such instrument is listed, or the market takes no commands.
pub async fn buy(
    State(app): State<App>,
    Path(symbol): Path<String>,
    shell: Shell,
    session: Session,
    Form(mut ticket): Form<Ticket>,
) -> Result<Response, Error> {
    let locale = shell.locale;
    let instrument = fragments::listed(&app.feed.market(), &symbol)?.instrument;
    let refuse = async |ticket, errors, notice| {
        let page = pages::draw(
            &app,
            shell.clone(),
            Some(&session),
            &symbol,
            ticket,
            errors,
            notice,
        );
        Ok((StatusCode::UNPROCESSABLE_ENTITY, page.await?).into_response())
    };
    let terms = match ticket.read(locale, soon(&app.clock)) {
        Ok(terms) => terms,
        Err(errors) => return refuse(ticket, errors, None).await,
    };
    let Some(client_id) = ticket.client_id() else {
        let notice = locale.t("ticket.again").into_owned();
        return refuse(ticket, FieldErrors::default(), Some(notice)).await;
    };
    if !ticket.names_hold(&terms) {
        let notice = locale.t("ticket.hold_changed").into_owned();
        return refuse(ticket, FieldErrors::default(), Some(notice)).await;
    }
    let order = terms.order(session.member.participant, client_id, instrument);
    let actor = Actor::User(session.member.user);
    let receipt = match app
        .sequencer
        .submit(actor, Command::PlaceOrder(order))
        .await
    {
        Ok(receipt) => receipt,
        Err(SubmitError::Uncertain) => {
            // The same ticket tells: sent again, it is the same order.
            let notice = locale.t("ticket.uncertain").into_owned();
            return refuse(ticket, FieldErrors::default(), Some(notice)).await;
        }
        Err(SubmitError::Busy | SubmitError::Stopped) => return Err(Error::Busy),
    };
    let Some(rejection) = receipt.rejection() else {
        return Ok(Redirect::to(&onward(&receipt)).into_response());
    };
    let mut errors = FieldErrors::default();
    let mut notice = None;
    match forms::field_of(rejection) {
        Some(field) => errors.add(field, say::rejection(locale, rejection)),
        None => notice = Some(say::rejection(locale, rejection)),
    }
    if rejection == Rejection::DuplicateId {
        // This ticket was an order already; what is typed now is another one.
        ticket.client_id.clear();
        notice = Some(locale.t("ticket.used").into_owned());
    }
    refuse(ticket, errors, notice).await
}

/// Where the order led: its lease when it made one and is filled, else the order.
fn onward(receipt: &Receipt) -> String {
    let mut order: Option<OrderId> = None;
    let mut leases: Vec<LeaseId> = Vec::new();
    let mut is_filled = false;
    for event in &receipt.events {
        match &event.kind {
            EventKind::Accepted { order: id, .. } => order = Some(*id),
            // What came before the acceptance had fallen due, and is others'.
            EventKind::Leased { lease, .. } if order.is_some() => leases.push(*lease),
            EventKind::Done {
                order: id,
                why: market::DoneWhy::Filled,
            } => {
                is_filled |= order == Some(*id);
            }
            _ => {}
        }
    }
    match (order, leases.as_slice()) {
        (Some(_), [lease]) if is_filled => format!("/leases/{lease}?bought"),
        (Some(order), _) => format!("/orders/{order}"),
        (None, _) => "/orders".to_owned(),
    }
}
