//! The ticket: what is asked before an order is sent, what is wrong with it and where, and that it
//! is one order however often it is sent.

use axum::http::StatusCode;
use market::{
    Account, AccountKind, Command, Money, OrderId, ParticipantId, PlaceOrder, Side, TimeInForce,
};
use sluice::web::Role;
use sluice::web::server::Limits;

use crate::api::quotes::{fees, list_elsewhere};
use crate::support::app::TestApp;
use crate::support::market::{PROVIDER, ask, hour};
use crate::support::people;
use crate::support::visitor::{Page, Visitor};

const SYMBOL: &str = "A100-80GB.GUZ-GAN.SILVER";
const PAGE: &str = "/market/A100-80GB.GUZ-GAN.SILVER";
const CONFIRM: &str = "form[action$='/orders']";

async fn orders(app: &TestApp) -> i64 {
    let count = sqlx::query_scalar("SELECT count(*) FROM orders WHERE participant > 2");
    count
        .fetch_one(&app.database.pool)
        .await
        .expect("orders are counted")
}

#[tokio::test]
async fn a_ticket_sent_twice_is_one_order() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    let confirm = ada.ticket(SYMBOL, &[("units", "8")]).await;
    // Both at once, as a double click may do.
    let mut twin = ada.clone();
    let (first, second) = tokio::join!(
        ada.submit(&confirm, CONFIRM, &[]),
        twin.submit(&confirm, CONFIRM, &[])
    );
    let mut led = [first.location(), second.location()];
    led.sort_unstable();
    assert_eq!(led, ["/leases/l1?bought", "/orders/o2"]);
    let later = ada.submit(&confirm, CONFIRM, &[]).await;
    assert_eq!(later.location(), "/orders/o2");
    assert_eq!(orders(&app).await, 1);
    // The page that is gone back to, or open in another tab, says so and offers a new one.
    let (_, fields) = confirm.form(CONFIRM);
    let id = fields.iter().find(|(name, _)| name == "client_id");
    let (_, id) = id.expect("the ticket has a client id");
    let back = ada
        .get(&format!("{PAGE}/confirm?units=8&client_id={id}"))
        .await;
    assert!(back.text(".notice.good").contains("it is order o2"));
    assert!(!back.has("button.primary"), "{}", back.body);
    assert_eq!(back.text(".review .button"), "Order the same again");
    app.stop().await;
}

#[tokio::test]
async fn a_used_ticket_with_other_terms_is_asked_for_anew() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    let confirm = ada.ticket(SYMBOL, &[("units", "8")]).await;
    ada.submit(&confirm, CONFIRM, &[]).await;
    let other = [("units", "4"), ("hold", "160.0000")];
    let changed = ada.submit(&confirm, CONFIRM, &other).await;
    assert_eq!(changed.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(changed.text("[role=alert]").contains("sent already"));
    assert_eq!(orders(&app).await, 1);
    let again = ada.submit(&changed, CONFIRM, &[]).await;
    assert_eq!(again.location(), "/leases/l2?bought");
    app.stop().await;
}

