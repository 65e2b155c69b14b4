//! The record of what people did that is not the market's: roles, factors, certificates, rulings.
//!
//! A row is written in the transaction of the act itself, so an act without its row does not
//! happen.

mod store;

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;

use super::error::Error;
use super::session::{Member, Session};
use super::shell;
use crate::app::App;

pub use store::record;

/// What was done.
#[derive(Clone, Debug)]
pub struct Act {
    /// In one word, as in `sign_in` or `certify`.
    pub what: &'static str,
    /// To what, by its number: `user:7`, `participant:3`, `d12`.
    pub subject: String,
    /// What was before and after, or why; never a secret.
    pub detail: serde_json::Value,
}

/// Who does it, and from where.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The person and their participant; nobody before they have signed in.
    pub member: Option<Member>,
    /// The request's number.
    pub request_id: String,
    /// The address of the connection.
    pub address: String,
}

impl FromRequestParts<App> for Origin {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let peer = ConnectInfo::<SocketAddr>::from_request_parts(parts, app).await;
        let session = parts.extensions.get::<Session>();
        Ok(Self {
            member: session.map(|session| session.member.clone()),
            request_id: shell::request_id_of(parts),
            address: peer.map_or_else(|_| String::new(), |peer| peer.0.ip().to_string()),
        })
    }
}
