//! Who trades with whom: price, then time, among orders that can trade with each other.
//!
//! One pass over the counterparts is enough. A fill only lowers what both sides still have, and a
//! counterpart passed over because it offers less than `min_fill`, or would strand less than
//! `min_fill`, can't become able to trade by that (docs/MARKET_RULES.md, 3.4).

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::command::{Side, TimeInForce};
use crate::due::Due;
use crate::event::{DoneWhy, Event, EventKind, Trade};
use crate::id::{InstrumentId, LeaseId, OrderId, ParticipantId, PoolId, TradeId};
use crate::lease::Lease;
use crate::ledger::{Account, AccountKind, Reason};
use crate::money::{Money, WHOLE_BPS, ceil_div};
use crate::order::Order;
use crate::state::Market;

/// What an arriving bid would do.
struct Plan {
    steps: Vec<Step>,
    end: PlanEnd,
}

enum Step {
    /// Trade so many units with this ask.
    Trade(OrderId, i64),
    /// This ask could trade, but its provider can't bond one lot.
    Bondless(OrderId),
}

#[derive(PartialEq, Eq)]
enum PlanEnd {
    Filled,
    MetOwn,
    Exhausted,
}

impl Market {
    /// Lets an order trade as it arrives, then says what became of it.
    pub(crate) fn arrive(&mut self, id: OrderId, out: &mut Vec<Event>) {
        let end = if self.order(id).is_bid() {
            self.buy(id, out)
        } else {
            self.sell(id, out)
        };
        let tif = self.order(id).placed.tif;
        if let Some(why) = end {
            self.finish(id, why, out);
        } else if matches!(tif, TimeInForce::Ioc | TimeInForce::Fok) {
            self.finish(id, DoneWhy::Unfilled, out);
        }
    }

    /// A pool has more to sell: its asks are offered again, in order of acceptance.
    pub(crate) fn offer_again(&mut self, pool: PoolId, out: &mut Vec<Event>) {
        let mut asks: Vec<OrderId> = self.pools[&pool].asks.iter().copied().collect();
        asks.sort_unstable_by_key(|ask| self.order(*ask).acceptance);
        for ask in asks {
            if self.order(ask).done.is_none() {
                self.arrive(ask, out);
            }
        }
    }

    /// Whether an order could trade at once, be it with its own participant; what a provider can
    /// bond is not asked, so that no order rests across from one that it meets.
    pub(crate) fn would_trade(&self, order: &Order) -> bool {
        if order.is_bid() {
            let mut asks = Merged::new(self, &order.instruments);
            let within = std::iter::from_fn(|| asks.next_within(order.price));
            let mut suiting = within
                .map(|ask| self.order(ask))
                .filter(|ask| self.suits(ask, order));
            return suiting.any(|ask| {
                let offer = self.offer(ask, order.period);
                fill_of(order, order.remaining(), offer).is_some()
            });
        }
        self.bids_within(order)
            .into_iter()
            .any(|bid| self.fill_units(order, bid).is_some())
    }

    fn buy(&mut self, bid: OrderId, out: &mut Vec<Event>) -> Option<DoneWhy> {
        let plan = self.plan(self.order(bid));
        let all_or_nothing = self.order(bid).placed.tif == TimeInForce::Fok;
        if all_or_nothing && plan.end != PlanEnd::Filled {
            return Some(DoneWhy::Unfilled);
        }
        for step in plan.steps {
            match step {
                Step::Bondless(ask) => self.finish(ask, DoneWhy::Bond, out),
                Step::Trade(ask, units) => {
                    self.trade(bid, ask, units, out);
                    if self.order(ask).is_filled() {
                        self.finish(ask, DoneWhy::Filled, out);
                    }
                }
            }
        }
        match plan.end {
            PlanEnd::Filled => Some(DoneWhy::Filled),
            PlanEnd::MetOwn => Some(DoneWhy::SelfTrade),
            PlanEnd::Exhausted => None,
        }
    }

