//! Who trades with whom: price, then time, among orders that can trade with each other.
//!
//! One pass over the counterparts is enough. A fill only lowers what both sides still have, and a
//! counterpart passed over because it offers less than `min_fill`, or would strand less than
//! `min_fill`, can't become able to trade by that (docs/MARKET_RULES.md, 3.4). Flexible bids can,
//! where an own ask stood in the way that is gone: after a trade the pass begins again.

use std::collections::BTreeMap;

use crate::book::{Hit, Rank};
use crate::command::TimeInForce;
use crate::due::Due;
use crate::event::{DoneWhy, Event, EventKind, Trade};
use crate::id::{LeaseId, OrderId, PoolId, TradeId};
use crate::lease::Lease;
use crate::ledger::{Account, AccountKind, Reason};
use crate::money::Money;
use crate::order::Order;
use crate::plan::{BidsFor, FoundInVain, Look, Plan, PlanEnd, Pledged, Step, fill_of};
use crate::rules::Mode;
use crate::state::Market;
use crate::time::Period;

impl Market {
    /// Lets an order trade as it arrives, then says what became of it.
    pub(crate) fn arrive(&mut self, id: OrderId, look: Look<'_>, out: &mut Vec<Event>) {
        let end = if self.order(id).is_bid() {
            self.buy(id, look, out)
        } else {
            self.sell(id, out)
        };
        let order = self.order(id);
        let is_listed = order.is_bid() && self.rules.mode == Mode::Listed;
        let rests = !order.is_splittable()
            && !is_listed
            && matches!(order.placed.tif, TimeInForce::Gtc | TimeInForce::Gtd { .. });
        if let Some(why) = end {
            self.finish(id, why, out);
        } else if !rests {
            self.finish(id, DoneWhy::Unfilled, out);
        } else if !order.rests {
            self.enter_books(id);
        }
    }

    /// A pool has more to sell: its asks are offered again, in order of acceptance.
    pub(crate) fn offer_again(&mut self, pool: PoolId, out: &mut Vec<Event>) {
        self.widen(pool);
        let pool = &self.pools[&pool];
        if self.halts.contains_key(&pool.instrument) {
            // It is offered when that is over.
            return;
        }
        let asks = pool.asks.iter().copied().collect();
        self.offer_each(asks, out);
    }

    /// Offers asks again, in order of acceptance.
    pub(crate) fn offer_each(&mut self, mut asks: Vec<OrderId>, out: &mut Vec<Event>) {
        asks.sort_unstable_by_key(|ask| self.order(*ask).acceptance);
        for ask in asks {
            if self.order(ask).done.is_none() {
                self.arrive(ask, Look::default(), out);
            }
        }
    }

    /// Whether an order could trade at once, be it with its own participant; what a provider can
    /// bond is not asked, so that no order rests across from one that it meets.
    pub(crate) fn would_trade(&self, order: &Order, vain: &mut FoundInVain) -> bool {
        let mut look = Look {
            bare: true,
            ..Look::default()
        };
        if !order.is_bid() {
            look.outside = Some(order);
            look.arriving = Some(order.id);
            let mut bids = BidsFor::new(self, order, None);
            let fixed = std::iter::from_fn(|| bids.next()).next().is_some();
            let mut flexible = std::iter::successors(self.flexible_for(order, None), |hit| {
                self.flexible_for(order, Some(hit.rank))
            });
            return fixed
                || flexible
                    .any(|hit| self.best_start(self.order(hit.order), look, vain).is_some());
        }
        match order.flexible() {
            Some(flexible) if flexible.splittable => self.best_runs(order, look, vain).is_some(),
            Some(_) => self.best_start(order, look, vain).is_some(),
            None => {
                let plan = self.plan(order, order.period, look, &mut Pledged::new(), vain);
                !plan.steps.is_empty()
            }
        }
    }

    fn buy(&mut self, bid: OrderId, look: Look<'_>, out: &mut Vec<Event>) -> Option<DoneWhy> {
        let mut vain = FoundInVain::default();
        let end = self.buy_from(bid, look, &mut vain, out);
        self.narrow(&vain);
        end
    }

