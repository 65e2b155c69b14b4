//! The pages to sign up, to sign in, and of the second factor.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Query, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::forms;
use crate::app::App;
use crate::web::error::encoded;
use crate::web::passwords::SHORTEST;
use crate::web::second_factor::{self, Square};
use crate::web::session::Person;
use crate::web::shell::safe_path;
use crate::web::{Error, FieldErrors, Shell};

/// Where to go once one is in.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Next {
    next: String,
}

#[derive(Template, WebTemplate)]
#[template(path = "identity/sign_up.html")]
pub(super) struct SignUp {
    pub(super) shell: Shell,
    pub(super) form: forms::SignUp,
    pub(super) errors: FieldErrors,
    pub(super) notice: Option<String>,
}

impl SignUp {
    fn shortest(&self) -> usize {
        SHORTEST
    }

    fn sign_in(&self) -> String {
        then("/sign-in", &self.form.next)
    }
}

#[derive(Template, WebTemplate)]
#[template(path = "identity/sign_in.html")]
pub(super) struct SignIn {
    pub(super) shell: Shell,
    pub(super) form: forms::SignIn,
    pub(super) notice: Option<String>,
}

impl SignIn {
    fn sign_up(&self) -> String {
        then("/sign-up", &self.form.next)
    }
}

/// A code is asked for.
#[derive(Template, WebTemplate)]
#[template(path = "identity/code.html")]
struct AskCode {
    shell: Shell,
    next: String,
    errors: FieldErrors,
    is_worn: bool,
}

/// A second factor is set up.
#[derive(Template, WebTemplate)]
#[template(path = "identity/enrol.html")]
struct Enrol {
    shell: Shell,
    next: String,
    errors: FieldErrors,
    is_required: bool,
    is_off_now: bool,
    pending: Option<Pending>,
}

struct Pending {
    login: String,
    text: String,
    url: String,
    square: Option<Square>,
}

/// A second factor that is on.
#[derive(Template, WebTemplate)]
#[template(path = "identity/factor.html")]
struct Factor {
    shell: Shell,
    errors: FieldErrors,
    since: String,
    codes: i64,
    is_required: bool,
}

/// The recovery codes, this once.
#[derive(Template, WebTemplate)]
#[template(path = "identity/codes.html")]
pub(super) struct Codes {
    pub(super) shell: Shell,
    pub(super) codes: Vec<String>,
    pub(super) next: String,
}

/// `GET /sign-up`
pub async fn sign_up(shell: Shell, Query(Next { next }): Query<Next>) -> Response {
    if shell.member.is_some() {
        return Redirect::to(safe_path(&next)).into_response();
    }
    let form = forms::SignUp {
        next,
        ..forms::SignUp::default()
    };
    SignUp {
        shell,
        form,
        errors: FieldErrors::default(),
        notice: None,
    }
    .into_response()
}

/// `GET /sign-in`
pub async fn sign_in(shell: Shell, Query(Next { next }): Query<Next>) -> Response {
    if shell.member.is_some() {
        return Redirect::to(safe_path(&next)).into_response();
    }
    let form = forms::SignIn {
        next,
        ..forms::SignIn::default()
    };
    SignIn {
        shell,
        form,
        notice: None,
    }
    .into_response()
}

/// `GET /second-factor`: a code is asked for, one is set up, or how it stands.
///
/// # Errors
/// When the database can't be read.
pub async fn second_factor(
    State(app): State<App>,
    uri: Uri,
    shell: Shell,
    person: Person,
    Query(Next { next }): Query<Next>,
) -> Result<Response, Error> {
    let is_off_now = uri.query() == Some("off");
    draw(
        &app,
        shell,
        &person,
        next,
        FieldErrors::default(),
        is_off_now,
    )
    .await
}

/// The same after a code that was not taken.
pub(super) async fn ask(
    app: &App,
    shell: Shell,
    person: &Person,
    next: String,
    errors: FieldErrors,
) -> Result<Response, Error> {
    draw(app, shell, person, next, errors, false).await
}

async fn draw(
    app: &App,
    shell: Shell,
    person: &Person,
    next: String,
    errors: FieldErrors,
    is_off_now: bool,
) -> Result<Response, Error> {
    let member = &person.member;
    let is_required = member.is_of_platform();
    let state = second_factor::state(&app.db, member.user).await?;
    let Some(since) = state.since else {
        let pending = state.pending.map(|secret| Pending {
            login: member.login.clone(),
            text: secret.text(),
            url: secret.url(&member.login),
            square: secret.square(&member.login),
        });
        let page = Enrol {
            shell,
            next,
            errors,
            is_required,
            is_off_now,
            pending,
        };
        return Ok(page.into_response());
    };
    // Whoever is sent here from elsewhere is asked once more; who comes to see it sees it.
    if person.is_entering || person.is_factor_stale && !next.is_empty() {
        let is_worn = state.is_worn;
        let page = AskCode {
            shell,
            next,
            errors,
            is_worn,
        };
        return Ok(page.into_response());
    }
    let since = shell.locale.minute(crate::clock::stamp(since));
    let codes = state.codes;
    let page = Factor {
        shell,
        errors,
        since,
        codes,
        is_required,
    };
    Ok(page.into_response())
}

/// The page of the second factor, and then this one.
pub(super) fn second_factor_then(next: &str) -> String {
    then("/second-factor", next)
}

fn then(path: &str, next: &str) -> String {
    if next.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?next={}", encoded(next))
    }
}
