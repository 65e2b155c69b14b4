//! Who is asking where a program asks: tokens of the API, each tied to the member who made it.
//!
//! A token is 256 bits from the operating system; the database has only its SHA-256. That is
//! enough for what nobody can guess: a slow hash is for passwords, which people choose. A token is
//! looked at with every request, so it ends with its member, with their participant's suspension
//! and with its own revocation at once. What many requests ask at the same time is asked in one
//! query, so that this costs a statement for all of them and not one for each.

mod store;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::Context;
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use tokio::sync::oneshot;

use super::error::Error;
use super::session::{self, Member, TokenHash};
use super::throttle::TooSoon;
use crate::app::App;
use crate::db;

/// What every token begins with, so that whoever finds one knows what it is.
pub const PREFIX: &str = "sluice_";

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Reads orders.
    Read,
    /// Places and changes orders.
    Place,
    /// Cancels orders.
    Cancel,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Read, Self::Place, Self::Cancel];

    /// Its name in the tables.
    pub fn code(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Place => "place",
            Self::Cancel => "cancel",
        }
    }

    /// The scope of this name.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.code() == code)
    }
}

/// Whoever has a token that is good now.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// The token's number.
    pub id: i64,
    /// What the database knows it by.
    pub token: TokenHash,
    /// As whom it acts.
    pub member: Member,
    /// What it is for.
    pub scopes: Vec<Scope>,
    /// Whether its participant's bids may need a second person: an amount is set, or one was and
    /// requests are there.
    pub is_counted: bool,
}

impl Bearer {
    /// Whether it is for one of these.
    pub fn may(&self, any: &[Scope]) -> bool {
        any.iter().any(|scope| self.scopes.contains(scope))
    }
}

impl FromRequestParts<App> for Bearer {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        let bearer = parts.extensions.get::<Self>().cloned();
        bearer.ok_or(Error::SignIn)
    }
}

/// A new token, as its member is shown it once.
///
/// # Errors
/// When the system has no randomness.
pub fn secret() -> Result<String, Error> {
    Ok(format!("{PREFIX}{}", session::secret()?))
}

/// Whether a text is like one of ours.
pub fn is_like(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let secret = text.strip_prefix(PREFIX);
    secret.is_some_and(|secret| secret.len() == 43 && secret.bytes().all(is_plain))
}

/// What the database knows a token by.
pub fn hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

/// Finds whose token a request came with. Cookies say nothing here.
///
/// # Errors
/// When the database can't be asked, or an address has tried too many that are none.
pub async fn load(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Result<Response, Error> {
    let Some(token) = of(request.headers()) else {
        return Ok(next.run(request).await);
    };
    match find(&app, token, peer).await? {
        Some(bearer) => {
            let allowed = app.web.throttle.request(bearer.id);
            allowed.map_err(|TooSoon(seconds)| Error::TooMany(seconds))?;
            request.extensions_mut().insert(bearer);
        }
        None => {
            let tried = app.web.throttle.token(peer.ip());
            tried.map_err(|TooSoon(seconds)| Error::TooMany(seconds))?;
        }
    }
    Ok(next.run(request).await)
}

/// The token of `Authorization: Bearer …`, if it is like one of ours.
fn of(headers: &HeaderMap) -> Option<TokenHash> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let is_ours = scheme.eq_ignore_ascii_case("bearer") && is_like(token.trim());
    is_ours.then(|| hash(token.trim()))
}

/// Whether a token is still good: what is open asks it while it is.
///
/// # Errors
/// When the database can't be asked.
pub async fn is_good(app: &App, token: TokenHash) -> Result<bool, Error> {
    let found = store::good(&app.db, &[token]).await?;
    let good = found.first().map(|found| &found.bearer.member);
    Ok(good.is_some_and(|member| !member.is_suspended))
}

/// A token that somebody wants looked at.
#[derive(Debug)]
struct Asked {
    token: TokenHash,
    from: SocketAddr,
    answer: oneshot::Sender<Option<Bearer>>,
}

