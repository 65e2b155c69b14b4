//! Two arbiters: who may do what, when, how often, and what is cut short.

use axum::http::StatusCode;
use futures_util::future::join_all;
use market::{Command, DisputeId, Money};
use sluice::web::Role;
use sluice::web::server::Limits;

use super::{APPROVAL, AWARD, DECIDE, PROPOSE, REPORT, SAY, World, assert_refused, rules};
use crate::support::app::TestApp;
use crate::support::market::{BUYER, PROVIDER, bid, hour};
use crate::support::people::{PLATFORM, member};

#[tokio::test]
async fn a_ruling_waits_for_the_answer_or_the_end_of_its_time() {
    let mut world = World::open().await;
    world.claim().await;
    let page = world.lin.get("/disputes/d1").await;
    assert!(!page.has(PROPOSE), "{}", page.body);
    let fields = [&AWARD[..], &[("by", "minutes"), ("units", "8")]].concat();
    let early = world.lin.post("/disputes/d1/proposals", &fields).await;
    assert_refused(
        &early,
        StatusCode::CONFLICT,
        "until Mon 26 Oct 11:00 (UTC+8)",
    );
    assert!(early.text(".unsent").contains(AWARD[1].1));
    assert_eq!(
        world.count("SELECT count(*) FROM dispute_proposals").await,
        0
    );
    world.app.clock().set(hour(3 + 24));
    let page = world.lin.get("/disputes/d1").await;
    assert!(page.text("h1").ends_with("not answered in time"));
    let proposed = world.lin.submit(&page, PROPOSE, &AWARD).await;
    assert_eq!(proposed.location(), "/disputes/d1#ruling");
    world.app.stop().await;
}

#[tokio::test]
async fn a_proposal_is_confirmed_within_bounds_and_stands_alone() {
    let mut world = World::answered().await;
    let page = world.lin.get("/disputes/d1").await;
    for (field, typed, says) in [
        ("minutes", "61", "from 0 to 60"),
        ("minutes", "21", "more than the most there can be, ¥26.6666"),
        ("units", "0", "from 1 to 8"),
        ("reason", " ", "Say something"),
    ] {
        let mut fields = AWARD.to_vec();
        fields.retain(|(name, _)| *name != field);
        fields.push((field, typed));
        let wrong = world.lin.submit(&page, PROPOSE, &fields).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        assert!(
            wrong.text(&format!("#{field}-error")).contains(says),
            "{field}"
        );
    }
    let mut fields = AWARD.to_vec();
    fields[2] = ("award", "13.33");
    let unconfirmed = world.lin.submit(&page, PROPOSE, &fields).await;
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    assert_refused(&unconfirmed, status, "worked out anew");
    assert_eq!(
        unconfirmed.text("#effect > button"),
        "Propose an award of ¥13.3333"
    );
    assert!(
        unconfirmed
            .text("#effect")
            .contains("Total (must be zero) 0.0000")
    );
    assert_eq!(
        world.count("SELECT count(*) FROM dispute_proposals").await,
        0
    );

    // Twice the same is one; another's does not stand beside it.
    for _ in 0..2 {
        let sent = world.lin.submit(&page, PROPOSE, &AWARD).await;
        assert_eq!(sent.location(), "/disputes/d1#ruling", "{}", sent.body);
    }
    let other = world.zhou.submit(&page, PROPOSE, &AWARD).await;
    assert_refused(&other, StatusCode::CONFLICT, "lin proposed a ruling");
    assert!(other.text(".unsent").contains(AWARD[1].1));
    assert_eq!(
        world.count("SELECT count(*) FROM dispute_proposals").await,
        1
    );
    assert_eq!(
        world
            .count("SELECT count(*) FROM acts WHERE act = 'propose_ruling'")
            .await,
        1
    );
    world.app.stop().await;
}

