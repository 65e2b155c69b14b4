//! Registering machines, letting a program speak for one and no more, declaring maintenance.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use market::PoolId;

use super::forms::{self, NewMachine, NewMaintenance, NewToken, Revoke};
use super::fragments::own;
use super::pages::{self, Typed};
use super::queries;
use super::store::{self, Made, Registered};
use crate::app::App;
use crate::delivery::agents::TOKEN_HOURS;
use crate::web::acts::Origin;
use crate::web::headers::site;
use crate::web::session::Fresh;
use crate::web::{Error, FieldErrors, Form, Member, Shell, form};

/// The page with what was typed and why it was refused.
async fn refused(
    app: &App,
    shell: Shell,
    member: &Member,
    id: PoolId,
    (typed, status): (Typed, StatusCode),
) -> Result<Response, Error> {
    let page = pages::draw(app, shell, member, id, typed).await?;
    Ok((status, page).into_response())
}

/// `POST /provide/pools/{id}/machines`: a machine by its name; sent twice it is one.
///
/// # Errors
/// [`Error::NotFound`] for another participant's pool as for none.
pub async fn register(
    State(app): State<App>,
    Path(id): Path<String>,
    origin: Origin,
    shell: Shell,
    member: Member,
    Form(form): Form<NewMachine>,
) -> Result<Response, Error> {
    let id: PoolId = id.parse().map_err(|_| Error::NotFound)?;
    let (pool, row) = own(&app, member.participant, id).await?;
    let (locale, most) = (shell.locale, forms::most_units(&pool));
    let errors = match form.read(locale, row.lot, most) {
        Err(errors) => errors,
        Ok(machine) => {
            let mut errors = FieldErrors::default();
            match store::register(&app.db, &origin, id, &machine, most).await? {
                Registered::Yes => {
                    let back = format!("/provide/pools/{id}/machines?done=registered");
                    return Ok(Redirect::to(&back).into_response());
                }
                Registered::Named => errors.add("name", locale.t("machine.bad.named")),
                Registered::TooMany(room) => {
                    let words = [("most", most.to_string()), ("room", room.to_string())];
                    errors.add("units", locale.tr("machine.bad.many", words));
                }
            }
            errors
        }
    };
    let typed = Typed {
        machine: Some((form, errors)),
        ..Typed::default()
    };
    let answer = (typed, StatusCode::UNPROCESSABLE_ENTITY);
    refused(&app, shell, &member, id, answer).await
}

/// The number of one of a pool's machines, and its name.
async fn machine(app: &App, id: PoolId, host: &str) -> Result<(i64, String), Error> {
    let host: i64 = host.parse().map_err(|_| Error::NotFound)?;
    let name = queries::machine(&app.db, id, host).await?;
    Ok((host, name.ok_or(Error::NotFound)?))
}

/// `POST /provide/pools/{id}/machines/{host}/token`: a one-time token, in place of one that nobody
/// has used. The form holds it, so sent twice it is one; nothing else ever shows it again.
///
/// # Errors
/// [`Error::NotFound`] for another participant's machine as for none.
pub async fn token(
    State(app): State<App>,
    Path((id, host)): Path<(String, String)>,
    _: Fresh,
    (origin, headers): (Origin, HeaderMap),
    shell: Shell,
    member: Member,
    Form(form): Form<NewToken>,
) -> Result<Response, Error> {
    let id: PoolId = id.parse().map_err(|_| Error::NotFound)?;
    own(&app, member.participant, id).await?;
    let (host, name) = machine(&app, id, &host).await?;
    let token = match form.token() {
        Some(token) => token.to_owned(),
        None => forms::secret()?,
    };
    match store::new_token(&app.db, &origin, &member, host, &token).await? {
        Made::Yes => {
            let page = pages::Token {
                id,
                name,
                command: format!(
                    "sluice-agent enrol --exchange {} --token {token}",
                    site(&headers)
                ),
                hours: TOKEN_HOURS.to_string(),
                shell,
            };
            Ok(page.into_response())
        }
        Made::Over => {
            let typed = Typed {
                notice: Some(shell.locale.t("machine.token_over").into_owned()),
                ..Typed::default()
            };
            refused(&app, shell, &member, id, (typed, StatusCode::CONFLICT)).await
        }
    }
}

/// `POST /provide/pools/{id}/machines/{host}/revoke`: nothing that the machine's agent signs is
/// answered any more, until another token makes another one.
///
/// # Errors
/// [`Error::NotFound`] for another participant's machine as for none.
pub async fn revoke(
    State(app): State<App>,
    Path((id, host)): Path<(String, String)>,
    origin: Origin,
    shell: Shell,
    member: Member,
    Form(form): Form<Revoke>,
) -> Result<Response, Error> {
    let id: PoolId = id.parse().map_err(|_| Error::NotFound)?;
    own(&app, member.participant, id).await?;
    let (host, _) = machine(&app, id, &host).await?;
    match form.read(shell.locale) {
        Ok(reason) => {
            if let Ok(agent) = form.agent.parse() {
                store::revoke(&app.db, &origin, &member, host, (agent, reason)).await?;
            }
            let back = format!("/provide/pools/{id}/machines?done=revoked");
            Ok(Redirect::to(&back).into_response())
        }
        Err(errors) => {
            let typed = Typed {
                revoke: Some((host, form, errors)),
                ..Typed::default()
            };
            let answer = (typed, StatusCode::UNPROCESSABLE_ENTITY);
            refused(&app, shell, &member, id, answer).await
        }
    }
}

/// `POST /provide/pools/{id}/maintenance`: hours in which the pool won't run, for good. Late ones
/// are taken too: holders can read them, and they excuse nothing.
///
/// # Errors
/// [`Error::NotFound`] for another participant's pool as for none.
pub async fn declare(
    State(app): State<App>,
    Path(id): Path<String>,
    origin: Origin,
    shell: Shell,
    member: Member,
    Form(mut form): Form<NewMaintenance>,
) -> Result<Response, Error> {
    let id: PoolId = id.parse().map_err(|_| Error::NotFound)?;
    let (pool, _) = own(&app, member.participant, id).await?;
    let (locale, now) = (shell.locale, app.clock.now());
    let (mut errors, mut notice) = (FieldErrors::default(), None);
    match form.read(locale, pool.period, now) {
        Err(wrong) => errors = wrong,
        Ok(maintenance) => {
            let declared = match form::form_id(&form.form_id) {
                Some(form_id) => {
                    let what = (&maintenance, now);
                    store::declare(&app.db, &origin, id, form_id, what).await?
                }
                None => None,
            };
            if let Some(number) = declared {
                let back = format!("/provide/pools/{id}/machines?declared={number}#maintenance");
                return Ok(Redirect::to(&back).into_response());
            }
            form.form_id = form::client_id();
            notice = Some(locale.t("maintenance.again").into_owned());
        }
    }
    let typed = Typed {
        maintenance: Some((form, errors)),
        notice,
        ..Typed::default()
    };
    let answer = (typed, StatusCode::UNPROCESSABLE_ENTITY);
    refused(&app, shell, &member, id, answer).await
}