#[tokio::test]
async fn nothing_is_held_that_the_button_did_not_name() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    let confirm = ada.ticket(SYMBOL, &[("units", "8")]).await;
    for hold in ["", "1.0000", "319.9999", "-320", "9".repeat(40).as_str()] {
        let refused = ada.submit(&confirm, CONFIRM, &[("hold", hold)]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{hold}");
        let notice = refused.text("[role=alert]");
        assert!(notice.contains("worked out anew"), "{notice}");
        assert_eq!(refused.text(".review .button"), "Buy now · ¥320.00");
    }
    let nameless = ada.submit(&confirm, CONFIRM, &[("client_id", "x")]).await;
    assert_eq!(nameless.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(orders(&app).await, 0);
    app.stop().await;
}

#[tokio::test]
async fn an_absurd_ticket_has_nothing_to_confirm() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    for units in ["8", "1000000"] {
        let typed = format!("units={units}&price=899999999999&day=2026-10-26&hour=0&hours=9000");
        let page = ada.get(&format!("{PAGE}/confirm?{typed}")).await;
        assert!(!page.status.is_server_error(), "{typed}: {}", page.status);
        assert!(!page.has(CONFIRM), "{typed}: {}", page.body);
        assert!(
            page.has("[role=alert], .field-error"),
            "{typed}: {}",
            page.body
        );
    }
    assert_eq!(orders(&app).await, 0);
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
        ("price", "", "Give a price"),
        ("price", "-3", "must be positive"),
        ("price", "10.001", "whole number of ticks"),
        ("hours", "-4", "Give a whole number of hours"),
        ("hour", "24", "Pick an hour"),
        ("day", "2026-02-30", "Pick a day"),
        ("day", "2020-01-01", "has started"),
        ("day", "2040-01-01", "within 400 days"),
        ("min_fill", "none", "Give a whole number"),
        ("min_fill", "9", "larger than the order"),
        ("tif", "forever", "Pick how long"),
    ] {
        let mut sent = vec![("mode", "advanced"), ("units", "8")];
        sent.retain(|(name, _)| *name != field);
        sent.push((field, typed));
        let wrong = ada.ticket_on(&market, &sent).await;
        let case = format!("{field}={typed}");
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{case}");
        let error = wrong.text(&format!("#{field}-error"));
        assert!(error.contains(said), "{case}: {error}");
        if ["units", "price", "min_fill"].contains(&field) {
            let (_, fields) = wrong.form("form[action$='/confirm']");
            let kept = (field.to_owned(), typed.to_owned());
            assert!(fields.contains(&kept), "{case}: {fields:?}");
        }
        // What a page never sends is refused like it.
        let (_, mut fields) = ada.ticket(SYMBOL, &[("units", "8")]).await.form(CONFIRM);
        fields.retain(|(name, _)| !["mode", "units", field].contains(&name.as_str()));
        let fields = fields.iter().map(|(name, value)| (&**name, &**value));
        let fields: Vec<_> = fields.chain(sent).collect();
        let forged = ada.post(&format!("{PAGE}/orders"), &fields).await;
        assert_eq!(forged.status, StatusCode::UNPROCESSABLE_ENTITY, "{case}");
        assert!(forged.text(&format!("#{field}-error")).contains(said));
    }
    assert_eq!(orders(&app).await, 0);
    app.stop().await;
}

#[tokio::test]
async fn an_advanced_ticket_becomes_the_order_that_it_names() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    let typed = [
        ("mode", "advanced"),
        ("units", "8"),
        ("price", "9.50"),
        ("tif", "gtd"),
        ("until_day", "2026-10-25"),
        ("until_hour", "12"),
        ("min_fill", "4"),
        ("post_only", "on"),
    ];
    let late: Vec<_> = typed
        .iter()
        .copied()
        .filter(|(n, _)| *n != "until_day")
        .collect();
    let unsaid = ada.ticket(SYMBOL, &late).await;
    assert!(unsaid.text("#until-error").contains("Pick the day"));
    let over = [typed.as_slice(), &[("until_day", "2026-10-01")]].concat();
    let over = ada.ticket(SYMBOL, &over).await;
    assert!(
        over.text("#until-error").contains("has passed"),
        "{}",
        over.body
    );
    let at_once = [typed.as_slice(), &[("tif", "ioc")]].concat();
    let at_once = ada.ticket(SYMBOL, &at_once).await;
    assert!(
        at_once
            .text("#post_only-error")
            .contains("stay in the book")
    );
    let confirm = ada.ticket(SYMBOL, &typed).await;
    let said = confirm.text(".column-main dl");
    assert!(said.contains("Until Sun 25 Oct 12:00"), "{said}");
    assert!(said.contains("Smallest fill4 units"), "{said}");
    let placed = ada.submit(&confirm, CONFIRM, &[]).await;
    assert_eq!(placed.location(), "/orders/o2");
    let market = app.app.feed.market();
    let order = market.order(OrderId(2)).placed.clone();
    drop(market);
    assert_eq!((order.units, order.price), (8, Money(95_000)));
    assert!(matches!(
        order.side,
        Side::Buy {
            min_fill: Some(4),
            ..
        }
    ));
    // Noon in China is four hours after the opening at 00:00 UTC.
    assert_eq!(order.tif, TimeInForce::Gtd { until: hour(4) });
    assert!(order.post_only);
    let crosses = [("price", "10.00"), ("until_day", "2026-10-25")];
    let crosses = [typed.as_slice(), &crosses].concat();
    let refused = ada.order(SYMBOL, &crosses).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        refused
            .text("#post_only-error")
            .contains("would trade at once")
    );
    app.stop().await;
}

