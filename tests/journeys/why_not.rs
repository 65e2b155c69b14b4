//! Why an order is not filled, or ended so, in one sentence.

use market::{
    Access, ClientId, Command, Money, OpenPool, ParticipantId, PlaceOrder, PoolId, Rules, Side,
    TimeInForce,
};
use sluice::web::Role;
use sluice::web::server::Limits;

use crate::support::app::TestApp;
use crate::support::market::{BUYER, INSTRUMENT, PROVIDER, ask, bid, hour};
use crate::support::people;
use crate::support::visitor::Visitor;

/// Somebody of the buyer's, and somebody of the provider's.
async fn both(app: &TestApp) -> (Visitor, Visitor) {
    let roles = [Role::Owner];
    (
        people::member(app, BUYER.0, &roles, "bea").await,
        people::member(app, PROVIDER.0, &roles, "pat").await,
    )
}

async fn cancel(app: &TestApp, client_id: &str) {
    app.submit(Command::CancelOrder {
        participant: PROVIDER,
        client_id: ClientId(client_id.to_owned()),
    })
    .await;
}

/// The sentence on an order's page; the list says the same.
async fn why(visitor: &mut Visitor, order: &str) -> String {
    let said = visitor.get(&format!("/orders/{order}")).await.text("#why");
    let list = visitor.get("/orders").await;
    let row = format!("li:has(a[href='/orders/{order}'])");
    let listed = list.text(&format!("{row} .order-state .second"));
    assert!(said.starts_with(&listed), "{said} is not {listed}");
    said
}

/// An order to sell from a pool, with what only some have.
fn offer(client_id: &str, pool: i64, units: i64, hours: (i64, i64), min_hours: i64) -> Command {
    Command::PlaceOrder(PlaceOrder {
        participant: PROVIDER,
        client_id: ClientId(client_id.to_owned()),
        side: Side::Sell {
            pool: PoolId(pool),
            min_hours,
            weekly: None,
        },
        units,
        price: Money(80_000),
        start: hour(hours.0),
        end: hour(hours.1),
        tif: TimeInForce::Gtc,
        post_only: false,
    })
}

#[tokio::test]
async fn a_bid_says_what_it_waits_for() {
    let app = TestApp::start().await;
    let (mut bea, _) = both(&app).await;
    app.submit(bid("dear", 8, 90_000, (1, 5))).await;
    let said = why(&mut bea, "o2").await;
    assert!(
        said.starts_with("Best ask 10.00, your limit 9.00"),
        "{said}"
    );
    cancel(&app, "ask").await;
    let said = why(&mut bea, "o2").await;
    assert!(
        said.starts_with("Nothing is offered for these hours"),
        "{said}"
    );
    // Ten hours or more at a time, and too few for the smallest fill.
    app.submit(offer("long", 1, 64, (0, 100), 10)).await;
    let said = why(&mut bea, "o2").await;
    assert!(said.contains("sold for 10 hours or more"), "{said}");
    assert!(said.contains("yours has 4"), "{said}");
    cancel(&app, "long").await;
    // Hours near it have what it wants.
    app.submit(offer("later", 1, 64, (7, 20), 1)).await;
    let page = bea.get("/orders/o2").await;
    let near = page.text("#why a");
    assert_eq!(near, "Sun 25 Oct 15:00 – 19:00 UTC+8");
    let ticket = page.attribute("#why a", "href");
    assert!(
        ticket.contains("units=8&day=2026-10-25&hour=15&hours=4"),
        "{ticket}"
    );
    cancel(&app, "later").await;
    app.stop().await;
}

#[tokio::test]
async fn a_bid_says_what_is_too_few_leased_or_its_own() {
    let app = TestApp::start().await;
    let (mut bea, mut pat) = both(&app).await;
    cancel(&app, "ask").await;
    let mut all = bid("all", 8, 90_000, (1, 5));
    if let Command::PlaceOrder(order) = &mut all
        && let Side::Buy { min_fill, .. } = &mut order.side
    {
        *min_fill = Some(8);
    }
    app.submit(all).await;
    app.submit(offer("few", 1, 6, (0, 100), 1)).await;
    let said = why(&mut bea, "o2").await;
    assert!(
        said.starts_with("At most 6 units are offered at once"),
        "{said}"
    );
    assert!(said.contains("smallest fill is 8"), "{said}");
    // Someone else takes the six.
    app.submit(bid("six", 6, 80_000, (1, 5))).await;
    let said = why(&mut bea, "o2").await;
    assert!(
        said.starts_with("All that was offered for these hours is leased"),
        "{said}"
    );
    // The provider's own bid meets the provider's own ask: it ends, and says so.
    cancel(&app, "few").await;
    app.submit(offer("own", 1, 6, (10, 100), 1)).await;
    let mut own = bid("own-bid", 2, 90_000, (20, 24));
    if let Command::PlaceOrder(order) = &mut own {
        order.participant = PROVIDER;
    }
    app.submit(own).await;
    let said = why(&mut pat, "o6").await;
    assert!(said.contains("nobody trades with themselves"), "{said}");
    app.stop().await;
}

