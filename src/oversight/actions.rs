//! Decisions of operations: who may provide, and who is suspended.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::future::join_all;
use market::{ClientId, Command, ParticipantId};

use super::forms::{Cases, Close, REFUSALS, SUSPENSIONS};
use super::pages::{self, Said, TypedNote};
use super::queries;
use super::store::{self, Outcome};
use crate::app::App;
use crate::sequencer::Actor;
use crate::web::acts::Origin;
use crate::web::decision::Decision;
use crate::web::{Error, FieldErrors, Form, Member, Shell};

/// How often a suspended participant's open orders are looked for: one that was on its way when
/// the suspension was written may come after the first look.
const LOOKS: usize = 3;

/// `POST /ops/applications/{id}/certify`
///
/// # Errors
/// [`Error::NotFound`] for one that was not sent as for none.
pub async fn certify(
    State(app): State<App>,
    Path(id): Path<String>,
    origin: Origin,
    shell: Shell,
    Form(form): Form<Decision>,
) -> Result<Response, Error> {
    match form.read_note(shell.locale) {
        Ok(note) => decide(&app, &id, &origin, shell, form, Outcome::Certified(note)).await,
        Err(errors) => refused_application(&app, &id, shell, form, errors).await,
    }
}

/// `POST /ops/applications/{id}/refuse`
///
/// # Errors
/// [`Error::NotFound`] for one that was not sent as for none.
pub async fn refuse(
    State(app): State<App>,
    Path(id): Path<String>,
    origin: Origin,
    shell: Shell,
    Form(form): Form<Decision>,
) -> Result<Response, Error> {
    match form.read(shell.locale, &REFUSALS) {
        Ok(why) => decide(&app, &id, &origin, shell, form, Outcome::Refused(why)).await,
        Err(errors) => refused_application(&app, &id, shell, form, errors).await,
    }
}

async fn decide(
    app: &App,
    id: &str,
    origin: &Origin,
    shell: Shell,
    decision: Decision,
    outcome: Outcome,
) -> Result<Response, Error> {
    let number = pages::number(id)?;
    if store::decide(&app.db, origin, number, outcome).await? {
        let onward = format!("/ops/applications/{number}?decided");
        return Ok(Redirect::to(&onward).into_response());
    }
    let said = Said {
        decision,
        is_late: true,
        ..Said::default()
    };
    let page = pages::draw_application(app, shell, number, said).await?;
    Ok((StatusCode::CONFLICT, page).into_response())
}

