//! People and what they may do: one's own sign-in, and the members of a participant.
//!
//! An owner invites, gives roles and takes them, and removes members; a participant always has an
//! owner. A password that is changed ends the person's other sessions, a removal all of them.
//! Every one of these is an act with a row of its own, in the same transaction.
//!
//! `GET /settings` · `POST /settings/password` · `/settings/sessions/…` ·
//! `GET /settings/members` · `POST /settings/members/…` · `/settings/members/invitations…` ·
//! `GET/POST /join`

pub mod actions;
mod forms;
pub mod pages;
mod queries;
mod store;
