//! What a program is told where a person would see a page: RFC 9457 problem details, with a code
//! that stays, the field, and the way on in the reader's language.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use market::{Rejection, decimal};
use serde::Serialize;

use super::error::{self, Error};
use super::i18n::Locale;
use super::say;
use super::shell::request_id;
use crate::protocol::Flaw;

/// What is wrong.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// What kind it is of, as a URI.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words.
    title: String,
    /// As which status it is answered.
    status: u16,
    /// The kind, for programs.
    code: &'static str,
    /// This one in words, with the way on.
    detail: String,
    /// The field that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// Which of several orders it is about, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    /// The order's client id.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// What is missing of the cash, in yuan.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
    /// The band's limits, in yuan.
    #[serde(skip_serializing_if = "Option::is_none")]
    lowest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    highest: Option<String>,
    /// Our clock, where a machine's is too far from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<String>,
    /// The request's number, to be told to us.
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, title: String, detail: String) -> Self {
        Self {
            kind: format!("urn:sluice:problem:{code}"),
            title,
            status: status.as_u16(),
            code,
            detail,
            field: None,
            index: None,
            id: None,
            missing: None,
            lowest: None,
            highest: None,
            clock: None,
            request: None,
        }
    }

    /// One whose words are `problem.<code>` of the catalogue.
    pub fn named(locale: Locale, status: StatusCode, code: &'static str) -> Self {
        let title = locale.t(format!("problem.{code}.title")).into_owned();
        let detail = locale.t(format!("problem.{code}.text")).into_owned();
        Self::new(status, code, title, detail)
    }

    /// Why a request can't be served.
    pub fn of_error(locale: Locale, error: &Error) -> Self {
        if let Error::Rejected(rejection) = error {
            return Self::of_rejection(locale, *rejection);
        }
        let status = error.status();
        let (code, title, text) = error::words_for_programs(locale, status, Some(error));
        Self::new(status, code, title, text)
    }

    /// Why the market said no.
    pub fn of_rejection(locale: Locale, rejection: Rejection) -> Self {
        let status = match rejection {
            Rejection::UnknownOrder => StatusCode::NOT_FOUND,
            _ => StatusCode::CONFLICT,
        };
        let title = locale.t("error.rejected.title").into_owned();
        let detail = say::rejection(locale, rejection);
        let problem = Self::new(status, rejection.code(), title, detail);
        match rejection {
            Rejection::InsufficientFunds { missing } => Self {
                missing: Some(decimal(missing)),
                ..problem
            },
            Rejection::OutsideBand { lowest, highest } => Self {
                lowest: lowest.map(|price| price.to_string()),
                highest: highest.map(|price| price.to_string()),
                ..problem
            },
            _ => problem,
        }
    }

    /// What is wrong with what was written. Nothing was done then.
    pub fn of_flaw(locale: Locale, flaw: &Flaw) -> Self {
        let status = match flaw.code {
            "bad_json" => StatusCode::BAD_REQUEST,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let title = locale
            .t(format!("problem.{}.title", flaw.code))
            .into_owned();
        Self {
            field: flaw.field.clone(),
            ..Self::new(status, flaw.code, title, flaw.to_string())
        }
    }

    /// The same about this one of several.
    pub fn at(self, index: usize) -> Self {
        let index = Some(index);
        Self { index, ..self }
    }

    /// The same about the order of this client id.
    pub fn about(self, id: &str) -> Self {
        let id = Some(id.to_owned());
        Self { id, ..self }
    }

    /// The same, saying what our clock shows.
    pub fn with_clock(self, clock: jiff::Timestamp) -> Self {
        let clock = Some(clock.to_string());
        Self { clock, ..self }
    }

    /// The client id of the order that it is about.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// As which status it is answered.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Whether the same may be sent again in a moment.
    fn is_passing(&self) -> bool {
        self.status() == StatusCode::SERVICE_UNAVAILABLE
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let is_passing = self.is_passing();
        let mut response = (self.status(), Json(self)).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if is_passing {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}

/// Turns every failure of the layers below into a problem.
pub async fn answers(request: Request, next: Next) -> Response {
    let locale = Locale::of(request.headers());
    let id = request_id(&request);
    let response = next.run(request).await;
    let status = response.status();
    let is_said = |headers: &HeaderMap| {
        let kind = headers.get(header::CONTENT_TYPE);
        kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/"))
    };
    if !status.is_client_error() && !status.is_server_error() || is_said(response.headers()) {
        return response;
    }
    let error = error::of(&response);
    let error = error.as_deref();
    if let Some(Error::Internal(error)) = error {
        tracing::error!(request_id = %id, error = format!("{error:#}"), "a request failed");
    }
    let (code, title, text) = error::words_for_programs(locale, status, error);
    let mut problem = Problem::new(status, code, title, text);
    problem.request = Some(id);
    let retry = response.headers().get(header::RETRY_AFTER).cloned();
    let allow = response.headers().get(header::ALLOW).cloned();
    let mut answer = problem.into_response();
    let headers = answer.headers_mut();
    for (name, value) in [(header::RETRY_AFTER, retry), (header::ALLOW, allow)] {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}
