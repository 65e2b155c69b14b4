//! Open a pool, offer it by tariffs, change and pause them, grow it.

use axum::http::StatusCode;
use market::{Money, Side};

use crate::support::app::TestApp;
use crate::support::market::hour;
use crate::support::provider::{NEW_POOL, POOL, certified, with_pool};
use crate::support::visitor::{Page, Visitor};

const TICKET: &str = "form[action$='/tariffs']";
const SYMBOL: &str = "A100-80GB.GUZ-GAN.SILVER";

async fn count(app: &TestApp, query: &'static str) -> i64 {
    let counted = sqlx::query_scalar(query)
        .fetch_one(&app.database.pool)
        .await;
    counted.expect("rows are counted")
}

/// The form of a page with some of its fields as they are given here, sent as a browser would.
async fn send(visitor: &mut Visitor, page: &Page, form: &str, typed: &[(&str, &str)]) -> Page {
    visitor.submit(page, form, typed).await
}

#[tokio::test]
async fn only_a_certified_participant_opens_pools() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "10").await;
    let none = ada.get("/provide/pools").await;
    assert!(
        none.text(".empty").contains("once you are certified"),
        "{}",
        none.body
    );
    let refused = ada.get("/provide/pools/new").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(
        refused.body.contains("href=\"/provide/apply\""),
        "{}",
        refused.body
    );
    let mut typed = POOL.to_vec();
    typed.push(("form_id", "web-0000000000000001"));
    let refused = ada.post("/provide/pools", &typed).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(count(&app, "SELECT count(*) FROM pool_openings").await, 0);
    // A suspended one keeps what it has and begins nothing new.
    let (mut bee, pool) = with_pool(&app, "bee", "10").await;
    let suspend = "UPDATE participants SET suspended = 'x', suspended_at = now()
         WHERE name = 'bee'";
    sqlx::query(suspend)
        .execute(&app.database.pool)
        .await
        .expect("it is suspended");
    assert_eq!(bee.get(&pool).await.status, StatusCode::OK);
    let grown = bee.post(&format!("{pool}/units"), &[("units", "32")]).await;
    assert_eq!(grown.status, StatusCode::FORBIDDEN);
    let paused = bee.post(&format!("{pool}/pause"), &[]).await;
    assert_eq!(paused.status, StatusCode::SEE_OTHER);
    app.stop().await;
}

