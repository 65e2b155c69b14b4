//! What an attacker tries of a site that is up: text that is markup, fields that no form has,
//! requests in two readings, the same last unit at once. Each is a row of docs/SECURITY.md.

use axum::http::{Method, StatusCode};
use futures_util::future::join_all;
use market::{Command, EventKind, PlaceOrder, Side, Target, TimeInForce};
use sluice::router::routes;
use sluice::sequencer::Actor;
use sluice::web::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::app::TestApp;
use crate::support::market::{BUYER, INSTRUMENT, bid, hour};
use crate::support::people::{self, PLATFORM};
use crate::support::visitor::Visitor;

/// A name that would be markup, and a script, if it were not text.
const NAME: &str = "\"><img src=x onerror=alert(1)>";
const LOGIN: &str = "'><svg/onload=alert(2)>@example.org";

#[tokio::test]
async fn what_is_typed_is_text_on_every_page_and_no_page_has_the_token() {
    let app = TestApp::start().await;
    let mut ada = Visitor::new(&app);
    let fields = [
        ("name", NAME),
        ("login", LOGIN),
        ("password", "a river through the hills"),
    ];
    let page = ada.post("/sign-up", &fields).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
    let note = "<script>alert(3)</script>";
    ada.post(
        "/settings/members/invitations",
        &[("note", note), ("buyer", "on")],
    )
    .await;
    let roles = [Role::Auditor];
    let auditor = people::member(&app, PLATFORM, &roles, "<b>olga</b>").await;
    let mut shown = 0;
    for route in routes() {
        if route.method != Method::GET || route.path.ends_with("live") {
            continue;
        }
        // What another's number is filled in with is an error page, and has the name as well.
        let path = route.path.replace("{symbol}", "A100-80GB.GUZ-GAN.SILVER");
        let path = path.replace("{id}", "1").replace("{identifier}", "1");
        let path = format!("{path}?next={NAME}&q={NAME}&units={NAME}&day={NAME}").replace(' ', "+");
        let path = path
            .replace('"', "%22")
            .replace('<', "%3C")
            .replace('>', "%3E");
        for visitor in [&ada, &auditor] {
            let page = visitor.clone().get(&path).await;
            for markup in ["<img src=x", "<svg/onload", "<script>alert", "<b>olga"] {
                assert!(!page.body.contains(markup), "{path}: {}", page.body);
            }
            assert!(!page.body.contains(&visitor.cookies["sluice"]), "{path}");
            shown += usize::from(page.body.contains("&#60;img src=x"));
        }
    }
    assert!(shown > 5, "the name is on pages");
    let mut page = ada.get("/settings/members").await;
    assert!(page.body.contains("alert(3)") && page.body.contains("onload=alert(2)"));
    page = ada.get("/settings").await;
    assert!(page.body.contains("onload=alert(2)"));
    app.stop().await;
}

#[tokio::test]
async fn fields_that_no_form_has_change_nothing() {
    let app = TestApp::start().await;
    let mut eve = Visitor::new(&app);
    let fields = [
        ("name", "eve"),
        ("login", "eve"),
        ("password", "a river through the hills"),
        ("id", "2"),
        ("participant", "0"),
        ("role", "operations"),
        ("roles", "operations"),
        ("operations", "on"),
        ("second_factor_at", "2026-01-01"),
    ];
    assert_eq!(eve.post("/sign-up", &fields).await.location(), "/wallet");
    let more = [
        ("amount", "5"),
        ("participant", "2"),
        ("user_id", "1"),
        ("state", "booked"),
    ];
    assert_eq!(
        eve.post("/wallet/deposits", &more).await.location(),
        "/wallet?deposited"
    );
    let invite = [
        ("buyer", "on"),
        ("operations", "on"),
        ("participant", "2"),
        ("used_at", "x"),
    ];
    let page = eve.post("/settings/members/invitations", &invite).await;
    assert_eq!(page.status, StatusCode::OK);
    let pool = &app.database.pool;
    let who: (i64, Vec<String>) = sqlx::query_as(
        "SELECT u.participant, ARRAY(SELECT role FROM member_roles r WHERE r.user_id = u.id)
         FROM users u WHERE login = 'eve'",
    )
    .fetch_one(pool)
    .await
    .expect("eve is there");
    assert_eq!(who, (3, vec!["owner".to_owned()]));
    let deposit: i64 = sqlx::query_scalar("SELECT participant FROM deposits")
        .fetch_one(pool)
        .await
        .expect("a deposit");
    let invitation: (i64, Vec<String>) =
        sqlx::query_as("SELECT participant, roles FROM invitations")
            .fetch_one(pool)
            .await
            .expect("an invitation");
    assert_eq!(deposit, 3);
    assert_eq!(invitation, (3, vec!["buyer".to_owned()]));
    // Only what a box stands for is a role; the platform's have none.
    let page = eve
        .post("/settings/members/invitations", &[("operations", "on")])
        .await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    app.stop().await;
}

