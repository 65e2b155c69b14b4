//! Why a request can't be served, and the page that says so with a way onward.
//!
//! Handlers return [`Error`]; one layer, [`pages`], turns it, and every bare failure of the layers
//! below (no such URL, too large, a panic), into a page or, for htmx, into a notice. What went
//! wrong inside is logged once, with the request id that the page shows.

use std::sync::Arc;

use askama::Template;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use market::Rejection;

use super::banner::Banner;
use super::i18n::Locale;
use super::kept::Led;
use super::shell::{Shell, place, request_id};

/// Why a request can't be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing here, or another participant's.
    #[error("not found")]
    NotFound,
    /// The request came from another site, or its method is not allowed.
    #[error("forbidden")]
    Forbidden,
    /// Only for those who have signed in.
    #[error("signed out")]
    SignIn,
    /// Only for those who have given their second factor.
    #[error("second factor missing")]
    SecondFactor,
    /// The member's roles don't allow it.
    #[error("not a role of this member's")]
    Role,
    /// The token is not for this.
    #[error("not a scope of this token")]
    Scope,
    /// The participant is suspended and begins nothing new.
    #[error("suspended")]
    Suspended,
    /// Only for participants that were certified to provide.
    #[error("not certified")]
    Uncertified,
    /// The market said no, where no form can show it.
    #[error("rejected: {0}")]
    Rejected(Rejection),
    /// The request can't be read.
    #[error("invalid request")]
    Invalid,
    /// Too many requests of this kind; how many seconds to wait.
    #[error("too many requests")]
    TooMany(u64),
    /// The machine has more to do than it can.
    #[error("busy")]
    Busy,
    /// The program or its database failed.
    #[error("internal error")]
    Internal(#[source] anyhow::Error),
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast_ref::<sqlx::Error>() {
            Some(sqlx::Error::PoolTimedOut) => Self::Busy,
            _ => Self::Internal(error),
        }
    }
}

impl Error {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Forbidden | Self::Role | Self::Scope | Self::Suspended | Self::Uncertified => {
                StatusCode::FORBIDDEN
            }
            Self::SignIn | Self::SecondFactor => StatusCode::UNAUTHORIZED,
            Self::Rejected(_) => StatusCode::CONFLICT,
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The error of a response that still has to be made a page.
#[derive(Clone)]
struct Failure(Arc<Error>);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        if let Self::TooMany(seconds) = self {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if matches!(self, Self::Busy) {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response.extensions_mut().insert(Failure(Arc::new(self)));
        response
    }
}

#[derive(Template)]
#[template(path = "errors/show.html")]
struct Show {
    shell: Shell,
    failure: Words,
}

#[derive(Template)]
#[template(path = "errors/_notice.html")]
struct Notice {
    locale: Locale,
    request_id: String,
    failure: Words,
}

/// What a reader is told.
struct Words {
    status: u16,
    title: String,
    text: String,
    onward: &'static str,
    onward_text: String,
}

/// Turns every failure into a page with the request id, or a notice where htmx asked.
pub async fn pages(request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    let path = place(request.method(), &headers, request.uri());
    let id = request_id(&request);
    let banner = request.extensions().get::<Banner>().copied();
    let response = next.run(request).await;
    let status = response.status();
    let is_page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| {
            kind.as_bytes().starts_with(b"text/html")
                || kind.as_bytes().starts_with(b"application/")
        });
    if status.is_redirection() && headers.contains_key("hx-request") {
        return lead_on(response);
    }
    if !status.is_client_error() && !status.is_server_error() || is_page {
        return response;
    }
    let failure = response.extensions().get::<Failure>().cloned();
    let error = failure.as_ref().map(|failure| &*failure.0);
    if let Some(Error::Internal(error)) = error {
        tracing::error!(request_id = %id, error = format!("{error:#}"), "a request failed");
    }
    let way_in = match error {
        Some(Error::SignIn) => Some("/sign-in"),
        Some(Error::SecondFactor) => Some("/second-factor"),
        _ => None,
    };
    if let Some(way_in) = way_in {
        return enter(&headers, &path, way_in, &response);
    }
    let shell = Shell {
        banner,
        ..Shell::bare(&headers, &path, id)
    };
    show(&headers, shell, response, error)
}

