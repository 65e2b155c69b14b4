//! What was typed survives signing in: it comes back to the form, to its person, and is not sent.

use axum::http::StatusCode;
use sluice::web::Role;

use crate::support::app::TestApp;
use crate::support::people::{self, Factor};
use crate::support::visitor::{Visitor, password};

const DEPOSIT: &str = "form[action='/wallet/deposits']";

/// A visitor at this page; a browser says so with each form.
fn at(visitor: &mut Visitor, app: &TestApp, path: &str) {
    visitor.sends.retain(|(name, _)| *name != "referer");
    visitor
        .sends
        .push(("referer", format!("{}{path}", app.url)));
}

async fn expire(app: &TestApp) {
    sqlx::query("UPDATE sessions SET seen_at = seen_at - interval '25 hours'")
        .execute(&app.database.pool)
        .await
        .expect("sessions grow old");
}

/// Signs in where a form has led to; gives where that leads.
async fn sign_in_from(visitor: &mut Visitor, way: &str, name: &str) -> String {
    let page = visitor.get(way).await;
    let login = format!("{name}@example.org");
    let typed = [("login", &*login), ("password", &*password(name))];
    let page = visitor
        .submit(&page, "form[action='/sign-in']", &typed)
        .await;
    page.location().to_owned()
}

async fn deposits(app: &TestApp) -> i64 {
    let count = "SELECT count(*) FROM commands WHERE actor LIKE 'user:%'";
    let count = sqlx::query_scalar(count).fetch_one(&app.database.pool);
    count.await.expect("a count")
}

#[tokio::test]
async fn a_form_whose_session_has_ended_is_filled_in_again_and_not_sent() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "10").await;
    let before = deposits(&app).await;
    expire(&app).await;
    at(&mut ada, &app, "/wallet");
    let page = ada.post("/wallet/deposits", &[("amount", "１23.4x")]).await;
    let way = page.location().to_owned();
    assert!(way.starts_with("/sign-in?next=/wallet%3Fkept%3D"), "{way}");
    let back = sign_in_from(&mut ada, &way, "ada").await;
    let page = ada.get(&back).await;
    let (_, fields) = page.form(DEPOSIT);
    assert!(fields.contains(&("amount".to_owned(), "１23.4x".to_owned())));
    assert!(page.text("main").contains("Nothing was sent"));
    assert_eq!(deposits(&app).await, before);
    // It is there as long as the page is gone back to, for an hour.
    assert!(ada.get(&back).await.body.contains("１23.4x"));
    sqlx::query("UPDATE kept_forms SET kept_at = kept_at - interval '61 minutes'")
        .execute(&app.database.pool)
        .await
        .expect("it grows old");
    assert!(!ada.get(&back).await.body.contains("１23.4x"));
    assert_eq!(
        ada.get("/wallet?kept=nonsense").await.status,
        StatusCode::OK
    );
    app.stop().await;
}

#[tokio::test]
async fn a_ticket_comes_back_to_its_page() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    let market = "/market/A100-80GB.GUZ-GAN.SILVER";
    let query = "day=2026-11-03&hour=9&hours=1&units=3&price=10.00&client_id=web-kept-00000000001";
    let confirm = format!("{market}/confirm?mode=advanced&{query}");
    let page = ada.get(&confirm).await;
    let (action, fields) = page.form("form[action$='/orders']");
    expire(&app).await;
    at(&mut ada, &app, &confirm);
    let mut fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    fields.push(("units", "5"));
    fields.retain(|field| *field != ("units", "3"));
    let page = ada.post(&action, &fields).await;
    let way = page.location().to_owned();
    let back = sign_in_from(&mut ada, &way, "ada").await;
    assert!(
        back.starts_with(&format!("{market}/confirm?mode")),
        "{back}"
    );
    let page = ada.get(&back).await;
    let (_, fields) = page.form("form[action$='/orders']");
    assert!(
        fields.contains(&("units".to_owned(), "5".to_owned())),
        "{fields:?}"
    );
    let sent = ada.submit(&page, "form[action$='/orders']", &[]).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
    app.stop().await;
}

