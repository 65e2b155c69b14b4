//! An order that needs a second person, and one that is changed, in a real browser and in both
//! languages. The approver's list fills by itself; every page on the way is looked at.

use sluice::web::Role;
use sluice::web::server::Limits;

use crate::app::TestApp;
use crate::market::{BUYER, PROVIDER};
use crate::people::member;
use crate::support::Person;

const MARKET: &str = "/market/A100-80GB.GUZ-GAN.SILVER";

async fn approve_in(language: &'static str) {
    let rules = sluice::rules::load(None).expect("the standard rules");
    let app = TestApp::with(rules, Limits::default()).await;
    let owner = member(&app, BUYER.0, &[Role::Owner], "owner").await;
    let bob = member(&app, BUYER.0, &[Role::Buyer], "bob").await;
    let pat = member(&app, PROVIDER.0, &[Role::Operator], "pat").await;
    let mut ann = member(&app, BUYER.0, &[Role::Approver], "ann").await;
    let person = Person::new(&app, language).await;
    person.go("/sign-in").await;
    person.become_another(&owner).await;
    person.go("/settings/members").await;
    person.fill("#above", "much").await;
    person.click("#approval button").await;
    person.find("#above-error").await;
    person.look("approval-amount-refused").await;
    person.fill("#above", "300").await;
    person.leave("#approval button").await;
    person.find(".notice.good").await;
    person.look("approval-amount").await;
    person.become_another(&bob).await;
    person
        .go(&format!("{MARKET}/confirm?units=8&hours=4"))
        .await;
    person.find(".review .notice").await;
    person.look("confirm-asks").await;
    person.click("form[action$='/orders'] .primary").await;
    person.find("form[action$='/withdraw']").await;
    person.look("request-own").await;
    person.become_another(&pat).await;
    person.go("/orders").await;
    person.look("orders-of-a-provider").await;
    // Another request arrives while the approver looks at the list.
    person.become_another(&owner).await;
    person.go("/orders").await;
    person.find("body[data-live='on']").await;
    let mut tab = bob.clone();
    let symbol = MARKET.trim_start_matches("/market/");
    tab.order(symbol, &[("units", "16")]).await;
    person.wait_for("order", "16 × A100-80GB").await;
    person.look("orders-waiting").await;
    person.go("/orders/requests/r1").await;
    person.click("form[action$='/decline'] button").await;
    person.find("#reason-error").await;
    person.look("request-refused").await;
    person.click("form[action$='/approve'] button").await;
    person.find(".timeline").await;
    let reason = [("reason", "太贵，下周再说。")];
    ann.post("/orders/requests/r2/decline", &reason).await;
    person.go("/orders/requests/r2").await;
    person.look("request-declined").await;
    change(&person).await;
    person.browser.close().await;
    app.stop().await;
}

/// An order that rests is changed: refused, looked at, confirmed.
async fn change(person: &Person) {
    let ticket = "mode=advanced&units=4&price=9.00&hours=4&client_id=web-browser-0000000001";
    person.go(&format!("{MARKET}/confirm?{ticket}")).await;
    person.click("form[action$='/orders'] .primary").await;
    person.find("#change").await;
    person.look("order-resting").await;
    person.fill("#units", "4.5").await;
    person.click("#change button").await;
    person.find("#units-error").await;
    person.look("change-refused").await;
    person.fill("#units", "3").await;
    person.click("#change button").await;
    person.find("#place").await;
    person.look("change-confirm").await;
    person.leave("form[action$='/replace'] button").await;
    person.find(".notice.good").await;
    person.go("/orders").await;
    person.look("orders-of-all-kinds").await;
}

#[tokio::test]
async fn an_order_is_approved_in_chinese() {
    approve_in("zh-CN").await;
}

#[tokio::test]
async fn an_order_is_approved_in_english() {
    approve_in("en").await;
}
