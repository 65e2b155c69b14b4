//! What is shut: other participants' things, other sites' forms, and more than one client's share.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use sluice::app::{App, Parts};
use sluice::router::router;
use sluice::web::server::Limits;
use sluice::web::{Options, Web};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tower::ServiceExt;

use crate::support::app::TestApp;
use crate::support::market::{deliver, hour};
use crate::support::visitor::{Page, Visitor};

const PAGE: &str = "/market/A100-80GB.GUZ-GAN.SILVER";
const SYMBOL: &str = "A100-80GB.GUZ-GAN.SILVER";

async fn buy(visitor: &mut Visitor) {
    let bought = visitor.order(SYMBOL, &[("units", "8")]).await;
    assert_eq!(bought.status, StatusCode::SEE_OTHER, "{}", bought.body);
}

/// An error page without the number of its request.
fn anonymous(page: &Page) -> String {
    let id = page.headers["x-request-id"].to_str().expect("text");
    page.body.replace(id, "")
}

#[tokio::test]
async fn anothers_order_and_lease_are_as_if_they_did_not_exist() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    let mut eve = Visitor::member(&app, "eve", "1000").await;
    buy(&mut ada).await;
    for (theirs, nobodys) in [
        ("/orders/o2", "/orders/o999"),
        ("/leases/l1", "/leases/l999"),
        ("/leases/l1/live", "/leases/l999/live"),
        ("/leases/l1", "/leases/x"),
        ("/leases/l1", "/leases/l99999999999999999999"),
        ("/leases/l1", "/leases/l01"),
    ] {
        let theirs = eve.get(theirs).await;
        let nobodys = eve.get(nobodys).await;
        assert_eq!(theirs.status, StatusCode::NOT_FOUND);
        assert_eq!(nobodys.status, StatusCode::NOT_FOUND);
        let path = |page: &Page| anonymous(page).len();
        assert!(
            path(&theirs).abs_diff(path(&nobodys)) < 40,
            "the pages differ"
        );
    }
    let cancelled = eve.post("/orders/o2/cancel", &[]).await;
    assert_eq!(cancelled.status, StatusCode::NOT_FOUND);
    assert!(!eve.get("/wallet").await.body.contains("/leases/l1"));
    // And nobody who has not signed in sees any of it.
    let mut nobody = Visitor::new(&app);
    for path in [
        "/orders",
        "/orders/o2",
        "/leases/l1",
        "/leases/l1/live",
        "/wallet/live",
    ] {
        assert!(
            nobody
                .get(path)
                .await
                .location()
                .starts_with("/sign-in?next="),
            "{path}"
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn a_form_of_another_site_is_refused() {
    let app = TestApp::start().await;
    let ada = Visitor::member(&app, "ada", "1000").await;
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let mut forged = ada.clone();
        forged.sends.push((name, value.to_owned()));
        let page = forged.post("/wallet/deposits", &[("amount", "5")]).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{name}: {value}");
        assert!(page.text("h1").contains("refused"), "{}", page.body);
        let page = forged.post("/sign-out", &[]).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{name}: {value}");
    }
    for (name, value) in [
        ("sec-fetch-site", "same-origin".to_owned()),
        ("origin", app.url.clone()),
    ] {
        let mut own = ada.clone();
        own.sends.push((name, value));
        let page = own.post("/wallet/deposits", &[("amount", "5")]).await;
        assert_eq!(page.location(), "/wallet?deposited");
    }
    app.stop().await;
}

#[tokio::test]
async fn every_answer_carries_the_policy_and_a_number() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "10").await;
    let css = sluice::web::assets::url("app.css");
    let paths = [
        "/",
        PAGE,
        "/wallet",
        "/sign-in",
        "/nowhere",
        "/market/NONE",
        css,
        "/healthz",
    ];
    for path in paths {
        let page = ada.get(path).await;
        assert_policy(path, &page.headers);
        if page.status == StatusCode::NOT_FOUND {
            let id = page.headers["x-request-id"].to_str().expect("text");
            assert!(page.text("main").contains(id), "{path} shows its number");
        }
    }
    let stream = ada.open("GET", "/overview/live", String::new()).await;
    assert_policy("a stream", stream.headers());
    let wrong = ada.send("PUT", "/wallet", String::new()).await;
    assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_policy("a wrong method", &wrong.headers);
    let large = ada
        .post("/wallet/deposits", &[("amount", &"9".repeat(100_000))])
        .await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_policy("too large", &large.headers);
    drop(stream);
    app.stop().await;
}

