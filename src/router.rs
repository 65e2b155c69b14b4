//! Every URL, with who may call it.

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state, map_request};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{MethodRouter, any, delete, get, post};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::CsrfLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::trace::TraceLayer;

use crate::app::App;
use crate::web::Access::{
    self, Active, Agent, Anyone, Entering, Member, Participant, ParticipantOr, Platform, SignedIn,
    Token, Vantage,
};
use crate::web::Role::{
    self, Approver, Arbiter, Auditor, Buyer, Finance, Operations, Operator, Owner, Surveillance,
};
use crate::web::Scope::{self, Cancel, Place, Read};
use crate::web::shell::REQUEST_ID;
use crate::web::{
    access, assets, body, error, headers, kept, metrics, preferences, problem, session, signed,
    to_the_end, token,
};
use crate::{
    agents, certification, claims, control, disputes, funds, guide, identity, instruments, leases,
    ledger, lookup, market_data, members, orders, oversight, pools, supply, tokens, vantages,
};

/// The marketplace's own people, whatever their role: each reads everything.
const READERS: Access = Platform(&Role::PLATFORM);
/// The parties of a dispute, and the marketplace's own people.
const PARTIES: Access = ParticipantOr(&Role::PLATFORM);

/// Every URL of the site: who may call it, and what answers.
#[rustfmt::skip]
fn table() -> Table {
    let table = Table::default();
    #[cfg(debug_assertions)]
    let table = table.get("/styleguide", Anyone, crate::web::styleguide::show);
    let table = table
        .get("/", Anyone, market_data::pages::index)
        .get("/overview/live", Anyone, market_data::fragments::live)
        .get("/market/{symbol}", Anyone, instruments::pages::show)
        .get("/market/{symbol}/bill", Anyone, instruments::fragments::bill)
        .get("/market/{symbol}/confirm", Active(&[Buyer]), instruments::pages::confirm)
        .get("/market/{symbol}/live", Anyone, instruments::fragments::live)
        .post("/market/{symbol}/orders", Active(&[Buyer]), instruments::actions::buy)
        .get("/guide", Anyone, guide::pages::index)
        .get("/sign-up", Anyone, identity::pages::sign_up)
        .post("/sign-up", Anyone, identity::actions::sign_up)
        .get("/sign-in", Anyone, identity::pages::sign_in)
        .post("/sign-in", Anyone, identity::actions::sign_in)
        .post("/sign-out", Anyone, identity::actions::sign_out)
        .get("/second-factor", Entering, identity::pages::second_factor)
        .post("/second-factor", Entering, identity::actions::pass)
        .post("/second-factor/enrolment", Entering, identity::actions::enrol)
        .post("/second-factor/confirmation", Entering, identity::actions::confirm)
        .post("/second-factor/codes", SignedIn, identity::actions::renew_codes)
        .post("/second-factor/removal", SignedIn, identity::actions::remove)
        .get("/settings", SignedIn, members::pages::settings)
        .post("/settings/password", SignedIn, members::actions::password)
        .post("/settings/sessions/end-others", SignedIn, members::actions::end_others)
        .post("/settings/sessions/{id}/end", SignedIn, members::actions::end_session)
        .get("/settings/members", Participant, members::pages::members)
        .post("/settings/members/{id}/roles", Member(&[Owner]), members::actions::roles)
        .post("/settings/members/{id}/removal", Member(&[Owner]), members::actions::remove)
        .post("/settings/members/invitations", Member(&[Owner]), members::actions::invite)
        .post("/settings/members/invitations/{id}/revocation", Member(&[Owner]), members::actions::revoke)
        .post("/settings/members/approval", Member(&[Owner]), members::actions::approval)
        .get("/settings/tokens", Participant, tokens::pages::index)
        .post("/settings/tokens", Active(&[Buyer, Operator]), tokens::actions::make)
        .post("/settings/tokens/{id}/revocation", Participant, tokens::actions::revoke)
        .get("/join", Anyone, members::pages::join)
        .post("/join", Anyone, members::actions::join)
        .post("/preferences", Anyone, preferences::keep)
        .get("/orders", Participant, orders::pages::index)
        .get("/orders/live", Participant, orders::fragments::live)
        .get("/orders/{id}", Participant, orders::pages::show)
        .get("/orders/{id}/replacement", Active(&[Buyer]), orders::pages::replacement)
        .post("/orders/{id}/replace", Active(&[Buyer]), orders::actions::replace)
        .post("/orders/{id}/cancel", Member(&[Buyer, Operator]), orders::actions::cancel)
        .get("/orders/requests/{id}", Participant, orders::pages::request)
        .post("/orders/requests/{id}/approve", Active(&[Approver]), orders::actions::approve)
        .post("/orders/requests/{id}/decline", Member(&[Approver]), orders::actions::decline)
        .post("/orders/requests/{id}/withdraw", Participant, orders::actions::withdraw)
        .get("/trades/{id}", Participant, orders::pages::trade)
        .get("/trades/{id}/note", Participant, orders::pages::note_file)
        .get("/leases", Participant, leases::pages::index)
        .get("/leases/live", Participant, leases::fragments::live_list)
        .get("/leases/{id}", Participant, leases::pages::show)
        .get("/leases/{id}/live", Participant, leases::fragments::live)
        .post("/leases/{id}/access", Member(&[Buyer]), leases::actions::set_access)
        .get("/keys", Member(&[Buyer]), leases::pages::keys)
        .post("/keys", Member(&[Buyer]), leases::actions::add_key)
        .post("/keys/{id}/name", Member(&[Buyer]), leases::actions::rename_key)
        .post("/keys/{id}/remove", Member(&[Buyer]), leases::actions::remove_key)
        .get("/leases/{id}/hand-back", Member(&[Buyer]), leases::pages::hand_back)
        .post("/leases/{id}/hand-back", Member(&[Buyer]), leases::actions::hand_back)
        .get("/leases/{id}/problem", Member(&[Buyer]), claims::pages::report)
        .get("/leases/{id}/problem/claim", Member(&[Buyer]), claims::fragments::claim)
        .post("/leases/{id}/problem", Member(&[Buyer]), claims::actions::report)
        .get("/disputes", PARTIES, disputes::pages::index)
        .get("/disputes/live", PARTIES, disputes::fragments::live_list)
        .get("/disputes/{id}", PARTIES, disputes::pages::show)
        .get("/disputes/{id}/live", PARTIES, disputes::fragments::live)
        .post("/disputes/{id}/messages", ParticipantOr(&[Arbiter]), disputes::actions::say)
        .get("/disputes/{id}/preview", Platform(&[Arbiter]), disputes::fragments::effect)
        .post("/disputes/{id}/proposals", Platform(&[Arbiter]), disputes::actions::propose)
        .post("/disputes/{id}/decision", Platform(&[Arbiter]), disputes::actions::decide)
        .get("/wallet", Participant, funds::pages::wallet)
        .get("/wallet/live", Participant, funds::fragments::live)
        .get("/wallet/statement.csv", Participant, funds::api::statement)
        .get("/wallet/entries/{id}", Participant, funds::pages::entry)
        .post("/wallet/deposits", Member(&[Finance]), funds::actions::deposit);
    of_machines(of_the_marketplace(table))
        .get("/verify", Anyone, certification::pages::look_up)
        .get("/verify/{identifier}", Anyone, certification::pages::verify)
        .get("/provide/apply", Member(&[Operator]), certification::pages::apply)
        .post("/provide/apply/draft", Active(&[Operator]), certification::actions::save)
        .post("/provide/apply", Active(&[Operator]), certification::actions::submit)
        .get("/provide/pools", Member(&[Operator]), pools::pages::index)
        .post("/provide/pools", Active(&[Operator]), pools::actions::open)
        .get("/provide/pools/new", Member(&[Operator]), pools::pages::new)
        .get("/provide/pools/{id}", Member(&[Operator]), pools::pages::show)
        .get("/provide/pools/{id}/live", Member(&[Operator]), pools::fragments::live)
        .post("/provide/pools/{id}/units", Active(&[Operator]), pools::actions::grow)
        .get("/provide/pools/{id}/tariffs/preview", Member(&[Operator]), pools::fragments::preview)
        .post("/provide/pools/{id}/tariffs", Active(&[Operator]), pools::actions::list)
        .post("/provide/pools/{id}/tariffs/{ask}", Active(&[Operator]), pools::actions::change)
        .post("/provide/pools/{id}/tariffs/{ask}/end", Member(&[Operator]), pools::actions::end)
        .post("/provide/pools/{id}/pause", Member(&[Operator]), pools::actions::pause)
        .post("/provide/pools/{id}/resume", Active(&[Operator]), pools::actions::resume)
        .post("/provide/pools/{id}/hosts/{host}", Member(&[Operator]), pools::actions::plan_faults)
        .get("/provide", Member(&[Operator]), supply::pages::index)
        .get("/provide/live", Member(&[Operator]), supply::fragments::live)
        .get("/provide/leases", Member(&[Operator]), supply::pages::leases)
        .get("/provide/leases/{id}", Member(&[Operator]), supply::pages::show)
        .get("/provide/leases/{id}/live", Member(&[Operator]), supply::fragments::lease::live)
}

