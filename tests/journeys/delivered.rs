//! What the pages of a lease tell of its delivery: the way in from its start on, what happened, who
//! was believed, what probes found; and the cases that somebody has to look at.

use axum::http::StatusCode;
use market::Rules;
use sluice::delivery::probes::Reason;
use sluice::web::Role;

use crate::delivery::{Site, minutes};
use crate::machines::silver;
use crate::support::machine::Machine;
use crate::support::market::{BUYER, PROVIDER, bid};
use crate::support::people;
use crate::support::visitor::{Page, Visitor};

const WAY_IN: &str = "ssh -p 22000 sluice-l1@127.0.0.1";

/// The hours' rows of a page as it has them, the latest first.
fn believed(page: &Page) -> Vec<String> {
    page.texts(".believed tbody tr")
        .iter()
        .map(|row| row.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[tokio::test]
async fn the_way_in_is_shown_from_the_start_on_and_to_its_holder_alone() {
    let site = Site::with(Rules::none()).await;
    let mut machine = Machine::enrolled(&site.app, "one", 8).await;
    site.app.submit(bid("b1", 8, 100_000, (1, 3))).await;
    let mut holder = people::member(&site.app, BUYER.0, &[Role::Buyer], "ada").await;
    let mut operator = people::member(&site.app, PROVIDER.0, &[Role::Operator], "wang").await;
    site.set(0, 50);
    site.placed(1).await;
    let before = holder.get("/leases/l1").await;
    assert!(
        before.text("#login").contains("made ready before"),
        "{}",
        before.body
    );
    machine.say(1, "prepared", site.now()).await;
    // Nothing on the page tells it early, what shows the step neither.
    for (visitor, path) in [
        (&mut holder, "/leases/l1"),
        (&mut operator, "/provide/leases/l1"),
    ] {
        let page = visitor.get(path).await;
        assert!(page.body.contains("the way in is there"), "{}", page.body);
        assert!(!page.body.contains("22000"), "{path}: {}", page.body);
    }
    let ready = holder.get("/leases/l1").await;
    assert!(ready.text("#login").contains("is ready"), "{}", ready.body);
    site.set(1, 0);
    let begun = holder.get("/leases/l1").await;
    assert_eq!(begun.texts("#login .door > code"), [WAY_IN]);
    let others = people::participant(&site.app, "白鹭渲染").await;
    let mut other = people::member(&site.app, others, &[Role::Buyer], "bob").await;
    let refused = other.get("/leases/l1").await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    let provides = operator.get("/provide/leases/l1").await;
    assert!(!provides.body.contains(WAY_IN), "{}", provides.body);
    site.set(3, 0);
    let over = holder.get("/leases/l1").await;
    assert!(!over.has("#login .door"), "{}", over.body);
    assert!(over.text("#login").contains("24 hours"), "{}", over.body);
    site.stop().await;
}

#[tokio::test]
async fn every_side_reads_who_was_believed_and_what_it_comes_to() {
    let site = Site::with(silver()).await;
    let mut machine = Machine::enrolled(&site.app, "one", 8).await;
    site.app.submit(bid("b1", 8, 100_000, (1, 3))).await;
    let mut holder = people::member(&site.app, BUYER.0, &[Role::Buyer], "ada").await;
    site.set(0, 50);
    site.placed(1).await;
    machine.say(1, "prepared", site.now()).await;
    site.set(1, 2);
    site.accept(1).await;
    let vantage = site.vantages(1).await[0];
    site.probe(vantage, (1, machine.host), Reason::Refused)
        .await;
    // Minutes 0 and 1 are before the first passed probe; 10 to 12 never ran; 20 and 21 are missing.
    let mut told = minutes(1, 2..10, 8);
    told.extend(minutes(1, 10..13, 0));
    told.extend(minutes(1, 13..20, 8));
    told.extend(minutes(1, 22..30, 8));
    let told = machine.sign(1, &told);
    site.set(1, 30);
    machine.tell(&told).await;
    let so_far = holder.get("/leases/l1").await;
    // The probe that was not let in counts for a quarter of an hour: 2 to 16 are denied.
    let proven = 8 * (3 + 8);
    let rows = believed(&so_far);
    assert_eq!(rows.len(), 1);
    for part in [
        &*format!("{proven} / 240"),
        "16 before the first passed probe",
        "96 readings that probes deny",
        "24 not running by the agent’s own word",
        "16 no reading",
        "in course: so far",
    ] {
        assert!(rows[0].contains(part), "{part} is not in {}", rows[0]);
    }
    assert!(so_far.text(".reckoned").contains("no hour is settled yet"));
    // ¥160 at 10.00; of the hour that is left, ¥80, a fifth.
    assert!(
        so_far.text(".reckoned").contains("¥16.00"),
        "{}",
        so_far.body
    );
    site.set(2, 11);
    site.until("the hour is settled", async || {
        (site.settled(1).await == [proven]).then_some(())
    })
    .await;
    site.until("its holder is warned", async || {
        let ways = site.ways(1).await;
        (ways.last()?.0 == "ending").then_some(())
    })
    .await;
    let mut operator = people::member(&site.app, PROVIDER.0, &[Role::Operator], "wang").await;
    let mut auditor = people::of_platform(&site.app, Role::Auditor).await;
    for (visitor, path) in [
        (&mut holder, "/leases/l1"),
        (&mut operator, "/provide/leases/l1"),
        (&mut auditor, "/ops/leases/l1"),
    ] {
        let page = visitor.get(path).await;
        let reckoned = page.text(".reckoned");
        let reckoned = reckoned.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "= delivered 88 ÷ (owed 480 − excused 0) = 18.33%",
            "99% is promised",
            "Below the step of 90%",
            "¥160.00 × 30% = ¥48.00",
        ] {
            assert!(
                reckoned.contains(part),
                "{path}: {part} is not in {reckoned}"
            );
        }
        let rows = believed(&page);
        assert_eq!(rows.len(), 2, "{path}: {rows:?}");
        assert!(rows[1].contains("88 / 480"), "{path}: {rows:?}");
        assert!(rows[1].ends_with("settled"), "{path}: {rows:?}");
        let way = page.texts(".way .tag");
        assert_eq!(
            way,
            [
                "Ending soon",
                "Running",
                "To be accepted",
                "Preparing",
                "Scheduled"
            ],
            "{path}"
        );
        let probes = page.text(".probes");
        assert!(probes.contains("was not let in"), "{path}: {probes}");
    }
    site.stop().await;
}

#[tokio::test]
async fn a_case_is_seen_by_both_sides_and_closed_once() {
    let site = Site::with(Rules::none()).await;
    let mut machine = Machine::enrolled(&site.app, "one", 8).await;
    site.app.submit(bid("b1", 8, 100_000, (1, 2))).await;
    site.placed(1).await;
    site.accept(1).await;
    site.set(2, 0);
    // More units than there are.
    let many = machine.sign(1, &minutes(1, 0..1, 9));
    machine.tell(&many).await;
    let mut operations = people::of_platform(&site.app, Role::Operations).await;
    let mut auditor = people::of_platform(&site.app, Role::Auditor).await;
    let mut operator = people::member(&site.app, PROVIDER.0, &[Role::Operator], "wang").await;
    let seen = "/provide/pools/p1/machines";
    let case = async |visitor: &mut Visitor| visitor.get(seen).await.text(".machine .case");
    assert!(case(&mut operator).await.contains("can’t be true"));
    let desk = operations.get("/ops").await;
    assert!(desk.has("a[href='/ops/cases']"), "{}", desk.body);
    let form = "form[action='/ops/cases/1/close']";
    assert!(!auditor.get("/ops/cases").await.has(form));
    let page = operations.get("/ops/cases").await;
    assert!(
        page.has("#case-1 a[href='/ops/leases/l1']"),
        "{}",
        page.body
    );
    let unsaid = operations.submit(&page, form, &[]).await;
    assert!(unsaid.has("#note-1-error"), "{}", unsaid.body);
    let note = [("note", "the machine was installed anew")];
    let closed = operations.submit(&page, form, &note).await;
    assert_eq!(closed.location(), "/ops/cases?closed");
    let late = operations.submit(&page, form, &note).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    let open = operations.get("/ops/cases").await;
    assert!(!open.has(".case-row"), "{}", open.body);
    let past = auditor.get("/ops/cases?state=closed").await;
    assert!(past.text("#case-1").contains("installed anew"));
    assert!(!operator.get(seen).await.has(".machine .case"));
    site.stop().await;
}

#[tokio::test]
async fn a_lease_without_machines_says_nothing_of_them() {
    let site = Site::with(silver()).await;
    site.app.submit(bid("b1", 8, 100_000, (1, 3))).await;
    let mut holder = people::member(&site.app, BUYER.0, &[Role::Buyer], "ada").await;
    site.set(1, 0);
    let page = holder.get("/leases/l1").await;
    assert_eq!(page.status, StatusCode::OK);
    for part in [".believed", ".way", ".probes", ".door"] {
        assert!(!page.has(part), "{part}: {}", page.body);
    }
    // What its service level makes of it is said all the same.
    assert!(page.text(".reckoned").contains("99% is promised"));
    site.stop().await;
}
