//! What is published after each commit: a copy of the market that has seen exactly the
//! acknowledged commands, and word of what they touched.
//!
//! Pages and streams read this copy, never the sequencer's own market, which runs ahead of the
//! database. The market is a pure function of its commands, so a second one that is given the
//! same ones is the same market.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use market::{
    Command, DisputeId, Event, EventKind, InstrumentId, LeaseId, Market, ParticipantId, Timestamp,
};
use tokio::sync::broadcast;

/// How many batches a slow reader may lag behind before it has to read anew.
const LAG: usize = 256;

/// What a committed batch touched.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// The batch's number.
    pub batch: i64,
    /// Instruments whose books may have changed.
    pub instruments: BTreeSet<InstrumentId>,
    /// Participants whose orders, leases or balances changed.
    pub participants: BTreeSet<ParticipantId>,
    /// Leases that were made, settled, credited, disputed or ruled about.
    pub leases: BTreeSet<LeaseId>,
    /// Disputes that were opened or ruled, or of which less is frozen.
    pub disputes: BTreeSet<DisputeId>,
}

/// The readers' side of the sequencer.
#[derive(Clone, Debug)]
pub struct Feed {
    market: Arc<RwLock<Market>>,
    batches: broadcast::Sender<Arc<Published>>,
}

impl Feed {
    /// A feed that begins with this market.
    pub fn new(market: Market) -> Self {
        let (batches, _) = broadcast::channel(LAG);
        Self {
            market: Arc::new(RwLock::new(market)),
            batches,
        }
    }

    /// The market as of the last acknowledged batch. The guard is short-lived: the sequencer
    /// waits for it, so it is not kept across an await.
    pub fn market(&self) -> RwLockReadGuard<'_, Market> {
        self.market.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Word of each batch that commits from now on. A reader that lags too far is told so and
    /// reads anew.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Published>> {
        self.batches.subscribe()
    }

    /// Starts again from this market, after the sequencer has recovered. A batch that was not
    /// known to be committed may be in it, so everything is told of.
    pub(crate) fn reset(&self, batch: i64, market: Market) {
        let instruments = market.instruments();
        let accounts = market.ledger().balances();
        let numbers = (1..).map(LeaseId);
        let published = Published {
            batch,
            instruments: instruments.map(|one| one.listed.instrument).collect(),
            participants: accounts.map(|(account, _)| account.participant).collect(),
            leases: numbers
                .take_while(|lease| market.lease(*lease).is_some())
                .collect(),
            disputes: market.disputes().map(|dispute| dispute.id).collect(),
        };
        *self.market.write().unwrap_or_else(PoisonError::into_inner) = market;
        // Nobody listening is not an error.
        let _ = self.batches.send(Arc::new(published));
    }

    /// Follows a batch that has been committed, then tells of it.
    pub(crate) fn publish<'a>(
        &self,
        batch: i64,
        applied: impl Iterator<Item = (Timestamp, &'a Command, &'a [Event])>,
    ) {
        let mut published = Published {
            batch,
            ..Published::default()
        };
        {
            let mut market = self.market.write().unwrap_or_else(PoisonError::into_inner);
            for (at, command, events) in applied {
                market.apply(at, command);
                for event in events {
                    touch(&mut published, &market, command, event);
                }
            }
        }
        // Nobody listening is not an error.
        let _ = self.batches.send(Arc::new(published));
    }
}

fn touch(published: &mut Published, market: &Market, command: &Command, event: &Event) {
    match &event.kind {
        EventKind::Accepted { order, .. } | EventKind::Done { order, .. } => {
            let order = market.order(*order);
            published.instruments.extend(&order.instruments);
            published.participants.insert(order.participant());
        }
        EventKind::Traded(trade) => {
            published
                .instruments
                .extend(&market.order(trade.buy).instruments);
            published
                .instruments
                .extend(&market.order(trade.sell).instruments);
        }
        EventKind::PoolOpened { pool } => {
            published
                .instruments
                .extend(market.pool(*pool).map(|pool| pool.instrument));
        }
        EventKind::InstrumentListed => {
            if let Command::ListInstrument(listed) = command {
                published.instruments.insert(listed.instrument);
            }
        }
        EventKind::Leased { lease, .. } => {
            published.leases.insert(*lease);
        }
        EventKind::Settled(market::Settled { lease, .. })
        | EventKind::Credited { lease, .. }
        | EventKind::Disputed { lease, .. } => touch_lease(published, market, *lease),
        EventKind::Ruled { dispute, .. } => {
            if let Some(dispute) = market.dispute(*dispute) {
                touch_lease(published, market, dispute.lease);
            }
        }
        EventKind::Posted(entry) => {
            let accounts = entry
                .postings
                .iter()
                .map(|posting| posting.account.participant);
            published.participants.extend(accounts);
        }
        EventKind::Rejected(_) => {}
    }
}

/// A lease has changed, and with it what is frozen about it.
fn touch_lease(published: &mut Published, market: &Market, lease: LeaseId) {
    published.leases.insert(lease);
    let disputes = market.disputes_of(lease);
    published
        .disputes
        .extend(disputes.map(|dispute| dispute.id));
    published.participants.extend(
        market
            .lease(lease)
            .into_iter()
            .flat_map(|lease| [lease.holder, lease.provider]),
    );
}
