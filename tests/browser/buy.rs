//! The whole path in a real browser, in both languages: sign up, deposit, buy eight cards for
//! four hours, and see the lease's hours as they are paid. Every page on the way is looked at on
//! a phone and on a desk, in the light and in the dark, by axe-core and by a camera.

use sluice::web::server::Limits;

use crate::app::TestApp;
use crate::market::{deliver, hour};
use crate::shop;
use crate::support::Person;

const MARKET: &str = "/market/A100-80GB.GUZ-GAN.SILVER";

/// What the first page brought over the wire, in bytes.
const WEIGHT: &str = "
    const entries = [performance.getEntriesByType('navigation')[0],
        ...performance.getEntriesByType('resource')];
    return entries.reduce((all, entry) => all + entry.transferSize, 0);";

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
    person.leave("main form .primary").await;
    person.find(".notice.good").await;
    person.look("wallet").await;
    person.go("/").await;
    person.find("form[action$='/confirm'] .primary").await;
    person.look("market").await;
    person.go(&format!("{MARKET}?hours=4")).await;
    person.fill("#units", "8").await;
    person.wait_for("sum", "320.00").await;
    person.look("instrument").await;
    person.click("#bill .primary").await;
    person.find("form[action$='/orders'] .primary").await;
    person.look("confirm").await;
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
