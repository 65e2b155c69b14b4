//! Service levels on real evidence: who is believed, what comes late, and when a lease is failed.

use market::{Command, Hour, PoolId, Side};
use sluice::delivery::probes::Reason;
use sluice::rules;

use super::{Site, minutes};
use crate::support::machine::Machine;
use crate::support::market::{BUYER, bid, hour};

fn standard() -> market::Rules {
    rules::load(None).expect("the standard rules")
}

#[tokio::test]
async fn what_comes_late_corrects_by_an_entry_of_its_own() {
    let site = Site::with(standard()).await;
    let mut machine = Machine::enrolled(&site.app, "one", 8).await;
    site.app.submit(bid("b1", 8, 100_000, (1, 2))).await;
    site.placed(1).await;
    site.accept(1).await;
    site.set(2, 0);
    let told = machine.sign(1, &minutes(1, 0..60, 8));
    machine.tell(&told[..30]).await;
    site.set(2, 11);
    site.until("the hour is settled by what is there", async || {
        (site.settled(1).await == [240]).then_some(())
    })
    .await;
    let cash = |of| {
        let market = site.app.app.feed.market();
        let account = market::Account::of(of, market::AccountKind::Cash);
        market.ledger().balance(account)
    };
    let before = cash(BUYER);
    // The exchange was out of reach for three hours; the readings come in whatever order.
    site.set(5, 0);
    machine.tell(&told[45..]).await;
    machine.tell(&told[..]).await;
    site.until("it is corrected", async || {
        (site.counted(1).await.first() == Some(&480)).then_some(())
    })
    .await;
    assert_eq!(site.settled(1).await.first(), Some(&240), "and not changed");
    // 240 unit-minutes at 10.00 a unit-hour are 40.00 again, and the credit of 10 % of 80.00 that
    // half an hour was worth goes back.
    assert_eq!((before - cash(BUYER)).0, 480_000);
    // Again it does nothing.
    machine.tell(&told).await;
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert_eq!((before - cash(BUYER)).0, 480_000);
    site.stop().await;
}

#[tokio::test]
async fn an_agent_that_lies_is_paid_for_what_probes_leave_standing() {
    let site = Site::with(standard()).await;
    let mut machine = Machine::enrolled(&site.app, "one", 8).await;
    let vantages = site.vantages(3).await;
    site.app.submit(bid("b1", 8, 100_000, (1, 2))).await;
    site.placed(1).await;
    let door = (1, machine.host);
    let all = async |reasons: [Reason; 3]| {
        for (vantage, reason) in vantages.iter().zip(reasons) {
            site.probe(*vantage, door, reason).await;
        }
    };
    use Reason::{Passed, Silent, Unreachable};
    site.set(0, 55);
    all([Unreachable, Unreachable, Passed]).await;
    // One of three accepts nobody.
    site.set(1, 5);
    all([Unreachable, Passed, Passed]).await;
    site.set(1, 10);
    all([Passed, Passed, Passed]).await;
    site.set(1, 20);
    all([Silent, Unreachable, Passed]).await;
    site.set(1, 30);
    all([Silent, Unreachable, Passed]).await;
    site.set(1, 40);
    all([Passed, Unreachable, Passed]).await;
    site.set(1, 50);
    all([Passed, Unreachable, Passed]).await;
    site.set(2, 0);
    let told = machine.sign(1, &minutes(1, 0..60, 8));
    machine.tell(&told).await;
    // Accepted at minute 5 by two of three; denied from 20 to before 40 by two of three; from 40 on
    // one alone denies nothing.
    site.until("the hour is settled", async || {
        (site.settled(1).await == [8 * (15 + 20)]).then_some(())
    })
    .await;
    let cases: Vec<String> = sqlx::query_scalar("SELECT kind FROM delivery_cases")
        .fetch_all(&site.app.database.pool)
        .await
        .expect("cases are read");
    assert_eq!(cases, ["denied_minutes"]);
    site.stop().await;
}

