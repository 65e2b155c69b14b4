//! What goes wrong around delivery: nothing is paid twice, nothing that was proven is lost.

use futures_util::future::join_all;
use market::{ClientId, Command, LeaseId, Rules};
use sluice::delivery::keeper::Keeper;
use tokio_util::sync::CancellationToken;

use super::{Site, minutes};
use crate::support::machine::Machine;
use crate::support::market::{bid, hour};
use crate::support::proxy::{Fault, Proxy};

#[tokio::test]
async fn a_thousand_agents_that_come_back_at_once_are_all_heard() {
    let site = Site::with(Rules::none()).await;
    // Pool 1 has 64 units: so many machines of a unit each have a lease, the others only come.
    let mut machines = Vec::new();
    let (host, _) = crate::support::machine::registered(&site.app, "first", 1).await;
    let more = "INSERT INTO hosts (pool, name, units, kind, address)
         SELECT 1, 'm' || n, 1, 'agent', '127.0.0.1' FROM generate_series(1, 999) n RETURNING id";
    let more: Vec<i64> = sqlx::query_scalar(more)
        .fetch_all(&site.app.database.pool)
        .await
        .expect("machines are registered");
    for (number, host) in (1_u64..).zip(std::iter::once(host).chain(more)) {
        let mut secret = [3; 32];
        secret[..8].copy_from_slice(&number.to_be_bytes());
        let mut machine = Machine::new(&site.app, host, secret);
        machine.agent = number;
        machines.push(machine);
    }
    let keys: Vec<Vec<u8>> = machines.iter().map(Machine::public_key).collect();
    let hosts: Vec<i64> = machines.iter().map(|machine| machine.host).collect();
    let enrolled = "INSERT INTO agents (id, host, public_key, enrolled_at, seen_at, inventory)
         OVERRIDING SYSTEM VALUE
         SELECT n, h, k, now(), now(), '{}'
         FROM unnest($1::bigint[], $2::bytea[]) WITH ORDINALITY AS t (h, k, n)";
    let enrolled = sqlx::query(enrolled).bind(&hosts).bind(&keys);
    let enrolled = enrolled.execute(&site.app.database.pool).await;
    enrolled.expect("agents are enrolled");
    for number in 0..64 {
        let name = format!("b{number}");
        site.app.submit(bid(&name, 1, 100_000, (1, 2))).await;
    }
    for lease in 1..=64 {
        site.placed(lease).await;
        site.accept(lease).await;
    }
    let placed: Vec<(i64, i64)> = sqlx::query_as("SELECT host, stay FROM stays")
        .fetch_all(&site.app.database.pool)
        .await
        .expect("stays are read");
    site.set(2, 0);
    let telling = machines.iter_mut().map(|machine| {
        let stay = placed.iter().find(|(host, _)| *host == machine.host);
        let stay = stay.map(|(_, stay)| u64::try_from(*stay).expect("positive"));
        async move {
            machine.beat().await;
            if let Some(stay) = stay {
                let told = machine.sign(stay, &minutes(1, 0..60, 1));
                let answer = machine.tell(&told).await;
                assert_eq!(answer.status, 200, "{}", answer.body);
            }
        }
    });
    let telling: Vec<_> = telling.collect();
    // So many at once as a server takes from one address.
    let mut waiting = telling.into_iter();
    loop {
        let some: Vec<_> = waiting.by_ref().take(100).collect();
        if some.is_empty() {
            break;
        }
        join_all(some).await;
    }
    for lease in 1..=64 {
        site.until("every hour is settled", async || {
            (site.settled(lease).await == [60]).then_some(())
        })
        .await;
    }
    site.stop().await;
}

#[tokio::test]
async fn a_database_that_is_gone_for_a_while_costs_no_minute() {
    let site = Site::with(Rules::none()).await;
    let mut machine = Machine::enrolled(&site.app, "one", 8).await;
    site.app.submit(bid("b1", 8, 100_000, (1, 2))).await;
    site.placed(1).await;
    site.accept(1).await;
    // Another keeper, whose database is gone while the hour falls due.
    let proxy = Proxy::before(&site.app.database.url).await;
    let db = sluice::db::connect(&proxy.url).await.expect("a pool");
    let stop = CancellationToken::new();
    let keeper = Keeper {
        db,
        sequencer: site.app.app.sequencer.clone(),
        feed: site.app.app.feed.clone(),
        clock: site.app.app.clock.clone(),
    };
    let site = site.kept_by(keeper, stop.clone()).await;
    proxy.set(Fault::Gone);
    site.set(2, 0);
    let told = machine.sign(1, &minutes(1, 0..60, 8));
    machine.tell(&told).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert!(site.settled(1).await.is_empty());
    proxy.set(Fault::None);
    site.until("it goes on", async || {
        (site.settled(1).await == [480]).then_some(())
    })
    .await;
    site.stop().await;
}

#[tokio::test]
async fn an_exchange_that_is_killed_while_it_settles_pays_each_hour_once() {
    const LEASES: i64 = 60;
    let rules = sluice::rules::load(None).expect("the standard rules");
    let site = Site::with(rules).await;
    let mut machine = Machine::enrolled(&site.app, "one", 64).await;
    for number in 0..LEASES {
        let mut wanted = bid("", 1, 100_000, (1, 5));
        if let Command::PlaceOrder(placed) = &mut wanted {
            placed.client_id = ClientId(format!("b{number}"));
        }
        site.app.submit(wanted).await;
    }
    for lease in 1..=LEASES {
        site.placed(lease).await;
        site.accept(lease).await;
    }
    site.set(5, 0);
    for lease in 1..=LEASES {
        let units = |hours: i64| minutes(hours, 0..60, u32::from((lease + hours) % 3 > 0));
        let told: Vec<_> = (1..5).flat_map(units).collect();
        let told = machine.sign(u64::try_from(lease).expect("positive"), &told);
        machine.tell(&told).await;
    }
    // Whoever keeps is cut off again and again in the middle of what it does, and begins anew.
    let mut site = site;
    for _ in 0..20 {
        site = site.killed().await;
    }
    // What was settled before its readings came is corrected by then.
    for lease in 1..=LEASES {
        let expected: Vec<i64> = (1..5)
            .map(|hours| if (lease + hours) % 3 > 0 { 60 } else { 0 })
            .collect();
        site.until("what is proven is paid", async || {
            (site.counted(lease).await == expected).then_some(())
        })
        .await;
        let market = site.app.app.feed.market();
        assert!(market.lease(LeaseId(lease)).expect("a lease").is_ended());
    }
    let _ = hour(0);
    site.stop().await;
}
