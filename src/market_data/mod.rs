//! The market at a glance: the buy sentence with its price, and what every instrument costs in
//! the hours that the reader picked.
//!
//! `GET /` · `GET /overview/live`

mod forms;
pub mod fragments;
pub mod pages;
mod queries;