/// Another provider's pool with an ask at a price.
async fn another_pool(site: &Site, price: i64) {
    let provider = market::ParticipantId(3);
    let insert = "INSERT INTO participants (name, created_at) VALUES ('另一家', now())";
    let inserted = sqlx::query(insert).execute(&site.app.database.pool).await;
    inserted.expect("a participant is written");
    site.app
        .submit(Command::Deposit {
            participant: provider,
            amount: market::Money(1_000_000_000),
        })
        .await;
    site.app
        .submit(Command::OpenPool(market::OpenPool {
            pool: PoolId(2),
            participant: provider,
            instrument: market::InstrumentId(1),
            units: 8,
            start: hour(0),
            end: hour(100),
            access: market::Access::Instant,
        }))
        .await;
    site.app
        .submit(Command::PlaceOrder(market::PlaceOrder {
            participant: provider,
            client_id: market::ClientId("other".to_owned()),
            side: Side::Sell {
                pool: PoolId(2),
                min_hours: 1,
                weekly: None,
            },
            units: 8,
            price: market::Money(price),
            start: hour(0),
            end: hour(100),
            tif: market::TimeInForce::Gtc,
            post_only: false,
        }))
        .await;
}

#[tokio::test]
async fn a_provider_in_default_refunds_and_the_rest_is_bought_in() {
    let site = Site::with(standard()).await;
    let machine = Machine::enrolled(&site.app, "one", 8).await;
    let vantages = site.vantages(2).await;
    let mut wanted = bid("b1", 8, 100_000, (1, 9));
    if let Command::PlaceOrder(placed) = &mut wanted
        && let Side::Buy { buy_in, .. } = &mut placed.side
    {
        *buy_in = true;
    }
    site.app.submit(wanted).await;
    another_pool(&site, 90_000).await;
    site.placed(1).await;
    let door = (1, machine.host);
    site.set(1, 0);
    for vantage in &vantages {
        site.probe(*vantage, door, Reason::Passed).await;
    }
    // Silver: two hours in a row.
    for minute in (10..130).step_by(10) {
        site.set(1, minute);
        for vantage in &vantages {
            site.probe(*vantage, door, Reason::Unreachable).await;
        }
        assert_eq!(site.lease(1).failed_from, None, "after {minute} minutes");
    }
    site.set(1, 130);
    let failed = site
        .until("the lease is failed", async || site.lease(1).failed_from)
        .await;
    assert_eq!(failed, Hour(hour(4).hour().0));
    let bought_in = site.lease(2);
    assert_eq!((bought_in.pool, bought_in.units), (PoolId(2), 8));
    assert_eq!(bought_in.period.start, failed);
    site.until("it is told", async || {
        let ways = site.ways(1).await;
        let told = ways.last()?;
        (told.0 == "failed" && told.1 == "default").then_some(())
    })
    .await;
    site.stop().await;
}

#[tokio::test]
async fn a_lease_that_nobody_is_let_into_is_failed_when_its_grace_is_over() {
    let site = Site::with(standard()).await;
    let _machine = Machine::enrolled(&site.app, "one", 8).await;
    site.app.submit(bid("b1", 8, 100_000, (1, 9))).await;
    site.placed(1).await;
    site.set(1, 29);
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    assert_eq!(site.lease(1).failed_from, None);
    site.set(1, 30);
    let failed = site
        .until("the lease is failed", async || site.lease(1).failed_from)
        .await;
    assert_eq!(failed, Hour(hour(2).hour().0));
    site.stop().await;
}

