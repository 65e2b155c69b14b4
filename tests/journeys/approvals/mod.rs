//! Orders that need a second person: what is kept in their place, who decides, and that one order
//! comes of it however it is sent.

mod amounts;

use axum::http::StatusCode;
use market::{Command, Money, ParticipantId};
use sluice::web::Role;

use crate::support::app::TestApp;
use crate::support::market::hour;
use crate::support::people;
use crate::support::visitor::{Page, Visitor};

const SYMBOL: &str = "A100-80GB.GUZ-GAN.SILVER";
const PAGE: &str = "/market/A100-80GB.GUZ-GAN.SILVER";
const CONFIRM: &str = "form[action$='/orders']";

/// A participant with money, an amount above which orders need approval, and its people.
struct Firm {
    app: TestApp,
    of: i64,
    owner: Visitor,
    buyer: Visitor,
    approver: Visitor,
}

impl Firm {
    async fn open(above: &str) -> Self {
        let app = TestApp::start().await;
        let of = people::participant(&app, "白鹭渲染").await;
        app.submit(Command::Deposit {
            participant: ParticipantId(of),
            amount: Money(100_000_000),
        })
        .await;
        let mut owner = people::member(&app, of, &[Role::Owner], "olive").await;
        let buyer = people::member(&app, of, &[Role::Buyer], "bob").await;
        let approver = people::member(&app, of, &[Role::Approver], "ann").await;
        let page = owner
            .post("/settings/members/approval", &[("above", above)])
            .await;
        assert_eq!(page.location(), "/settings/members?approval");
        Self {
            app,
            of,
            owner,
            buyer,
            approver,
        }
    }

    /// The buyer asks for eight cards for four hours, ¥320, and is led to the request.
    async fn ask(&mut self) -> String {
        let asked = self.buyer.order(SYMBOL, &[("units", "8")]).await;
        let led = asked.location();
        let request = led.strip_suffix("?asked").expect("a request was made");
        request.to_owned()
    }

    async fn count(&self, sql: &'static str) -> i64 {
        let count = sqlx::query_scalar(sql).bind(self.of);
        let count = count.fetch_one(&self.app.database.pool).await;
        count.expect("a count")
    }

    async fn orders(&self) -> i64 {
        self.count("SELECT count(*) FROM orders WHERE participant = $1")
            .await
    }

    async fn acts(&self, act: &str) -> i64 {
        let count = "SELECT count(*) FROM acts WHERE act = $1 AND participant = $2";
        let count = sqlx::query_scalar(count).bind(act).bind(self.of);
        let count = count.fetch_one(&self.app.database.pool).await;
        count.expect("a count")
    }

    async fn sql(&self, sql: &'static str) {
        let done = sqlx::query(sql).execute(&self.app.database.pool).await;
        done.expect("the tables are changed");
    }
}

fn notice(page: &Page) -> String {
    page.text("[role=alert]")
}

