//! What was typed survives signing in.
//!
//! A form that is sent after its session has ended, or before a second factor is given, meets a
//! closed door. Its fields are then kept for an hour and its person is sent to sign in; after that
//! they are back at the page that the form was on, with the form filled in and nothing sent.
//!
//! One mechanism serves all forms. A page takes part by asking for [`Kept`] and giving what it
//! finds to the form that it draws:
//!
//! ```ignore
//! pub async fn wallet(kept: Kept, shell: Shell, …) -> … {
//!     let deposit = kept.form::<Deposit>("/wallet/deposits").unwrap_or_default();
//!     let shell = kept.told(shell);
//! ```
//!
//! Who can read it: the token has one half in a cookie of the browser that sent the form and one
//! in the address, so neither a link that somebody else made nor the cookie alone finds anything;
//! and whoever asks must have signed in. Where the session that had ended is still known, it must
//! be the same person. What is kept are texts for fields, never a right: whoever sends the form
//! then sends it as themselves. Passwords, codes, tokens and private keys are not kept.

mod store;

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::error::{self, Error};
use super::session::{self, Entering, Session};
use super::shell::Shell;
use crate::app::App;

/// The name of the address's half.
const PARAMETER: &str = "kept";

/// What a form sent that met a closed door; nothing where none did.
#[derive(Clone, Debug, Default)]
pub struct Kept(Option<Found>);

#[derive(Clone, Debug)]
struct Found {
    path: String,
    fields: String,
}

impl Kept {
    /// The fields of the form that was sent to `action`.
    pub fn form<T: DeserializeOwned>(&self, action: &str) -> Option<T> {
        let found = self.0.as_ref().filter(|found| found.path == action)?;
        serde_urlencoded::from_str(&found.fields).ok()
    }

    /// Whether it is the form that was sent to `action`.
    pub fn is_of(&self, action: &str) -> bool {
        self.0.as_ref().is_some_and(|found| found.path == action)
    }

    /// The fields of the form that was sent to an address of this beginning and end, and what stands
    /// between them: a page may have one such form for each of its rows.
    pub fn form_of_row<T: DeserializeOwned>(&self, begins: &str, ends: &str) -> Option<(&str, T)> {
        let found = self.0.as_ref()?;
        let row = found.path.strip_prefix(begins)?.strip_suffix(ends)?;
        Some((row, serde_urlencoded::from_str(&found.fields).ok()?))
    }

    /// The page's frame, which says that a form is filled in again and was not sent.
    pub fn told(&self, shell: Shell) -> Shell {
        Shell {
            is_restored: self.0.is_some(),
            ..shell
        }
    }
}

impl FromRequestParts<App> for Kept {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let Some(session) = parts.extensions.get::<Session>() else {
            return Ok(Self::default());
        };
        let halves = id_of(&parts.uri).zip(cookie_of(app, &parts.headers));
        let Some((id, cookie)) = halves else {
            return Ok(Self::default());
        };
        let found = store::find(&app.db, hash(&cookie, &id), session.member.user).await?;
        Ok(Self(found.map(|(path, fields)| Found { path, fields })))
    }
}

/// By what the answer to a kept form leads back to it.
#[derive(Clone, Debug)]
pub(super) struct Led {
    id: String,
    cookie: Option<HeaderValue>,
}

impl Led {
    /// The page's path with the address's half in it.
    pub(super) fn back(&self, path: &str) -> String {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let ours = format!("{PARAMETER}=");
        let mut query: Vec<&str> = query
            .split('&')
            .filter(|field| !field.is_empty() && !field.starts_with(&ours))
            .collect();
        let kept = format!("{ours}{}", self.id);
        query.push(&kept);
        format!("{path}?{}", query.join("&"))
    }

    /// Gives the browser its half, if it had none.
    pub(super) fn give(self, headers: &mut HeaderMap) {
        if let Some(cookie) = self.cookie {
            headers.append(header::SET_COOKIE, cookie);
        }
    }
}

