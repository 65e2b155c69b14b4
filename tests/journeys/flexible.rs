//! Tickets whose hours may lie anywhere in a period, in one run or in several: what they would get,
//! what they become, and what is said while they wait.

use axum::http::StatusCode;
use market::{
    Account, AccountKind, Command, Flexible, LeaseId, Money, OrderId, ParticipantId, Period,
    PlaceOrder, Side,
};
use serde_json::json;
use sluice::web::Role;

use crate::support::app::TestApp;
use crate::support::market::{ask, hour};
use crate::support::people;
use crate::support::visitor::{Page, Visitor};

const SYMBOL: &str = "A100-80GB.GUZ-GAN.SILVER";
const PAGE: &str = "/market/A100-80GB.GUZ-GAN.SILVER";
const CONFIRM: &str = "form[action$='/orders']";

/// Any two hours of eight cards from an hour after the opening, 09:00 in China, to eleven later.
const TWO: [(&str, &str); 7] = [
    ("timing", "within"),
    ("day", "2026-10-25"),
    ("hour", "9"),
    ("hours", "2"),
    ("to_day", "2026-10-25"),
    ("to_hour", "20"),
    ("units", "8"),
];

/// Offers all of the pool at 8.00 in these hours after the opening.
async fn cheaper(app: &TestApp, client_id: &str, (from, to): (i64, i64)) {
    let mut cheaper = ask(client_id, 64, 80_000);
    if let Command::PlaceOrder(PlaceOrder { start, end, .. }) = &mut cheaper {
        (*start, *end) = (hour(from), hour(to));
    }
    app.submit(cheaper).await;
}

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut typed = TWO.to_vec();
    typed.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
    [typed.as_slice(), more].concat()
}

fn balance(app: &TestApp, of: i64, kind: AccountKind) -> Money {
    let market = app.app.feed.market();
    market
        .ledger()
        .balance(Account::of(ParticipantId(of), kind))
}

/// The hours of each lease, after the opening.
fn leased(app: &TestApp) -> Vec<(i64, i64)> {
    let market = app.app.feed.market();
    let after = |at: market::Hour| at.0 - hour(0).hour().0;
    let hours = |period: Period| (after(period.start), after(period.end));
    let leases = (1..).map_while(|number| market.lease(LeaseId(number)));
    leases.map(|lease| hours(lease.period)).collect()
}

#[tokio::test]
async fn the_cheapest_hours_are_shown_and_then_bought() {
    let app = TestApp::start().await;
    cheaper(&app, "noon", (5, 8)).await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    let query: Vec<String> = TWO.iter().map(|(n, v)| format!("{n}={v}")).collect();
    let bill = ada.get(&format!("{PAGE}/bill?{}", query.join("&"))).await;
    let outcome = bill.text(".outcome");
    assert!(outcome.contains("Sun 25 Oct 13:00 – 15:00"), "{outcome}");
    assert_eq!(bill.texts(".lines dd"), ["128.00", "¥128.00"]);
    // For who would rather have other hours: those, and what they cost more.
    assert_eq!(
        bill.texts(".others li")[..2],
        [
            "Sun 25 Oct 14:00 – 16:00¥128.000.00",
            "Sun 25 Oct 09:00 – 11:00¥160.00+32.00"
        ]
    );
    let confirm = ada.ticket(SYMBOL, &TWO).await;
    let facts = confirm.text(".column-main dl");
    let wanted = "Any 2 h in a row within Sun 25 Oct 09:00 – 20:00 UTC+8";
    assert!(facts.contains(wanted), "{facts}");
    assert!(
        confirm.text(".review").contains("13:00 – 15:00"),
        "{}",
        confirm.body
    );
    assert_eq!(confirm.text(".review .button"), "Buy now · ¥128.00");
    let bought = ada.submit(&confirm, CONFIRM, &[]).await;
    assert_eq!(bought.location(), "/leases/l1?bought");
    assert_eq!(leased(&app), [(5, 7)]);
    assert_eq!(balance(&app, 3, AccountKind::Escrow), Money(1_280_000));
    assert_eq!(balance(&app, 3, AccountKind::Cash), Money(8_720_000));
    assert_eq!(balance(&app, 3, AccountKind::Hold), Money::ZERO);
    // Sent twice it is one order; its page says what was wanted and what was had.
    let again = ada.submit(&confirm, CONFIRM, &[]).await;
    assert_eq!(again.location(), "/orders/o3");
    let order = ada.get("/orders/o3").await;
    assert!(order.text(".under").contains("Any 2 h in a row"));
    assert!(order.text("tbody").contains("13:00 – 15:00"));
    app.stop().await;
}

