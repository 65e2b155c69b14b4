//! A participant's money: what is free, what is reserved and for what, and how it came and went.
//!
//! `GET /wallet` · `/wallet/live` · `/wallet/statement.csv` · `/wallet/entries/{id}` ·
//! `POST /wallet/deposits`

pub mod actions;
pub mod api;
mod forms;
pub mod fragments;
pub mod pages;
mod queries;
mod store;
