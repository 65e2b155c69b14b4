//! Delivery: what leases got in each hour.
//!
//! Providers' own reports are not built yet. Until then the only source is [`simulated`], which
//! the demonstration market uses and which is labelled as such wherever it shows. The replay, whose
//! hours come from its course, draws readings of its own (docs/REPLAY.md).

pub mod hosts;
pub mod simulated;
