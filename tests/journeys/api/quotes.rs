//! What a bid would cost, by part, elsewhere and at other hours, without placing it.

use axum::http::StatusCode;
use market::{
    Access, Account, AccountKind, Command, Fees, InstrumentId, ListInstrument, Money, OpenPool,
    PlaceOrder, PoolId, Rules, Side,
};
use serde_json::{Value, json};
use sluice::web::server::Limits;

use super::{SYMBOL, bid, buyer, said, send};
use crate::support::app::TestApp;
use crate::support::market::{BUYER, PROVIDER, ask, hour};
use crate::world::effects;

/// The symbol of what [`list_elsewhere`] lists.
pub(crate) const ELSEWHERE: &str = "A100-80GB.INM-HOH.SILVER";

/// Another region, where eight units are cheaper in all hours: 9.00.
pub(crate) async fn list_elsewhere(app: &TestApp) {
    app.submit(Command::ListInstrument(ListInstrument {
        instrument: InstrumentId(2),
        symbol: ELSEWHERE.to_owned(),
        lot: 1,
        tick: Money(100),
    }))
    .await;
    app.submit(Command::OpenPool(OpenPool {
        pool: PoolId(2),
        participant: PROVIDER,
        instrument: InstrumentId(2),
        units: 8,
        start: hour(0),
        end: hour(720),
        access: Access::Instant,
    }))
    .await;
    let mut other = ask("elsewhere", 8, 90_000);
    if let Command::PlaceOrder(PlaceOrder {
        side: Side::Sell { pool, .. },
        ..
    }) = &mut other
    {
        *pool = PoolId(2);
    }
    app.submit(other).await;
}

/// A buyer's fee of 1 % for what rests, 0.5 % for what trades at once.
pub(crate) fn fees() -> Rules {
    Rules {
        buyer_fee: Fees {
            flat: Money(0),
            maker_bps: 100,
            taker_bps: 50,
        },
        ..Rules::none()
    }
}

#[tokio::test]
async fn a_quote_is_what_the_order_then_costs() {
    let app = TestApp::with(fees(), Limits::default()).await;
    list_elsewhere(&app).await;
    let mut program = buyer(&app).await;
    let before = effects::tables(&app).await;
    let asked = format!(
        "/api/v1/quote?symbols={SYMBOL}&units=8&start=2026-10-26T00:00:00Z&end=2026-10-26T02:00:00Z"
    );
    let page = program.get(&asked).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let quote = said(&page);
    // 8 units for two hours at 10.00, of which 0.5 % are the taker's fee; held at the dearer 1 %.
    assert_eq!(
        [
            &quote["limit"],
            &quote["price"],
            &quote["fee"],
            &quote["all_in"],
            &quote["hold"]
        ],
        ["10.0000", "160.0000", "0.8000", "160.8000", "161.6000"]
    );
    assert_eq!(
        (&quote["filled"], &quote["lacks"]),
        (&json!(8), &Value::Null)
    );
    assert_eq!(quote["regions"][0]["symbol"], ELSEWHERE);
    assert_eq!(quote["regions"][0]["all_in"], "144.7200");
    assert_eq!(quote["starts"][0]["all_in"], "160.8000");
    assert_eq!(before, effects::tables(&app).await);
    // Both regions at once give the cheaper one first.
    let both = asked
        .replace(SYMBOL, &format!("{SYMBOL},{ELSEWHERE}"))
        .replace("units=8", "units=12");
    let quote = said(&program.get(&both).await);
    let symbols: Vec<&Value> = quote["fills"]
        .as_array()
        .expect("fills")
        .iter()
        .map(|one| &one["symbol"])
        .collect();
    assert_eq!(symbols, [ELSEWHERE, SYMBOL]);
    // What was quoted is what it costs.
    let page = send(&mut program, &bid("quoted", json!({"price": "10.00"}))).await;
    assert_eq!(said(&page)["done"], "filled", "{}", page.body);
    let escrow = Account::of(BUYER, AccountKind::Escrow);
    let escrow = app.app.feed.market().ledger().balance(escrow);
    assert_eq!(escrow, Money(1_608_000));
    app.stop().await;
}

