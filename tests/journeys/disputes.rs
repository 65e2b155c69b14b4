//! What a dispute froze and how it was decided is kept, read back, and proven.

use market::{Command, DisputeId, LeaseId, Market, Money, Rejection, Rules};
use sluice::audit;
use sluice::sequencer::{Actor, Started};
use sluice::web::Role;

use crate::support::app::TestApp;
use crate::support::market::{BUYER, PROVIDER, bid, deliver, hour, opening, start, stop, submit};
use crate::support::people;
use crate::support::postgres::{TestDatabase, fresh_database};

const ACTOR: Actor = Actor::System("journey");

/// A tenth pledged, payable after three days, no fee and no credit.
fn rules() -> Rules {
    let text = r#"{"version": 7,
        "seller_fee": {"flat": 0, "maker_bps": 0, "taker_bps": 0},
        "bond_bps": 1000, "claim_window_hours": 72, "reading_deadline_hours": 24,
        "service_levels": {}}"#;
    let rules: Rules = serde_json::from_str(text).expect("the rules can be read");
    rules.checked().expect("the rules can hold")
}

fn claim(lease: i64, amount: i64) -> Command {
    Command::OpenDispute {
        participant: BUYER,
        lease: LeaseId(lease),
        amount: Money(amount),
    }
}

fn ruling(dispute: i64, award: i64) -> Command {
    Command::RuleDispute {
        dispute: DisputeId(dispute),
        award: Money(award),
    }
}

/// What the table says of a dispute.
#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
struct Row {
    lease: i64,
    claimant: i64,
    provider: i64,
    claimed: i64,
    frozen: i64,
    awarded: Option<i64>,
    unfunded: Option<i64>,
}

async fn row(database: &TestDatabase, dispute: i64) -> Row {
    let sql = "SELECT lease, claimant, provider, claimed, frozen, awarded, unfunded
                 FROM disputes WHERE id = $1";
    let row = sqlx::query_as(sql)
        .bind(dispute)
        .fetch_one(&database.pool)
        .await;
    row.expect("the dispute has a row")
}

/// Stops the sequencer, audits, and starts it again: the market is the same.
async fn again(database: &TestDatabase, started: Started, after: i64) -> Started {
    let before: Market = started.feed.market().clone();
    stop(started);
    let report = audit::run(&database.url).await.expect("the audit runs");
    assert!(report.ok, "{report:#?}");
    let (started, clock) = start(&database.url, rules()).await;
    clock.set(hour(after));
    assert_eq!(*started.feed.market(), before);
    started
}

/// A lease of four hours at 10.00 with one hour settled and one to be, of a provider who has 2.00
/// beside the bond; all 40.00 are claimed.
async fn claimed(database: &TestDatabase) -> Started {
    let (started, clock) = start(&database.url, rules()).await;
    let mut opening = opening();
    opening[1] = Command::Deposit {
        participant: PROVIDER,
        amount: Money(60_000),
    };
    opening.push(bid("one", 1, 100_000, (1, 5)));
    for command in opening {
        submit(&started, command).await;
    }
    clock.set(hour(3));
    submit(&started, deliver(1, 1, 60)).await;
    submit(&started, claim(1, 400_000)).await;
    started
}

