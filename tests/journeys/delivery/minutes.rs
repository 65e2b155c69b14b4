//! Minutes: signed once, by the right key, in one story.

use std::time::Duration;

use axum::http::StatusCode;
use market::Rules;

use super::{Site, minutes};
use crate::support::machine::{self, Machine};
use crate::support::market::bid;

#[tokio::test]
async fn what_is_signed_and_accepted_is_paid_by_the_minute() {
    let site = Site::with(Rules::none()).await;
    let mut machine = Machine::enrolled(&site.app, "one", 8).await;
    site.app.submit(bid("b1", 8, 100_000, (1, 3))).await;
    site.set(0, 50);
    let orders = site
        .until("the lease is placed", async || {
            let orders = machine.clone().beat().await;
            (!orders.is_empty()).then_some(orders)
        })
        .await;
    assert_eq!(orders[0]["lease"], 1);
    assert_eq!(orders[0]["units"], 8);
    assert_eq!(orders[0]["limits"]["cpu_millis"], 64_000);
    let prepared = machine.say(1, "prepared", site.now()).await;
    assert_eq!(prepared.body, r#"{"through":1}"#);
    site.set(1, 2);
    site.accept(1).await;
    // Minutes 0 and 1 are before the first passed probe; 10 to 14 never ran; 20 ran with half.
    let mut told = minutes(1, 0..10, 8);
    told.extend(minutes(1, 15..20, 8));
    told.extend(minutes(1, 20..21, 4));
    told.extend(minutes(1, 21..60, 8));
    site.set(2, 0);
    let told = machine.sign(1, &told);
    let answer = machine.tell(&told).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.body, r#"{"taken":[{"lease":1,"through":55}]}"#);
    let proven = 8 * (8 + 5 + 39) + 4;
    let settled = site
        .until("the hour is settled", async || {
            Some(site.settled(1).await).filter(|settled| !settled.is_empty())
        })
        .await;
    assert_eq!(settled, [proven]);
    // Sent again it changes nothing.
    machine.tell(&told).await;
    let second = machine.sign(1, &minutes(2, 0..60, 8));
    site.set(3, 0);
    machine.tell(&second).await;
    site.until("the lease is over", async || {
        (site.settled(1).await == [proven, 480]).then_some(())
    })
    .await;
    assert!(site.lease(1).is_ended());
    site.until("its way is told", async || {
        let ways = site.ways(1).await;
        (ways.last()?.0 == "ended").then_some(())
    })
    .await;
    let ways = site.ways(1).await;
    let ways: Vec<(&str, &str)> = ways.iter().map(|(a, b)| (&**a, &**b)).collect();
    assert_eq!(
        ways,
        [
            ("scheduled", "traded"),
            ("preparing", "time_to_prepare"),
            ("accepting", "prepared"),
            ("running", "accepted"),
            ("ended", "period_over"),
        ]
    );
    site.stop().await;
}

#[tokio::test]
async fn an_hour_waits_for_what_may_still_come_and_not_for_ever() {
    let site = Site::with(Rules::none()).await;
    let mut machine = Machine::enrolled(&site.app, "one", 8).await;
    site.app.submit(bid("b1", 8, 100_000, (1, 2))).await;
    site.placed(1).await;
    site.accept(1).await;
    site.set(2, 9);
    let first = machine.sign(1, &minutes(1, 0..30, 8));
    machine.tell(&first).await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert!(
        site.settled(1).await.is_empty(),
        "the rest may be on its way"
    );
    site.set(2, 11);
    site.until("it is settled by what is there", async || {
        (site.settled(1).await == [240]).then_some(())
    })
    .await;
    site.stop().await;
}

#[tokio::test]
async fn only_who_holds_the_key_is_answered_and_once() {
    let site = Site::with(Rules::none()).await;
    let (host, token) = machine::registered(&site.app, "one", 8).await;
    let mut first = Machine::new(&site.app, host, [1; 32]);
    let mut second = Machine::new(&site.app, host, [2; 32]);
    assert_eq!(
        first.enrol("sluice_agent_none").await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(first.enrol(&token).await.status, StatusCode::OK);
    let agent = first.agent;
    let again = first.enrol(&token).await;
    assert_eq!((again.status, first.agent), (StatusCode::OK, agent));
    let other = second.enrol(&token).await;
    assert_eq!(other.status, StatusCode::CONFLICT, "{}", other.body);
    // Another's number, another's key.
    second.agent = agent;
    let forged = second
        .post("/api/agent/v1/heartbeat", "{}".to_owned())
        .await;
    assert_eq!(forged.status, StatusCode::UNAUTHORIZED);
    assert!(forged.body.contains("wrong_signature"), "{}", forged.body);
    // A request that somebody has seen.
    let body = r#"{"version":1,"states":[]}"#;
    let path = "/api/agent/v1/states";
    let seen = first.headers(path, body);
    assert_eq!(
        first.send(path, body.to_owned(), seen.clone()).await.status,
        StatusCode::OK
    );
    let replayed = first.send(path, body.to_owned(), seen.clone()).await;
    assert_eq!(replayed.status, StatusCode::CONFLICT, "{}", replayed.body);
    let changed = first
        .send(path, r#"{"version":1,"states":[ ]}"#.to_owned(), seen)
        .await;
    assert_eq!(changed.status, StatusCode::UNAUTHORIZED);
    // A clock that is an hour off is told ours.
    let off = sluice::clock::wall() - jiff::SignedDuration::from_hours(1);
    let skewed = first.post_at(path, body.to_owned(), off).await;
    assert_eq!(skewed.status, StatusCode::UNAUTHORIZED);
    let problem: serde_json::Value = serde_json::from_str(&skewed.body).expect("JSON");
    assert_eq!(problem["code"], "skewed");
    let ours: jiff::Timestamp = problem["clock"]
        .as_str()
        .expect("a clock")
        .parse()
        .expect("one");
    assert!(ours.duration_since(sluice::clock::wall()).as_secs().abs() < 60);
    // Another token puts another agent in its place, and its key is nobody's from then on.
    let token = machine::token(&site.app, host).await;
    assert_eq!(second.enrol(&token).await.status, StatusCode::OK);
    let revoked = first.post(path, body.to_owned()).await;
    assert!(revoked.body.contains("unknown_signer"), "{}", revoked.body);
    assert_eq!(
        second.post(path, body.to_owned()).await.status,
        StatusCode::OK
    );
    // Nobody's request, and what can't be read.
    let nobody = crate::support::visitor::Visitor::new(&site.app)
        .send("POST", path, body.to_owned())
        .await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        second.post(path, "no".to_owned()).await.status,
        StatusCode::BAD_REQUEST
    );
    site.stop().await;
}

#[tokio::test]
async fn two_stories_and_forged_minutes_open_a_case_and_pay_nothing() {
    let site = Site::with(Rules::none()).await;
    let mut machine = Machine::enrolled(&site.app, "one", 8).await;
    site.app.submit(bid("b1", 8, 100_000, (1, 2))).await;
    site.placed(1).await;
    site.accept(1).await;
    site.set(2, 0);
    // The same numbers, two stories from the eleventh on.
    let mut liar = machine.clone();
    let honest = machine.sign(1, &minutes(1, 0..60, 4));
    let mut other = minutes(1, 0..10, 4);
    other.extend(minutes(1, 10..60, 8));
    let other = liar.sign(1, &other);
    machine.tell(&honest[..30]).await;
    machine.tell(&other[10..]).await;
    // Somebody who has not the key, and more units than there are.
    let mut thief = Machine::new(&site.app, machine.host, [9; 32]);
    thief.agent = machine.agent;
    let forged = thief.sign(1, &minutes(1, 0..60, 8));
    let answer = machine.tell(&forged).await;
    assert_eq!(answer.status, StatusCode::OK);
    liar.heads.clear();
    let many = liar.sign(1, &minutes(1, 0..1, 9));
    machine.tell(&many).await;
    site.set(2, 11);
    site.until("it is settled by what is one story", async || {
        (site.settled(1).await == [40]).then_some(())
    })
    .await;
    let cases: Vec<String> = sqlx::query_scalar("SELECT kind FROM delivery_cases ORDER BY kind")
        .fetch_all(&site.app.database.pool)
        .await
        .expect("cases are read");
    assert_eq!(cases, ["broken_chain", "untrue", "wrong_signature"]);
    site.stop().await;
}

#[tokio::test]
async fn another_machines_lease_is_none_of_an_agents() {
    let site = Site::with(Rules::none()).await;
    let mut one = Machine::enrolled(&site.app, "one", 8).await;
    site.app.submit(bid("b1", 8, 100_000, (1, 2))).await;
    site.placed(1).await;
    let mut two = Machine::enrolled(&site.app, "two", 8).await;
    site.accept(1).await;
    site.set(2, 0);
    assert!(two.beat().await.is_empty());
    let others = two.sign(1, &minutes(1, 0..60, 8));
    two.tell(&others).await;
    two.say(1, "wiped", site.now()).await;
    let own = one.sign(1, &minutes(1, 0..60, 6));
    one.tell(&own).await;
    site.until("the machine that has it is believed", async || {
        (site.settled(1).await == [360]).then_some(())
    })
    .await;
    let stage: String = sqlx::query_scalar("SELECT stage FROM stays WHERE stay = 1")
        .fetch_one(&site.app.database.pool)
        .await
        .expect("a stay");
    assert_eq!(stage, "asked");
    site.stop().await;
}