#[tokio::test]
async fn a_bid_says_that_what_is_left_can_not_be_prepared_in_time() {
    let rules = Rules {
        gate_minutes: 90,
        ..Rules::none()
    };
    let app = TestApp::with(rules, Limits::default()).await;
    let (mut bea, _) = both(&app).await;
    cancel(&app, "ask").await;
    app.submit(Command::OpenPool(OpenPool {
        pool: PoolId(7),
        participant: PROVIDER,
        instrument: INSTRUMENT,
        units: 8,
        start: hour(0),
        end: hour(100),
        access: Access::Prepared,
    }))
    .await;
    app.submit(offer("prepared", 7, 8, (0, 100), 1)).await;
    app.submit(bid("near", 8, 90_000, (1, 5))).await;
    let said = why(&mut bea, "o3").await;
    assert!(said.contains("prepared 90 minutes before"), "{said}");
    app.stop().await;
}

#[tokio::test]
async fn an_ask_says_what_is_bid_and_what_is_sold() {
    let app = TestApp::start().await;
    let (_, mut pat) = both(&app).await;
    let said = why(&mut pat, "o1").await;
    assert_eq!(said, "No bid for these hours yet; your price is 10.00.");
    app.submit(bid("low", 8, 97_000, (1, 5))).await;
    app.submit(bid("lower", 8, 90_000, (1, 5))).await;
    let said = why(&mut pat, "o1").await;
    assert_eq!(said, "Best bid 9.70, your price 10.00.");
    app.submit(bid("takes", 64, 100_000, (10, 16))).await;
    let said = why(&mut pat, "o1").await;
    let sold = "Best bid 9.70, your price 10.00; sold out in 6 of 720 hours.";
    assert_eq!(said, sold);
    // The hours that are over are none to come.
    app.clock().set(hour(12));
    app.submit(Command::Tick).await;
    let said = why(&mut pat, "o1").await;
    let sold = "No bid for these hours yet; your price is 10.00; sold out in 4 of 708 hours.";
    assert_eq!(said, sold);
    // A bid that wants more at once than is left.
    let mut large = bid("large", 64, 110_000, (14, 20));
    if let Command::PlaceOrder(order) = &mut large
        && let Side::Buy { min_fill, .. } = &mut order.side
    {
        *min_fill = Some(32);
    }
    app.submit(large).await;
    let said = why(&mut pat, "o1").await;
    assert!(
        said.starts_with("The best bid, 11.00, wants at least 32"),
        "{said}"
    );
    assert!(said.contains("you have 0 left"), "{said}");
    app.submit(Command::OpenPool(OpenPool {
        pool: PoolId(2),
        participant: PROVIDER,
        instrument: INSTRUMENT,
        units: 4,
        start: hour(40),
        end: hour(42),
        access: Access::Instant,
    }))
    .await;
    app.submit(offer("small", 2, 4, (40, 42), 1)).await;
    app.submit(bid("first", 4, 80_000, (40, 41))).await;
    app.clock().set(hour(41));
    app.submit(Command::Tick).await;
    let said = why(&mut pat, "o6").await;
    assert!(said.starts_with("No bid for these hours"), "{said}");
    app.stop().await;
}

#[tokio::test]
async fn what_ended_says_what_ended_it() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "10000").await;
    let symbol = "A100-80GB.GUZ-GAN.SILVER";
    let typed = |tif, price| {
        [
            ("mode", "advanced"),
            ("units", "8"),
            ("tif", tif),
            ("price", price),
        ]
    };
    let mut ended = Vec::new();
    for (tif, units) in [("ioc", "70"), ("fok", "70")] {
        let typed = [
            ("mode", "advanced"),
            ("units", units),
            ("tif", tif),
            ("price", "10"),
        ];
        ended.push(ada.order(symbol, &typed).await.location().to_owned());
        app.submit(Command::Tick).await;
    }
    for price in ["9.10", "9.20"] {
        ended.push(
            ada.order(symbol, &typed("gtc", price))
                .await
                .location()
                .to_owned(),
        );
    }
    let until = [
        ("until_day", "2026-10-25"),
        ("until_hour", "10"),
        ("hours", "2"),
        ("hour", "20"),
    ];
    let until = [typed("gtd", "9.30").as_slice(), &until].concat();
    ended.push(ada.order(symbol, &until).await.location().to_owned());
    ada.post(&format!("{}/cancel", ended[2]), &[]).await;
    app.clock().set(hour(24));
    app.submit(Command::Tick).await;
    let mut said = Vec::new();
    for order in &ended {
        let order = order.strip_prefix("/orders/").expect("an order");
        said.push(why(&mut ada, order).await);
    }
    for (said, expected) in said.iter().zip([
        "6 units could not fill at once at 10.00 or less",
        "All of it could not fill at once at 10.00 or less, and it was all or nothing",
        "Cancelled with 8 units unfilled",
        "Until delivery began, nobody offered the other 8 units at 9.20 or less",
        "Until Sun 25 Oct 10:00, the time that you named, nobody offered",
    ]) {
        assert!(said.starts_with(expected), "{said} is not {expected}");
    }
    // A filled one needs no reason.
    let typed = [("units", "8"), ("day", "2026-10-27"), ("hour", "12")];
    ada.order(symbol, &typed).await;
    let filled = ada.get("/orders/o7").await;
    assert!(
        filled.text("h1").contains("filled"),
        "{}",
        filled.text("h1")
    );
    assert!(!filled.has("#why"));
    app.submit(ask("late", 8, 120_000)).await;
    cancel(&app, "late").await;
    let mut pat = people::member(&app, ParticipantId(1).0, &[Role::Owner], "pat").await;
    let said = why(&mut pat, "o8").await;
    assert!(said.starts_with("Taken down"), "{said}");
    app.stop().await;
}
