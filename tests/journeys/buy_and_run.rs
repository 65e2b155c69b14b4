//! Sign up, deposit, buy, and watch the lease as its hours are paid.

use axum::http::StatusCode;

use crate::support::app::TestApp;
use crate::support::market::{deliver, hour};
use crate::support::visitor::Visitor;

const PAGE: &str = "/market/A100-80GB.GUZ-GAN.SILVER";
const TICKET: &str = "form[action$='/orders']";

#[tokio::test]
async fn a_person_buys_eight_cards_for_four_hours_and_sees_them_paid() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    let overview = ada.get("/").await;
    assert_eq!(overview.status, StatusCode::OK);
    assert_eq!(
        overview.texts("table.market tbody th .row-link"),
        ["A100-80GB"]
    );
    let market = ada.get(PAGE).await;
    let bill = ada.submit_bill(&market).await;
    assert!(bill.contains("hold ¥320.00"), "{bill}");
    let (_, fields) = market.form(TICKET);
    assert!(
        fields.contains(&("price".to_owned(), "10.00".to_owned())),
        "{fields:?}"
    );
    let bought = ada
        .submit(&market, TICKET, &[("units", "8"), ("hold", "320.0000")])
        .await;
    assert_eq!(bought.status, StatusCode::SEE_OTHER, "{}", bought.body);
    assert_eq!(bought.location(), "/leases/l1?bought");
    let lease = ada.get("/leases/l1").await;
    assert!(
        lease
            .text("h1")
            .contains("8 × A100-80GB · Gui'an scheduled"),
        "{}",
        lease.text("h1")
    );
    assert!(lease.text(".timeline").contains("by 黔云算力"));
    // Two hours: one whole, one with 20 minutes missing.
    app.clock().set(hour(3));
    app.submit(deliver(1, 1, 60)).await;
    app.submit(deliver(1, 2, 40)).await;
    let lease = ada.get("/leases/l1").await;
    assert!(lease.text("h1").contains("running"));
    let hours = lease.texts("table.hours tbody tr");
    assert!(
        hours[0].contains("480 / 480 80.0000 0.0000 settled"),
        "{hours:?}"
    );
    assert!(
        hours[1].contains("320 / 480 53.3333 26.6667 settled"),
        "{hours:?}"
    );
    assert!(hours[2].contains("running"), "{hours:?}");
    assert!(hours[3].contains("not begun"), "{hours:?}");
    let wallet = ada.get("/wallet").await;
    let balances = wallet.texts(".figures dd:nth-child(2)");
    assert_eq!(balances[..3], ["¥706.6667", "¥0.00", "¥160.00"]);
    assert!(!lease.body.contains("simulated readings"));
    app.clock().set(hour(4));
    let report = sluice::delivery::simulated::report(1, market::LeaseId(1), market::Hour(498_027));
    let reported = app
        .app
        .sequencer
        .submit(sluice::delivery::simulated::ACTOR, report)
        .await;
    assert_eq!(reported.expect("it is committed").rejection(), None);
    let lease = ada.get("/leases/l1").await;
    assert_eq!(lease.text(".flush .tag.amber"), "simulated readings");
    let wallet = ada.get("/wallet").await;
    let balances = wallet.texts(".figures dd:nth-child(2)");
    assert_eq!(balances[1..3], ["¥0.00", "¥80.00"]);
    app.stop().await;
}

impl Visitor {
    /// The bill of the ticket as it would be typed.
    async fn submit_bill(&mut self, market: &crate::support::visitor::Page) -> String {
        let (_, fields) = market.form(TICKET);
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(fields.iter().map(|(name, value)| match name.as_str() {
            "units" => ("units", "8"),
            _ => (name.as_str(), value.as_str()),
        }));
        self.get(&format!("{PAGE}/bill?{}", query.finish()))
            .await
            .text("button")
    }
}

#[tokio::test]
async fn the_sentence_buys_at_the_price_it_shows() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    let overview = ada.get("/?units=16&grade=A100-80GB&hours=2").await;
    assert_eq!(overview.text(".buy-bill button"), "Buy now · ¥320.00");
    let bought = ada.submit(&overview, TICKET, &[]).await;
    assert_eq!(bought.location(), "/leases/l1?bought");
    // What is not to be had is said, with what is.
    let overview = ada.get("/?units=64&grade=A100-80GB&hours=2").await;
    assert!(
        overview.text(".buy-bill").contains("At most 48 units"),
        "{}",
        overview.body
    );
    app.stop().await;
}

