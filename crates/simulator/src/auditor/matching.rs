//! Who trades with whom, by brute force: every open order is looked at before each trade.

use std::collections::BTreeMap;

use market::{
    Access, AccountKind, DoneWhy, EventKind, LeaseId, Mode, Money, OrderId, ParticipantId, Period,
    Side, Target, TimeInForce, Trade, TradeId,
};

use super::Out;
use super::flexible::{Ask, Run};
use super::model::{Amount, HOUR, Hour, Lease, Model, Order, fee_on};

impl Model {
    /// The units that two orders would trade, bonds aside; `None` when they can't.
    pub(super) fn fill(&self, ask: &Order, bid: &Order) -> Option<i64> {
        let min_hours = ask.min_hours()?;
        let covered = ask.covered();
        let wanted = ask.price <= bid.price
            && bid.hours() >= min_hours
            && (bid.start..bid.end).all(|hour| covered.contains(&hour))
            && self.is_target(ask, bid)
            && (bid.buys_in || self.is_ready(ask, bid.start));
        let q = self.quantity(bid, self.offer(ask, bid.start, bid.end));
        (wanted && q >= bid.min_fill()).then_some(q)
    }

    /// Whether what an ask offers can be had from an hour on: its pool's units are ready at once, or
    /// the hour is far enough.
    pub(super) fn is_ready(&self, ask: &Order, from: Hour) -> bool {
        let pool = ask.pool().map(|pool| &self.pools[&pool]);
        pool.is_some_and(|pool| pool.access == Access::Instant || self.is_far(from))
    }

    fn is_target(&self, ask: &Order, bid: &Order) -> bool {
        let Some(pool) = ask.pool() else { return false };
        match &bid.terms.side {
            Side::Buy {
                target: Target::Pool(pinned),
                ..
            } => pool == *pinned,
            Side::Buy {
                target: Target::Instruments(symbols),
                ..
            } => symbols.contains(&self.pools[&pool].instrument),
            Side::Sell { .. } | Side::Resell { .. } => false,
        }
    }

    /// What an ask offers in its worst hour.
    pub(super) fn offer(&self, ask: &Order, start: i64, end: i64) -> i64 {
        let Some(pool) = ask.pool() else { return 0 };
        let pool = &self.pools[&pool];
        let hours = start..end;
        if ask.resold().is_some() {
            if start * HOUR < self.now.0 {
                return 0;
            }
            let lefts = hours.map(|hour| ask.units - ask.sold_in(hour));
            return lefts.min().unwrap_or(0);
        }
        hours
            .map(|hour| (ask.units - ask.sold_in(hour)).min(pool.free(hour)))
            .min()
            .unwrap_or(0)
    }

    /// `q` of MATCHING for an offer of so many units; below `min_fill` when there is no fill.
    pub(super) fn quantity(&self, bid: &Order, offer: i64) -> i64 {
        let (rem, lot) = (bid.remaining(), bid.lot);
        let mut q = rem.min(offer).div_euclid(lot) * lot;
        if q < rem && rem - q < bid.min_fill() {
            q = (rem - bid.min_fill()).div_euclid(lot) * lot;
        }
        q
    }

    /// The counterpart that is next for an order, and whether it could trade with any at all:
    /// those of `passed` were found unable to bond what the fill needs.
    fn next_counterpart(&self, order: &Order, passed: &[OrderId]) -> Option<usize> {
        let sides = |other: usize| {
            let other = &self.orders[other];
            if order.is_bid() {
                (other, order)
            } else {
                (order, other)
            }
        };
        let able = self.open.iter().copied().filter(|other| {
            let (ask, bid) = sides(*other);
            let opposite = !ask.is_bid() && bid.is_bid();
            let passed = passed.contains(&self.orders[*other].id);
            opposite && !passed && self.can_trade(ask, bid)
        });
        able.min_by_key(|other| {
            let other = &self.orders[*other];
            let dearness = if other.is_bid() {
                -other.price
            } else {
                other.price
            };
            (dearness, other.accepted)
        })
    }

    /// Whether an ask and a bid, of which the ask arrives if the bid is flexible, can trade.
    fn can_trade(&self, ask: &Order, bid: &Order) -> bool {
        if bid.flexible().is_none() {
            return self.fill(ask, bid).is_some();
        }
        let how = Ask {
            arriving: Some(ask),
            bare: false,
        };
        self.best_start(bid, how).is_some()
    }

