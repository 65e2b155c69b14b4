//! The demonstration market is whole, also where listing it was interrupted.

use market::{Command, Rules};
use sluice::demo;
use sluice::replay::decimal::Decimal;
use sluice::sequencer::Actor;

use crate::support::market::{hour, start, stop};
use crate::support::postgres::{TestDatabase, fresh_database};

const USD_CNY: Decimal = Decimal(71_000);

#[tokio::test]
async fn what_was_interrupted_is_listed_to_the_end_and_nothing_twice() {
    let (whole, broken) = (fresh_database().await, fresh_database().await);
    let (started, _) = start(&whole.url, Rules::none()).await;
    let listed = demo::list(&whole.pool, &started, hour(0), USD_CNY).await;
    listed.expect("the demonstration is listed");
    let market = started.feed.market().clone();
    let commands = log(&whole).await;
    stop(started);
    let (started, _) = start(&broken.url, Rules::none()).await;
    for command in commands.iter().take(commands.len() / 3) {
        let actor = Actor::System("demonstration");
        let sent = started
            .sequencer
            .enqueue(hour(0), actor, command.clone())
            .await;
        sent.expect("it is queued").await.expect("it is committed");
    }
    for after in [0, 5] {
        let listed = demo::list(&broken.pool, &started, hour(after), USD_CNY).await;
        listed.expect("the rest is listed");
        assert!(*started.feed.market() == market, "after {after} hours");
    }
    assert!(log(&broken).await == commands);
    stop(started);
}

async fn log(database: &TestDatabase) -> Vec<Command> {
    let bodies: Vec<String> = sqlx::query_scalar("SELECT body::text FROM commands ORDER BY seq")
        .fetch_all(&database.pool)
        .await
        .expect("the log is read");
    let command = |body: &String| serde_json::from_str(body).expect("a command");
    bodies.iter().map(command).collect()
}
