//! Keys, and what a lease is to find started.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use market::{Command, LeaseId, Rejection, Timestamp};

use super::forms::{AccessForm, HandBack, KeyForm, Rename, is_name};
use super::pages::{self, Renamed};
use super::queries;
use super::store::{self, Added};
use crate::app::App;
use crate::sequencer::{Actor, SubmitError};
use crate::web::acts::Origin;
use crate::web::shell::safe_path;
use crate::web::symbol::Symbol;
use crate::web::window::Window;
use crate::web::{Error, FieldErrors, Form, Member, Shell};

/// `POST /keys`: a public key; then back to where it was wanted.
///
/// # Errors
/// When the database can't be written.
pub async fn add_key(
    State(app): State<App>,
    shell: Shell,
    member: Member,
    origin: Origin,
    Form(form): Form<KeyForm>,
) -> Result<Response, Error> {
    let locale = shell.locale;
    let refuse = async |form, errors| {
        let mut page = pages::draw_keys(&app, shell.clone(), &member, form).await?;
        page.errors = errors;
        Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
    };
    let mut errors = FieldErrors::default();
    if form.has_secret() {
        errors.add("public_key", locale.t("key.bad.private"));
        let empty = KeyForm {
            back: form.back,
            ..KeyForm::default()
        };
        return refuse(empty, errors).await;
    }
    let key = match form.read(locale) {
        Ok(key) => key,
        Err(errors) => return refuse(form, errors).await,
    };
    match store::add_key(&app.db, &member, &origin, &key).await? {
        Added::Yes => {
            let back = match form.back.as_str() {
                "" => "/keys?added",
                back => safe_path(back),
            };
            return Ok(Redirect::to(back).into_response());
        }
        Added::Named(name) => {
            errors.add("public_key", locale.tr("key.bad.there", [("name", &name)]));
        }
        Added::TooMany => {
            let most = store::MOST_KEYS.to_string();
            errors.add("public_key", locale.tr("key.bad.many", [("n", &most)]));
        }
    }
    refuse(form, errors).await
}

/// The number in a key's address.
fn number(id: &str) -> Result<i64, Error> {
    id.parse().map_err(|_| Error::NotFound)
}

/// `POST /keys/{id}/name`
///
/// # Errors
/// [`Error::NotFound`] for another participant's as for none.
pub async fn rename_key(
    State(app): State<App>,
    Path(id): Path<String>,
    shell: Shell,
    member: Member,
    origin: Origin,
    Form(form): Form<Rename>,
) -> Result<Response, Error> {
    let (id, name) = (number(&id)?, form.name.trim());
    if !queries::has_key(&app.db, member.participant, id).await? {
        return Err(Error::NotFound);
    }
    if !is_name(name) {
        let error = Some(shell.locale.t("key.bad.name").into_owned());
        let mut page = pages::draw_keys(&app, shell, &member, KeyForm::default()).await?;
        page.renamed = Some(Renamed {
            key: id,
            name: form.name,
            error,
        });
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    if store::rename_key(&app.db, &member, &origin, id, name).await? {
        Ok(Redirect::to("/keys").into_response())
    } else {
        Err(Error::NotFound)
    }
}

/// `POST /keys/{id}/remove`: one that is gone already needs nothing more.
///
/// # Errors
/// [`Error::NotFound`] for another participant's as for none.
pub async fn remove_key(
    State(app): State<App>,
    Path(id): Path<String>,
    member: Member,
    origin: Origin,
) -> Result<Redirect, Error> {
    if store::remove_key(&app.db, &member, &origin, number(&id)?).await? {
        Ok(Redirect::to("/keys"))
    } else {
        Err(Error::NotFound)
    }
}

/// `POST /leases/{id}/access`: image and key, until the lease starts. They are the order's: its
/// other leases start at the same time and find the same.
///
/// # Errors
/// [`Error::NotFound`] for another holder's as for none.
pub async fn set_access(
    State(app): State<App>,
    Path(id): Path<String>,
    shell: Shell,
    member: Member,
    Form(form): Form<AccessForm>,
) -> Result<Response, Error> {
    let lease: LeaseId = id.parse().map_err(|_| Error::NotFound)?;
    let row = queries::lease(&app.db, member.participant, lease)
        .await?
        .ok_or(Error::NotFound)?;
    let mut errors = FieldErrors::default();
    if app.clock.now() >= row.period.start.begins() {
        errors.add("image", shell.locale.t("access.bad.started"));
    } else {
        let keys = queries::keys(&app.db, member.participant).await?;
        let keys: Vec<i64> = keys.iter().map(|key| key.id).collect();
        match form.read(shell.locale, Symbol::new(&row.symbol).grade, &keys) {
            Ok((image, key)) => {
                store::set_access(&app.db, &member, &row.client_id, image, key).await?;
                return Ok(Redirect::to(&format!("/leases/{lease}#login")).into_response());
            }
            Err(wrong) => errors = wrong,
        }
    }
    let page = pages::draw(&app, shell, row, Some((form, errors)), None);
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page.await?).into_response())
}

