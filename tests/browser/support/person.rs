//! Somebody at a browser, who looks at every page in every size and colour.

use std::time::Duration;

use fantoccini::Locator;
use serde_json::Value;

use super::Browser;
use crate::app::TestApp;
use crate::visitor::Visitor;

/// What makes the page scroll sideways.
const TOO_WIDE: &str = "
    if (document.documentElement.scrollWidth <= innerWidth) return [];
    return [...document.querySelectorAll('body *')]
        .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > innerWidth)
        .map((one) => one.outerHTML.slice(0, 80));";

/// Somebody at a browser, on one site and in one language.
pub(crate) struct Person {
    /// The browser.
    pub(crate) browser: Browser,
    url: String,
    language: &'static str,
}

impl Person {
    /// Opens a browser.
    pub(crate) async fn new(app: &TestApp, language: &'static str) -> Self {
        Self::at(&app.url, language).await
    }

    /// Opens a browser that finds the site at this address.
    pub(crate) async fn at(url: &str, language: &'static str) -> Self {
        Self {
            browser: Browser::open(language).await,
            url: url.to_owned(),
            language,
        }
    }

    /// Goes to a page.
    pub(crate) async fn go(&self, path: &str) {
        let url = format!("{}{path}", self.url);
        self.browser
            .client
            .goto(&url)
            .await
            .expect("the page opens");
    }

    /// Goes on as another person, who has signed in elsewhere or not at all.
    pub(crate) async fn become_another(&self, other: &Visitor) {
        let token = other.cookies.get("sluice").map_or("", String::as_str);
        self.browser.keep_cookie(&self.url, "sluice", token).await;
    }

    /// What a selector finds, once it is there.
    pub(crate) async fn find(&self, css: &str) -> fantoccini::elements::Element {
        let wait = self.browser.client.wait().at_most(Duration::from_secs(60));
        let found = wait.for_element(Locator::Css(css)).await;
        found.unwrap_or_else(|e| panic!("{css} never came: {e}"))
    }

    /// Types a text in the place of what is there.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        // What is live may be drawn anew between finding a field and reaching it.
        for _ in 0..10 {
            let field = self.find(css).await;
            if field.clear().await.is_ok() && field.send_keys(text).await.is_ok() {
                return;
            }
        }
        panic!("{css} can't be filled in");
    }

    /// Picks an option of a list by its value.
    pub(crate) async fn pick(&self, css: &str, value: &str) {
        // What is live may be drawn anew between finding a list and reaching it.
        for _ in 0..10 {
            if self.find(css).await.select_by_value(value).await.is_ok() {
                return;
            }
        }
        panic!("{css} has no {value}");
    }

    /// Clicks.
    pub(crate) async fn click(&self, css: &str) {
        // What is live may be drawn anew between finding a button and reaching it.
        for _ in 0..10 {
            match self.find(css).await.click().await {
                Err(error) if error.is_stale_element_reference() => {}
                clicked => return clicked.expect("it can be clicked"),
            }
        }
        panic!("{css} can't be clicked");
    }

    /// Clicks on what leads to another page, or to this one anew, and waits for it: what is found
    /// after is not what was there before.
    pub(crate) async fn leave(&self, css: &str) {
        self.script("window.wasLeft = false").await;
        self.click(css).await;
        let arrived = "return String(window.wasLeft === undefined)";
        self.until(arrived, "true", css).await;
    }

    /// Runs a script in the page.
    pub(crate) async fn script(&self, script: &str) -> Value {
        let done = self.browser.client.execute(script, Vec::new()).await;
        done.unwrap_or_else(|e| panic!("{script}: {e}"))
    }

    /// Waits for a text anywhere in an element; what is live comes by itself.
    pub(crate) async fn wait_for(&self, css: &str, text: &str) {
        let path =
            format!("//*[contains(concat(' ', @class, ' '), ' {css} ')][contains(., '{text}')]");
        let wait = self.browser.client.wait().at_most(Duration::from_secs(60));
        let found = wait.for_element(Locator::XPath(&path)).await;
        found.unwrap_or_else(|e| panic!(".{css} never said {text}: {e}"));
    }

    /// Waits until a script that runs in the page returns this.
    pub(crate) async fn until(&self, script: &str, wanted: &str, what: &str) {
        for _ in 0..600 {
            if self.script(script).await == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("it never came that {what}");
    }

    /// Looks at the page in every size and colour.
    pub(crate) async fn look(&self, name: &str) {
        let browser = &self.browser;
        for colours in ["light", "dark"] {
            browser.prefer_colours(colours).await;
            for width in [360, 1440] {
                browser.resize(width, 900).await;
                let height = self
                    .script("return document.documentElement.scrollHeight")
                    .await;
                let height = height
                    .as_u64()
                    .and_then(|height| u32::try_from(height).ok());
                browser
                    .resize(width, height.expect("a height").max(900))
                    .await;
                let language = self.language;
                browser
                    .screenshot(&format!("{name}-{language}-{width}-{colours}"))
                    .await;
                let wide = self.script(TOO_WIDE).await;
                assert_eq!(wide, Value::Array(Vec::new()), "{name} at {width}");
                browser.assert_accessible().await;
            }
        }
        browser.prefer_colours("light").await;
        for width in [768, 1100, 1200, 1440] {
            browser.resize(width, 900).await;
            let wide = self.script(TOO_WIDE).await;
            assert_eq!(wide, Value::Array(Vec::new()), "{name} at {width}");
        }
        let text = self.script("return document.body.innerText").await;
        let text = text.as_str().expect("a text");
        assert!(
            !text.contains("%{"),
            "{name} has a name not filled in: {text}"
        );
        let complaints = browser.complaints().await;
        // A page that is refused or not there is a failure to the console, and meant; so is a
        // question that gives way to the next one.
        let meant = [
            "(Unprocessable",
            "(Not Found)",
            "(Conflict)",
            "htmx:sendAbort",
            "htmx:afterRequest",
        ];
        let is_meant = |one: &&String| meant.iter().any(|meant| one.contains(meant));
        let complaints: Vec<_> = complaints.iter().filter(|one| !is_meant(one)).collect();
        assert!(complaints.is_empty(), "{name}: {complaints:#?}");
    }
}