    /// Whether an order could trade at once; it is not let in yet, so it is the latest of all.
    pub(super) fn could_trade(&self, order: &Order) -> bool {
        let mut order = order.clone();
        order.accepted = u64::MAX;
        let how = |arriving| Ask {
            arriving,
            bare: true,
        };
        match order.flexible() {
            Some(flexible) if flexible.splittable => self.best_runs(&order, how(None)).is_some(),
            Some(_) => self.best_start(&order, how(None)).is_some(),
            None if order.is_bid() => self.next_counterpart(&order, &[]).is_some(),
            None => self.open.iter().any(|place| {
                let bid = &self.orders[*place];
                let flexibly = || self.best_start(bid, how(Some(&order))).is_some();
                bid.is_bid()
                    && match bid.flexible() {
                        None => self.fill(&order, bid).is_some(),
                        Some(_) => flexibly(),
                    }
            }),
        }
    }

    /// Lets an accepted order trade, and says what becomes of it.
    pub(super) fn arrive(&mut self, place: usize, out: &mut Out) {
        let tif = self.orders[place].terms.tif;
        if self.orders[place].flexible().is_some() {
            return self.arrive_flexible(place, out);
        }
        if tif == TimeInForce::Fok {
            let mut tried = self.clone();
            let mut trades = Out::new();
            let end = tried.trade_greedily(place, &mut trades);
            if end == Some(DoneWhy::Filled) {
                *self = tried;
                out.append(&mut trades);
                self.finish(place, DoneWhy::Filled, out);
            } else {
                self.finish(place, DoneWhy::Unfilled, out);
            }
            return;
        }
        let end = self.trade_greedily(place, out);
        let listed = self.rules.mode == Mode::Listed && self.orders[place].is_bid();
        let unfilled = (listed || tif == TimeInForce::Ioc).then_some(DoneWhy::Unfilled);
        if let Some(why) = end.or(unfilled) {
            self.finish(place, why, out);
        }
    }

    /// A flexible bid trades all at once or not at all.
    fn arrive_flexible(&mut self, place: usize, out: &mut Out) {
        let bid = &self.orders[place];
        let how = Ask {
            arriving: None,
            bare: false,
        };
        let splittable = bid.flexible().is_some_and(|flexible| flexible.splittable);
        let runs = if splittable {
            self.best_runs(bid, how)
        } else {
            self.best_start(bid, how).map(|run| vec![run])
        };
        let listed = self.rules.mode == Mode::Listed;
        let never_rests =
            splittable || listed || matches!(bid.terms.tif, TimeInForce::Ioc | TimeInForce::Fok);
        if let Some(runs) = runs {
            for run in runs {
                self.make(place, &run, None, out);
            }
            self.finish(place, DoneWhy::Filled, out);
        } else if never_rests {
            self.finish(place, DoneWhy::Unfilled, out);
        }
    }

    /// Makes the trades of a run; whether the arriving ask was to bond what it can't.
    fn make(&mut self, bid: usize, run: &Run, arriving: Option<usize>, out: &mut Out) -> bool {
        let mut bondless = false;
        for (ask, q) in &run.trades {
            let ask = self.orders.iter().position(|order| order.id == *ask);
            let ask = ask.expect("an ask that is open is known");
            if *q == 0 && Some(ask) == arriving {
                bondless = true;
            } else if *q == 0 {
                self.finish(ask, DoneWhy::Bond, out);
            } else {
                self.trade(ask, bid, *q, (run.start, run.end), out);
                let sold_out = self.orders[ask].least_sold() >= self.orders[ask].units;
                if sold_out && Some(ask) != arriving {
                    self.finish(ask, DoneWhy::Filled, out);
                }
            }
        }
        self.orders[bid].traded = self.orders[bid].units;
        bondless
    }

