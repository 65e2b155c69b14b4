//! Readings: what a provider's agent says of a lease, minute by minute, and what the exchange
//! makes of it.
//!
//! A [`Reading`] is one minute of one lease as one agent saw it. It is signed, numbered from 1
//! within (agent, lease) without gaps, and names the hash of the one before it. Whoever has some
//! of them, in whatever order they came, works out the same: what ran in an hour, which numbers
//! are missing, and from which number on nothing is to be believed ([`Tally`]). An hour whose time
//! is over becomes one small row ([`SealedHour`]).
//!
//! The agent signs what it asks, too ([`Request`], [`Proof`]), so that nobody who sees a request can send it
//! again.
//!
//! Nothing here reads a clock or a file, or draws a random number: keys are made of 32 bytes that
//! the caller drew, and the time is told.

mod canonical;
mod digest;
mod key;
mod minute;
mod one;
mod request;
mod rest;
mod tally;
mod wire;

pub use digest::Digest;
pub use key::{AgentKey, BadKey, PublicKey, Signature};
pub use minute::{Hour, Minute};
pub use one::{Reading, SignedReading, Terms, Untrue};
pub use request::{BadHeader, Nonces, Proof, Refused, Request};
pub use rest::{BadRow, Run, SealedHour};
pub use tally::{Added, Gap, OtherChain, Tally, Told, unit_minutes};
pub use wire::{BadBody, MOST_READINGS, from_json, to_json};