fn assert_policy(what: &str, headers: &axum::http::HeaderMap) {
    let policy = headers[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .expect("text");
    for part in [
        "default-src 'none'",
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors",
    ] {
        assert!(policy.contains(part), "{what}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{what}: {policy}");
    assert_eq!(headers["x-content-type-options"], "nosniff", "{what}");
    assert!(headers.contains_key(header::REFERRER_POLICY), "{what}");
    assert!(headers.contains_key(header::CACHE_CONTROL), "{what}");
}

#[tokio::test]
async fn machines_are_answered_and_others_see_no_figures() {
    let app = TestApp::start().await;
    let mut nobody = Visitor::new(&app);
    nobody.get("/").await;
    assert_eq!(nobody.get("/healthz").await.body, "ok\n");
    assert_eq!(nobody.get("/readyz").await.body, "ready\n");
    let metrics = nobody.get("/metrics").await;
    assert!(
        metrics.body.contains("sluice_http_requests_total"),
        "{}",
        metrics.body
    );
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "localhost"),
        ("x-real-ip", "127.0.0.1"),
        ("via", "1.1 edge"),
        ("forwarded", "for=127.0.0.1"),
        ("host", "sluice.example"),
        ("host", "127.0.0.1.sluice.example:80"),
    ] {
        let mut proxied = nobody.clone();
        proxied.sends.push((name, value.to_owned()));
        let status = proxied.get("/metrics").await.status;
        assert_eq!(status, StatusCode::NOT_FOUND, "{name}: {value}");
    }
    app.stop().await;
}

/// Reads a stream until an event of this name has come, and gives its data.
async fn event(stream: &mut hyper::body::Incoming, name: &str) -> Option<String> {
    let mut text = String::new();
    let reading = async {
        while let Some(Ok(frame)) = stream.frame().await {
            if let Ok(data) = frame.into_data() {
                text.push_str(&String::from_utf8_lossy(&data));
            }
            let found = text.split("\n\n").find(|event| {
                event.starts_with(&format!("event: {name}\n")) && text.contains("\n\n")
            });
            if let Some(event) = found {
                return Some(event.to_owned());
            }
        }
        None
    };
    tokio::time::timeout(Duration::from_secs(30), reading)
        .await
        .expect("an event or the end")
}

#[tokio::test]
async fn a_lease_streams_its_hours_until_its_reader_signs_out() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    buy(&mut ada).await;
    let mut stream = ada
        .open("GET", "/leases/l1/live", String::new())
        .await
        .into_body();
    let first = event(&mut stream, "hours")
        .await
        .expect("the hours as they stand");
    assert!(!first.contains("480 / 480"), "{first}");
    app.clock().set(hour(2));
    app.submit(deliver(1, 1, 60)).await;
    let second = event(&mut stream, "hours")
        .await
        .expect("the hours as they change");
    assert!(second.contains("480 / 480"), "{second}");
    ada.post("/sign-out", &[]).await;
    assert_eq!(
        event(&mut stream, "never").await,
        None,
        "the stream has ended"
    );
    app.stop().await;
}

#[tokio::test]
async fn signing_in_anew_ends_the_streams_of_the_session_before() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "10").await;
    let mut stream = ada
        .open("GET", "/orders/live", String::new())
        .await
        .into_body();
    event(&mut stream, "list").await.expect("the orders");
    let again = ada
        .sign_in("ada", &crate::support::visitor::password("ada"))
        .await;
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    assert_eq!(event(&mut stream, "never").await, None);
    app.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_ends_its_streams() {
    let app = TestApp::start().await;
    let nobody = Visitor::new(&app);
    let mut stream = nobody
        .open("GET", "/overview/live", String::new())
        .await
        .into_body();
    event(&mut stream, "table").await.expect("the table");
    app.stop().await;
    assert_eq!(
        event(&mut stream, "never").await,
        None,
        "the stream has ended"
    );
}

#[tokio::test]
async fn a_slow_header_a_large_one_and_one_connection_too_many_are_cut() {
    let limits = Limits {
        header_timeout: Duration::from_millis(300),
        connections_per_address: 2,
        ..Limits::default()
    };
    let app = TestApp::with(market::Rules::none(), limits).await;
    let address = app.url.strip_prefix("http://").expect("http").to_owned();
    let mut slow = TcpStream::connect(&address).await.expect("it connects");
    slow.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ")
        .await
        .expect("it takes them");
    let mut large = TcpStream::connect(&address).await.expect("it connects");
    let head = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nx-large: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    large
        .write_all(head.as_bytes())
        .await
        .expect("it takes them");
    let mut third = TcpStream::connect(&address).await.expect("it connects");
    let mut said = Vec::new();
    let read = third.read_to_end(&mut said).await;
    assert!(
        read.is_err() || said.is_empty(),
        "the third is closed unread"
    );
    let mut said = Vec::new();
    large.read_to_end(&mut said).await.expect("it is answered");
    assert!(
        said.starts_with(b"HTTP/1.1 431"),
        "{}",
        String::from_utf8_lossy(&said)
    );
    let mut said = Vec::new();
    slow.read_to_end(&mut said).await.unwrap_or_default();
    assert!(
        said.is_empty() || said.starts_with(b"HTTP/1.1 408"),
        "the slow one is cut"
    );
    app.stop().await;
}

