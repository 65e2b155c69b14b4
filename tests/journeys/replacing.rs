//! Changing an open order: what is shown before it is done, what is wrong with it and where, and
//! that a page of before changes nothing unseen.

use axum::http::StatusCode;
use market::{Command, Money, OrderId};
use sluice::web::Role;

use crate::support::app::TestApp;
use crate::support::market::{PROVIDER, ask};
use crate::support::people;
use crate::support::visitor::{Page, Visitor};

const SYMBOL: &str = "A100-80GB.GUZ-GAN.SILVER";
const CHANGE: &str = "#change form";
const CONFIRM: &str = "form[action$='/replace']";

/// A buyer whose order `o2` for eight cards at 9.00 rests.
async fn resting(app: &TestApp) -> Visitor {
    let mut ada = Visitor::member(app, "ada", "1000").await;
    let typed = [("mode", "advanced"), ("units", "8"), ("price", "9")];
    let placed = ada.order(SYMBOL, &typed).await;
    assert_eq!(placed.location(), "/orders/o2");
    ada
}

/// What is asked before the change is made.
async fn look(visitor: &mut Visitor, units: &str, price: &str) -> Page {
    let page = visitor.get("/orders/o2").await;
    let typed = [("units", units), ("price", price)];
    visitor.submit(&page, CHANGE, &typed).await
}

fn stands(app: &TestApp) -> (i64, Money, Money, i64) {
    let market = app.app.feed.market();
    let order = market.order(OrderId(2));
    (order.units, order.price, order.held, order.acceptance)
}

#[tokio::test]
async fn what_changes_in_the_hold_and_in_the_queue_is_said_first() {
    let app = TestApp::start().await;
    let mut ada = resting(&app).await;
    let (.., acceptance) = stands(&app);
    let fewer = look(&mut ada, "6", "9.00").await;
    assert_eq!(fewer.status, StatusCode::OK, "{}", fewer.body);
    assert_eq!(
        fewer.rows("tbody tr"),
        [
            "Units | 8 | 6",
            "Limit price | 9.00 | 9.00",
            "Still to fill | 8 | 6",
            "Held | 288.00 | 216.00",
        ]
    );
    assert_eq!(fewer.text("#hold"), "¥72.00 returns to cash.");
    assert!(fewer.text("#place").contains("keeps its place"));
    let held = stands(&app);
    assert_eq!(
        (held.0, held.2),
        (8, Money(2_880_000)),
        "nothing is done yet"
    );
    let done = ada.submit(&fewer, CONFIRM, &[]).await;
    assert_eq!(done.location(), "/orders/o2?changed");
    let now = (6, Money(90_000), Money(2_160_000), acceptance);
    assert_eq!(stands(&app), now, "it kept its place");
    let page = ada.get(done.location()).await;
    assert!(page.text(".notice.good").contains("has taken the change"));
    let dearer = look(&mut ada, "6", "9.5").await;
    assert_eq!(dearer.text("#hold"), "¥12.00 more is held.");
    assert!(dearer.text("#place").contains("joins the queue anew"));
    assert!(dearer.text(".column-side").contains("rests in the book"));
    ada.submit(&dearer, CONFIRM, &[]).await;
    let (units, price, held, later) = stands(&app);
    assert_eq!((units, price, held), (6, Money(95_000), Money(2_280_000)));
    assert!(later > acceptance, "it arrived anew");
    // At the best ask it trades at once.
    let buys = look(&mut ada, "6", "10").await;
    assert!(buys.text(".column-side").contains("Fills now in full"));
    ada.submit(&buys, CONFIRM, &[]).await;
    let page = ada.get("/orders/o2").await;
    assert!(page.text("h1").contains("filled"), "{}", page.text("h1"));
    assert!(!page.has(CHANGE), "nothing is left to change");
    let late = ada.submit(&buys, CONFIRM, &[("units", "7")]).await;
    assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(late.text("[role=alert]").contains("is done"));
    app.stop().await;
}

