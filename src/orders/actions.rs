//! Changing and cancelling an order; approving, declining and withdrawing a request.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use market::{Command, Rejection};

use super::forms::{Change, Opinion};
use super::pages;
use crate::app::App;
use crate::sequencer::Actor;
use crate::web::acts::Origin;
use crate::web::minutes::statement;
use crate::web::placing::{self, Decided, Replaced, RequestId};
use crate::web::{Error, FieldErrors, Form, Member, Shell, say};

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
    let row = pages::row(&app, &member, &id).await?;
    let command = Command::CancelOrder {
        participant: member.participant,
        client_id: row.client_id,
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

/// `POST /orders/{id}/replace`: the confirmed change of an open bid.
///
/// # Errors
/// [`Error::NotFound`] for another participant's as for none, and for an ask; when the market takes
/// no commands.
pub async fn replace(
    State(app): State<App>,
    Path(id): Path<String>,
    shell: Shell,
    member: Member,
    Form(change): Form<Change>,
) -> Result<Response, Error> {
    let row = pages::row(&app, &member, &id).await?;
    if !row.is_bid {
        return Err(Error::NotFound);
    }
    let locale = shell.locale;
    let to = match change.read(locale) {
        Ok(to) => to,
        Err(errors) => return pages::refuse(&app, shell, &member, &id, change, errors, None).await,
    };
    let again = |status: StatusCode, key: &str| Some((status, locale.t(key).into_owned()));
    let changed = || Redirect::to(&format!("/orders/{id}?changed")).into_response();
    match placing::replace(&app, &member, &row.client_id, &change.was, to).await? {
        Replaced::Answered(receipt) => match receipt.rejection() {
            None => Ok(changed()),
            Some(no) => pages::refuse_for(&app, shell, &member, &id, change, no).await,
        },
        Replaced::AsIs => Ok(changed()),
        Replaced::Changed => {
            let notice = again(StatusCode::CONFLICT, "change.stale");
            pages::confirm(&app, shell, &member, &id, change, notice).await
        }
        Replaced::Exceeds(excess) => {
            let (errors, notice) = (FieldErrors::default(), pages::too_much(locale, excess));
            pages::refuse(&app, shell, &member, &id, change, errors, Some(notice)).await
        }
        Replaced::Uncertain => {
            let notice = again(StatusCode::SERVICE_UNAVAILABLE, "change.uncertain");
            pages::confirm(&app, shell, &member, &id, change, notice).await
        }
    }
}

/// `POST /orders/requests/{id}/approve`: a second person's yes, with which the order is sent; then
/// to its lease, or to the order.
///
/// # Errors
/// [`Error::NotFound`] for another participant's as for none; when the market takes no commands.
pub async fn approve(
    State(app): State<App>,
    Path(id): Path<String>,
    origin: Origin,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let id: RequestId = id.parse().map_err(|_| Error::NotFound)?;
    let decided = placing::approve(&app, &origin, &member, id).await?;
    answer(&app, shell, &member, id, decided, Opinion::default()).await
}

/// `POST /orders/requests/{id}/decline`: a second person's no, with the reason.
///
/// # Errors
/// [`Error::NotFound`] for another participant's as for none.
pub async fn decline(
    State(app): State<App>,
    Path(id): Path<String>,
    origin: Origin,
    shell: Shell,
    member: Member,
    Form(opinion): Form<Opinion>,
) -> Result<Response, Error> {
    let id: RequestId = id.parse().map_err(|_| Error::NotFound)?;
    let reason = match statement(shell.locale, &opinion.reason) {
        Ok(reason) => reason,
        Err(wrong) => {
            let mut errors = FieldErrors::default();
            errors.add("reason", wrong);
            let typed = (opinion, errors, None);
            let page = pages::draw_request(&app, shell, &member, id, typed).await?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    let decided = placing::decline(&app, &origin, &member, id, &reason).await?;
    if matches!(decided, Decided::Ended) {
        let request = format!("/orders/requests/{id}?declined");
        return Ok(Redirect::to(&request).into_response());
    }
    answer(&app, shell, &member, id, decided, opinion).await
}

/// `POST /orders/requests/{id}/withdraw`: one's own request is none any more.
///
/// # Errors
/// [`Error::NotFound`] for another participant's as for none.
pub async fn withdraw(
    State(app): State<App>,
    Path(id): Path<String>,
    origin: Origin,
    shell: Shell,
    member: Member,
) -> Result<Response, Error> {
    let id: RequestId = id.parse().map_err(|_| Error::NotFound)?;
    let decided = placing::withdraw(&app, &origin, &member, id).await?;
    if matches!(decided, Decided::Ended) {
        let request = format!("/orders/requests/{id}?withdrawn");
        return Ok(Redirect::to(&request).into_response());
    }
    answer(&app, shell, &member, id, decided, Opinion::default()).await
}

/// What a decision has led to: the order, or the request with why nothing came of the decision.
async fn answer(
    app: &App,
    shell: Shell,
    member: &Member,
    id: RequestId,
    decided: Decided,
    opinion: Opinion,
) -> Result<Response, Error> {
    let locale = shell.locale;
    let (status, notice) = match decided {
        Decided::Ordered(receipt) => {
            return Ok(Redirect::to(&placing::onward(&receipt)).into_response());
        }
        Decided::Rejected(rejection) => (StatusCode::CONFLICT, say::rejection(locale, rejection)),
        Decided::NotTheirs => (
            StatusCode::FORBIDDEN,
            locale.t("request.not_yours").into_owned(),
        ),
        Decided::AskerGone => (
            StatusCode::CONFLICT,
            locale.t("request.asker_gone").into_owned(),
        ),
        Decided::Uncertain => {
            let said = locale.t("request.uncertain").into_owned();
            (StatusCode::SERVICE_UNAVAILABLE, said)
        }
        Decided::Ended | Decided::Closed => (
            StatusCode::CONFLICT,
            locale.t("request.closed").into_owned(),
        ),
    };
    let typed = (opinion, FieldErrors::default(), Some(notice));
    let page = pages::draw_request(app, shell, member, id, typed).await?;
    Ok((status, page).into_response())
}
