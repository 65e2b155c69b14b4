//! Disputes: both parties say what happened, one administrator proposes a ruling and another one
//! approves it. The market has frozen the money and splits it.
//!
//! `GET /disputes` · `/disputes/live` · `/disputes/{id}` · `/disputes/{id}/live` ·
//! `/disputes/{id}/preview` · `POST /disputes/{id}/messages` · `/disputes/{id}/proposals` ·
//! `/disputes/{id}/decision`

pub mod actions;
mod forms;
pub mod fragments;
pub mod pages;
mod queries;
mod store;
