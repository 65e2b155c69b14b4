//! What every page has round it: language, theme, market clock, and who is asking.

use std::borrow::Cow;
use std::convert::Infallible;

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, Uri, header};
use axum_extra::extract::cookie::CookieJar;
use market::{Account, AccountKind, Money, Timestamp};
use tower_http::request_id::RequestId;

use super::banner::Banner;
use super::i18n::Locale;
use super::session::{Member, Role, Session};
use super::{assets, format, say};
use crate::app::App;

/// The cookie that keeps a reader's theme.
pub const THEME_COOKIE: &str = "sluice_theme";

/// The header that carries a request's number.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a page is drawn in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the reader's system has it.
    #[default]
    Auto,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// Its name in the cookie and in `data-theme`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The theme of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Auto, Self::Light, Self::Dark]
            .into_iter()
            .find(|theme| theme.name() == name)
    }

    /// What the switch is called: the theme that it offers next.
    pub fn key(self) -> &'static str {
        match self.next() {
            Self::Auto => "theme.auto",
            Self::Light => "theme.light",
            Self::Dark => "theme.dark",
        }
    }

    /// What the switch offers next.
    pub fn next(self) -> Self {
        match self {
            Self::Auto => Self::Light,
            Self::Light => Self::Dark,
            Self::Dark => Self::Auto,
        }
    }
}

/// How the header's clock runs in the browser.
#[derive(Clone, Copy, Debug)]
pub struct ClockFace {
    /// Market time when the page was made.
    pub now: Timestamp,
    /// Seconds of market time in a real one.
    pub speed: i64,
}

impl ClockFace {
    /// For `datetime`.
    pub fn machine(&self) -> String {
        format::machine(self.now)
    }

    /// For people.
    pub fn text(&self, locale: impl Into<Locale>) -> String {
        locale.into().minute(self.now)
    }
}

/// The frame of a page.
#[derive(Clone, Debug)]
pub struct Shell {
    /// The reader's language.
    pub locale: Locale,
    /// The reader's theme.
    pub theme: Theme,
    /// Where the reader is, to come back to.
    pub path: String,
    /// The request's number.
    pub request_id: String,
    /// The market clock; none on a page made without the market.
    pub clock: Option<ClockFace>,
    /// Who has signed in.
    pub member: Option<Member>,
    /// What that participant can spend.
    pub cash: Money,
    /// Where the page's live parts come from.
    pub live: Option<String>,
    /// Whether there are disputes for the reader to look at.
    pub has_disputes: bool,
    /// What is said above the page where the market is a demonstration.
    pub banner: Option<Banner>,
    /// Whether a form is filled in with what was typed before its person signed in.
    pub is_restored: bool,
}

impl Shell {
    /// The frame of a page that is made without the market: of an error.
    pub fn bare(headers: &HeaderMap, path: &str, request_id: String) -> Self {
        Self {
            locale: Locale::of(headers),
            theme: theme_of(headers),
            path: safe_path(path).to_owned(),
            request_id,
            clock: None,
            member: None,
            cash: Money::ZERO,
            live: None,
            has_disputes: false,
            is_restored: false,
            banner: None,
        }
    }

    /// This frame with live parts that come from `url`.
    pub fn live_from(mut self, url: String) -> Self {
        self.live = Some(url);
        self
    }

