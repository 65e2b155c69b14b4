//! One instrument: its book for a picked delivery period, its trades, what a unit of it is, and
//! the ticket that buys it.
//!
//! `GET /market/{symbol}` · `…/bill` · `…/live` · `…/confirm` · `POST /market/{symbol}/orders`

pub mod actions;
pub mod api;
mod forms;
pub mod fragments;
pub mod pages;
mod queries;
