//! Sign up, deposit, buy, and watch the lease as its hours are paid.

use axum::http::StatusCode;

use crate::support::app::TestApp;
use crate::support::market::{deliver, hour};
use crate::support::visitor::Visitor;

const PAGE: &str = "/market/A100-80GB.GUZ-GAN.SILVER";
const SYMBOL: &str = "A100-80GB.GUZ-GAN.SILVER";
const TICKET: &str = "form[action$='/confirm']";
const CONFIRM: &str = "form[action$='/orders']";

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
    assert_eq!(bill, "Review and confirm · ¥320.00");
    let confirm = ada.ticket_on(&market, &[("units", "8")]).await;
    assert_eq!(confirm.text(".review .button"), "Buy now · ¥320.00");
    let review = confirm.text(".review dl");
    for said in [
        "8 units × 4 h × 10.00320.00",
        "Buyer’s fee0.00",
        "Host, power and coolingincluded",
        "Held from cash¥320.00",
        "Cash now1,000.00",
        "Cash after this order680.00",
    ] {
        assert!(review.contains(said), "{said}: {review}");
    }
    let bought = ada.submit(&confirm, CONFIRM, &[]).await;
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
    assert_eq!(
        overview.text(".buy-bill button"),
        "Review and confirm · ¥320.00"
    );
    let confirm = ada.ticket_on(&overview, &[]).await;
    assert_eq!(confirm.text(".review .button"), "Buy now · ¥320.00");
    let bought = ada.submit(&confirm, CONFIRM, &[]).await;
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
async fn an_order_rests_says_why_and_is_cancelled() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    let typed = [("mode", "advanced"), ("units", "8"), ("price", "9.50")];
    let confirm = ada.ticket(SYMBOL, &typed).await;
    assert_eq!(
        confirm.text(".review .button"),
        "Buy 32 unit-hours · hold ¥304.00"
    );
    let rests = ada.submit(&confirm, CONFIRM, &[]).await;
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
