//! Sluice 算渠: a marketplace where computing power is bought by the hour.

/// Pages and batches are many small pieces that one thread makes and another drops, where the
/// system's allocator makes threads wait for each other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

// The machine: what moves money and capacity.
pub mod audit;
pub mod clock;
pub mod delivery;
pub mod demo;
pub mod feed;
pub mod load;
pub mod names;
pub mod protocol;
pub mod replay;
pub mod rules;
pub mod sequencer;
pub mod simulate;
pub mod vantage;

// The shell: what the machine and the pages stand on.
pub mod app;
pub mod config;
pub mod db;
pub mod ops;
pub mod router;
pub mod web;

// The areas: what people see and do. None knows another.
pub mod agents;
pub mod certification;
pub mod claims;
pub mod control;
pub mod disputes;
pub mod funds;
pub mod guide;
pub mod identity;
pub mod instruments;
pub mod leases;
pub mod ledger;
pub mod lookup;
pub mod market_data;
pub mod members;
pub mod orders;
pub mod oversight;
pub mod pools;
pub mod supply;
pub mod tokens;
pub mod vantages;

rust_i18n::i18n!("locales");
