//! What goes wrong between the sequencer and its database: nothing is lost, nothing is done twice,
//! and nobody hears of what may not last.

use std::time::Duration;

use axum::http::{StatusCode, header};
use futures_util::future::join_all;
use market::{ClientId, Command, EventKind, Rules};
use sluice::audit;
use sluice::sequencer::{Actor, Receipt, Started, SubmitError};
use sqlx::{Connection, PgConnection, PgPool};

use crate::support::app::TestApp;
use crate::support::market::{BUYER, bid, hour, opening, start, stop, submit};
use crate::support::postgres::{TestDatabase, fresh_database};
use crate::support::proxy::{Fault, Proxy};
use crate::support::visitor::Visitor;

/// Ends the engine's session.
const CUT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE application_name = 'sluice engine' AND datname = current_database()";

/// A market behind a proxy.
async fn behind_a_proxy() -> (TestDatabase, Proxy, Started) {
    let database = fresh_database().await;
    let proxy = Proxy::before(&database.url).await;
    let (started, _) = start(&proxy.url, Rules::none()).await;
    for command in opening() {
        submit(&started, command).await;
    }
    (database, proxy, started)
}

async fn ask(started: &Started, command: &Command) -> Result<Receipt, SubmitError> {
    let actor = Actor::System("journey");
    started.sequencer.submit(actor, command.clone()).await
}

