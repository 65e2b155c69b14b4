//! Every URL, grouped by who may call it.

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state, map_request};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::CsrfLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::trace::TraceLayer;

use crate::app::App;
use crate::web::shell::REQUEST_ID;
use crate::web::{assets, body, error, headers, metrics, preferences, session, to_the_end};
use crate::{funds, identity, instruments, leases, market_data, orders};

/// The whole site.
pub fn router(app: App) -> Router {
    // From the outside in; what an inner layer refuses, `error::pages` turns into a page.
    let layers = ServiceBuilder::new()
        .layer(map_request(unnumbered))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(from_fn(metrics::count))
        .layer(from_fn_with_state(app.clone(), headers::add))
        .layer(from_fn(error::pages))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(CsrfLayer::new())
        .layer(from_fn_with_state(app.clone(), body::read))
        .layer(from_fn(to_the_end))
        .layer(from_fn_with_state(app.clone(), session::load));
    anyone()
        .merge(signed_in().route_layer(from_fn(session::require)))
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(layers)
        .merge(machines(&app))
        .with_state(app)
}

/// Anyone.
fn anyone() -> Router<App> {
    Router::new()
        .route("/", get(market_data::pages::index))
        .route("/overview/live", get(market_data::fragments::live))
        .route("/market/{symbol}", get(instruments::pages::show))
        .route("/market/{symbol}/bill", get(instruments::fragments::bill))
        .route("/market/{symbol}/live", get(instruments::fragments::live))
        .route(
            "/sign-up",
            get(identity::pages::sign_up).post(identity::actions::sign_up),
        )
        .route(
            "/sign-in",
            get(identity::pages::sign_in).post(identity::actions::sign_in),
        )
        .route("/sign-out", post(identity::actions::sign_out))
        .route("/preferences", post(preferences::keep))
}

/// Whoever has signed in, for their participant.
fn signed_in() -> Router<App> {
    Router::new()
        .route("/market/{symbol}/orders", post(instruments::actions::buy))
        .route("/orders", get(orders::pages::index))
        .route("/orders/live", get(orders::fragments::live))
        .route("/orders/{id}", get(orders::pages::show))
        .route("/orders/{id}/cancel", post(orders::actions::cancel))
        .route("/leases", get(leases::pages::index))
        .route("/leases/live", get(leases::fragments::live_list))
        .route("/leases/{id}", get(leases::pages::show))
        .route("/leases/{id}/live", get(leases::fragments::live))
        .route("/wallet", get(funds::pages::wallet))
        .route("/wallet/live", get(funds::fragments::live))
        .route("/wallet/deposits", post(funds::actions::deposit))
}

/// Static files, and what operators' machines ask.
fn machines(app: &App) -> Router<App> {
    Router::new()
        .route(assets::ROUTE, get(assets::serve))
        .route("/healthz", get(metrics::healthz))
        .route("/readyz", get(metrics::readyz))
        .route("/metrics", get(metrics::show))
        .layer(from_fn_with_state(app.clone(), headers::add))
}

/// A request without the number that its sender gave it: the log's and the error pages' are ours.
async fn unnumbered(mut request: Request) -> Request {
    request.headers_mut().remove(REQUEST_ID);
    request
}

/// A request in the log: its number, method and path. A query may hold what is not the log's.
fn span<B>(request: &axum::http::Request<B>) -> tracing::Span {
    let id = request
        .headers()
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default();
    let method: &Method = request.method();
    tracing::info_span!("request", id, %method, path = request.uri().path())
}

/// What a panic shows: an ordinary failure. What it said is for the log.
fn panicked(panic: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    let said = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("something else than a text");
    let error = anyhow::anyhow!("a handler panicked: {said}");
    crate::web::Error::Internal(error).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_ordinary_failure_that_says_nothing_of_itself() {
        async fn panics() -> StatusCode {
            panic!("a secret of the program")
        }
        let layers = ServiceBuilder::new()
            .layer(from_fn(error::pages))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(from_fn(to_the_end));
        let router: Router = Router::new().route("/", post(panics)).layer(layers);
        let request = Request::post("/").body(Body::empty()).expect("a request");
        let answer = router.oneshot(request).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let page = answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        let page = String::from_utf8_lossy(&page);
        assert!(page.contains("我们这边出错了"), "{page}");
        assert!(!page.contains("secret"), "{page}");
    }
}