#[tokio::test]
async fn an_order_above_the_amount_waits_until_a_second_person_approves() {
    let mut firm = Firm::open("300").await;
    let confirm = firm.buyer.ticket(SYMBOL, &[("units", "8")]).await;
    assert!(confirm.text(".review .notice").contains("Above ¥300.00"));
    let button = confirm.text(".review button");
    assert_eq!(button, "Ask for approval · at most ¥320.00");
    let asked = firm.buyer.submit(&confirm, CONFIRM, &[]).await;
    assert_eq!(asked.location(), "/orders/requests/r1?asked");
    assert_eq!(firm.orders().await, 0, "nothing is in the market");
    let page = firm.buyer.get(asked.location()).await;
    assert!(page.text(".notice.good").contains("has to approve"));
    assert!(page.text("#decide").contains("Whoever asks can’t approve"));
    assert!(!page.has("form[action$='/approve']"), "not by who asked");
    // Every member sees it; its terms stand there, and what it would do now.
    let mut looker = people::member(&firm.app, firm.of, &[], "lee").await;
    let list = looker.get("/orders").await;
    let waiting = list.text("#waiting li");
    assert!(waiting.contains("8 × A100-80GB"), "{waiting}");
    assert!(waiting.contains("bob asked on"), "{waiting}");
    let page = looker.get("/orders/requests/r1").await;
    assert!(!page.has("#decide form"), "{}", page.body);
    let page = firm.approver.get("/orders/requests/r1").await;
    let facts = page.text(".column-main dl");
    for fact in [
        "8 units",
        "10.00 ¥/unit-h",
        "All or nothing",
        "choose later",
    ] {
        assert!(facts.contains(fact), "{fact}: {facts}");
    }
    assert!(page.text("#decide").contains("Fills now in full"));
    let approve = "form[action$='/approve']";
    assert_eq!(page.text(approve), "Approve and order · hold ¥320.00");
    let led = firm.approver.submit(&page, approve, &[]).await;
    assert_eq!(led.location(), "/leases/l1?bought");
    assert_eq!(firm.orders().await, 1);
    let done = firm.buyer.get("/orders/requests/r1").await;
    assert!(done.text("h1").contains("approved and ordered"));
    assert!(!firm.buyer.get("/orders").await.has("#waiting"));
    assert_eq!(firm.acts("order_requested").await, 1);
    assert_eq!(firm.acts("order_approved").await, 1);
    firm.app.stop().await;
}

#[tokio::test]
async fn a_ticket_sent_twice_is_one_request_and_the_old_page_says_so() {
    let mut firm = Firm::open("0").await;
    let confirm = firm.buyer.ticket(SYMBOL, &[("units", "8")]).await;
    let mut twin = firm.buyer.clone();
    let (first, second) = tokio::join!(
        firm.buyer.submit(&confirm, CONFIRM, &[]),
        twin.submit(&confirm, CONFIRM, &[])
    );
    assert_eq!(first.location(), "/orders/requests/r1?asked");
    assert_eq!(second.location(), "/orders/requests/r1?asked");
    let requests = "SELECT count(*) FROM order_requests WHERE participant = $1";
    assert_eq!(firm.count(requests).await, 1);
    assert_eq!(firm.acts("order_requested").await, 1);
    // The page that is gone back to, or open in another tab.
    let (_, fields) = confirm.form(CONFIRM);
    let id = fields.iter().find(|(name, _)| name == "client_id");
    let (_, id) = id.expect("the ticket has a client id");
    let back = format!("{PAGE}/confirm?units=8&client_id={id}");
    let back = firm.buyer.get(&back).await;
    assert!(back.text(".notice.good").contains("it is request r1"));
    assert!(!back.has("button.primary"), "{}", back.body);
    // With other terms it is another ticket; with another image it stays the one that was asked.
    let other = [("units", "4"), ("hold", "160.0000")];
    let other = firm.buyer.submit(&confirm, CONFIRM, &other).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(notice(&other).contains("sent already"));
    let image = [("image", "bare")];
    let same = firm.buyer.submit(&confirm, CONFIRM, &image).await;
    assert_eq!(same.location(), "/orders/requests/r1?asked");
    let kept = "SELECT count(*) FROM order_access WHERE participant = $1 AND image = 'bare'";
    assert_eq!(
        firm.count(kept).await,
        0,
        "what is approved is what was asked"
    );
    // Once it is approved the same ticket leads to what came of it, and makes nothing.
    firm.approver.post("/orders/requests/r1/approve", &[]).await;
    let again = firm.buyer.submit(&confirm, CONFIRM, &[]).await;
    assert_eq!(again.location(), "/orders/requests/r1?asked");
    assert_eq!(firm.orders().await, 1);
    firm.app.stop().await;
}