/// The tokens that wait to be looked at together, and the connection on which that is done.
#[derive(Clone, Debug, Default)]
pub struct Desk {
    waiting: Arc<Mutex<Waiting>>,
    db: Arc<OnceLock<PgPool>>,
}

#[derive(Debug, Default)]
struct Waiting {
    asked: Vec<Asked>,
    is_served: bool,
}

impl Desk {
    /// Queues up; whether nobody serves the queue yet.
    fn ask(&self, asked: Asked) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.asked.push(asked);
        !std::mem::replace(&mut waiting.is_served, true)
    }

    /// All that waits; nobody serves the queue any more once nothing does.
    fn take(&self) -> Vec<Asked> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.is_served = !waiting.asked.is_empty();
        std::mem::take(&mut waiting.asked)
    }
}

/// Whose token this is, if it is good now. It is looked up after it was asked for, whoever else
/// asks meanwhile.
async fn find(app: &App, token: TokenHash, from: SocketAddr) -> Result<Option<Bearer>, Error> {
    let (answer, found) = oneshot::channel();
    let asked = Asked {
        token,
        from,
        answer,
    };
    if app.web.tokens.ask(asked) {
        tokio::spawn(serve(app.clone()));
    }
    // Nobody answers where the database could not be asked: that is in the log.
    found.await.map_err(|_| Error::Busy)
}

async fn serve(app: App) {
    let desk = &app.web.tokens;
    let db = desk
        .db
        .get_or_init(|| db::one_planned(&app.db, "sluice tokens"));
    let mut connection = None;
    loop {
        // It is kept while somebody asks: to take it anew is a word with the server each time.
        let asked = desk.take();
        if asked.is_empty() {
            return;
        }
        let tokens: Vec<TokenHash> = asked.iter().map(|asked| asked.token).collect();
        let found = match good(db, &mut connection, &tokens).await {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(%error, "tokens can't be looked at");
                connection = None;
                continue;
            }
        };
        let row_of = |asked: &Asked| found.iter().find(|row| row.bearer.token == asked.token);
        let stale = asked.iter().filter_map(|asked| {
            let row = row_of(asked).filter(|row| row.is_stale)?;
            Some((row.bearer.id, asked.from.ip().to_string()))
        });
        let used: Vec<_> = stale.collect();
        // Once a minute for each token, and before what it opens: who looks then sees it.
        if let Err(error) = store::note_use(&app.db, &used).await {
            tracing::warn!(%error, "the use of tokens can't be noted");
        }
        for asked in asked {
            let bearer = row_of(&asked).map(|row| row.bearer.clone());
            // Whoever asked may have gone.
            let _ = asked.answer.send(bearer);
        }
    }
}

/// Those of these tokens that are good now, by way of this connection, or a new one where it is none.
async fn good(
    db: &PgPool,
    connection: &mut Option<PoolConnection<Postgres>>,
    tokens: &[TokenHash],
) -> Result<Vec<store::Found>, Error> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(db.acquire().await.context("a connection for tokens")?),
    };
    store::good(&mut **connection, tokens).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_from_its_header_only_as_it_is_written() {
        let token = secret().unwrap();
        assert!(is_like(&token));
        let headers = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            headers
        };
        assert_eq!(of(&headers(&format!("Bearer {token}"))), Some(hash(&token)));
        assert_eq!(of(&headers(&format!("bearer {token}"))), Some(hash(&token)));
        for value in [
            token.clone(),
            format!("Basic {token}"),
            format!("Bearer {token}x"),
            "Bearer x".to_owned(),
            format!("Bearer {}", &token[1..]),
        ] {
            assert_eq!(of(&headers(&value)), None, "{value}");
        }
    }

    #[test]
    fn scopes_have_names() {
        for scope in Scope::ALL {
            assert_eq!(Scope::from_code(scope.code()), Some(scope));
        }
    }
}