#[tokio::test]
async fn a_body_that_never_pauses_for_long_must_still_arrive_in_time() {
    let app = TestApp::start().await;
    let options = Options {
        body_timeout: Duration::from_millis(400),
        ..Options::default()
    };
    let hasty = App::new(Parts {
        web: Arc::new(Web::new(options)),
        ..Parts::clone(&app.app)
    });
    let (sender, receiver) = mpsc::channel::<Result<&str, Infallible>>(1);
    let dripping = tokio::spawn(async move {
        while sender.send(Ok("x")).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let request = Request::post("/preferences")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from_stream(ReceiverStream::new(receiver)))
        .expect("a request");
    let answer = tokio::time::timeout(Duration::from_secs(20), router(hasty).oneshot(request));
    let answer = answer.await.expect("it is cut").expect("an answer");
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    dripping.await.expect("nobody takes more of it");
    app.stop().await;
}

#[tokio::test]
async fn what_changes_something_goes_on_when_its_browser_goes_away() {
    let app = TestApp::start().await;
    let address = app.url.strip_prefix("http://").expect("http").to_owned();
    let users = async || -> i64 {
        let counted = sqlx::query_as("SELECT count(*) FROM users");
        let (users,): (i64,) = counted
            .fetch_one(&app.database.pool)
            .await
            .expect("a count");
        users
    };
    // While nobody can hash a password, three ask for it; then their browsers go away.
    let web = &app.app.web;
    let permits = u32::try_from(web.options.password_permits).expect("a few");
    let permits = web
        .passwords
        .clone()
        .acquire_many_owned(permits)
        .await
        .expect("all of them");
    let places = web.password_queue.available_permits();
    let mut given_up = Vec::new();
    for name in ["ada", "bob", "eve"] {
        let body = format!("name={name}&login={name}&password=a+river+through+the+hills");
        let request = format!(
            "POST /sign-up HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(&address).await.expect("it connects");
        stream
            .write_all(request.as_bytes())
            .await
            .expect("it takes them");
        given_up.push(stream);
    }
    while web.password_queue.available_permits() > places - given_up.len() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(given_up);
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(permits);
    let signed_up = async {
        while users().await < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let signed_up = tokio::time::timeout(Duration::from_secs(30), signed_up).await;
    signed_up.expect("all three are signed up");
    let idle = "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND state LIKE 'idle in transaction%'
           AND state_change < now() - interval '1 second'";
    let idle: (i64,) = sqlx::query_as(idle)
        .fetch_one(&app.database.pool)
        .await
        .expect("a count");
    assert_eq!(idle.0, 0);
    app.stop().await;
}

#[tokio::test]
async fn test_money_is_for_the_demonstration_only() {
    let rules = sluice::rules::load(None).expect("the standard rules");
    let earnest = Options::default();
    let app = TestApp::with_options(rules, Limits::default(), earnest).await;
    let mut visitor = Visitor::new(&app);
    assert_eq!(visitor.sign_up("ada").await.status, StatusCode::SEE_OTHER);
    let wallet = visitor.get("/wallet").await;
    assert_eq!(wallet.status, StatusCode::OK);
    assert!(wallet.texts("form[action='/wallet/deposits']").is_empty());
    let refused = visitor.post("/wallet/deposits", &[("amount", "100")]).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    let booked = "SELECT count(*) FROM commands WHERE actor LIKE 'user:%'";
    let booked: i64 = sqlx::query_scalar(booked)
        .fetch_one(&app.database.pool)
        .await
        .expect("the commands are counted");
    assert_eq!(booked, 0);
    app.stop().await;
}

#[tokio::test]
async fn a_request_has_the_number_that_we_gave_it() {
    let app = TestApp::start().await;
    let request = Request::get("/nowhere")
        .header("x-request-id", "forged by its sender")
        .body(Body::empty())
        .expect("a request");
    let response = router(app.app.clone()).oneshot(request).await;
    let response = response.expect("an answer");
    let number = response.headers()["x-request-id"].to_str().expect("text");
    assert_ne!(number, "forged by its sender");
    let body = response.into_body().collect().await.expect("a page");
    let page = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    assert!(!page.contains("forged"), "{page}");
    app.stop().await;
}
