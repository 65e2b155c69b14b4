//! Machines and what they delivered, as their provider, a holder and operations see them.

use std::time::Duration;

use market::Rules;
use sluice::delivery::keeper::Keeper;
use sluice::delivery::probes;
use sluice::web::Role;
use sluice::web::server::Limits;
use tokio_util::sync::CancellationToken;

use crate::app::TestApp;
use crate::machine::{self, Machine};
use crate::market::{BUYER, PROVIDER, bid, hour};
use crate::people::{member, of_platform};
use crate::support::Person;

/// What a machine of the grade says that it has, but for one card.
const INVENTORY: &str = r#"{"accelerators": [
    {"model": "NVIDIA A100-SXM4-80GB", "identity": "GPU-1", "memory_mib": 81920, "healthy": true},
    {"model": "NVIDIA A100-SXM4-80GB", "identity": "GPU-2", "memory_mib": 81920, "healthy": true},
    {"model": "NVIDIA A100-SXM4-80GB", "identity": "GPU-3", "memory_mib": 81920, "healthy": true},
    {"model": "NVIDIA A100-SXM4-80GB", "identity": "GPU-4", "memory_mib": 81920, "healthy": true},
    {"model": "NVIDIA A100-SXM4-80GB", "identity": "GPU-5", "memory_mib": 81920, "healthy": true},
    {"model": "NVIDIA A100-SXM4-80GB", "identity": "GPU-6", "memory_mib": 81920, "healthy": true},
    {"model": "NVIDIA A100-SXM4-80GB", "identity": "GPU-7", "memory_mib": 81920, "healthy": true},
    {"model": "NVIDIA A100-SXM4-80GB", "identity": "GPU-8", "memory_mib": 81920, "healthy": HEALTHY}],
    "cpus": 128, "memory_mib": 1048576, "disk_mib": 7340032, "cgroups": "v2", "problems": []}"#;

/// Does something in the tables, for what nobody here is at hand.
async fn write(app: &TestApp, sql: &'static str) {
    let written = sqlx::query(sql).execute(&app.database.pool).await;
    written.expect("it is written");
}

/// The minutes of an hour after the opening, with so many units each.
fn minutes(hours: i64, of: std::ops::Range<i64>, units: u32) -> Vec<(reading::Minute, u32)> {
    let at = |minute: i64| sluice::clock::instant(hour(hours).plus_minutes(minute));
    of.map(|minute| (reading::Minute::of(at(minute)).expect("a minute"), units))
        .collect()
}

