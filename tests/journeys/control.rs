//! What operations do to the market: halts, relations and defaults, from the form to the book and
//! the ledger, and what others see of it.

use axum::http::StatusCode;
use futures_util::future::join;
use market::{
    Account, AccountKind, ClientId, Command, LeaseId, Money, ParticipantId, PlaceOrder, Side,
    Target, TimeInForce, Timestamp,
};
use serde_json::Value;
use sluice::web::Role;
use sluice::web::server::Limits;

use crate::support::app::TestApp;
use crate::support::market::{BUYER, INSTRUMENT, PROVIDER, ask, bid, deliver, hour};
use crate::support::people::{self, PLATFORM};
use crate::support::visitor::{Page, Visitor};

const SYMBOL: &str = "A100-80GB.GUZ-GAN.SILVER";

/// A minute, in microseconds.
const MINUTE: i64 = 60_000_000;

async fn standard() -> TestApp {
    let rules = sluice::rules::load(None).expect("the standard rules");
    TestApp::with(rules, Limits::default()).await
}

async fn operations(app: &TestApp) -> Visitor {
    people::of_platform(app, Role::Operations).await
}

/// What the record of acts has of an act: who, to what, and why.
async fn acts(app: &TestApp, act: &str) -> Vec<(String, String, Value)> {
    let sql = "SELECT coalesce(u.login, ''), a.subject, a.detail
               FROM acts a LEFT JOIN users u ON u.id = a.user_id WHERE a.act = $1 ORDER BY a.id";
    let rows = sqlx::query_as(sql).bind(act);
    let rows = rows.fetch_all(&app.database.pool).await;
    rows.expect("the acts are read")
}

/// Who gave the commands of a kind that the market did.
async fn actors(app: &TestApp, verb: &str) -> Vec<String> {
    let sql = "SELECT actor FROM commands WHERE body->>'do' = $1 AND rejected IS NULL ORDER BY seq";
    let actors = sqlx::query_scalar(sql).bind(verb);
    let actors = actors.fetch_all(&app.database.pool).await;
    actors.expect("the commands are read")
}

async fn number(app: &TestApp, sql: &'static str) -> i64 {
    let number = sqlx::query_scalar(sql).fetch_one(&app.database.pool).await;
    number.expect("it is counted")
}

async fn halt(person: &mut Visitor, symbol: &str, minutes: &str) -> Page {
    let page = person.get("/ops/halts").await;
    let typed = [
        ("symbol", symbol),
        ("minutes", minutes),
        ("reason", "abnormal_price"),
        ("note", "five trades at twice the median"),
    ];
    person
        .submit(&page, "form[action='/ops/halts']", &typed)
        .await
}

#[tokio::test]
async fn a_halted_instrument_takes_no_order_until_it_resumes() {
    let app = standard().await;
    app.submit(bid("rests", 8, 90_000, (6, 8))).await;
    let mut buyer = people::member(&app, BUYER.0, &[Role::Owner], "bea").await;
    let ticket = [("units", "8"), ("hours", "2"), ("hour", "20")];
    let confirm = buyer.ticket(SYMBOL, &ticket).await;
    let mut person = operations(&app).await;
    let halted = halt(&mut person, " a100-80gb.guz-gan.silver ", "30").await;
    assert_eq!(halted.location(), "/ops/halts?done", "{}", halted.body);
    assert_eq!(actors(&app, "halt").await.len(), 1);
    assert!(actors(&app, "halt").await[0].starts_with("user:"));
    let acts = acts(&app, "halt").await;
    assert_eq!(acts.len(), 1);
    let (who, subject, detail) = &acts[0];
    assert_eq!((&**who, &**subject), ("operations", "instrument:1"));
    assert_eq!(detail["reason"], "abnormal_price");
    assert_eq!(detail["until"], "2026-10-25T08:30:00+08:00");
    // Operations see who, why, until when; everybody sees until when, in their zone.
    let page = person.get("/ops/halts?done").await;
    let holding = page.text(".halts li");
    for part in [
        SYMBOL,
        "abnormal price movement",
        "operations",
        "five trades",
        "08:30",
        "30 min left",
    ] {
        assert!(holding.contains(part), "{part} in {holding}");
    }
    let market = buyer.get(&format!("/market/{SYMBOL}")).await;
    let said = market.text(".told [role=status]");
    assert!(said.contains("Sun 25 Oct 08:30 UTC+8"), "{said}");
    // A ticket that was open is refused in the reader's words; what is open can be cancelled.
    let refused = buyer.submit(&confirm, "form[action$='/orders']", &[]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text("[role=alert]").contains("Trading is halted"));
    assert_eq!(number(&app, "SELECT count(*) FROM leases").await, 0);
    let rests = "SELECT id FROM orders WHERE client_id = 'rests'";
    let rests = number(&app, rests).await;
    let cancelled = buyer.post(&format!("/orders/o{rests}/cancel"), &[]).await;
    assert_eq!(cancelled.status, StatusCode::SEE_OTHER);
    let open = "SELECT count(*) FROM orders WHERE client_id = 'rests' AND done IS NULL";
    assert_eq!(number(&app, open).await, 0);
    // It is over by itself, and the same ticket buys.
    app.clock().set(Timestamp(hour(0).0 + 30 * MINUTE));
    app.submit(Command::Tick).await;
    let market = buyer.get(&format!("/market/{SYMBOL}")).await;
    assert!(!market.has(".told [role=status]"), "{}", market.body);
    let bought = buyer.submit(&confirm, "form[action$='/orders']", &[]).await;
    assert_eq!(bought.status, StatusCode::SEE_OTHER, "{}", bought.body);
    assert_eq!(number(&app, "SELECT count(*) FROM leases").await, 1);
    let page = person.get("/ops/halts").await;
    assert!(page.body.contains("No instrument is halted now."));
    assert!(page.text(".halts li .tag").contains("over"));
    app.stop().await;
}

