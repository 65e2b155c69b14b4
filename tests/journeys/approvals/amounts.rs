//! The amount above which an order needs a second person: who sets it, and what counts.

use axum::http::StatusCode;
use sluice::web::Role;

use super::{CONFIRM, Firm, PAGE, SYMBOL, notice};
use crate::support::market::hour;
use crate::support::people::{self, Factor};

const ABOVE: &str = "form[action='/settings/members/approval']";

#[tokio::test]
async fn parts_of_an_order_count_as_a_whole() {
    let mut firm = Firm::open("400").await;
    let first = firm.buyer.order(SYMBOL, &[("units", "8")]).await;
    assert_eq!(first.location(), "/leases/l1?bought");
    let confirm = firm.buyer.ticket(SYMBOL, &[("units", "4")]).await;
    let why = confirm.text(".review .notice");
    assert!(why.contains("¥320.00 within 24 hours"), "{why}");
    let second = firm.buyer.submit(&confirm, CONFIRM, &[]).await;
    assert_eq!(second.location(), "/orders/requests/r1?asked");
    // Up to the amount needs nobody, and another member has ordered nothing yet.
    let exact = firm.buyer.order(SYMBOL, &[("units", "2")]).await;
    assert_eq!(exact.location(), "/leases/l2?bought");
    let other = firm.owner.order(SYMBOL, &[("units", "8")]).await;
    assert_eq!(other.location(), "/leases/l3?bought");
    // What was approved is not counted against anybody.
    firm.approver.post("/orders/requests/r1/approve", &[]).await;
    assert_eq!(firm.orders().await, 4);
    // What was cancelled before it filled bought nothing.
    let mut cara = people::member(&firm.app, firm.of, &[Role::Buyer], "cara").await;
    let rests = [("mode", "advanced"), ("units", "10"), ("price", "9")];
    let rests = cara.order(SYMBOL, &rests).await.location().to_owned();
    assert!(rests.starts_with("/orders/o"), "{rests}");
    let more = cara.order(SYMBOL, &[("units", "8")]).await;
    assert!(more.location().contains("/requests/"), "360 + 320 > 400");
    cara.post(&format!("{rests}/cancel"), &[]).await;
    let more = cara.order(SYMBOL, &[("units", "8")]).await;
    assert!(
        more.location().starts_with("/leases/"),
        "{}",
        more.location()
    );
    // After a day of the market clock it begins anew.
    firm.app.clock().set(hour(25));
    let next_day = [("units", "8"), ("day", "2026-10-27"), ("hour", "12")];
    let later = firm.buyer.order(SYMBOL, &next_day).await;
    assert!(
        later.location().starts_with("/leases/"),
        "{}",
        later.location()
    );
    firm.app.stop().await;
}

#[tokio::test]
async fn parts_sent_at_once_count_as_a_whole_too() {
    let mut firm = Firm::open("400").await;
    let mut tickets = Vec::new();
    for _ in 0..6 {
        tickets.push(firm.buyer.ticket(SYMBOL, &[("units", "4")]).await);
    }
    let sent = tickets.iter().map(|ticket| {
        let mut tab = firm.buyer.clone();
        async move { tab.submit(ticket, CONFIRM, &[]).await.location().to_owned() }
    });
    let led = futures_util::future::join_all(sent).await;
    let asked = led.iter().filter(|led| led.contains("/requests/")).count();
    assert_eq!(asked, 4, "two of ¥160 fit into ¥400: {led:?}");
    assert_eq!(firm.orders().await, 2);
    firm.app.stop().await;
}

#[tokio::test]
async fn what_no_page_sends_needs_the_second_person_too() {
    let mut firm = Firm::open("100").await;
    let confirm = firm.buyer.ticket(SYMBOL, &[("units", "8")]).await;
    let (_, fields) = confirm.form(CONFIRM);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(a, b)| (&**a, &**b)).collect();
    for extra in [
        ("approved", "1"),
        ("approval_above", ""),
        ("state", "approved"),
    ] {
        let id = format!("web-{:032}", firm.acts("order_requested").await);
        let mut sent: Vec<_> = fields.clone();
        sent.retain(|(name, _)| *name != "client_id");
        sent.extend([("client_id", &*id), extra]);
        let page = firm.buyer.post(&format!("{PAGE}/orders"), &sent).await;
        assert!(page.location().starts_with("/orders/requests/r"));
    }
    assert_eq!(firm.orders().await, 0);
    firm.app.stop().await;
}

