//! A participant's orders: what is open, what came of the others, and cancelling.
//!
//! `GET /orders` · `/orders/live` · `/orders/{id}` · `POST /orders/{id}/cancel`

pub mod actions;
pub mod fragments;
pub mod pages;
mod queries;
