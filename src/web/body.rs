//! What a request may send: a body within bounds of size and time, read before anyone works on it.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::app::App;

/// Reads the whole body first. The time is for all of it: a bound on each pause alone would let a
/// few bytes a minute keep a connection for days.
pub async fn read(State(app): State<App>, request: Request, next: Next) -> Response {
    let options = app.web.options;
    let (head, body) = request.into_parts();
    let whole = Limited::new(body, options.body_bytes).collect();
    match tokio::time::timeout(options.body_timeout, whole).await {
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
