//! Who is asking: sessions kept in PostgreSQL, known to the browser by a cookie.
//!
//! A token is 256 bits from the operating system; the database has only its SHA-256. Signing in
//! always makes a new one and ends the one that came with the request. A session ends at sign-out,
//! after [`IDLE`] without a request, and after [`LONGEST`] in any case, by real time.

mod role;
mod store;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use market::ParticipantId;
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};

use super::error::Error;
use crate::app::App;

pub use role::{Role, Roles};

/// A session without a request for so long is over.
pub const IDLE: SignedDuration = SignedDuration::from_hours(24);

/// No session lasts longer.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What the database knows a session by.
pub type TokenHash = [u8; 32];

/// The person who is asking, and for whom they act.
#[derive(Clone, Debug)]
pub struct Member {
    /// The person's number.
    pub user: i64,
    /// For whom they act.
    pub participant: ParticipantId,
    /// The participant's name.
    pub name: String,
    /// The person's sign-in name.
    pub login: String,
    /// What the person may do.
    pub roles: Roles,
    /// Whether the participant may begin nothing new.
    pub is_suspended: bool,
}

impl Member {
    /// Whether this is one of the marketplace's own people, who don't trade.
    pub fn is_of_platform(&self) -> bool {
        self.participant == ParticipantId::MARKETPLACE
    }
}

/// Somebody who has given a password and still has to give a second factor, or to set one up.
#[derive(Clone, Debug)]
pub struct Entering {
    /// Who it is.
    pub member: Member,
    /// What the database knows the session by.
    pub token: TokenHash,
}

/// A session that is good now.
#[derive(Clone, Debug)]
pub struct Session {
    /// Whose it is.
    pub member: Member,
    /// What the database knows it by.
    pub token: TokenHash,
}

/// What a token stands for.
enum Found {
    Full(Session),
    Entering(Entering),
}

/// Finds the request's session, once, for every handler and layer below.
///
/// # Errors
/// When the database can't be asked.
pub async fn load(
    State(app): State<App>,
    mut request: Request,
    next: Next,
) -> Result<Response, Error> {
    if let Some(token) = token_of(&app, request.headers())
        && let Some(found) = store::find(&app.db, token).await?
    {
        match found {
            Found::Full(session) => request.extensions_mut().insert(session).map(drop),
            Found::Entering(entering) => request.extensions_mut().insert(entering).map(drop),
        };
    }
    Ok(next.run(request).await)
}

/// Whether a session is still good: streams ask it while they run.
///
/// # Errors
/// When the database can't be asked.
pub async fn is_good(app: &App, token: TokenHash) -> Result<bool, Error> {
    Ok(matches!(
        store::find(&app.db, token).await?,
        Some(Found::Full(_))
    ))
}

/// Starts a session and ends the one that the request came with, its streams included.
///
/// # Errors
/// When the database can't be written.
pub async fn start(app: &App, headers: &HeaderMap, user: i64) -> Result<CookieJar, Error> {
    let mut secret = [0; 32];
    SysRng
        .try_fill_bytes(&mut secret)
        .map_err(|error| Error::Internal(anyhow::Error::new(error).context("reading random")))?;
    let token = URL_SAFE_NO_PAD.encode(secret);
    let old = token_of(app, headers);
    store::replace(&app.db, old, hash(&token), user).await?;
    if let Some(old) = old {
        app.web.session_ended(old);
    }
    let cookie = Cookie::build((cookie_name(app), token))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(app.web.options.secure);
    Ok(CookieJar::new().add(cookie))
}

/// Ends the request's session.
///
/// # Errors
/// When the database can't be written.
pub async fn end(app: &App, headers: &HeaderMap) -> Result<CookieJar, Error> {
    if let Some(token) = token_of(app, headers) {
        store::remove(&app.db, token).await?;
        app.web.session_ended(token);
    }
    let gone = Cookie::build((cookie_name(app), ""))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(app.web.options.secure)
        .removal();
    Ok(CookieJar::new().add(gone))
}

/// The prefix binds the cookie to this host and to https; a browser refuses it without.
fn cookie_name(app: &App) -> &'static str {
    if app.web.options.secure {
        "__Host-sluice"
    } else {
        "sluice"
    }
}

fn token_of(app: &App, headers: &HeaderMap) -> Option<TokenHash> {
    CookieJar::from_headers(headers)
        .get(cookie_name(app))
        .map(|cookie| hash(cookie.value()))
}

fn hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

impl FromRequestParts<App> for Session {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        parts.extensions.get::<Self>().cloned().ok_or(Error::SignIn)
    }
}

impl FromRequestParts<App> for Member {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        Ok(Session::from_request_parts(parts, app).await?.member)
    }
}
