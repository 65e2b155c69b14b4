//! What a request may send: a body within bounds of size and time, read before anyone works on it.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::Options;
use crate::app::App;

/// Reads the whole body first. The time is for all of it: a bound on each pause alone would let a
/// few bytes a minute keep a connection for days.
pub async fn read(State(app): State<App>, request: Request, next: Next) -> Response {
    let Options {
        body_bytes,
        body_timeout,
        ..
    } = app.web.options;
    whole(body_bytes, body_timeout, request, next).await
}

/// The same for what a program sends, which may be many orders.
pub async fn read_of_program(State(app): State<App>, request: Request, next: Next) -> Response {
    let Options {
        program_body_bytes,
        body_timeout,
        ..
    } = app.web.options;
    whole(program_body_bytes, body_timeout, request, next).await
}

async fn whole(bytes: usize, within: Duration, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let whole = Limited::new(body, bytes).collect();
    match tokio::time::timeout(within, whole).await {
        Ok(Ok(body)) => {
            let body = Body::from(body.to_bytes());
            next.run(Request::from_parts(head, body)).await
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            StatusCode::PAYLOAD_TOO_LARGE.into_response()
        }
        Ok(Err(_)) => StatusCode::BAD_REQUEST.into_response(),
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}
