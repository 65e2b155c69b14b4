//! The whole path in a real browser, in both languages: sign up, deposit, buy eight cards for
//! four hours, and see the lease's hours as they are paid. Every page on the way is looked at on
//! a phone and on a desk, in the light and in the dark, by axe-core and by a camera.

use std::time::Duration;

use fantoccini::Locator;
use serde_json::Value;
use sluice::web::server::Limits;

use crate::app::TestApp;
use crate::market::{deliver, hour};
use crate::shop;
use crate::support::Browser;

const MARKET: &str = "/market/A100-80GB.GUZ-GAN.SILVER";

/// What makes the page scroll sideways.
const TOO_WIDE: &str = "
    if (document.documentElement.scrollWidth <= innerWidth) return [];
    return [...document.querySelectorAll('body *')]
        .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > innerWidth)
        .map((one) => one.outerHTML.slice(0, 80));";

/// What the first page brought over the wire, in bytes.
const WEIGHT: &str = "
    const entries = [performance.getEntriesByType('navigation')[0],
        ...performance.getEntriesByType('resource')];
    return entries.reduce((all, entry) => all + entry.transferSize, 0);";

struct Person {
    browser: Browser,
    url: String,
    language: &'static str,
}

impl Person {
    async fn new(app: &TestApp, language: &'static str) -> Self {
        let browser = Browser::open(language).await;
        Self {
            browser,
            url: app.url.clone(),
            language,
        }
    }

    async fn go(&self, path: &str) {
        let url = format!("{}{path}", self.url);
        self.browser
            .client
            .goto(&url)
            .await
            .expect("the page opens");
    }

    async fn find(&self, css: &str) -> fantoccini::elements::Element {
        let wait = self.browser.client.wait().at_most(Duration::from_secs(60));
        let found = wait.for_element(Locator::Css(css)).await;
        found.unwrap_or_else(|e| panic!("{css} never came: {e}"))
    }

    async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.expect("the field is emptied");
        field.send_keys(text).await.expect("the field is filled in");
    }

    async fn click(&self, css: &str) {
        self.find(css)
            .await
            .click()
            .await
            .expect("it can be clicked");
    }

    async fn script(&self, script: &str) -> Value {
        let done = self.browser.client.execute(script, Vec::new()).await;
        done.unwrap_or_else(|e| panic!("{script}: {e}"))
    }

    /// Waits for a text anywhere in an element; what is live comes by itself.
    async fn wait_for(&self, css: &str, text: &str) {
        let path =
            format!("//*[contains(concat(' ', @class, ' '), ' {css} ')][contains(., '{text}')]");
        let wait = self.browser.client.wait().at_most(Duration::from_secs(60));
        let found = wait.for_element(Locator::XPath(&path)).await;
        found.unwrap_or_else(|e| panic!(".{css} never said {text}: {e}"));
    }

    /// Looks at the page in every size and colour.
    async fn look(&self, name: &str) {
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
        browser.resize(1440, 900).await;
        let complaints = browser.complaints().await;
        // A page that is refused or not there is a failure to the console, and meant.
        let complaints: Vec<_> = complaints
            .iter()
            .filter(|one| !one.contains("(Unprocessable") && !one.contains("(Not Found)"))
            .collect();
        assert!(complaints.is_empty(), "{name}: {complaints:#?}");
    }
}

async fn buy_in(language: &'static str) {
    let rules = sluice::rules::load(None).expect("the standard rules");
    let app = TestApp::with(rules, Limits::default()).await;
    shop::open(&app).await;
    let person = Person::new(&app, language).await;
    person.go("/").await;
    let weight = person.script(WEIGHT).await.as_u64().expect("a number");
    assert!(
        (10_000..100_000).contains(&weight),
        "the first page weighs {weight} bytes"
    );
    person.look("market-visitor").await;
    person.click(".tools a[href='/sign-up']").await;
    person.fill("#name", "x").await;
    person.fill("#login", "tinglan").await;
    person.fill("#password", "too short").await;
    person.click("main form .primary").await;
    person.find("#password-error").await;
    person.look("sign-up-refused").await;
    person.fill("#name", "听澜科技").await;
    person
        .fill("#password", "a river through the western hills")
        .await;
    person.click("main form .primary").await;
    person.find("#amount").await;
    person.look("wallet-empty").await;
    person.fill("#amount", "12480").await;
    person.click("main form .primary").await;
    person.find(".notice.good").await;
    person.look("wallet").await;
    person.go("/").await;
    person.find("form[action$='/orders'] .primary").await;
    person.look("market").await;
    person.go(&format!("{MARKET}?hours=4")).await;
    person.fill("#units", "8").await;
    person.wait_for("sum", "320.00").await;
    person.look("instrument").await;
    person.click("form[action$='/orders'] .primary").await;
    watch_the_lease(&app, &person).await;
    for (path, name) in [
        ("/orders", "orders"),
        ("/leases", "leases"),
        ("/nowhere", "not-found"),
    ] {
        person.go(path).await;
        person.look(name).await;
    }
    person.browser.close().await;
    app.stop().await;
}

/// The hours are paid while the page is open; nobody reloads it.
async fn watch_the_lease(app: &TestApp, person: &Person) {
    person.find(".timeline").await;
    let url = person
        .browser
        .client
        .current_url()
        .await
        .expect("a page is open");
    assert!(url.path().starts_with("/leases/"), "{url}");
    let lease: i64 = url
        .path()
        .trim_start_matches("/leases/l")
        .parse()
        .expect("a number");
    person.find("body[data-live='on']").await;
    app.clock().set(hour(2));
    app.submit(deliver(lease, 1, 60)).await;
    person.wait_for("hours", "480 / 480").await;
    app.clock().set(hour(3));
    app.submit(deliver(lease, 2, 47)).await;
    person.wait_for("hours", "376 / 480").await;
    person.wait_for("short-row", "17.3334").await;
    person.look("lease").await;
}

#[tokio::test]
async fn a_person_buys_in_chinese() {
    buy_in("zh-CN").await;
}

#[tokio::test]
async fn a_person_buys_in_english() {
    buy_in("en").await;
}