    fn trade_greedily(&mut self, place: usize, out: &mut Out) -> Option<DoneWhy> {
        let mut passed = Vec::new();
        loop {
            let order = &self.orders[place];
            if order.least_sold() >= order.units {
                return Some(DoneWhy::Filled);
            }
            let other = self.next_counterpart(order, &passed)?;
            if self.are_one(self.orders[other].owner(), order.owner()) {
                return Some(DoneWhy::SelfTrade);
            }
            let (ask, bid) = if order.is_bid() {
                (other, place)
            } else {
                (place, other)
            };
            if self.orders[bid].flexible().is_some() {
                let how = Ask {
                    arriving: Some(&self.orders[ask]),
                    bare: false,
                };
                let run = self.best_start(&self.orders[bid], how)?;
                let bondless = self.make(bid, &run, Some(ask), out);
                self.finish(bid, DoneWhy::Filled, out);
                if bondless {
                    return Some(DoneWhy::Bond);
                }
                continue;
            }
            let (a, b) = (&self.orders[ask], &self.orders[bid]);
            let hours = (b.start, b.end);
            let (price, cash) = (self.trade_price(ask, bid), self.cash(a.owner()));
            let bondable = self.bondable(a, price, b.hours(), cash);
            if bondable < self.orders[ask].lot {
                if ask == place {
                    return Some(DoneWhy::Bond);
                }
                self.finish(ask, DoneWhy::Bond, out);
                continue;
            }
            let (a, b) = (&self.orders[ask], &self.orders[bid]);
            let offer = self.offer(a, b.start, b.end).min(bondable);
            let q = self.quantity(b, offer);
            if q < b.min_fill() {
                passed.push(self.orders[other].id);
                continue;
            }
            self.trade(ask, bid, q, hours, out);
            if other == ask && self.orders[ask].least_sold() >= self.orders[ask].units {
                self.finish(ask, DoneWhy::Filled, out);
            }
            if other == bid && self.orders[bid].remaining() == 0 {
                self.finish(bid, DoneWhy::Filled, out);
            }
        }
    }

    fn trade_price(&self, ask: usize, bid: usize) -> i64 {
        let (ask, bid) = (&self.orders[ask], &self.orders[bid]);
        if ask.accepted < bid.accepted {
            ask.price
        } else {
            bid.price
        }
    }

    /// `⌈rate × price × q × hours⌉`.
    pub(super) fn bond(&self, price: i64, q: i64, hours: i64) -> Amount {
        let exact = Amount::from(self.rules.bond_bps)
            * Amount::from(price)
            * Amount::from(q)
            * Amount::from(hours);
        (exact + 9_999).div_euclid(10_000)
    }

    pub(super) fn cash(&self, whose: ParticipantId) -> Amount {
        self.balance(whose, AccountKind::Cash)
    }

    /// The most units, in whole lots of the ask, that its provider can bond with so much cash:
    /// tried one lot after the other.
    pub(super) fn bondable(&self, ask: &Order, price: i64, hours: i64, cash: Amount) -> i64 {
        if self.rules.bond_bps == 0 || ask.resold().is_some() {
            return i64::MAX;
        }
        let mut units = 0;
        while units <= ask.units && self.bond(price, units + ask.lot, hours) <= cash {
            units += ask.lot;
        }
        units
    }

    fn trade(&mut self, ask: usize, bid: usize, q: i64, (start, end): (Hour, Hour), out: &mut Out) {
        let price = self.trade_price(ask, bid);
        let accepted = self.accept();
        let number = i64::try_from(self.leases.len()).expect("leases are few") + 1;
        let (a, b) = (&self.orders[ask], &self.orders[bid]);
        let ask_first = a.accepted < b.accepted;
        let fee = self.rules.seller_fee;
        let pool = a.pool().expect("an ask has a pool");
        let mut lease = Lease {
            id: LeaseId(number),
            holder: b.owner(),
            provider: self.pools[&pool].owner,
            pool,
            units: q,
            start,
            end,
            price,
            accepted,
            fee_bps: if ask_first {
                fee.maker_bps
            } else {
                fee.taker_bps
            },
            bid,
            failed_from: None,
            buyer_bps: if ask_first {
                b.fees.taker_bps
            } else {
                b.fees.maker_bps
            },
            fees: (fee.flat.0, b.fees.flat.0),
            made_at: self.now,
            rules: self.rules.version,
            chain: Vec::new(),
            held: (start..end).map(|hour| (hour, q)).collect(),
            unsettled: (start..end).collect(),
            escrow: BTreeMap::new(),
            late: b.late,
            delivered: 0,
            got: BTreeMap::new(),
            awarded: BTreeMap::new(),
            credited: 0,
            earned: 0,
            fee: 0,
            buyer_fee: 0,
            bond: 0,
        };
        lease.escrow = (start..end)
            .map(|hour| (hour, lease.hour_price(hour)))
            .collect();
        if a.resold().is_none() {
            let instrument = self.pools[&pool].instrument;
            self.counted
                .push((instrument, self.now, price, q * (end - start)));
        }
        out.push((
            self.now,
            EventKind::Traded(Trade {
                trade: TradeId(number),
                buy: b.id,
                sell: a.id,
                maker: if ask_first { a.id } else { b.id },
                price: Money(price),
                units: q,
                period: Period {
                    start: market::Hour(start),
                    end: market::Hour(end),
                },
                pool: lease.pool,
                counts: a.resold().is_none(),
            }),
        ));
        out.push((
            self.now,
            EventKind::Leased {
                lease: lease.id,
                trade: TradeId(number),
                parent: a.resold(),
            },
        ));
        let cost = lease.cost() + lease.fee_escrow();
        let mut after = b.clone();
        after.traded += q;
        let runs = b.flexible().is_some_and(|flexible| flexible.splittable);
        // What the runs of a splittable bid leave over is free when it is done.
        let reserved = if runs {
            cost
        } else {
            b.needs() - after.needs()
        };
        let (buyer, seller) = (lease.holder, lease.provider);
        let parent = a.resold();
        let hold = (buyer, AccountKind::Hold);
        self.pay(hold, (buyer, AccountKind::Escrow), cost);
        self.pay(hold, (buyer, AccountKind::Cash), reserved - cost);
        for hour in start..end {
            *self.orders[ask].sold.entry(hour).or_default() += q;
        }
        if runs {
            self.orders[bid].splits += cost;
        }
        self.orders[bid].traded += q;
        self.live.push(self.leases.len());
        let Some(parent) = parent else {
            lease.bond = self.bond(price, q, end - start);
            let pledged = (seller, AccountKind::Bond);
            self.pay((seller, AccountKind::Cash), pledged, lease.bond);
            let pool = self.pools.get_mut(&lease.pool).expect("a known pool");
            for hour in start..end {
                *pool.leased.entry(hour).or_default() += q;
            }
            self.leases.push(lease);
            return;
        };
        let parent = self.lease_at(parent).expect("a lease that is sold on");
        self.hand_on(parent, &mut lease);
        self.leases.push(lease);
        if self.leases[parent].unsettled.is_empty() {
            self.credit(parent, out);
        }
    }

