//! A page whose live feed is lost, by a connection that is closed or one that hangs: it says so,
//! comes back by itself, and then shows what has changed meanwhile.

use std::time::Duration;

use fantoccini::Locator;
use market::Rules;
use sluice::web::server::Limits;

use crate::app::TestApp;
use crate::market::bid;
use crate::support::{Between, Browser, Network};

const PAGE: &str = "/market/A100-80GB.GUZ-GAN.SILVER?day=2026-10-25&hour=9&hours=4";

/// The hours after the opening that [`PAGE`] is of.
const HOURS: (i64, i64) = (1, 5);

async fn find(browser: &Browser, css: &str) -> fantoccini::elements::Element {
    let wait = browser.client.wait().at_most(Duration::from_secs(60));
    let found = wait.for_element(Locator::Css(css)).await;
    found.unwrap_or_else(|e| panic!("{css} never came: {e}"))
}

/// Waits until the banner is there, or not.
async fn wait_for_banner(browser: &Browser, is_there: bool) {
    let css = if is_there {
        "body[data-live='lost'] #stale:not([hidden])"
    } else {
        "body[data-live='on'] #stale[hidden]"
    };
    find(browser, css).await;
    let banner = find(browser, "#stale").await;
    let seen = banner.is_displayed().await.expect("it can be seen or not");
    assert_eq!(seen, is_there, "the banner is displayed");
}

async fn best_bid(browser: &Browser) -> String {
    let best = find(browser, ".book .bid .best").await;
    best.text().await.expect("it has a text")
}

#[tokio::test]
async fn a_feed_that_is_lost_is_said_and_comes_back_with_what_has_changed() {
    let app = TestApp::with(Rules::none(), Limits::default()).await;
    app.submit(bid("first", 8, 90_000, HOURS)).await;
    let between = Between::new(&app.url).await;
    let browser = Browser::open("en").await;
    let url = format!("{}{PAGE}", between.url);
    browser.client.goto(&url).await.expect("the page opens");
    wait_for_banner(&browser, false).await;
    assert_eq!(best_bid(&browser).await, "9.00");
    let mark = "window.isTheSamePage = true; return true;";
    browser.client.execute(mark, Vec::new()).await.expect("ok");
    let mut price = 90_000;
    for network in [Network::Closes, Network::Hangs] {
        between.set(network);
        wait_for_banner(&browser, true).await;
        browser.screenshot(&format!("feed-lost-{network:?}")).await;
        price += 1_000;
        app.submit(bid(&format!("while-{network:?}"), 8, price, HOURS))
            .await;
        between.set(Network::Works);
        wait_for_banner(&browser, false).await;
        let shown = format!("9.{}0", (price - 90_000) / 1_000);
        assert_eq!(best_bid(&browser).await, shown, "after it {network:?}");
        // It is live, not only right.
        price += 1_000;
        app.submit(bid(&format!("after-{network:?}"), 8, price, HOURS))
            .await;
        let shown = format!("9.{}0", (price - 90_000) / 1_000);
        let path = format!("//*[@class='bid']/td[contains(@class, 'best')][.='{shown}']");
        let wait = browser.client.wait().at_most(Duration::from_secs(60));
        let found = wait.for_element(Locator::XPath(&path)).await;
        found.unwrap_or_else(|e| panic!("{shown} never came: {e}"));
    }
    let same = "return window.isTheSamePage === true;";
    let same = browser.client.execute(same, Vec::new()).await.expect("ok");
    assert_eq!(same, true, "nobody has loaded the page anew");
    browser.close().await;
    drop(between);
    app.stop().await;
}
