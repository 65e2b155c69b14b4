//! Machines of providers: registering them, letting a program speak for one, saying when a pool
//! won't run; and what those programs ask themselves (docs/PROTOCOL.md, "The agent"). Each of their
//! requests is signed; what a machine says is believed as far as probes leave it standing.
//!
//! `GET /provide/pools/{id}/machines` and its `/live` · `POST /provide/pools/{id}/machines` ·
//! `…/machines/{host}/token` · `…/machines/{host}/revoke` · `/provide/pools/{id}/maintenance` ·
//! `/api/agent/v1/…`

pub mod actions;
pub mod api;
mod forms;
pub mod fragments;
pub mod pages;
mod queries;
mod store;