/// The same with a provider's machines.
#[rustfmt::skip]
fn of_machines(table: Table) -> Table {
    table
        .get("/provide/pools/{id}/machines", Member(&[Operator]), agents::pages::index)
        .get("/provide/pools/{id}/machines/live", Member(&[Operator]), agents::fragments::live)
        .post("/provide/pools/{id}/machines", Active(&[Operator]), agents::actions::register)
        .post("/provide/pools/{id}/machines/{host}/token", Member(&[Operator]), agents::actions::token)
        .post("/provide/pools/{id}/machines/{host}/revoke", Member(&[Operator]), agents::actions::revoke)
        .post("/provide/pools/{id}/maintenance", Member(&[Operator]), agents::actions::declare)
}

/// The same with what the marketplace's own people see and do.
#[rustfmt::skip]
fn of_the_marketplace(table: Table) -> Table {
    table
        .get("/ops/search", READERS, lookup::pages::search)
        .get("/ops/orders/{id}", READERS, lookup::pages::order)
        .get("/ops/trades/{id}", READERS, lookup::pages::trade)
        .get("/ops/leases/{id}", READERS, lookup::pages::lease)
        .get("/ops", READERS, oversight::pages::desk)
        .get("/ops/applications", READERS, oversight::pages::applications)
        .get("/ops/applications/{id}", READERS, oversight::pages::application)
        .post("/ops/applications/{id}/certify", Platform(&[Operations]), oversight::actions::certify)
        .post("/ops/applications/{id}/refuse", Platform(&[Operations]), oversight::actions::refuse)
        .get("/ops/participants", READERS, oversight::pages::participants)
        .get("/ops/participants/{id}", READERS, oversight::pages::participant)
        .post("/ops/participants/{id}/suspend", Platform(&[Operations]), oversight::actions::suspend)
        .post("/ops/participants/{id}/cancel", Platform(&[Operations]), oversight::actions::cancel)
        .post("/ops/participants/{id}/restore", Platform(&[Operations]), oversight::actions::restore)
        .get("/ops/cases", READERS, oversight::pages::cases)
        .post("/ops/cases/{id}/close", Platform(&[Operations]), oversight::actions::close_case)
        .get("/ops/halts", READERS, control::pages::halts)
        .post("/ops/halts", Platform(&[Operations]), control::actions::halt)
        .get("/ops/relations", READERS, control::pages::relations)
        .post("/ops/relations", Platform(&[Operations, Surveillance]), control::actions::relate)
        .get("/ops/leases/{id}/default", READERS, control::pages::default)
        .post("/ops/leases/{id}/default", Platform(&[Operations]), control::actions::default)
        .get("/ops/ledger", READERS, ledger::pages::balance)
        .get("/ops/ledger.csv", READERS, ledger::pages::balance_csv)
        .post("/ops/ledger/audit", Platform(&[Operations, Auditor]), ledger::actions::audit)
        .get("/ops/journal", READERS, ledger::pages::journal)
        .get("/ops/journal/{entry}", READERS, ledger::pages::entry)
}