#[tokio::test]
async fn an_amount_that_changes_meanwhile_changes_no_request() {
    let mut firm = Firm::open("300").await;
    let confirm = firm.buyer.ticket(SYMBOL, &[("units", "8")]).await;
    let request = firm.ask().await;
    firm.owner
        .post("/settings/members/approval", &[("above", "")])
        .await;
    // The request still waits; the same ticket is still that request.
    let page = firm.approver.get(&request).await;
    assert!(page.has("form[action$='/approve']"));
    // A ticket that was opened before and never sent is an order now.
    let bought = firm.buyer.submit(&confirm, CONFIRM, &[]).await;
    assert_eq!(bought.location(), "/leases/l1?bought");
    let led = firm.approver.post(&format!("{request}/approve"), &[]).await;
    assert_eq!(led.location(), "/leases/l2?bought");
    // The other way round: a page that said “buy” asks.
    let confirm = firm.buyer.ticket(SYMBOL, &[("units", "8")]).await;
    assert_eq!(confirm.text(".review button"), "Buy now · ¥320.00");
    firm.owner
        .post("/settings/members/approval", &[("above", "1")])
        .await;
    let asked = firm.buyer.submit(&confirm, CONFIRM, &[]).await;
    assert_eq!(asked.location(), "/orders/requests/r2?asked");
    assert_eq!(firm.acts("approval_amount_changed").await, 3);
    firm.app.stop().await;
}

#[tokio::test]
async fn an_owner_sets_the_amount_and_nobody_else() {
    let mut firm = Firm::open("").await;
    assert_eq!(
        firm.acts("approval_amount_changed").await,
        0,
        "none as before"
    );
    let page = firm.owner.get("/settings/members").await;
    assert!(
        page.text("#approval")
            .contains("Every order goes to the market")
    );
    for (typed, said) in [
        ("much", "Give an amount"),
        ("-1", "Give an amount"),
        ("1.00001", "At most four decimals"),
        (&*"9".repeat(40), "too large"),
        ("1e30", "Give an amount"),
    ] {
        let wrong = firm.owner.submit(&page, ABOVE, &[("above", typed)]).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{typed}");
        let error = wrong.text("#above-error");
        assert!(error.contains(said), "{typed}: {error}");
        let (_, fields) = wrong.form(ABOVE);
        assert!(fields.contains(&("above".to_owned(), typed.to_owned())));
    }
    let kept = firm
        .owner
        .submit(&page, ABOVE, &[("above", "５000.50")])
        .await;
    assert_eq!(kept.location(), "/settings/members?approval");
    let again = firm
        .owner
        .submit(&page, ABOVE, &[("above", "5000.5")])
        .await;
    assert_eq!(again.location(), "/settings/members?approval");
    assert_eq!(
        firm.acts("approval_amount_changed").await,
        1,
        "a double click"
    );
    let page = firm.approver.get("/settings/members").await;
    assert!(page.text("#approval").contains("Above ¥5,000.50"));
    assert!(!page.has(ABOVE), "only an owner changes it");
    let page = firm
        .approver
        .post("/settings/members/approval", &[("above", "")])
        .await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    // Whoever has a second factor gives it anew, and what they had typed is there again.
    let roles = [Role::Owner];
    let mut zoe = people::member_with(&firm.app, firm.of, &roles, "zoe", Factor::Given).await;
    firm.sql("UPDATE sessions SET second_factor_at = second_factor_at - interval '6 minutes'")
        .await;
    let url = format!("{}/settings/members", firm.app.url);
    zoe.sends.push(("referer", url));
    let page = zoe
        .post("/settings/members/approval", &[("above", "7")])
        .await;
    let way = page.location().to_owned();
    assert!(way.starts_with("/second-factor?next=/settings/members%3Fkept"));
    let page = zoe.get(&way).await;
    let code = crate::second_factor::code("LJNFUWS2LJNFUWS2LJNFUWS2LJNFUWS2", 0);
    let form = "form[action='/second-factor']";
    let page = zoe.submit(&page, form, &[("code", &code)]).await;
    let page = zoe.get(page.location()).await;
    let (_, fields) = page.form(ABOVE);
    assert!(fields.contains(&("above".to_owned(), "7".to_owned())));
    let above = "SELECT approval_above FROM participants WHERE id = $1";
    assert_eq!(firm.count(above).await, 50_005_000);
    firm.app.stop().await;
}

#[tokio::test]
async fn no_more_requests_wait_than_may() {
    let mut firm = Firm::open("0").await;
    firm.ask().await;
    firm.sql(
        "WITH more AS (INSERT INTO order_access (participant, client_id, image, set_by, set_at)
             SELECT participant, 'more-' || n, image, set_by, set_at
             FROM order_access, generate_series(2, 100) AS n RETURNING client_id)
         INSERT INTO order_requests
             (participant, client_id, body, cost, good_until, asked_by, asked_at)
         SELECT participant, more.client_id, body, cost, good_until, asked_by, asked_at
         FROM order_requests, more",
    )
    .await;
    let page = firm.buyer.order(SYMBOL, &[("units", "8")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(notice(&page).contains("have some decided first"));
    let list = firm.approver.get("/orders").await;
    assert_eq!(list.texts("#waiting li").len(), 100);
    firm.app.stop().await;
}
