//! The marketplace's books as its own people see them: the trial balance, the journal with its
//! filters, each entry with its place in the chain of hashes, and the proof of them all.
//!
//! `GET /ops/ledger` · `/ops/ledger.csv` · `POST /ops/ledger/audit` · `GET /ops/journal` ·
//! `/ops/journal/{entry}`

pub mod actions;
mod forms;
mod fragments;
pub mod pages;
mod queries;
