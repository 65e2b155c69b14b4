//! Signing up, in and out, and second factors.

use std::net::SocketAddr;

use anyhow::Context;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;

use super::store::Taken;
use super::{forms, pages, queries, store};
use crate::app::App;
use crate::web::acts::{self, Act, Origin};
use crate::web::second_factor;
use crate::web::session::Person;
use crate::web::shell::safe_path;
use crate::web::throttle::TooSoon;
use crate::web::{Error, FieldErrors, Form, Session, Shell, passwords, session};

/// `POST /sign-up`: a participant and its first person, who is signed in at once. Sent twice it is
/// one of each.
///
/// # Errors
/// When the database fails, or too many passwords wait to be hashed.
pub async fn sign_up(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    origin: Origin,
    shell: Shell,
    Form(mut form): Form<forms::SignUp>,
) -> Result<Response, Error> {
    let mut errors = form.check(shell.locale);
    let password = std::mem::take(&mut form.password);
    if !errors.is_empty() {
        return Ok(refused(shell, form, errors, None));
    }
    if let Err(TooSoon(seconds)) = app.web.throttle.sign_up(peer.ip()) {
        let notice = shell
            .locale
            .tr("sign_up.too_soon", [("s", &seconds.to_string())]);
        let response = refused(shell, form, errors, Some(notice));
        return Ok(wait(response, seconds));
    }
    let hash = passwords::hash(&app, password.clone()).await?;
    let mut db = app.db.begin().await.context("signing up")?;
    let (name, login) = (form.name.trim(), form.login.trim());
    let taken = match store::sign_up(&mut db, name, login, &hash).await? {
        Ok(user) => {
            let begun = session::start(&mut db, &app, &headers, &origin, user, false).await?;
            acts::record(&mut db, &origin, Act::of_user("sign_up", user)).await?;
            db.commit().await.context("signing up")?;
            let onward = Redirect::to(onward(&form.next, "/wallet"));
            return Ok((begun.cookie(&app), onward).into_response());
        }
        Err(taken) => taken,
    };
    drop(db);
    // The same form once more is whoever has signed up by it, coming in.
    if let Some(known) = queries::user_of(&app.db, name, login).await?
        && app.web.throttle.sign_in(peer.ip(), login).is_ok()
        && passwords::verify(&app, password, Some(known.password_hash)).await?
    {
        return let_in(
            &app,
            &headers,
            &origin,
            known.id,
            onward(&form.next, "/wallet"),
        )
        .await;
    }
    match taken {
        Taken::Name => errors.add("name", shell.t("sign_up.taken.name")),
        Taken::Login => errors.add("login", shell.t("sign_up.taken.login")),
    }
    Ok(refused(shell, form, errors, None))
}

/// Begins a session of whoever has given their password, and leads on: to their second factor
/// first, where they have one.
async fn let_in(
    app: &App,
    headers: &HeaderMap,
    origin: &Origin,
    user: i64,
    onward: &str,
) -> Result<Response, Error> {
    let mut db = app.db.begin().await.context("signing in")?;
    let begun = session::start(&mut db, app, headers, origin, user, false).await?;
    let act = Act::of_user("sign_in", user);
    let act = act.with(json!({ "second_factor_due": begun.is_entering }));
    acts::record(&mut db, origin, act).await?;
    db.commit().await.context("signing in")?;
    let onward = if begun.is_entering {
        pages::second_factor_then(onward)
    } else {
        onward.to_owned()
    };
    Ok((begun.cookie(app), Redirect::to(&onward)).into_response())
}

