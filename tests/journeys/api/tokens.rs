//! What a token opens, and when it stops doing so.

use axum::http::StatusCode;
use serde_json::json;
use sha2::{Digest, Sha256};
use sluice::web::{Role, Scope};

use super::{bid, buyer, said, send};
use crate::support::app::TestApp;
use crate::support::market::BUYER;
use crate::support::people;
use crate::support::programs;
use crate::support::visitor::Visitor;

#[tokio::test]
async fn a_token_is_shown_once_and_works_as_its_member() {
    let app = TestApp::start().await;
    let mut ada = people::member(&app, BUYER.0, &[Role::Buyer], "ada").await;
    let page = ada.get("/settings/tokens").await;
    let typed = [
        ("name", "nightly"),
        ("read", "on"),
        ("place", "on"),
        ("days", "30"),
    ];
    let page = ada
        .submit(&page, "form[action='/settings/tokens']", &typed)
        .await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let token = page.text("#token");
    let (hash, name): (Vec<u8>, String) =
        sqlx::query_as("SELECT token_sha256, name FROM api_tokens")
            .fetch_one(&app.database.pool)
            .await
            .expect("one token");
    assert_eq!(hash, Sha256::digest(token.as_bytes()).as_slice());
    assert_eq!(name, "nightly");
    let mut program = Visitor::new(&app);
    program
        .sends
        .push(("authorization", format!("Bearer {token}")));
    program
        .sends
        .push(("content-type", "application/json".to_owned()));
    let page = send(&mut program, &bid("first", json!({}))).await;
    assert_eq!(page.status, StatusCode::CREATED, "{}", page.body);
    let actor: String = sqlx::query_scalar(
        "SELECT c.actor FROM orders o JOIN commands c ON c.seq = o.command
         WHERE o.client_id = 'first'",
    )
    .fetch_one(&app.database.pool)
    .await
    .expect("an order");
    let user: i64 = sqlx::query_scalar("SELECT id FROM users WHERE login = 'ada'")
        .fetch_one(&app.database.pool)
        .await
        .expect("a person");
    assert_eq!(actor, format!("user:{user}"));
    // Its page shows where it was used, and never the token.
    let page = ada.get("/settings/tokens").await;
    assert!(!page.body.contains(&token));
    assert!(
        page.text("main .rows").contains("127.0.0.1"),
        "{}",
        page.body
    );
    // It is not for cancelling, and opens no page.
    let page = program
        .send("DELETE", "/api/v1/orders/first", String::new())
        .await;
    assert_eq!(
        (page.status, &said(&page)["code"]),
        (StatusCode::FORBIDDEN, &json!("scope"))
    );
    let page = program.get("/orders").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    // A cookie opens nothing here.
    let page = ada.get("/api/v1/orders").await;
    assert_eq!(
        (page.status, &said(&page)["code"]),
        (StatusCode::UNAUTHORIZED, &json!("unauthorized"))
    );
    assert_eq!(page.headers["www-authenticate"], "Bearer");
    app.stop().await;
}

/// Whether a token works.
async fn works(program: &mut Visitor) -> Result<(), String> {
    let page = program.get("/api/v1/orders").await;
    match page.status {
        StatusCode::OK => Ok(()),
        _ => Err(said(&page)["code"].as_str().unwrap_or_default().to_owned()),
    }
}

