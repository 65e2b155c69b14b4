//! What the sequencer promises: committed before answered, whole or not at all, and read back
//! from the tables as it was.

use std::collections::BTreeSet;

use market::{Command, Delivered, Hour, LeaseId, Market, Money, Rejection, Rules};
use sluice::audit;
use sluice::sequencer::{Actor, StartError, SubmitError};

use crate::faults::retry;
use crate::support::market::{ask, bid, deliver, hour, opening, start, stop, submit, try_start};
use crate::support::postgres::{TestDatabase, fresh_database};

/// Rules under which every kind of money moves: fees, bonds, credits, payables.
fn rules() -> Rules {
    let text = r#"{"version": 7,
        "seller_fee": {"flat": 300, "maker_bps": 150, "taker_bps": 250},
        "bond_bps": 1000, "claim_window_hours": 72, "reading_deadline_hours": 24,
        "service_levels": {"SILVER": {"availability_bps": 9900, "credits": [
            {"below_bps": 9900, "credit_bps": 1000}, {"below_bps": 9000, "credit_bps": 3000}]}}}"#;
    let rules: Rules = serde_json::from_str(text).expect("the rules can be read");
    rules.checked().expect("the rules can hold")
}

/// Ends the engine's session.
const CUT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE application_name = 'sluice engine' AND datname = current_database()";

/// What late evidence says that an hour of a lease got, in unit-minutes, and what of the rest was
/// declared maintenance.
fn correct(lease: i64, after: i64, (delivered, excused): (i64, i64)) -> Command {
    Command::Correct {
        lease: LeaseId(lease),
        hour: hour(after),
        delivered: Delivered::UnitMinutes(delivered),
        excused,
    }
}

/// A market in the middle of its life: open and done orders, a replaced one, leases whole and
/// short, settled and not, corrected up and down, before and after the end of the lease and in vain,
/// credited, with money payable and bonds pledged.
fn life() -> Vec<(i64, Command)> {
    let mut life: Vec<(i64, Command)> = opening().into_iter().map(|command| (0, command)).collect();
    life.extend([
        (0, bid("whole", 8, 100_000, (1, 5))),
        (0, bid("short", 4, 120_000, (1, 3))),
        (0, bid("rests", 2, 90_000, (10, 20))),
        (0, bid("cancelled", 2, 80_000, (10, 20))),
        (0, ask("dear", 8, 200_000)),
        (0, bid("long", 60, 150_000, (100, 140))),
        (2, deliver(1, 1, 60)),
        (3, deliver(2, 1, 7)),
        (3, deliver(2, 2, 60)),
        (3, deliver(1, 2, 59)),
        (3, bid("whole", 8, 100_000, (1, 5))),
        (3, bid("whole", 9, 100_000, (1, 5))),
        (4, deliver(99, 1, 60)),
        (4, correct(1, 1, (470, 5))),
        (5, deliver(1, 3, 0)),
        (5, deliver(1, 4, 60)),
        (5, correct(1, 3, (240, 0))),
        (5, correct(1, 3, (480, 0))),
        (5, correct(2, 1, (0, 40))),
        (6, correct(2, 2, (200, 0))),
        (6, correct(2, 2, (200, 0))),
    ]);
    life
}

#[tokio::test]
async fn what_the_tables_hold_is_the_market_that_was_stopped() {
    let database = fresh_database().await;
    let (started, clock) = start(&database.url, rules()).await;
    for (after, command) in life() {
        clock.set(hour(after));
        submit(&started, command).await;
    }
    let replace = Command::ReplaceOrder {
        participant: crate::support::market::BUYER,
        client_id: market::ClientId("rests".to_owned()),
        units: Some(1),
        price: None,
    };
    submit(&started, replace).await;
    let before: Market = started.feed.market().clone();
    stop(started);
    let report = audit::run(&database.url).await.expect("the audit runs");
    assert!(report.ok, "{report:#?}");
    let (again, clock) = start(&database.url, rules()).await;
    assert_eq!(*again.feed.market(), before);
    // And it goes on: what was payable becomes cash, bonds are free, the rest expires.
    clock.set(hour(800));
    submit(&again, Command::Tick).await;
    for (account, amount) in again.feed.market().ledger().balances() {
        let spent = ["hold", "escrow", "payable", "bond"].contains(&account.kind.code());
        assert!(!spent || amount == Money::ZERO, "{account:?} {amount}");
    }
    stop(again);
    let report = audit::run(&database.url).await.expect("the audit runs");
    assert!(report.ok, "{report:#?}");
}