#[tokio::test]
async fn two_who_approve_at_once_make_one_order() {
    let mut firm = Firm::open("100").await;
    for round in 1..=6 {
        let request = firm.ask().await;
        let path = format!("{request}/approve");
        let (mut olive, mut twin) = (firm.owner.clone(), firm.approver.clone());
        let (a, b, c) = tokio::join!(
            firm.approver.post(&path, &[]),
            olive.post(&path, &[]),
            twin.post(&path, &[])
        );
        for page in [a, b, c] {
            assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
        }
        assert_eq!(firm.orders().await, round);
        assert_eq!(firm.acts("order_approved").await, round);
    }
    let commands = "SELECT count(*) FROM leases WHERE holder = $1";
    assert_eq!(firm.count(commands).await, 6);
    firm.app.stop().await;
}

#[tokio::test]
async fn one_who_approves_and_one_who_declines_at_once_do_one_of_it() {
    let mut firm = Firm::open("100").await;
    for _ in 0..6 {
        let request = firm.ask().await;
        let mut olive = firm.owner.clone();
        let (approve, decline) = (format!("{request}/approve"), format!("{request}/decline"));
        let before = firm.orders().await;
        let (approved, declined) = tokio::join!(
            firm.approver.post(&approve, &[]),
            olive.post(&decline, &[("reason", "too dear")])
        );
        let is_approved = approved.status == StatusCode::SEE_OTHER;
        let is_declined = declined.status == StatusCode::SEE_OTHER;
        assert!(is_approved != is_declined, "one of both");
        assert_eq!(firm.orders().await - before, i64::from(is_approved));
        let refused = if is_approved { declined } else { approved };
        assert_eq!(refused.status, StatusCode::CONFLICT);
        assert!(notice(&refused).contains("decided already"));
    }
    firm.app.stop().await;
}