#[tokio::test]
async fn a_halt_is_prolonged_and_never_shortened_and_of_what_is_listed() {
    let app = TestApp::start().await;
    let mut person = operations(&app).await;
    let unknown = halt(&mut person, "A100-80GB.GUZ-GAN.GOLD", "30").await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!unknown.text("#symbol-error").is_empty());
    assert_eq!(number(&app, "SELECT count(*) FROM interventions").await, 0);
    // Sent twice at once, and once more, it is one halt.
    let page = person.get("/ops/halts").await;
    let typed = [
        ("symbol", SYMBOL),
        ("minutes", "60"),
        ("reason", "incident"),
    ];
    let mut other = person.clone();
    let form = "form[action='/ops/halts']";
    let (one, two) = join(
        person.submit(&page, form, &typed),
        other.submit(&page, form, &typed),
    )
    .await;
    app.clock().set(Timestamp(hour(0).0 + 10 * MINUTE));
    let three = person.submit(&page, form, &typed).await;
    for page in [one, two, three] {
        assert_eq!(page.location(), "/ops/halts?done", "{}", page.body);
    }
    let until = app.app.feed.market().halted_until(INSTRUMENT);
    assert_eq!(until, Some(hour(1)), "the third did not move it");
    assert_eq!(number(&app, "SELECT count(*) FROM interventions").await, 1);
    assert_eq!(acts(&app, "halt").await.len(), 1);
    // Fifty minutes are left.
    for minutes in ["50", "20"] {
        let shorter = halt(&mut person, SYMBOL, minutes).await;
        assert_eq!(shorter.status, StatusCode::UNPROCESSABLE_ENTITY);
        let said = shorter.text("#minutes-error");
        assert!(said.contains("09:00") && said.contains("51"), "{said}");
        assert_eq!(shorter.attribute("#minutes", "value"), minutes);
    }
    let longer = halt(&mut person, SYMBOL, "51").await;
    assert_eq!(longer.location(), "/ops/halts?done");
    let until = app.app.feed.market().halted_until(INSTRUMENT);
    assert_eq!(until, Some(Timestamp(hour(1).0 + MINUTE)));
    let page = person.get("/ops/halts").await;
    let tags = page.texts(".halts li .tag");
    assert_eq!(tags.len(), 2, "{tags:?}");
    assert!(tags[1].contains("prolonged"), "{tags:?}");
    // Who may not, sees it and no form; others see nothing.
    let mut auditor = people::of_platform(&app, Role::Auditor).await;
    let page = auditor.get("/ops/halts").await;
    assert!(page.has(".halts li") && !page.has(form));
    let mut buyer = people::member(&app, BUYER.0, &[Role::Owner], "bea").await;
    for visitor in [&mut auditor, &mut buyer] {
        let refused = visitor.post("/ops/halts", &typed).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND);
    }
    app.stop().await;
}

