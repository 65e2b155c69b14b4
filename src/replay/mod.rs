//! The replay: the main job whole, without a browser, in the traces' own time run fast.
//!
//! Real nodes become providers' pools and asks ([`fleet`]), real jobs buyers' bids ([`work`]),
//! priced by a published index ([`tariff`]); or, without the traces, both are drawn from a compact
//! profile of them ([`profile`]). [`course`] then lives through it command by command: orders are
//! placed, changed and cancelled, every hour of every lease gets its reading, and the books close.
//! [`run`] sends the commands through the same sequencer and PostgreSQL as the server's, on a
//! database of its own ([`ground`]); [`books`] are read back from it for the [`summary`].
//!
//! What a trace does not say is drawn from a seed ([`dice`]), by the rules in docs/REPLAY.md.

pub mod books;
pub mod course;
pub mod decimal;
pub(crate) mod dice;
pub mod fates;
pub mod fleet;
pub mod ground;
pub mod orders_out;
pub mod plan;
pub mod profile;
mod readings;
#[cfg(test)]
mod rehearsal;
pub mod run;
pub mod summary;
pub mod tables;
pub mod tariff;
pub mod work;
