//! A participant's leases: what was bought, how far it has come, and each hour as it is paid.
//!
//! `GET /leases` · `/leases/live` · `/leases/{id}` · `/leases/{id}/live`

pub mod fragments;
pub mod pages;
mod queries;