#[tokio::test]
async fn what_cash_does_not_cover_is_said_with_the_way_on() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "100").await;
    let confirm = ada.ticket(SYMBOL, &[("units", "8")]).await;
    assert!(confirm.text(".review .short").contains("¥220.00 short"));
    assert_eq!(confirm.text(".review a.button"), "Deposit in the wallet");
    let poor = ada.submit(&confirm, CONFIRM, &[]).await;
    assert_eq!(poor.status, StatusCode::UNPROCESSABLE_ENTITY);
    let notice = poor.text("[role=alert]");
    assert!(notice.contains("¥220.0000 short"), "{notice}");
    assert_eq!(orders(&app).await, 0);
    // The same ticket buys once the money is there.
    ada.post("/wallet/deposits", &[("amount", "220")]).await;
    let bought = ada.submit(&poor, CONFIRM, &[]).await;
    assert_eq!(bought.location(), "/leases/l1?bought");
    app.stop().await;
}

#[tokio::test]
async fn what_the_book_has_not_is_said_before_anything_is_confirmed() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "100000").await;
    let short = ada.ticket(SYMBOL, &[("units", "65")]).await;
    assert_eq!(short.status, StatusCode::UNPROCESSABLE_ENTITY);
    let said = |page: &Page| page.text("[role=alert]");
    assert!(
        said(&short).contains("At most 64 units"),
        "{}",
        said(&short)
    );
    let far = format!("{PAGE}/confirm?day=2027-10-01&units=8");
    let far = ada.get(&far).await;
    assert!(said(&far).contains("Nothing is offered"));
    // A page of another instrument's address is nobody's.
    let none = ada.get("/market/NONE/confirm?units=8").await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    // Signing in leads back to what was to be confirmed.
    let mut nobody = Visitor::new(&app);
    let way = nobody.get(&format!("{PAGE}/confirm?units=8&hours=2")).await;
    let back = "/sign-in?next=/market/A100-80GB.GUZ-GAN.SILVER/confirm%3Funits%3D8%26hours%3D2";
    assert_eq!(way.location(), back);
    app.stop().await;
}

#[tokio::test]
async fn an_order_keeps_the_image_and_the_key_that_it_asked_for() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    let confirm = ada.ticket(SYMBOL, &[("units", "8")]).await;
    for (field, value) in [
        ("image", "ubuntu-22.04-cann-8"),
        ("image", "none"),
        ("image", ""),
        ("ssh_key", "999"),
        ("ssh_key", "x"),
    ] {
        let refused = ada.submit(&confirm, CONFIRM, &[(field, value)]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.has(&format!("#{field}-error")), "{field}={value}");
    }
    assert_eq!(orders(&app).await, 0);
    let chosen = [("image", "pytorch-2.6"), ("ssh_key", "later")];
    let bought = ada.submit(&confirm, CONFIRM, &chosen).await;
    assert_eq!(bought.location(), "/leases/l1?bought");
    // Sent again with another image, it is the same order with the first one.
    ada.submit(&confirm, CONFIRM, &[("image", "bare")]).await;
    let kept: (String, Option<i64>) = sqlx::query_as(
        "SELECT a.image, a.ssh_key FROM order_access a
         JOIN orders o ON o.participant = a.participant AND o.client_id = a.client_id",
    )
    .fetch_one(&app.database.pool)
    .await
    .expect("the order has its row");
    assert_eq!(kept, ("pytorch-2.6".to_owned(), None));
    app.stop().await;
}