    /// The catalogue's text of this key.
    pub fn t(&self, key: impl AsRef<str>) -> Cow<'static, str> {
        self.locale.t(key)
    }

    /// The address of a static file.
    pub fn asset(&self, name: &str) -> &'static str {
        assets::url(name)
    }

    /// The participant's cash, as the header shows it.
    pub fn cash_text(&self) -> String {
        format::money(self.cash)
    }

    /// Whether the reader is one of the marketplace's own people, who don't trade.
    pub fn is_of_platform(&self) -> bool {
        self.member.as_ref().is_some_and(Member::is_of_platform)
    }

    /// The reader's roles in their words.
    pub fn role_words(&self) -> String {
        let member = self.member.as_ref();
        let words: Vec<_> = member
            .into_iter()
            .flat_map(|member| member.roles.given())
            .map(|role| self.t(format!("role.{}", role.code())))
            .collect();
        if words.is_empty() {
            return self.t("settings.no_role").into_owned();
        }
        words.join(&self.t("members.and"))
    }

    /// Why the reader's participant is suspended, in words; none when it is not.
    pub fn suspension(&self) -> Option<String> {
        let code = self.member.as_ref()?.suspension.as_deref()?;
        Some(say::suspension(self.locale, code))
    }

    /// Whether the reader has one of these roles.
    pub fn may(&self, roles: &[Role]) -> bool {
        let member = self.member.as_ref();
        member.is_some_and(|member| member.roles.have(roles))
    }

    /// Whether the reader runs their participant's pools and tariffs.
    pub fn provides(&self) -> bool {
        self.may(&[Role::Operator])
    }

    /// Whether the navigation's entry of this path is the reader's place.
    pub fn is_at(&self, section: &str) -> bool {
        let path = self.path.split('?').next().unwrap_or_default();
        match section {
            "/" => path == "/" || path.starts_with("/market"),
            // The way in to everything of the marketplace's people is not all of it.
            "/ops" => path == "/ops",
            _ => {
                path == section
                    || path
                        .strip_prefix(section)
                        .is_some_and(|p| p.starts_with('/'))
            }
        }
    }
}

impl FromRequestParts<App> for Shell {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let path = place(&parts.method, &parts.headers, &parts.uri);
        let mut shell = Self::bare(&parts.headers, &path, request_id_of(parts));
        shell.clock = Some(ClockFace {
            now: app.clock.now(),
            speed: app.clock.speed(),
        });
        shell.banner = Banner::of(app);
        shell.member = parts
            .extensions
            .get::<Session>()
            .map(|session| session.member.clone());
        if let Some(member) = &shell.member {
            let cash = Account::of(member.participant, AccountKind::Cash);
            let own = member.participant;
            let market = app.feed.market();
            shell.cash = market.ledger().balance(cash);
            shell.has_disputes = member.is_of_platform()
                || market
                    .disputes()
                    .any(|dispute| [dispute.claimant, dispute.provider].contains(&own));
        }
        Ok(shell)
    }
}

fn theme_of(headers: &HeaderMap) -> Theme {
    CookieJar::from_headers(headers)
        .get(THEME_COOKIE)
        .and_then(|cookie| Theme::from_name(cookie.value()))
        .unwrap_or_default()
}

/// The number that a request was given when it came in.
pub fn request_id(request: &Request) -> String {
    let id = request.extensions().get::<RequestId>();
    id.map(text_of).unwrap_or_default()
}

/// The same, of a request that is being taken apart.
pub fn request_id_of(parts: &Parts) -> String {
    let id = parts.extensions.get::<RequestId>();
    id.map(text_of).unwrap_or_default()
}

fn text_of(id: &RequestId) -> String {
    id.header_value().to_str().unwrap_or_default().to_owned()
}

/// Where the reader is, as a page that can be asked for: of a form that was sent, the page that it
/// was on.
pub fn place(method: &Method, headers: &HeaderMap, uri: &Uri) -> String {
    let page = headers
        .get("hx-current-url")
        .or_else(|| headers.get(header::REFERER));
    let page = page
        .and_then(|url| url.to_str().ok())
        .and_then(|url| url.parse::<Uri>().ok());
    let is_page = *method == Method::GET && !headers.contains_key("hx-request");
    let uri = if is_page { Some(uri) } else { page.as_ref() };
    let path = uri
        .and_then(|uri| uri.path_and_query())
        .map_or("/", |path| path.as_str());
    safe_path(path).to_owned()
}

/// A path of this site to go back to; anything that a browser could take for another site's is
/// the front page.
pub fn safe_path(path: &str) -> &str {
    let is_ours = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && path.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    if is_ours { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site() {
        assert_eq!(safe_path("/leases/l1?x=1"), "/leases/l1?x=1");
        for path in [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "",
            "/a\r\nb",
        ] {
            assert_eq!(safe_path(path), "/", "{path}");
        }
    }
}
