//! What a bid would do: the asks that it would trade with, in their order, without trading.

use std::collections::{BTreeMap, BTreeSet};

use crate::book::{Hit, Rank, Search, Terms};
use crate::command::{Access, Side};
use crate::id::{LeaseId, OrderId, ParticipantId, PoolId};
use crate::lease::Lease;
use crate::ledger::{Account, AccountKind};
use crate::money::{Money, WHOLE_BPS, ceil_div};
use crate::order::Order;
use crate::state::Market;
use crate::time::{Hour, Period};

/// The greedy trades of a bid over one period.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) end: PlanEnd,
    /// What all of its trades cost.
    pub(crate) paid: i128,
}

/// What the books promise and the market does not hold: asks that were found in vain, as of
/// their hours too much is sold or leased. Whoever may change the market narrows them.
#[derive(Default)]
pub(crate) struct FoundInVain(pub(crate) BTreeSet<OrderId>);

impl FoundInVain {
    fn note(&mut self, ask: &Order) {
        // One that stands in no book promises nothing.
        if ask.rests {
            self.0.insert(ask.id);
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Step {
    /// Trade so many units with this ask.
    Trade(OrderId, i64),
    /// This ask could trade, but its provider can't bond one lot.
    Bondless(OrderId),
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum PlanEnd {
    Filled,
    MetOwn,
    Exhausted,
}

/// How a plan looks at asks.
#[derive(Clone, Copy, Default)]
pub(crate) struct Look<'a> {
    /// An ask that is not in the books yet, or stands there as it was before it was replaced.
    pub(crate) outside: Option<&'a Order>,
    /// As if every provider could bond, and the bid's own asks were another's.
    pub(crate) bare: bool,
    /// The ask that arrives, while the bid rests: it counts as another's whosever it is.
    pub(crate) arriving: Option<OrderId>,
    /// As one that buys in: the gate is open to it.
    pub(crate) past_gate: bool,
}

/// What sellers would have pledged of their cash by trades before, and what resales would have added
/// to it.
#[derive(Default)]
pub(crate) struct Pledged {
    cash: BTreeMap<ParticipantId, Money>,
    /// Unit-hours that would have been resold of each lease.
    resold: BTreeMap<LeaseId, i64>,
}

impl Pledged {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn by(&self, participant: ParticipantId) -> Money {
        self.cash.get(&participant).copied().unwrap_or_default()
    }

    fn pledge(&mut self, participant: ParticipantId, amount: Money) {
        *self.cash.entry(participant).or_default() += amount;
    }

    /// A resale gives the reseller back what they had in escrow, but what the buyer pays less.
    fn resell(&mut self, lease: &Lease, price: Money, unit_hours: i64) {
        let before = self.resold.entry(lease.id).or_default();
        let fee = lease.fee_freed(*before + unit_hours) - lease.fee_freed(*before);
        *before += unit_hours;
        let freed = Money::exact(lease.price.min(price).times(unit_hours, 1)) + fee;
        self.pledge(lease.holder, -freed);
    }
}

impl Plan {
    /// Its trades: with which ask, and how many units.
    pub(crate) fn trades(&self) -> impl Iterator<Item = (OrderId, i64)> + '_ {
        self.steps.iter().filter_map(|step| match step {
            Step::Trade(ask, units) => Some((*ask, *units)),
            Step::Bondless(_) => None,
        })
    }

    /// Whether it fills the bid, and that by the arriving ask too where there is one.
    pub(crate) fn fills(&self, look: Look<'_>) -> bool {
        let takes_part = look.arriving.is_none_or(|arriving| {
            let mut steps = self.steps.iter();
            steps.any(|step| matches!(step, Step::Trade(ask, _) if *ask == arriving))
        });
        self.end == PlanEnd::Filled && takes_part
    }
}

impl Market {
    /// The greedy trades of a bid over a period, without making them. All of them are over the
    /// same hours, so what they take of a pool is one number.
    pub(crate) fn plan(
        &self,
        bid: &Order,
        period: Period,
        look: Look<'_>,
        pledged: &mut Pledged,
        vain: &mut FoundInVain,
    ) -> Plan {
        let mut plan = Plan {
            steps: Vec::new(),
            end: PlanEnd::Exhausted,
            paid: 0,
        };
        let mut remaining = bid.remaining();
        let mut taken: BTreeMap<PoolId, i64> = BTreeMap::new();
        let mut asks = Merged::new(self, bid, period, look);
        while remaining > 0 {
            asks.need(bid.least_offer(remaining));
            let Some(ask) = asks.next() else {
                break;
            };
            let is_open = look.past_gate || self.is_ready(ask, period.start);
            let suits = is_open && self.suits(ask, bid, period);
            let Some(pool) = ask.pool().filter(|_| suits) else {
                continue;
            };
            let before = taken.get(&pool).copied().unwrap_or(0);
            let mut offer = self.offer_after(ask, period, before);
            let need = bid.least_offer(remaining);
            if offer < need && self.left(ask, period) < need {
                vain.note(ask);
            }
            // Again only where the bond cut the fill: then the ask may be unable to bond a lot.
            while fill_of(bid, remaining, offer).is_some() {
                let is_own = self.are_related(ask.participant(), bid.participant());
                if is_own && !look.bare && look.arriving != Some(ask.id) {
                    plan.end = PlanEnd::MetOwn;
                    return plan;
                }
                let bondable = if look.bare {
                    i64::MAX
                } else {
                    self.bondable(ask, bid, period, pledged.by(ask.participant()))
                };
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
                let price = self.trade_price(bid, ask);
                plan.paid += price.times(units, period.hours());
                if let Some(lease) = ask.resold().and_then(|lease| self.lease(lease)) {
                    pledged.resell(lease, price, units * period.hours());
                    continue;
                }
                *taken.entry(pool).or_default() += units;
                if !look.bare {
                    let bond = Money::exact(self.bond(price, units, period.hours()));
                    pledged.pledge(ask.participant(), bond);
                }
            }
        }
        if remaining == 0 {
            plan.end = PlanEnd::Filled;
        }
        plan
    }

    /// Whether an hour begins as long after now as what has to be prepared needs, or later.
    pub(crate) fn is_far(&self, hour: Hour) -> bool {
        hour.begins() >= self.now.plus_minutes(self.rules.gate_minutes)
    }

    /// Whether the units of an order's pool can be used from an hour on, if they are sold now.
    pub fn is_ready(&self, order: &Order, from: Hour) -> bool {
        order.access == Access::Instant || self.is_far(from)
    }

    /// Whether an ask sells what a bid wants in a period, quantity and price aside.
    pub(crate) fn suits(&self, ask: &Order, bid: &Order, period: Period) -> bool {
        let pinned = match &bid.placed.side {
            Side::Buy { .. } => bid.pool(),
            Side::Sell { .. } | Side::Resell { .. } => None,
        };
        pinned.is_none_or(|pool| ask.pool() == Some(pool)) && ask.sells(period)
    }

    /// What an ask offers when `taken` units of its pool are spoken for already.
    fn offer_after(&self, ask: &Order, period: Period, taken: i64) -> i64 {
        if taken == 0 || ask.resold().is_some() {
            return self.left(ask, period);
        }
        let Some(pool) = ask.pool().and_then(|pool| self.pool(pool)) else {
            return 0;
        };
        let unsold = ask.units - ask.sold.most(period);
        unsold.min(pool.least_free(period) - taken).max(0)
    }

    /// The price of a trade: that of the order accepted earlier.
    pub(crate) fn trade_price(&self, bid: &Order, ask: &Order) -> Money {
        // What is not in the book yet has no place there: it is the later one.
        let bid_first =
            bid.acceptance != 0 && (bid.acceptance < ask.acceptance || ask.acceptance == 0);
        if bid_first { bid.price } else { ask.price }
    }

    /// The bond of a trade: a share of its price, rounded up.
    pub(crate) fn bond(&self, price: Money, units: i64, hours: i64) -> i128 {
        let share = price
            .times(units, hours)
            .saturating_mul(self.rules.bond_bps.into());
        ceil_div(share, WHOLE_BPS.into())
    }

    /// How many units of a trade with this bid an ask's provider can bond with the cash that is
    /// left after `pledged`, in whole lots of the ask. A resale needs no bond: its lease has one.
    pub(crate) fn bondable(&self, ask: &Order, bid: &Order, period: Period, pledged: Money) -> i64 {
        let per_unit = self
            .trade_price(bid, ask)
            .times(1, period.hours())
            .saturating_mul(self.rules.bond_bps.into());
        if per_unit == 0 || ask.resold().is_some() {
            return i64::MAX;
        }
        let cash = self
            .ledger
            .balance(Account::of(ask.participant(), AccountKind::Cash));
        let units = i128::from((cash - pledged).0) * i128::from(WHOLE_BPS);
        let units = i64::try_from(units.div_euclid(per_unit)).unwrap_or(i64::MAX);
        units - units.rem_euclid(ask.lot)
    }
}

/// The fill of a bid, of which `remaining` units are left, by an offer (MATCHING, Fill): whole
/// lots, not less than `min_fill`, and never stranding less than `min_fill`.
pub(crate) fn fill_of(bid: &Order, remaining: i64, offer: i64) -> Option<i64> {
    let most = remaining.min(offer);
    let mut units = most - most.rem_euclid(bid.lot);
    if units < remaining && remaining - units < bid.min_fill() {
        units = remaining - bid.min_fill();
    }
    (units >= bid.min_fill()).then_some(units)
}

/// The asks of a bid's books that sell a period and promise enough, in one order: the lowest price,
/// then the earliest acceptance.
pub(crate) struct Merged<'a> {
    market: &'a Market,
    period: Period,
    source: Source<'a>,
    /// The next one of the books.
    head: Option<&'a Order>,
    /// An ask that is in no book, until it was given.
    outside: Option<&'a Order>,
    /// That ask's number: as it stands in a book it is passed over.
    replaced: Option<OrderId>,
}

/// Where a bid's asks come from.
enum Source<'a> {
    Books(Search<'a>),
    /// A bid that is pinned to a pool looks at that pool's asks only.
    Pool(std::vec::IntoIter<&'a Order>),
}

impl<'a> Merged<'a> {
    pub(crate) fn new(market: &'a Market, bid: &Order, period: Period, look: Look<'a>) -> Self {
        let outside = look.outside;
        let source = if let Some(pool) = bid.pool() {
            let mut asks = market.asks_on(pool);
            asks.retain(|ask| ask.price <= bid.price);
            Source::Pool(asks.into_iter())
        } else {
            let need = bid.least_offer(bid.remaining());
            let given = Terms::given_by_bid(period, need);
            let mut search = Search::of_asks(given, bid.price);
            let ready = look.past_gate || market.is_far(period.start);
            for instrument in bid.instruments.iter() {
                let book = &market.instruments[instrument].book;
                book.search_asks(&mut search, period, ready);
            }
            Source::Books(search)
        };
        let mut merged = Self {
            market,
            period,
            source,
            head: None,
            outside: outside.filter(|ask| ask.price <= bid.price),
            replaced: outside.map(|ask| ask.id),
        };
        if merged.outside.is_some() {
            merged.head = merged.in_books();
        }
        merged
    }

    /// From now on only asks that promise so much are wanted.
    pub(crate) fn need(&mut self, units: i64) {
        if let Source::Books(search) = &mut self.source {
            search.lower(Terms::given_by_bid(self.period, units));
        }
    }

    fn in_books(&mut self) -> Option<&'a Order> {
        let replaced = self.replaced;
        match &mut self.source {
            Source::Books(search) => {
                let market = self.market;
                let mut asks = search.map(|hit| market.order(hit.order));
                asks.find(|ask| Some(ask.id) != replaced)
            }
            Source::Pool(asks) => asks.find(|ask| Some(ask.id) != replaced),
        }
    }
}

impl<'a> Iterator for Merged<'a> {
    type Item = &'a Order;

