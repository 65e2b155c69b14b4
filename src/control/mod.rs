//! What operations do to the market: halts of an instrument, participants declared related, leases
//! found to be failed by their provider. Each has a coded reason and stands in the record of acts.
//!
//! `GET`, `POST /ops/halts` · `/ops/relations` · `/ops/leases/{id}/default`

pub mod actions;
mod forms;
mod fragments;
pub mod pages;
mod queries;
mod store;
