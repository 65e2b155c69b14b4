//! The guide: what the rule set in force says, and which ones are to come.

use market::{Command, Money};
use sluice::web::server::Limits;

use crate::support::app::TestApp;
use crate::support::market::hour;
use crate::support::visitor::Visitor;

#[tokio::test]
async fn rule_sets_that_are_to_come_stand_beside_the_one_in_force() {
    let mut rules = sluice::rules::load(None).expect("the standard rules");
    rules.version = 1;
    let app = TestApp::with(rules.clone(), Limits::default()).await;
    let mut reader = Visitor::new(&app);
    let page = reader.get("/guide").await;
    assert_eq!(page.text("#rule-sets .tag"), "v1 in force");
    assert!(!page.has(".to-come"), "{}", page.body);
    let mut second = rules;
    second.version = 2;
    second.bond_bps = 1200;
    second.bands.highest = Money(500_000);
    let mut third = second.clone();
    third.version = 3;
    third.claim_window_hours = 96;
    for (rules, from) in [(second, hour(30)), (third, hour(60))] {
        let rules = Box::new(rules);
        app.submit(Command::SetRules { rules, from }).await;
    }
    let page = reader.get("/guide").await;
    assert_eq!(page.text("#rule-sets .tag"), "v1 in force");
    // 2026-10-25 00:00Z and 30 hours more, in UTC+8.
    assert_eq!(
        page.texts(".to-come h3"),
        [
            "v2, from Mon 26 Oct 14:00 UTC+8",
            "v3, from Tue 27 Oct 20:00 UTC+8"
        ]
    );
    let rows = page.rows("#v2 tbody tr");
    let rows: Vec<&str> = rows.iter().map(|row| row.trim()).collect();
    assert!(rows.len() == 2, "only what changes: {rows:?}");
    assert!(
        rows[0].contains("10%") || rows[0].contains("10 %"),
        "{rows:?}"
    );
    assert!(rows[0].contains("12"), "{rows:?}");
    assert!(rows[1].contains("50.00"), "{rows:?}");
    // Each stands against the one before it, so the third changes one thing.
    let rows = page.rows("#v3 tbody tr");
    assert_eq!(rows.len(), 1, "{rows:?}");
    app.clock().set(hour(31));
    app.submit(Command::Tick).await;
    let page = reader.get("/guide").await;
    assert_eq!(page.text("#rule-sets .tag"), "v2 in force");
    assert_eq!(page.texts(".to-come h3").len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn each_service_level_says_what_it_promises_excuses_credits_and_when_it_is_broken() {
    let rules = sluice::rules::load(None).expect("the standard rules");
    let app = TestApp::with(rules, Limits::default()).await;
    let mut reader = Visitor::new(&app);
    let levels = reader.get("/guide").await.rows("#levels + table tbody tr");
    assert_eq!(levels.len(), 3, "{levels:?}");
    for said in [
        "99%",
        "below 90%: 10% of the lease’s price",
        "Declared 48 hours ahead: up to 0.5% of the unit-minutes owed",
        "No acceptance passed 30 minutes after the start",
        "120 minutes missing in a row",
        "penalty: 10% of the price",
    ] {
        assert!(levels[1].contains(said), "{said}: {levels:?}");
    }
    assert!(levels[2].contains("Counts as missing"), "{levels:?}");
    let mut other = sluice::rules::load(None).expect("the standard rules");
    other.version += 1;
    let silver = other.service_levels.get_mut("SILVER").expect("a level");
    silver.grace_minutes = 45;
    silver.maintenance_bps = 0;
    app.submit(Command::SetRules {
        rules: Box::new(other),
        from: hour(30),
    })
    .await;
    let page = reader.get("/guide").await;
    let changes = page.rows(".to-come tbody tr");
    assert_eq!(changes.len(), 1, "{changes:?}");
    for said in [
        "30 minutes after",
        "45 minutes after",
        "0.5%",
        "Counts as missing",
    ] {
        assert!(changes[0].contains(said), "{said}: {changes:?}");
    }
    reader.sends = vec![("accept-language", "zh-CN".to_owned())];
    let levels = reader.get("/guide").await.rows("#levels + table tbody tr");
    assert!(levels[1].contains("至少提前 48 小时申报"), "{levels:?}");
    assert!(levels[2].contains("一律按缺失计"), "{levels:?}");
    app.stop().await;
}
