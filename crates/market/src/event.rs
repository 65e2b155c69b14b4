//! Everything that can happen in the market.

use crate::id::{
    DisputeId, EntryId, InstrumentId, LeaseId, OrderId, ParticipantId, PoolId, TradeId,
};
use crate::ledger::Entry;
use crate::money::Money;
use crate::rejection::Rejection;
use crate::time::{Hour, Period, Timestamp};

/// What happened, and when: a command's events carry its instant, what fell due its own.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Event {
    /// The instant.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub enum EventKind {
    /// An instrument was put on the list.
    InstrumentListed,
    /// A pool was opened, or grew.
    PoolOpened {
        /// Which pool.
        pool: PoolId,
    },
    /// An order was accepted, or its replacement was.
    Accepted {
        /// Which order.
        order: OrderId,
        /// Whether this repeats the first answer to an order sent before.
        again: bool,
    },
    /// The command was not done.
    Rejected(Rejection),
    /// A bid and an ask were matched.
    Traded(Trade),
    /// A trade obliged its provider.
    Leased {
        /// Which lease.
        lease: LeaseId,
        /// By which trade.
        trade: TradeId,
        /// Of which lease it was resold.
        parent: Option<LeaseId>,
    },
    /// Nothing more comes of an order.
    Done {
        /// Which order.
        order: OrderId,
        /// Why.
        why: DoneWhy,
    },
    /// An hour of a lease was settled.
    Settled(Settled),
    /// Late evidence corrected a settled hour of a lease.
    Corrected(Corrected),
    /// A holder was credited for a service level not kept.
    Credited {
        /// Which lease.
        lease: LeaseId,
        /// To whom.
        holder: ParticipantId,
        /// How much, from the provider's bond. Below zero after a correction by which less was due:
        /// so much of it went back.
        amount: Money,
    },
    /// A holder claimed, and money was frozen for it.
    Disputed {
        /// Which dispute.
        dispute: DisputeId,
        /// About which lease.
        lease: LeaseId,
        /// Its holder.
        claimant: ParticipantId,
        /// How much was claimed.
        claimed: Money,
        /// How much of that was there to freeze.
        frozen: Money,
    },
    /// A dispute was decided.
    Ruled {
        /// Which dispute.
        dispute: DisputeId,
        /// What the claimant was awarded, funded or not.
        awarded: Money,
        /// What of the frozen money went back to where it was.
        released: Money,
        /// What of the award nothing was frozen for.
        unfunded: Money,
    },
    /// A holder gave hours of a lease back.
    HandedBack {
        /// Which lease.
        lease: LeaseId,
        /// Which hours: all units that it had in them.
        period: Period,
        /// To the holder, and to resellers what they had left in escrow.
        refunded: Money,
        /// To the provider.
        paid: Money,
    },
    /// A lease that its provider failed was ended; what was left of it was refunded before.
    Defaulted {
        /// Which lease.
        lease: LeaseId,
        /// The first hour that it lacks.
        from: Hour,
        /// What the bond paid for hours that were bought in dearer.
        difference: Money,
        /// What the bond paid the holder for hours that were not.
        penalty: Money,
    },
    /// A rule set was given.
    RulesSet {
        /// Its version.
        version: i64,
        /// From when it holds.
        from: Timestamp,
    },
    /// An instrument was halted.
    Halted {
        /// Which.
        instrument: InstrumentId,
        /// Until when.
        until: Timestamp,
    },
    /// Participants were said to belong together.
    Related {
        /// All that belong to them now.
        participants: Vec<ParticipantId>,
    },
    /// A journal entry was made.
    Posted(Entry),
}

/// One match of a bid and an ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Trade {
    /// Its number.
    pub trade: TradeId,
    /// The bid.
    pub buy: OrderId,
    /// The ask.
    pub sell: OrderId,
    /// Of the two, the one that was accepted earlier; its price is the trade's.
    pub maker: OrderId,
    /// Per unit-hour.
    pub price: Money,
    /// How many units in each hour.
    pub units: i64,
    /// Which hours.
    pub period: Period,
    /// Where they come from.
    pub pool: PoolId,
    /// Whether its price counts for bands: not of a resale.
    pub counts: bool,
}

/// One settled hour of a lease: `paid + refunded + fee` is what was in escrow for the hour, less
/// what a ruling awarded of it before.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Settled {
    /// Which lease.
    pub lease: LeaseId,
    /// Which hour.
    pub hour: Hour,
    /// How many units the lease had in it.
    pub units: i64,
    /// What its units got, in unit-minutes.
    pub unit_minutes: i64,
    /// What of the rest was declared maintenance, in unit-minutes.
    pub excused: i64,
    /// To the provider and to resellers, after the fee; what of the provider's an open dispute had
    /// frozen stays so.
    pub paid: Money,
    /// To the holder, and to resellers what they had left in escrow.
    pub refunded: Money,
    /// To the marketplace, from buyer and seller.
    pub fee: Money,
    /// What of the fee is the buyer's.
    pub buyer_fee: Money,
    /// When what was paid becomes cash; `None` when it is cash at once.
    pub payable_until: Option<Timestamp>,
    /// The journal entry that paid it; `None` when no money moved.
    pub entry: Option<EntryId>,
    /// What of `paid` is resellers', in the order of the chain.
    pub resellers: Vec<(ParticipantId, Money)>,
}

/// A correction of a settled hour of a lease. Its amounts are differences to what the hour had
/// come to before, and make nothing together, but for 1/10,000 yuan that the rounding of the buyer's
/// fee may move between the hour and those that are still in escrow.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Corrected {
    /// Which lease.
    pub lease: LeaseId,
    /// Which hour.
    pub hour: Hour,
    /// What the hour counts now, in unit-minutes.
    pub unit_minutes: i64,
    /// How many more that is than before.
    pub difference: i64,
    /// What of the rest was declared maintenance, in unit-minutes.
    pub excused: i64,
    /// To the provider and to resellers, after the fee.
    pub paid: Money,
    /// To the holder, and to resellers of what they had left in escrow.
    pub refunded: Money,
    /// To the marketplace, from buyer and seller.
    pub fee: Money,
    /// What of the fee is the buyer's.
    pub buyer_fee: Money,
    /// What of `paid` is resellers', in the order of the chain.
    pub resellers: Vec<(ParticipantId, Money)>,
    /// What of `paid` was added to, or came out of, what is payable at the hour's time; the rest
    /// was cash.
    pub payable: Vec<(ParticipantId, Money)>,
    /// When that becomes cash; `None` where it would have by now.
    pub payable_until: Option<Timestamp>,
    /// The journal entry; `None` when no money moved.
    pub entry: Option<EntryId>,
}

/// Why nothing more comes of an order.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum DoneWhy {
    /// All of it traded.
    Filled,
    /// Its participant cancelled it.
    Cancelled,
    /// Its time is over.
    Expired,
    /// The next counterpart was its own participant's order.
    SelfTrade,
    /// It did not trade at once and was not to rest.
    Unfilled,
    /// Its provider can't bond one lot.
    Bond,
}

impl DoneWhy {
    /// The name by which the protocol knows it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Filled => "filled",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::SelfTrade => "self_trade",
            Self::Unfilled => "unfilled",
            Self::Bond => "bond",
        }
    }
}