#[tokio::test]
async fn a_ticket_sent_twice_is_one_order() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    let market = ada.get(PAGE).await;
    let typed = [("units", "8"), ("hold", "320.0000")];
    let first = ada.submit(&market, TICKET, &typed).await;
    assert_eq!(first.location(), "/leases/l1?bought");
    let second = ada.submit(&market, TICKET, &typed).await;
    assert_eq!(second.location(), "/orders/o2");
    let other = [("units", "4"), ("hold", "160.0000")];
    let changed = ada.submit(&market, TICKET, &other).await;
    assert_eq!(changed.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(changed.text("[role=alert]").contains("sent already"));
    let again = ada.submit(&changed, TICKET, &other).await;
    assert_eq!(again.location(), "/leases/l2?bought");
    app.stop().await;
}

#[tokio::test]
async fn a_wrong_ticket_is_said_at_its_field_and_loses_nothing() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "100").await;
    let market = ada.get(PAGE).await;
    for (field, typed, said) in [
        ("units", "eight", "Give a whole number"),
        ("units", "0", "Give a whole number"),
        ("units", "99999999999999999999", "Give a whole number"),
        ("price", "1.00001", "At most four decimals"),
        ("price", "-3", "must be positive"),
        ("price", "10.001", "whole number of ticks"),
        ("hours", "-4", "Give a whole number of hours"),
        ("day", "2026-02-30", "Pick a day"),
        ("day", "2020-01-01", "has started"),
        ("day", "2040-01-01", "within 400 days"),
    ] {
        let wrong = ada.submit(&market, TICKET, &[(field, typed)]).await;
        // An amount that the button did not name is asked for again first.
        let wrong = match wrong.texts("[role=alert]").first() {
            Some(notice) if notice.contains("worked out anew") => {
                ada.submit(&wrong, TICKET, &[(field, typed)]).await
            }
            _ => wrong,
        };
        assert_eq!(
            wrong.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{field}={typed}"
        );
        let error = wrong.text(&format!("#{field}-error"));
        assert!(error.contains(said), "{field}={typed}: {error}");
        if ["units", "price"].contains(&field) {
            let (_, fields) = wrong.form(TICKET);
            assert!(
                fields.contains(&(field.to_owned(), typed.to_owned())),
                "{fields:?}"
            );
        }
    }
    let poor = ada
        .submit(&market, TICKET, &[("units", "8"), ("hold", "320.0000")])
        .await;
    assert!(
        poor.text("[role=alert]").contains("¥220.0000 short"),
        "{}",
        poor.body
    );
    let orders: (i64,) = sqlx::query_as("SELECT count(*) FROM orders WHERE participant > 2")
        .fetch_one(&app.database.pool)
        .await
        .expect("orders are counted");
    assert_eq!(orders.0, 0);
    app.stop().await;
}

#[tokio::test]
async fn an_order_rests_says_why_and_is_cancelled() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    let market = ada.get(PAGE).await;
    let typed = [("units", "8"), ("price", "9.50"), ("hold", "304.0000")];
    let rests = ada.submit(&market, TICKET, &typed).await;
    assert_eq!(rests.location(), "/orders/o2");
    let order = ada.get("/orders/o2").await;
    assert!(
        order.body.contains("Best ask 10.00, your limit 9.50"),
        "{}",
        order.body
    );
    let book = ada.get(PAGE).await;
    assert_eq!(book.texts("tr.bid td:nth-child(2)"), ["9.50"]);
    let orders = ada.get("/orders").await;
    let cancelled = ada
        .submit(&orders, "form[action='/orders/o2/cancel']", &[])
        .await;
    assert_eq!(cancelled.location(), "/orders");
    let twice = ada.post("/orders/o2/cancel", &[]).await;
    assert_eq!(twice.location(), "/orders");
    let wallet = ada.get("/wallet").await;
    assert_eq!(
        wallet.texts(".figures dd:nth-child(2)")[..2],
        ["¥1,000.00", "¥0.00"]
    );
    app.stop().await;
}