#[tokio::test]
async fn a_dispute_is_read_back_as_it_stood() {
    let database = fresh_database().await;
    let started = claimed(&database).await;
    let mut expected = Row {
        lease: 1,
        claimant: BUYER.0,
        provider: PROVIDER.0,
        claimed: 400_000,
        // 10 of escrow, 4 of bond, 10 of payable, 2 of cash.
        frozen: 260_000,
        awarded: None,
        unfunded: None,
    };
    assert_eq!(row(&database, 1).await, expected);
    let started = again(&database, started, 3).await;

    // Half of the frozen hour is refunded; the other half stays frozen.
    submit(&started, deliver(1, 2, 30)).await;
    expected.frozen = 210_000;
    assert_eq!(row(&database, 1).await, expected);
    let started = again(&database, started, 3).await;

    let twice = submit(&started, claim(1, 1)).await;
    assert_eq!(twice.rejection(), Some(Rejection::AlreadyDisputed));
    let (awarded, shown) = {
        let market = started.feed.market();
        let preview = market.ruling_preview(DisputeId(1), Money(250_000));
        (preview[1].amount, preview)
    };
    assert_eq!(awarded, Money(210_000));
    let ruled = submit(&started, ruling(1, 250_000)).await;
    let posted = ruled.events.iter().find_map(|event| match &event.kind {
        market::EventKind::Posted(entry) => Some(entry.postings.clone()),
        _ => None,
    });
    assert_eq!(posted, Some(shown));
    (expected.awarded, expected.unfunded) = (Some(250_000), Some(40_000));
    assert_eq!(row(&database, 1).await, expected);
    let started = again(&database, started, 3).await;

    // A second one keeps less than it froze; then its hour, with what was awarded of it, settles.
    submit(&started, deliver(1, 3, 60)).await;
    stop(started);
    let (started, clock) = start(&database.url, rules()).await;
    clock.set(hour(5));
    submit(&started, claim(1, 150_000)).await;
    submit(&started, ruling(2, 70_000)).await;
    let started = again(&database, started, 5).await;
    submit(&started, deliver(1, 4, 60)).await;
    let started = again(&database, started, 200).await;
    submit(&started, Command::Tick).await;
    let started = again(&database, started, 200).await;
    for (account, amount) in started.feed.market().ledger().balances() {
        let spent = ["cash", "fees", "bank"].contains(&account.kind.code());
        assert!(spent || amount == Money::ZERO, "{account:?} {amount}");
    }
    stop(started);
}

#[tokio::test]
async fn readers_are_told_of_disputes() {
    let database = fresh_database().await;
    let started = claimed(&database).await;
    let mut batches = started.feed.subscribe();
    submit(&started, deliver(1, 2, 30)).await;
    submit(&started, ruling(1, 0)).await;
    submit(&started, claim(1, 400_000)).await;
    submit(&started, ruling(2, 400_000)).await;
    // Nothing is left to freeze: no money moves, and both are told of it all the same.
    submit(&started, claim(1, 1)).await;
    for dispute in [1, 1, 2, 2, 3] {
        let told = batches.recv().await.expect("the feed goes on");
        assert!(told.disputes.contains(&DisputeId(dispute)), "{told:?}");
        assert!(told.leases.contains(&LeaseId(1)), "{told:?}");
        assert!(told.participants.is_superset(&[BUYER, PROVIDER].into()));
    }
    let frozen = row(&database, 3).await.frozen;
    assert_eq!(frozen, 0);
    stop(started);
}

#[tokio::test]
async fn a_ruling_and_the_next_claim_share_a_batch() {
    let database = fresh_database().await;
    let started = claimed(&database).await;
    let mut answers = Vec::new();
    // So many that some of them wait for a batch together.
    let turns = (1..=20).flat_map(|dispute| [ruling(dispute, 10), claim(1, 20_000)]);
    for command in turns {
        let sent = started.sequencer.enqueue(hour(3), ACTOR, command);
        answers.push(sent.await.expect("the sequencer takes it"));
    }
    for answer in answers {
        let receipt = answer.await.expect("the command is committed");
        assert_eq!(receipt.rejection(), None);
    }
    let started = again(&database, started, 3).await;
    stop(started);
}

#[tokio::test]
async fn a_providers_wallet_says_what_is_frozen() {
    let app = TestApp::start().await;
    let mut olga = people::member(&app, PROVIDER.0, &[Role::Finance], "olga").await;
    assert!(
        !olga
            .get("/wallet")
            .await
            .body
            .contains("until a dispute is ruled")
    );
    app.submit(bid("one", 1, 100_000, (1, 5))).await;
    app.submit(claim(1, 400_000)).await;
    let wallet = olga.get("/wallet").await;
    let said = wallet.texts(".figures > div:last-child dd");
    assert_eq!(said, ["¥40.00", "until a dispute is ruled"]);
    // An entry about a dispute leads to it, and to no lease: there may be another of that number.
    assert!(wallet.has("main a[href='/disputes/d1']"));
    assert!(!wallet.has("main a[href='/leases/l1']"));
    app.submit(ruling(1, 0)).await;
    assert!(
        !olga
            .get("/wallet")
            .await
            .body
            .contains("until a dispute is ruled")
    );
    app.stop().await;
}