#[tokio::test]
async fn a_pool_is_opened_once_with_an_identifier_and_hosts() {
    let app = TestApp::start().await;
    let mut ada = certified(&app, "清渠", "10").await;
    let form = ada.get("/provide/pools/new").await;
    let h800 = [("grade", "H800"), ("level", "GOLD"), ("access", "prepared")];
    let typed = [POOL.as_slice(), &h800].concat();
    let opened = send(&mut ada, &form, NEW_POOL, &typed).await;
    assert_eq!(opened.location(), "/provide/pools/p100001?opened");
    // Nobody had listed it; its lot is the grade's.
    let listed: (i64, i64) =
        sqlx::query_as("SELECT id, lot FROM instruments WHERE symbol = 'H800.GUZ-GAN.GOLD'")
            .fetch_one(&app.database.pool)
            .await
            .expect("it is listed");
    assert_eq!(listed, (100_001, 8));
    let page = ada.get("/provide/pools/p100001?opened").await;
    assert_eq!(page.text("h1"), "一期");
    assert!(page.text(".notice.good").contains("set a tariff"));
    assert_eq!(page.texts(".host .tag"), ["simulated", "simulated"]);
    // It is to be prepared, and stays so as it grows.
    let kept = "SELECT count(*) FROM pools WHERE access = 'prepared'";
    assert_eq!(count(&app, kept).await, 1);
    assert!(page.text(".under").contains("prepared"), "{}", page.body);
    let identifier = page.text(".under code");
    let json = ada.get(&format!("/verify/{identifier}.json")).await;
    let json: serde_json::Value = serde_json::from_str(&json.body).expect("JSON");
    assert_eq!(json["pool"]["symbol"], "H800.GUZ-GAN.GOLD");
    assert_eq!(json["pool"]["units"], 16);
    assert_eq!(json["pool"]["simulated"], true);
    assert_eq!(json["pool"]["start"], "2026-10-25T08:00:00+08:00");
    assert_eq!(json["provider"]["name"], "清渠");
    // The same form again is the same pool.
    let twice = send(&mut ada, &form, NEW_POOL, &typed).await;
    assert_eq!(twice.location(), "/provide/pools/p100001?opened");
    // Changed, it is asked for again, under a name of its own.
    let other = [typed.as_slice(), &[("units", "24")]].concat();
    let used = send(&mut ada, &form, NEW_POOL, &other).await;
    assert_eq!(used.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(used.text("[role=alert]").contains("opened a pool already"));
    let second = send(&mut ada, &used, NEW_POOL, &[]).await;
    assert_eq!(second.location(), "/provide/pools/p100002?opened");
    assert_eq!(
        count(&app, "SELECT count(*) FROM pools WHERE id > 1").await,
        2
    );
    assert_eq!(
        count(&app, "SELECT sum(units)::bigint FROM hosts").await,
        16 + 24
    );
    assert_eq!(ada.get("/provide/pools").await.texts("tbody tr").len(), 2);
    app.stop().await;
}

#[tokio::test]
async fn a_form_sent_by_two_tabs_at_once_is_one_pool() {
    let app = TestApp::start().await;
    let mut ada = certified(&app, "清渠", "10").await;
    let form = ada.get("/provide/pools/new").await;
    let (_, fields) = form.form(NEW_POOL);
    let mut typed = POOL.to_vec();
    let form_id = fields.iter().find(|(name, _)| name == "form_id");
    let form_id = form_id.expect("a form has a name").1.clone();
    typed.push(("form_id", &form_id));
    let sendings = (0..6).map(|_| {
        let (mut ada, typed) = (ada.clone(), typed.clone());
        async move {
            let page = ada.post("/provide/pools", &typed).await;
            page.location().to_owned()
        }
    });
    for location in futures_util::future::join_all(sendings).await {
        assert_eq!(location, "/provide/pools/p100001?opened");
    }
    assert_eq!(
        count(&app, "SELECT count(*) FROM pools WHERE id > 1").await,
        1
    );
    assert_eq!(
        count(&app, "SELECT sum(units)::bigint FROM hosts").await,
        16
    );
    app.stop().await;
}

#[tokio::test]
async fn a_wrong_pool_is_said_at_its_field_and_loses_nothing() {
    let app = TestApp::start().await;
    let mut ada = certified(&app, "清渠", "10").await;
    let form = ada.get("/provide/pools/new").await;
    let long = "名".repeat(61);
    for (field, typed, said) in [
        ("name", "", "1 to 60"),
        ("name", long.as_str(), "1 to 60"),
        ("name", "a\u{0}b", "1 to 60"),
        ("grade", "", "Pick a grade"),
        ("grade", "A100-80GB.GUZ-GAN", "Pick a grade"),
        ("level", "PLATINUM", "Pick a service level"),
        ("access", "soon", "Pick instant or prepared"),
        ("units", "0", "whole number from 1"),
        ("units", "1.5", "whole number from 1"),
        ("units", "99999999999999999999", "whole number from 1"),
        ("from_day", "2026-02-30", "Pick a day"),
        ("to_day", "2026-10-24", "end after it begins"),
        ("to_day", "9999-12-31", "Pick a day"),
        ("to_day", "2030-01-01", "within 400 days"),
    ] {
        let values = [POOL.as_slice(), &[(field, typed)]].concat();
        let wrong = send(&mut ada, &form, NEW_POOL, &values).await;
        assert_eq!(
            wrong.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{field}={typed}"
        );
        let error = wrong.text(&format!("#{field}-error"));
        assert!(error.contains(said), "{field}={typed}: {error}");
        // A reader of HTML has no NUL to show.
        if !["grade", "level", "access"].contains(&field) && !typed.contains('\0') {
            let (_, fields) = wrong.form(NEW_POOL);
            assert!(
                fields.contains(&(field.to_owned(), typed.to_owned())),
                "{fields:?}"
            );
        }
    }
    let h800 = [POOL.as_slice(), &[("grade", "H800"), ("units", "12")]].concat();
    let half = send(&mut ada, &form, NEW_POOL, &h800).await;
    assert!(
        half.text("#units-error").contains("multiple of 8"),
        "{}",
        half.body
    );
    let no_name = [POOL.as_slice(), &[("form_id", "x")]].concat();
    let again = send(&mut ada, &form, NEW_POOL, &no_name).await;
    assert!(again.text("[role=alert]").contains("send it again"));
    // What the market refused left nothing behind.
    for table in ["pool_openings", "hosts"] {
        let query = if table == "hosts" {
            "SELECT count(*) FROM hosts"
        } else {
            "SELECT count(*) FROM pool_openings"
        };
        assert_eq!(count(&app, query).await, 0, "{table}");
    }
    assert_eq!(
        count(&app, "SELECT count(*) FROM identifiers WHERE kind = 'pool'").await,
        0
    );
    app.stop().await;
}

#[tokio::test]
async fn a_pool_grows_and_never_shrinks() {
    let app = TestApp::start().await;
    let (mut ada, pool) = with_pool(&app, "清渠", "10").await;
    let units = format!("{pool}/units");
    for (typed, said) in [
        ("8", "can only grow"),
        ("x", "whole number"),
        ("-16", "whole number"),
        ("100001", "whole number"),
    ] {
        let wrong = ada.post(&units, &[("units", typed)]).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{typed}");
        assert!(
            wrong.text("#grow-units-error").contains(said),
            "{typed}: {}",
            wrong.body
        );
        assert_eq!(wrong.attribute("#grow-units", "value"), typed);
    }
    for _ in 0..2 {
        let grown = ada.post(&units, &[("units", "20")]).await;
        assert_eq!(grown.location(), format!("{pool}?grown"));
    }
    let page = ada.get(&pool).await;
    assert!(
        page.text(".under").contains("20 units"),
        "{}",
        page.text(".under")
    );
    assert_eq!(page.texts(".host").len(), 3);
    assert_eq!(
        count(&app, "SELECT sum(units)::bigint FROM hosts").await,
        20
    );
    app.stop().await;
}

#[tokio::test]
async fn a_night_tariff_is_an_ask_in_utc_that_sells_by_night_only() {
    let app = TestApp::start().await;
    let (mut ada, pool) = with_pool(&app, "清渠", "100").await;
    let page = ada.get(&format!("{pool}?tariff=night")).await;
    let (_, fields) = page.form(TICKET);
    for (name, value) in [
        ("begins", "22"),
        ("ends", "6"),
        ("units", "16"),
        ("to_hour", "24"),
    ] {
        let field = (name.to_owned(), value.to_owned());
        assert!(fields.contains(&field), "{field:?} in {fields:?}");
    }
    let preview = format!(
        "{pool}/tariffs/preview?days=all&begins=22&ends=6&min_hours=1&units=16&price=8.00&from_day=2026-10-25&from_hour=8&to_day=2026-11-03&to_hour=24"
    );
    let preview = ada.get(&preview).await;
    // Ten days: nine nights and the last two hours, 16 cards at 8.00.
    assert!(preview.text("dl").contains("1,184"), "{}", preview.body);
    assert!(
        preview.text("dl").contains("9,472.0000"),
        "{}",
        preview.body
    );
    assert_eq!(preview.text("button"), "List 16 units · ¥8.00 a unit-hour");
    let listed = send(&mut ada, &page, TICKET, &[("price", "8.00")]).await;
    assert_eq!(listed.location(), format!("{pool}?listed"));
    // A double click is one ask.
    let twice = send(&mut ada, &page, TICKET, &[("price", "8.00")]).await;
    assert_eq!(twice.location(), format!("{pool}?listed"));
    let changed = send(&mut ada, &page, TICKET, &[("price", "9.00")]).await;
    assert_eq!(changed.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(changed.text("[role=alert]").contains("listed already"));
    let asks = "SELECT count(*) FROM orders WHERE participant > 2 AND done IS NULL";
    assert_eq!(count(&app, asks).await, 1);
    {
        let market = app.app.feed.market();
        let order = market.order(market::OrderId(2));
        let Side::Sell {
            weekly: Some(weekly),
            ..
        } = &order.placed.side
        else {
            panic!("{order:?}");
        };
        assert_eq!(
            String::from(weekly.clone()),
            "000000000000001111111100".repeat(7)
        );
    }
    let shown = ada.get(&pool).await;
    let row = shown.text(".tariff > div:first-child");
    assert!(row.contains("daily 22:00 – 06:00 next day"), "{row}");
    // By day the best ask is the other provider's 10.00, by night this one.
    let mut bob = Visitor::member(&app, "bob", "10000").await;
    let night = format!("/market/{SYMBOL}?day=2026-10-27&hour=23&hours=4");
    let book = bob.get(&night).await;
    assert!(
        book.texts("tr.ask td:nth-child(2)")
            .contains(&"8.00".to_owned()),
        "{}",
        book.body
    );
    let day = format!("/market/{SYMBOL}?day=2026-10-27&hour=12&hours=4");
    let book = bob.get(&day).await;
    assert!(
        !book
            .texts("tr.ask td:nth-child(2)")
            .contains(&"8.00".to_owned())
    );
    app.stop().await;
}

#[tokio::test]
async fn a_wrong_tariff_is_said_at_its_field_and_loses_nothing() {
    let app = TestApp::start().await;
    let (mut ada, pool) = with_pool(&app, "清渠", "100").await;
    let page = ada.get(&format!("{pool}?tariff=night")).await;
    for (field, typed, said) in [
        ("days", "someday", "Pick days and hours"),
        ("begins", "77", "Pick days and hours"),
        ("min_hours", "0", "from 1 to 672"),
        ("min_hours", "12", "runs for 8 hours"),
        ("units", "0", "whole number"),
        ("units", "17", "fewer units"),
        ("price", "free", "price"),
        ("price", "8.00001", "At most four decimals"),
        ("price", "8.001", "whole number of ticks"),
        ("price", "0", "above zero"),
        ("to_day", "2026-11-10", "pool"),
        ("from_day", "2026-13-01", "Pick a day"),
    ] {
        let values = [[("price", "8.00")].as_slice(), &[(field, typed)]].concat();
        let wrong = send(&mut ada, &page, TICKET, &values).await;
        assert_eq!(
            wrong.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{field}={typed}"
        );
        let at = if field == "begins" { "days" } else { field };
        let error = wrong.text(&format!("#{at}-error"));
        assert!(error.contains(said), "{field}={typed}: {error}");
        if !["days", "begins"].contains(&field) {
            let (_, fields) = wrong.form(TICKET);
            assert!(
                fields.contains(&(field.to_owned(), typed.to_owned())),
                "{fields:?}"
            );
        }
    }
    assert_eq!(
        count(&app, "SELECT count(*) FROM orders WHERE participant > 2").await,
        0
    );
    app.stop().await;
}

#[tokio::test]
async fn tariffs_are_changed_paused_resumed_and_ended() {
    let app = TestApp::start().await;
    let (mut ada, pool) = with_pool(&app, "清渠", "1000").await;
    for (kind, price) in [("base", "9.00"), ("long", "7.00")] {
        let page = ada.get(&format!("{pool}?tariff={kind}")).await;
        let listed = send(&mut ada, &page, TICKET, &[("price", price)]).await;
        assert_eq!(
            listed.location(),
            format!("{pool}?listed"),
            "{}",
            listed.body
        );
    }
    let page = ada.get(&pool).await;
    assert_eq!(
        page.texts(".tariff b"),
        ["Long work", "7.00", "Base", "9.00"]
    );
    // Another price and fewer units.
    let base = "form[action$='/tariffs/o2']";
    let wrong = send(&mut ada, &page, base, &[("price", "9.001")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        wrong.text("#price-o2-error").contains("ticks"),
        "{}",
        wrong.body
    );
    assert_eq!(wrong.attribute("#price-o2", "value"), "9.001");
    assert!(wrong.has(".tariff details[open]"), "the form stays open");
    let wrong = send(&mut ada, &page, base, &[("units", "lots")]).await;
    assert!(wrong.text("#units-o2-error").contains("whole number"));
    for _ in 0..2 {
        let changed = send(&mut ada, &page, base, &[("price", "8.50"), ("units", "8")]).await;
        assert_eq!(changed.location(), format!("{pool}?changed"));
    }
    {
        let market = app.app.feed.market();
        let order = market.order(market::OrderId(2));
        assert_eq!((order.price, order.units), (Money(85_000), 8));
    }
    // Paused: nothing to buy; the terms are kept as they were last.
    for _ in 0..2 {
        let paused = ada.post(&format!("{pool}/pause"), &[]).await;
        assert_eq!(paused.location(), format!("{pool}?paused"));
    }
    let open = "SELECT count(*) FROM orders WHERE participant > 2 AND done IS NULL";
    assert_eq!(count(&app, open).await, 0);
    let page = ada.get(&pool).await;
    assert_eq!(page.texts(".tariff .tag"), ["paused", "paused"]);
    assert_eq!(page.text("[sse-swap=figures] .tag"), "paused");
    // One is ended while it is paused, the other resumed, and again.
    let ended = ada.post(&format!("{pool}/tariffs/o3/end"), &[]).await;
    assert_eq!(ended.location(), format!("{pool}?ended"));
    for _ in 0..2 {
        let resumed = ada.post(&format!("{pool}/resume"), &[]).await;
        assert_eq!(resumed.location(), format!("{pool}?resumed"));
    }
    assert_eq!(count(&app, open).await, 1);
    let page = ada.get(&pool).await;
    assert_eq!(page.texts(".tariff b"), ["Base", "8.50"]);
    assert!(!page.has(".tariff .tag"), "{}", page.body);
    let again: (i64, i64, i64) = sqlx::query_as(
        "SELECT id, units, price FROM orders WHERE participant > 2 AND done IS NULL",
    )
    .fetch_one(&app.database.pool)
    .await
    .expect("it stands again");
    assert_eq!(again, (4, 8, 85_000));
    // An ended one can't be changed; ending it twice is ending it.
    for _ in 0..2 {
        let ended = ada.post(&format!("{pool}/tariffs/o4/end"), &[]).await;
        assert_eq!(ended.location(), format!("{pool}?ended"));
    }
    let late = ada
        .post(
            &format!("{pool}/tariffs/o4"),
            &[("price", "8.00"), ("units", "8")],
        )
        .await;
    assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(late.has("[role=alert]"), "{}", late.body);
    assert_eq!(ada.get(&pool).await.texts(".tariff").len(), 0);
    app.stop().await;
}

#[tokio::test]
async fn what_cannot_be_resumed_says_why_and_stays_paused() {
    let app = TestApp::start().await;
    let (mut ada, pool) = with_pool(&app, "清渠", "1000").await;
    let page = ada.get(&pool).await;
    let short = [
        ("price", "9.00"),
        ("to_day", "2026-10-26"),
        ("to_hour", "8"),
    ];
    send(&mut ada, &page, TICKET, &short).await;
    let page = ada.get(&pool).await;
    send(&mut ada, &page, TICKET, &[("price", "9.50")]).await;
    ada.post(&format!("{pool}/pause"), &[]).await;
    // The first one's time passes meanwhile.
    app.clock().set(hour(30));
    let resumed = ada.post(&format!("{pool}/resume"), &[]).await;
    assert_eq!(resumed.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        resumed.text("[role=alert]").contains("stays paused"),
        "{}",
        resumed.body
    );
    assert_eq!(resumed.texts(".tariff b"), ["Base", "9.50", "Base", "9.00"]);
    assert_eq!(resumed.texts(".tariff .tag"), ["paused"]);
    app.stop().await;
}

#[tokio::test]
async fn anothers_pool_and_its_tariffs_are_not_there() {
    let app = TestApp::start().await;
    let (mut ada, pool) = with_pool(&app, "清渠", "1000").await;
    let page = ada.get(&pool).await;
    send(&mut ada, &page, TICKET, &[("price", "9.00")]).await;
    let (mut eve, own) = with_pool(&app, "eve", "1000").await;
    let change = [("price", "1.00"), ("units", "1")];
    let tariff: Vec<(String, String)> = page.form(TICKET).1;
    let tariff: Vec<(&str, &str)> = tariff
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    for id in [
        pool.as_str(),
        "/provide/pools/p999",
        "/provide/pools/x",
        "/provide/pools/1",
    ] {
        for path in ["", "/live", "/tariffs/preview"] {
            let answer = eve.get(&format!("{id}{path}")).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{id}{path}");
        }
        for (path, fields) in [
            ("/units", &[("units", "32")][..]),
            ("/pause", &[]),
            ("/resume", &[]),
            ("/tariffs", &tariff),
            ("/tariffs/o2", &change),
            ("/tariffs/o2/end", &[]),
            ("/hosts/1", &[("fails_every", "1"), ("fails_minutes", "60")]),
        ] {
            let answer = eve.post(&format!("{id}{path}"), fields).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{id}{path}");
        }
    }
    // Her own pool with another's ask or host, or none.
    for (path, fields) in [
        ("/tariffs/o2", &change[..]),
        ("/tariffs/o2/end", &[]),
        ("/tariffs/o999", &change),
        ("/tariffs/o0/end", &[]),
        ("/hosts/1", &[("fails_every", "1"), ("fails_minutes", "60")]),
        ("/hosts/-1", &[]),
    ] {
        let answer = eve.post(&format!("{own}{path}"), fields).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    let untouched: (i64, i64) = sqlx::query_as("SELECT price, units FROM orders WHERE id = 2")
        .fetch_one(&app.database.pool)
        .await
        .expect("it stands");
    assert_eq!(untouched, (90_000, 16));
    assert_eq!(
        count(&app, "SELECT count(*) FROM hosts WHERE fails_every > 0").await,
        0
    );
    app.stop().await;
}

#[tokio::test]
async fn a_new_tariff_is_hinted_at_by_others_trades() {
    let app = TestApp::start().await;
    // Others trade 8 units for 4 hours at 10.00.
    app.submit(crate::support::market::bid("b", 8, 120_000, (1, 5)))
        .await;
    let (mut ada, pool) = with_pool(&app, "清渠", "1000").await;
    let page = ada.get(&pool).await;
    let (_, fields) = page.form(TICKET);
    assert!(
        fields.contains(&("price".to_owned(), "10.00".to_owned())),
        "{fields:?}"
    );
    let hint = page.text("#tariff .double + .hint");
    assert!(
        hint.contains("last trades 10.00 (10.00 – 10.00, 1 in 7 days"),
        "{hint}"
    );
    assert!(
        hint.contains("Best ask of the next hour 10.00 (56 units)"),
        "{hint}"
    );
    app.stop().await;
}
