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
