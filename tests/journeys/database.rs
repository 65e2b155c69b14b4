//! Reaching the database, and the sentences when it can't be reached.

use sluice::db;
use sqlx::Row;

use crate::support::postgres::fresh_database;

#[tokio::test]
async fn two_fresh_databases_share_nothing() {
    let (one, other) = (fresh_database().await, fresh_database().await);
    sqlx::query("CREATE TABLE mine (number int)")
        .execute(&one.pool)
        .await
        .expect("a table is made in the one");
    let found = sqlx::query("SELECT to_regclass('mine') IS NULL")
        .fetch_one(&other.pool)
        .await
        .expect("the other can be asked");
    assert!(found.get::<bool, _>(0), "the other has it too");
    assert_ne!(one.url, other.url);
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let database = fresh_database().await;
    db::migrate(&database.url)
        .await
        .expect("nothing is left to do");
}

#[tokio::test]
async fn a_page_can_neither_run_long_nor_idle_in_a_transaction() {
    let database = fresh_database().await;
    for (setting, wanted) in [
        ("statement_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("application_name", "sluice pages"),
    ] {
        let found: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(setting)
            .fetch_one(&database.pool)
            .await
            .expect("the setting can be read");
        assert_eq!(found, wanted, "{setting}");
    }
}

#[tokio::test]
async fn a_server_that_may_lose_trades_is_refused() {
    let database = fresh_database().await;
    let mut connection = db::first_connection(&database.url)
        .await
        .expect("it answers");
    let fsync: String = sqlx::query_scalar("SELECT current_setting('fsync')")
        .fetch_one(&mut connection)
        .await
        .expect("the setting can be read");
    let checked = db::require_durable(&database.url)
        .await
        .map_err(|e| e.to_string());
    match fsync.as_str() {
        "on" => println!("not tried: DATABASE_URL names a durable server"),
        _ => assert!(
            checked
                .expect_err("refused")
                .contains("may lose committed trades")
        ),
    }
}

#[tokio::test]
async fn a_database_out_of_reach_is_one_sentence() {
    let database = fresh_database().await;
    let (host, _) = database
        .url
        .split_once("/sluice_test")
        .expect("the name is in it");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = free.local_addr().expect("it has a number").port();
    drop(free);
    for (url, sentence) in [
        (
            "nonsense".to_owned(),
            "the database address nonsense can't be read",
        ),
        ("postgres://h:notaport/d".to_owned(), "can't be read"),
        (
            format!("postgres://u:secret@127.0.0.1:{port}/d"),
            "no database answers at postgres://u:***@",
        ),
        (
            format!("{host}/sluice_nowhere"),
            "database \"sluice_nowhere\" does not exist",
        ),
    ] {
        let error = db::connect(&url)
            .await
            .expect_err("it is out of reach")
            .to_string();
        assert!(error.contains(sentence), "{error}");
        assert!(
            !error.contains("secret") && !error.contains('\n'),
            "{error}"
        );
    }
}