fn show(headers: &HeaderMap, shell: Shell, response: Response, error: Option<&Error>) -> Response {
    let locale = shell.locale;
    let status = response.status();
    let failure = words(locale, status, error);
    let is_htmx = headers.contains_key("hx-request");
    let body = if is_htmx {
        Notice {
            locale,
            request_id: shell.request_id,
            failure,
        }
        .render()
    } else {
        Show { shell, failure }.render()
    };
    let (mut parts, _) = response.into_parts();
    // The length of the bare body is not the page's.
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::CONTENT_TYPE);
    if is_htmx {
        parts
            .headers
            .insert("hx-retarget", HeaderValue::from_static("#notice"));
        parts
            .headers
            .insert("hx-reswap", HeaderValue::from_static("innerHTML"));
        // A form that picks a part of a page is answered with no page here.
        parts
            .headers
            .insert("hx-reselect", HeaderValue::from_static("unset"));
    }
    match body {
        Ok(body) => (parts, Html(body)).into_response(),
        Err(error) => {
            tracing::error!(%error, "an error page can't be rendered");
            status.into_response()
        }
    }
}

/// The error of a response, if it is one that a handler gave.
pub(super) fn of(response: &Response) -> Option<Arc<Error>> {
    let failure = response.extensions().get::<Failure>();
    failure.map(|failure| Arc::clone(&failure.0))
}

/// Whether an answer sends its reader to sign in, or to give a second factor.
pub(super) fn asks_to_enter(response: &Response) -> bool {
    let failure = response.extensions().get::<Failure>();
    matches!(
        failure.map(|failure| &*failure.0),
        Some(Error::SignIn | Error::SecondFactor)
    )
}

/// Whoever must come in first is led back to where they were, with what they had typed.
fn enter(headers: &HeaderMap, path: &str, way_in: &str, response: &Response) -> Response {
    let led = response.extensions().get::<Led>().cloned();
    let back = led.as_ref().map(|led| led.back(path));
    let back = encoded(back.as_deref().unwrap_or(path));
    let location = HeaderValue::from_str(&format!("{way_in}?next={back}"));
    let Ok(location) = location else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let mut answer = (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response();
    if headers.contains_key("hx-request") {
        answer = lead_on(answer);
    }
    if let Some(led) = led {
        led.give(answer.headers_mut());
    }
    answer
}

/// A redirect for a page that sent a form or asked for a part by itself: it would follow a plain
/// one, and put a whole page where a part was to be.
fn lead_on(mut response: Response) -> Response {
    if let Some(location) = response.headers_mut().remove(header::LOCATION) {
        response.headers_mut().insert("hx-redirect", location);
        *response.status_mut() = StatusCode::OK;
    }
    response
}

/// A path as the value of a query's field.
pub(crate) fn encoded(path: &str) -> String {
    path.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'/' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

/// What kind of failure it is, in a word.
fn kind(status: StatusCode, error: Option<&Error>) -> &'static str {
    match (error, status) {
        (Some(Error::Rejected(_)), _) => "rejected",
        (Some(Error::Role), _) => "role",
        (Some(Error::Suspended), _) => "suspended",
        (Some(Error::Uncertified), _) => "uncertified",
        (_, StatusCode::NOT_FOUND) => "not_found",
        (_, StatusCode::FORBIDDEN) => "forbidden",
        (_, StatusCode::METHOD_NOT_ALLOWED) => "method",
        (_, StatusCode::PAYLOAD_TOO_LARGE) => "too_large",
        (_, StatusCode::TOO_MANY_REQUESTS) => "too_many",
        (_, StatusCode::SERVICE_UNAVAILABLE) => "busy",
        (_, StatusCode::INTERNAL_SERVER_ERROR) => "internal",
        _ if status.is_server_error() => "internal",
        _ => "invalid",
    }
}

/// What a program is told: the kind, its words, and what to do.
pub(super) fn words_for_programs(
    locale: Locale,
    status: StatusCode,
    error: Option<&Error>,
) -> (&'static str, String, String) {
    let code = match status {
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "no_json",
        _ if matches!(error, Some(Error::Scope)) => "scope",
        _ => kind(status, error),
    };
    let area = match code {
        "unauthorized" | "no_json" | "scope" => "problem",
        _ => "error",
    };
    let words = |part: &str| locale.t(format!("{area}.{code}.{part}")).into_owned();
    (code, words("title"), words("text"))
}

fn words(locale: Locale, status: StatusCode, error: Option<&Error>) -> Words {
    let kind = kind(status, error);
    let text = match error {
        Some(Error::Rejected(rejection)) => super::say::rejection(locale, *rejection),
        _ => locale.t(format!("error.{kind}.text")).into_owned(),
    };
    let (onward, onward_key) = match kind {
        "rejected" => ("/orders", "error.onward.orders"),
        "uncertified" => ("/provide/apply", "error.onward.apply"),
        _ => ("/", "error.onward.market"),
    };
    Words {
        status: status.as_u16(),
        title: locale.t(format!("error.{kind}.title")).into_owned(),
        text,
        onward,
        onward_text: locale.t(onward_key).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_back_survives_the_query() {
        assert_eq!(
            encoded("/market/a?x=1&y=乙"),
            "/market/a%3Fx%3D1%26y%3D%E4%B9%99"
        );
    }
}