#[tokio::test]
async fn a_retry_is_answered_as_the_first_time_also_after_a_restart() {
    let database = fresh_database().await;
    let (started, _) = start(&database.url, Rules::none()).await;
    for command in opening() {
        submit(&started, command).await;
    }
    submit(&started, bid("one", 8, 100_000, (1, 5))).await;
    stop(started);
    let (started, _) = start(&database.url, Rules::none()).await;
    let again = submit(&started, bid("one", 8, 100_000, (1, 5))).await;
    assert!(
        matches!(
            again.events[0].kind,
            market::EventKind::Accepted { again: true, .. }
        ),
        "{again:?}"
    );
    let other = submit(&started, bid("one", 9, 100_000, (1, 5))).await;
    assert_eq!(other.rejection(), Some(Rejection::DuplicateId));
    assert_eq!(started.feed.market().open_leases().count(), 1);
    stop(started);
}

#[tokio::test]
async fn a_replacement_below_what_is_filled_is_committed() {
    let database = fresh_database().await;
    let (started, _) = start(&database.url, Rules::none()).await;
    for command in opening() {
        submit(&started, command).await;
    }
    submit(&started, bid("most", 70, 100_000, (1, 5))).await;
    let below = Command::ReplaceOrder {
        participant: crate::support::market::BUYER,
        client_id: market::ClientId("most".to_owned()),
        units: Some(10),
        price: None,
    };
    let receipt = submit(&started, below).await;
    assert_eq!(receipt.rejection(), None);
    let (units, filled, done): (i64, i64, String) =
        sqlx::query_as("SELECT units, filled, done FROM orders WHERE client_id = 'most'")
            .fetch_one(&database.pool)
            .await
            .expect("the order is read");
    assert_eq!((units, filled, done.as_str()), (64, 64, "cancelled"));
    stop(started);
    let report = audit::run(&database.url).await.expect("the audit runs");
    assert!(report.ok, "{report:#?}");
}

#[tokio::test]
async fn an_engine_whose_connection_is_cut_loses_nothing_that_it_acknowledged() {
    let database = fresh_database().await;
    let (started, _) = start(&database.url, Rules::none()).await;
    for command in opening() {
        submit(&started, command).await;
    }
    let mut acknowledged = BTreeSet::new();
    let mut uncertain = 0;
    for number in 0..300 {
        let client_id = format!("bid{number}");
        let command = bid(&client_id, 1, 50_000, (1, 5));
        if number % 60 == 30 {
            sqlx::query(CUT)
                .execute(&database.pool)
                .await
                .expect("the backend is ended");
        }
        match started
            .sequencer
            .submit(Actor::System("journey"), command)
            .await
        {
            Ok(receipt) => {
                assert_eq!(receipt.rejection(), None);
                acknowledged.insert(client_id);
            }
            Err(SubmitError::Uncertain | SubmitError::Busy) => {
                uncertain += 1;
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            Err(SubmitError::Stopped) => panic!("the sequencer recovers"),
        }
    }
    assert!(uncertain > 0, "the connection was cut");
    assert!(
        acknowledged.len() > 200,
        "{} acknowledged",
        acknowledged.len()
    );
    let rows: Vec<String> =
        sqlx::query_scalar("SELECT client_id FROM orders WHERE client_id LIKE 'bid%'")
            .fetch_all(&database.pool)
            .await
            .expect("the orders are read");
    let kept: BTreeSet<String> = rows.iter().cloned().collect();
    assert_eq!(kept.len(), rows.len(), "each order is there once");
    assert!(
        acknowledged.is_subset(&kept),
        "what was acknowledged is there"
    );
    stop(started);
    let report = audit::run(&database.url).await.expect("the audit runs");
    assert!(report.ok, "{report:#?}");
}

#[tokio::test]
async fn an_engine_that_can_not_recover_can_still_be_stopped() {
    let database = fresh_database().await;
    let (started, _) = start(&database.url, Rules::none()).await;
    for command in opening() {
        submit(&started, command).await;
    }
    // Nothing can be read back any more, then the engine loses its connection.
    let shut = "ALTER TABLE engine RENAME TO gone";
    for sql in [shut, CUT] {
        sqlx::query(sql)
            .execute(&database.pool)
            .await
            .expect("the superuser may");
    }
    let lost = started
        .sequencer
        .submit(Actor::System("journey"), Command::Tick)
        .await;
    assert_eq!(
        lost.map(|receipt| receipt.command),
        Err(SubmitError::Uncertain)
    );
    stop(started);
}

#[tokio::test]
async fn an_engine_that_is_never_idle_can_still_be_stopped() {
    let database = fresh_database().await;
    let (started, _) = start(&database.url, Rules::none()).await;
    let sequencer = started.sequencer.clone();
    let busy = tokio::spawn(async move {
        let actor = Actor::System("journey");
        while sequencer
            .enqueue(hour(0), actor, Command::Tick)
            .await
            .is_ok()
        {}
    });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    started.sequencer.stop();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(10), busy).await;
    ended.expect("no more is taken").expect("no panic");
    stop(started);
}

