//! Signing up, in and out: cookies, sessions, what is told to whom, and how often one may try.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, header};
use sluice::app::{App, Parts};
use sluice::router::router;
use sluice::web::{Options, Web};
use tower::ServiceExt;

use crate::support::app::TestApp;
use crate::support::visitor::{Page, Visitor, password};

const COOKIE: &str = "sluice";

#[tokio::test]
async fn a_session_is_new_at_every_sign_in_and_over_at_sign_out() {
    let app = TestApp::start().await;
    let mut ada = Visitor::new(&app);
    let page = ada.sign_up("ada").await;
    assert_eq!(page.location(), "/wallet");
    let cookie = page.headers[header::SET_COOKIE].to_str().expect("text");
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let first = ada.clone();
    let token = &first.cookies[COOKIE];
    assert!(token.len() >= 43, "256 bits");
    let kept: (i64,) = sqlx::query_as(
        "SELECT count(*) FROM sessions WHERE token_sha256 = sha256(convert_to($1, 'UTF8'))",
    )
    .bind(token)
    .fetch_one(&app.database.pool)
    .await
    .expect("sessions are counted");
    assert_eq!(kept.0, 1, "only the hash is kept");
    let page = ada.sign_in("ada", &password("ada")).await;
    assert_eq!(page.location(), "/");
    assert_ne!(ada.cookies[COOKIE], first.cookies[COOKIE]);
    assert_signed_out(first).await;
    assert_eq!(ada.get("/wallet").await.status, StatusCode::OK);
    let before = ada.clone();
    ada.post("/sign-out", &[]).await;
    assert!(!ada.cookies.contains_key(COOKIE));
    assert_signed_out(before).await;
    app.stop().await;
}

async fn assert_signed_out(mut visitor: Visitor) {
    let page = visitor.get("/wallet").await;
    assert_eq!(page.location(), "/sign-in?next=/wallet");
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_or_old() {
    let app = TestApp::start().await;
    let age = |seen: &'static str| {
        let pool = app.database.pool.clone();
        async move {
            sqlx::query(seen)
                .execute(&pool)
                .await
                .expect("sessions age")
        }
    };
    let mut ada = Visitor::new(&app);
    ada.sign_up("ada").await;
    age("UPDATE sessions SET seen_at = seen_at - interval '23 hours'").await;
    assert_eq!(ada.get("/wallet").await.status, StatusCode::OK);
    // That request was its latest: idle time begins again.
    age("UPDATE sessions SET seen_at = seen_at - interval '23 hours'").await;
    assert_eq!(ada.get("/wallet").await.status, StatusCode::OK);
    age("UPDATE sessions SET seen_at = seen_at - interval '24 hours'").await;
    assert_signed_out(ada.clone()).await;
    ada.sign_in("ada", &password("ada")).await;
    age("UPDATE sessions SET created_at = created_at - interval '7 days'").await;
    assert_signed_out(ada).await;
    app.stop().await;
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_get_one_answer() {
    let app = TestApp::start().await;
    let mut ada = Visitor::new(&app);
    ada.sign_up("ada").await;
    let mut eve = Visitor::new(&app);
    let wrong = eve.sign_in("ada", "not the password at all").await;
    let unknown = eve.sign_in("bob", "not the password at all").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(unknown.status, wrong.status);
    let body = |page: &Page, name: &str| page.body.replace(&format!("{name}@example.org"), "");
    assert_eq!(body(&wrong, "ada"), body(&unknown, "bob"));
    // Neither does a name that nobody can have: the database takes no NUL in a text.
    let impossible = eve.sign_in("a\0b", "not the password at all").await;
    assert_eq!(impossible.status, wrong.status);
    assert_eq!(body(&wrong, "ada"), body(&impossible, "a\0b"));
    assert!(eve.cookies.is_empty());
    app.stop().await;
}

#[tokio::test]
async fn a_wrong_sign_up_is_said_at_its_field_and_loses_nothing() {
    let app = TestApp::start().await;
    let mut ada = Visitor::new(&app);
    ada.sign_up("ada").await;
    ada.post("/sign-out", &[]).await;
    for (field, name, login, password, said) in [
        ("name", "x", "eve", "a long enough password", "2 to 80"),
        (
            "login",
            "Eve & Co <b>",
            "e v e",
            "a long enough password",
            "without spaces",
        ),
        (
            "password",
            "Eve & Co <b>",
            "eve",
            "too short",
            "at least 15",
        ),
        (
            "password",
            "Eve & Co <b>",
            "eve",
            "passwordpassword",
            "first that anyone",
        ),
        (
            "name",
            "ADA",
            "eve",
            "a long enough password",
            "of this name",
        ),
        (
            "login",
            "Eve & Co <b>",
            "Ada@Example.org",
            "a long enough password",
            "name is taken",
        ),
    ] {
        let fields = [("name", name), ("login", login), ("password", password)];
        let page = ada.post("/sign-up", &fields).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        assert!(
            page.text(&format!("#{field}-error")).contains(said),
            "{field}: {}",
            page.body
        );
        let (_, kept) = page.form("form[action='/sign-up']");
        for (field, typed) in fields {
            // But a password is never sent back.
            let typed = if field == "password" { "" } else { typed };
            assert!(
                kept.contains(&(field.to_owned(), typed.to_owned())),
                "{kept:?}"
            );
        }
    }
    let long = "x y".repeat(400);
    let fields = [
        ("name", "eve"),
        ("login", "eve"),
        ("password", long.as_str()),
    ];
    let page = ada.post("/sign-up", &fields).await;
    assert!(page.text("#password-error").contains("at most 1024"));
    app.stop().await;
}

#[tokio::test]
async fn trying_too_often_has_to_wait_and_locks_nobody_else_out() {
    let app = TestApp::start().await;
    let mut ada = Visitor::new(&app);
    ada.sign_up("ada").await;
    let mut eve = Visitor::new(&app);
    for _ in 0..10 {
        let page = eve.sign_in("ada", "a guess at the password").await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let page = eve.sign_in("ada", &password("ada")).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(page.headers.contains_key(header::RETRY_AFTER));
    // Headers that anyone can write change nothing.
    eve.sends
        .push(("x-forwarded-for", "203.0.113.9".to_owned()));
    let page = eve.sign_in("ada", &password("ada")).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    // Another name is free to try, and who is in stays in.
    let page = eve.sign_in("bob", "a guess at the password").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(ada.get("/wallet").await.status, StatusCode::OK);
    app.stop().await;
}

#[tokio::test]
async fn behind_https_the_cookie_is_bound_to_the_host() {
    let app = TestApp::start().await;
    let options = Options {
        secure: true,
        ..Options::default()
    };
    let secure = App::new(Parts {
        web: Arc::new(Web::new(options)),
        ..Parts::clone(&app.app)
    });
    let body = "name=ada&login=ada&password=a+river+through+the+hills";
    let request = Request::post("/sign-up")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .extension(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 443))))
        .body(Body::from(body))
        .expect("a request");
    let answer = router(secure).oneshot(request).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let cookie = answer.headers()[header::SET_COOKIE].to_str().expect("text");
    assert!(cookie.starts_with("__Host-sluice="), "{cookie}");
    for attribute in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let policy = &answer.headers()[header::STRICT_TRANSPORT_SECURITY];
    assert!(policy.to_str().expect("text").contains("max-age=63072000"));
    app.stop().await;
}

