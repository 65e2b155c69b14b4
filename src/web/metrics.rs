//! Counts for operators: `/metrics`, and whether this server lives and is ready.

use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::error::Error;
use crate::app::App;

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// The process's recorder; none when another one was there first.
fn recorder() -> Option<&'static PrometheusHandle> {
    RECORDER
        .get_or_init(|| PrometheusBuilder::new().install_recorder().ok())
        .as_ref()
}

/// Counts each request by its route, never by its path: ids and what people type stay out.
pub async fn count(request: Request, next: Next) -> Response {
    recorder();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let method = request.method().as_str().to_owned();
    let since = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    let labels = [("route", route), ("method", method), ("status", status)];
    metrics::counter!("sluice_http_requests_total", &labels).increment(1);
    metrics::histogram!("sluice_http_request_seconds", &labels).record(since.elapsed());
    response
}

/// `GET /metrics`: only for a peer on this machine that no proxy speaks for.
pub async fn show(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<String, Error> {
    if is_proxied(&headers) || !is_local(&headers) || !peer.ip().to_canonical().is_loopback() {
        return Err(Error::NotFound);
    }
    Ok(recorder().map(PrometheusHandle::render).unwrap_or_default())
}

/// Whether a proxy says that it speaks for somebody.
fn is_proxied(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        name.starts_with("x-forwarded")
            || [
                "forwarded",
                "via",
                "x-real-ip",
                "x-client-ip",
                "true-client-ip",
            ]
            .contains(&name)
            || name.starts_with("cf-")
    })
}

/// Whether the address that was asked for is this machine's own: a public name reached it by a
/// proxy that says nothing, or by a browser that was led here.
fn is_local(headers: &HeaderMap) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
        if is_port { name } else { host }
    });
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost"
        || name
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// `GET /healthz`: the process answers.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Whatever else is asked of a server that waits for the lead, `GET /readyz` included.
pub async fn standing_by() -> Response {
    let wait = [(header::RETRY_AFTER, HeaderValue::from_static("2"))];
    let text = "standing by: another server leads\n";
    (StatusCode::SERVICE_UNAVAILABLE, wait, text).into_response()
}

/// `GET /readyz`: the database can be reached and the sequencer takes commands.
pub async fn readyz(State(app): State<App>) -> Response {
    let database = sqlx::query("SELECT 1").execute(&app.db).await;
    let (status, text) = match database {
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the database can't be reached\n",
        ),
        Ok(_) if !app.sequencer.is_ready() => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the market takes no commands\n",
        ),
        Ok(_) => (StatusCode::OK, "ready\n"),
    };
    (status, text).into_response()
}