#[tokio::test]
async fn a_ticket_is_quoted_as_programs_are() {
    let app = TestApp::with(fees(), Limits::default()).await;
    list_elsewhere(&app).await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    let typed = "day=2026-10-26&hour=8&hours=2&units=8";
    // Nobody has to sign in for it.
    for visitor in [&mut ada, &mut Visitor::new(&app)] {
        let bill = visitor.get(&format!("{PAGE}/bill?{typed}")).await;
        // 160.00 and the taker's 0.5 %; held at the dearer 1 %.
        assert_eq!(bill.texts(".lines dd"), ["160.00", "0.80", "¥161.60"]);
        let others = bill.texts(".others li");
        assert_eq!(others, ["A100-80GB · INM-HOH · Silver¥144.72\u{2212}16.08"]);
        let way = bill.attribute(".others a", "href");
        let there = visitor.get(&way).await;
        assert_eq!(there.texts("#bill .lines .sum dd"), ["¥145.44"]);
    }
    // What is asked beyond the lot, the tick or the band is said at once.
    let half = ada
        .get(&format!("{PAGE}/bill?{typed}&mode=advanced&price=9.001"))
        .await;
    assert!(half.text(".outcome").contains("ticks"), "{}", half.body);
    // Other hours are named where they are cheaper, and what would be had where this is not.
    let mut night = ask("night", 64, 80_000);
    if let Command::PlaceOrder(PlaceOrder { start, end, .. }) = &mut night {
        (*start, *end) = (hour(30), hour(32));
    }
    app.submit(night).await;
    let bill = ada.get(&format!("{PAGE}/bill?{typed}")).await;
    assert_eq!(
        bill.texts(".others li")[0],
        "Mon 26 Oct 14:00 – 16:00¥128.64\u{2212}32.16"
    );
    let bill = ada
        .get(&format!("{PAGE}/bill?{typed}&mode=advanced&price=8"))
        .await;
    assert!(bill.text(".outcome").contains("rests in the book"));
    assert_eq!(
        bill.texts(".others li"),
        ["Mon 26 Oct 14:00 – 16:00¥128.64"]
    );
    // What the page that confirms names is what is then in escrow.
    let confirm = ada.get(&format!("{PAGE}/confirm?{typed}")).await;
    let confirm = ada.get(confirm.location()).await;
    assert_eq!(confirm.text(".review .total"), "¥160.80");
    let bought = ada.submit(&confirm, CONFIRM, &[]).await;
    assert_eq!(bought.location(), "/leases/l1?bought");
    let escrow = Account::of(ParticipantId(3), AccountKind::Escrow);
    let escrow = app.app.feed.market().ledger().balance(escrow);
    assert_eq!(escrow, Money(1_608_000));
    app.stop().await;
}

#[tokio::test]
async fn whoever_would_meet_their_own_offer_is_not_quoted_it() {
    let app = TestApp::start().await;
    let mut provider = people::member(&app, PROVIDER.0, &[Role::Owner], "pat").await;
    let bill = format!("{PAGE}/bill?units=8");
    let own = provider.get(&bill).await;
    assert!(own.text(".outcome").contains("Nothing is offered"));
    let other = Visitor::new(&app).get(&bill).await;
    assert!(other.text(".outcome").contains("Fills now"));
    app.stop().await;
}
