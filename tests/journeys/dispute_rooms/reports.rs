//! Reporting a problem: what is refused, what is sent twice, and what is cut short.

use axum::http::StatusCode;
use futures_util::future::join_all;
use sluice::web::Role;
use sluice::web::server::Limits;

use super::{CLAIM, REPORT, World, assert_refused, in_second_hour, rules};
use crate::support::app::TestApp;
use crate::support::market::{BUYER, bid, hour};
use crate::support::people::member;

#[tokio::test]
async fn what_is_wrong_with_a_report_is_said_at_its_field() {
    let mut world = World::open().await;
    let page = world.ada.get("/leases/l1/problem").await;
    let long = "長".repeat(4_001);
    for (field, typed, says) in [
        ("reason", "unheard_of", "Pick what went wrong"),
        ("day", "2026-02-30", "Pick a day"),
        ("day", "2026-10-26", "not all the lease's"),
        ("hours", "3", "have not begun"),
        ("minutes", "61", "from 1 to 60"),
        ("minutes", "99999999999999999999", "from 1 to 60"),
        ("units", "9", "from 1 to 8"),
        ("text", "", "Say something"),
        ("text", "a\0b", "control characters"),
        ("text", &long, "at most 4000 characters; this has 4001"),
        // Of the 480 unit-minutes of that hour 160 are refunded.
        ("minutes", "41", "Only 320 unit-minutes"),
    ] {
        let mut fields = in_second_hour();
        fields.retain(|(name, _)| *name != field);
        fields.push((field, typed));
        let wrong = world.ada.submit(&page, REPORT, &fields).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        let at = match field {
            "hours" => "day",
            field => field,
        };
        let error = wrong.text(&format!("#{at}-error")).to_lowercase();
        assert!(
            error.contains(&says.to_lowercase()),
            "{field}={typed}: {error}"
        );
        // Nothing typed is lost.
        if field != "text" {
            assert_eq!(wrong.text("textarea"), CLAIM[2].1);
        }
    }
    for (amount, says) in [
        ("320.0001", "more than the most"),
        ("0", "must be positive"),
        ("1e9", "such as 100"),
        ("99999999999999999999", "too large"),
    ] {
        let fields = [
            &in_second_hour()[..],
            &[("by", "amount"), ("amount", amount)],
        ]
        .concat();
        let wrong = world.ada.submit(&page, REPORT, &fields).await;
        assert!(wrong.text("#amount-error").contains(says), "{amount}");
    }
    // An amount that the button did not name is not claimed.
    let mut fields = in_second_hour();
    fields.retain(|(name, _)| *name != "claim");
    let unconfirmed = world.ada.submit(&page, REPORT, &fields).await;
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    assert_refused(&unconfirmed, status, "worked out anew");
    assert_eq!(unconfirmed.text("#claim button"), "Send · claim ¥26.6666");
    assert_eq!(world.count("SELECT count(*) FROM disputes").await, 0);
    let huge = "x".repeat(70_000);
    let huge = world
        .ada
        .post("/leases/l1/problem", &[("text", &huge)])
        .await;
    assert_eq!(huge.status, StatusCode::PAYLOAD_TOO_LARGE);
    world.app.stop().await;
}

#[tokio::test]
async fn a_report_sent_twice_is_one_dispute() {
    let mut world = World::open().await;
    let page = world.ada.get("/leases/l1/problem").await;
    let typed = in_second_hour();
    let (mut left, mut right) = (world.ada.clone(), world.ada.clone());
    let (left, right) = tokio::join!(
        left.submit(&page, REPORT, &typed),
        right.submit(&page, REPORT, &typed)
    );
    for sent in [left, right, world.ada.submit(&page, REPORT, &typed).await] {
        assert_eq!(sent.location(), "/disputes/d1?opened", "{}", sent.body);
    }
    assert_eq!(world.count("SELECT count(*) FROM disputes").await, 1);
    assert_eq!(world.count("SELECT count(*) FROM dispute_claims").await, 1);
    // Another tab has another form: the page says that there is one.
    let again = world.ada.get("/leases/l1/problem").await;
    assert!(!again.has(REPORT) && again.has("a[href='/disputes/d1']"));
    let typed = [&typed[..], &[("form_id", "web-another-tab-0000")]].concat();
    let other = world.ada.submit(&page, REPORT, &typed).await;
    assert_eq!(other.status, StatusCode::CONFLICT);
    assert!(other.body.contains("Dispute d1 about this lease is open"));
    assert!(other.text(".said-text").contains("all-reduce stood still"));
    assert_eq!(world.count("SELECT count(*) FROM dispute_claims").await, 1);
    world.app.stop().await;
}

