//! Cancelling.

use axum::extract::{Path, State};
use axum::response::Redirect;
use market::{ClientId, Command, OrderId, Rejection};

use super::queries;
use crate::app::App;
use crate::sequencer::Actor;
use crate::web::{Error, Member};

/// `POST /orders/{id}/cancel`: what remains of an order, then back to the orders. One that is done
/// already needs nothing more.
///
/// # Errors
/// [`Error::NotFound`] for another participant's as for none; when the market takes no commands.
pub async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
    member: Member,
) -> Result<Redirect, Error> {
    let id: OrderId = id.parse().map_err(|_| Error::NotFound)?;
    let row = queries::order(&app.db, member.participant, id)
        .await?
        .ok_or(Error::NotFound)?;
    let command = Command::CancelOrder {
        participant: member.participant,
        client_id: ClientId(row.client_id),
    };
    let receipt = app
        .sequencer
        .submit(Actor::User(member.user), command)
        .await
        .map_err(|_| Error::Busy)?;
    match receipt.rejection() {
        None | Some(Rejection::OrderDone) => Ok(Redirect::to("/orders")),
        Some(rejection) => Err(Error::Rejected(rejection)),
    }
}
