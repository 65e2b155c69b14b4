//! Resting orders that are chosen to hurt: all within the price of what arrives, or nearly, each
//! unfit for it for a reason of its own, so that none can trade and all have to be ruled out.
//!
//! A part of the tree is opened in vain when the least numbers below it come from several orders.
//! So orders are put where they differ in two numbers or more near to what is wanted, and what is
//! wanted is varied, so that no answer helps with the next one.

use market::{HORIZON_HOURS, TimeInForce};

use crate::whole::{FIRST, Terms, Whole};
use crate::{Random, microseconds};

const LITTLE: i64 = 1_000;
const MUCH: i64 = 1_000_000;
const MIDDLE: i64 = FIRST + HORIZON_HOURS / 2;

/// How far the start, end, units, fewest hours and price of an ask are from being good enough
/// (below 0) or beyond it.
type Spread = fn(&mut Random) -> [i64; 5];

const ASKS: [(&str, Spread); 7] = [
    ("start or units", |random| corner(random, &[0, 2])),
    ("units or price", |random| corner(random, &[2, 4])),
    ("start, end or units", |random| corner(random, &[0, 1, 2])),
    ("start, end, units or price", |random| {
        corner(random, &[0, 1, 2, 4])
    }),
    ("start, end, units, hours or price", |random| {
        corner(random, &[0, 1, 2, 3, 4])
    }),
    (
        "start, end, units, hours or price, all hours near the bid's",
        |random| {
            let spread = corner(random, &[0, 1, 2, 3, 4]);
            // Fewest hours of 64 to 127, between the powers of two beside the bid's 100.
            let hours = if spread[3] < 0 {
                -1 - random.below(27)
            } else {
                random.below(37)
            };
            [spread[0], spread[1], spread[2], hours, spread[4]]
        },
    ),
    ("a slope of start, end and units", |random| slope(random)),
];

/// One of these numbers is not good enough, the others are, all by as much as chance wants.
fn corner(random: &mut Random, of: &[usize]) -> [i64; 5] {
    let mut spread = [0; 5].map(|_: i64| random.below(4_000));
    let bad = of[random.below(of.len() as i64) as usize];
    spread[bad] = -1 - random.below(4_000);
    // A bid has 100 hours: no ask can ask for more than those and be within reach.
    spread[3] = spread[3].clamp(-4_000, 99);
    spread
}

/// The better one number, the worse the others, so that no order is better than another one.
fn slope(random: &mut Random) -> [i64; 5] {
    let (one, two) = (random.below(3_000), random.below(3_000));
    let (one, two) = (one.min(two), one.max(two));
    [
        one - 1_000,
        two - one - 1_000,
        2_000 - two - 1,
        50,
        random.below(4_000),
    ]
}

pub(crate) fn run() {
    for (name, spread) in ASKS {
        let [little, much] = [LITTLE, MUCH].map(|resting| before_asks(resting, spread));
        println!(
            "asks unfit by {name}: {little:.1} µs a bid with {LITTLE} resting, {much:.1} µs with \
             {MUCH}: {:.1} ×",
            much / little
        );
    }
    let [little, much] = [LITTLE, MUCH].map(before_bids);
    println!(
        "bids unfit by start, end, need or limit: {little:.1} µs an ask with {LITTLE} resting, \
         {much:.1} µs with {MUCH}: {:.1} ×",
        much / little
    );
}

/// The time of a bid before asks of which none fits, with all that `apply` does besides.
fn before_asks(resting: i64, spread: Spread) -> f64 {
    let mut whole = Whole::new();
    let mut pool = whole.open_pool(20_000);
    for number in 1..=resting {
        if number % 64 == 0 {
            pool = whole.open_pool(20_000);
        }
        let [start, end, units, hours, price] = spread(&mut whole.random);
        let start = (MIDDLE - 50 - start).min(MIDDLE + 49);
        let rests = whole.ask(
            pool,
            Terms {
                start,
                end: (MIDDLE + 50 + end).max(start + 1),
                units: (5_000 + units).max(1),
                price: 10_000 - price,
                least: (100 - hours).max(1),
            },
        );
        assert!(rests);
    }
    let mut jitter = 0;
    microseconds(|| {
        jitter = (jitter + 1) % 3;
        let rests = whole.bid(
            Terms {
                start: MIDDLE - 50,
                end: MIDDLE + 50,
                units: 5_000 + jitter,
                price: 10_000 - jitter,
                least: 5_000 + jitter,
            },
            TimeInForce::Ioc,
        );
        assert!(!rests);
        assert_eq!(whole.trades, 0, "none fits");
    })
}

/// The time of an ask before bids of which none fits; it rests and is cancelled.
fn before_bids(resting: i64) -> f64 {
    let mut whole = Whole::new();
    let pool = whole.open_pool(1_000);
    for _ in 0..resting {
        let spread = corner(&mut whole.random, &[0, 1, 2, 4]);
        let [start, end, need, _, price] = spread;
        let start = (MIDDLE - 1_000 + start.rem_euclid(900) * start.signum().min(1)).max(FIRST);
        let end = (MIDDLE + 1_000 - end.rem_euclid(900) * end.signum().min(1)).max(start + 1);
        let need = (500 - need.clamp(-500, 499)).max(1);
        let rests = whole.bid(
            Terms {
                start: if spread[0] < 0 {
                    start.min(MIDDLE - 1_001)
                } else {
                    start
                },
                end: if spread[1] < 0 {
                    end.max(MIDDLE + 1_001)
                } else {
                    end
                },
                units: need,
                price: (1_000 + price.div_euclid(8)).max(1),
                least: need,
            },
            TimeInForce::Gtc,
        );
        assert!(rests);
    }
    microseconds(|| {
        let rests = whole.ask(
            pool,
            Terms {
                start: MIDDLE - 1_000,
                end: MIDDLE + 1_000,
                units: 500,
                price: 1_000,
                least: 1,
            },
        );
        assert!(rests);
        assert_eq!(whole.trades, 0, "none fits");
        whole.cancel_last();
    })
}
