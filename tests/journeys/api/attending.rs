//! Orders that end with the stream that they name.

use std::time::Duration;

use axum::http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{bid, buyer, said, send};
use crate::support::app::TestApp;
use crate::support::visitor::Visitor;

/// A stream, and the number by which orders name it.
async fn attend(program: &Visitor) -> (axum::http::Response<Incoming>, String) {
    let mut stream = program.open("POST", "/api/v1/session", String::new()).await;
    assert_eq!(stream.status(), StatusCode::OK);
    let first = stream
        .body_mut()
        .frame()
        .await
        .expect("a frame")
        .expect("it is good");
    let first = first.into_data().expect("data");
    let text = String::from_utf8_lossy(&first);
    let data = text.split_once("data: ").expect("data").1.trim();
    let data: Value = serde_json::from_str(data).expect("JSON");
    let id = data["session"].as_str().expect("a number").to_owned();
    (stream, id)
}

fn naming(program: &Visitor, session: &str) -> Visitor {
    let mut named = program.clone();
    named.sends.push(("sluice-session", session.to_owned()));
    named
}

/// Waits until an order is as it should be.
async fn becomes(program: &mut Visitor, id: &str, done: &Value) {
    for _ in 0..200 {
        if said(&program.get(&format!("/api/v1/orders/{id}")).await)["done"] == *done {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{id} does not become {done}");
}

#[tokio::test]
async fn what_was_placed_with_a_stream_is_cancelled_once_it_is_gone() {
    let app = TestApp::start().await;
    let mut program = buyer(&app).await;
    let (stream, session) = attend(&program).await;
    let mut attended = naming(&program, &session);
    let many = json!([
        bid("one", json!({})),
        bid("two", json!({})),
        bid("filled", json!({"price": "10.00"}))
    ]);
    let page = send(&mut attended, &many).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    send(&mut program, &bid("stays", json!({}))).await;
    assert_eq!(
        said(&program.get("/api/v1/orders/one").await)["done"],
        Value::Null
    );
    drop(stream);
    for (id, done) in [
        ("one", "cancelled"),
        ("two", "cancelled"),
        ("filled", "filled"),
    ] {
        becomes(&mut program, id, &json!(done)).await;
    }
    assert_eq!(
        said(&program.get("/api/v1/orders/stays").await)["done"],
        Value::Null
    );
    // Nothing is placed with what is over, nor with another's.
    let page = send(&mut attended, &bid("late", json!({}))).await;
    assert_eq!(
        (page.status, &said(&page)["code"]),
        (StatusCode::CONFLICT, &json!("session_over"))
    );
    for named in ["0123456789abcdef", "\"><img src=x>"] {
        let page = send(&mut naming(&program, named), &bid("late", json!({}))).await;
        assert_eq!(said(&page)["code"], "session_over", "{named}");
    }
    assert_eq!(
        said(&program.get("/api/v1/orders/late").await)["code"],
        "unknown_order"
    );
    app.stop().await;
}

#[tokio::test]
async fn a_stream_ends_with_its_token_and_what_nobody_speaks_for_is_ended_by_others() {
    let app = TestApp::start().await;
    let mut program = buyer(&app).await;
    let (_stream, session) = attend(&program).await;
    send(&mut naming(&program, &session), &bid("one", json!({}))).await;
    let run = async |sql: &'static str| {
        let done = sqlx::query(sql).execute(&app.database.pool).await;
        done.expect("it is written");
    };
    run("UPDATE participants SET suspended = 'abuse', suspended_at = now() WHERE id = 2").await;
    for _ in 0..400 {
        let open: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM orders WHERE client_id = 'one' AND done IS NULL",
        )
        .fetch_one(&app.database.pool)
        .await
        .expect("a count");
        if open == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    run("UPDATE participants SET suspended = NULL, suspended_at = NULL WHERE id = 2").await;
    becomes(&mut program, "one", &json!("cancelled")).await;
    // The server of another stream has died: its row says nothing any more.
    send(&mut program, &bid("left", json!({}))).await;
    run(
        "INSERT INTO api_sessions (id, token, user_id, participant, opened_at, seen_at)
         SELECT '0123456789abcdef', t.id, t.user_id, 2, now(), now() - interval '1 minute'
         FROM api_tokens t",
    )
    .await;
    run("INSERT INTO api_session_orders VALUES ('0123456789abcdef', 'left')").await;
    let stopping = CancellationToken::new();
    let sweep = sluice::web::attendance::sweep(app.app.clone(), stopping.clone());
    let sweeping = tokio::spawn(sweep);
    becomes(&mut program, "left", &json!("cancelled")).await;
    stopping.cancel();
    sweeping.await.expect("it ends");
    app.stop().await;
}

#[tokio::test]
async fn an_order_that_needs_a_second_person_is_not_placed_with_a_stream() {
    let app = TestApp::start().await;
    let program = buyer(&app).await;
    let above = "UPDATE participants SET approval_above = 1 WHERE id = 2";
    sqlx::query(above)
        .execute(&app.database.pool)
        .await
        .expect("an amount");
    let (_stream, session) = attend(&program).await;
    let page = send(&mut naming(&program, &session), &bid("one", json!({}))).await;
    assert_eq!(
        (page.status, &said(&page)["code"]),
        (StatusCode::CONFLICT, &json!("needs_approval"))
    );
    let requests: i64 = sqlx::query_scalar("SELECT count(*) FROM order_requests")
        .fetch_one(&app.database.pool)
        .await
        .expect("a count");
    assert_eq!(requests, 0);
    app.stop().await;
}