/// `POST /leases/{id}/hand-back`: whole hours of a lease, as they were confirmed; then back to it.
/// The same again leads there too.
///
/// # Errors
/// [`Error::NotFound`] for another holder's as for none; when the market takes no commands.
pub async fn hand_back(
    State(app): State<App>,
    Path(id): Path<String>,
    shell: Shell,
    member: Member,
    Form(form): Form<HandBack>,
) -> Result<Response, Error> {
    let lease: LeaseId = id.parse().map_err(|_| Error::NotFound)?;
    let row = queries::lease(&app.db, member.participant, lease)
        .await?
        .ok_or(Error::NotFound)?;
    let locale = shell.locale;
    let refuse = |status: StatusCode, errors, notice: Option<String>| {
        let page = pages::draw_hand_back(&app, shell.clone(), &row, form.clone(), errors, notice);
        Ok((status, page).into_response())
    };
    let (none, unprocessable) = (FieldErrors::default(), StatusCode::UNPROCESSABLE_ENTITY);
    let like = pages::returnable(&app, &row);
    let like = like.unwrap_or(Window { period: row.period });
    let period = match form.read(locale, &like) {
        Ok(window) => window.period,
        Err(errors) => return refuse(unprocessable, errors, None),
    };
    let done = Redirect::to(&format!("/leases/{lease}?handed-back")).into_response();
    if queries::was_handed_back(&app.db, lease, period).await? {
        return Ok(done);
    }
    let hours = (period.start.begins(), period.end.begins());
    let returned = {
        let market = app.feed.market();
        market.would_hand_back(member.participant, lease, hours)
    };
    match returned {
        Ok(returned) if !form.names(returned.share + returned.fee) => {
            let notice = locale.t("hand_back.changed").into_owned();
            return refuse(unprocessable, none, Some(notice));
        }
        Ok(_) => {}
        Err(no) => {
            let (errors, notice) = pages::no_hand_back(locale, no);
            return refuse(unprocessable, errors, notice);
        }
    }
    match send_hand_back(&app, &member, lease, hours).await? {
        None => {
            let notice = locale.t("hand_back.uncertain").into_owned();
            refuse(StatusCode::SERVICE_UNAVAILABLE, none, Some(notice))
        }
        Some(Ok(())) => Ok(done),
        // The same form was quicker.
        Some(Err(_)) if queries::was_handed_back(&app.db, lease, period).await? => Ok(done),
        Some(Err(no)) => {
            let (errors, notice) = pages::no_hand_back(locale, no);
            refuse(unprocessable, errors, notice)
        }
    }
}

/// The market's answer to a hand-back; none when it is not known.
async fn send_hand_back(
    app: &App,
    member: &Member,
    lease: LeaseId,
    (start, end): (Timestamp, Timestamp),
) -> Result<Option<Result<(), Rejection>>, Error> {
    let command = Command::HandBack {
        participant: member.participant,
        lease,
        start,
        end,
    };
    let actor = Actor::User(member.user);
    match app.sequencer.submit(actor, command).await {
        Ok(receipt) => Ok(Some(receipt.rejection().map_or(Ok(()), Err))),
        Err(SubmitError::Uncertain) => Ok(None),
        Err(SubmitError::Busy | SubmitError::Stopped) => Err(Error::Busy),
    }
}