/// Every URL of the API: programs have tokens, and cookies say nothing to it.
#[rustfmt::skip]
fn programs() -> Table {
    Table::default()
        .post("/api/v1/orders", Token(&[Place, Cancel]), orders::api::send)
        .get("/api/v1/orders", Token(&[Read]), orders::api::index)
        .get("/api/v1/orders/{id}", Token(&[Read]), orders::api::show)
        .delete("/api/v1/orders/{id}", Token(&[Cancel]), orders::api::cancel)
        .get("/api/v1/quote", Token(&Scope::ALL), instruments::api::quote)
        .post("/api/v1/session", Token(&[Place]), orders::api::attend)
}

/// Every URL of providers' machines: each request is signed, and neither cookies nor tokens say
/// anything to it.
#[rustfmt::skip]
fn signed_programs() -> Table {
    Table::default()
        .post("/api/agent/v1/enrol", Anyone, agents::api::enrol)
        .post("/api/agent/v1/heartbeat", Agent, agents::api::heartbeat)
        .post("/api/agent/v1/states", Agent, agents::api::states)
        .post("/api/agent/v1/readings", Agent, agents::api::readings)
        .post("/api/vantage/v1/work", Vantage, vantages::api::work)
        .post("/api/vantage/v1/results", Vantage, vantages::api::results)
}