#[tokio::test]
async fn what_may_be_split_is_put_together_from_the_cheapest_runs() {
    let app = TestApp::start().await;
    cheaper(&app, "one", (3, 4)).await;
    cheaper(&app, "two", (7, 8)).await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    // An offer for an hour alone is none of two in a row.
    let whole = ada.ticket(SYMBOL, &TWO).await;
    assert_eq!(whole.text(".review .button"), "Buy now · ¥160.00");
    let least_two = with(&[("split", "on"), ("min_run", "2")]);
    let least_two = ada.ticket(SYMBOL, &least_two).await;
    assert_eq!(least_two.text(".review .button"), "Buy now · ¥160.00");
    let split = ada.ticket(SYMBOL, &with(&[("split", "on")])).await;
    let facts = split.text(".column-main dl");
    assert!(
        facts.contains("Any 2 h, in runs of 1 h or more, within"),
        "{facts}"
    );
    let said = split.text(".review");
    assert!(
        said.contains("in 2 runs: Sun 25 Oct 11:00 – 12:00, Sun 25 Oct 15:00 – 16:00"),
        "{said}"
    );
    assert!(said.contains("Sun 25 Oct 11:00 – 12:00: 8 units × 1 h × 8.00"));
    assert_eq!(split.text(".review .button"), "Buy now · ¥128.00");
    let bought = ada.submit(&split, CONFIRM, &[]).await;
    // Two runs are two leases of one order.
    assert_eq!(bought.location(), "/orders/o4");
    assert_eq!(leased(&app), [(3, 4), (7, 8)]);
    assert_eq!(balance(&app, 3, AccountKind::Escrow), Money(1_280_000));
    let order = ada.get("/orders/o4").await;
    assert_eq!(order.texts("tbody tr").len(), 2);
    assert!(order.text(".under").contains("in runs of 1 h or more"));
    app.stop().await;
}

#[tokio::test]
async fn one_that_waits_says_why_and_trades_after_a_change() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    let typed = with(&[("mode", "advanced"), ("price", "9")]);
    let confirm = ada.ticket(SYMBOL, &typed).await;
    let said = confirm.text(".review");
    assert!(
        said.contains("at your limit yet; the order waits"),
        "{said}"
    );
    let placed = ada.submit(&confirm, CONFIRM, &[]).await;
    assert_eq!(placed.location(), "/orders/o2");
    assert_eq!(balance(&app, 3, AccountKind::Hold), Money(1_440_000));
    let order = ada.get("/orders/o2").await;
    let why = order.text("#why");
    assert!(
        why.contains("take a limit of 10.00, yours is 9.00"),
        "{why}"
    );
    let list = ada.get("/orders").await;
    assert!(list.text("#open").contains("Any 2 h in a row within"));
    assert!(list.text("#open").contains("yours is 9.00"));
    let to = [("units", "8"), ("price", "10")];
    let change = ada.submit(&order, "#change form", &to).await;
    assert!(change.text(".under").contains("Any 2 h in a row"));
    assert!(
        change
            .text(".column-side")
            .contains("Sun 25 Oct 09:00 – 11:00"),
        "{}",
        change.body
    );
    let rows = change.rows("tbody tr");
    assert!(
        rows.contains(&"Held | 144.00 | 160.00".to_owned()),
        "{rows:?}"
    );
    let changed = ada.submit(&change, "form[action$='/replace']", &[]).await;
    assert_eq!(changed.location(), "/orders/o2?changed");
    assert_eq!(leased(&app), [(1, 3)]);
    assert_eq!(balance(&app, 3, AccountKind::Escrow), Money(1_600_000));
    app.stop().await;
}

