//! What agent and exchange say to each other, but for readings: docs/PROTOCOL.md, "The agent".

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::inventory::Inventory;

/// The version of all of it.
pub const VERSION: u64 = 1;

/// The body of `POST /api/agent/v1/enrol`.
#[derive(Debug, Serialize)]
pub struct Enrol<'a> {
    /// [`VERSION`].
    pub version: u64,
    /// The one-time token.
    pub token: &'a str,
    /// The agent's public key, which signs this request as that of agent 0.
    pub key: String,
    /// What the machine has.
    pub inventory: &'a Inventory,
}

/// Its answer: sent again with the same token and key it is the same.
#[derive(Debug, Deserialize)]
pub struct Enrolled {
    /// The agent's number from now on.
    pub agent: u64,
}

/// The body of `POST /api/agent/v1/heartbeat`.
#[derive(Debug, Serialize)]
pub struct Heartbeat<'a> {
    /// [`VERSION`].
    pub version: u64,
    /// The program's version.
    pub program: &'static str,
    /// By how many milliseconds the machine's clock is before the exchange's, as known.
    pub clock_ahead_ms: i64,
    /// How many readings and changes of state wait.
    pub waiting: usize,
    /// What the machine has.
    pub inventory: &'a Inventory,
}

/// Its answer.
#[derive(Debug, Deserialize)]
pub struct Orders {
    /// The exchange's clock: real time.
    pub clock: Timestamp,
    /// Market time, in which leases begin and end; real time where it is not said.
    pub market: Option<MarketTime>,
    /// Every lease that the machine is to have, or is to be rid of. One that is not named stays
    /// as it was last asked for, and ends at its end. Each is a [`Lease`](crate::lease::Lease), and
    /// is read by itself: one that can't be understood is no reason to hear none.
    pub leases: Vec<serde_json::Value>,
}

/// Market time at the moment of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct MarketTime {
    /// When it is.
    pub at: Timestamp,
    /// How many seconds of it pass in a real one: 1 on a real market, 0 while it stands.
    pub speed: u32,
}

/// The body of `POST /api/agent/v1/states`.
#[derive(Debug, Serialize)]
pub struct States<'a> {
    /// [`VERSION`].
    pub version: u64,
    /// The changes, in order.
    pub states: &'a [StateChange],
}

/// Its answer.
#[derive(Debug, Deserialize)]
pub struct StatesTaken {
    /// What has this number or a lower one need not be sent again.
    pub through: u64,
}

/// A change of state of a lease on this machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateChange {
    /// From 1, by agent: sent twice it is one change.
    pub sequence: u64,
    /// What changed.
    #[serde(flatten)]
    pub state: State,
}

/// A state that a lease has come to on this machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Which lease.
    pub lease: u64,
    /// Where it stands.
    pub stage: Stage,
    /// Why: a code.
    pub reason: Reason,
    /// When, in market time.
    pub at: Timestamp,
    /// What shows it: of `prepared` the way in, of `closed` what ran, of `wiped` the wipe record,
    /// of `failed` what went wrong.
    pub evidence: serde_json::Value,
}

/// Where a lease stands on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The holder can get in.
    Prepared,
    /// Nobody can get in, nothing of it runs, its files are there.
    Closed,
    /// Nothing of it is there.
    Wiped,
    /// What was asked could not be done; it is tried again.
    Failed,
}

/// Why a lease has come to a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The exchange asked for it.
    Asked,
    /// Its end has come.
    Ended,
    /// The way in was gone (a restart of the machine, say) and is there again.
    Restored,
    /// The machine could not do it.
    Machine,
}

/// The answer to `POST /api/agent/v1/readings`.
#[derive(Debug, Deserialize)]
pub struct ReadingsTaken {
    /// What need not be sent again, whether it was believed or not.
    pub taken: Vec<Taken>,
}

/// Readings that the exchange has.
#[derive(Debug, Deserialize)]
pub struct Taken {
    /// Of which lease.
    pub lease: u64,
    /// Up to which number.
    pub through: u64,
}

/// What is answered instead where something is wrong: RFC 9457, with a code.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// Which problem.
    pub code: String,
    /// What to do about it.
    pub detail: String,
    /// With `skewed`: the exchange's clock.
    pub clock: Option<Timestamp>,
}