    fn buy_from(
        &mut self,
        bid: OrderId,
        look: Look<'_>,
        vain: &mut FoundInVain,
        out: &mut Vec<Event>,
    ) -> Option<DoneWhy> {
        let order = self.order(bid);
        let Some(flexible) = order.flexible() else {
            let period = order.period;
            let plan = self.plan(order, period, look, &mut Pledged::new(), vain);
            if order.placed.tif == TimeInForce::Fok && plan.end != PlanEnd::Filled {
                return Some(DoneWhy::Unfilled);
            }
            let why = match plan.end {
                PlanEnd::Filled => Some(DoneWhy::Filled),
                PlanEnd::MetOwn => Some(DoneWhy::SelfTrade),
                PlanEnd::Exhausted => None,
            };
            self.carry_out(bid, period, &plan, None, out);
            return why;
        };
        let runs = if flexible.splittable {
            self.best_runs(order, look, vain)?
        } else {
            vec![self.best_start(order, look, vain)?]
        };
        for (period, plan) in runs {
            self.carry_out(bid, period, &plan, None, out);
        }
        Some(DoneWhy::Filled)
    }

    /// Makes the trades of a plan. The arriving ask, where a resting bid is filled by it, is not
    /// done by this; whether it turned out unable to bond a lot is the answer.
    fn carry_out(
        &mut self,
        bid: OrderId,
        period: Period,
        plan: &Plan,
        arriving: Option<OrderId>,
        out: &mut Vec<Event>,
    ) -> bool {
        let mut is_bondless = false;
        for step in &plan.steps {
            match *step {
                Step::Bondless(ask) if Some(ask) == arriving => is_bondless = true,
                Step::Bondless(ask) => self.finish(ask, DoneWhy::Bond, out),
                Step::Trade(ask, units) => {
                    self.trade(bid, ask, units, period, out);
                    if Some(ask) != arriving && self.order(ask).is_filled() {
                        self.finish(ask, DoneWhy::Filled, out);
                    }
                }
            }
        }
        is_bondless
    }

    fn sell(&mut self, id: OrderId, out: &mut Vec<Event>) -> Option<DoneWhy> {
        // A bid of fixed hours that was passed over stays so: what is offered and can be bonded
        // falls.
        let mut after_fixed = None;
        loop {
            let mut after_flexible = None;
            let mut passed_flexible = false;
            loop {
                let ask = self.order(id);
                if ask.is_filled() {
                    return Some(DoneWhy::Filled);
                }
                let fixed = BidsFor::new(self, ask, after_fixed).next_bondable();
                let flexible = self.flexible_for(ask, after_flexible);
                let fixed_first = match (fixed, flexible) {
                    (None, None) => return None,
                    (Some(fixed), Some(flexible)) => fixed.rank < flexible.rank,
                    (one, _) => one.is_some(),
                };
                let traded = match fixed.filter(|_| fixed_first).or(flexible) {
                    Some(hit) if fixed_first => {
                        after_fixed = Some(hit.rank);
                        self.sell_to(id, hit.order, out)
                    }
                    Some(hit) => {
                        // Bids of fixed hours before it have been passed over too.
                        after_fixed = after_fixed.max(Some(hit.rank));
                        after_flexible = Some(hit.rank);
                        self.sell_to_flexible(id, hit.order, out)
                    }
                    None => return None,
                };
                match traded {
                    Err(why) => return Some(why),
                    // A start that was closed by an own ask may have opened.
                    Ok(true) if passed_flexible || !fixed_first => break,
                    Ok(traded) => passed_flexible |= !fixed_first && !traded,
                }
            }
        }
    }

    /// The first flexible bid after a rank whose limit an ask meets and whose hours leave a start
    /// to it.
    fn flexible_for(&self, ask: &Order, after: Option<Rank>) -> Option<Hit> {
        let books = ask
            .instruments
            .iter()
            .map(|one| &self.instruments[one].book);
        let firsts = books.filter_map(|book| book.flexible_after(after));
        let first = firsts.min_by_key(|hit| hit.rank)?;
        (self.order(first.order).price >= ask.price).then_some(first)
    }

