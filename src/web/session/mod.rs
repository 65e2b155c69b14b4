//! Who is asking: sessions kept in PostgreSQL, known to the browser by a cookie.
//!
//! A token is 256 bits from the operating system; the database has only its SHA-256. Signing in
//! and giving a second factor always make a new one and end the one that came with the request. A
//! session ends at sign-out, after a while without a request, and after a longer one in any case,
//! by real time: see [`PARTICIPANTS`] and [`PLATFORMS`]. A stream is no request.

mod role;
mod store;
mod watch;

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
use sqlx::PgConnection;

use super::acts::Origin;
use super::error::Error;
use crate::app::App;

pub use role::{Role, Roles};
pub use store::{Open, of_person};
pub use watch::Watched;

/// How long a session lasts.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Without a request for so long, it is over.
    pub idle: SignedDuration,
    /// It never lasts longer.
    pub longest: SignedDuration,
}

/// A member's.
pub const PARTICIPANTS: Bounds = Bounds {
    idle: SignedDuration::from_hours(24),
    longest: SignedDuration::from_hours(7 * 24),
};

/// Of the platform's people.
pub const PLATFORMS: Bounds = Bounds {
    idle: SignedDuration::from_mins(15),
    longest: SignedDuration::from_hours(12),
};

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
    /// The coded reason, if it is so.
    pub suspension: Option<String>,
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
    /// Whether its person has a second factor and gave it longer than [`FRESH`] ago.
    pub is_factor_stale: bool,
}

/// For so long a second factor stands for whoever gave it, where who may do what is changed.
pub const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// Whoever asks has given their second factor just now, if they have one: for what changes who
/// may come in, and as what. Others are asked for it first and come back with what they had typed.
#[derive(Clone, Copy, Debug)]
pub struct Fresh;

/// What a token stands for.
enum Found {
    Full(Session),
    Entering(Entering),
}

/// Somebody who has given a password, whether or not a second factor is due.
#[derive(Clone, Debug)]
pub struct Person {
    /// Who it is.
    pub member: Member,
    /// What the database knows the session by.
    pub token: TokenHash,
    /// Whether a second factor is still to be given, or to be set up.
    pub is_entering: bool,
    /// Whether one was given, and longer than [`FRESH`] ago; or not yet.
    pub is_factor_stale: bool,
}

/// Finds the request's session, once, for every handler and layer below; the streams that it opens
/// are watched.
///
/// # Errors
/// When the database can't be asked.
pub async fn load(
    State(app): State<App>,
    mut request: Request,
    next: Next,
) -> Result<Response, Error> {
    let found = match token_of(&app, request.headers()) {
        Some(token) => store::find(&app.db, token).await?,
        None => None,
    };
    match found {
        Some(Found::Full(session)) => {
            request.extensions_mut().insert(session.clone());
            let response = next.run(request).await;
            Ok(watch::follow(&app, session, response))
        }
        Some(Found::Entering(entering)) => {
            request.extensions_mut().insert(entering);
            Ok(next.run(request).await)
        }
        None => Ok(next.run(request).await),
    }
}

/// Whether a session is still good: streams ask it while they run.
///
/// # Errors
/// When the database can't be asked.
pub async fn is_good(app: &App, token: TokenHash) -> Result<bool, Error> {
    let good = store::good(&app.db, &[token]).await?;
    Ok(matches!(good.as_slice(), [Found::Full(_)]))
}

/// Sessions that have ended in a transaction; their streams are told once it is committed.
#[derive(Debug, Default)]
#[must_use = "their streams go on until they are told"]
pub struct Ended(Vec<TokenHash>);

impl Ended {
    /// Whether none has.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Ends their streams.
    pub fn tell(self, app: &App) {
        for token in self.0 {
            app.web.session_ended(token);
        }
    }
}

/// A session that has begun in a transaction.
#[derive(Debug)]
#[must_use = "the browser has to be given its cookie"]
pub struct Begun {
    token: String,
    ended: Ended,
    /// Whether a second factor is still to be given, or to be set up.
    pub is_entering: bool,
}

