//! `POST /preferences`: the header's switches of language and theme, kept in cookies.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};

use super::form::Form;
use super::i18n::{self, Locale};
use super::shell::{THEME_COOKIE, Theme, safe_path};
use crate::app::App;

/// What was switched, and where from.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct Preferences {
    locale: String,
    theme: String,
    back: String,
}

/// Keeps what was chosen and goes back.
pub async fn keep(State(app): State<App>, Form(chosen): Form<Preferences>) -> Response {
    let mut jar = CookieJar::new();
    let cookie = |name: &'static str, value: &'static str| {
        Cookie::build((name, value))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(app.web.options.secure)
            .permanent()
    };
    if let Some(locale) = Locale::from_tag(&chosen.locale) {
        jar = jar.add(cookie(i18n::COOKIE, locale.tag()));
    }
    if let Some(theme) = Theme::from_name(&chosen.theme) {
        jar = jar.add(cookie(THEME_COOKIE, theme.name()));
    }
    (jar, Redirect::to(safe_path(&chosen.back))).into_response()
}