#[tokio::test]
async fn a_proposal_is_returned_or_withdrawn_and_its_old_form_approves_nothing() {
    let mut world = World::proposed().await;
    let old = world.zhou.get("/disputes/d1").await;
    let silent = [("decision", "return"), ("opinion", "")];
    let silent = world.zhou.submit(&old, DECIDE, &silent).await;
    assert_eq!(silent.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(silent.text("#opinion-error").contains("Say something"));
    let back = [("decision", "return"), ("opinion", "Look at the log.")];
    let returned = world.zhou.submit(&old, DECIDE, &back).await;
    assert_eq!(returned.location(), "/disputes/d1#ruling");
    let again = world.zhou.submit(&old, DECIDE, &back).await;
    assert_eq!(again.location(), "/disputes/d1#ruling");
    let page = world.lin.get("/disputes/d1").await;
    assert!(page.body.contains("returned by zhou"));
    let twelve = [("minutes", "12"), AWARD[1], ("award", "16.0000")];
    let sent = world.lin.submit(&page, PROPOSE, &twelve).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
    // What Zhou saw first is not what stands now.
    let approve = [("decision", "approve"), ("opinion", "I agree")];
    let stale = world.zhou.submit(&old, DECIDE, &approve).await;
    assert_refused(&stale, StatusCode::CONFLICT, "returned by zhou");
    assert_eq!(stale.text("#opinion"), "I agree");
    // Who proposed withdraws; nobody else can.
    let withdraw = [("proposal", "2"), ("decision", "withdraw")];
    let others = world.zhou.post("/disputes/d1/decision", &withdraw).await;
    assert_refused(&others, StatusCode::CONFLICT, "not there any more");
    let own = world.lin.post("/disputes/d1/decision", &withdraw).await;
    assert_eq!(own.location(), "/disputes/d1#ruling");
    let gone = [
        ("proposal", "2"),
        ("decision", "approve"),
        ("opinion", "yes"),
    ];
    let gone = world.zhou.post("/disputes/d1/decision", &gone).await;
    assert_refused(&gone, StatusCode::CONFLICT, "not there any more");
    for (proposal, decision) in [("x", "approve"), ("2", "shred"), ("", "")] {
        let fields = [("proposal", proposal), ("decision", decision)];
        let odd = world.zhou.post("/disputes/d1/decision", &fields).await;
        assert_eq!(odd.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(world.rulings().await, 0);
    world.app.stop().await;
}

#[tokio::test]
async fn nobody_approves_what_they_proposed() {
    let mut world = World::proposed().await;
    for decision in ["approve", "resume", "return"] {
        let fields = [
            ("proposal", "1"),
            ("decision", decision),
            ("opinion", "fine"),
        ];
        let own = world.lin.post("/disputes/d1/decision", &fields).await;
        assert_refused(&own, StatusCode::FORBIDDEN, "another arbiter has to review");
    }
    // The table would not take it either, nor a decision by somebody of a party.
    for (sql, why) in [
        (
            "UPDATE dispute_proposals SET state = 'approving', decider = proposer,
                 decided_at = now(), opinion = 'fine'",
            "check",
        ),
        (
            "UPDATE dispute_proposals SET state = 'approving', decided_at = now(),
                 opinion = 'fine', decider = (SELECT id FROM users WHERE login = 'ada')",
            "foreign key",
        ),
    ] {
        let refused = sqlx::query(sql).execute(&world.app.database.pool).await;
        let refused = refused.expect_err("it is refused").to_string();
        assert!(refused.contains(why), "{refused}");
    }
    assert_eq!(world.rulings().await, 0);
    world.app.stop().await;
}

#[tokio::test]
async fn parallel_approvals_are_one_ruling() {
    let mut world = World::proposed().await;
    let mut chen = member(&world.app, PLATFORM, &[Role::Arbiter], "chen").await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        for arbiter in [&world.zhou, &chen] {
            let mut arbiter = arbiter.clone();
            let approve = async move { arbiter.post("/disputes/d1/decision", &APPROVAL).await };
            tasks.push(approve);
        }
    }
    let mut refused = 0;
    for page in join_all(tasks).await {
        match page.status {
            // Whose approval it is sees it done, however often they press.
            StatusCode::SEE_OTHER => {}
            StatusCode::CONFLICT => refused += 1,
            status => panic!("{status}: {}", page.body),
        }
    }
    assert_eq!(refused, 4);
    assert_eq!(world.rulings().await, 1);
    let acts = "SELECT count(*) FROM acts WHERE act = 'approve_ruling'";
    assert_eq!(world.count(acts).await, 2);
    let winner = "SELECT count(*) FROM dispute_proposals p JOIN users u ON u.id = p.decider
        WHERE u.login = 'zhou'";
    let (winner, mut loser) = match world.count(winner).await {
        1 => ("zhou", chen),
        _ => ("chen", std::mem::replace(&mut world.zhou, chen.clone())),
    };
    let late = loser.post("/disputes/d1/decision", &APPROVAL).await;
    assert_refused(&late, StatusCode::CONFLICT, &format!("ruled by {winner}"));
    let page = loser.post("/disputes/d1/proposals", &AWARD).await;
    assert_refused(&page, StatusCode::CONFLICT, "ruled by");
    chen = loser;
    let late = chen
        .post(
            "/disputes/d1/messages",
            &[("text", "but"), ("form_id", "x")],
        )
        .await;
    assert_refused(&late, StatusCode::CONFLICT, "ruled by");
    let late = [("text", "wait"), ("form_id", "x")];
    let late = world.ada.post("/disputes/d1/messages", &late).await;
    assert_refused(&late, StatusCode::CONFLICT, "ruled by arbiter");
    assert!(late.text(".unsent").contains("wait"));
    world.app.stop().await;
}

#[tokio::test]
async fn an_approval_cut_short_before_its_ruling_is_gone_on_with() {
    let mut world = World::proposed().await;
    world
        .run(
            "UPDATE dispute_proposals SET state = 'approving', decided_at = now(),
                 opinion = 'I agree', decider = (SELECT id FROM users WHERE login = 'zhou')",
        )
        .await;
    let mut chen = member(&world.app, PLATFORM, &[Role::Arbiter], "chen").await;
    let page = world.lin.get("/disputes/d1").await;
    assert!(page.text("h1").ends_with("approved, being booked"));
    assert!(!page.has(DECIDE), "{}", page.body);
    // Somebody who comes to approve is told who has; going on is another button.
    let late = chen.post("/disputes/d1/decision", &APPROVAL).await;
    assert_refused(&late, StatusCode::CONFLICT, "approved by zhou");
    let page = chen.get("/disputes/d1").await;
    let sent = [("decision", "resume")];
    let resumed = chen.submit(&page, DECIDE, &sent).await;
    assert_eq!(resumed.location(), "/disputes/d1?ruled", "{}", resumed.body);
    let again = chen.submit(&page, DECIDE, &sent).await;
    assert_refused(&again, StatusCode::CONFLICT, "approved by zhou");
    assert_eq!(world.rulings().await, 1);
    let done = "SELECT count(*) FROM dispute_proposals WHERE state = 'approved'";
    assert_eq!(world.count(done).await, 1);
    world.app.stop().await;
}

#[tokio::test]
async fn an_approval_cut_short_after_its_ruling_shows_as_ruled() {
    let mut world = World::proposed().await;
    world
        .run(
            "UPDATE dispute_proposals SET state = 'approving', decided_at = now(),
                 opinion = 'I agree', decider = (SELECT id FROM users WHERE login = 'zhou')",
        )
        .await;
    let ruling = Command::RuleDispute {
        dispute: DisputeId(1),
        award: Money(133_333),
    };
    world.app.submit(ruling).await;
    for reader in [&mut world.ada, &mut world.zhou, &mut world.lin] {
        let room = reader.get("/disputes/d1").await;
        assert!(room.text("h1").ends_with("ruled"), "{}", room.text("h1"));
        assert!(!room.has(DECIDE));
        assert!(!room.text("#ruling").contains("being booked"));
    }
    // Pressing again finds it done and notes so, without a second ruling.
    let resume = [("proposal", "1"), ("decision", "resume")];
    let resumed = world.zhou.post("/disputes/d1/decision", &resume).await;
    assert_eq!(resumed.location(), "/disputes/d1?ruled", "{}", resumed.body);
    let ruled = "SELECT count(*) FROM commands
        WHERE body ->> 'do' = 'rule_dispute' AND rejected IS NULL";
    assert_eq!(world.count(ruled).await, 1);
    let done = "SELECT count(*) FROM dispute_proposals WHERE state = 'approved'";
    assert_eq!(world.count(done).await, 1);
    world.app.stop().await;
}

#[tokio::test]
async fn what_nothing_was_frozen_for_is_unfunded() {
    let app = TestApp::with(rules(), Limits::default()).await;
    app.submit(Command::Deposit {
        participant: BUYER,
        amount: Money(5_000_000_000),
    })
    .await;
    // 448,000.00, of a provider who has 100,000.00 in all; 640.00 of an hour are not settled.
    app.submit(bid("all", 64, 100_000, (1, 701))).await;
    app.clock().set(hour(2));
    let mut ada = member(&app, BUYER.0, &[Role::Buyer], "ada").await;
    let page = ada.get("/leases/l1/problem").await;
    let typed = [
        ("reason", "data_lost"),
        ("by", "amount"),
        ("amount", "448000"),
        ("claim", "448000.0000"),
        ("text", "all of it is lost"),
    ];
    let opened = ada.submit(&page, REPORT, &typed).await;
    assert_eq!(opened.location(), "/disputes/d1?opened", "{}", opened.body);
    let mut operator = member(&app, PROVIDER.0, &[Role::Operator], "operator").await;
    let room = operator.get("/disputes/d1").await;
    let answer = [("text", "The disks failed.")];
    operator.submit(&room, SAY, &answer).await;
    let mut lin = member(&app, PLATFORM, &[Role::Arbiter], "lin").await;
    let mut zhou = member(&app, PLATFORM, &[Role::Arbiter], "zhou").await;
    let room = lin.get("/disputes/d1").await;
    let typed = [
        ("by", "amount"),
        ("amount", "448000"),
        ("reason", "all of it"),
    ];
    let shown = lin.submit(&room, PROPOSE, &typed).await;
    let effect = shown.text("#effect");
    assert!(
        effect.contains("Unfunded (nothing frozen for it) 347,360.0000"),
        "{effect}"
    );
    let proposed = lin.submit(&shown, PROPOSE, &[]).await;
    assert_eq!(
        proposed.location(),
        "/disputes/d1#ruling",
        "{}",
        proposed.body
    );
    let ruled = zhou.post("/disputes/d1/decision", &APPROVAL).await;
    assert_eq!(ruled.location(), "/disputes/d1?ruled", "{}", ruled.body);
    let room = ada.get("/disputes/d1").await;
    let outcome = room.texts("[sse-swap=ruling] .panel:first-child .lines div");
    assert_eq!(
        outcome,
        [
            "Awarded to the buyer 448,000.0000",
            "Paid from what was frozen 100,640.0000",
            "Unfunded (nothing frozen for it) 347,360.0000",
            "Released 0.0000"
        ]
    );
    let list = ada.get("/disputes").await;
    assert!(
        list.text(".dispute-row").contains("448,000.00 awarded"),
        "{}",
        list.body
    );
    app.stop().await;
}