impl Begun {
    /// The cookie for the browser, once the transaction is committed.
    pub fn cookie(self, app: &App) -> CookieJar {
        self.ended.tell(app);
        let cookie = Cookie::build((cookie_name(app), self.token))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(app.web.options.secure);
        CookieJar::new().add(cookie)
    }
}

/// A new token of 256 bits from the operating system, as text.
///
/// # Errors
/// When the system has no randomness.
pub fn secret() -> Result<String, Error> {
    let mut secret = [0; 32];
    SysRng
        .try_fill_bytes(&mut secret)
        .map_err(|error| Error::Internal(anyhow::Error::new(error).context("reading random")))?;
    Ok(URL_SAFE_NO_PAD.encode(secret))
}

/// Whose session a request came with, though it be over; none where that is not known any more.
///
/// # Errors
/// When the database can't be asked.
pub async fn last_person(app: &App, headers: &HeaderMap) -> Result<Option<i64>, Error> {
    match token_of(app, headers) {
        Some(token) => store::last_person(&app.db, token).await,
        None => Ok(None),
    }
}

/// Starts a session and ends the one that the request came with, its streams included. Whoever
/// has just given a second factor says so.
///
/// # Errors
/// When the database can't be written.
pub async fn start(
    db: &mut PgConnection,
    app: &App,
    headers: &HeaderMap,
    origin: &Origin,
    user: i64,
    has_given_factor: bool,
) -> Result<Begun, Error> {
    let token = secret()?;
    let old = token_of(app, headers);
    let new = store::New {
        token: hash(&token),
        user,
        address: &origin.address,
        has_given_factor,
    };
    let is_entering = store::replace(db, old, new).await?;
    Ok(Begun {
        token,
        ended: Ended(old.into_iter().collect()),
        is_entering,
    })
}

/// Ends the request's session; says whose it was.
///
/// # Errors
/// When the database can't be written.
pub async fn end(
    db: &mut PgConnection,
    app: &App,
    headers: &HeaderMap,
) -> Result<(Option<i64>, Ended), Error> {
    match token_of(app, headers) {
        Some(token) => {
            let user = store::remove(db, token).await?;
            Ok((user, Ended(vec![token])))
        }
        None => Ok((None, Ended::default())),
    }
}

/// The cookie's end.
pub fn no_cookie(app: &App) -> CookieJar {
    let gone = Cookie::build((cookie_name(app), ""))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(app.web.options.secure)
        .removal();
    CookieJar::new().add(gone)
}

/// Ends a person's sessions but this one.
///
/// # Errors
/// When the database can't be written.
pub async fn end_others(
    db: &mut PgConnection,
    user: i64,
    but: Option<TokenHash>,
) -> Result<Ended, Error> {
    Ok(Ended(store::remove_of(db, user, but).await?))
}

/// Ends those of a person's sessions in which no second factor was given.
///
/// # Errors
/// When the database can't be written.
pub async fn end_without_factor(db: &mut PgConnection, user: i64) -> Result<Ended, Error> {
    Ok(Ended(store::remove_without_factor(db, user).await?))
}

/// Ends the session of this number, if it is this person's.
///
/// # Errors
/// When the database can't be written.
pub async fn end_one(
    db: &mut PgConnection,
    user: i64,
    number: i64,
) -> Result<Option<Ended>, Error> {
    let token = store::remove_one(db, user, number).await?;
    Ok(token.map(|token| Ended(vec![token])))
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

impl FromRequestParts<App> for Person {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        if let Some(Entering { member, token }) = parts.extensions.get::<Entering>().cloned() {
            return Ok(Self {
                member,
                token,
                is_entering: true,
                is_factor_stale: true,
            });
        }
        let session = parts.extensions.get::<Session>().cloned();
        let session = session.ok_or(Error::SignIn)?;
        Ok(Self {
            member: session.member,
            token: session.token,
            is_entering: false,
            is_factor_stale: session.is_factor_stale,
        })
    }
}

impl FromRequestParts<App> for Fresh {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let session = Session::from_request_parts(parts, app).await?;
        if session.is_factor_stale {
            return Err(Error::SecondFactor);
        }
        Ok(Self)
    }
}

impl FromRequestParts<App> for Member {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        Ok(Session::from_request_parts(parts, app).await?.member)
    }
}
