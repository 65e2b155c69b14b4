//! A provider's view: what needs attention, what was earned, what of its capacity is sold, and its
//! leases hour by hour.
//!
//! `GET /provide` · `/provide/live` · `/provide/leases` · `/provide/leases/live` ·
//! `/provide/leases/{id}` · `/provide/leases/{id}/live`

mod forms;
pub mod fragments;
pub mod pages;
mod queries;
