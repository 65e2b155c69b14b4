//! What a provider sees: what needs attention, what was earned, what is sold, and each lease.

use std::time::Duration;

use axum::http::StatusCode;
use http_body_util::BodyExt;
use market::{Command, LeaseId, Money};
use sluice::delivery::simulated;
use sluice::web::server::Limits;
use tokio_util::sync::CancellationToken;

use crate::support::app::TestApp;
use crate::support::market::{deliver, hour};
use crate::support::provider::with_pool;
use crate::support::visitor::{Page, Visitor};

const TICKET: &str = "form[action$='/tariffs']";

/// The site under the standard rules, with nothing of the first provider's to buy.
async fn standard() -> TestApp {
    let rules = sluice::rules::load(None).expect("the standard rules");
    let app = TestApp::with(rules, Limits::default()).await;
    app.submit(Command::CancelOrder {
        participant: crate::support::market::PROVIDER,
        client_id: market::ClientId("ask".to_owned()),
    })
    .await;
    app
}

/// Lists 16 cards at 10.00 and lets somebody buy 8 of them for four hours: the lease `l1`.
async fn sold(app: &TestApp, yuan: &str) -> (Visitor, String) {
    let (mut ada, pool) = with_pool(app, "清渠", yuan).await;
    let page = ada.get(&pool).await;
    let listed = ada.submit(&page, TICKET, &[("price", "10.00")]).await;
    assert_eq!(
        listed.location(),
        format!("{pool}?listed"),
        "{}",
        listed.body
    );
    app.submit(crate::support::market::bid("bid", 8, 120_000, (1, 5)))
        .await;
    (ada, pool)
}

fn figures(page: &Page) -> Vec<String> {
    page.texts(".figures dd:nth-child(2)")
}

#[tokio::test]
async fn earnings_use_and_record_are_what_was_delivered() {
    let app = standard().await;
    let (mut ada, _) = sold(&app, "100000").await;
    // Two whole hours, and one of 45 minutes.
    app.clock().set(hour(4));
    for (after, minutes) in [(1, 60), (2, 60), (3, 45)] {
        app.submit(deliver(1, after, minutes)).await;
    }
    let page = ada.get("/provide").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    assert_eq!(page.text(".under"), "清渠 · 1 pools, 16 units · Gui'an");
    // 80 + 80 + 60, less two per cent; bond: a tenth of 320.
    let shown = figures(&page);
    assert_eq!(shown[0], "¥215.60");
    assert_eq!(shown[1], "¥215.60");
    // Of 16 cards for the 16 hours of the pool's first day, 32 unit-hours are sold.
    assert_eq!(shown[2], "12.5%");
    assert_eq!(shown[3], "¥10.00");
    assert_eq!(shown[4], "¥32.00");
    let captions = page.texts(".figures .caption");
    assert!(captions[0].contains("22 unit-hours"), "{captions:?}");
    // The first hour was over at 02:00 UTC of the first; 72 hours later it is cash.
    assert!(
        captions[1].contains("¥78.40 is cash at Wed 28 Oct 10:00"),
        "{captions:?}"
    );
    assert!(
        captions[1].contains("all by Wed 28 Oct 12:00"),
        "{captions:?}"
    );
    let attention = page.texts(".attention");
    assert!(
        attention[0].contains("Lease l1: 1 hours fell short, ¥20.00 refunded"),
        "{attention:?}"
    );
    let record = page.text("[sse-swap=record]");
    assert!(record.contains("Delivered91.66%"), "{record}");
    assert!(
        record.contains("worst day 8.34% missing, Sun 25 Oct"),
        "{record}"
    );
    let lease = page.rows("[sse-swap=leases] tbody tr");
    assert_eq!(lease.len(), 1);
    assert!(lease[0].contains("l1 | A100-80GB × 8"), "{lease:?}");
    assert!(
        lease[0].contains("听澜智能 | 10.00 | 320.0000"),
        "{lease:?}"
    );
    assert!(lease[0].contains("running, short"), "{lease:?}");
    // The tank: 09:00 here is the lease's first hour.
    let cell = page.attribute(".tank tbody tr:first-child td:nth-of-type(10)", "title");
    assert_eq!(cell, "09:00 – 10:00: 8 sold, 8 listed, 0 not listed");
    app.stop().await;
}

