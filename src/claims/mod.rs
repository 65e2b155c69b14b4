//! Reporting a problem with a lease: what is wrong, with which hours, and what is claimed for it.
//! The dispute that it opens is the area `disputes`.
//!
//! `GET, POST /leases/{id}/problem` · `GET /leases/{id}/problem/claim`

pub mod actions;
mod forms;
pub mod fragments;
pub mod pages;
mod queries;
mod store;