/// Keeps the fields of a form that meets a closed door.
pub async fn keep(State(app): State<App>, request: Request, next: Next) -> Response {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let is_form = kind.is_some_and(|kind| {
        kind.as_bytes()
            .starts_with(b"application/x-www-form-urlencoded")
    });
    let session = request.extensions().get::<Session>();
    let is_in = session.is_some_and(|session| !session.is_factor_stale);
    if is_in || !is_form || *request.method() != Method::POST {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    // The body was read within its bounds before it came here.
    let Ok(body) = body.collect().await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let body = body.to_bytes();
    let request = Request::from_parts(head.clone(), Body::from(body.clone()));
    let mut response = next.run(request).await;
    if !error::asks_to_enter(&response) {
        return response;
    }
    // What can't be kept is typed again; the way in is open all the same.
    match lead(&app, &head, &body).await {
        Ok(Some(led)) => drop(response.extensions_mut().insert(led)),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "a form can't be kept"),
    }
    response
}

async fn lead(app: &App, head: &Parts, body: &[u8]) -> Result<Option<Led>, Error> {
    let Some(fields) = harmless(body) else {
        return Ok(None);
    };
    let address = head.extensions.get::<ConnectInfo<SocketAddr>>();
    let Some(ConnectInfo(address)) = address else {
        return Ok(None);
    };
    if app.web.throttle.kept(address.ip()).is_err() {
        return Ok(None);
    }
    let session = head.extensions.get::<Session>();
    let entering = head.extensions.get::<Entering>();
    let member = session.map(|session| &session.member);
    let person = match member.or(entering.map(|entering| &entering.member)) {
        Some(member) => Some(member.user),
        None => session::last_person(app, &head.headers).await?,
    };
    let had = cookie_of(app, &head.headers);
    let half = match &had {
        Some(half) => half.clone(),
        None => session::secret()?,
    };
    let id = session::secret()?;
    let new = store::New {
        token: hash(&half, &id),
        path: head.uri.path(),
        fields: &fields,
        person,
    };
    if !store::keep(&app.db, new).await? {
        return Ok(None);
    }
    let cookie = Cookie::build((cookie_name(app), half))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(app.web.options.secure)
        .build();
    let cookie = HeaderValue::from_str(&cookie.to_string()).ok();
    Ok(Some(Led {
        id,
        cookie: cookie.filter(|_| had.is_none()),
    }))
}

/// The fields that may be kept, as a form; none where there is none.
fn harmless(body: &[u8]) -> Option<String> {
    let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(body).ok()?;
    let is_secret = |name: &str, value: &str| {
        let name = name.to_lowercase();
        ["password", "secret", "token"]
            .iter()
            .any(|part| name.contains(part))
            || ["code", "current", "invitation"].contains(&name.as_str())
            || value.contains("PRIVATE KEY")
    };
    let fields: Vec<_> = fields
        .into_iter()
        .filter(|(name, value)| !is_secret(name, value))
        .collect();
    let fields = serde_urlencoded::to_string(fields).ok()?;
    Some(fields).filter(|fields| !fields.is_empty())
}

/// The address's half.
fn id_of(uri: &Uri) -> Option<String> {
    let fields: Vec<(String, String)> = serde_urlencoded::from_str(uri.query()?).ok()?;
    let kept = fields.into_iter().rfind(|(name, _)| name == PARAMETER);
    kept.map(|(_, id)| id).filter(|id| id.len() < 100)
}

/// The browser's half.
fn cookie_of(app: &App, headers: &HeaderMap) -> Option<String> {
    let jar = CookieJar::from_headers(headers);
    let half = jar.get(cookie_name(app))?.value().to_owned();
    Some(half).filter(|half| (40..100).contains(&half.len()))
}

fn cookie_name(app: &App) -> &'static str {
    if app.web.options.secure {
        "__Host-sluice_kept"
    } else {
        "sluice_kept"
    }
}

fn hash(cookie: &str, id: &str) -> [u8; 32] {
    // Neither half has a point in it, so no two pairs are one text.
    Sha256::digest(format!("{cookie}.{id}").as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_kept() {
        let body = b"units=8&password=p&new_password=p&code=1&current=p&invitation=i&csrf_token=t\
            &credit_code=91&key=-----BEGIN+OPENSSH+PRIVATE+KEY-----&note=a%26b";
        let kept = harmless(body);
        assert_eq!(kept.as_deref(), Some("units=8&credit_code=91&note=a%26b"));
        assert_eq!(harmless(b"password=p"), None);
        assert_eq!(harmless(b""), None);
    }

    #[test]
    fn a_way_back_has_one_half_in_it() {
        let led = Led {
            id: "new".to_owned(),
            cookie: None,
        };
        assert_eq!(led.back("/wallet"), "/wallet?kept=new");
        assert_eq!(led.back("/a?x=1&kept=old&y"), "/a?x=1&y&kept=new");
    }
}
