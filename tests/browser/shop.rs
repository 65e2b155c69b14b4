//! A market worth looking at: several grades in several regions, dearer by day than by night.

use market::{
    Access, ClientId, Command, InstrumentId, ListInstrument, Money, OpenPool, PlaceOrder, PoolId,
    Side, TimeInForce, Weekly,
};

use crate::app::TestApp;
use crate::market::{BUYER, INSTRUMENT, PROVIDER, bid, hour};

/// Grade, lot, price of a unit-hour by day in 1/10,000 yuan.
const GRADES: [(&str, i64, i64); 7] = [
    ("H800", 8, 177_200),
    ("A100-80GB", 8, 99_800),
    ("A800-80GB", 8, 98_600),
    ("V100-32GB", 8, 39_400),
    ("A10", 1, 40_100),
    ("T4", 1, 20_600),
    ("Ascend-910B", 8, 76_300),
];

/// Region, and what it costs above the cheapest in per cent.
const REGIONS: [(&str, i64); 6] = [
    ("CSJ-WUH", 24),
    ("GBA-SHG", 21),
    ("CHY-TFU", 9),
    ("NMG-HLG", 6),
    ("GAS-QIY", 1),
    ("NXA-ZHW", 2),
];

/// Lists it, and lets somebody trade a little.
pub(crate) async fn open(app: &TestApp) {
    let amount = Money(100_000_000_000_000);
    for participant in [PROVIDER, BUYER] {
        app.submit(Command::Deposit {
            participant,
            amount,
        })
        .await;
    }
    let mut number = INSTRUMENT.0;
    for (grade, lot, price) in GRADES {
        for (region, above) in REGIONS {
            number += 1;
            let price = price * (100 + above) / 10_000 * 100;
            for command in listing(number, &format!("{grade}.{region}.SILVER"), lot, price) {
                app.submit(command).await;
            }
        }
    }
    for command in offers(INSTRUMENT.0, PoolId(1), 64, 106_000) {
        app.submit(command).await;
    }
    for (place, (units, hours)) in [(16, (9, 17)), (8, (26, 34)), (24, (1, 5)), (8, (50, 53))]
        .into_iter()
        .enumerate()
    {
        app.submit(bid(&format!("trades{place}"), units, 150_000, hours))
            .await;
    }
    for (place, units) in [8, 16, 8].into_iter().enumerate() {
        let price = 97_100 - 500 * i64::try_from(place).expect("it is small");
        app.submit(bid(&format!("rests{place}"), units, price, (1, 5)))
            .await;
    }
}

fn listing(number: i64, symbol: &str, lot: i64, price: i64) -> Vec<Command> {
    let instrument = InstrumentId(number);
    let (pool, units) = (PoolId(number), lot * 4 * (number % 5 + 1));
    let mut commands = vec![
        Command::ListInstrument(ListInstrument {
            instrument,
            symbol: symbol.to_owned(),
            lot,
            tick: Money(100),
        }),
        Command::OpenPool(OpenPool {
            pool,
            participant: PROVIDER,
            instrument,
            units,
            start: hour(0),
            end: hour(720),
            access: Access::Instant,
        }),
    ];
    commands.extend(offers(number, pool, units, price));
    commands
}

/// A pool's asks: by day, dearer for the rest of it, cheaper for long work, by night and at lunch.
fn offers(number: i64, pool: PoolId, units: i64, price: i64) -> [Command; 5] {
    // The hours of a week in UTC, from Monday; China is eight hours ahead.
    let in_hours = |hours: std::ops::Range<usize>| {
        let holds = |hour: usize| {
            if hours.contains(&((hour + 8) % 24)) {
                '1'
            } else {
                '0'
            }
        };
        let weekly: String = (0..168).map(holds).collect();
        Weekly::try_from(weekly).expect("168 hours")
    };
    let ask = |name: &str, (min_hours, weekly), units, percent| {
        let price = price * percent / 10_000 * 100;
        Command::PlaceOrder(PlaceOrder {
            participant: PROVIDER,
            client_id: ClientId(format!("{name}{number}")),
            side: Side::Sell {
                pool,
                min_hours,
                weekly,
            },
            units,
            price: Money(price),
            start: hour(0),
            end: hour(720),
            tif: TimeInForce::Gtc,
            post_only: false,
        })
    };
    [
        ask("day", (1, None), units / 2, 100),
        ask("peak", (1, None), units, 108),
        ask("long", (12, None), units, 95),
        ask("night", (1, Some(in_hours(0..7))), units, 82),
        ask("lunch", (1, Some(in_hours(12..14))), units, 91),
    ]
}