async fn relate(person: &mut Visitor, one: &str, other: &str) -> Page {
    let page = person.get("/ops/relations").await;
    let typed = [
        ("one", one),
        ("other", other),
        ("reason", "control"),
        ("note", "register of 2026-10-20, sheet 3"),
    ];
    person
        .submit(&page, "form[action='/ops/relations']", &typed)
        .await
}

#[tokio::test]
async fn related_participants_trade_with_each_other_no_more() {
    let app = TestApp::start().await;
    let third = people::participant(&app, "白鹭渲染").await;
    let mut person = people::of_platform(&app, Role::Surveillance).await;
    for (one, other, field) in [
        ("n2", "n2", "other"),
        ("n2", "n99", "other"),
        ("nobody of this name", "n1", "one"),
        ("n0", "n1", "one"),
        ("", "n1", "one"),
    ] {
        let refused = relate(&mut person, one, other).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        let said = refused.text(&format!("#{field}-error"));
        assert!(!said.is_empty(), "{one} {other}");
        assert_eq!(refused.attribute("#one", "value"), one);
        assert_eq!(
            refused.text("#note"),
            "register of 2026-10-20, sheet 3",
            "what was typed stays"
        );
    }
    let no_evidence = [("one", "n1"), ("other", "n2"), ("reason", "control")];
    let page = person.get("/ops/relations").await;
    let form = "form[action='/ops/relations']";
    let refused = person.submit(&page, form, &no_evidence).await;
    assert!(!refused.text("#note-error").is_empty());
    assert_eq!(number(&app, "SELECT count(*) FROM interventions").await, 0);
    let done = relate(&mut person, "N1", "n2").await;
    assert_eq!(done.location(), "/ops/relations?done", "{}", done.body);
    // The provider's ask at 10.00 is the next, and is the bid's own now.
    app.submit(bid("meets its own", 8, 100_000, (1, 5))).await;
    assert_eq!(number(&app, "SELECT count(*) FROM leases").await, 0);
    let why = sqlx::query_scalar("SELECT done FROM orders WHERE client_id = 'meets its own'");
    let why: Option<String> = why
        .fetch_one(&app.database.pool)
        .await
        .expect("it is there");
    assert_eq!(why.as_deref(), Some("self_trade"));
    let again = relate(&mut person, "n2", "n1").await;
    assert!(again.text("#other-error").contains("related already"));
    // Both of their pages say so; a third one joins both.
    let acts = acts(&app, "relate").await;
    let subjects: Vec<&str> = acts.iter().map(|act| &*act.1).collect();
    assert_eq!(subjects, ["participant:1", "participant:2"]);
    assert_eq!(acts[0].2["with"], "n2");
    let joined = relate(&mut person, "n2", "白鹭渲染").await;
    assert_eq!(joined.location(), "/ops/relations?done", "{}", joined.body);
    let all = app.app.feed.market().related_to(ParticipantId(third));
    assert_eq!(all, [PROVIDER, BUYER, ParticipantId(third)]);
    let page = person.get("/ops/relations").await;
    let rows = page.texts(".queue li");
    assert_eq!(rows.len(), 2, "{rows:?}");
    for part in [
        "controlled by the same person",
        "sheet 3",
        "surveillance",
        "count as one",
    ] {
        assert!(rows[0].contains(part), "{part} in {}", rows[0]);
    }
    assert_eq!(actors(&app, "relate").await.len(), 2);
    let mut arbiter = people::of_platform(&app, Role::Arbiter).await;
    assert!(!arbiter.get("/ops/relations").await.has(form));
    let refused = arbiter.post("/ops/relations", &no_evidence).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    app.stop().await;
}

fn balance(app: &TestApp, of: ParticipantId, kind: AccountKind) -> i64 {
    let market = app.app.feed.market();
    market.ledger().balance(Account::of(of, kind)).0
}

const DEFAULT: &str = "form[action='/ops/leases/l1/default']";

/// Eight units for four hours at 10.00: the first is delivered, the second in course.
async fn running() -> TestApp {
    let app = standard().await;
    app.submit(bid("leased", 8, 100_000, (1, 5))).await;
    app.clock().set(Timestamp(hour(2).0 + 20 * MINUTE));
    app.submit(deliver(1, 1, 60)).await;
    app
}

