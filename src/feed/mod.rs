//! What is published after each commit: a copy of the market that has seen exactly the
//! acknowledged commands, and word of what they touched.
//!
//! Pages and streams read this copy, never the sequencer's own market, which runs ahead of the
//! database. The market is a pure function of its commands, so a second one that is given the
//! same ones is the same market.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

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
    state: Arc<RwLock<State>>,
    batches: broadcast::Sender<Arc<Published>>,
}

/// What readers read.
#[derive(Debug)]
struct State {
    market: Market,
    revision: u64,
}

/// A look at the market as of the last acknowledged batch. Short-lived: the sequencer waits for
/// it, so it is not kept across an await.
#[derive(Debug)]
pub struct Reading<'a>(RwLockReadGuard<'a, State>);

impl Deref for Reading<'_> {
    type Target = Market;

    fn deref(&self) -> &Market {
        &self.0.market
    }
}

impl Reading<'_> {
    /// Which state of the market this is: two looks of one revision see the same. It only grows,
    /// but begins anew with the program.
    pub fn revision(&self) -> u64 {
        self.0.revision
    }
}

impl Feed {
    /// A feed that begins with this market.
    pub fn new(market: Market) -> Self {
        let (batches, _) = broadcast::channel(LAG);
        let state = State {
            market,
            revision: 0,
        };
        Self {
            state: Arc::new(RwLock::new(state)),
            batches,
        }
    }

    /// The market as of the last acknowledged batch.
    pub fn market(&self) -> Reading<'_> {
        Reading(self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The state to be changed, as a new revision.
    fn advance(&self) -> RwLockWriteGuard<'_, State> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.revision += 1;
        state
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
        self.advance().market = market;
        // Nobody listening is not an error.
        let _ = self.batches.send(Arc::new(published));
    }

    /// Tells of what people have said or proposed about a dispute: no command of the market does.
    pub fn tell_of_dispute(&self, dispute: DisputeId) {
        self.tell(Published {
            disputes: BTreeSet::from([dispute]),
            ..Published::default()
        });
    }

    /// Tells of what a participant's members have asked of each other.
    pub fn tell_of_participant(&self, participant: ParticipantId) {
        self.tell(Published {
            participants: BTreeSet::from([participant]),
            ..Published::default()
        });
    }

    fn tell(&self, published: Published) {
        // Who begins to watch now is not to get a drawing from before.
        drop(self.advance());
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
            let mut state = self.advance();
            let halted: Vec<InstrumentId> = state.market.halts().map(|(one, _)| one).collect();
            for (at, command, events) in applied {
                state.market.apply(at, command);
                for event in events {
                    touch(&mut published, &state.market, command, event);
                }
            }
            // No event says that a halt is over.
            let open = |one: &InstrumentId| state.market.halted_until(*one).is_none();
            published
                .instruments
                .extend(halted.into_iter().filter(open));
        }
        // Nobody listening is not an error.
        let _ = self.batches.send(Arc::new(published));
    }
}

fn touch(published: &mut Published, market: &Market, command: &Command, event: &Event) {
    match &event.kind {
        EventKind::Accepted { order, .. } | EventKind::Done { order, .. } => {
            let order = market.order(*order);
            published.instruments.extend(order.instruments.iter());
            published.participants.insert(order.participant());
        }
        EventKind::Traded(trade) => {
            published
                .instruments
                .extend(market.order(trade.buy).instruments.iter());
            published
                .instruments
                .extend(market.order(trade.sell).instruments.iter());
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
        EventKind::Leased { lease, parent, .. } => {
            published.leases.insert(*lease);
            if let Some(parent) = parent {
                touch_lease(published, market, *parent);
            }
        }
        EventKind::Settled(market::Settled { lease, .. })
        | EventKind::Corrected(market::Corrected { lease, .. })
        | EventKind::Credited { lease, .. }
        | EventKind::HandedBack { lease, .. }
        | EventKind::Defaulted { lease, .. }
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
        EventKind::Halted { instrument, .. } => {
            published.instruments.insert(*instrument);
        }
        EventKind::Related { participants } => published.participants.extend(participants),
        EventKind::Rejected(_) | EventKind::RulesSet { .. } => {}
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