/// A database with a ruled and an open dispute, whose engine has stopped.
async fn disputed() -> TestDatabase {
    let database = fresh_database().await;
    let started = claimed(&database).await;
    submit(&started, ruling(1, 150_000)).await;
    submit(&started, claim(1, 100_000)).await;
    stop(started);
    let report = audit::run(&database.url).await.expect("the audit runs");
    assert!(report.ok, "{report:#?}");
    database
}

#[tokio::test]
async fn what_was_claimed_and_decided_stays() {
    let database = disputed().await;
    for (sql, why) in [
        (
            "UPDATE disputes SET claimed = claimed + 1 WHERE id = 2",
            "is kept",
        ),
        (
            "UPDATE disputes SET awarded = awarded - 1 WHERE id = 1",
            "is kept",
        ),
        ("DELETE FROM disputes WHERE id = 2", "is kept"),
        ("TRUNCATE disputes CASCADE", "append-only"),
        (
            "INSERT INTO disputes SELECT 3, lease, claimant, provider, claimed, frozen, parts,
                    opened_at, command FROM disputes WHERE id = 2",
            "disputes_open",
        ),
    ] {
        let refused = sqlx::query(sql).execute(&database.pool).await;
        let refused = refused.expect_err(sql).to_string();
        assert!(refused.contains(why), "{sql}: {refused}");
    }
}

#[tokio::test]
async fn the_audit_sees_a_dispute_that_was_changed() {
    let replayed = "the command log gives";
    let kept = "keeps only what is frozen or was awarded";
    for (sql, check) in [
        (
            "UPDATE disputes SET frozen = frozen - 1 WHERE id = 2",
            "what open ones have frozen",
        ),
        ("UPDATE disputes SET frozen = frozen - 1 WHERE id = 2", kept),
        (
            "UPDATE disputes SET frozen = frozen + 1 WHERE id = 1",
            replayed,
        ),
        ("UPDATE disputes SET claimed = 400001 WHERE id = 2", kept),
        ("UPDATE disputes SET claimant = 3 WHERE id = 2", kept),
        (
            "UPDATE disputes SET awarded = awarded - 1 WHERE id = 1",
            kept,
        ),
        (
            "UPDATE disputes SET parts = jsonb_set(parts, '{cash}', '1') WHERE id = 1",
            kept,
        ),
        (
            "UPDATE disputes SET parts = jsonb_set(parts, '{payable}', '{}') WHERE id = 2",
            "what is payable",
        ),
        (
            "UPDATE disputes SET parts = jsonb_set(parts, '{escrow}', '{}') WHERE id = 1",
            "each lease's escrow",
        ),
        (
            "UPDATE disputes SET opened_at = opened_at - interval '1 second' WHERE id = 1",
            replayed,
        ),
        (
            "DELETE FROM disputes WHERE id = 2",
            "what open ones have frozen",
        ),
        (
            "UPDATE leases SET escrow = escrow + 1 WHERE id = 1",
            "each lease's escrow",
        ),
    ] {
        let database = disputed().await;
        let mut hands = database.pool.begin().await.expect("a transaction");
        sqlx::query("SET LOCAL session_replication_role = replica")
            .execute(&mut *hands)
            .await
            .expect("a superuser silences triggers");
        let changed = sqlx::query(sql).execute(&mut *hands).await;
        let changed = changed.expect("rows are changed");
        assert_eq!(changed.rows_affected(), 1, "{sql}");
        hands.commit().await.expect("the change is committed");
        let report = audit::run(&database.url).await.expect("the audit runs");
        let wrong = report.checks.iter().filter(|one| !one.wrong.is_empty());
        let wrong: Vec<&str> = wrong.map(|one| one.holds).collect();
        let seen = wrong.iter().any(|holds| holds.contains(check));
        assert!(seen, "{sql}: {check} is not among {wrong:?}");
    }
}