#[tokio::test]
async fn two_reports_at_once_keep_their_own_words() {
    let mut world = World::open().await;
    let page = world.ada.get("/leases/l1/problem").await;
    let mut tasks = Vec::new();
    for tab in 0..6 {
        let (mut ada, page_form) = (world.ada.clone(), page.form(REPORT));
        let (form_id, text) = (format!("web-tab-number-{tab}-00000"), format!("tab {tab}"));
        tasks.push(async move {
            let (action, fields) = page_form;
            let mut sent: Vec<(String, String)> = fields
                .into_iter()
                .filter(|(name, _)| !["form_id", "claim", "by", "amount"].contains(&name.as_str()))
                .collect();
            for (name, value) in [
                ("form_id", form_id.as_str()),
                ("reason", "slow"),
                ("text", text.as_str()),
                ("by", "amount"),
                ("amount", "5"),
                ("claim", "5.0000"),
            ] {
                sent.retain(|(known, _)| known != name);
                sent.push((name.to_owned(), value.to_owned()));
            }
            let sent: Vec<(&str, &str)> = sent
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            (text.clone(), ada.post(&action, &sent).await)
        });
    }
    let mut opened = Vec::new();
    for (text, page) in join_all(tasks).await {
        match page.status {
            StatusCode::SEE_OTHER => opened.push(text),
            StatusCode::CONFLICT => {}
            status => panic!("{status}: {}", page.body),
        }
    }
    assert_eq!(opened.len(), 1, "{opened:?}");
    assert_eq!(world.count("SELECT count(*) FROM disputes").await, 1);
    let room = world.ada.get("/disputes/d1").await;
    assert_eq!(room.texts(".said .said-text"), opened);
    world.app.stop().await;
}

#[tokio::test]
async fn nothing_is_claimed_before_a_lease_begins_or_after_its_window() {
    let app = TestApp::with(rules(), Limits::default()).await;
    app.submit(bid("leased", 8, 100_000, (1, 5))).await;
    let mut ada = member(&app, BUYER.0, &[Role::Owner], "ada").await;
    let early = ada.get("/leases/l1/problem").await;
    assert!(!early.has(REPORT));
    assert!(early.text(".notice").contains("begins at Sun 25 Oct 09:00"));
    app.clock().set(hour(2));
    let page = ada.get("/leases/l1/problem").await;
    assert!(page.has(REPORT));
    app.clock().set(hour(5 + 72));
    for (page, status) in [
        (ada.get("/leases/l1/problem").await, StatusCode::OK),
        (
            ada.submit(&page, REPORT, &in_second_hour()).await,
            StatusCode::CONFLICT,
        ),
    ] {
        assert_eq!(page.status, status, "{}", page.body);
        let notice = page.text(".notice");
        assert!(
            notice.contains("closed at Wed 28 Oct 13:00 (UTC+8)"),
            "{notice}"
        );
        assert!(!page.has(REPORT));
    }
    app.stop().await;
}

#[tokio::test]
async fn a_claim_cut_short_is_found_again_or_replaced() {
    let mut world = World::open().await;
    let page = world.ada.get("/leases/l1/problem").await;
    let (_, fields) = page.form(REPORT);
    let form_id = fields.iter().find(|(name, _)| name == "form_id");
    let form_id = form_id.expect("it has one").1.clone();
    // Written down, and the program stopped before it sent the command.
    let write = "INSERT INTO dispute_claims (form_id, lease, claimant, user_id, reason, start_at,
            end_at, amount, text, sent_at, after)
        SELECT $1, 1, 2, 1, 'slow', '2026-10-25T02:00Z', '2026-10-25T03:00Z', $2, $3, now(),
            command FROM engine";
    let written = sqlx::query(write)
        .bind("web-lost-before-it-was-sent")
        .bind(90_000_i64)
        .bind("never sent")
        .execute(&world.app.database.pool)
        .await;
    written.expect("it is written");
    let opened = world.ada.submit(&page, REPORT, &in_second_hour()).await;
    assert_eq!(opened.location(), "/disputes/d1?opened", "{}", opened.body);
    let room = world.ada.get("/disputes/d1").await;
    assert_eq!(room.texts(".said .said-text"), [CLAIM[2].1]);

    // Sent, and the program stopped before it noted the dispute.
    world.run("UPDATE dispute_claims SET dispute = NULL").await;
    let room = world.ada.get("/disputes/d1").await;
    assert_eq!(room.texts(".said .said-text"), [CLAIM[2].1]);
    let fields = [&in_second_hour()[..], &[("form_id", form_id.as_str())]].concat();
    let again = world.ada.submit(&page, REPORT, &fields).await;
    assert_eq!(again.location(), "/disputes/d1?opened", "{}", again.body);
    assert_eq!(
        world
            .count("SELECT count(*) FROM dispute_claims WHERE dispute = 1")
            .await,
        1
    );
    assert_eq!(world.count("SELECT count(*) FROM disputes").await, 1);
    world.app.stop().await;
}