    /// A lease hands units on to one that was made of it.
    fn hand_on(&mut self, parent: usize, child: &mut Lease) {
        let lease = &mut self.leases[parent];
        let before: Amount = lease.escrow.values().sum::<Amount>() + lease.fee_escrow();
        let had: i64 = lease.held.values().sum();
        let given = child.units * (child.end - child.start);
        child.bond = lease.bond * Amount::from(given) / Amount::from(had);
        lease.bond -= child.bond;
        for hour in child.start..child.end {
            *lease.held.entry(hour).or_default() -= child.units;
            *lease.escrow.entry(hour).or_default() -=
                Amount::from(lease.price) * Amount::from(child.units);
            if lease.held[&hour] == 0 {
                lease.unsettled.remove(&hour);
                lease.escrow.remove(&hour);
            }
        }
        child.chain.clone_from(&lease.chain);
        child.chain.push((lease.holder, lease.price, child.price));
        let after: Amount = lease.escrow.values().sum::<Amount>() + lease.fee_escrow();
        let stays = Amount::from(0.max(lease.price - child.price)) * Amount::from(given);
        let reseller = lease.holder;
        self.pay(
            (reseller, AccountKind::Escrow),
            (reseller, AccountKind::Cash),
            before - after - stays,
        );
    }

    /// Ends an order: what it holds is cash again.
    pub(super) fn finish(&mut self, place: usize, why: DoneWhy, out: &mut Out) {
        let order = &mut self.orders[place];
        order.done = Some(why);
        let (id, owner) = (order.id, order.owner());
        let held = order.needs();
        let held = if order.splits > 0 {
            order.splittable_rest()
        } else {
            held
        };
        self.open.retain(|open| *open != place);
        self.pay((owner, AccountKind::Hold), (owner, AccountKind::Cash), held);
        out.push((self.now, EventKind::Done { order: id, why }));
    }
}

impl Order {
    /// What a bid holds for what remains of it.
    pub(super) fn needs(&self) -> Amount {
        if !self.is_bid() {
            return 0;
        }
        let dearest = self.fees.maker_bps.max(self.fees.taker_bps);
        let minutes = self.remaining() * (self.hours() * 60 - self.late);
        let fee = fee_on(self.price, dearest, self.fees.flat.0, minutes);
        let price = Amount::from(self.price) * Amount::from(minutes);
        (price + 59).div_euclid(60) + (fee + 599_999).div_euclid(600_000)
    }

    /// What a splittable bid holds beyond what its runs cost.
    fn splittable_rest(&self) -> Amount {
        let mut whole = self.clone();
        whole.traded = 0;
        whole.needs() - self.splits
    }
}