/// A URL and who may call it.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its path, with `{names}` for what varies.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
}

/// Every URL of the pages behind the gate, in the order of the table.
pub fn routes() -> Vec<Route> {
    table().routes
}

/// The same of the API.
pub fn program_routes() -> Vec<Route> {
    programs().routes
}

/// The same of machines.
pub fn signed_routes() -> Vec<Route> {
    signed_programs().routes
}

#[derive(Default)]
struct Table {
    router: Router<App>,
    routes: Vec<Route>,
}

impl Table {
    fn get<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.add(Method::GET, path, access, get(handler))
    }

    fn post<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.add(Method::POST, path, access, post(handler))
    }

    fn delete<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.add(Method::DELETE, path, access, delete(handler))
    }

    /// All of it; and who asks for a form's URL as if it were a page, by loading anew what it
    /// answered or by signing in, is led to the page above it, where the form stands.
    fn with_ways_back(self) -> Router<App> {
        let is_page = |path: &str| {
            let mut routes = self.routes.iter();
            routes.any(|route| route.method == Method::GET && route.path == path)
        };
        let only_forms = self.routes.iter().filter(|route| !is_page(route.path));
        let mut router = self.router.clone();
        for route in only_forms {
            let mut above = route.path.rsplit_once('/').map_or("", |(above, _)| above);
            while !above.is_empty() && !is_page(above) {
                above = above.rsplit_once('/').map_or("", |(above, _)| above);
            }
            let parts = above.matches('/').count();
            let lead = move |uri: Uri| async move { Redirect::to(&beginning(&uri, parts)) };
            router = router.route(route.path, get(lead));
        }
        router
    }

    fn add(
        mut self,
        method: Method,
        path: &'static str,
        access: Access,
        answer: MethodRouter<App>,
    ) -> Self {
        let gate = move |request: Request, next: Next| access::gate(access, request, next);
        self.router = self.router.route(path, answer.route_layer(from_fn(gate)));
        self.routes.push(Route {
            method,
            path,
            access,
        });
        self
    }
}

/// The first so many parts of a path, with its query.
fn beginning(uri: &Uri, parts: usize) -> String {
    let path: String = uri
        .path()
        .split('/')
        .skip(1)
        .take(parts)
        .map(|part| format!("/{part}"))
        .collect();
    let path = if path.is_empty() { "/" } else { &path };
    match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

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
        .layer(from_fn_with_state(app.clone(), session::load))
        .layer(from_fn_with_state(app.clone(), kept::keep));
    table()
        .with_ways_back()
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(layers)
        .merge(api(&app))
        .merge(signed_api(&app))
        .merge(machines(&app))
        .with_state(app)
}

/// What programs ask: no cookie, no form, no page.
fn api(app: &App) -> Router<App> {
    let layers = ServiceBuilder::new()
        .layer(map_request(unnumbered))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(from_fn(metrics::count))
        .layer(from_fn_with_state(app.clone(), headers::add))
        .layer(from_fn(problem::answers))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(app.clone(), token::load))
        .layer(from_fn_with_state(app.clone(), body::read_of_program))
        .layer(from_fn(to_the_end));
    programs()
        .router
        .route("/api/{*rest}", any(|| async { StatusCode::NOT_FOUND }))
        .layer(layers)
}

/// What machines ask.
fn signed_api(app: &App) -> Router<App> {
    let layers = ServiceBuilder::new()
        .layer(map_request(unnumbered))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(from_fn(metrics::count))
        .layer(from_fn_with_state(app.clone(), headers::add))
        .layer(from_fn(problem::answers))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(app.clone(), body::read_of_program))
        .layer(from_fn_with_state(app.clone(), signed::load))
        .layer(from_fn(to_the_end));
    signed_programs().router.layer(layers)
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

/// What a server answers while it waits for the lead: that it lives, and is not ready.
pub fn standby() -> Router {
    Router::new()
        .route("/healthz", get(metrics::healthz))
        .fallback(metrics::standing_by)
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
