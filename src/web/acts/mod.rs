//! The record of what people did that is not the market's: roles, factors, certificates, rulings.
//!
//! A row is written in the transaction of the act itself, so an act without its row does not
//! happen.

mod store;

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;

use super::error::Error;
use super::session::{Entering, Member, Session};
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

impl Act {
    /// Something done to a person, or by them.
    pub fn of_user(what: &'static str, user: i64) -> Self {
        Self {
            what,
            subject: format!("user:{user}"),
            detail: serde_json::json!({}),
        }
    }

    /// The same with what was before and after, or why.
    pub fn with(self, detail: serde_json::Value) -> Self {
        Self { detail, ..self }
    }
}

/// Who does it, and from where.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The person and their participant; nobody before they have given a password.
    pub member: Option<Member>,
    /// The request's number.
    pub request_id: String,
    /// The address of the connection.
    pub address: String,
}

impl Origin {
    /// The program itself, at the hand of whoever may start it on this machine.
    pub fn program() -> Self {
        Self {
            member: None,
            request_id: "program".to_owned(),
            address: String::new(),
        }
    }
}

impl FromRequestParts<App> for Origin {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let peer = ConnectInfo::<SocketAddr>::from_request_parts(parts, app).await;
        let session = parts.extensions.get::<Session>();
        let entering = parts.extensions.get::<Entering>();
        let member = session
            .map(|session| &session.member)
            .or(entering.map(|entering| &entering.member));
        Ok(Self {
            member: member.cloned(),
            request_id: shell::request_id_of(parts),
            address: peer.map_or_else(|_| String::new(), |peer| peer.0.ip().to_string()),
        })
    }
}