async fn refused_application(
    app: &App,
    id: &str,
    shell: Shell,
    decision: Decision,
    errors: FieldErrors,
) -> Result<Response, Error> {
    let said = Said {
        decision,
        errors,
        ..Said::default()
    };
    let page = pages::draw_application(app, shell, pages::number(id)?, said).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

/// `POST /ops/participants/{id}/suspend`: nothing new is begun, and what is open is cancelled;
/// what runs goes on.
///
/// # Errors
/// [`Error::NotFound`] where there is no such participant.
pub async fn suspend(
    State(app): State<App>,
    Path(id): Path<String>,
    origin: Origin,
    member: Member,
    shell: Shell,
    Form(form): Form<Decision>,
) -> Result<Response, Error> {
    let number = trading(&app, &id).await?;
    let why = match form.read(shell.locale, &SUSPENSIONS) {
        Ok(why) => why,
        Err(errors) => {
            let said = Said {
                decision: form,
                errors,
                ..Said::default()
            };
            let page = pages::draw_participant(&app, shell, number, said).await?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    if !store::suspend(&app.db, &origin, number, &why).await? {
        return late(&app, shell, number).await;
    }
    cancel_orders(&app, &member, number).await?;
    Ok(Redirect::to(&format!("/ops/participants/{id}?suspended")).into_response())
}

/// `POST /ops/participants/{id}/restore`
///
/// # Errors
/// [`Error::NotFound`] where there is no such participant.
pub async fn restore(
    State(app): State<App>,
    Path(id): Path<String>,
    origin: Origin,
    shell: Shell,
    Form(form): Form<Decision>,
) -> Result<Response, Error> {
    let number = trading(&app, &id).await?;
    let note = match form.read_note(shell.locale) {
        Ok(note) => note,
        Err(errors) => {
            let said = Said {
                decision: form,
                errors,
                ..Said::default()
            };
            let page = pages::draw_participant(&app, shell, number, said).await?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    if !store::restore(&app.db, &origin, number, note.as_deref()).await? {
        return late(&app, shell, number).await;
    }
    Ok(Redirect::to(&format!("/ops/participants/{id}?restored")).into_response())
}

/// `POST /ops/participants/{id}/cancel`: what a suspended participant still has open, where
/// cancelling was interrupted.
///
/// # Errors
/// [`Error::NotFound`] where there is no such participant.
pub async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
    origin: Origin,
    member: Member,
    shell: Shell,
) -> Result<Response, Error> {
    let number = trading(&app, &id).await?;
    let row = queries::participant(&app.db, number).await?;
    if row.is_none_or(|row| row.suspended.is_none()) {
        return late(&app, shell, number).await;
    }
    let open = queries::open_client_ids(&app.db, number).await?;
    if !open.is_empty() {
        store::note_cancelling(&app.db, &origin, number, open.len()).await?;
        cancel_orders(&app, &member, number).await?;
    }
    Ok(Redirect::to(&format!("/ops/participants/{id}?cancelled")).into_response())
}

/// The number of a participant that trades; the marketplace itself is never suspended.
async fn trading(app: &App, id: &str) -> Result<i64, Error> {
    let number = pages::participant_number(id)?;
    if number == ParticipantId::MARKETPLACE.0 {
        return Err(Error::NotFound);
    }
    let row = queries::participant(&app.db, number).await?;
    row.map(|row| row.id).ok_or(Error::NotFound)
}

/// The participant's page, which says who was earlier.
async fn late(app: &App, shell: Shell, participant: i64) -> Result<Response, Error> {
    let said = Said {
        is_late: true,
        ..Said::default()
    };
    let page = pages::draw_participant(app, shell, participant, said).await?;
    Ok((StatusCode::CONFLICT, page).into_response())
}

/// Cancels every open order of a participant. What the market can't be asked just now stays open
/// and is offered on the page again: the suspension stands in any case.
async fn cancel_orders(app: &App, member: &Member, participant: i64) -> Result<(), Error> {
    for _ in 0..LOOKS {
        let open = queries::open_client_ids(&app.db, participant).await?;
        if open.is_empty() {
            return Ok(());
        }
        let mut answers = Vec::with_capacity(open.len());
        for client_id in open {
            let command = Command::CancelOrder {
                participant: ParticipantId(participant),
                client_id: ClientId(client_id),
            };
            let actor = Actor::User(member.user);
            let now = app.clock.now();
            match app.sequencer.enqueue(now, actor, command).await {
                Ok(answer) => answers.push(answer),
                Err(error) => tracing::warn!(%error, participant, "an order was not cancelled"),
            }
        }
        for answer in join_all(answers).await {
            if let Err(error) = answer {
                tracing::warn!(%error, participant, "an order may not be cancelled");
            }
        }
    }
    Ok(())
}

/// `POST /ops/cases/{id}/close`: with what came of it, once.
///
/// # Errors
/// [`Error::NotFound`] where there is no such case.
pub async fn close_case(
    State(app): State<App>,
    Path(id): Path<String>,
    origin: Origin,
    shell: Shell,
    Form(form): Form<Close>,
) -> Result<Response, Error> {
    let case = pages::number(&id)?;
    if !queries::has_case(&app.db, case).await? {
        return Err(Error::NotFound);
    }
    let decision = Decision {
        reason: String::new(),
        note: form.note.clone(),
    };
    let mut errors = FieldErrors::default();
    match decision.read_note(shell.locale) {
        Ok(Some(note)) => {
            if store::close_case(&app.db, &origin, case, &note).await? {
                return Ok(Redirect::to("/ops/cases?closed").into_response());
            }
            let page = pages::draw_cases(&app, shell, &Cases::default(), None).await?;
            return Ok((StatusCode::CONFLICT, page.late()).into_response());
        }
        Ok(None) => errors.add("note", shell.locale.t("desk.bad.note_needed")),
        Err(wrong) => errors = wrong,
    }
    let typed = Some(TypedNote { case, form, errors });
    let page = pages::draw_cases(&app, shell, &Cases::default(), typed).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}
