//! Flexible bids by trying everything: every start, every set of runs.

use std::collections::BTreeMap;

use market::{Flexible, LeaseId, OrderId, ParticipantId, PoolId, Side};

use super::model::{Amount, HOUR, Hour, Lease, Model, Order};

/// Trades of one run: the ask, and how many units of it; none of one that can't bond a lot.
pub(super) type Trades = Vec<(OrderId, i64)>;

/// What sellers lose and gain of their cash by trades that are only thought of.
#[derive(Default)]
struct Pledged {
    lost: BTreeMap<ParticipantId, Amount>,
    /// Leases as they would be after resales.
    left: BTreeMap<LeaseId, Lease>,
}

/// A run of hours and its trades.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) start: Hour,
    pub(super) end: Hour,
    pub(super) trades: Trades,
    paid: Amount,
    /// What the trades take of each pool.
    pools: BTreeMap<PoolId, i64>,
}

/// How trades are thought through.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    /// The ask that arrives and has to take part.
    pub(super) arriving: Option<&'a Order>,
    /// Whether bonds and own asks don't count.
    pub(super) bare: bool,
}

impl Order {
    pub(super) fn flexible(&self) -> Option<Flexible> {
        match &self.terms.side {
            Side::Buy { flexible, .. } => *flexible,
            Side::Sell { .. } | Side::Resell { .. } => None,
        }
    }

    /// This bid as if it wanted just these hours.
    fn narrowed(&self, start: Hour, end: Hour) -> Self {
        let mut narrow = self.clone();
        (narrow.start, narrow.end) = (start, end);
        if let Side::Buy { flexible, .. } = &mut narrow.terms.side {
            *flexible = None;
        }
        narrow
    }
}

impl Model {
    fn first_start(&self, bid: &Order) -> Hour {
        (bid.start..)
            .find(|hour| hour * HOUR >= self.now.0)
            .expect("time ends no hours")
    }

    /// Of the starts that fill a bid wholly the one that costs least, then the earliest.
    pub(super) fn best_start(&self, bid: &Order, how: Ask<'_>) -> Option<Run> {
        let starts = self.first_start(bid)..=bid.end - bid.hours();
        let runs = starts.filter_map(|start| {
            let narrow = bid.narrowed(start, start + bid.hours());
            self.run(&narrow, how, &mut Pledged::default())
        });
        runs.min_by_key(|run| (run.paid, run.start))
    }

    /// Of all sets of runs that fill a bid the one that MATCHING names.
    pub(super) fn best_runs(&self, bid: &Order, how: Ask<'_>) -> Option<Vec<Run>> {
        let terms = bid.flexible()?;
        let mut sets = Vec::new();
        let first = self.first_start(bid);
        all_sets(
            first,
            bid.end,
            terms.duration,
            terms.min_run,
            &mut Vec::new(),
            &mut sets,
        );
        let mut known: BTreeMap<(Hour, Hour), Option<Run>> = BTreeMap::new();
        let mut best: Option<(Key, Vec<(Hour, Hour)>)> = None;
        for set in sets {
            let runs: Option<Vec<Run>> = set
                .iter()
                .map(|&(start, end)| {
                    let run = known.entry((start, end)).or_insert_with(|| {
                        let narrow = bid.narrowed(start, end);
                        self.run(&narrow, how, &mut Pledged::default())
                    });
                    run.clone()
                })
                .collect();
            let Some(runs) = runs else { continue };
            let key = (
                runs.iter().map(|run| run.paid).sum(),
                set.iter().flat_map(|&(start, end)| start..end).collect(),
                set.len(),
                set.iter().map(|&(start, end)| start - end).collect(),
            );
            if best.as_ref().is_none_or(|(least, _)| key < *least) {
                best = Some((key, set));
            }
        }
        let mut pledged = Pledged::default();
        let (_, set) = best?;
        set.into_iter()
            .map(|(start, end)| self.run(&bid.narrowed(start, end), how, &mut pledged))
            .collect()
    }

