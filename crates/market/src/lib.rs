//! The market: a pure, deterministic state machine of books, pools, accounts and leases.
//!
//! [`Market::apply`] takes a command and the instant at which it was stamped, and gives the events
//! that follow. It reads no clock, no random number and no hash order, does no I/O and counts in
//! integers only: the same commands in the same order give the same events, byte for byte.
//! It owns every balance and every hour of capacity, so holds, escrow, fills and settlements are
//! decided in one place in one order.
//!
//! docs/MARKET_RULES.md has the rules in numbered clauses, each with the scenario that shows it.

mod admission;
mod bands;
pub mod book;
pub mod catalogue;
pub mod command;
mod correction;
mod depth;
mod dispute;
mod due;
mod ending;
pub mod event;
mod flexible;
mod halt;
mod id;
mod lease;
mod ledger;
mod list;
mod matching;
mod money;
mod names;
mod order;
mod plan;
mod pool;
mod position;
mod quote;
mod rejection;
mod resale;
mod resting;
mod rules;
mod settlement;
mod snapshot;
mod state;
mod steps;
mod time;

pub use bands::Counted;
pub use command::{
    Access, Command, Delivered, Flexible, ListInstrument, OpenPool, PlaceOrder, Side, Target,
    TimeInForce, Weekly,
};
pub use depth::{Depth, Level};
pub use dispute::{Dispute, Parts, Ruling};
pub use ending::Returned;
pub use event::{Corrected, DoneWhy, Event, EventKind, Settled, Trade};
pub use id::{
    ClientId, DisputeId, EntryId, InstrumentId, LeaseId, OrderId, ParticipantId, PoolId, TradeId,
    UnknownId,
};
pub use lease::{Lease, Link};
pub use ledger::{Account, AccountKind, Entry, Ledger, Posting, Reason};
pub use list::List;
pub use money::{Money, MoneyError, WHOLE_BPS, YUAN, decimal};
pub use order::Order;
pub use pool::Pool;
pub use quote::{Fill, Quote};
pub use rejection::Rejection;
pub use rules::{
    BadRules, Bands, CreditStep, Fees, HandBack, Limits, Mode, Resale, Rules, ServiceLevel,
};
pub use snapshot::{KnownOrder, KnownPool, Snapshot};
pub use state::{Instrument, Market};
pub use steps::Steps;
pub use time::{HORIZON_HOURS, HOUR_MICROS, HOUR_MINUTES, Hour, Period, Timestamp};
