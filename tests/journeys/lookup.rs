//! One box finds whatever has a number or a name, and from any of it the chain leads to the
//! money: order, trade, lease, hours, journal entries.

use axum::http::StatusCode;
use market::{Command, LeaseId, Money, ParticipantId, PoolId};
use sluice::web::Role;
use sluice::web::identifier::{Identifier, Subject};
use sluice::web::server::Limits;

use crate::support::app::TestApp;
use crate::support::market::{bid, deliver, hour};
use crate::support::people;
use crate::support::visitor::{Page, Visitor};

/// The order o2 becomes the lease l1, of which two hours are settled; its holder claims.
async fn traded() -> TestApp {
    let rules = sluice::rules::load(None).expect("the standard rules");
    let app = TestApp::with(rules, Limits::default()).await;
    app.submit(bid("web-first", 8, 100_000, (1, 5))).await;
    app.clock().set(hour(2));
    app.submit(deliver(1, 1, 60)).await;
    app.clock().set(hour(3));
    app.submit(deliver(1, 2, 47)).await;
    app.submit(Command::OpenDispute {
        participant: ParticipantId(2),
        lease: LeaseId(1),
        amount: Money(500_000),
    })
    .await;
    app
}

async fn auditor(app: &TestApp) -> Visitor {
    people::of_platform(app, Role::Auditor).await
}

