//! The hours that are over and not settled, found without looking at all leases.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use market::{Hour, Lease, LeaseId, Market, Timestamp};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::TryRecvError;

use super::placing;
use crate::feed::{Feed, Published};

/// An hour that is over and not settled.
pub(super) struct Overdue {
    pub(super) lease: Lease,
    pub(super) lot: i64,
    pub(super) hour: Hour,
}

/// The leases with hours to settle, by the first of them: what is due is found without looking at
/// the others.
#[derive(Debug, Default)]
pub(super) struct Watch {
    first: BTreeMap<LeaseId, Hour>,
    due: BTreeSet<(Hour, LeaseId)>,
}

impl Watch {
    /// Every lease of a market; once, and when word of changes was missed.
    pub(super) fn all(market: &Market) -> Self {
        let mut watch = Self::default();
        for lease in market.open_leases() {
            watch.look(market, lease.id);
        }
        watch
    }

    /// Takes in how a lease stands now.
    pub(super) fn look(&mut self, market: &Market, id: LeaseId) {
        self.forget(id);
        let first = market.lease(id).and_then(Lease::first_unsettled);
        if let Some(hour) = first {
            self.first.insert(id, hour);
            self.due.insert((hour, id));
        }
    }

    /// Leaves a lease alone until something happens to it.
    pub(super) fn forget(&mut self, id: LeaseId) {
        if let Some(hour) = self.first.remove(&id) {
            self.due.remove(&(hour, id));
        }
    }

    /// Takes in what was published since the last glance; gives the leases that it was about, all
    /// of them where word of some was missed.
    pub(super) fn follow(
        &mut self,
        batches: &mut broadcast::Receiver<Arc<Published>>,
        feed: &Feed,
    ) -> BTreeSet<LeaseId> {
        let mut touched = BTreeSet::new();
        loop {
            match batches.try_recv() {
                Ok(batch) => {
                    let market = feed.market();
                    for lease in &batch.leases {
                        self.look(&market, *lease);
                        touched.insert(*lease);
                    }
                }
                Err(TryRecvError::Lagged(_)) => {
                    let market = feed.market();
                    *self = Self::all(&market);
                    touched.extend(market.open_leases().map(|lease| lease.id));
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => return touched,
            }
        }
    }

    /// At most so many hours that are over by now and that are asked for, of the leases that have
    /// waited longest first.
    pub(super) fn overdue(
        &self,
        market: &Market,
        now: Timestamp,
        is_asked: impl Fn(&Lease, Hour) -> bool,
        most: usize,
    ) -> Vec<Overdue> {
        let leases = self
            .due
            .iter()
            .take_while(|(hour, _)| hour.ends() <= now)
            .filter_map(|(_, lease)| market.lease(*lease));
        let hours = leases.flat_map(|lease| {
            let over = lease.unsettled().take_while(|hour| hour.ends() <= now);
            over.map(move |hour| (lease, hour))
        });
        let asked = hours.filter(|(lease, hour)| is_asked(lease, *hour));
        let overdue = asked.map(|(lease, hour)| Overdue {
            lease: lease.clone(),
            lot: placing::lot_of(market, lease),
            hour,
        });
        overdue.take(most).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_leases_with_something_due_are_looked_at() {
        use market::{
            Access, ClientId, Command, InstrumentId, ListInstrument, Money, OpenPool,
            ParticipantId, PlaceOrder, PoolId, Rules, Side, Target, TimeInForce,
        };
        let mut market = Market::new(Rules::none());
        let order = |name: &str, participant, side, hours: (i64, i64)| {
            Command::PlaceOrder(PlaceOrder {
                participant: ParticipantId(participant),
                client_id: ClientId(name.to_owned()),
                side,
                units: 1,
                price: Money(1),
                start: Hour(hours.0).begins(),
                end: Hour(hours.1).begins(),
                tif: TimeInForce::Gtc,
                post_only: false,
            })
        };
        let ask = Side::Sell {
            pool: PoolId(1),
            min_hours: 1,
            weekly: None,
        };
        let bid = || Side::Buy {
            target: Target::Pool(PoolId(1)),
            min_fill: None,
            flexible: None,
            buy_in: false,
        };
        for command in [
            Command::ListInstrument(ListInstrument {
                instrument: InstrumentId(1),
                symbol: "A.B.C".to_owned(),
                lot: 1,
                tick: Money(1),
            }),
            Command::Deposit {
                participant: ParticipantId(2),
                amount: Money(1_000),
            },
            Command::OpenPool(OpenPool {
                pool: PoolId(1),
                participant: ParticipantId(1),
                instrument: InstrumentId(1),
                units: 1,
                start: Hour(0).begins(),
                end: Hour(10).begins(),
                access: Access::Instant,
            }),
            order("ask", 1, ask, (0, 10)),
            order("late", 2, bid(), (6, 8)),
            order("soon", 2, bid(), (1, 3)),
        ] {
            market.apply(Timestamp(0), &command);
        }
        let delivered = |hour| Command::Deliver {
            lease: LeaseId(2),
            hour: Hour(hour).begins(),
            delivered: market::Delivered::Minutes(60),
            excused: 0,
        };
        let mut watch = Watch::all(&market);
        let over = |watch: &Watch, market: &Market, hour: i64| {
            let overdue = watch.overdue(market, Hour(hour).begins(), |_, _| true, 100);
            overdue
                .iter()
                .map(|one| (one.lease.id.0, one.hour.0))
                .collect::<Vec<_>>()
        };
        assert_eq!(over(&watch, &market, 1), []);
        assert_eq!(over(&watch, &market, 3), [(2, 1), (2, 2)]);
        market.apply(Hour(3).begins(), &delivered(1));
        watch.look(&market, LeaseId(2));
        assert_eq!(over(&watch, &market, 3), [(2, 2)]);
        market.apply(Hour(3).begins(), &delivered(2));
        watch.look(&market, LeaseId(2));
        assert_eq!(over(&watch, &market, 7), [(1, 6)]);
        watch.forget(LeaseId(1));
        assert_eq!(over(&watch, &market, 7), []);
        assert!(watch.first.is_empty() && watch.due.is_empty());
    }
}