#[tokio::test]
async fn a_default_is_shown_before_it_is_found_and_booked_as_it_was_shown() {
    let app = running().await;
    let mut person = operations(&app).await;
    let lease = person.get("/ops/leases/l1").await;
    assert!(
        lease.has("a[href='/ops/leases/l1/default']"),
        "{}",
        lease.body
    );
    let page = person.get("/ops/leases/l1/default").await;
    // Two hours are left: 8 × 2 × 10.00, and 10 % of that of the 32.00 pledged.
    let lines = page.texts(".column-main .lines div");
    for (line, part) in [
        (0, "11:00"),
        (1, "2 hours, 16 unit-hours"),
        (2, "¥160.0000"),
        (3, "did not ask"),
        (4, "¥16.0000"),
        (5, "¥32.0000"),
        (6, "¥16.0000"),
    ] {
        assert!(lines[line].contains(part), "{part} in {lines:?}");
    }
    let entry = page.text(".entry");
    for part in ["+176.0000", "\u{2212}160.0000", "\u{2212}16.0000", "0.0000"] {
        assert!(entry.contains(part), "{part} in {entry}");
    }
    let kinds = [
        (BUYER, AccountKind::Cash, 1_760_000),
        (BUYER, AccountKind::Escrow, -1_600_000),
        (PROVIDER, AccountKind::Bond, -160_000),
        (PROVIDER, AccountKind::Cash, 0),
    ];
    let before = kinds.map(|(of, kind, _)| balance(&app, of, kind));
    let silent = [("reason", "withdrawn")];
    let refused = person.submit(&page, DEFAULT, &silent).await;
    assert!(!refused.text("#note-error").is_empty(), "{}", refused.body);
    assert_eq!(balance(&app, BUYER, AccountKind::Cash), before[0]);
    let typed = [("reason", "withdrawn"), ("note", "三台主机被供方收回")];
    let mut same = person.clone();
    let (one, two) = join(
        person.submit(&page, DEFAULT, &typed),
        same.submit(&page, DEFAULT, &typed),
    )
    .await;
    let three = person.submit(&page, DEFAULT, &typed).await;
    for page in [one, two, three] {
        assert_eq!(
            page.location(),
            "/ops/leases/l1/default?done",
            "{}",
            page.body
        );
    }
    for ((of, kind, change), before) in kinds.into_iter().zip(before) {
        assert_eq!(balance(&app, of, kind) - before, change, "{of} {kind:?}");
    }
    assert_eq!(actors(&app, "default").await.len(), 1);
    let acts = acts(&app, "default").await;
    assert_eq!(acts.len(), 1);
    assert_eq!((&*acts[0].0, &*acts[0].1), ("operations", "l1"));
    // Each side reads why, and its links lead to entries that it may see.
    let mut holder = people::member(&app, BUYER.0, &[Role::Owner], "bea").await;
    let mut provider = people::member(&app, PROVIDER.0, &[Role::Owner], "pat").await;
    for (visitor, path) in [
        (&mut holder, "/leases/l1"),
        (&mut provider, "/provide/leases/l1"),
        (&mut person, "/ops/leases/l1"),
    ] {
        let page = visitor.get(path).await;
        let said = page.text(".failure");
        for part in [
            "capacity withdrawn",
            "三台主机",
            "160.0000",
            "16.0000",
            "11:00",
        ] {
            assert!(said.contains(part), "{path}: {part} in {said}");
        }
        assert_eq!(
            said.contains("operations"),
            path.starts_with("/ops"),
            "{said}"
        );
        let links = page.attributes(".failure .links a", "href");
        // Two refunds and a penalty; of the refunds the provider has no part.
        let entries = if path.starts_with("/provide") { 1 } else { 3 };
        assert_eq!(links.len(), entries, "{path}: {links:?}");
        for link in links {
            let status = visitor.get(&link).await.status;
            assert_eq!(status, StatusCode::OK, "{path}: {link}");
        }
        assert!(!page.has("a[href='/ops/leases/l1/default']"), "{path}");
    }
    // The hour in course is settled as ever.
    app.clock().set(hour(3));
    app.submit(deliver(1, 2, 60)).await;
    assert!(
        app.app
            .feed
            .market()
            .lease(LeaseId(1))
            .is_some_and(|one| one.is_ended())
    );
    app.stop().await;
}