/// The addresses of the links in an element.
fn links(page: &Page, selector: &str) -> Vec<String> {
    let selector = scraper::Selector::parse(&format!("{selector} a")).expect("a selector");
    let html = scraper::Html::parse_document(&page.body);
    let found = html.select(&selector);
    found
        .filter_map(|link| link.attr("href").map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn one_hit_leads_straight_there() {
    let app = traded().await;
    people::member(&app, 2, &[Role::Buyer], "Ada@tinglan.example").await;
    let mut auditor = auditor(&app).await;
    for (typed, place) in [
        ("o2", "/ops/orders/o2"),
        ("%20O2%20", "/ops/orders/o2"),
        ("%EF%BD%8F%EF%BC%92", "/ops/orders/o2"),
        ("web-first", "/ops/orders/o2"),
        ("t1", "/ops/trades/t1"),
        ("l1", "/ops/leases/l1"),
        ("n2", "/ops/participants/n2"),
        ("N0", "/ops/participants/n0"),
        ("J-3", "/ops/journal/3"),
        ("d1", "/disputes/d1"),
        ("%E5%90%AC%E6%BE%9C", "/ops/participants/n2"),
        ("ada%40TINGLAN.example", "/ops/participants/n2"),
    ] {
        let page = auditor.get(&format!("/ops/search?q={typed}")).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{typed}: {}", page.body);
        assert_eq!(page.location(), place, "{typed}");
    }
    app.stop().await;
}

#[tokio::test]
async fn an_identifier_leads_to_its_provider() {
    let app = traded().await;
    let provider = Identifier(Subject::Provider(ParticipantId(1)));
    let pool = Identifier(Subject::Pool(PoolId(1)));
    for (identifier, kind) in [(provider, "provider"), (pool, "pool")] {
        let insert = "INSERT INTO identifiers (identifier, kind, subject, issued_at)
             VALUES ($1, $2, 1, now())";
        let inserted = sqlx::query(insert).bind(identifier.compact()).bind(kind);
        let inserted = inserted.execute(&app.database.pool).await;
        inserted.expect("an identifier is given out");
    }
    let mut auditor = auditor(&app).await;
    for identifier in [provider, pool] {
        for typed in [identifier.to_string(), identifier.compact().to_lowercase()] {
            let page = auditor.get(&format!("/ops/search?q={typed}")).await;
            assert_eq!(page.location(), "/ops/participants/n1", "{typed}");
        }
    }
    let unissued = Identifier(Subject::Pool(PoolId(2)));
    let page = auditor.get(&format!("/ops/search?q={unissued}")).await;
    assert!(page.body.contains("Nothing was found"), "{}", page.body);
    assert!(!page.body.contains("check digits are wrong"));
    let mut wrong = pool.compact();
    wrong.replace_range(12..13, "7");
    let page = auditor.get(&format!("/ops/search?q={wrong}")).await;
    assert!(
        page.body.contains("check digits are wrong"),
        "{}",
        page.body
    );
    app.stop().await;
}

#[tokio::test]
async fn many_hits_are_listed_and_none_says_what_can_be_searched() {
    let app = traded().await;
    let mut auditor = auditor(&app).await;
    let page = auditor.get("/ops/search?q=1").await;
    let found = page.texts(".queue b");
    assert_eq!(
        found,
        [
            "Order o1",
            "Trade t1",
            "Lease l1",
            "Participant n1",
            "Journal entry J-1",
            "Dispute d1"
        ]
    );
    assert!(page.text("h2").contains('6'));
    // Both names end alike; each is listed once.
    let page = auditor.get("/ops/search?q=%E7%AE%97").await;
    assert_eq!(page.texts(".queue .second"), ["算渠", "黔云算力"]);
    let enormous = "9".repeat(9_000);
    for nothing in [
        "",
        "%20",
        "nobody",
        "o999",
        "t0",
        "d9",
        "J-99999999999999999999",
        "x%00y",
        "%27%20OR%20%271%27%3D%271",
        "%25",
        "_",
        "%3Cscript%3Ealert(1)%3C/script%3E",
        &enormous,
    ] {
        let page = auditor.get(&format!("/ops/search?q={nothing}")).await;
        assert_eq!(page.status, StatusCode::OK, "{nothing}");
        assert!(page.texts(".queue").is_empty(), "{nothing}");
        assert_eq!(page.texts(".can-find li").len(), 5, "{nothing}");
        assert!(!page.body.contains("<script>alert"), "{nothing}");
    }
    let page = auditor.get("/ops/search").await;
    assert_eq!(page.status, StatusCode::OK);
    app.stop().await;
}

#[tokio::test]
async fn the_chain_leads_from_the_order_to_the_money_and_back() {
    let app = traded().await;
    let mut auditor = auditor(&app).await;
    let order = auditor.get("/ops/orders/o2").await;
    assert_eq!(
        order.text("h1"),
        "Buy 8 × A100-80GB · Gui'an · Silver filled"
    );
    assert_eq!(order.texts(".table tbody th"), ["t1"]);
    assert!(links(&order, ".table").contains(&"/ops/leases/l1".to_owned()));
    assert_eq!(
        links(&order, ".chain"),
        ["/ops/orders/o2", "/ops/journal?about=o2"]
    );
    assert!(order.body.contains("web-first") && order.body.contains("program (journey)"));
    let ask = auditor.get("/ops/orders/o1").await;
    assert_eq!(
        ask.texts(".table tbody th"),
        ["t1"],
        "the other side's trades too"
    );
    let trade = auditor.get("/ops/trades/t1").await;
    let chain = links(&trade, ".chain");
    assert_eq!(
        chain,
        [
            "/ops/orders/o2",
            "/ops/orders/o1",
            "/ops/trades/t1",
            "/ops/leases/l1",
            "/ops/leases/l1#hours",
            "/ops/journal?about=t1",
        ]
    );
    assert!(
        trade.text(".chain").contains("2 of 4 settled"),
        "{}",
        trade.text(".chain")
    );
    let lease = auditor.get("/ops/leases/l1").await;
    let hours = lease.rows("#hours tbody tr");
    assert_eq!(hours.len(), 4);
    assert!(
        hours[1].contains("376 / 480") && hours[1].contains("17.3334"),
        "{hours:?}"
    );
    assert!(hours[3].contains("– / 480"), "{hours:?}");
    assert_eq!(lease.texts("#hours .short-row").len(), 1);
    // An hour's entry is the very one that paid it.
    let entry = links(&lease, "#hours .short-row").remove(0);
    let entry = auditor.get(&entry).await;
    assert!(
        entry.text("h1").contains("Hour settled"),
        "{}",
        entry.text("h1")
    );
    assert!(links(&entry, ".under").contains(&"/ops/leases/l1".to_owned()));
    assert!(lease.body.contains("/disputes/d1"));
    let money = lease.texts("aside .panel:first-child dd");
    // Price; paid to the provider; of it fees; refunded; in escrow; credited; in bond.
    assert_eq!(money[0], "320.0000");
    assert_eq!((&*money[1], &*money[3]), ("142.6666", "17.3334"));
    let about = auditor.get("/ops/journal?about=l1").await;
    let reasons = about.texts(".entries tbody td:nth-of-type(2)").join(" ");
    assert!(reasons.contains("Frozen by dispute d1"), "{reasons}");
    app.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let app = traded().await;
    let mut auditor = auditor(&app).await;
    for what in ["orders/o", "trades/t", "leases/l"] {
        for number in ["0", "999", "01", "-1", "+1", "x", "99999999999999999999"] {
            let path = format!("/ops/{what}{number}");
            assert_eq!(
                auditor.get(&path).await.status,
                StatusCode::NOT_FOUND,
                "{path}"
            );
        }
    }
    assert_eq!(
        auditor.get("/ops/orders/l1").await.status,
        StatusCode::NOT_FOUND
    );
    for odd in [
        "after=x",
        "after=-5",
        "after=99999999999999999999",
        "after=9999999",
    ] {
        for path in ["/ops/orders/o2", "/ops/leases/l1"] {
            let page = auditor.get(&format!("{path}?{odd}")).await;
            assert_eq!(page.status, StatusCode::OK, "{path}?{odd}");
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn long_lists_come_in_parts() {
    let app = TestApp::start().await;
    for number in 0..60 {
        app.submit(bid(&format!("one{number}"), 1, 100_000, (1, 2)))
            .await;
    }
    app.submit(bid("long", 1, 100_000, (2, 402))).await;
    let mut auditor = auditor(&app).await;
    let mut path = "/ops/orders/o1".to_owned();
    let mut trades = Vec::new();
    loop {
        let page = auditor.get(&path).await;
        trades.extend(page.texts(".table tbody th"));
        match links(&page, ".more").pop() {
            Some(next) => path = next,
            None => break,
        }
    }
    assert_eq!(trades.len(), 61);
    trades.sort();
    trades.dedup();
    assert_eq!(trades.len(), 61, "none comes twice");
    let first = auditor.get("/ops/leases/l61").await;
    assert_eq!(first.rows("#hours tbody tr").len(), 168);
    assert_eq!(links(&first, ".more"), ["/ops/leases/l61?after=168#hours"]);
    let last = auditor.get("/ops/leases/l61?after=336").await;
    assert_eq!(last.rows("#hours tbody tr").len(), 64);
    assert_eq!(links(&last, ".more"), ["/ops/leases/l61?after=168#hours"]);
    app.stop().await;
}
