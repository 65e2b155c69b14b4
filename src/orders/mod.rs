//! A participant's orders: what is open and why, what came of the others, changing and cancelling;
//! and the requests of orders that a second person is to approve.
//!
//! `GET /orders` · `/orders/live` · `/orders/{id}` · `/orders/{id}/replacement` ·
//! `POST /orders/{id}/replace` · `/orders/{id}/cancel` · `GET /orders/requests/{id}` ·
//! `POST /orders/requests/{id}/approve` · `…/decline` · `…/withdraw` ·
//! `POST/GET /api/v1/orders` · `GET/DELETE /api/v1/orders/{id}` · `POST /api/v1/session`

pub mod actions;
pub mod api;
mod forms;
pub mod fragments;
pub mod pages;
mod queries;