#[tokio::test]
async fn a_flexible_order_above_the_amount_waits_for_a_second_person() {
    let app = TestApp::start().await;
    cheaper(&app, "noon", (5, 7)).await;
    let of = people::participant(&app, "白鹭渲染").await;
    app.submit(Command::Deposit {
        participant: ParticipantId(of),
        amount: Money(10_000_000),
    })
    .await;
    let mut owner = people::member(&app, of, &[Role::Owner], "olive").await;
    let mut buyer = people::member(&app, of, &[Role::Buyer], "bob").await;
    let mut approver = people::member(&app, of, &[Role::Approver], "ann").await;
    // What counts is two hours at the limit, not the day in which they may lie.
    owner
        .post("/settings/members/approval", &[("above", "127")])
        .await;
    let asked = buyer.order(SYMBOL, &TWO).await;
    assert_eq!(asked.location(), "/orders/requests/r1?asked");
    let request = approver.get("/orders/requests/r1").await;
    let facts = request.text(".column-main dl");
    assert!(
        facts.contains("Any 2 h in a row within Sun 25 Oct 09:00 – 20:00 UTC+8"),
        "{facts}"
    );
    assert!(request.text("#decide").contains("13:00 – 15:00"));
    assert!(request.text("#decide .sum").contains("128.00"));
    let list = approver.get("/orders").await;
    assert!(list.text("#waiting").contains("Any 2 h in a row"));
    let approved = approver
        .submit(&request, "form[action$='/approve']", &[])
        .await;
    assert_eq!(approved.location(), "/leases/l1?bought");
    assert_eq!(leased(&app), [(5, 7)]);
    assert_eq!(balance(&app, of, AccountKind::Escrow), Money(1_280_000));
    app.stop().await;
}

fn error(page: &Page, field: &str) -> String {
    page.text(&format!("#{field}-error"))
}

#[tokio::test]
async fn what_does_not_fit_is_said_at_its_field_and_nothing_is_lost() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    for (more, field, said) in [
        (vec![("to_hour", "10")], "to_day", "not enough for 2 h"),
        (vec![("to_day", "2026-10-24")], "to_day", "lie 0 h"),
        (vec![("to_day", "2026-11-05")], "to_day", "At most 168 h"),
        (vec![("to_day", "never")], "to_day", "Pick the day"),
        (vec![("to_hour", "25")], "to_day", "Pick the day"),
        (
            vec![("split", "on"), ("min_run", "3")],
            "min_run",
            "from 1 to 2",
        ),
        (
            vec![("split", "on"), ("min_run", "x")],
            "min_run",
            "from 1 to 2",
        ),
        (vec![("units", "eight")], "units", "whole number"),
    ] {
        let typed = with(&more);
        let wrong = ada.ticket(SYMBOL, &typed).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{more:?}");
        let message = error(&wrong, field);
        assert!(message.contains(said), "{more:?}: {message}");
        let (_, kept) = wrong.form("form[action$='/confirm']");
        for (name, value) in typed {
            // What no list has can't be picked in it.
            let is_picked = name.starts_with("to_") && more.iter().any(|(n, _)| *n == name);
            let pair = (name.to_owned(), value.to_owned());
            assert!(is_picked || kept.contains(&pair), "{more:?}: {name}");
        }
    }
    // No hours have it all.
    let none = ada.ticket(SYMBOL, &with(&[("units", "65")])).await;
    assert!(none.text("[role=alert]").contains("No hours within"));
    let orders: i64 = sqlx::query_scalar("SELECT count(*) FROM orders WHERE participant > 2")
        .fetch_one(&app.database.pool)
        .await
        .expect("orders are counted");
    assert_eq!(orders, 0);
    app.stop().await;
}

#[tokio::test]
async fn programs_order_the_same() {
    let app = TestApp::start().await;
    let mut program = crate::api::buyer(&app).await;
    let order = json!({
        "id": "split", "side": "buy", "symbols": [SYMBOL], "units": 8, "price": "10.00",
        "start": "2026-10-25T01:00:00Z", "end": "2026-10-25T12:00:00Z",
        "duration": 4, "splittable": true, "min_run": 2
    });
    let page = crate::api::send(&mut program, &order).await;
    assert_eq!(crate::api::said(&page)["done"], "filled", "{}", page.body);
    let market = app.app.feed.market();
    let Side::Buy { flexible, .. } = market.order(OrderId(2)).placed.side else {
        panic!("a bid");
    };
    let wanted = Flexible {
        duration: 4,
        splittable: true,
        min_run: 2,
    };
    assert_eq!(flexible, Some(wanted));
    drop(market);
    app.stop().await;
}
