//! Late evidence: every page shows a corrected hour as it stands, and the entry of the difference.

use axum::http::StatusCode;
use market::{Command, Delivered, LeaseId, Money};
use sluice::audit;
use sluice::web::Role;
use sluice::web::server::Limits;

use crate::support::app::TestApp;
use crate::support::market::{BUYER, PROVIDER, bid, deliver, hour};
use crate::support::people;

/// What late evidence says that an hour of the lease `l1` got, in minutes for each unit.
fn correct(after: i64, minutes: i64) -> Command {
    Command::Correct {
        lease: LeaseId(1),
        hour: hour(after),
        delivered: Delivered::Minutes(minutes),
        excused: 0,
    }
}

#[tokio::test]
async fn a_corrected_hour_is_shown_as_it_stands_on_every_sides_pages() {
    let rules = sluice::rules::load(None).expect("the standard rules");
    let app = TestApp::with(rules, Limits::default()).await;
    // Eight units at 10.00 for four hours; the second lacks 20 minutes, then all, then none, and the
    // first half of it after all.
    app.submit(bid("late", 8, 100_000, (1, 5))).await;
    app.clock().set(hour(3));
    app.submit(deliver(1, 1, 60)).await;
    app.submit(deliver(1, 2, 40)).await;
    app.submit(correct(2, 0)).await;
    app.submit(correct(2, 60)).await;
    app.submit(correct(1, 30)).await;
    let lease = app.app.feed.market().lease(LeaseId(1)).cloned();
    let lease = lease.expect("the bid has traded");
    assert_eq!((lease.delivered, lease.earned), (720, Money(1_200_000)));

    let mut buyer = people::member(&app, BUYER.0, &[Role::Owner], "bea").await;
    let page = buyer.get("/leases/l1").await;
    let hours = page.rows("table.hours tbody tr");
    assert!(hours[0].contains("240 / 480"), "{hours:?}");
    assert!(hours[1].contains("480 / 480"), "{hours:?}");
    assert!(!page.body.contains("26.6667"), "{}", page.body);
    // The refund of 26.6667 came and went; its entry says so still, and so do those of the others.
    let statement = buyer.get("/wallet").await;
    assert!(
        statement.body.contains("Hour corrected"),
        "{}",
        statement.body
    );
    let entries: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM journal_entries WHERE reason = 'correction' ORDER BY id",
    )
    .fetch_all(&app.database.pool)
    .await
    .expect("the entries are read");
    assert_eq!(entries.len(), 3);
    for entry in &entries {
        let page = buyer.get(&format!("/wallet/entries/e{entry}")).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(
            page.text("h1").contains("Hour corrected"),
            "{}",
            page.text("h1")
        );
        assert!(page.body.contains("correct a reading"), "{}", page.body);
    }

    let mut provider = people::member(&app, PROVIDER.0, &[Role::Owner], "pat").await;
    let page = provider.get("/provide/leases/l1").await;
    let hours = page.rows("[sse-swap=hours] tbody tr");
    assert!(
        hours[1].contains("480 / 480 | 78.4000 | 1.6000 | 0.0000"),
        "{hours:?}"
    );
    let page = provider.get("/provide").await;
    let shown = page.texts(".figures dd:nth-child(2)");
    assert_eq!(shown[0], "¥117.60");
    let captions = page.texts(".figures .caption");
    assert!(captions[1].contains("¥39.20 is cash at"), "{captions:?}");

    let mut auditor = people::of_platform(&app, Role::Auditor).await;
    let page = auditor.get("/ops/leases/l1").await;
    assert!(page.body.contains("480"), "{}", page.body);
    assert!(page.body.contains("Hour corrected"), "{}", page.body);
    let journal = auditor.get("/ops/journal?reason=correction").await;
    assert_eq!(journal.status, StatusCode::OK);
    for entry in entries {
        assert!(
            journal.body.contains(&format!("J-{entry}")),
            "{}",
            journal.body
        );
    }

    let report = audit::run(&app.database.url).await;
    let report = report.expect("the audit runs");
    assert!(report.ok, "{report:#?}");
    app.stop().await;
}
