//! Tokens of the API: what a member's programs sign in with.
//!
//! A token acts as its member, with their roles and within its own scopes. It is shown once. Its
//! member takes it back, and so does an owner of their participant; each is an act with a row of
//! its own, in the same transaction.
//!
//! `GET/POST /settings/tokens` · `POST /settings/tokens/{id}/revocation`

pub mod actions;
mod forms;
pub mod pages;
mod queries;
mod store;
