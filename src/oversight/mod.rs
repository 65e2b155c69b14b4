//! The marketplace's desk: what waits for somebody, who may provide, and who is suspended.
//!
//! `GET /ops` · `/ops/applications` · `/ops/applications/{id}` ·
//! `POST /ops/applications/{id}/certify` · `/refuse` · `GET /ops/participants` ·
//! `/ops/participants/{id}` · `POST /ops/participants/{id}/suspend` · `/restore` · `/cancel` ·
//! `GET /ops/cases` · `POST /ops/cases/{id}/close`

pub mod actions;
mod forms;
mod fragments;
pub mod pages;
mod queries;
mod store;