/// `POST /sign-in`: one answer to a wrong password and to an unknown name.
///
/// # Errors
/// When the database fails, or too many passwords wait to be verified.
pub async fn sign_in(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    origin: Origin,
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
        return Ok(wait(page.into_response(), seconds));
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
    if let Some(user) = id.filter(|_| is_right) {
        return let_in(&app, &headers, &origin, user, onward(&form.next, "/")).await;
    }
    // What was typed as a name may be a password: it is not written down.
    let subject = id.map_or_else(|| "unknown".to_owned(), |user| format!("user:{user}"));
    let act = Act {
        what: "sign_in_failed",
        subject,
        detail: json!({}),
    };
    let mut db = app.db.begin().await.context("refusing to sign in")?;
    acts::record(&mut db, &origin, act).await?;
    db.commit().await.context("refusing to sign in")?;
    let notice = Some(shell.t("sign_in.wrong").into_owned());
    let page = pages::SignIn {
        shell,
        form,
        notice,
    };
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

/// `POST /sign-out`
///
/// # Errors
/// When the database fails.
pub async fn sign_out(
    State(app): State<App>,
    headers: HeaderMap,
    origin: Origin,
) -> Result<Response, Error> {
    let mut db = app.db.begin().await.context("signing out")?;
    let (user, ended) = session::end(&mut db, &app, &headers).await?;
    if let Some(user) = user {
        acts::record(&mut db, &origin, Act::of_user("sign_out", user)).await?;
    }
    db.commit().await.context("signing out")?;
    ended.tell(&app);
    // Pages that the browser keeps may show what is not for the next person.
    let clear = [("clear-site-data", "\"cache\"")];
    Ok((session::no_cookie(&app), clear, Redirect::to("/")).into_response())
}

/// `POST /second-factor`: a code, for whoever is coming in, or to be sure of who is.
///
/// # Errors
/// When the database fails.
pub async fn pass(
    State(app): State<App>,
    headers: HeaderMap,
    origin: Origin,
    shell: Shell,
    person: Person,
    Form(form): Form<forms::Code>,
) -> Result<Response, Error> {
    let user = person.member.user;
    if second_factor::state(&app.db, user).await?.since.is_none() {
        return Ok(
            Redirect::to(&pages::second_factor_then(onward(&form.next, "/"))).into_response(),
        );
    }
    let mut db = match judge(&app, &origin, &shell, user, &form.code).await? {
        Ok(db) => db,
        Err(refused) => {
            let page = pages::ask(&app, shell, &person, form.next, refused.errors).await?;
            return Ok(refused.status.answer(page));
        }
    };
    let ended = session::end_without_factor(&mut db, user).await?;
    let begun = session::start(&mut db, &app, &headers, &origin, user, true).await?;
    db.commit().await.context("taking a second factor")?;
    ended.tell(&app);
    Ok((begun.cookie(&app), Redirect::to(onward(&form.next, "/"))).into_response())
}

/// `POST /second-factor/enrolment`: a new secret, to be put into a device and confirmed.
///
/// # Errors
/// When the database fails.
pub async fn enrol(
    State(app): State<App>,
    origin: Origin,
    person: Person,
    Form(form): Form<forms::Code>,
) -> Result<Response, Error> {
    let user = person.member.user;
    let mut db = app.db.begin().await.context("setting up a second factor")?;
    if second_factor::begin(&mut db, user).await? {
        acts::record(&mut db, &origin, Act::of_user("second_factor_begun", user)).await?;
    }
    db.commit().await.context("setting up a second factor")?;
    let next = onward(&form.next, "/settings");
    Ok(Redirect::to(&pages::second_factor_then(next)).into_response())
}

/// `POST /second-factor/confirmation`: the first code of a new secret turns it on; the recovery
/// codes are shown, once. Sessions that were begun without it end.
///
/// # Errors
/// When the database fails.
pub async fn confirm(
    State(app): State<App>,
    headers: HeaderMap,
    origin: Origin,
    shell: Shell,
    person: Person,
    Form(form): Form<forms::Code>,
) -> Result<Response, Error> {
    let user = person.member.user;
    let here = pages::second_factor_then(onward(&form.next, "/settings"));
    if second_factor::state(&app.db, user).await?.pending.is_none() {
        return Ok(Redirect::to(&here).into_response());
    }
    let mut errors = FieldErrors::default();
    if let Err(too_soon) = app.web.throttle.second_factor(user) {
        let refused = Refused::too_soon(&shell, too_soon);
        let page = pages::ask(&app, shell, &person, form.next, refused.errors).await?;
        return Ok(refused.status.answer(page));
    }
    let mut db = app.db.begin().await.context("confirming a second factor")?;
    let Some(codes) = second_factor::confirm(&mut db, user, &form.code).await? else {
        errors.add("code", shell.t("factor.wrong_new"));
        let page = pages::ask(&app, shell, &person, form.next, errors).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    };
    acts::record(&mut db, &origin, Act::of_user("second_factor_on", user)).await?;
    let ended = session::end_without_factor(&mut db, user).await?;
    let begun = session::start(&mut db, &app, &headers, &origin, user, true).await?;
    db.commit().await.context("confirming a second factor")?;
    ended.tell(&app);
    let next = onward(&form.next, "/settings").to_owned();
    let page = pages::Codes { shell, codes, next };
    Ok((begun.cookie(&app), page).into_response())
}

/// `POST /second-factor/codes`: new recovery codes in the place of the old ones, for a code.
///
/// # Errors
/// When the database fails.
pub async fn renew_codes(
    State(app): State<App>,
    origin: Origin,
    shell: Shell,
    Session { member, .. }: Session,
    person: Person,
    Form(form): Form<forms::Code>,
) -> Result<Response, Error> {
    let user = member.user;
    let mut db = match judge(&app, &origin, &shell, user, &form.code).await? {
        Ok(db) => db,
        Err(refused) => {
            let page = pages::ask(&app, shell, &person, form.next, refused.errors).await?;
            return Ok(refused.status.answer(page));
        }
    };
    let codes = second_factor::recovery_codes(&mut db, user).await?;
    let act = Act::of_user("recovery_codes_renewed", user);
    acts::record(&mut db, &origin, act).await?;
    db.commit().await.context("renewing recovery codes")?;
    let next = "/settings".to_owned();
    Ok(pages::Codes { shell, codes, next }.into_response())
}

/// `POST /second-factor/removal`: off, for a code; the platform's people never turn it off.
///
/// # Errors
/// [`Error::Role`] for the platform's people; when the database fails.
pub async fn remove(
    State(app): State<App>,
    origin: Origin,
    shell: Shell,
    Session { member, .. }: Session,
    person: Person,
    Form(form): Form<forms::Code>,
) -> Result<Response, Error> {
    if member.is_of_platform() {
        return Err(Error::Role);
    }
    let user = member.user;
    let mut db = match judge(&app, &origin, &shell, user, &form.code).await? {
        Ok(db) => db,
        Err(refused) => {
            let page = pages::ask(&app, shell, &person, form.next, refused.errors).await?;
            return Ok(refused.status.answer(page));
        }
    };
    second_factor::forget(&mut db, user).await?;
    acts::record(&mut db, &origin, Act::of_user("second_factor_off", user)).await?;
    db.commit().await.context("turning off a second factor")?;
    Ok(Redirect::to("/second-factor?off").into_response())
}

/// Why a code was not taken, and how that is answered.
struct Refused {
    errors: FieldErrors,
    status: Status,
}

enum Status {
    Wrong,
    TooSoon(u64),
}

impl Status {
    fn answer(self, page: impl IntoResponse) -> Response {
        match self {
            Self::Wrong => (StatusCode::UNPROCESSABLE_ENTITY, page).into_response(),
            Self::TooSoon(seconds) => wait(page.into_response(), seconds),
        }
    }
}

impl Refused {
    fn too_soon(shell: &Shell, TooSoon(seconds): TooSoon) -> Self {
        let mut errors = FieldErrors::default();
        let seconds_text = seconds.to_string();
        let text = shell.locale.tr("factor.too_soon", [("s", &seconds_text)]);
        errors.add("code", text);
        Self {
            errors,
            status: Status::TooSoon(seconds),
        }
    }
}

/// Takes a code in a transaction that goes on, or says why not. Either is an act.
async fn judge(
    app: &App,
    origin: &Origin,
    shell: &Shell,
    user: i64,
    typed: &str,
) -> Result<Result<sqlx::Transaction<'static, sqlx::Postgres>, Refused>, Error> {
    if let Err(too_soon) = app.web.throttle.second_factor(user) {
        return Ok(Err(Refused::too_soon(shell, too_soon)));
    }
    let mut db = app.db.begin().await.context("judging a code")?;
    let taken = second_factor::take(&mut db, user, typed).await?;
    if let Some(taken) = taken {
        let detail = match taken {
            second_factor::Taken::Time => json!({ "by": "time" }),
            second_factor::Taken::Recovery(left) => json!({ "by": "recovery", "left": left }),
        };
        let act = Act::of_user("second_factor_given", user).with(detail);
        acts::record(&mut db, origin, act).await?;
        return Ok(Ok(db));
    }
    acts::record(&mut db, origin, Act::of_user("second_factor_failed", user)).await?;
    db.commit().await.context("refusing a code")?;
    let state = second_factor::state(&app.db, user).await?;
    let key = if state.is_worn {
        "factor.worn"
    } else {
        "factor.wrong"
    };
    let mut errors = FieldErrors::default();
    errors.add("code", shell.t(key));
    Ok(Err(Refused {
        errors,
        status: Status::Wrong,
    }))
}

fn refused(
    shell: Shell,
    form: forms::SignUp,
    errors: FieldErrors,
    notice: Option<String>,
) -> Response {
    let page = pages::SignUp {
        shell,
        form,
        errors,
        notice,
    };
    (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
}

/// An answer that says to come again later.
fn wait(mut response: Response, seconds: u64) -> Response {
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
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
