//! A provider's pools: opening and growing them, their tariffs and hosts.
//!
//! `GET /provide/pools` · `/provide/pools/new` · `/provide/pools/{id}` and its `/live` ·
//! `/provide/pools/{id}/tariffs/preview` · `POST /provide/pools` · `/provide/pools/{id}/units` ·
//! `…/pause` · `…/resume` · `…/tariffs` · `…/tariffs/{ask}` · `…/tariffs/{ask}/end` ·
//! `…/hosts/{host}`
//!
//! A tariff is an ask of the pool. Whether it stands, and what it has sold, the market says; a
//! paused one is a row that remembers its terms.

pub mod actions;
mod forms;
pub mod fragments;
pub mod pages;
mod queries;
mod store;
