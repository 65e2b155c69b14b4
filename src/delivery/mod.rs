//! Delivery: what leases got in each hour, and how that is known.
//!
//! | what | where |
//! | --- | --- |
//! | who speaks for a machine, and what the machine is to have | [`agents`] |
//! | what agents send: readings and states | [`inbox`] |
//! | which units of a lease are on which machine | [`placing`] |
//! | what the exchange's own probes find at leases' doors | [`probes`] |
//! | what an hour comes to, by readings and probes | [`proof`] |
//! | a lease's way, step by step | [`course`] |
//! | what turns all that into commands to the market | [`keeper`] |
//! | pools without machines, in the demonstration | [`simulated`] |
//!
//! A pool is delivered by machines once one is registered for it; the replay, whose hours come from
//! its course, draws readings of its own (docs/REPLAY.md).

pub mod agents;
pub mod course;
pub mod evidence;
pub mod hosts;
pub mod inbox;
pub mod keeper;
pub mod placing;
pub mod probes;
pub mod proof;
pub mod simulated;
mod watch;