    /// Lets an arriving ask trade with a resting bid. Says whether it did, or why the ask is done.
    fn sell_to(
        &mut self,
        id: OrderId,
        counterpart: OrderId,
        out: &mut Vec<Event>,
    ) -> Result<bool, DoneWhy> {
        let mut traded = false;
        // Again only where the bond cut the fill: then the ask may be unable to bond a lot.
        loop {
            let (ask, bid) = (self.order(id), self.order(counterpart));
            if bid.done.is_some() || self.fill_units(ask, bid).is_none() {
                return Ok(traded);
            }
            if self.are_related(bid.participant(), ask.participant()) {
                return Err(DoneWhy::SelfTrade);
            }
            let bondable = self.bondable(ask, bid, bid.period, Money::ZERO);
            if bondable < ask.lot {
                return Err(DoneWhy::Bond);
            }
            let offer = self.offer(ask, bid.period).min(bondable);
            let Some(units) = fill_of(bid, bid.remaining(), offer) else {
                return Ok(traded);
            };
            self.trade(counterpart, id, units, bid.period, out);
            traded = true;
            if self.order(counterpart).remaining() == 0 {
                self.finish(counterpart, DoneWhy::Filled, out);
            }
        }
    }

    /// Lets an arriving ask take part in filling a resting flexible bid. Says whether it did, or
    /// why the ask is done.
    fn sell_to_flexible(
        &mut self,
        id: OrderId,
        counterpart: OrderId,
        out: &mut Vec<Event>,
    ) -> Result<bool, DoneWhy> {
        let ask = self.order(id);
        let look = Look {
            arriving: Some(id),
            outside: (!ask.rests).then_some(ask),
            ..Look::default()
        };
        let mut vain = FoundInVain::default();
        let best = self.best_start(self.order(counterpart), look, &mut vain);
        self.narrow(&vain);
        let Some((period, plan)) = best else {
            return Ok(false);
        };
        let bid = self.order(counterpart);
        if self.are_related(bid.participant(), self.order(id).participant()) {
            return Err(DoneWhy::SelfTrade);
        }
        let is_bondless = self.carry_out(counterpart, period, &plan, Some(id), out);
        self.finish(counterpart, DoneWhy::Filled, out);
        if is_bondless {
            Err(DoneWhy::Bond)
        } else {
            Ok(true)
        }
    }

    /// How many units an ask and a resting bid of one period can trade, bonds aside; `None` when
    /// they can't.
    pub(crate) fn fill_units(&self, ask: &Order, bid: &Order) -> Option<i64> {
        if !self.suits(ask, bid, bid.period) {
            return None;
        }
        fill_of(bid, bid.remaining(), self.offer(ask, bid.period))
    }

    /// Makes a trade and its lease: capacity, escrow and bond.
    fn trade(
        &mut self,
        buy: OrderId,
        sell: OrderId,
        units: i64,
        period: Period,
        out: &mut Vec<Event>,
    ) {
        let acceptance = self.next_acceptance();
        let mut lease = self.leased_by(buy, sell, units, period, acceptance);
        let parent = lease.parent;
        let freed = parent.map(|parent| self.take_over(parent, &mut lease));
        let (bid, ask) = (self.order(buy), self.order(sell));
        let bid_first = bid.acceptance < ask.acceptance;
        let reserved = self.reserved(bid, &lease);
        let trade = Trade {
            trade: lease.trade,
            buy,
            sell,
            maker: if bid_first { buy } else { sell },
            price: lease.price,
            units,
            period: lease.period,
            pool: lease.pool,
            counts: parent.is_none(),
        };
        self.count_trade(&trade);
        self.emit(out, EventKind::Traded(trade));
        let made = EventKind::Leased {
            lease: lease.id,
            trade: lease.trade,
            parent,
        };
        self.emit(out, made);
        self.escrow(&lease, reserved, freed, out);
        self.count_bought(buy, units);
        self.order_mut(buy).held -= reserved;
        self.order_mut(sell).sell(lease.period, units);
        if parent.is_none() {
            self.pool_mut(lease.pool).lease(lease.period, units);
        }
        self.begin_lease(lease);
        if let Some(parent) = parent {
            self.close_if_ended(parent, out);
        }
    }