    /// The greedy trades that fill a bid wholly over its very hours.
    fn run(&self, bid: &Order, how: Ask<'_>, pledged: &mut Pledged) -> Option<Run> {
        let mut bid = bid.clone();
        let arriving = how.arriving.map(|ask| ask.id);
        let mut asks: Vec<Order> = self
            .open
            .iter()
            .map(|at| self.orders[*at].clone())
            .collect();
        asks.retain(|order| !order.is_bid() && Some(order.id) != arriving);
        asks.extend(how.arriving.cloned());
        let mut run = Run {
            start: bid.start,
            end: bid.end,
            trades: Vec::new(),
            paid: 0,
            pools: BTreeMap::new(),
        };
        while bid.remaining() > 0 {
            let able = asks
                .iter()
                .filter(|ask| self.fill_after(ask, &bid, &run).is_some());
            let ask = able.min_by_key(|ask| (ask.price, ask.accepted))?.clone();
            if self.are_one(ask.owner(), bid.owner()) && Some(ask.id) != arriving && !how.bare {
                return None;
            }
            let mut q = self.fill_after(&ask, &bid, &run)?;
            let price = if ask.accepted < bid.accepted {
                ask.price
            } else {
                bid.price
            };
            if !how.bare {
                let cash = self.cash(ask.owner()) - pledged.lost.get(&ask.owner()).unwrap_or(&0);
                let bondable = self.bondable(&ask, price, bid.hours(), cash);
                if bondable < ask.lot {
                    run.trades.push((ask.id, 0));
                    asks.retain(|other| other.id != ask.id);
                    continue;
                }
                let offer = self.offer_after(&ask, &bid, &run).min(bondable);
                q = self.quantity(&bid, offer);
                if q < bid.min_fill() {
                    asks.retain(|other| other.id != ask.id);
                    continue;
                }
                if ask.resold().is_none() {
                    let bond = self.bond(price, q, bid.hours());
                    *pledged.lost.entry(ask.owner()).or_default() += bond;
                }
            }
            if let Some(lease) = ask.resold().and_then(|lease| self.lease_at(lease)) {
                self.think_of_resale(lease, (price, q), &bid, pledged);
            }
            run.trades.push((ask.id, q));
            let pool = ask.pool().expect("an ask has a pool");
            if ask.resold().is_none() {
                *run.pools.entry(pool).or_default() += q;
            }
            run.paid += Amount::from(price) * Amount::from(q) * Amount::from(bid.hours());
            bid.traded += q;
        }
        let took_part = |id| run.trades.iter().any(|(ask, q)| *ask == id && *q > 0);
        arriving.is_none_or(took_part).then_some(run)
    }

    /// What a reseller would get back.
    fn think_of_resale(
        &self,
        lease: usize,
        (price, q): (i64, i64),
        bid: &Order,
        pledged: &mut Pledged,
    ) {
        let known = &self.leases[lease];
        let lease = pledged
            .left
            .entry(known.id)
            .or_insert_with(|| known.clone());
        let fee = lease.fee_escrow();
        for hour in bid.start..bid.end {
            *lease.held.entry(hour).or_default() -= q;
        }
        let back = Amount::from(lease.price.min(price)) * Amount::from(q * bid.hours());
        let back = back + fee - lease.fee_escrow();
        *pledged.lost.entry(lease.holder).or_default() -= back;
    }

    fn fill_after(&self, ask: &Order, bid: &Order, run: &Run) -> Option<i64> {
        self.fill(ask, bid)?;
        let q = self.quantity(bid, self.offer_after(ask, bid, run));
        (q >= bid.min_fill()).then_some(q)
    }

    /// What an ask offers in its worst hour after the trades of a run.
    fn offer_after(&self, ask: &Order, bid: &Order, run: &Run) -> i64 {
        let Some(pool) = ask.pool() else { return 0 };
        let own = run.trades.iter().filter(|(id, _)| *id == ask.id);
        let own: i64 = own.map(|(_, q)| *q).sum();
        if ask.resold().is_some() {
            return self.offer(ask, bid.start, bid.end) - own;
        }
        let of_pool = run.pools.get(&pool).copied().unwrap_or(0);
        let pool = &self.pools[&pool];
        let hours = bid.start..bid.end;
        hours
            .map(|hour| (ask.units - ask.sold_in(hour) - own).min(pool.free(hour) - of_pool))
            .min()
            .unwrap_or(0)
    }
}

/// What MATCHING compares: total, hours, number of runs, and the longest run first.
type Key = (Amount, Vec<Hour>, usize, Vec<i64>);

/// Every way to have so many hours in runs of at least `least`.
fn all_sets(
    from: Hour,
    end: Hour,
    wanted: i64,
    least: i64,
    before: &mut Vec<(Hour, Hour)>,
    sets: &mut Vec<Vec<(Hour, Hour)>>,
) {
    if wanted == 0 {
        sets.push(before.clone());
        return;
    }
    for start in from..end {
        for length in least..=wanted.min(end - start) {
            before.push((start, start + length));
            all_sets(start + length, end, wanted - length, least, before, sets);
            before.pop();
        }
    }
}
