//! The least that a plain limit book needs round the market's own [`Book`]: how many units are
//! left of each order. Who trades with whom is asked as `Market::apply` asks it.

use market::book::{Book, Rank, RestingAsk, RestingBid, Search, Terms};
use market::{Access, Hour, Money, OrderId, Period};

const PERIOD: Period = Period {
    start: Hour(500_000),
    end: Hour(500_008),
};

#[derive(Clone, Copy)]
struct Order {
    is_bid: bool,
    price: i64,
    units: i64,
    left: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trade {
    pub(crate) maker: i64,
    pub(crate) price: i64,
    pub(crate) units: i64,
}

#[derive(Default)]
pub(crate) struct Trader {
    book: Book,
    /// By number from 1.
    orders: Vec<Order>,
    pub(crate) trades: Vec<Trade>,
    makers: Vec<OrderId>,
    resting: usize,
}

impl Trader {
    pub(crate) fn with_room_for(orders: usize) -> Self {
        let mut trader = Self::default();
        let no_order = Order {
            is_bid: true,
            price: 0,
            units: 0,
            left: 0,
        };
        let no_trade = Trade {
            maker: 0,
            price: 0,
            units: 0,
        };
        trader.orders.resize(orders, no_order);
        trader.orders.clear();
        trader.trades.resize(orders, no_trade);
        trader.trades.clear();
        trader
    }

    /// How many orders were placed.
    pub(crate) fn placed(&self) -> usize {
        self.orders.len()
    }

    /// How many rest.
    pub(crate) fn resting(&self) -> usize {
        self.resting
    }

    pub(crate) fn rests(&self, number: usize) -> bool {
        self.orders[number - 1].left > 0
    }

    pub(crate) fn place_bid(&mut self, price: i64, units: i64) {
        let mut search = Search::of_asks(Terms::given_by_bid(PERIOD, 1), Money(price));
        self.book.search_asks(&mut search, PERIOD, true);
        let left = fill(
            &mut self.orders,
            &mut self.trades,
            &mut self.makers,
            search,
            units,
        );
        self.clear_filled();
        self.keep(true, price, units, left);
    }

    pub(crate) fn place_ask(&mut self, price: i64, units: i64) {
        let mut search = Search::of_bids(Terms::given_by_ask(PERIOD, units, 1), Money(price));
        self.book.search_bids(&mut search, None);
        let left = fill(
            &mut self.orders,
            &mut self.trades,
            &mut self.makers,
            search,
            units,
        );
        self.clear_filled();
        self.keep(false, price, units, left);
    }

    fn keep(&mut self, is_bid: bool, price: i64, units: i64, left: i64) {
        self.orders.push(Order {
            is_bid,
            price,
            units,
            left,
        });
        if left > 0 {
            self.resting += 1;
            let number = self.orders.len();
            if is_bid {
                self.book.enter_bid(&self.bid(number));
            } else {
                self.book.enter_ask(&self.ask(number));
            }
        }
    }

    fn clear_filled(&mut self) {
        while let Some(maker) = self.makers.pop() {
            self.take_out(maker.0 as usize);
        }
    }

    pub(crate) fn cancel(&mut self, number: usize) {
        self.orders[number - 1].left = 0;
        self.take_out(number);
    }

    fn take_out(&mut self, number: usize) {
        self.resting -= 1;
        if self.orders[number - 1].is_bid {
            let bid = self.bid(number);
            self.book.leave_bid(&bid);
        } else {
            let ask = self.ask(number);
            self.book.leave_ask(&ask);
        }
    }

    fn bid(&self, number: usize) -> RestingBid {
        let number = number as i64;
        RestingBid {
            order: OrderId(number),
            rank: Rank::of_bid(Money(self.orders[number as usize - 1].price), number),
            pool: None,
            hours: PERIOD,
            need: 1,
        }
    }

    fn ask(&self, number: usize) -> RestingAsk<'static> {
        let order = &self.orders[number - 1];
        RestingAsk {
            order: OrderId(number as i64),
            rank: Rank::of_ask(Money(order.price), number as i64),
            weekly: None,
            access: Access::Instant,
            hours: PERIOD,
            units: order.units,
            min_hours: 1,
        }
    }
}

/// Trades with what a search finds, as far as units are left; how many are then, and who is filled.
fn fill(
    orders: &mut [Order],
    trades: &mut Vec<Trade>,
    filled: &mut Vec<OrderId>,
    mut search: Search<'_>,
    mut units: i64,
) -> i64 {
    while units > 0
        && let Some(hit) = search.next()
    {
        let maker = &mut orders[hit.order.0 as usize - 1];
        let traded = maker.left.min(units);
        units -= traded;
        maker.left -= traded;
        trades.push(Trade {
            maker: hit.order.0,
            price: maker.price,
            units: traded,
        });
        if maker.left == 0 {
            filled.push(hit.order);
        }
    }
    units
}
