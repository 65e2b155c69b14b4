//! Certification: applying to provide, and what an identifier stands for.
//!
//! `GET /provide/apply` · `POST /provide/apply` · `POST /provide/apply/draft` · `GET /verify` ·
//! `GET /verify/{identifier}`

pub mod actions;
mod api;
mod forms;
pub mod fragments;
pub mod pages;
mod queries;
mod store;