#[tokio::test]
async fn a_command_that_breaks_the_market_takes_nothing_with_it() {
    let database = fresh_database().await;
    let (started, _) = start(&database.url, Rules::none()).await;
    for command in opening() {
        submit(&started, command).await;
    }
    submit(&started, bid("rests", 2, 90_000, (10, 20))).await;
    stop(started);
    // What the bid holds is gone, and the digest that would tell: the market asserts that it
    // can't free it.
    for sql in [
        "UPDATE balances SET amount = 0 WHERE kind = 'hold'",
        "UPDATE engine SET digest = NULL",
    ] {
        sqlx::query(sql)
            .execute(&database.pool)
            .await
            .expect("the superuser may");
    }
    let (started, _) = start(&database.url, Rules::none()).await;
    let mut batches = started.feed.subscribe();
    let buyer = crate::support::market::BUYER;
    let cancel = Command::CancelOrder {
        participant: buyer,
        client_id: market::ClientId("rests".to_owned()),
    };
    let broken = started
        .sequencer
        .submit(Actor::System("journey"), cancel)
        .await;
    assert_eq!(
        broken.map(|receipt| receipt.command),
        Err(SubmitError::Uncertain)
    );
    // What was queued before the market was read back is as uncertain; then it goes on.
    retry(&started, &Command::Tick).await;
    // Readers are told to look again: an uncertain batch may have been committed.
    let told = batches.recv().await.expect("the feed goes on");
    assert!(told.participants.contains(&buyer), "{told:?}");
    let market = started.feed.market().clone();
    assert_eq!(market.order(market::OrderId(2)).done, None);
    assert!(started.sequencer.is_ready());
    stop(started);
}

#[tokio::test]
async fn a_time_that_no_table_can_hold_is_refused() {
    let database = fresh_database().await;
    let (started, _) = start(&database.url, Rules::none()).await;
    let mut opening = opening();
    for command in &opening {
        submit(&started, command.clone()).await;
    }
    let Command::OpenPool(mut pool) = opening.swap_remove(3) else {
        panic!("the fourth command opens the pool");
    };
    pool.pool = market::PoolId(2);
    // Long before the first year that PostgreSQL knows.
    pool.start = market::Hour(-2_000_000_000).begins();
    let refused = submit(&started, Command::OpenPool(pool)).await;
    assert_eq!(refused.rejection(), Some(Rejection::BadPeriod));
    stop(started);
    let report = audit::run(&database.url).await.expect("the audit runs");
    assert!(report.ok, "{report:#?}");
}

#[tokio::test]
async fn a_fenced_engine_commits_nothing_and_ends() {
    // Another leader's epoch; a batch of which this one knows nothing.
    for advance in ["epoch = epoch + 1", "batch = batch + 1"] {
        let database = fresh_database().await;
        let (started, _) = start(&database.url, Rules::none()).await;
        for command in opening() {
            submit(&started, command).await;
        }
        let advance = format!("UPDATE engine SET {advance}");
        sqlx::query(sqlx::AssertSqlSafe(advance.clone()))
            .execute(&database.pool)
            .await
            .expect("fenced");
        let refused = started
            .sequencer
            .submit(Actor::System("journey"), bid("late", 1, 50_000, (1, 5)))
            .await;
        assert_eq!(
            refused.map(|receipt| receipt.command),
            Err(SubmitError::Uncertain),
            "{advance}"
        );
        let late: i64 = sqlx::query_scalar("SELECT count(*) FROM orders WHERE client_id = 'late'")
            .fetch_one(&database.pool)
            .await
            .expect("the orders are counted");
        assert_eq!(late, 0, "{advance}");
        let ended = std::time::Duration::from_secs(10);
        let ended = tokio::time::timeout(ended, started.sequencer.ended()).await;
        ended.expect("it ends by itself");
        started.thread.join().expect("no panic");
    }
}