#[tokio::test]
async fn of_many_who_want_the_last_unit_at_once_one_gets_it() {
    let app = TestApp::start().await;
    app.submit(bid("all but one", 63, 100_000, (1, 2))).await;
    let buy = |number: usize| {
        let order = PlaceOrder {
            participant: BUYER,
            client_id: market::ClientId(format!("last{number}")),
            side: Side::Buy {
                target: Target::Instruments(vec![INSTRUMENT]),
                min_fill: None,
                flexible: None,
                buy_in: false,
            },
            units: 1,
            price: market::Money(100_000),
            start: hour(1),
            end: hour(2),
            tif: TimeInForce::Fok,
            post_only: false,
        };
        let sequencer = app.app.sequencer.clone();
        let command = Command::PlaceOrder(order);
        tokio::spawn(async move { sequencer.submit(Actor::System("race"), command).await })
    };
    let receipts = join_all((0..32).map(buy)).await;
    let traded = receipts
        .into_iter()
        .map(|receipt| receipt.expect("it runs").expect("it is committed"))
        .filter(|receipt| {
            let is_trade = |event: &market::Event| matches!(event.kind, EventKind::Traded(_));
            receipt.events.iter().any(is_trade)
        })
        .count();
    assert_eq!(traded, 1);
    app.stop().await;
}

#[tokio::test]
async fn what_people_did_can_only_be_added_to() {
    let app = TestApp::start().await;
    Visitor::member(&app, "ada", "10").await;
    let pool = &app.database.pool;
    for statement in [
        "UPDATE acts SET user_id = 7",
        "DELETE FROM acts",
        "TRUNCATE acts",
    ] {
        let refused = sqlx::query(statement).execute(pool).await;
        let refused = refused.expect_err(statement).to_string();
        assert!(
            refused.contains("only be added to") || refused.contains("append"),
            "{refused}"
        );
    }
    let row: (String, String, bool) = sqlx::query_as(
        "SELECT act, address, request_id <> '' FROM acts WHERE subject LIKE 'user:%'",
    )
    .fetch_one(pool)
    .await
    .expect("signing up is an act");
    assert_eq!(row, ("sign_up".to_owned(), "127.0.0.1".to_owned(), true));
    app.stop().await;
}

/// What a server answers to bytes, until it closes the connection or says no more.
async fn answer(app: &TestApp, request: &str) -> String {
    let address = app.url.strip_prefix("http://").expect("http");
    let mut stream = TcpStream::connect(address).await.expect("it connects");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it is sent");
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let read = tokio::time::timeout(std::time::Duration::from_secs(3), reading).await;
    let closed = if read.is_ok() { "closed" } else { "open" };
    format!("{closed} {}", String::from_utf8_lossy(&answer))
}

#[tokio::test]
async fn a_request_that_two_readers_could_read_in_two_ways_is_refused() {
    let app = TestApp::start().await;
    let hidden = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    for head in [
        "content-length: 5\r\ncontent-length: 6\r\n\r\nname=",
        "content-length: +5\r\n\r\nname=",
        "content-length: 5, 5\r\n\r\nname=",
        "x-folded: a\r\n b\r\ncontent-length: 5\r\n\r\nname=",
        "content-length : 5\r\n\r\nname=",
        "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    ] {
        let request = format!("POST /preferences HTTP/1.1\r\nhost: x\r\n{head}{hidden}");
        let answer = answer(&app, &request).await;
        // Of a length and chunks, the chunks count and the connection ends: nothing follows.
        let is_both = head.contains("content-length") && head.contains("transfer-encoding");
        let begins = if is_both {
            "closed HTTP/1.1 4"
        } else {
            "closed HTTP/1.1 400"
        };
        assert!(answer.starts_with(begins), "{head}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{head}: {answer}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_new_market_has_no_sign_in() {
    let database = crate::support::postgres::fresh_database().await;
    let users: i64 = sqlx::query_scalar("SELECT count(*) FROM users")
        .fetch_one(&database.pool)
        .await
        .expect("a count");
    assert_eq!(users, 0);
}