#[tokio::test]
async fn what_needs_attention_comes_by_its_deadline() {
    let app = standard().await;
    // Bonds for 100 unit-hours of 10.00 each.
    let (mut ada, pool) = sold(&app, "132").await;
    let page = ada.get("/provide").await;
    let items = page.texts(".attention");
    assert_eq!(items.len(), 1, "{items:?}");
    assert!(
        items[0].contains("about 100 unit-hours more can sell"),
        "{items:?}"
    );
    // An hour without readings, an hour later.
    app.clock().set(hour(3));
    let items = ada.get("/provide").await.texts(".attention");
    assert!(
        items[1].contains("1 hours have no readings yet"),
        "{items:?}"
    );
    assert!(items[1].contains("by Mon 26 Oct 10:00"), "{items:?}");
    // What nobody offers: the pool's other half at night, all of it from now on.
    let pause = ada.post(&format!("{pool}/pause"), &[]).await;
    assert_eq!(pause.status, StatusCode::SEE_OTHER);
    let page = ada.get("/provide").await;
    let items = page.texts(".attention");
    assert!(items[0].contains("unit-hours not listed"), "{items:?}");
    assert_eq!(
        page.attribute(".attention a", "href"),
        format!("{pool}#tariff")
    );
    assert!(page.has(".tank .gap.first") && page.has(".tank .gap.last"));
    assert!(
        !items.iter().any(|item| item.contains("can sell")),
        "{items:?}"
    );
    app.stop().await;
}

