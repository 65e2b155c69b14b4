//! Hours of a lease handed back by its holder: where that is offered, what it says first, what it
//! moves, and what the lease is then shown to have.

use axum::http::StatusCode;
use market::{Account, AccountKind, Fees, HandBack, Money, ParticipantId, Rules};
use sluice::web::Role;
use sluice::web::server::Limits;

use crate::support::app::TestApp;
use crate::support::market::{BUYER, PROVIDER, bid, hour};
use crate::support::people;
use crate::support::visitor::Visitor;

const PAGE: &str = "/leases/l1/hand-back";
const CONFIRM: &str = "form[method=post][action$='/hand-back']";

/// With two hours' notice, 60 % of the price returns; 1 % of what is paid is the buyer's fee.
fn rules() -> Rules {
    Rules {
        hand_back: HandBack {
            allowed: true,
            notice_hours: 2,
            holder_bps: 6_000,
        },
        buyer_fee: Fees {
            flat: Money(0),
            maker_bps: 100,
            taker_bps: 100,
        },
        ..Rules::none()
    }
}

/// The holder of a lease of two units from two to six hours after the opening, at 10.00.
async fn holder(app: &TestApp) -> Visitor {
    app.submit(bid("held", 2, 100_000, (2, 6))).await;
    people::member(app, BUYER.0, &[Role::Owner], "bea").await
}

fn balance(app: &TestApp, of: ParticipantId, kind: AccountKind) -> Money {
    let market = app.app.feed.market();
    market.ledger().balance(Account::of(of, kind))
}

#[tokio::test]
async fn what_returns_is_said_first_and_then_moved_once() {
    let app = TestApp::with(rules(), Limits::default()).await;
    let mut bea = holder(&app).await;
    let lease = bea.get("/leases/l1").await;
    assert!(
        lease.has(&format!(".doings a[href='{PAGE}']")),
        "{}",
        lease.body
    );
    // Half of it: 12:00 to 14:00 in China.
    let asked = bea
        .get(&format!("{PAGE}?day=2026-10-25&hour=12&hours=2"))
        .await;
    assert_eq!(asked.status, StatusCode::OK);
    assert_eq!(
        asked.texts("aside .lines dd"),
        ["40.0000", "24.0000", "0.4000", "\u{a5}24.4000", "16.0000"]
    );
    assert_eq!(
        asked.text("aside .button.primary"),
        "Hand back \u{b7} \u{a5}24.4000 returns"
    );
    let cash = balance(&app, BUYER, AccountKind::Cash);
    let provider = balance(&app, PROVIDER, AccountKind::Cash);
    let mut twin = bea.clone();
    let (first, second) = tokio::join!(
        bea.submit(&asked, CONFIRM, &[]),
        twin.submit(&asked, CONFIRM, &[])
    );
    let done = "/leases/l1?handed-back";
    assert_eq!((first.location(), second.location()), (done, done));
    assert_eq!(bea.submit(&asked, CONFIRM, &[]).await.location(), done);
    assert_eq!(
        balance(&app, BUYER, AccountKind::Cash),
        cash + Money(244_000)
    );
    assert_eq!(
        balance(&app, PROVIDER, AccountKind::Cash),
        provider + Money(160_000)
    );
    assert_eq!(balance(&app, BUYER, AccountKind::Escrow), Money(404_000));
    // What it has now is what is shown of it, to both.
    let lease = bea.get(done).await;
    assert!(lease.text(".notice.good").contains("Handed back"));
    assert!(
        lease
            .text("#held")
            .contains("10:00 \u{2013} 12:00, 2 units")
    );
    assert!(lease.body.contains("resold or handed back"));
    let list = bea.get("/leases").await;
    assert!(list.text("li.lease .number b").contains("40.00"));
    let mut pat = people::member(&app, PROVIDER.0, &[Role::Owner], "pat").await;
    let sold = pat.get("/provide/leases/l1").await;
    assert!(sold.text("#held").contains("10:00 \u{2013} 12:00, 2 units"));
    let note = bea.get("/trades/t1").await;
    assert!(note.text("table.note").contains("Held now"));
    app.stop().await;
}

#[tokio::test]
async fn what_cannot_be_handed_back_is_said() {
    let app = TestApp::with(rules(), Limits::default()).await;
    let mut bea = holder(&app).await;
    let asked = bea.get(PAGE).await;
    for (typed, field, said) in [
        (
            [("hours", "9"), ("back", "1")],
            "hours",
            "not the lease\u{2019}s",
        ),
        (
            [("hours", "x"), ("back", "1")],
            "hours",
            "whole number of hours",
        ),
        ([("day", "2026-10-24"), ("back", "1")], "day", "has started"),
    ] {
        let refused = bea.submit(&asked, CONFIRM, &typed).await;
        assert_eq!(
            refused.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{typed:?}"
        );
        let error = refused.text(&format!("[id='{field}-error']"));
        assert!(error.contains(said), "{typed:?}: {error}");
    }
    let other = bea.submit(&asked, CONFIRM, &[("back", "1")]).await;
    assert!(other.text("[role=alert]").contains("worked out anew"));
    // With less notice than the rules ask for there is nothing to choose.
    app.clock().set(hour(5));
    let late = bea.get(PAGE).await;
    assert!(late.text(".notice").contains("No hours can be handed back"));
    assert!(
        !bea.get("/leases/l1")
            .await
            .has(&format!("a[href='{PAGE}']"))
    );
    app.stop().await;
}

#[tokio::test]
async fn where_the_rules_allow_none_it_is_not_offered_and_refused() {
    let app = TestApp::start().await;
    let mut bea = holder(&app).await;
    assert!(
        !bea.get("/leases/l1")
            .await
            .has(&format!("a[href='{PAGE}']"))
    );
    assert!(
        bea.get(PAGE)
            .await
            .text(".notice")
            .contains("allow no hand-back")
    );
    let typed = [
        ("day", "2026-10-25"),
        ("hour", "12"),
        ("hours", "2"),
        ("back", "20.0000"),
    ];
    let refused = bea.post(PAGE, &typed).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text("[role=alert]").contains("rules do not allow"));
    app.stop().await;
}
