//! Saving and sending an application.

use anyhow::Context;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};

use super::forms::Application;
use super::fragments::{Outcome, Saved};
use super::{pages, store};
use crate::app::App;
use crate::clock;
use crate::web::acts::Origin;
use crate::web::{Error, Form, Member, Shell, format};

/// `POST /provide/apply/draft`: keeps what is typed, however little; the page sends it by itself
/// as fields change, and a button does without scripts.
///
/// # Errors
/// When the database can't be written.
pub async fn save(
    State(app): State<App>,
    headers: HeaderMap,
    shell: Shell,
    member: Member,
    Form(form): Form<Application>,
) -> Result<Response, Error> {
    let locale = shell.locale;
    // The page's own sending of the whole form leads on, as a browser's does.
    let is_htmx = headers.contains_key("hx-request") && !headers.contains_key("hx-boosted");
    let say = |outcome| Saved { locale, outcome }.into_response();
    let draft = form.trimmed();
    let errors = draft.check_draft(locale);
    if !errors.is_empty() {
        if is_htmx {
            return Ok(say(Outcome::Refused(errors)));
        }
        let page = pages::draw(&app, shell, &member, Some((form, errors)), None).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    let mut db = app.db.acquire().await.context("saving an application")?;
    let is_saved = store::save(&mut db, member.participant, &draft).await?;
    drop(db);
    let now = format::clock_time(clock::stamp(clock::wall()));
    Ok(match (is_htmx, is_saved) {
        (true, true) => say(Outcome::At(now)),
        (true, false) => say(Outcome::Sent),
        (false, _) => Redirect::to("/provide/apply?saved").into_response(),
    })
}

/// `POST /provide/apply`: sends the application. One that was sent already is not sent again.
///
/// # Errors
/// When the database can't be written.
pub async fn submit(
    State(app): State<App>,
    origin: Origin,
    shell: Shell,
    member: Member,
    Form(form): Form<Application>,
) -> Result<Response, Error> {
    let sent = match form.trimmed().check(shell.locale) {
        Ok(sent) => sent,
        Err(errors) => {
            let page = pages::draw(&app, shell, &member, Some((form, errors)), None).await?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    store::submit(&app.db, &origin, member.participant, &sent).await?;
    Ok(Redirect::to("/provide/apply").into_response())
}
