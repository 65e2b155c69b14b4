//! Who may come in: signing up, signing in and out.
//!
//! A participant (机构) trades; a person, known by a sign-in name, acts for it. A wrong password and
//! an unknown name get the same answer after the same work.
//!
//! `GET/POST /sign-up` · `GET/POST /sign-in` · `POST /sign-out`

pub mod actions;
mod forms;
pub mod pages;
mod queries;
mod store;