#[tokio::test]
async fn a_wrong_change_is_said_at_its_field_and_loses_nothing() {
    let app = TestApp::start().await;
    let mut ada = resting(&app).await;
    let before = stands(&app);
    for (field, typed, said) in [
        ("units", "", "Give a whole number"),
        ("units", "eight", "Give a whole number"),
        ("units", "0", "Give a whole number"),
        ("units", "-4", "Give a whole number"),
        ("units", "1e9", "Give a whole number"),
        ("units", &*"9".repeat(60), "Give a whole number"),
        ("price", "", "Give a price"),
        ("price", "cheap", "Give a price"),
        ("price", "-1", "must be positive"),
        ("price", "0", "must be positive"),
        ("price", "9.001", "whole number of ticks"),
        ("price", "9.00001", "At most four decimals"),
        ("price", &*"9".repeat(60), "too large"),
    ] {
        let other = if field == "units" { "9.10" } else { "5" };
        let (units, price) = if field == "units" {
            (typed, other)
        } else {
            (other, typed)
        };
        let case = format!("{field}={typed}");
        let asked = look(&mut ada, units, price).await;
        let path = "/orders/o2/replace";
        let fields = [("units", units), ("price", price), ("was", "8-9.0000-0")];
        let sent = ada.post(path, &fields).await;
        for wrong in [asked, sent] {
            assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{case}");
            let error = wrong.text(&format!("#{field}-error"));
            assert!(error.contains(said), "{case}: {error}");
            let (_, fields) = wrong.form(CHANGE);
            for kept in [("units", units), ("price", price)] {
                let kept = (kept.0.to_owned(), kept.1.to_owned());
                assert!(fields.contains(&kept), "{case}: {fields:?}");
            }
        }
    }
    for path in [
        "/orders/o2/replacement",
        "/orders/o2/replacement?units=8&price=9.00",
    ] {
        let page = ada.get(path).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
    }
    // More than there is cash for is said with what is missing, before and after confirming.
    let dear = look(&mut ada, "90", "9.00").await;
    assert!(dear.text(".short").contains("¥2,240.00 short"));
    assert!(!dear.has("button.primary"));
    let fields = [("units", "90"), ("price", "9.00"), ("was", "8-9.0000-0")];
    let dear = ada.post("/orders/o2/replace", &fields).await;
    assert_eq!(dear.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(dear.text("[role=alert]").contains("¥2,240.0000 short"));
    let huge = [("units", "1000000"), ("price", "899999999999.00")];
    let huge = ada
        .submit(&ada.clone().get("/orders/o2").await, CHANGE, &huge)
        .await;
    assert!(huge.has(".short"), "{}", huge.body);
    assert_eq!(stands(&app), before);
    app.stop().await;
}

#[tokio::test]
async fn a_change_sent_twice_is_one_and_a_page_of_before_asks_again() {
    let app = TestApp::start().await;
    let mut ada = resting(&app).await;
    let confirm = look(&mut ada, "8", "9.20").await;
    let other = look(&mut ada, "4", "9.00").await;
    let (mut tab, mut twin) = (ada.clone(), ada.clone());
    let (first, second) = tokio::join!(
        tab.submit(&confirm, CONFIRM, &[]),
        twin.submit(&confirm, CONFIRM, &[])
    );
    assert_eq!(first.location(), "/orders/o2?changed");
    assert_eq!(second.location(), "/orders/o2?changed");
    let count = "SELECT count(*) FROM commands WHERE body->>'do' = 'replace_order'";
    let count: i64 = sqlx::query_scalar(count)
        .fetch_one(&app.database.pool)
        .await
        .expect("a count");
    assert_eq!(count, 1, "it lost its place once");
    // The other tab's page shows the order as it was.
    let stale = ada.submit(&other, CONFIRM, &[]).await;
    assert_eq!(stale.status, StatusCode::CONFLICT);
    assert!(stale.text("[role=alert]").contains("has changed since"));
    assert_eq!(stands(&app).0, 8);
    assert_eq!(stale.rows("tbody tr")[1], "Limit price | 9.20 | 9.00");
    assert!(stale.text("#place").contains("joins the queue anew"));
    let done = ada.submit(&stale, CONFIRM, &[]).await;
    assert_eq!(done.location(), "/orders/o2?changed");
    assert_eq!(stands(&app).0, 4);
    // So does the first page, gone back to.
    let back = ada.submit(&confirm, CONFIRM, &[]).await;
    assert_eq!(back.status, StatusCode::CONFLICT);
    assert_eq!(stands(&app).0, 4);
    app.stop().await;
}

#[tokio::test]
async fn a_part_that_has_traded_stands() {
    let app = TestApp::start().await;
    let mut ada = resting(&app).await;
    app.submit(Command::CancelOrder {
        participant: PROVIDER,
        client_id: market::ClientId("ask".to_owned()),
    })
    .await;
    app.submit(ask("cheap", 3, 90_000)).await;
    assert_eq!(app.app.feed.market().order(OrderId(2)).filled, 3);
    let ends = look(&mut ada, "2", "9.00").await;
    assert!(ends.text("#place").contains("the rest is cancelled"));
    assert_eq!(ends.rows("tbody tr")[0], "Units | 8 | 3");
    assert_eq!(ends.rows("tbody tr")[3], "Held | 180.00 | 0.00");
    let page = ada.get("/orders/o2").await;
    let least = ada
        .submit(&page, CHANGE, &[("units", "4"), ("price", "9")])
        .await;
    assert_eq!(least.rows("tbody tr")[2], "Still to fill | 5 | 1");
    ada.submit(&ends, CONFIRM, &[]).await;
    let page = ada.get("/orders/o2").await;
    assert!(page.text("h1").contains("cancelled"), "{}", page.text("h1"));
    app.stop().await;
}

#[tokio::test]
async fn only_a_bid_of_ones_own_is_changed_here_and_by_whoever_buys() {
    let app = TestApp::start().await;
    let mut ada = resting(&app).await;
    let fields = [("units", "4"), ("price", "9.00"), ("was", "8-9.0000-0")];
    let mut eve = Visitor::member(&app, "eve", "1").await;
    for path in ["/orders/o2", "/orders/o9", "/orders/x"] {
        let page = eve.post(&format!("{path}/replace"), &fields).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
        let page = eve
            .get(&format!("{path}/replacement?units=4&price=9"))
            .await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
    }
    let mut fin = people::member(&app, 3, &[Role::Finance], "fin").await;
    let page = fin.post("/orders/o2/replace", &fields).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(!fin.get("/orders/o2").await.has(CHANGE));
    // An ask is changed at its pool.
    let mut peter = people::member(&app, PROVIDER.0, &[Role::Owner], "peter").await;
    let page = peter.get("/orders/o1").await;
    assert!(!page.has(CHANGE));
    let pool = page.attribute("a[href^='/provide/pools']", "href");
    assert_eq!(pool, "/provide/pools/p1");
    let page = peter.post("/orders/o1/replace", &fields).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert_eq!(stands(&app).0, 8);
    assert_eq!(ada.get("/orders/o2").await.status, StatusCode::OK);
    app.stop().await;
}

#[tokio::test]
async fn a_change_of_a_session_that_has_ended_is_filled_in_again() {
    let app = TestApp::start().await;
    let mut ada = resting(&app).await;
    let confirm = look(&mut ada, "5", "9.30").await;
    let sql = "UPDATE sessions SET seen_at = seen_at - interval '25 hours'";
    let aged = sqlx::query(sql).execute(&app.database.pool).await;
    aged.expect("sessions grow old");
    let at = "/orders/o2/replacement?units=5&price=9.30";
    ada.sends.push(("referer", format!("{}{at}", app.url)));
    let page = ada.submit(&confirm, CONFIRM, &[("units", "6")]).await;
    let way = page.location().to_owned();
    assert!(
        way.starts_with("/sign-in?next=/orders/o2/replacement"),
        "{way}"
    );
    let page = ada.get(&way).await;
    let login = [
        ("login", "ada@example.org"),
        ("password", &*crate::support::visitor::password("ada")),
    ];
    let page = ada.submit(&page, "form[action='/sign-in']", &login).await;
    let page = ada.get(page.location()).await;
    assert!(page.text("main").contains("Nothing was sent"));
    assert_eq!(page.rows("tbody tr")[0], "Units | 8 | 6");
    assert_eq!(stands(&app).0, 8);
    let done = ada.submit(&page, CONFIRM, &[]).await;
    assert_eq!(done.location(), "/orders/o2?changed");
    assert_eq!(stands(&app).0, 6);
    app.stop().await;
}

#[tokio::test]
async fn a_change_does_not_get_round_the_second_person() {
    let app = TestApp::start().await;
    let mut ada = resting(&app).await;
    let above = [("above", "300")];
    ada.post("/settings/members/approval", &above).await;
    let mut bob = people::member(&app, 3, &[Role::Buyer], "bob").await;
    for visitor in [&mut ada, &mut bob] {
        for (units, price) in [("9", "9.00"), ("8", "9.50"), ("20", "10")] {
            let asked = look(visitor, units, price).await;
            let fields = [("units", units), ("price", price), ("was", "8-9.0000-0")];
            let sent = visitor.post("/orders/o2/replace", &fields).await;
            for page in [asked, sent] {
                assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
                let said = page.text("[role=alert]");
                assert!(said.contains("above ¥300.00 a second person"), "{said}");
                let (_, kept) = page.form(CHANGE);
                assert!(kept.contains(&("units".to_owned(), units.to_owned())));
            }
        }
    }
    assert_eq!(stands(&app).0, 8);
    // Less needs nobody, nor does more within the amount: 8 × 9.30 × 4 = 297.60.
    for (units, price) in [("7", "9.00"), ("8", "9.30")] {
        let confirm = look(&mut ada, units, price).await;
        let done = ada.submit(&confirm, CONFIRM, &[]).await;
        assert_eq!(done.location(), "/orders/o2?changed");
    }
    // What a second person approved may come back to what they approved, and not beyond.
    let typed = [("mode", "advanced"), ("units", "10"), ("price", "9")];
    let asked = ada.order(SYMBOL, &typed).await;
    assert_eq!(asked.location(), "/orders/requests/r1?asked");
    let mut ann = people::member(&app, 3, &[Role::Approver], "ann").await;
    let led = ann.post("/orders/requests/r1/approve", &[]).await;
    assert_eq!(led.location(), "/orders/o3");
    for (units, was, done) in [
        ("9", "10-9.0000-0", true),
        ("10", "9-9.0000-0", true),
        ("11", "10-9.0000-0", false),
    ] {
        let fields = [("units", units), ("price", "9.00"), ("was", was)];
        let page = ada.post("/orders/o3/replace", &fields).await;
        assert_eq!(page.status == StatusCode::SEE_OTHER, done, "{units}");
    }
    app.stop().await;
}