#[tokio::test]
async fn a_lease_shows_its_provider_what_each_hour_brought() {
    let app = standard().await;
    let (mut ada, pool) = sold(&app, "100000").await;
    app.clock().set(hour(3));
    app.submit(deliver(1, 1, 60)).await;
    app.submit(deliver(1, 2, 40)).await;
    let lease = ada.get("/provide/leases/l1").await;
    assert_eq!(lease.status, StatusCode::OK, "{}", lease.body);
    assert!(
        lease.text("h1").ends_with("running, short"),
        "{}",
        lease.text("h1")
    );
    let hours = lease.rows("[sse-swap=hours] tbody tr");
    assert!(
        hours[0].contains("480 / 480 | 78.4000 | 1.6000 | 0.0000 | payable"),
        "{hours:?}"
    );
    assert!(hours[0].contains("cash at Wed 28 Oct 10:00"), "{hours:?}");
    // 53.3333 earned; the fee is rounded down on the running total.
    assert!(
        hours[1].contains("320 / 480 | 52.2667 | 1.0666 | 26.6667"),
        "{hours:?}"
    );
    assert!(hours[2].contains("– | – | – | – | running"), "{hours:?}");
    let sums = lease.texts("[sse-swap=money] dd");
    assert_eq!(
        sums,
        [
            "320.0000",
            "−160.0000",
            "−26.6667",
            "133.3333",
            "−2.6666",
            "0.0000",
            "32.0000"
        ]
    );
    let journal = lease.rows("[sse-swap=journal] tbody tr");
    assert_eq!(journal.len(), 4, "{journal:?}");
    assert!(
        journal[0].contains("Hour settled | Payable | +52.2667"),
        "{journal:?}"
    );
    assert!(
        journal[3].ends_with("Sold, bond pledged | Bond | +32.0000"),
        "{journal:?}"
    );
    assert!(lease.body.contains(&format!("href=\"{pool}\"")));
    // The holder's and others' are not the provider's.
    let mut eve = Visitor::member(&app, "eve", "10").await;
    for id in ["l1", "l999", "x", "l0"] {
        for path in ["", "/live"] {
            let answer = eve.get(&format!("/provide/leases/{id}{path}")).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{id}{path}");
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn leases_are_listed_by_state_and_page_by_page() {
    let app = standard().await;
    let (mut ada, _) = sold(&app, "100000").await;
    for number in 0..51 {
        let name = format!("small{number}");
        app.submit(crate::support::market::bid(
            &name,
            1,
            120_000,
            (10 + number, 11 + number),
        ))
        .await;
    }
    app.clock().set(hour(5));
    for after in 1..5 {
        app.submit(deliver(1, after, 60)).await;
    }
    let all = ada.get("/provide/leases").await;
    assert_eq!(all.texts("tbody tr").len(), 50);
    let older = all.attribute("main p a.button", "href");
    assert_eq!(older, "/provide/leases?state=all&before=l3");
    let rest = ada.get(&older).await;
    assert_eq!(rest.texts("tbody tr code"), ["l2", "l1"]);
    assert!(!rest.has("main p a.button"));
    let ended = ada.get("/provide/leases?state=ended").await;
    assert_eq!(ended.texts("tbody tr code"), ["l1"]);
    let running = ada.get("/provide/leases?state=running").await;
    assert!(running.has(".empty"), "{}", running.body);
    assert_eq!(
        ada.get("/provide/leases?state=next")
            .await
            .texts("tbody tr")
            .len(),
        50
    );
    let odd = ada
        .get("/provide/leases?state=%27%20OR%201=1&before=zzz")
        .await;
    assert_eq!(odd.texts("tbody tr").len(), 50);
    app.stop().await;
}

#[tokio::test]
async fn the_overview_follows_what_is_settled() {
    let app = standard().await;
    let (ada, _) = sold(&app, "100000").await;
    let mut stream = ada
        .open("GET", "/provide/live", String::new())
        .await
        .into_body();
    let mut seen = String::new();
    let mut read_until = async |text: &str| {
        let waiting = tokio::time::timeout(Duration::from_secs(20), async {
            while !seen.contains(text) {
                let frame = stream.frame().await.expect("it goes on").expect("a frame");
                let data = frame.into_data().unwrap_or_default();
                seen.push_str(&String::from_utf8_lossy(&data));
            }
        });
        waiting
            .await
            .unwrap_or_else(|_| panic!("{text} never came"));
    };
    read_until("event: record").await;
    read_until("event: tank").await;
    app.clock().set(hour(2));
    app.submit(deliver(1, 1, 30)).await;
    read_until("fell short").await;
    read_until("¥39.20").await;
    drop(stream);
    app.stop().await;
}

#[tokio::test]
async fn a_host_that_fails_costs_its_provider() {
    let app = standard().await;
    let (mut ada, pool) = with_pool(&app, "清渠", "100000").await;
    let page = ada.get(&pool).await;
    ada.submit(&page, TICKET, &[("price", "10.00")]).await;
    // Every host fails wholly in every hour: the whole of the pool is down.
    let page = ada.get(&pool).await;
    let hosts: Vec<i64> = sqlx::query_scalar("SELECT id FROM hosts ORDER BY id")
        .fetch_all(&app.database.pool)
        .await
        .expect("there are hosts");
    assert_eq!(hosts.len(), 2);
    let form = |host: i64| format!("form[action$='/hosts/{host}']");
    for (every, minutes, field) in [
        ("0", "60", "every"),
        ("24", "61", "minutes"),
        ("x", "60", "every"),
        ("24", "", "minutes"),
        ("99999999999999999999", "1", "every"),
    ] {
        let typed = [("fails_every", every), ("fails_minutes", minutes)];
        let wrong = ada.submit(&page, &form(hosts[0]), &typed).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(
            wrong.has(&format!("#{field}-{}-error", hosts[0])),
            "{every} {minutes}"
        );
        assert_eq!(
            wrong.attribute(&format!("#every-{}", hosts[0]), "value"),
            every
        );
    }
    for host in &hosts {
        let typed = [("fails_every", "1"), ("fails_minutes", "60")];
        let planned = ada.submit(&page, &form(*host), &typed).await;
        assert_eq!(planned.location(), format!("{pool}?planned"));
    }
    let shown = ada.get(&pool).await.texts(".host");
    assert!(
        shown[0].contains("fails every 1 hours for 60 min"),
        "{shown:?}"
    );
    // A lease of two hours of that pool, and one of the first provider's, which has no hosts.
    app.submit(crate::support::market::bid("hosted", 8, 120_000, (1, 3)))
        .await;
    app.submit(crate::support::market::ask("again", 64, 90_000))
        .await;
    app.submit(crate::support::market::bid("plain", 8, 90_000, (1, 3)))
        .await;
    let stop = CancellationToken::new();
    let delivery = tokio::spawn(simulated::run(
        app.app.db.clone(),
        app.app.sequencer.clone(),
        app.app.feed.clone(),
        app.clock().clone(),
        1,
        stop.clone(),
    ));
    app.clock().set(hour(3));
    let settled = async {
        loop {
            let ended = [1, 2].map(|lease| {
                let market = app.app.feed.market();
                market
                    .lease(LeaseId(lease))
                    .is_some_and(market::Lease::is_ended)
            });
            if ended == [true, true] {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), settled).await;
    waited.expect("both leases are settled");
    stop.cancel();
    delivery.await.expect("it ends");
    {
        let market = app.app.feed.market();
        let (hosted, plain) = (market.lease(LeaseId(1)), market.lease(LeaseId(2)));
        let (hosted, plain) = (hosted.expect("it is"), plain.expect("it is"));
        assert_eq!((hosted.delivered, hosted.earned), (0, Money::ZERO));
        // A tenth of the price is credited, all of the bond, and everything is refunded.
        assert_eq!(hosted.credited, Money(160_000));
        let minutes = [1, 2].map(|after| simulated::minutes(1, LeaseId(2), hour(after).hour()));
        assert_eq!(plain.delivered, minutes.iter().sum::<i64>() * 8);
    }
    let lease = ada.get("/provide/leases/l1").await;
    assert!(lease.text("h1").ends_with("ended"));
    assert!(lease.body.contains("simulated readings"), "{}", lease.body);
    let sums = lease.texts("[sse-swap=money] dd");
    assert_eq!(sums[2], "−160.0000");
    assert_eq!(sums[5], "−16.0000");
    let items = ada.get("/provide").await.texts(".attention");
    assert!(
        items[0].contains("Lease l1: 2 hours fell short, ¥160.00 refunded"),
        "{items:?}"
    );
    app.stop().await;
}
