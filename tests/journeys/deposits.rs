//! A deposit's form is one deposit, however often it is sent and whatever fails in between.

use axum::http::StatusCode;
use market::{Command, Money, ParticipantId};

use crate::support::app::TestApp;
use crate::support::visitor::{Page, Visitor};

const FORM: &str = "form[action='/wallet/deposits']";

async fn run(app: &TestApp, sql: &'static str) {
    let done = sqlx::query(sql).execute(&app.database.pool).await;
    done.expect("it is written");
}

/// How many deposits people made.
async fn booked(app: &TestApp) -> i64 {
    let count = "SELECT count(*) FROM commands WHERE actor LIKE 'user:%' AND rejected IS NULL";
    let count = sqlx::query_scalar(count).fetch_one(&app.database.pool);
    count.await.expect("a count")
}

async fn send(visitor: &mut Visitor, page: &Page, amount: &str) -> Page {
    visitor.submit(page, FORM, &[("amount", amount)]).await
}

#[tokio::test]
async fn a_form_sent_twice_is_one_deposit() {
    let app = TestApp::start().await;
    let mut ada = Visitor::new(&app);
    ada.sign_up("ada").await;
    let page = ada.get("/wallet").await;
    let (mut one, mut other) = (ada.clone(), ada.clone());
    let (first, second) =
        tokio::join!(send(&mut one, &page, "100"), send(&mut other, &page, "100"));
    let mut onward = [first.location(), second.location()];
    onward.sort_unstable();
    assert_eq!(onward, ["/wallet?again", "/wallet?deposited"]);
    // Gone back to and sent again, it says so; with another amount it has to be meant.
    let again = send(&mut ada, &page, "100").await;
    assert!(
        ada.get(again.location())
            .await
            .body
            .contains("not booked again")
    );
    let other = send(&mut ada, &page, "70").await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(other.text("#amount-error").contains("new deposit"));
    assert_eq!(booked(&app).await, 1);
    let meant = send(&mut ada, &other, "70").await;
    assert_eq!(meant.location(), "/wallet?deposited");
    assert_eq!(booked(&app).await, 2);
    // Another's form is no key to anything.
    let mut eve = Visitor::new(&app);
    eve.sign_up("eve").await;
    let page = send(&mut eve, &page, "100").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(booked(&app).await, 2);
    app.stop().await;
}

#[tokio::test]
async fn after_a_crash_the_log_tells_what_came_of_a_form() {
    let app = TestApp::start().await;
    let mut ada = Visitor::new(&app);
    ada.sign_up("ada").await;
    let page = ada.get("/wallet").await;
    send(&mut ada, &page, "100").await;
    // As if the program had died after the commit and before its row was written, twice over.
    run(
        &app,
        "UPDATE deposits SET state = 'sent', command = NULL, epoch = epoch - 1",
    )
    .await;
    let again = send(&mut ada, &page, "100").await;
    assert_eq!(again.location(), "/wallet?again");
    assert_eq!(booked(&app).await, 1);
    // As if it had died before its command: it is sent now, once.
    let page = ada.get("/wallet").await;
    let (_, fields) = page.form(FORM);
    let id = fields.iter().find(|(name, _)| name == "form_id");
    let insert = "INSERT INTO deposits
             (form_id, participant, user_id, amount, epoch, after, state, sent_at)
         SELECT $1, participant, id, 1000000, epoch - 1, command, 'sent', now()
         FROM users CROSS JOIN engine WHERE login = 'ada@example.org'";
    let inserted = sqlx::query(insert)
        .bind(&id.expect("a number").1)
        .execute(&app.database.pool)
        .await;
    inserted.expect("it is written");
    let (mut one, mut other) = (ada.clone(), ada.clone());
    tokio::join!(send(&mut one, &page, "100"), send(&mut other, &page, "100"));
    assert_eq!(booked(&app).await, 2);
    app.stop().await;
}

#[tokio::test]
async fn a_form_whose_answer_is_not_known_says_so_and_is_not_sent_again() {
    let app = TestApp::start().await;
    let mut ada = Visitor::new(&app);
    ada.sign_up("ada").await;
    let page = ada.get("/wallet").await;
    send(&mut ada, &page, "100").await;
    // The engine that was asked still leads: its answer may come.
    run(&app, "UPDATE deposits SET state = 'sent', command = NULL").await;
    let again = send(&mut ada, &page, "100").await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(again.text("#amount-error").contains("never booked twice"));
    let (_, fields) = again.form(FORM);
    let (_, before) = page.form(FORM);
    let id =
        |fields: &[(String, String)]| fields.iter().find(|(name, _)| name == "form_id").cloned();
    assert_eq!(id(&fields), id(&before), "it is the same form");
    assert_eq!(booked(&app).await, 1);
    app.stop().await;
}

#[tokio::test]
async fn somebody_elses_deposit_of_the_same_amount_is_not_taken_for_ones_own() {
    let app = TestApp::start().await;
    let mut ada = Visitor::new(&app);
    ada.sign_up("ada").await;
    let page = ada.get("/wallet").await;
    let insert = "INSERT INTO deposits
             (form_id, participant, user_id, amount, epoch, after, state, sent_at)
         SELECT $1, participant, id, 1000000, epoch - 1, command, 'sent', now()
         FROM users CROSS JOIN engine WHERE login = 'ada@example.org'";
    let (_, fields) = page.form(FORM);
    let id = fields.iter().find(|(name, _)| name == "form_id");
    let inserted = sqlx::query(insert)
        .bind(&id.expect("a number").1)
        .execute(&app.database.pool)
        .await;
    inserted.expect("it is written");
    app.submit(Command::Deposit {
        participant: ParticipantId(3),
        amount: Money(1_000_000),
    })
    .await;
    let sent = send(&mut ada, &page, "100").await;
    assert_eq!(sent.location(), "/wallet?deposited");
    assert_eq!(booked(&app).await, 1);
    app.stop().await;
}
