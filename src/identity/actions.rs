//! Signing up, in and out.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use super::store::Taken;
use super::{forms, pages, queries, store};
use crate::app::App;
use crate::web::shell::safe_path;
use crate::web::throttle::TooSoon;
use crate::web::{Error, Form, Shell, passwords, session};

/// `POST /sign-up`: a participant and its first person, who is signed in at once.
///
/// # Errors
/// When the database fails, or too many passwords wait to be hashed.
pub async fn sign_up(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    shell: Shell,
    Form(form): Form<forms::SignUp>,
) -> Result<Response, Error> {
    let mut errors = form.check(shell.locale);
    if !errors.is_empty() {
        return Ok(refused(
            shell,
            form,
            errors,
            None,
            StatusCode::UNPROCESSABLE_ENTITY,
        ));
    }
    if let Err(TooSoon(seconds)) = app.web.throttle.sign_up(peer.ip()) {
        let notice = shell
            .locale
            .tr("sign_up.too_soon", [("s", &seconds.to_string())]);
        let response = refused(
            shell,
            form,
            errors,
            Some(notice),
            StatusCode::TOO_MANY_REQUESTS,
        );
        return Ok(wait(response, seconds));
    }
    let hash = passwords::hash(&app, form.password.clone()).await?;
    let written = store::sign_up(&app.db, form.name.trim(), form.login.trim(), &hash).await?;
    match written {
        Ok(user) => {
            let cookie = session::start(&app, &headers, user).await?;
            Ok((cookie, Redirect::to(onward(&form.next, "/wallet"))).into_response())
        }
        Err(Taken::Name) => {
            errors.add("name", shell.t("sign_up.taken.name"));
            Ok(refused(
                shell,
                form,
                errors,
                None,
                StatusCode::UNPROCESSABLE_ENTITY,
            ))
        }
        Err(Taken::Login) => {
            errors.add("login", shell.t("sign_up.taken.login"));
            Ok(refused(
                shell,
                form,
                errors,
                None,
                StatusCode::UNPROCESSABLE_ENTITY,
            ))
        }
    }
}

/// `POST /sign-in`: one answer to a wrong password and to an unknown name.
///
/// # Errors
/// When the database fails, or too many passwords wait to be verified.
pub async fn sign_in(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    shell: Shell,
    Form(mut form): Form<forms::SignIn>,
) -> Result<Response, Error> {
    let login = form.login.trim().to_owned();
    let password = std::mem::take(&mut form.password);
    // What nobody can have signed up under is never asked of the database, which takes no NUL, nor
    // remembered by the throttle.
    let is_name = login.len() <= 1024 && !login.chars().any(char::is_control);
    let counted = if is_name { login.as_str() } else { "" };
    if let Err(TooSoon(seconds)) = app.web.throttle.sign_in(peer.ip(), counted) {
        let notice = shell
            .locale
            .tr("sign_in.too_soon", [("s", &seconds.to_string())]);
        let page = pages::SignIn {
            shell,
            form,
            notice: Some(notice),
        };
        let response = (StatusCode::TOO_MANY_REQUESTS, page).into_response();
        return Ok(wait(response, seconds));
    }
    let is_possible = is_name && password.len() <= passwords::LONGEST_BYTES;
    let user = if is_possible {
        queries::user(&app.db, &login).await?
    } else {
        None
    };
    let (id, hash) = user.map(|user| (user.id, user.password_hash)).unzip();
    let password = if is_possible { password } else { String::new() };
    let is_right = passwords::verify(&app, password, hash).await?;
    match id.filter(|_| is_right) {
        Some(user) => {
            let cookie = session::start(&app, &headers, user).await?;
            Ok((cookie, Redirect::to(onward(&form.next, "/"))).into_response())
        }
        None => {
            let notice = Some(shell.t("sign_in.wrong").into_owned());
            let page = pages::SignIn {
                shell,
                form,
                notice,
            };
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}

/// `POST /sign-out`
///
/// # Errors
/// When the database fails.
pub async fn sign_out(State(app): State<App>, headers: HeaderMap) -> Result<Response, Error> {
    let cookie = session::end(&app, &headers).await?;
    // Pages that the browser keeps may show what is not for the next person.
    let clear = [("clear-site-data", "\"cache\"")];
    Ok((cookie, clear, Redirect::to("/")).into_response())
}

fn refused(
    shell: Shell,
    form: forms::SignUp,
    errors: crate::web::FieldErrors,
    notice: Option<String>,
    status: StatusCode,
) -> Response {
    (
        status,
        pages::SignUp {
            shell,
            form,
            errors,
            notice,
        },
    )
        .into_response()
}

fn wait(mut response: Response, seconds: u64) -> Response {
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// Where the form was to lead, or `otherwise`.
fn onward<'a>(next: &'a str, otherwise: &'a str) -> &'a str {
    if next.is_empty() {
        otherwise
    } else {
        safe_path(next)
    }
}