#[tokio::test]
async fn a_sign_up_sent_again_lets_its_person_in_and_nobody_else() {
    let app = TestApp::start().await;
    let mut ada = Visitor::new(&app);
    assert_eq!(ada.sign_up("ada").await.location(), "/wallet");
    let login = "ada@example.org";
    let again = async |name: &str, login: &str, password: &str| {
        let mut visitor = Visitor::new(&app);
        let fields = [("name", name), ("login", login), ("password", password)];
        let page = visitor.post("/sign-up", &fields).await;
        (page.status, visitor.get("/wallet").await.status)
    };
    let right = password("ada");
    let (refused, led_on) = (StatusCode::UNPROCESSABLE_ENTITY, StatusCode::SEE_OTHER);
    assert_eq!(again("ada", login, &right).await, (led_on, StatusCode::OK));
    assert_eq!(again("ADA ", login, &right).await, (led_on, StatusCode::OK));
    for (name, login, typed) in [
        ("ada", login, "a river through other hills"),
        ("ada", "eve@example.org", &*right),
        ("eve", login, &right),
    ] {
        let answer = again(name, login, typed).await;
        assert_eq!(answer, (refused, led_on), "{name} {login}");
    }
    // A second factor is asked for as at every sign-in.
    let factor = "INSERT INTO second_factors (user_id, secret, enrolled_at, confirmed_at)
         SELECT id, decode(repeat('5a', 20), 'hex'), now(), now() FROM users WHERE login = $1";
    let factor = sqlx::query(factor).bind(login).execute(&app.database.pool);
    factor.await.expect("a factor is written");
    let mut ada = Visitor::new(&app);
    let way = ada.sign_up("ada").await;
    assert_eq!(way.location(), "/second-factor?next=/wallet");
    assert_eq!(
        ada.get("/wallet").await.location(),
        "/second-factor?next=/wallet"
    );
    app.stop().await;
}