#[tokio::test]
async fn maintenance_that_was_declared_in_time_is_excused_and_not_paid() {
    let site = Site::with(standard()).await;
    let mut machine = Machine::enrolled(&site.app, "one", 8).await;
    let declare = "INSERT INTO maintenances (pool, form_id, start_at, end_at, note, declared_at)
         VALUES (1, $1, $2, $3, 'new fans', $4)";
    let at = |hours: i64, minutes: i64| {
        let at = sluice::clock::instant(hour(hours).plus_minutes(minutes));
        jiff_sqlx::Timestamp::from(at)
    };
    // Silver wants 48 hours of notice: the first is in time, the second is not.
    for (form, from, to, declared) in [
        ("form of the first", at(50, 0), at(50, 30), at(1, 0)),
        ("form of the second", at(50, 30), at(50, 45), at(10, 0)),
    ] {
        let declared = sqlx::query(declare)
            .bind(form)
            .bind(from)
            .bind(to)
            .bind(declared);
        let declared = declared.execute(&site.app.database.pool).await;
        declared.expect("it is declared");
    }
    site.app.submit(bid("b1", 8, 100_000, (50, 52))).await;
    site.placed(1).await;
    site.accept(1).await;
    site.set(51, 0);
    let told = machine.sign(1, &minutes(50, 45..60, 8));
    machine.tell(&told).await;
    // The rest never ran: the first number says that nothing was before it.
    site.until("the hour is settled", async || {
        (site.settled(1).await == [120]).then_some(())
    })
    .await;
    let excused: i64 = sqlx::query_scalar("SELECT excused FROM settlements WHERE lease = 1")
        .fetch_one(&site.app.database.pool)
        .await
        .expect("it is read");
    assert_eq!(excused, 240);
    site.stop().await;
}

#[tokio::test]
async fn an_extension_goes_on_in_place_and_a_resale_hands_over_at_the_hour() {
    let site = Site::with(market::Rules::none()).await;
    let mut machine = Machine::enrolled(&site.app, "one", 8).await;
    site.app.submit(bid("b1", 4, 100_000, (1, 3))).await;
    site.app.submit(bid("b2", 4, 100_000, (3, 4))).await;
    site.placed(1).await;
    site.until("both are placed", async || {
        let placed = "SELECT count(*) FROM placements";
        let placed: i64 = sqlx::query_scalar(placed)
            .fetch_one(&site.app.database.pool)
            .await
            .expect("it is counted");
        (placed == 2).then_some(())
    })
    .await;
    site.set(1, 0);
    let orders = machine.beat().await;
    assert_eq!(orders.len(), 1, "one stay: {orders:?}");
    assert_eq!(orders[0]["lease"], 1);
    let end = sluice::clock::instant(hour(4)).to_string();
    assert_eq!(orders[0]["end"], end.as_str());
    site.accept(1).await;
    site.set(4, 0);
    let mut told = minutes(1, 0..60, 4);
    told.extend(minutes(2, 0..60, 4));
    told.extend(minutes(3, 0..60, 4));
    let told = machine.sign(1, &told);
    machine.tell(&told).await;
    site.until("all hours of both are settled", async || {
        (site.settled(1).await == [240, 240] && site.settled(2).await == [240]).then_some(())
    })
    .await;
    // A lease of which half of one hour is sold on.
    site.app.submit(bid("b3", 8, 100_000, (5, 8))).await;
    let resale = Command::PlaceOrder(market::PlaceOrder {
        participant: BUYER,
        client_id: market::ClientId("resale".to_owned()),
        side: Side::Resell {
            lease: market::LeaseId(3),
            min_hours: 1,
            weekly: None,
        },
        units: 4,
        price: market::Money(90_000),
        start: hour(6),
        end: hour(8),
        tif: market::TimeInForce::Gtc,
        post_only: false,
    });
    site.app.submit(resale).await;
    another_pool(&site, 200_000).await;
    let mut wanted = bid("b4", 4, 90_000, (6, 8));
    if let Command::PlaceOrder(placed) = &mut wanted {
        placed.participant = market::ParticipantId(3);
    }
    site.app.submit(wanted).await;
    assert_eq!(site.lease(4).parent, Some(market::LeaseId(3)));
    let at = async |machine: &mut Machine, hours: i64, minutes: i64| {
        site.set(hours, minutes);
        let orders = machine.beat().await;
        let of = |order: &serde_json::Value| (order["lease"].as_i64(), order["units"].as_i64());
        orders.iter().map(of).collect::<Vec<_>>()
    };
    site.placed(4).await;
    assert_eq!(
        at(&mut machine, 5, 30).await,
        [(Some(1), Some(4)), (Some(3), Some(8))]
    );
    assert_eq!(
        at(&mut machine, 6, 0).await,
        [(Some(1), Some(4)), (Some(3), Some(4)), (Some(4), Some(4))]
    );
    site.stop().await;
}
