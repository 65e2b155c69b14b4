//! Who is asking where a machine asks: each request signed with a key that never left it
//! (docs/PROTOCOL.md, "The agent"). Who sees a request can't send it again.

mod store;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use reading::{Proof, PublicKey, Refused};
use serde::de::DeserializeOwned;
use sqlx::PgPool;
use tokio::sync::OwnedMutexGuard;

use super::error::Error;
use super::i18n::Locale;
use super::problem::Problem;
use super::throttle::TooSoon;
use crate::app::App;
use crate::clock;

/// How many seconds a machine's clock may be from ours for what it asks to be answered. Its agent
/// learns ours by asking, so a clock that is further off costs it one more request.
pub const SKEW_SECONDS: u32 = 120;

/// What vantages' URLs begin with; all others that are signed are agents'.
const VANTAGES: &str = "/api/vantage/";

/// Which machine asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signer {
    /// An agent, by its number.
    Agent(i64),
    /// A vantage, by its number.
    Vantage(i64),
}

impl Signer {
    /// Under which name its nonces are kept.
    fn code(self) -> String {
        match self {
            Self::Agent(id) => format!("agent:{id}"),
            Self::Vantage(id) => format!("vantage:{id}"),
        }
    }
}

/// A request that its signer has sent, now and for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed(pub Signer);

/// An agent whose request this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningAgent(pub i64);

impl FromRequestParts<App> for SigningAgent {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        match parts.extensions.get() {
            Some(Signed(Signer::Agent(id))) => Ok(Self(*id)),
            _ => Err(Error::SignIn),
        }
    }
}

/// A vantage whose request this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningVantage(pub i64);

impl FromRequestParts<App> for SigningVantage {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        match parts.extensions.get() {
            Some(Signed(Signer::Vantage(id))) => Ok(Self(*id)),
            _ => Err(Error::SignIn),
        }
    }
}

/// A request by somebody who has no number yet: it is signed with the key that its body names.
#[derive(Clone, Debug)]
pub struct Enrolling {
    method: String,
    path: String,
    proof: Proof,
}

impl FromRequestParts<App> for Enrolling {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        let enrolling = parts.extensions.get::<Self>().cloned();
        enrolling.ok_or(Error::SignIn)
    }
}

impl Enrolling {
    /// Whether this key has signed it, about now.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, key: &PublicKey, body: &[u8]) -> Result<(), Refused> {
        let request = reading::Request {
            method: &self.method,
            path: &self.path,
            body,
        };
        self.proof.check(&request, key, clock::wall(), SKEW_SECONDS)
    }
}

/// Reads what a machine has sent, if it can be read.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

/// The answer to what can't be read.
pub fn unreadable(headers: &HeaderMap) -> Response {
    let locale = Locale::of(headers);
    Problem::named(locale, StatusCode::BAD_REQUEST, "unreadable").into_response()
}

/// What went wrong where a machine's word was to be kept.
pub fn failed(error: sqlx::Error) -> Error {
    Error::from(anyhow::Error::from(error))
}

/// Finds which machine has signed a request. Without the headers of a proof it is nobody's.
///
/// # Errors
/// When the database can't be asked.
pub async fn load(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let locale = Locale::of(request.headers());
    let (mut head, body) = request.into_parts();
    // It is in memory already: it has been read whole.
    let body = body.collect().await.context("reading a body")?.to_bytes();
    let mut turn = None;
    match signer(&app.db, &head, &body).await? {
        Found::Nobody => {}
        Found::New(enrolling) => {
            head.extensions.insert(enrolling);
        }
        Found::Signed(signer, nonce) => {
            let allowed = app.web.throttle.signer(signer);
            allowed.map_err(|TooSoon(seconds)| Error::TooMany(seconds))?;
            turn = Some(app.web.turns.wait(signer).await);
            if !store::admit(&app.db, &signer.code(), nonce, clock::wall()).await? {
                return Ok(problem(locale, Refused::Replayed).into_response());
            }
            head.extensions.insert(Signed(signer));
        }
        Found::Gone => {
            let gone = Problem::named(locale, StatusCode::UNAUTHORIZED, "unknown_signer");
            return Ok(gone.into_response());
        }
        Found::Refused(refused) => {
            let tried = app.web.throttle.token(peer.ip());
            tried.map_err(|TooSoon(seconds)| Error::TooMany(seconds))?;
            return Ok(problem(locale, refused).into_response());
        }
    }
    let request = Request::from_parts(head, Body::from(body));
    let answer = next.run(request).await;
    drop(turn);
    Ok(answer)
}

/// What is known of who asks. A number that nobody has is answered as a wrong signature of one that
/// somebody has.
enum Found {
    Nobody,
    New(Enrolling),
    /// With the number that this request alone has.
    Signed(Signer, [u8; 16]),
    Refused(Refused),
    /// Its key was revoked: who has it may know.
    Gone,
}

/// Whose turn it is: requests of one machine are answered one after the other, so that one that
/// sends many at once keeps no more than one connection of the database from everybody else.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<Signer, Arc<tokio::sync::Mutex<()>>>>);

/// How many machines' turns are known before those that nobody waits for are forgotten.
const MOST_TURNS: usize = 10_000;

impl Turns {
    /// Waits for a machine's turn, which lasts until what is given is dropped.
    async fn wait(&self, signer: Signer) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if turns.len() > MOST_TURNS {
                turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            }
            turns.entry(signer).or_default().clone()
        };
        turn.lock_owned().await
    }
}

async fn signer(db: &PgPool, head: &Parts, body: &Bytes) -> Result<Found, Error> {
    let Ok(proof) = Proof::from_headers(header_of(&head.headers)) else {
        return Ok(Found::Nobody);
    };
    let path = head.uri.path_and_query();
    let path = path.map_or(head.uri.path(), |path| path.as_str());
    let Ok(id) = i64::try_from(proof.agent()) else {
        return Ok(Found::Refused(Refused::WrongSignature));
    };
    let is_vantage = path.starts_with(VANTAGES);
    let signer = match is_vantage {
        true => Signer::Vantage(id),
        false if id == 0 => {
            return Ok(Found::New(Enrolling {
                method: head.method.as_str().to_owned(),
                path: path.to_owned(),
                proof,
            }));
        }
        false => Signer::Agent(id),
    };
    let Some((key, is_believed)) = store::key(db, signer).await? else {
        return Ok(Found::Refused(Refused::WrongSignature));
    };
    let request = reading::Request {
        method: head.method.as_str(),
        path,
        body,
    };
    let now = clock::wall();
    if let Err(refused) = proof.check(&request, &key, now, SKEW_SECONDS) {
        return Ok(Found::Refused(refused));
    }
    if !is_believed {
        return Ok(Found::Gone);
    }
    Ok(Found::Signed(signer, proof.nonce()))
}

fn header_of<'a>(headers: &'a HeaderMap) -> impl Fn(&'static str) -> Option<&'a str> {
    |name| headers.get(name)?.to_str().ok()
}

/// Why a proof proves nothing. Of clocks that are too far apart ours is told.
pub fn problem(locale: Locale, refused: Refused) -> Problem {
    let unauthorized = StatusCode::UNAUTHORIZED;
    match refused {
        Refused::WrongSignature => Problem::named(locale, unauthorized, "wrong_signature"),
        Refused::Skewed { .. } => {
            Problem::named(locale, unauthorized, "skewed").with_clock(clock::wall())
        }
        Refused::Replayed => Problem::named(locale, StatusCode::CONFLICT, "replayed"),
    }
}