    fn next(&mut self) -> Option<&'a Order> {
        if let Some(outside) = self.outside {
            // At one price the ask outside is the latest.
            if self.head.is_none_or(|head| outside.price < head.price) {
                self.outside = None;
                return Some(outside);
            }
        }
        let head = self.head.take();
        let next = head.or_else(|| self.in_books());
        if self.outside.is_some() {
            self.head = self.in_books();
        }
        next
    }
}

/// The resting bids of fixed hours that an arriving ask can trade with, the best first.
pub(crate) struct BidsFor<'a> {
    market: &'a Market,
    ask: &'a Order,
    search: Search<'a>,
    is_uneven: bool,
}

impl<'a> BidsFor<'a> {
    /// Only those after a rank.
    pub(crate) fn new(market: &'a Market, ask: &'a Order, after: Option<Rank>) -> Self {
        let mut hours = ask.open_hours();
        if ask.access == Access::Prepared {
            let ready = market.now.plus_minutes(market.rules.gate_minutes);
            hours.start = hours.start.max(ready.next_hour());
        }
        let (weekly, min_hours) = ask.tariff().unwrap_or((None, 1));
        let unsold = ask.units - ask.sold.least(hours);
        let given = Terms::given_by_ask(hours, unsold, min_hours);
        let mut search = Search::of_bids(given, ask.price).after(after);
        for instrument in ask.instruments.iter() {
            let book = &market.instruments[instrument].book;
            book.search_bids(&mut search, ask.pool());
        }
        let mut bids = Self {
            market,
            ask,
            search,
            is_uneven: false,
        };
        if weekly.is_some() && !bids.search.is_over() {
            bids.look_by_hour();
        }
        bids
    }

    /// What the ask offers turned out to differ by hour.
    fn look_by_hour(&mut self) {
        self.is_uneven = true;
        self.search.becomes_uneven(self.market.uneven(self.ask));
    }

    /// The next bid with which it can trade as far as the provider can bond it; also one of which
    /// they can't bond a lot, or that is their own.
    pub(crate) fn next_bondable(&mut self) -> Option<Hit> {
        let (market, ask) = (self.market, self.ask);
        self.find(|hit| {
            let bid = market.order(hit.order);
            let bondable = market.bondable(ask, bid, bid.period, Money::ZERO);
            bondable < ask.lot
                || market.are_related(bid.participant(), ask.participant())
                || fill_of(
                    bid,
                    bid.remaining(),
                    market.offer(ask, bid.period).min(bondable),
                )
                .is_some()
        })
    }
}

impl Iterator for BidsFor<'_> {
    type Item = Hit;

    fn next(&mut self) -> Option<Hit> {
        loop {
            let hit = self.search.next()?;
            let bid = self.market.order(hit.order);
            if self.market.fill_units(self.ask, bid).is_some() {
                return Some(hit);
            }
            if !self.is_uneven {
                self.look_by_hour();
            }
        }
    }
}
