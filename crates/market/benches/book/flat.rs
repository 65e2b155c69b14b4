//! The same mix of orders with 1,000 and with 1,000,000 resting over 400 days of random periods.

use market::{HORIZON_HOURS, PoolId, TimeInForce};

use crate::whole::{FIRST, Terms, Whole, resident};
use crate::{ROUNDS, each, median, processor_time};

const LITTLE: usize = 1_000;
const MUCH: usize = 1_000_000;
const MEASURED: usize = 20_000;

/// How prices lie.
#[derive(Clone, Copy)]
enum Prices {
    /// What is to rest is never within reach of the other side.
    Apart,
    /// Many asks are within a bid's limit and don't fit for other reasons.
    Mixed,
}

pub(crate) fn run() {
    for (name, prices) in [("apart", Prices::Apart), ("mixed", Prices::Mixed)] {
        let mut little = Mix::new(LITTLE, prices);
        let mut much = Mix::new(MUCH, prices);
        let (mut of_little, mut of_much) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            of_little.push(little.measure());
            of_much.push(much.measure());
        }
        let trades = (little.whole.trades, much.whole.trades);
        let (of_little, of_much) = (median(of_little), median(of_much));
        println!(
            "random periods, prices {name}: {:.0} ns an order with {LITTLE} resting, {:.0} ns with \
             {MUCH}: {:.2} × ({} and {} trades)",
            each(of_little, MEASURED),
            each(of_much, MEASURED),
            of_much.as_secs_f64() / of_little.as_secs_f64(),
            trades.0,
            trades.1,
        );
    }
}

/// What a million resting orders, none of which can trade, add to the resident memory: all that a
/// market keeps of them, with the pools.
pub(crate) fn memory() {
    let before = resident();
    let mix = Mix::new(MUCH, Prices::Apart);
    // The bench's own lists of what rests and of asks.
    let own = mix.whole.resting() * 16 + mix.asks.len() * size_of::<(PoolId, Terms)>();
    let added = resident() - before - own;
    println!(
        "memory: {} B a resting order with {MUCH} resting, {} B of them its record",
        added / mix.whole.resting(),
        size_of::<market::Order>(),
    );
}

struct Mix {
    whole: Whole,
    size: usize,
    prices: Prices,
    asks: Vec<(PoolId, Terms)>,
}

impl Mix {
    fn new(size: usize, prices: Prices) -> Self {
        let mut mix = Self {
            whole: Whole::new(),
            size,
            prices,
            asks: Vec::new(),
        };
        for _ in 0..(size / 16).clamp(200, 20_000) {
            mix.whole.open_pool(256);
        }
        while mix.whole.resting() < size {
            mix.rest();
        }
        mix.whole.trades = 0;
        mix
    }

    /// Half rest, a third trade, the others are cancelled.
    fn measure(&mut self) -> std::time::Duration {
        let begun = processor_time();
        for _ in 0..MEASURED {
            match self.whole.random.below(100) {
                0..50 => self.rest(),
                50..85 => self.trade(),
                _ => while !self.whole.cancel() {},
            }
        }
        let time = processor_time() - begun;
        while self.whole.resting() > self.size {
            self.whole.cancel();
        }
        time
    }

    fn rest(&mut self) {
        let random = &mut self.whole.random;
        let is_bid = random.below(2) == 0;
        let units = random.among(1, 64);
        let (bids, asks) = match self.prices {
            Prices::Apart => ((500, 999), (1_001, 1_500)),
            Prices::Mixed => ((800, 1_100), (900, 1_500)),
        };
        let longest = if is_bid { 48 } else { 720 };
        let start = FIRST + random.below(HORIZON_HOURS - longest);
        let end = start + random.among(1, longest);
        let (from, to) = if is_bid { bids } else { asks };
        let mut terms = Terms {
            start,
            end,
            units,
            price: random.among(from, to),
            least: 1,
        };
        if is_bid {
            terms.least = random.among(1, units);
            self.whole.bid(terms, TimeInForce::Gtc);
        } else {
            let pool = PoolId(random.among(1, self.whole.pools));
            if self.whole.ask(pool, terms) && self.asks.len() < 100_000 {
                self.asks.push((pool, terms));
            }
        }
    }

    /// A bid at any price for hours that some ask has, or had.
    fn trade(&mut self) {
        let at = self.whole.random.below(self.asks.len() as i64) as usize;
        let (_, ask) = self.asks[at];
        let hours = (ask.end - ask.start).min(8);
        let start = ask.start + self.whole.random.below(ask.end - ask.start - hours + 1);
        let terms = Terms {
            start,
            end: start + hours,
            units: 1,
            price: 2_000,
            least: 1,
        };
        self.whole.bid(terms, TimeInForce::Ioc);
    }
}