#[tokio::test]
async fn nobody_else_finds_what_was_typed() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "10").await;
    let mut eve = Visitor::member(&app, "eve", "10").await;
    sqlx::query(
        "UPDATE sessions SET seen_at = seen_at - interval '25 hours' WHERE user_id =
             (SELECT id FROM users WHERE login = 'ada@example.org')",
    )
    .execute(&app.database.pool)
    .await
    .expect("a session grows old");
    at(&mut ada, &app, "/wallet");
    let typed = [
        ("amount", "777.77"),
        ("password", "s3cret"),
        ("code", "s3cret"),
    ];
    let page = ada.post("/wallet/deposits", &typed).await;
    let way = page.location().to_owned();
    // Neither with the address alone, nor before signing in.
    let (_, id) = way.split_once("kept%3D").expect("it is kept");
    let link = format!("/wallet?kept={id}");
    assert!(!eve.get(&link).await.body.contains("777.77"));
    assert!(ada.get(&link).await.location().starts_with("/sign-in"));
    // Nor does somebody else at the same browser, as long as it is known whose it was.
    let mut shared = ada.clone();
    let back = sign_in_from(&mut shared, &way, "eve").await;
    let page = shared.get(&back).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.body.contains("777.77"));
    let back = sign_in_from(&mut ada, &way, "ada").await;
    assert!(ada.get(&back).await.body.contains("777.77"));
    // And nothing secret was written down.
    let secrets: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM kept_forms WHERE convert_from(fields, 'UTF8') LIKE '%s3cret%'",
    )
    .fetch_one(&app.database.pool)
    .await
    .expect("a count");
    assert_eq!(secrets, 0);
    app.stop().await;
}

#[tokio::test]
async fn a_second_factor_that_is_due_loses_nothing_either() {
    let app = TestApp::start().await;
    let roles = [Role::Owner];
    let mut ada = people::member_with(&app, 2, &roles, "ada", Factor::Missing).await;
    at(&mut ada, &app, "/settings/members");
    let typed = [("note", "for bob"), ("buyer", "on")];
    let page = ada.post("/settings/members/invitations", &typed).await;
    let way = page.location().to_owned();
    assert!(way.starts_with("/second-factor?next=/settings/members%3Fkept"));
    let page = ada.get(&way).await;
    let secret = "LJNFUWS2LJNFUWS2LJNFUWS2LJNFUWS2";
    let code = crate::second_factor::code(secret, 0);
    let form = "form[action='/second-factor']";
    let page = ada.submit(&page, form, &[("code", &code)]).await;
    let back = page.location().to_owned();
    let page = ada.get(&back).await;
    let (_, fields) = page.form("form[action='/settings/members/invitations']");
    assert!(fields.contains(&("note".to_owned(), "for bob".to_owned())));
    assert!(page.body.contains("name=\"buyer\" value=\"on\" checked"));
    app.stop().await;
}

#[tokio::test]
async fn no_more_is_kept_than_may_be() {
    let app = TestApp::start().await;
    let mut nobody = Visitor::new(&app);
    let count = "SELECT count(*) FROM kept_forms";
    for _ in 0..25 {
        let page = nobody.post("/wallet/deposits", &[("amount", "5")]).await;
        assert!(page.location().starts_with("/sign-in?next=/"));
    }
    let kept: i64 = sqlx::query_scalar(count)
        .fetch_one(&app.database.pool)
        .await
        .expect("a count");
    assert_eq!(kept, 20, "by address");
    // What is no form, or has nothing in it, is not kept; nor is what an open door refused.
    nobody.post("/sign-up", &[("name", "x")]).await;
    let page = nobody.post("/wallet/deposits", &[]).await;
    assert_eq!(page.location(), "/sign-in?next=/");
    app.stop().await;
}