#[tokio::test]
async fn a_token_stops_at_once() {
    let app = TestApp::start().await;
    let mut owner = people::member(&app, BUYER.0, &[Role::Owner], "owner").await;
    let mut program = buyer(&app).await;
    assert_eq!(works(&mut program).await, Ok(()));
    // Its member's role is taken: nothing can be placed any more.
    let run = async |sql: &'static str| {
        let done = sqlx::query(sql).execute(&app.database.pool).await;
        done.expect("it is written");
    };
    run("DELETE FROM member_roles WHERE user_id IN (SELECT id FROM users WHERE login = 'ada')")
        .await;
    let page = send(&mut program, &bid("none", json!({}))).await;
    assert_eq!(
        (page.status, &said(&page)["code"]),
        (StatusCode::FORBIDDEN, &json!("role"))
    );
    // The participant is suspended, and is not.
    run("UPDATE participants SET suspended = 'abuse', suspended_at = now() WHERE id = 2").await;
    assert_eq!(works(&mut program).await, Err("suspended".to_owned()));
    run("UPDATE participants SET suspended = NULL, suspended_at = NULL WHERE id = 2").await;
    assert_eq!(works(&mut program).await, Ok(()));
    // Its time is over.
    run("UPDATE api_tokens SET made_at = now() - interval '2 days', expires_at = now() - interval '1 s'").await;
    assert_eq!(works(&mut program).await, Err("unauthorized".to_owned()));
    run("UPDATE api_tokens SET expires_at = now() + interval '1 day'").await;
    assert_eq!(works(&mut program).await, Ok(()));
    // The owner takes it back.
    let page = owner.get("/settings/tokens").await;
    let page = owner
        .submit(&page, "form[action$='/revocation']", &[])
        .await;
    assert_eq!(page.location(), "/settings/tokens?revoked");
    assert_eq!(works(&mut program).await, Err("unauthorized".to_owned()));
    // Another one's member is removed.
    let mut program = programs::program_of(&app, &Scope::ALL, "ada").await;
    assert_eq!(works(&mut program).await, Ok(()));
    let user: i64 = sqlx::query_scalar("SELECT id FROM users WHERE login = 'ada'")
        .fetch_one(&app.database.pool)
        .await
        .expect("a person");
    let page = owner
        .post(&format!("/settings/members/{user}/removal"), &[])
        .await;
    assert_eq!(page.location(), "/settings/members?removed");
    assert_eq!(works(&mut program).await, Err("unauthorized".to_owned()));
    let acts: Vec<String> = sqlx::query_scalar("SELECT act FROM acts ORDER BY id")
        .fetch_all(&app.database.pool)
        .await
        .expect("acts");
    assert_eq!(acts, ["token_revoked", "member_removed"]);
    app.stop().await;
}

#[tokio::test]
async fn what_is_no_token_has_to_wait_after_many_tries() {
    let app = TestApp::start().await;
    let mut program = Visitor::new(&app);
    let token = sluice::web::token::secret().expect("a token");
    program
        .sends
        .push(("authorization", format!("Bearer {token}")));
    let mut codes = Vec::new();
    for _ in 0..120 {
        codes.push(works(&mut program).await.expect_err("nobody has it"));
    }
    assert_eq!(codes[0], "unauthorized");
    assert_eq!(codes[119], "too_many");
    // Who has a good one does not wait for those who have none.
    assert_eq!(works(&mut buyer(&app).await).await, Ok(()));
    app.stop().await;
}

#[tokio::test]
async fn no_token_gets_round_the_second_person() {
    let app = TestApp::start().await;
    let mut program = buyer(&app).await;
    let mut approver = people::member(&app, BUYER.0, &[Role::Approver], "bea").await;
    // 8 units for two hours at 9.00 are 144 yuan.
    let above = "UPDATE participants SET approval_above = 2000000 WHERE id = 2";
    sqlx::query(above)
        .execute(&app.database.pool)
        .await
        .expect("an amount");
    let parts = json!([bid("part-1", json!({})), bid("part-2", json!({}))]);
    let page = send(&mut program, &parts).await;
    let answers = said(&page);
    assert_eq!(answers[0]["outcome"], "accepted", "{answers}");
    assert_eq!(
        (&answers[1]["outcome"], &answers[1]["status"]),
        (&json!("held"), &json!(202))
    );
    assert_eq!(answers[1]["page"], "/orders/requests/r1");
    // The same again is held as it was; other terms are another order's.
    let page = send(&mut program, &bid("part-2", json!({}))).await;
    assert_eq!(
        (page.status, &said(&page)["request"]),
        (StatusCode::ACCEPTED, &json!("r1"))
    );
    let page = send(&mut program, &bid("part-2", json!({"units": 4}))).await;
    assert_eq!(said(&page)["code"], "duplicate_id");
    // A change does not get round it, nor does a dearer one beside a flexible start.
    let change = json!({"do": "replace", "id": "part-1", "units": 16});
    let page = send(&mut program, &change).await;
    assert_eq!(
        (page.status, &said(&page)["code"]),
        (StatusCode::CONFLICT, &json!("needs_approval"))
    );
    let page = send(
        &mut program,
        &json!({"do": "replace", "id": "part-1", "units": 4}),
    )
    .await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let wide = json!({"units": 1, "end": "2026-10-28T00:00:00Z", "duration": 4});
    let page = send(&mut program, &bid("flexible", wide)).await;
    assert_eq!(page.status, StatusCode::CREATED, "{}", page.body);
    // The second person makes an order of it.
    let page = approver.get("/orders/requests/r1").await;
    let page = approver
        .submit(&page, "form[action$='/approve']", &[])
        .await;
    assert_eq!(page.location(), "/orders/o4", "{}", page.body);
    let shown = said(&program.get("/api/v1/orders/part-2").await);
    assert_eq!(shown["units"], 8);
    app.stop().await;
}