/// Waits until a query finds something.
async fn until(app: &TestApp, query: &'static str) {
    for _ in 0..200 {
        let found = sqlx::query_scalar::<_, i64>(query);
        let found = found.fetch_optional(&app.database.pool).await;
        if found.expect("the tables can be read").is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not come about: {query}");
}

/// Three machines, one of them silent and one without an agent; a lease whose first hour is settled
/// and whose second is in course, with what probes found and a case.
async fn delivered(app: &TestApp) {
    let mut good = Machine::enrolled(app, "gpu-a1", 8).await;
    Machine::enrolled(app, "gpu-a2", 8).await;
    machine::registered(app, "gpu-a3", 8).await;
    write(
        app,
        "UPDATE agents SET seen_at = seen_at - interval '20 minutes',
                    clock_ahead_ms = -7250, waiting = 1312, program = '0.1.0' WHERE id = 2",
    )
    .await;
    app.submit(bid("web-machines", 8, 150_000, (1, 7))).await;
    app.clock().set(hour(0).plus_minutes(50));
    until(app, "SELECT stay FROM stays").await;
    let now = || sluice::clock::instant(app.clock().now());
    good.say(1, "prepared", now()).await;
    app.clock().set(hour(1).plus_minutes(2));
    for (name, key) in [("上海", 1), ("成都", 2), ("广州", 3)] {
        let added = probes::add(&app.database.pool, name, &[key; 32], now()).await;
        added.expect("a vantage is added");
    }
    write(app, "UPDATE stays SET accepted_at = '2026-10-25T01:02Z'").await;
    write(
        app,
        r#"INSERT INTO probe_spans
            (stay, host, vantage, first_at, last_at, probes, passed, reason, evidence)
         SELECT 1, 1, v, timestamptz '2026-10-25T01:02Z', timestamptz '2026-10-25T01:40Z', 9, true, 'passed',
            '{"account": "sluice-l1", "cpus": 128, "memory_mib": 996147}'::jsonb
         FROM generate_series(1, 3) v UNION ALL
         SELECT 1, 1, v, timestamptz '2026-10-25T01:41Z', timestamptz '2026-10-25T01:44Z', 4, false, 'unreachable',
            '{"said": "connection refused"}'::jsonb FROM generate_series(1, 2) v UNION ALL
         SELECT 1, 1, v, timestamptz '2026-10-25T01:45Z', timestamptz '2026-10-25T02:30Z', 10, true, 'passed',
            '{"account": "sluice-l1", "cpus": 128, "memory_mib": 996147}'::jsonb
         FROM generate_series(1, 2) v"#,
    )
    .await;
    let mut told = minutes(1, 2..10, 8);
    told.extend(minutes(1, 10..14, 0));
    told.extend(minutes(1, 14..52, 8));
    told.extend(minutes(1, 54..60, 8));
    let told = good.sign(1, &told);
    app.clock().set(hour(2));
    good.tell(&told).await;
    app.clock().set(hour(2).plus_minutes(31));
    until(app, "SELECT lease FROM settlements").await;
    let told = good.sign(1, &minutes(2, 0..29, 8));
    good.tell(&told).await;
    good.beat().await;
    let inventory = INVENTORY.replace("HEALTHY", "false");
    let has = sqlx::query("UPDATE agents SET inventory = $1::jsonb, program = '0.1.0'");
    let has = has.bind(inventory).execute(&app.database.pool).await;
    has.expect("they have it");
    // The keeper has opened one for the minutes that probes deny.
    write(
        app,
        r#"INSERT INTO delivery_cases (agent, stay, kind, opened_at, evidence)
           VALUES (2, NULL, 'wrong_signature', '2026-10-25T02:12Z', '{"readings": 60}')"#,
    )
    .await;
    write(
        app,
        "INSERT INTO maintenances
             (pool, form_id, start_at, end_at, note, declared_at, declared_by)
         VALUES (1, 'form-of-browser-1', '2026-10-25T05:00Z', '2026-10-25T07:00Z',
                 '更换二号配电柜', '2026-10-22T01:00Z', NULL),
                (1, 'form-of-browser-2', '2026-10-25T03:00Z', '2026-10-25T04:00Z',
                 '紧急更换风扇', '2026-10-25T02:20Z', NULL)",
    )
    .await;
}

async fn look_in(language: &'static str) {
    let rules: Rules = sluice::rules::load(None).expect("the standard rules");
    let app = TestApp::with(rules, Limits::default()).await;
    let keeper = Keeper {
        db: app.database.pool.clone(),
        sequencer: app.app.sequencer.clone(),
        feed: app.app.feed.clone(),
        clock: app.app.clock.clone(),
    };
    let stop = CancellationToken::new();
    let keeping = tokio::spawn(keeper.run(stop.clone()));
    delivered(&app).await;
    let operator = member(&app, PROVIDER.0, &[Role::Owner], "wang").await;
    let holder = member(&app, BUYER.0, &[Role::Owner], "ada").await;
    let operations = of_platform(&app, Role::Operations).await;
    let person = Person::new(&app, language).await;
    person.become_another(&operator).await;
    person.go("/provide/pools/p1").await;
    person.look("pool-with-machines").await;
    person.go("/provide/pools/p1/machines").await;
    person.find(".machine .tag.teal").await;
    person.look("machines").await;
    // A machine that is silent is there again without anybody loading the page.
    write(&app, "UPDATE agents SET seen_at = now() WHERE id = 2").await;
    person.find(".machine:nth-child(2) .tag.teal").await;
    person.click("form[action$='/3/token'] button").await;
    person.find("#command").await;
    person.look("machines-token").await;
    person.go("/provide/leases/l1").await;
    person.look("provider-lease-with-machines").await;
    person.become_another(&holder).await;
    person.go("/leases/l1").await;
    person.find(".believed tbody tr").await;
    person.click(".way details summary").await;
    person.look("lease-with-machines").await;
    person.go("/market/A100-80GB.GUZ-GAN.SILVER/confirm?day=2026-10-26&hour=9&hours=4&units=8&price=12.00").await;
    person.look("confirm-with-level").await;
    person.become_another(&operations).await;
    person.go("/ops/leases/l1").await;
    person.look("ops-lease-with-machines").await;
    person.go("/ops/cases").await;
    person
        .click(".case-row:first-child > details summary")
        .await;
    person.click("form[action$='/close'] button").await;
    person.find(".field-error").await;
    person.look("cases").await;
    person.browser.close().await;
    stop.cancel();
    keeping.await.expect("the keeper does not panic");
    app.stop().await;
}

#[tokio::test]
async fn machines_and_their_leases_can_be_looked_at_in_chinese() {
    look_in("zh-CN").await;
}

#[tokio::test]
async fn machines_and_their_leases_can_be_looked_at_in_english() {
    look_in("en").await;
}
