//! Delivery: what leases got in each hour.
//!
//! Providers' own reports are not built yet. Until then the only source is [`simulated`], which
//! the demonstration market and the replay use and which is labelled as such wherever it shows.

pub mod simulated;
