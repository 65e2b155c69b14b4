//! The demonstration market is whole, also where it was interrupted, and moves by itself.

use axum::http::StatusCode;
use market::{Command, Hour, Period, Rules, Timestamp};
use sluice::db::purpose::{self, Purpose};
use sluice::demo::{self, Cast};
use sluice::replay::decimal::Decimal;
use sluice::sequencer::{Actor, Started};
use sluice::web::Options;
use sluice::web::server::Limits;

use crate::second_factor::code;
use crate::support::app::TestApp;
use crate::support::market::{OPENING, hour, start, stop};
use crate::support::postgres::{TestDatabase, fresh_database};
use crate::support::visitor::Visitor;

const USD_CNY: Decimal = Decimal(71_000);

#[tokio::test]
async fn what_was_interrupted_is_listed_to_the_end_and_nothing_twice() {
    let (whole, broken) = (fresh_database().await, fresh_database().await);
    let (started, _) = start(&whole.url, Rules::none()).await;
    let cast = demo::cast(&whole.pool, USD_CNY, OPENING).await;
    let cast = cast.expect("the participants are drawn");
    let listed = demo::list(&whole.pool, &started, hour(0), &cast).await;
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
    let cast = demo::cast(&broken.pool, USD_CNY, OPENING).await;
    let cast = cast.expect("the participants are drawn");
    for after in [0, 5] {
        let listed = demo::list(&broken.pool, &started, hour(after), &cast).await;
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

/// A database of a demonstration, with its market listed at the opening.
async fn listed(database: &TestDatabase) -> (Started, Cast) {
    let mut connection = database.pool.acquire().await.expect("a connection");
    let claimed = purpose::claim(&mut connection, Purpose::Demonstration).await;
    claimed.expect("nobody has used it");
    let cast = demo::cast(&database.pool, USD_CNY, OPENING).await;
    let cast = cast.expect("the participants are drawn");
    let rules = sluice::rules::load(None).expect("the standard rules");
    let (started, _) = start(&database.url, rules).await;
    let listed = demo::list(&database.pool, &started, hour(0), &cast).await;
    listed.expect("the market is listed");
    (started, cast)
}

async fn live(database: &TestDatabase, started: &Started, cast: &Cast, until: Timestamp) {
    let lived = demo::live_through(&database.pool, started, cast, until).await;
    lived.expect("the hours are lived through");
}

#[tokio::test]
async fn traders_do_the_same_whether_or_not_they_are_stopped_on_the_way() {
    let (whole, broken) = (fresh_database().await, fresh_database().await);
    let (started, cast) = listed(&whole).await;
    live(&whole, &started, &cast, hour(5)).await;
    let market = started.feed.market().clone();
    stop(started);

    let (started, cast) = listed(&broken).await;
    // Between commands of an hour, at its very beginning, and between its deposits and its readings.
    for minutes in [5, 145, 180, 181] {
        let until = Timestamp(hour(0).0 + minutes * 60_000_000);
        live(&broken, &started, &cast, until).await;
    }
    stop(started);
    let rules = sluice::rules::load(None).expect("the standard rules");
    let (started, _) = start(&broken.url, rules).await;
    live(&broken, &started, &cast, hour(5)).await;
    let after = started.feed.market().clone();
    stop(started);
    let (whole, broken) = (stamped(&whole).await, stamped(&broken).await);
    for (one, other) in whole.iter().zip(&broken) {
        assert_eq!(one, other);
    }
    assert_eq!(whole.len(), broken.len());
    assert!(after == market);
}

#[tokio::test]
async fn books_have_two_sides_and_stay_small_and_prices_move() {
    let database = fresh_database().await;
    let (started, cast) = listed(&database).await;
    // Until noon in Shanghai.
    for after in 1..=16 {
        live(&database, &started, &cast, hour(after)).await;
        let most = count(
            &database,
            "SELECT coalesce(max(bids), 0) FROM (SELECT count(*) AS bids FROM orders, unnest(instruments)
             WHERE side = 'buy' AND done IS NULL GROUP BY unnest) AS open",
        );
        let most = most.await;
        assert!((3..50).contains(&most), "{most} bids after {after} hours");
    }
    let market = started.feed.market().clone();
    let next = Period {
        start: Hour(OPENING.0 + 17),
        end: Hour(OPENING.0 + 21),
    };
    let one_sided = market.instruments().filter(|instrument| {
        let depth = market.depth(instrument.listed.instrument, next);
        depth.asks.is_empty() || depth.bids.is_empty()
    });
    // A small pool may be sold out.
    let one_sided = one_sided.count();
    assert!(one_sided <= 6, "{one_sided} books have one side");
    let crossed = market.instruments().filter(|instrument| {
        let depth = market.depth(instrument.listed.instrument, next);
        let best = depth.asks.first().zip(depth.bids.first());
        best.is_some_and(|(ask, bid)| ask.price <= bid.price)
    });
    assert_eq!(crossed.count(), 0);
    stop(started);
    for (least, what) in [
        (200, "SELECT count(*) FROM trades"),
        (50, "SELECT count(*) FROM orders WHERE done = 'cancelled'"),
        (500, "SELECT count(*) FROM settlements"),
        (
            25,
            "SELECT count(DISTINCT t.instruments) FROM trades JOIN orders t ON t.id = sell",
        ),
        (
            20,
            "SELECT count(*) FROM commands c JOIN orders o ON o.client_id = c.body->>'client_id'
             WHERE c.body->>'do' = 'replace_order' AND o.side = 'sell'
             AND (c.body->>'price')::bigint > (
                 SELECT (p.body->>'price')::bigint FROM commands p WHERE p.seq = o.command)",
        ),
        (
            20,
            "SELECT count(*) FROM commands c JOIN orders o ON o.client_id = c.body->>'client_id'
             WHERE c.body->>'do' = 'replace_order' AND o.side = 'sell'
             AND (c.body->>'price')::bigint < (
                 SELECT (p.body->>'price')::bigint FROM commands p WHERE p.seq = o.command)",
        ),
    ] {
        let found = count(&database, what).await;
        assert!(found >= least, "{found} of {least}: {what}");
    }
    let refused = count(
        &database,
        "SELECT count(*) FROM commands WHERE rejected IS NOT NULL",
    );
    assert_eq!(refused.await, 0, "what traders do can be done");
    let report = sluice::audit::run(&database.url).await.expect("it runs");
    assert!(report.ok, "{report:#?}");
}

#[tokio::test]
async fn a_database_keeps_the_purpose_that_it_was_first_used_for() {
    use Purpose::{Demonstration, Earnest, Replay};
    for first in [Earnest, Demonstration, Replay] {
        let database = fresh_database().await;
        let mut connection = database.pool.acquire().await.expect("a connection");
        let claimed = purpose::claim(&mut connection, first).await;
        claimed.expect("nobody has used it");
        for wanted in [Earnest, Demonstration, Replay] {
            let claimed = purpose::claim(&mut connection, wanted).await;
            assert_eq!(claimed.is_ok(), wanted == first, "{first:?}, {wanted:?}");
        }
        let changed =
            sqlx::query("UPDATE purpose SET purpose = 'earnest'").execute(&mut *connection);
        assert!(changed.await.is_err(), "nobody changes it");
        if first != Demonstration {
            let opened = demo::open(&database.pool, hour(0), USD_CNY).await;
            assert!(opened.is_err(), "no logins beside {first:?}");
            let logins = count(&database, "SELECT count(*) FROM users").await;
            assert_eq!(logins, 0);
        }
    }
}

async fn count(database: &TestDatabase, sql: &'static str) -> i64 {
    let found = sqlx::query_scalar(sql).fetch_one(&database.pool).await;
    found.unwrap_or_else(|e| panic!("{sql}: {e}"))
}

/// Every command with its number, its instant and who sent it.
async fn stamped(database: &TestDatabase) -> Vec<(i64, String, String, String)> {
    let sql = "SELECT seq, at::text, actor, body::text FROM commands ORDER BY seq";
    let rows = sqlx::query_as(sql).fetch_all(&database.pool).await;
    rows.expect("the log is read")
}

#[tokio::test]
async fn whoever_reads_the_logins_can_use_them_and_they_stay() {
    let app = TestApp::start().await;
    let db = &app.database.pool;
    let mut connection = db.acquire().await.expect("a connection");
    let claimed = purpose::claim(&mut connection, Purpose::Demonstration).await;
    claimed.expect("nobody has used it");
    let opened = demo::open(db, hour(0), USD_CNY).await.expect("it opens");
    let people: Vec<(&str, &str)> = opened
        .logins
        .iter()
        .map(|login| (login.login.as_str(), login.role.as_str()))
        .collect();
    let expected = [
        ("demo-buyer", "owner"),
        ("demo-provider", "owner"),
        ("demo-operations", "operations"),
        ("demo-arbiter-1", "arbiter"),
        ("demo-arbiter-2", "arbiter"),
        ("demo-auditor", "auditor"),
    ];
    assert_eq!(people, expected);
    for login in &opened.logins {
        let mut person = Visitor::new(&app);
        let password = login.password.as_deref().expect("nobody has changed it");
        let fields = [("login", login.login.as_str()), ("password", password)];
        let page = person.post("/sign-in", &fields).await;
        if let Some(secret) = &login.secret {
            assert_eq!(page.location(), "/second-factor?next=/", "{}", login.login);
            let fields = [("code", code(secret, 0))];
            let fields = fields.each_ref().map(|(name, code)| (*name, code.as_str()));
            let page = person.post("/second-factor", &fields).await;
            assert_eq!(page.location(), "/", "{}", login.login);
        } else {
            assert_eq!(page.location(), "/", "{}", login.login);
        }
        let page = person.get("/settings").await;
        assert_eq!(page.status, StatusCode::OK, "{}", login.login);
        assert!(page.body.contains(&login.login));
        if login.login == "demo-provider" {
            let page = person.get("/provide").await;
            assert_eq!(
                page.status,
                StatusCode::OK,
                "it is certified: {}",
                page.body
            );
        }
    }
    let again = demo::open(db, hour(9), USD_CNY).await.expect("it opens");
    assert_eq!(again.logins, opened.logins);
    let change = "UPDATE users SET password_hash = 'another' WHERE login = 'demo-buyer'";
    sqlx::query(change)
        .execute(db)
        .await
        .expect("it is changed");
    let again = demo::open(db, hour(9), USD_CNY).await.expect("it opens");
    assert_eq!(
        again.logins[0].password, None,
        "one that is no longer right is not shown"
    );
    assert!(again.logins[0].to_string().contains("(changed since)"));
    assert_eq!(again.logins[1..], opened.logins[1..]);
    drop(connection);
    app.stop().await;
}

#[tokio::test]
async fn every_page_of_a_demonstration_says_that_it_is_one() {
    let app = TestApp::start().await;
    let mut reader = Visitor::new(&app);
    for path in [
        "/",
        "/sign-in",
        "/market/A100-80GB.GUZ-GAN.SILVER",
        "/nowhere",
    ] {
        let page = reader.get(path).await;
        let banner = page.text(".banner");
        assert_eq!(
            banner, "Demonstration Test money and simulated delivery.",
            "{path}"
        );
    }
    app.stop().await;
    let earnest = Options::default();
    let app = TestApp::with_options(Rules::none(), Limits::default(), earnest).await;
    let mut reader = Visitor::new(&app);
    for path in ["/", "/nowhere"] {
        assert_eq!(
            reader.get(path).await.texts(".banner"),
            Vec::<String>::new()
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn the_customers_leases_fail_now_and_then_and_a_dispute_waits_for_a_second_ruling() {
    let database = fresh_database().await;
    let mut connection = database.pool.acquire().await.expect("a connection");
    let claimed = purpose::claim(&mut connection, Purpose::Demonstration).await;
    claimed.expect("nobody has used it");
    let db = &database.pool;
    let opened = demo::open(db, hour(demo::PAST_HOURS), USD_CNY).await;
    let opened = opened.expect("it opens");
    assert!(opened.has_past_ahead);
    assert_eq!(
        (opened.begins, opened.opens),
        (hour(0), hour(demo::PAST_HOURS))
    );
    let rules = sluice::rules::load(None).expect("the standard rules");
    let (started, _) = start(&database.url, rules).await;
    let listed = demo::list(db, &started, opened.begins, &opened.cast).await;
    listed.expect("the market is listed");
    live(&database, &started, &opened.cast, hour(36)).await;
    let market = started.feed.market().clone();
    for _ in 0..2 {
        let room = demo::open_room(db, &opened.cast, &market).await;
        room.expect("the room is opened");
    }
    stop(started);
    let customer = "(SELECT participant FROM users WHERE login = 'demo-buyer')";
    for (least, what) in [
        (
            3,
            format!("SELECT count(*) FROM leases WHERE holder = {customer}"),
        ),
        (
            1,
            format!("SELECT count(*) FROM leases WHERE holder = {customer} AND NOT ended"),
        ),
        (
            2,
            format!("SELECT count(*) FROM leases WHERE holder = {customer} AND credited > 0"),
        ),
        (
            3,
            format!(
                "SELECT count(*) FROM settlements s JOIN leases l ON l.id = s.lease
                     WHERE holder = {customer} AND s.refunded > 0"
            ),
        ),
        (
            1,
            format!("SELECT count(*) FROM orders WHERE participant = {customer} AND done IS NULL"),
        ),
    ] {
        let found: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(what.clone()))
            .fetch_one(db)
            .await
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(found >= least, "{found} of {least}: {what}");
    }
    let room: (i64, String, String, i64, bool) = sqlx::query_as(
        "SELECT count(*) OVER (), r.reason, r.proposal_state,
             (SELECT count(*) FROM dispute_messages m WHERE m.dispute = r.id),
             r.award < r.claimed AND r.award > 0 AND r.ruled_at IS NULL
                 AND r.proposal_state = 'open' AND r.is_answered
         FROM dispute_rooms r",
    )
    .fetch_one(db)
    .await
    .expect("one dispute");
    let expected = (1, "interconnect".to_owned(), "open".to_owned(), 4, true);
    assert_eq!(room, expected);
    let acts = "SELECT count(*) FROM acts WHERE act = 'propose_ruling' AND subject = 'd1'";
    assert_eq!(count(&database, acts).await, 1);
    let again = demo::open(db, hour(90), USD_CNY).await.expect("it opens");
    assert!(again.has_past_ahead, "it is not at its end yet");
    assert_eq!(again.opens, opened.opens, "and that stays where it was");
    let report = sluice::audit::run(&database.url).await.expect("it runs");
    assert!(report.ok, "{report:#?}");
}
