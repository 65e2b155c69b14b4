//! What a bid would do: the asks that it would trade with, in their order, without trading.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::command::Side;
use crate::id::{InstrumentId, LeaseId, OrderId, ParticipantId, PoolId};
use crate::lease::Lease;
use crate::ledger::{Account, AccountKind};
use crate::money::{Money, WHOLE_BPS, ceil_div};
use crate::order::Order;
use crate::state::Market;
use crate::time::Period;

/// The greedy trades of a bid over one period.
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) end: PlanEnd,
    /// What all of its trades cost.
    pub(crate) paid: i128,
}

#[derive(Clone, Copy)]
pub(crate) enum Step {
    /// Trade so many units with this ask.
    Trade(OrderId, i64),
    /// This ask could trade, but its provider can't bond one lot.
    Bondless(OrderId),
}

#[derive(PartialEq, Eq)]
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
    ) -> Plan {
        let mut plan = Plan {
            steps: Vec::new(),
            end: PlanEnd::Exhausted,
            paid: 0,
        };
        let mut remaining = bid.remaining();
        let mut taken: BTreeMap<PoolId, i64> = BTreeMap::new();
        let mut asks = Merged::new(self, bid, look.outside);
        while let Some(ask) = asks.next_within(bid.price) {
            if remaining == 0 {
                break;
            }
            let Some(pool) = ask.pool().filter(|_| self.suits(ask, bid, period)) else {
                continue;
            };
            let taken = taken.entry(pool).or_default();
            let mut offer = self.offer_after(ask, period, *taken);
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
                *taken += units;
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
            return self.offer(ask, period);
        }
        let Some(pool) = ask.pool().and_then(|pool| self.pool(pool)) else {
            return 0;
        };
        period
            .each()
            .map(|hour| (ask.units - ask.sold_in(hour)).min(pool.free_in(hour) - taken))
            .min()
            .map_or(0, |units| units.max(0))
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

/// The asks of a bid's books in one order: the lowest price, then the earliest acceptance.
pub(crate) struct Merged<'a> {
    market: &'a Market,
    /// Each book, and the ask of it that was given last.
    last: Vec<(InstrumentId, Option<Place>)>,
    /// An ask that is in no book, until it was given.
    outside: Option<&'a Order>,
    /// That ask's number: as it stands in a book it is passed over.
    replaced: Option<OrderId>,
}

/// A place among asks.
type Place = (Money, i64, OrderId);

impl<'a> Merged<'a> {
    pub(crate) fn new(market: &'a Market, bid: &Order, outside: Option<&'a Order>) -> Self {
        let instruments = bid.instruments.iter();
        Self {
            market,
            last: instruments.map(|id| (*id, None)).collect(),
            outside,
            replaced: outside.map(|ask| ask.id),
        }
    }

    /// The next ask whose price is at most `limit`.
    pub(crate) fn next_within(&mut self, limit: Money) -> Option<&'a Order> {
        loop {
            let next = |(instrument, last): &(InstrumentId, Option<Place>)| {
                let book = &self.market.instruments[instrument].asks;
                let after = last.map_or(Bound::Unbounded, Bound::Excluded);
                book.range((after, Bound::Unbounded)).next().copied()
            };
            let heads = self.last.iter().map(next).enumerate();
            let head = heads
                .filter_map(|(place, ask)| ask.map(|ask| (place, ask)))
                .min_by_key(|(_, ask)| *ask);
            // At one price the ask outside is the latest.
            let goes_first = |ask: &&Order| head.is_none_or(|(_, (price, ..))| ask.price < price);
            if let Some(ask) = self.outside.filter(goes_first) {
                self.outside = None;
                return (ask.price <= limit).then_some(ask);
            }
            let (place, ask) = head?;
            self.last[place].1 = Some(ask);
            if Some(ask.2) != self.replaced {
                return (ask.0 <= limit).then(|| self.market.order(ask.2));
            }
        }
    }
}