    fn sell(&mut self, id: OrderId, out: &mut Vec<Event>) -> Option<DoneWhy> {
        for counterpart in self.bids_within(self.order(id)) {
            if self.order(id).is_filled() {
                return Some(DoneWhy::Filled);
            }
            // Again only where the bond cut the fill: then the ask may be unable to bond a lot.
            while self.fill_units(self.order(id), counterpart).is_some() {
                let (ask, bid) = (self.order(id), self.order(counterpart));
                if bid.participant() == ask.participant() {
                    return Some(DoneWhy::SelfTrade);
                }
                let bondable = self.bondable(ask, bid, Money::ZERO);
                if bondable < ask.lot {
                    return Some(DoneWhy::Bond);
                }
                let offer = self.offer(ask, bid.period).min(bondable);
                let Some(units) = fill_of(bid, bid.remaining(), offer) else {
                    break;
                };
                self.trade(counterpart, id, units, out);
                if self.order(counterpart).remaining() == 0 {
                    self.finish(counterpart, DoneWhy::Filled, out);
                }
            }
        }
        self.order(id).is_filled().then_some(DoneWhy::Filled)
    }

    /// The greedy trades of a bid that arrives now, without making them. All of one bid's trades
    /// are over the same hours, so what they take of a pool is one number.
    fn plan(&self, bid: &Order) -> Plan {
        let mut plan = Plan {
            steps: Vec::new(),
            end: PlanEnd::Exhausted,
        };
        let mut remaining = bid.remaining();
        let mut taken: BTreeMap<PoolId, i64> = BTreeMap::new();
        let mut pledged: BTreeMap<ParticipantId, Money> = BTreeMap::new();
        let mut asks = Merged::new(self, &bid.instruments);
        while let Some(ask) = asks.next_within(bid.price) {
            if remaining == 0 {
                break;
            }
            let ask = self.order(ask);
            let Some(pool) = ask.pool().filter(|_| self.suits(ask, bid)) else {
                continue;
            };
            let taken = taken.entry(pool).or_default();
            let pledged = pledged.entry(ask.participant()).or_default();
            let mut offer = self.offer_after(ask, bid, *taken);
            // Again only where the bond cut the fill: then the ask may be unable to bond a lot.
            while fill_of(bid, remaining, offer).is_some() {
                if ask.participant() == bid.participant() {
                    plan.end = PlanEnd::MetOwn;
                    return plan;
                }
                let bondable = self.bondable(ask, bid, *pledged);
                if bondable < ask.lot {
                    plan.steps.push(Step::Bondless(ask.id));
                    break;
                }
                let Some(units) = fill_of(bid, remaining, offer.min(bondable)) else {
                    break;
                };
                plan.steps.push(Step::Trade(ask.id, units));
                remaining -= units;
                offer -= units;
                *taken += units;
                let price = self.trade_price(bid, ask);
                *pledged += Money::exact(self.bond(price, units, bid.period.hours()));
            }
        }
        if remaining == 0 {
            plan.end = PlanEnd::Filled;
        }
        plan
    }

    /// Open bids whose limit an ask meets, the best first.
    fn bids_within(&self, ask: &Order) -> Vec<OrderId> {
        let mut bids = Vec::new();
        for instrument in &ask.instruments {
            let book = &self.instruments[instrument].bids;
            let within = book.iter().take_while(|(limit, ..)| limit.0 >= ask.price);
            bids.extend(within.map(|(.., id)| *id));
        }
        bids
    }

    /// How many units an ask and a resting bid can trade, bonds aside; `None` when they can't.
    fn fill_units(&self, ask: &Order, bid: OrderId) -> Option<i64> {
        let bid = self.order(bid);
        if bid.done.is_some() || !self.suits(ask, bid) {
            return None;
        }
        fill_of(bid, bid.remaining(), self.offer(ask, bid.period))
    }

