//! A participant's leases: what was bought, how far it has come, each hour as it is paid, and the
//! keys that open it.
//!
//! `GET /leases` · `/leases/live` · `/leases/{id}` · `/leases/{id}/live` ·
//! `POST /leases/{id}/access` · `GET /keys` · `POST /keys` · `/keys/{id}/name` · `/keys/{id}/remove`

pub mod actions;
mod forms;
pub mod fragments;
pub mod pages;
mod queries;
mod store;