#[tokio::test]
async fn nobody_decides_on_their_own_request_whatever_their_role() {
    let mut firm = Firm::open("100").await;
    let asked = firm.owner.order(SYMBOL, &[("units", "8")]).await;
    assert_eq!(asked.location(), "/orders/requests/r1?asked");
    for act in ["approve", "decline"] {
        let path = format!("/orders/requests/r1/{act}");
        let page = firm.owner.post(&path, &[("reason", "mine")]).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{act}");
        assert!(notice(&page).contains("request of their own"));
        let page = firm.buyer.post(&path, &[("reason", "not mine")]).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{act} by a buyer");
    }
    // Nor does anybody withdraw another's.
    let page = firm
        .approver
        .post("/orders/requests/r1/withdraw", &[])
        .await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert_eq!(firm.orders().await, 0);
    let page = firm.owner.get("/orders/requests/r1").await;
    let withdraw = "form[action$='/withdraw']";
    let page = firm.owner.submit(&page, withdraw, &[]).await;
    assert_eq!(page.location(), "/orders/requests/r1?withdrawn");
    // A double click is one act; a page that was open before says how it stands.
    let again = firm.owner.post("/orders/requests/r1/withdraw", &[]).await;
    assert_eq!(again.location(), "/orders/requests/r1?withdrawn");
    let late = firm.approver.post("/orders/requests/r1/approve", &[]).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert!(notice(&late).contains("decided already"));
    assert_eq!(firm.acts("order_withdrawn").await, 1);
    assert_eq!(
        (firm.orders().await, firm.acts("order_approved").await),
        (0, 0)
    );
    // Another participant's is none.
    let mut eve = Visitor::member(&firm.app, "eve", "10").await;
    for path in ["", "/approve", "/decline", "/withdraw"] {
        let path = format!("/orders/requests/r1{path}");
        let page = if path.ends_with("r1") {
            eve.get(&path).await
        } else {
            eve.post(&path, &[("reason", "x")]).await
        };
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
    }
    for id in ["r0", "r01", "1", "r9999999999999999999", "x", "r2"] {
        let page = firm.owner.get(&format!("/orders/requests/{id}")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{id}");
    }
    firm.app.stop().await;
}

#[tokio::test]
async fn declining_needs_a_reason_that_everybody_sees() {
    let mut firm = Firm::open("100").await;
    let request = firm.ask().await;
    let page = firm.approver.get(&request).await;
    let decline = "form[action$='/decline']";
    for (typed, said) in [
        (String::new(), "Say something"),
        (" \n ".to_owned(), "Say something"),
        ("x".repeat(4001), "At most 4000"),
        ("a\u{0}b".to_owned(), "control characters"),
    ] {
        let wrong = firm
            .approver
            .submit(&page, decline, &[("reason", &typed)])
            .await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        let error = wrong.text("#reason-error");
        assert!(error.contains(said), "{error}");
        let (_, fields) = wrong.form(decline);
        let kept = fields.iter().find(|(name, _)| name == "reason");
        let kept = kept.expect("the field is there").1.trim_start_matches('\n');
        if !typed.contains('\u{0}') {
            assert_eq!(kept.trim(), typed.trim());
        }
    }
    let nothing = firm.approver.post(&format!("{request}/decline"), &[]).await;
    assert_eq!(nothing.status, StatusCode::UNPROCESSABLE_ENTITY);
    let reason = [("reason", "<b>太贵</b>")];
    let declined = firm.approver.submit(&page, decline, &reason).await;
    assert_eq!(declined.location(), format!("{request}?declined"));
    let again = firm.approver.submit(&page, decline, &reason).await;
    assert_eq!(again.location(), format!("{request}?declined"));
    assert_eq!(firm.acts("order_declined").await, 1);
    let list = firm.buyer.get("/orders").await;
    let dropped = list.text("#dropped li");
    assert!(dropped.contains("ann declined: <b>太贵</b>"), "{dropped}");
    // What a second one typed meanwhile is still on the page.
    let typed = [("reason", "I think not")];
    let late = firm.owner.post(&format!("{request}/decline"), &typed).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert!(late.text(".unsent").contains("I think not"));
    firm.app.stop().await;
}

#[tokio::test]
async fn what_the_market_refuses_is_said_and_waits_on() {
    let mut firm = Firm::open("100").await;
    // Half of the money goes elsewhere before it is approved.
    let request = firm.ask().await;
    let all = [
        ("mode", "advanced"),
        ("units", "50"),
        ("price", "9.95"),
        ("hours", "20"),
    ];
    let other = firm.owner.order(SYMBOL, &all).await;
    let other = other.location().trim_end_matches("?asked").to_owned();
    let held = firm.approver.post(&format!("{other}/approve"), &[]).await;
    let rests = held.location().to_owned();
    let page = firm.approver.get(&request).await;
    assert!(page.text("#decide .short").contains("¥270.00 short"));
    let approve = format!("{request}/approve");
    let refused = firm.approver.post(&approve, &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(notice(&refused).contains("¥270.0000 short"));
    assert!(refused.text("h1").contains("waiting for approval"));
    let list = firm.buyer.get("/orders").await;
    assert!(list.text("#waiting li").contains("cash did not cover it"));
    assert_eq!(firm.acts("approved_order_rejected").await, 1);
    // With the money back it is approved; it is one order.
    firm.owner.post(&format!("{rests}/cancel"), &[]).await;
    let led = firm.approver.post(&approve, &[]).await;
    assert!(led.location().starts_with("/leases/"), "{}", led.location());
    // A request whose delivery has begun is over.
    let late = firm.ask().await;
    firm.app.clock().set(hour(30));
    let list = firm.buyer.get("/orders").await;
    assert!(!list.has("#waiting"), "{}", list.text("#waiting"));
    assert!(list.text("#dropped li").contains("Nobody approved it"));
    for act in ["approve", "decline"] {
        let path = format!("{late}/{act}");
        let page = firm.approver.post(&path, &[("reason", "x")]).await;
        assert_eq!(page.status, StatusCode::CONFLICT, "{act}");
    }
    let page = firm.buyer.post(&format!("{late}/withdraw"), &[]).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.text("h1").contains("too late"));
    firm.app.stop().await;
}

#[tokio::test]
async fn an_approval_that_was_cut_short_goes_on_and_stays_one_order() {
    let mut firm = Firm::open("100").await;
    let request = firm.ask().await;
    // The program stopped after the approval was written and before its order was sent.
    firm.sql(
        "UPDATE order_requests SET state = 'approved', decided_at = now(),
             decided_by = (SELECT id FROM users WHERE login = 'ann')",
    )
    .await;
    let late = [("reason", "too dear")];
    let late = firm.owner.post(&format!("{request}/decline"), &late).await;
    assert_eq!(late.status, StatusCode::CONFLICT, "it is approved");
    let page = firm.owner.get(&request).await;
    assert!(page.text("#decide").contains("Send it again"));
    let resume = "form[action$='/approve']";
    let led = firm.owner.submit(&page, resume, &[]).await;
    assert_eq!(led.location(), "/leases/l1?bought");
    let again = firm.owner.submit(&page, resume, &[]).await;
    assert_eq!(again.location(), "/orders/o2");
    assert_eq!(firm.orders().await, 1);
    firm.app.stop().await;
}

#[tokio::test]
async fn who_may_not_order_any_more_has_nothing_approved() {
    let mut firm = Firm::open("100").await;
    let request = firm.ask().await;
    let bob = firm.count("SELECT id FROM users WHERE participant = $1 AND login = 'bob'");
    let bob = bob.await;
    let approve = format!("{request}/approve");
    for leave in [format!("{bob}/roles"), format!("{bob}/removal")] {
        let fields = [("finance", "on")];
        let path = format!("/settings/members/{leave}");
        let page = firm.owner.post(&path, &fields).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER);
        let page = firm.approver.post(&approve, &[]).await;
        assert_eq!(page.status, StatusCode::CONFLICT, "{leave}");
        assert!(notice(&page).contains("may not order any more"));
    }
    assert_eq!(firm.orders().await, 0);
    let reason = [("reason", "bob has left")];
    let page = firm
        .approver
        .post(&format!("{request}/decline"), &reason)
        .await;
    assert_eq!(page.location(), format!("{request}?declined"));
    // Nor does anybody approve for a participant that is suspended.
    let request = {
        firm.buyer = people::member(&firm.app, firm.of, &[Role::Buyer], "ben").await;
        firm.ask().await
    };
    firm.sql("UPDATE participants SET suspended = 'x', suspended_at = now() WHERE id > 2")
        .await;
    let page = firm.approver.post(&format!("{request}/approve"), &[]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert_eq!(firm.orders().await, 0);
    firm.app.stop().await;
}

#[tokio::test]
async fn a_reason_survives_a_session_that_has_ended() {
    let mut firm = Firm::open("100").await;
    let request = firm.ask().await;
    let token = firm.approver.cookies["sluice"].clone();
    firm.sql("DELETE FROM sessions USING users u WHERE u.id = user_id AND u.login = 'ann'")
        .await;
    let url = format!("{}{request}", firm.app.url);
    firm.approver.sends.push(("referer", url));
    let reason = [("reason", "too dear by half")];
    let page = firm
        .approver
        .post(&format!("{request}/decline"), &reason)
        .await;
    let way = page.location().to_owned();
    assert!(way.starts_with("/sign-in?next=/orders/requests/r1%3Fkept"));
    let (_, kept) = way.split_once("kept%3D").expect("it is kept");
    // Ann signs in again.
    let ann = people::member(&firm.app, firm.of, &[Role::Approver], "anna").await;
    firm.approver
        .cookies
        .insert("sluice".to_owned(), ann.cookies["sluice"].clone());
    assert_ne!(firm.approver.cookies["sluice"], token);
    let page = firm.approver.get(&format!("{request}?kept={kept}")).await;
    let (_, fields) = page.form("form[action$='/decline']");
    let kept = ("reason".to_owned(), "too dear by half".to_owned());
    assert!(fields.contains(&kept), "{fields:?}");
    assert!(page.text("main").contains("Nothing was sent"));
    assert_eq!(firm.acts("order_declined").await, 0);
    firm.app.stop().await;
}