    /// Whether an ask sells what a bid wants, quantity and price aside.
    fn suits(&self, ask: &Order, bid: &Order) -> bool {
        let pinned = match &bid.placed.side {
            Side::Buy { .. } => bid.pool(),
            Side::Sell { .. } => None,
        };
        pinned.is_none_or(|pool| ask.pool() == Some(pool)) && ask.sells(bid.period)
    }

    /// What an ask offers a bid when `taken` units of its pool are spoken for already.
    fn offer_after(&self, ask: &Order, bid: &Order, taken: i64) -> i64 {
        if taken == 0 {
            return self.offer(ask, bid.period);
        }
        let Some(pool) = ask.pool().and_then(|pool| self.pool(pool)) else {
            return 0;
        };
        let hours = bid.period.each();
        hours
            .map(|hour| (ask.units - ask.sold_in(hour)).min(pool.free_in(hour) - taken))
            .min()
            .map_or(0, |units| units.max(0))
    }

    /// The price of a trade: that of the order accepted earlier.
    fn trade_price(&self, bid: &Order, ask: &Order) -> Money {
        // A bid that is not in the book yet has no place there: it is the later one.
        let bid_first = bid.acceptance != 0 && bid.acceptance < ask.acceptance;
        if bid_first { bid.price } else { ask.price }
    }

    /// The bond of a trade: a share of its price, rounded up.
    fn bond(&self, price: Money, units: i64, hours: i64) -> i128 {
        let share = price
            .times(units, hours)
            .saturating_mul(self.rules.bond_bps.into());
        ceil_div(share, WHOLE_BPS.into())
    }

    /// How many units of a trade with this bid an ask's provider can bond with the cash that is
    /// left after `pledged`, in whole lots of the ask.
    fn bondable(&self, ask: &Order, bid: &Order, pledged: Money) -> i64 {
        let per_unit = self
            .trade_price(bid, ask)
            .times(1, bid.period.hours())
            .saturating_mul(self.rules.bond_bps.into());
        if per_unit == 0 {
            return i64::MAX;
        }
        let cash = self
            .ledger
            .balance(Account::of(ask.participant(), AccountKind::Cash));
        let units = i128::from((cash - pledged).0) * i128::from(WHOLE_BPS);
        let units = i64::try_from(units.div_euclid(per_unit)).unwrap_or(i64::MAX);
        units - units.rem_euclid(ask.lot)
    }

    /// Makes a trade and its lease: capacity, escrow and bond.
    fn trade(&mut self, buy: OrderId, sell: OrderId, units: i64, out: &mut Vec<Event>) {
        let acceptance = self.next_acceptance();
        let lease = self.leased_by(buy, sell, units, acceptance);
        let (bid, ask) = (self.order(buy), self.order(sell));
        let bid_first = bid.acceptance < ask.acceptance;
        let reserved = Money::exact(bid.price.times(units, bid.period.hours()));
        let trade = Trade {
            trade: lease.trade,
            buy,
            sell,
            maker: if bid_first { buy } else { sell },
            price: lease.price,
            units,
            period: lease.period,
            pool: lease.pool,
        };
        self.emit(out, EventKind::Traded(trade));
        let made = EventKind::Leased {
            lease: lease.id,
            trade: lease.trade,
        };
        self.emit(out, made);
        self.escrow(&lease, reserved, out);
        let buyer = self.order_mut(buy);
        buyer.filled += units;
        buyer.held -= reserved;
        self.order_mut(sell).sell(lease.period, units);
        self.pool_mut(lease.pool).lease(lease.period, units);
        self.begin_lease(lease);
    }