    /// The lease that a trade of so many units between these orders makes.
    fn leased_by(
        &self,
        buy: OrderId,
        sell: OrderId,
        units: i64,
        period: Period,
        acceptance: i64,
    ) -> Lease {
        let (bid, ask) = (self.order(buy), self.order(sell));
        let price = self.trade_price(bid, ask);
        let number = i64::try_from(self.leases.len()).expect("leases are counted") + 1;
        let hours = period.hours();
        let fee = self.rules.seller_fee;
        let buyer_fee = self.rules_of(bid.rules).buyer_fee;
        let seller_made = ask.acceptance < bid.acceptance;
        let pool = ask.pool().expect("an ask offers a pool");
        let bond = match ask.resold() {
            // It takes a share of its parent's.
            Some(_) => Money::ZERO,
            None => Money::exact(self.bond(price, units, hours)),
        };
        let count = usize::try_from(hours).expect("a period has hours");
        let mut lease = Lease {
            id: LeaseId(number),
            trade: TradeId(number),
            buy,
            sell,
            holder: bid.participant(),
            provider: self.pools[&pool].participant,
            pool,
            units,
            period,
            price,
            parent: ask.resold(),
            links: Vec::new(),
            held: vec![units; count],
            late_minutes: bid.late_minutes,
            rules: self.rules.version,
            fee_bps: if seller_made {
                fee.maker_bps
            } else {
                fee.taker_bps
            },
            fee_flat: fee.flat,
            buyer_fee_bps: if seller_made {
                buyer_fee.taker_bps
            } else {
                buyer_fee.maker_bps
            },
            buyer_fee_flat: buyer_fee.flat,
            acceptance,
            traded_at: self.now,
            escrow: Money::ZERO,
            bond,
            delivered: 0,
            maintenance: BTreeMap::new(),
            earned: Money::ZERO,
            fee: Money::ZERO,
            buyer_fee: Money::ZERO,
            settled: vec![false; count],
            counted: vec![0; count],
            credited: Money::ZERO,
            failed_from: None,
        };
        lease.escrow = lease.total();
        lease
    }

    /// What a bid reserves for a trade: what it needs less after it. The runs of a splittable one
    /// take what they cost, and the rest is free when it is done.
    fn reserved(&self, bid: &Order, lease: &Lease) -> Money {
        if bid.is_splittable() {
            return lease.escrow + lease.fee_held();
        }
        let rest = bid.need(
            bid.remaining() - lease.units,
            self.rules_of(bid.rules).buyer_fee,
        );
        bid.held - Money::exact(rest)
    }

    /// Moves a trade's price and fee from what the bid reserved for it to escrow and the rest of
    /// that back to cash; and the provider's bond out of their cash, or what a resale frees.
    fn escrow(
        &mut self,
        lease: &Lease,
        reserved: Money,
        freed: Option<[(Account, Money); 2]>,
        out: &mut Vec<Event>,
    ) {
        let (hold, cash) = self.hold_and_cash(lease.holder);
        let cost = lease.escrow + lease.fee_held();
        let bonded = [
            (Account::of(lease.provider, AccountKind::Cash), -lease.bond),
            (Account::of(lease.provider, AccountKind::Bond), lease.bond),
        ];
        let [first, second] = freed.unwrap_or(bonded);
        let lines = [
            (hold, -reserved),
            (Account::of(lease.holder, AccountKind::Escrow), cost),
            (cash, reserved - cost),
            first,
            second,
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
        let unit_hours = lease.to_come();
        self.leases.push(lease);
        self.count_lease(id, unit_hours);
        self.set_deadline(id);
    }
}
