//! Depositing.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::forms::{Deposit, StatementQuery};
use super::store::{Asked, Standing};
use super::{pages, store};
use crate::app::App;
use crate::sequencer::SubmitError;
use crate::web::{Error, FieldErrors, Form, Member, Shell, form, say};

/// How long a form that was sent twice waits for the answer to the first.
const WAIT: Duration = Duration::from_secs(5);

/// How often it looks.
const LOOK: Duration = Duration::from_millis(50);

/// `POST /wallet/deposits`: test money, booked at once, in the demonstration only. A form that is
/// sent twice is one deposit, whatever fails in between: see [`store`].
///
/// # Errors
/// [`Error::NotFound`] where money is real; when the market takes no commands.
pub async fn deposit(
    State(app): State<App>,
    shell: Shell,
    member: Member,
    Form(mut form): Form<Deposit>,
) -> Result<Response, Error> {
    if !app.web.options.test_money {
        return Err(Error::NotFound);
    }
    let locale = shell.locale;
    let refuse = async |form, errors: FieldErrors| {
        let query = StatementQuery::default();
        let page = pages::draw(&app, shell.clone(), &member, (form, errors), &query, None);
        Ok((StatusCode::UNPROCESSABLE_ENTITY, page.await?).into_response())
    };
    let amount = match form.read(locale) {
        Ok(amount) => amount,
        Err(errors) => return refuse(form, errors).await,
    };
    let asked = Asked {
        form_id: form.id().unwrap_or_else(form::client_id),
        participant: member.participant,
        user: member.user,
        amount,
    };
    let said = match standing(&app, &asked).await? {
        Standing::Send => match send(&app, &asked).await? {
            Sent::Booked => return Ok(Redirect::to("/wallet?deposited").into_response()),
            Sent::Refused(rejection) => say::rejection(locale, rejection),
            Sent::Uncertain => locale.t("deposit.uncertain").into_owned(),
        },
        Standing::Booked => return Ok(Redirect::to("/wallet?again").into_response()),
        Standing::Sent => locale.t("deposit.uncertain").into_owned(),
        Standing::Another => {
            // What is typed now is another deposit: it has to be meant.
            form.form_id = form::client_id();
            locale.t("deposit.used").into_owned()
        }
    };
    let mut errors = FieldErrors::default();
    errors.add("amount", said);
    refuse(form, errors).await
}

/// How the form stands, once whoever sent it before has an answer.
async fn standing(app: &App, asked: &Asked) -> Result<Standing, Error> {
    let waits = WAIT.as_millis() / LOOK.as_millis();
    for _ in 0..waits {
        match store::take(&app.db, asked).await? {
            Standing::Sent => tokio::time::sleep(LOOK).await,
            known => return Ok(known),
        }
    }
    Ok(Standing::Sent)
}

enum Sent {
    Booked,
    Refused(market::Rejection),
    Uncertain,
}

async fn send(app: &App, asked: &Asked) -> Result<Sent, Error> {
    match app.sequencer.submit(asked.actor(), asked.command()).await {
        Ok(receipt) => match receipt.rejection() {
            None => {
                store::booked(&app.db, &asked.form_id, receipt.command).await?;
                Ok(Sent::Booked)
            }
            Some(rejection) => {
                store::give_back(&app.db, &asked.form_id).await?;
                Ok(Sent::Refused(rejection))
            }
        },
        // The row stays: sent again, the form finds out from the next engine's log.
        Err(SubmitError::Uncertain) => Ok(Sent::Uncertain),
        Err(SubmitError::Busy | SubmitError::Stopped) => {
            store::give_back(&app.db, &asked.form_id).await?;
            Err(Error::Busy)
        }
    }
}