#[tokio::test]
async fn a_default_that_has_changed_or_was_found_before_is_not_found_again() {
    let app = running().await;
    let mut first = operations(&app).await;
    let mut second = people::member(&app, PLATFORM, &[Role::Operations], "second").await;
    let stale = first.get("/ops/leases/l1/default").await;
    let typed = [("reason", "insolvent"), ("note", "closed yesterday")];
    // The next hour has begun: less is left of it.
    app.clock().set(Timestamp(hour(3).0 + MINUTE));
    let changed = first.submit(&stale, DEFAULT, &typed).await;
    assert_eq!(changed.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(changed.text("[role=alert]").contains("have changed"));
    assert_eq!(changed.text("#note"), "closed yesterday");
    assert!(changed.text(".column-main .lines").contains("¥80.0000"));
    assert!(actors(&app, "default").await.is_empty());
    let late = second.get("/ops/leases/l1/default").await;
    // What was shown anew is meant.
    let found = first.submit(&changed, DEFAULT, &[]).await;
    assert_eq!(
        found.location(),
        "/ops/leases/l1/default?done",
        "{}",
        found.body
    );
    let refused = second.submit(&late, DEFAULT, &typed).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let said = refused.text("[role=alert]");
    assert!(said.contains("operations"), "{said}");
    assert_eq!(number(&app, "SELECT count(*) FROM interventions").await, 1);
    // One that is over can't be found failed, and says so in place of a form.
    app.submit(bid("second", 1, 100_000, (4, 5))).await;
    let open = first.get("/ops/leases/l2/default").await;
    app.clock().set(Timestamp(hour(4).0 + MINUTE));
    let over = first.get("/ops/leases/l2/default").await;
    assert!(
        over.body.contains("Nothing is left of this lease"),
        "{}",
        over.body
    );
    let form = "form[action='/ops/leases/l2/default']";
    assert!(!over.has(form));
    let refused = first.submit(&open, form, &typed).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
    assert!(!refused.text("[role=alert]").is_empty());
    assert_eq!(number(&app, "SELECT count(*) FROM interventions").await, 1);
    let mut arbiter = people::of_platform(&app, Role::Arbiter).await;
    assert!(
        !arbiter
            .get("/ops/leases/l1")
            .await
            .has("a[href$='/default']")
    );
    let refused = arbiter.post("/ops/leases/l1/default", &typed).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    app.stop().await;
}

#[tokio::test]
async fn what_the_buyer_wants_bought_in_is_bought_in() {
    let app = standard().await;
    let bid = |client_id: &str, units: i64| {
        Command::PlaceOrder(PlaceOrder {
            participant: BUYER,
            client_id: ClientId(client_id.to_owned()),
            side: Side::Buy {
                target: Target::Instruments(vec![INSTRUMENT]),
                min_fill: None,
                flexible: None,
                buy_in: true,
            },
            units,
            price: Money(100_000),
            start: hour(1),
            end: hour(5),
            tif: TimeInForce::Gtc,
            post_only: false,
        })
    };
    app.submit(bid("leased", 8)).await;
    // What else there is at this price goes, and what is left costs 10.50.
    app.submit(bid("the rest", 56)).await;
    app.submit(ask("dearer", 64, 105_000)).await;
    app.submit(Command::CancelOrder {
        participant: PROVIDER,
        client_id: ClientId("ask".to_owned()),
    })
    .await;
    let grow = Command::OpenPool(market::OpenPool {
        pool: market::PoolId(1),
        participant: PROVIDER,
        instrument: INSTRUMENT,
        units: 72,
        start: hour(0),
        end: hour(720),
        access: market::Access::Instant,
    });
    app.submit(grow).await;
    let mut person = operations(&app).await;
    let page = person.get("/ops/leases/l1/default").await;
    let lines = page.texts(".column-main .lines div").join(" | ");
    // 8 × 4 unit-hours at 0.50 more.
    for part in ["32 of 32 unit-hours", "¥320.0000", "¥16.0000", "¥0.0000"] {
        assert!(lines.contains(part), "{part} in {lines}");
    }
    let typed = [("reason", "not_delivered"), ("note", "no host came up")];
    let found = person.submit(&page, DEFAULT, &typed).await;
    assert_eq!(
        found.location(),
        "/ops/leases/l1/default?done",
        "{}",
        found.body
    );
    let page = person.get("/ops/leases/l1").await;
    let said = page.text(".failure");
    for part in ["320.0000", "16.0000", "l3"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let market = app.app.feed.market().clone();
    let bought = market.lease(LeaseId(3)).expect("it is bought in");
    assert_eq!((bought.price, bought.units), (Money(105_000), 8));
    app.stop().await;
}
