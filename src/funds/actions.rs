//! Depositing.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use market::Command;

use super::forms::Deposit;
use super::pages;
use crate::app::App;
use crate::sequencer::Actor;
use crate::web::{Error, FieldErrors, Form, Member, Shell, say};

/// `POST /wallet/deposits`: test money, booked at once, in the demonstration only.
///
/// # Errors
/// [`Error::NotFound`] where money is real; when the market takes no commands.
pub async fn deposit(
    State(app): State<App>,
    shell: Shell,
    member: Member,
    Form(form): Form<Deposit>,
) -> Result<Response, Error> {
    if !app.web.options.test_money {
        return Err(Error::NotFound);
    }
    let locale = shell.locale;
    let refuse = async |form, errors: FieldErrors| {
        let page = pages::draw(&app, shell.clone(), &member, form, errors, false);
        Ok((StatusCode::UNPROCESSABLE_ENTITY, page.await?).into_response())
    };
    let amount = match form.read(locale) {
        Ok(amount) => amount,
        Err(errors) => return refuse(form, errors).await,
    };
    let command = Command::Deposit {
        participant: member.participant,
        amount,
    };
    let receipt = app
        .sequencer
        .submit(Actor::User(member.user), command)
        .await
        .map_err(|_| Error::Busy)?;
    match receipt.rejection() {
        None => Ok(Redirect::to("/wallet?deposited").into_response()),
        Some(rejection) => {
            let mut errors = FieldErrors::default();
            errors.add("amount", say::rejection(locale, rejection));
            refuse(form, errors).await
        }
    }
}
