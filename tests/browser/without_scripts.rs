//! The buyer's whole path in a browser that runs no script: sign up, deposit, the buy sentence, the
//! instrument, the ticket, the confirmation, the lease, the report of a problem.

use sluice::web::server::Limits;

use crate::app::TestApp;
use crate::market::{deliver, hour};
use crate::support::{Person, first_hour};

/// Picks an entry of a list.
async fn pick(person: &Person, css: &str, value: &str) {
    let list = person.find(css).await;
    list.select_by_value(value).await.expect("it can be picked");
}

async fn sign_up_and_deposit(person: &Person) {
    person.go("/").await;
    person.click(".tools a[href='/sign-up']").await;
    person.fill("#name", "听澜科技").await;
    person.fill("#login", "tinglan").await;
    person.fill("#password", "short").await;
    person.click("main form .primary").await;
    person.find("#password-error").await;
    person
        .fill("#password", "a river through the western hills")
        .await;
    person.click("main form .primary").await;
    person.fill("#amount", "1e30").await;
    person.click("main form .primary").await;
    person.find("#amount-error").await;
    person.fill("#amount", "12480").await;
    person.click("main form .primary").await;
    person.find(".notice.good").await;
}

/// From the sentence to the lease.
async fn buy(person: &Person) {
    person.go("/").await;
    person.fill(".sentence [name=units]", "4").await;
    pick(person, ".sentence [name=hours]", "2").await;
    person.click(".wish button").await;
    person.wait_for("total", "80.00").await;
    person.click(".buy-bill a[href^='/market/']").await;
    // The instrument: another length, an hour of the map, then the ticket.
    person.fill("#ticket [name=hours]", "4").await;
    person.click("#ticket button[formaction]").await;
    person.wait_for("picked-period", "–").await;
    person.fill("#units", "8").await;
    person.click("#bill .primary").await;
    person.find("form[action$='/orders'] .primary").await;
    person
        .click("form[action$='/orders'] input[value='pytorch-2.6']")
        .await;
    person.click("form[action$='/orders'] .primary").await;
    person.find(".timeline").await;
}

/// Any two hours until the evening, in runs of an hour: unrolled in place, sent by plain HTML.
async fn buy_flexibly(person: &Person) {
    person.go("/market/A100-80GB.GUZ-GAN.SILVER").await;
    person.click("#ticket [name=timing][value=within]").await;
    person.fill("#ticket [name=hours]", "2").await;
    pick(person, "#ticket [name=to_hour]", "24").await;
    person.click("#ticket [name=split]").await;
    person.fill("#min_run", "3").await;
    person.click("#bill .primary").await;
    person.find("#min_run-error").await;
    person.fill("#min_run", "1").await;
    person.click("#bill .primary").await;
    person.wait_for("outcome-now", "全部成交").await;
    person.click("form[action$='/orders'] .primary").await;
    person.find(".timeline").await;
}

async fn report(app: &TestApp, person: &Person, start: i64) {
    app.clock().set(hour(start + 1));
    app.submit(deliver(1, start, 40)).await;
    person.go("/leases/l1").await;
    person.click("a[href='/leases/l1/problem']").await;
    person.click("form[action$='/problem'] .primary").await;
    person.find("#text-error").await;
    pick(person, "#reason", "slow").await;
    person.fill("#minutes", "10").await;
    person.fill("#units", "8").await;
    person.fill("#text", "吞吐掉到二十分之一").await;
    // The amount is worked out first, and named by the button that claims it.
    person.click("form[action$='/problem'] .primary").await;
    person.wait_for("sum", "13.33").await;
    person.click("form[action$='/problem'] .primary").await;
    person.wait_for("good", "").await;
    let url = person.browser.client.current_url().await;
    assert_eq!(url.expect("a page is open").path(), "/disputes/d1");
}

#[tokio::test]
async fn a_buyer_needs_no_scripts() {
    let rules = sluice::rules::load(None).expect("the standard rules");
    let app = TestApp::with(rules, Limits::default()).await;
    let person = Person::new(&app, "zh-CN").await;
    person.browser.run_scripts(false).await;
    sign_up_and_deposit(&person).await;
    buy(&person).await;
    buy_flexibly(&person).await;
    report(&app, &person, first_hour(&app)).await;
    person.browser.close().await;
    app.stop().await;
}