#[tokio::test]
async fn what_a_bid_lacks_is_said() {
    let app = TestApp::with(fees(), Limits::default()).await;
    let mut program = buyer(&app).await;
    let asked = |more: &str| {
        format!(
            "/api/v1/quote?symbols={SYMBOL}&start=2026-10-26T00:00:00Z&end=2026-10-26T02:00:00Z{more}"
        )
    };
    let lacks = said(&program.get(&asked("&units=8&price=9.00")).await)["lacks"].clone();
    assert_eq!(
        (&lacks["units"], &lacks["limit"]),
        (&json!(8), &json!("10.0000"))
    );
    let quote = said(&program.get(&asked("&units=80&price=12.00")).await);
    assert_eq!(
        (&quote["filled"], &quote["lacks"]["units"]),
        (&json!(64), &json!(16))
    );
    assert_eq!(quote["lacks"]["limit"], Value::Null);
    let quote = said(&program.get(&asked("&units=64&price=99999")).await);
    assert!(quote["lacks"]["cash"].is_string(), "{quote}");
    // A flexible start has the cheapest of its hours, and counts only those.
    let flexible = asked("&units=8&duration=1");
    let quote = said(&program.get(&flexible).await);
    assert_eq!(
        (&quote["all_in"], &quote["hold"]),
        (&json!("80.4000"), &json!("80.8000"))
    );
    for (more, code, field) in [
        ("", "missing_field", json!("units")),
        ("&units=x", "wrong_type", json!("units")),
        ("&units=8&price=-", "bad_value", json!("price")),
        ("&units=8&colour=red", "unknown_field", json!("colour")),
        ("&units=8&side=sell", "unknown_field", json!("side")),
        ("&units=8&units=9", "bad_value", json!("units")),
        ("&units=0", "not_a_lot", Value::Null),
    ] {
        let problem = said(&program.get(&asked(more)).await);
        assert_eq!(
            (&problem["code"], &problem["field"]),
            (&json!(code), &field),
            "{more} {problem}"
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn what_counts_for_approval_is_the_fee_too_and_only_the_hours_that_are_wanted() {
    let app = TestApp::with(fees(), Limits::default()).await;
    let mut program = buyer(&app).await;
    let above = async |yuan: i64| {
        let sql = "UPDATE participants SET approval_above = $1 WHERE id = 2";
        let set = sqlx::query(sql)
            .bind(yuan * 10_000)
            .execute(&app.database.pool);
        set.await.expect("an amount");
    };
    // 144 yuan and 1 % of that.
    above(145).await;
    let page = send(&mut program, &bid("with-fee", json!({}))).await;
    assert_eq!(said(&page)["outcome"], "held", "{}", page.body);
    let cost: i64 = sqlx::query_scalar("SELECT cost FROM order_requests")
        .fetch_one(&app.database.pool)
        .await
        .expect("a request");
    assert_eq!(cost, 1_454_400);
    // One hour of a day costs as much as one hour.
    let wide = json!({"end": "2026-10-27T00:00:00Z", "duration": 1});
    let page = send(&mut program, &bid("flexible", wide.clone())).await;
    assert_eq!(said(&page)["outcome"], "accepted", "{}", page.body);
    // 72.72 of it are counted with the next one.
    let page = send(&mut program, &bid("second", wide)).await;
    assert_eq!(said(&page)["outcome"], "held", "{}", page.body);
    above(146).await;
    let wide = json!({"end": "2026-10-27T00:00:00Z", "duration": 1, "price": "9.01"});
    let page = send(&mut program, &bid("third", wide)).await;
    assert_eq!(said(&page)["outcome"], "accepted", "{}", page.body);
    app.stop().await;
}