    /// The lease that a trade of so many units between these orders makes.
    fn leased_by(&self, buy: OrderId, sell: OrderId, units: i64, acceptance: i64) -> Lease {
        let (bid, ask) = (self.order(buy), self.order(sell));
        let price = self.trade_price(bid, ask);
        let number = i64::try_from(self.leases.len()).expect("leases are counted") + 1;
        let hours = bid.period.hours();
        let fee = self.rules.seller_fee;
        let seller_made = ask.acceptance < bid.acceptance;
        Lease {
            id: LeaseId(number),
            trade: TradeId(number),
            buy,
            sell,
            holder: bid.participant(),
            provider: ask.participant(),
            pool: ask.pool().expect("an ask offers a pool"),
            units,
            period: bid.period,
            price,
            rules: self.rules.version,
            fee_bps: if seller_made {
                fee.maker_bps
            } else {
                fee.taker_bps
            },
            fee_flat: fee.flat,
            acceptance,
            escrow: Money::exact(price.times(units, hours)),
            bond: Money::exact(self.bond(price, units, hours)),
            delivered: 0,
            earned: Money::ZERO,
            fee: Money::ZERO,
            settled: vec![false; usize::try_from(hours).expect("a period has hours")],
            credited: Money::ZERO,
        }
    }

    /// Moves a trade's price from what the bid reserved for it to escrow, the rest of that back
    /// to cash, and the provider's bond out of their cash.
    fn escrow(&mut self, lease: &Lease, reserved: Money, out: &mut Vec<Event>) {
        let (hold, cash) = self.hold_and_cash(lease.holder);
        let lines = [
            (hold, -reserved),
            (Account::of(lease.holder, AccountKind::Escrow), lease.escrow),
            (cash, reserved - lease.escrow),
            (Account::of(lease.provider, AccountKind::Cash), -lease.bond),
            (Account::of(lease.provider, AccountKind::Bond), lease.bond),
        ];
        self.post(out, Reason::Trade(lease.trade), &lines);
    }

    /// Counts a lease among what falls due.
    pub(crate) fn begin_lease(&mut self, lease: Lease) {
        if lease.bond > Money::ZERO {
            let free = self.claim_window_ends(&lease);
            self.due
                .insert((free, lease.acceptance, Due::BondRelease(lease.id)));
        }
        let id = lease.id;
        if !lease.is_ended() {
            self.open_leases.insert(id);
        }
        self.leases.push(lease);
        self.set_deadline(id);
    }
}

/// The fill of a bid, of which `remaining` units are left, by an offer (MATCHING, Fill): whole
/// lots, not less than `min_fill`, and never stranding less than `min_fill`.
fn fill_of(bid: &Order, remaining: i64, offer: i64) -> Option<i64> {
    let most = remaining.min(offer);
    let mut units = most - most.rem_euclid(bid.lot);
    if units < remaining && remaining - units < bid.min_fill() {
        units = remaining - bid.min_fill();
    }
    (units >= bid.min_fill()).then_some(units)
}

/// The asks of several books in one order: the lowest price, then the earliest acceptance.
struct Merged<'a> {
    market: &'a Market,
    /// Each book, and the ask of it that was given last.
    last: Vec<(InstrumentId, Option<Place>)>,
}

/// A place among asks.
type Place = (Money, i64, OrderId);

impl<'a> Merged<'a> {
    fn new(market: &'a Market, instruments: &[InstrumentId]) -> Self {
        Self {
            market,
            last: instruments.iter().map(|id| (*id, None)).collect(),
        }
    }

    /// The next ask whose price is at most `limit`.
    fn next_within(&mut self, limit: Money) -> Option<OrderId> {
        let next = |(instrument, last): &(InstrumentId, Option<Place>)| {
            let book = &self.market.instruments[instrument].asks;
            let after = last.map_or(Bound::Unbounded, Bound::Excluded);
            book.range((after, Bound::Unbounded)).next().copied()
        };
        let heads = self.last.iter().map(next).enumerate();
        let (place, ask) = heads
            .filter_map(|(place, ask)| ask.map(|ask| (place, ask)))
            .min_by_key(|(_, ask)| *ask)?;
        self.last[place].1 = Some(ask);
        (ask.0 <= limit).then_some(ask.2)
    }
}
