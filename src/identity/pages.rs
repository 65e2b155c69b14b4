//! The pages to sign up and to sign in.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::Query;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::forms;
use crate::web::passwords::SHORTEST;
use crate::web::shell::safe_path;
use crate::web::{FieldErrors, Shell};

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
}

#[derive(Template, WebTemplate)]
#[template(path = "identity/sign_in.html")]
pub(super) struct SignIn {
    pub(super) shell: Shell,
    pub(super) form: forms::SignIn,
    pub(super) notice: Option<String>,
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
