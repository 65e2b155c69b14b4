//! One box for whatever has a number or a name, and the chain from an order to the money as the
//! marketplace's own people see it: order, trade, lease, hours, journal entries.
//!
//! `GET /ops/search` · `/ops/orders/{id}` · `/ops/trades/{id}` · `/ops/leases/{id}`

mod forms;
mod fragments;
pub mod pages;
mod queries;