const TAMPERING: [&str; 8] = [
    "UPDATE postings SET amount = amount + 1 WHERE entry = 2 AND line = 1",
    "UPDATE postings SET amount = amount * 2 WHERE entry = 2",
    "DELETE FROM settlements WHERE lease = 2",
    "DELETE FROM corrections WHERE lease = 2",
    "UPDATE corrections SET fee = fee + 1, paid = paid - 1 WHERE lease = 1",
    "UPDATE trades SET units = units + 1000 WHERE id = 1",
    "UPDATE commands SET body = jsonb_set(body, '{amount}', '5') WHERE seq = 2",
    "UPDATE journal_entries SET at = at + interval '1 second' WHERE id = 1",
];

/// A database with a life in it, whose engine has stopped.
async fn lived() -> TestDatabase {
    let database = fresh_database().await;
    let (started, clock) = start(&database.url, rules()).await;
    for (after, command) in life() {
        clock.set(hour(after));
        submit(&started, command).await;
    }
    stop(started);
    database
}

#[tokio::test]
async fn a_newer_rule_set_holds_from_the_next_hour_and_no_other_is_let_in() {
    let database = lived().await;
    let newer = Rules {
        version: 8,
        bond_bps: 2_000,
        ..rules()
    };
    let (started, clock) = start(&database.url, newer.clone()).await;
    let version = || started.feed.market().rules().version;
    assert_eq!(version(), 7, "what holds does so to the end of its hour");
    let next = Hour(started.feed.market().now().hour().0 + 1).begins();
    clock.set(next);
    submit(&started, Command::Tick).await;
    assert_eq!(version(), 8);
    stop(started);

    // Named again, it is the same one; what it was before is known too.
    for known in [newer.clone(), rules()] {
        let (started, _) = start(&database.url, known).await;
        assert_eq!(started.feed.market().rules(), &newer);
        stop(started);
    }
    let given = "SELECT count(*) FROM commands WHERE body->>'do' = 'set_rules'";
    let given: i64 = sqlx::query_scalar(given)
        .fetch_one(&database.pool)
        .await
        .expect("a count");
    assert_eq!(given, 1);

    let changed = Rules {
        bond_bps: 3_000,
        ..newer.clone()
    };
    let older = Rules {
        version: 6,
        ..newer
    };
    for other in [changed, older] {
        let (refused, _) = try_start(&database.url, other.clone()).await;
        let refused = refused.expect_err("it is refused");
        assert!(
            matches!(refused, StartError::OtherRules { newest: 8, given } if given == other.version),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn history_can_only_be_added_to() {
    let database = lived().await;
    for sql in TAMPERING {
        let refused = sqlx::query(sql).execute(&database.pool).await;
        let refused = refused.expect_err("history is append-only").to_string();
        assert!(refused.contains("append-only"), "{refused}");
    }
    let unbalanced = "INSERT INTO postings SELECT 1, 9, 1, 'cash', 1";
    let refused = sqlx::query(unbalanced).execute(&database.pool).await;
    let refused = refused.expect_err("an entry sums to zero").to_string();
    assert!(refused.contains("sum to zero"), "{refused}");
}

#[tokio::test]
async fn the_audit_sees_what_a_superuser_changes() {
    let others = [
        "UPDATE balances SET amount = amount + 1 WHERE kind = 'cash'",
        "UPDATE orders SET held = held + 1 WHERE done IS NULL AND side = 'buy'",
        "UPDATE leases SET bond = bond + 1 WHERE id = 1",
        "UPDATE orders SET price = price + 100 WHERE done IS NULL",
    ];
    for sql in TAMPERING.into_iter().chain(others) {
        let database = lived().await;
        let mut hands = database.pool.begin().await.expect("a transaction");
        sqlx::query("SET LOCAL session_replication_role = replica")
            .execute(&mut *hands)
            .await
            .expect("a superuser silences triggers");
        let changed = sqlx::query(sql)
            .execute(&mut *hands)
            .await
            .expect("rows are changed");
        assert!(changed.rows_affected() > 0, "{sql}");
        hands.commit().await.expect("the change is committed");
        let report = audit::run(&database.url).await.expect("the audit runs");
        assert!(!report.ok, "the audit misses: {sql}");
    }
}
