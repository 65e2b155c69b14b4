//! Languages: which one a reader gets, and the catalogue's texts in it.
//!
//! One catalogue, `locales/app.yml`, has every text in every language side by side; a test fails
//! on a key that lacks one and on a key that is used but not there.

use std::borrow::Cow;
use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT_LANGUAGE;
use axum::http::request::Parts;
use axum_extra::extract::cookie::CookieJar;

/// The cookie that keeps a reader's choice.
pub const COOKIE: &str = "sluice_locale";

/// A language that every page is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Locale {
    /// Simplified Chinese, the first.
    #[default]
    Zh,
    /// English.
    En,
}

/// Templates pass what they have by reference.
impl From<&Self> for Locale {
    fn from(locale: &Self) -> Self {
        *locale
    }
}

impl Locale {
    /// Every language, in the order of the switch.
    pub const ALL: [Self; 2] = [Self::Zh, Self::En];

    /// Its tag, as in `lang="zh-CN"` and in the catalogue.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Zh => "zh-CN",
            Self::En => "en",
        }
    }

    /// The language of this tag.
    pub fn from_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|locale| locale.tag() == tag)
    }

    /// What a reader chose, else what their browser asks for, else Chinese.
    pub fn of(headers: &HeaderMap) -> Self {
        let jar = CookieJar::from_headers(headers);
        let chosen = jar
            .get(COOKIE)
            .and_then(|cookie| Self::from_tag(cookie.value()));
        let asked = || {
            let header = headers.get(ACCEPT_LANGUAGE)?.to_str().ok()?;
            asked_for(header)
        };
        chosen.or_else(asked).unwrap_or_default()
    }

    /// The catalogue's text of this key.
    pub fn t(self, key: impl AsRef<str>) -> Cow<'static, str> {
        let key = key.as_ref();
        crate::_rust_i18n_try_translate(self.tag(), key)
            .unwrap_or_else(|| Cow::Owned(key.to_owned()))
    }

    /// The catalogue's text of this key with its `%{name}`s filled in.
    pub fn tr<'a, V: AsRef<str>>(
        self,
        key: impl AsRef<str>,
        values: impl AsRef<[(&'a str, V)]>,
    ) -> String {
        values
            .as_ref()
            .iter()
            .fold(self.t(key).into_owned(), |text, (name, value)| {
                text.replace(&format!("%{{{name}}}"), value.as_ref())
            })
    }
}

/// The reader's language, for a handler that draws no whole page.
#[derive(Clone, Copy, Debug)]
pub struct LocaleOf(pub Locale);

impl<S: Sync> FromRequestParts<S> for LocaleOf {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(Locale::of(&parts.headers)))
    }
}

/// The first of our languages by the weights of an `Accept-Language` header.
fn asked_for(header: &str) -> Option<Locale> {
    let mut best: Option<(u32, Locale)> = None;
    for item in header.split(',') {
        let mut parts = item.split(';');
        let tag = parts.next()?.trim().to_ascii_lowercase();
        let weight = parts
            .find_map(|part| part.trim().strip_prefix("q="))
            .map_or(1000, thousandths);
        let locale = match tag.split('-').next() {
            Some("zh") => Locale::Zh,
            Some("en") => Locale::En,
            _ => continue,
        };
        if weight > best.map_or(0, |(weight, _)| weight) {
            best = Some((weight, locale));
        }
    }
    best.map(|(_, locale)| locale)
}

/// A weight such as `0.8`, as 800; what can't be read weighs nothing.
fn thousandths(text: &str) -> u32 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{part:0<3}");
    digits
        .get(..whole.len() + 3)
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_known_language_wins() {
        assert_eq!(asked_for("en-US,en;q=0.9,zh-CN;q=0.8"), Some(Locale::En));
        assert_eq!(asked_for("fr, zh-TW;q=0.7, en;q=0.65"), Some(Locale::Zh));
        assert_eq!(asked_for("fr"), None);
        assert_eq!(asked_for("en;q=0"), None);
        assert_eq!(asked_for("en;q=x, zh;q=0.1"), Some(Locale::Zh));
    }
}