/// Asks until there is an answer, as whoever was told "not known" does.
pub(crate) async fn retry(started: &Started, command: &Command) -> Receipt {
    for _ in 0..200 {
        match ask(started, command).await {
            Ok(receipt) => return receipt,
            Err(SubmitError::Stopped) => panic!("the sequencer recovers"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    panic!("the sequencer does not recover");
}

fn was_known(receipt: &Receipt) -> bool {
    let accepted = receipt.events.iter().find_map(|event| match event.kind {
        EventKind::Accepted { again, .. } => Some(again),
        _ => None,
    });
    accepted.expect("an order of ours is accepted")
}

async fn orders(pool: &PgPool, like: &str) -> Vec<String> {
    sqlx::query_scalar("SELECT client_id FROM orders WHERE client_id LIKE $1 ORDER BY id")
        .bind(like)
        .fetch_all(pool)
        .await
        .expect("the orders are read")
}

async fn end(database: &TestDatabase, started: Started) {
    stop(started);
    let report = audit::run(&database.url).await.expect("the audit runs");
    assert!(report.ok, "{report:#?}");
}

#[tokio::test]
async fn a_commit_that_never_arrived_did_nothing() {
    let (database, proxy, started) = behind_a_proxy().await;
    let command = bid("once", 1, 50_000, (1, 5));
    proxy.set(Fault::CommitLost);
    assert_eq!(
        ask(&started, &command).await.map(|one| one.command),
        Err(SubmitError::Uncertain)
    );
    assert_eq!(proxy.fault(), Fault::None, "the commit was lost");
    assert_eq!(orders(&database.pool, "once").await.len(), 0);
    assert!(!was_known(&retry(&started, &command).await));
    assert_eq!(orders(&database.pool, "once").await.len(), 1);
    end(&database, started).await;
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_found_by_its_client_id() {
    let (database, proxy, started) = behind_a_proxy().await;
    let command = bid("once", 1, 50_000, (1, 5));
    proxy.set(Fault::AnswerLost);
    assert_eq!(
        ask(&started, &command).await.map(|one| one.command),
        Err(SubmitError::Uncertain)
    );
    assert_eq!(orders(&database.pool, "once").await.len(), 1);
    assert!(was_known(&retry(&started, &command).await));
    assert_eq!(orders(&database.pool, "once").await.len(), 1);
    end(&database, started).await;
}

#[tokio::test]
async fn a_database_that_is_gone_for_a_while_is_found_again() {
    let (database, proxy, started) = behind_a_proxy().await;
    proxy.set(Fault::Gone);
    // Also without a command: the engine notices by its own beat.
    for _ in 0..100 {
        if !started.sequencer.is_ready() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        !started.sequencer.is_ready(),
        "it serves without a database"
    );
    let command = bid("meanwhile", 1, 50_000, (1, 5));
    assert_eq!(
        ask(&started, &command).await.map(|one| one.command),
        Err(SubmitError::Busy)
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    proxy.set(Fault::None);
    assert!(!was_known(&retry(&started, &command).await));
    end(&database, started).await;
}

/// Keeps the engine's row, so that its next commit waits.
async fn hold_up(database: &TestDatabase) -> PgConnection {
    let mut holding = PgConnection::connect(&database.url)
        .await
        .expect("it connects");
    for sql in ["BEGIN", "SELECT FROM engine FOR UPDATE"] {
        sqlx::query(sql)
            .execute(&mut holding)
            .await
            .expect("it is held");
    }
    holding
}

/// Commands that share no batch: the first one is on its way before the others come.
async fn run_ahead(
    started: &Started,
    names: [&str; 3],
) -> Vec<tokio::task::JoinHandle<Result<Receipt, SubmitError>>> {
    let mut answers = Vec::new();
    for name in names {
        let command = bid(name, 1, 50_000, (1, 5));
        let actor = Actor::System("journey");
        let answer = started.sequencer.enqueue(hour(0), actor, command).await;
        answers.push(tokio::spawn(answer.expect("there is room")));
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let market = started.feed.market();
    for name in names {
        let seen = market.order_of(BUYER, &ClientId(name.to_owned()));
        assert_eq!(seen, None, "{name} is seen before it is committed");
    }
    assert!(answers.iter().all(|answer| !answer.is_finished()));
    answers
}

#[tokio::test]
async fn what_was_applied_ahead_is_answered_in_order_and_only_after_its_commit() {
    let database = fresh_database().await;
    let (started, _) = start(&database.url, Rules::none()).await;
    for command in opening() {
        submit(&started, command).await;
    }
    let holding = hold_up(&database).await;
    let answers = run_ahead(&started, ["one", "two", "three"]).await;
    assert_eq!(orders(&database.pool, "%").await, ["ask"]);
    holding.close().await.expect("it lets go");
    let mut commands = Vec::new();
    for answer in join_all(answers).await {
        commands.push(answer.expect("no panic").expect("a receipt").command);
    }
    assert_eq!(commands, [6, 7, 8]);
    assert_eq!(
        orders(&database.pool, "%").await,
        ["ask", "one", "two", "three"]
    );
    // Those that came while the first one was held up share a batch.
    let batches: Vec<i64> =
        sqlx::query_scalar("SELECT batch FROM commands WHERE seq > 5 ORDER BY 1")
            .fetch_all(&database.pool)
            .await
            .expect("the log is read");
    assert_eq!(batches, [batches[0], batches[0] + 1, batches[0] + 1]);
    end(&database, started).await;
}

#[tokio::test]
async fn what_was_applied_ahead_goes_with_the_commit_that_it_follows() {
    let database = fresh_database().await;
    let (started, _) = start(&database.url, Rules::none()).await;
    for command in opening() {
        submit(&started, command).await;
    }
    let holding = hold_up(&database).await;
    let answers = run_ahead(&started, ["one", "two", "three"]).await;
    sqlx::query(CUT)
        .execute(&database.pool)
        .await
        .expect("it is cut");
    for answer in join_all(answers).await {
        let answer = answer.expect("no panic").map(|receipt| receipt.command);
        assert_eq!(answer, Err(SubmitError::Uncertain));
    }
    holding.close().await.expect("it lets go");
    let again = retry(&started, &bid("one", 1, 50_000, (1, 5))).await;
    assert!(!was_known(&again));
    assert_eq!(again.command, 6, "no number is passed over");
    assert_eq!(orders(&database.pool, "%").await, ["ask", "one"]);
    end(&database, started).await;
}

#[tokio::test]
async fn what_is_queued_when_it_is_to_stop_is_done() {
    let database = fresh_database().await;
    let (started, _) = start(&database.url, Rules::none()).await;
    for command in opening() {
        submit(&started, command).await;
    }
    let holding = hold_up(&database).await;
    let mut answers = Vec::new();
    for number in 0..400 {
        let command = bid(&format!("b{number}"), 1, 50_000, (1, 5));
        let actor = Actor::System("journey");
        let answer = started.sequencer.enqueue(hour(0), actor, command).await;
        answers.push(answer.expect("there is room"));
    }
    started.sequencer.stop();
    holding.close().await.expect("it lets go");
    for answer in join_all(answers).await {
        assert_eq!(answer.expect("it is done").rejection(), None);
    }
    assert_eq!(orders(&database.pool, "b%").await.len(), 400);
    end(&database, started).await;
}

#[tokio::test]
async fn a_commit_that_says_yes_with_a_warning_is_not_known() {
    let database = fresh_database().await;
    let (started, _) = start(&database.url, Rules::none()).await;
    for command in opening() {
        submit(&started, command).await;
    }
    // As the server does when it stops waiting for a standby: at COMMIT, and with success.
    sqlx::raw_sql(
        "CREATE FUNCTION warns() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE WARNING 'committed locally'; RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER warns AFTER INSERT ON commands DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION warns()",
    )
    .execute(&database.pool)
    .await
    .expect("the superuser may");
    let command = bid("once", 1, 50_000, (1, 5));
    let told = ask(&started, &command).await.map(|one| one.command);
    assert_eq!(told, Err(SubmitError::Uncertain));
    sqlx::query("DROP TRIGGER warns ON commands")
        .execute(&database.pool)
        .await
        .expect("the superuser may");
    assert!(was_known(&retry(&started, &command).await));
    end(&database, started).await;
}

#[tokio::test]
async fn a_market_that_is_not_what_its_leader_had_is_not_served() {
    for sql in [
        "UPDATE orders SET price = price + 100 WHERE client_id = 'rests'",
        "UPDATE orders SET units = units + 1 WHERE client_id = 'rests'",
        "UPDATE leases SET earned = earned + 1",
        "UPDATE balances SET amount = amount + 1 WHERE kind = 'cash'",
        "UPDATE engine SET command = command - 1",
        "UPDATE engine SET chain = '\\x00'",
    ] {
        let database = fresh_database().await;
        let (started, clock) = start(&database.url, Rules::none()).await;
        for command in opening() {
            submit(&started, command).await;
        }
        submit(&started, bid("rests", 2, 90_000, (10, 20))).await;
        submit(&started, bid("trades", 2, 100_000, (10, 20))).await;
        stop(started);
        let changed = sqlx::query(sql).execute(&database.pool).await;
        assert!(
            changed.expect("the superuser may").rows_affected() > 0,
            "{sql}"
        );
        let refused = sluice::sequencer::start(sluice::sequencer::Options {
            database_url: database.url.clone(),
            rules: Rules::none(),
            clock,
            queue: 1,
            batch: 1,
        });
        let refused = refused.await.map(|_| ()).expect_err(sql).to_string();
        assert!(refused.contains("can't be read back"), "{sql}: {refused}");
    }
}

#[tokio::test]
async fn an_engine_after_which_another_led_ends_and_takes_no_lead_again() {
    let database = fresh_database().await;
    let (started, _) = start(&database.url, Rules::none()).await;
    for command in opening() {
        submit(&started, command).await;
    }
    // As a successor does while this one's session is gone.
    sqlx::query("UPDATE engine SET epoch = epoch + 1")
        .execute(&database.pool)
        .await
        .expect("the superuser may");
    sqlx::query(CUT)
        .execute(&database.pool)
        .await
        .expect("it is cut");
    let ended = tokio::time::timeout(Duration::from_secs(10), started.sequencer.ended());
    ended.await.expect("it ends by itself");
    started.thread.join().expect("no panic");
    let epoch: i64 = sqlx::query_scalar("SELECT epoch FROM engine")
        .fetch_one(&database.pool)
        .await
        .expect("it is read");
    assert_eq!(epoch, 2);
}

#[tokio::test]
async fn a_full_queue_is_said_with_when_to_ask_again() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    let page = "A100-80GB.GUZ-GAN.SILVER";
    let confirm = ada.ticket(page, &[("units", "1")]).await;
    let holding = hold_up(&app.database).await;
    // More than the queue and the batches that run ahead have room for, and once more after the
    // engine has taken of the first.
    let mut answers = Vec::new();
    for number in 0..3_000 {
        let sequencer = app.app.sequencer.clone();
        let command = bid(&format!("b{number}"), 1, 50_000, (1, 5));
        answers.push(tokio::spawn(async move {
            sequencer.submit(Actor::System("journey"), command).await
        }));
        if number % 1_000 == 999 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    let refused = ada.submit(&confirm, "form[action$='/orders']", &[]).await;
    assert_eq!(
        refused.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        refused.body
    );
    assert!(refused.headers.contains_key(header::RETRY_AFTER));
    holding.close().await.expect("it lets go");
    let answers = join_all(answers).await;
    let busy = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(Err(SubmitError::Busy))))
        .count();
    let done = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(Ok(_))))
        .count();
    assert!(
        busy > 0 && done + busy == answers.len(),
        "{busy} busy, {done} done"
    );
    assert_eq!(orders(&app.database.pool, "b%").await.len(), done);
    app.stop().await;
}
