//! What only a browser can do to a form: go back to it, open it twice, click it twice, lose the
//! network while it is sent.

use std::time::Duration;

use fantoccini::Locator;
use fantoccini::actions::{InputSource, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
use market::Rules;
use sluice::web::Role;
use sluice::web::server::Limits;

use crate::app::TestApp;
use crate::market::BUYER;
use crate::people::member;
use crate::support::{Between, Network, Person};

const CONFIRM: &str = "/market/A100-80GB.GUZ-GAN.SILVER/confirm?units=8&hours=4";
const BUY: &str = "form[action$='/orders'] .primary";
const DEPOSIT: &str = "form[action='/wallet/deposits'] .primary";

/// A buyer at a browser, signed in.
async fn buyer() -> (TestApp, Person) {
    let app = TestApp::with(Rules::none(), Limits::default()).await;
    let ada = member(&app, BUYER.0, &[Role::Owner], "ada").await;
    let person = Person::new(&app, "en").await;
    person.become_another(&ada).await;
    (app, person)
}

async fn end(app: TestApp, person: Person) {
    person.browser.close().await;
    app.stop().await;
}

async fn count(app: &TestApp, sql: &'static str) -> i64 {
    let count = sqlx::query_scalar(sql).fetch_one(&app.database.pool);
    count.await.expect("a count")
}

/// How many orders the buyer has.
async fn orders(app: &TestApp) -> i64 {
    count(app, "SELECT count(*) FROM orders WHERE participant = 2").await
}

/// How many deposits people have made.
async fn deposits(app: &TestApp) -> i64 {
    count(app, "SELECT count(*) FROM deposits WHERE state = 'booked'").await
}

async fn value(person: &Person, css: &str) -> String {
    let value = person.find(css).await.prop("value").await;
    value.expect("a property").unwrap_or_default()
}

async fn path(person: &Person) -> String {
    let url = person.browser.client.current_url().await;
    url.expect("a page is open").path().to_owned()
}

#[tokio::test]
async fn going_back_after_an_order_shows_that_it_was_ordered() {
    let (app, person) = buyer().await;
    person.go(CONFIRM).await;
    person.click(BUY).await;
    person.find(".timeline").await;
    let client = &person.browser.client;
    client.back().await.expect("it goes back");
    person.wait_for("good", "it is order o2").await;
    let offered = person
        .script("return document.querySelector('form[action$=\"/orders\"] button.primary')")
        .await;
    assert!(offered.is_null(), "nothing is left to send: {offered}");
    // And forward and back again, with a reload on the way.
    client.forward().await.expect("it goes forward");
    person.find(".timeline").await;
    client.back().await.expect("it goes back");
    client.refresh().await.expect("it is loaded anew");
    person.wait_for("good", "it is order o2").await;
    assert_eq!(orders(&app).await, 1);
    end(app, person).await;
}

#[tokio::test]
async fn going_back_after_a_deposit_books_nothing_more() {
    let (app, person) = buyer().await;
    person.go("/wallet").await;
    person.fill("#amount", "70").await;
    person.click(DEPOSIT).await;
    person.find(".notice.good").await;
    let client = &person.browser.client;
    for _ in 0..2 {
        client.back().await.expect("it goes back");
        person
            .find("form[action='/wallet/deposits'] .primary:not([disabled])")
            .await;
        assert_eq!(path(&person).await, "/wallet");
        client.refresh().await.expect("it is loaded anew");
        client.forward().await.expect("it goes forward");
        person.find(".notice.good").await;
        client.refresh().await.expect("it is loaded anew");
    }
    assert_eq!(deposits(&app).await, 1);
    end(app, person).await;
}

#[tokio::test]
async fn one_ticket_in_two_tabs_is_one_order() {
    let (app, person) = buyer().await;
    let client = &person.browser.client;
    person.go(CONFIRM).await;
    person.find(BUY).await;
    let ticket = client.current_url().await.expect("a page is open");
    let first = client.window().await.expect("a window");
    let second = client.new_window(true).await.expect("a second tab").handle;
    client
        .switch_to_window(second.clone())
        .await
        .expect("it is there");
    client.goto(ticket.as_str()).await.expect("the page opens");
    person.find(BUY).await;
    client.switch_to_window(first).await.expect("it is there");
    person.click(BUY).await;
    person.find(".timeline").await;
    client.switch_to_window(second).await.expect("it is there");
    person.click(BUY).await;
    // The second tab is led to the order that the first one made.
    person.wait_for("under", "o2").await;
    assert_eq!(path(&person).await, "/orders/o2");
    assert_eq!(orders(&app).await, 1);
    end(app, person).await;
}

#[tokio::test]
async fn what_is_typed_in_one_tab_survives_signing_out_in_another() {
    let (app, person) = buyer().await;
    person.go("/wallet").await;
    person.fill("#amount", "１23.4").await;
    let ended = "DELETE FROM sessions WHERE user_id = (SELECT id FROM users WHERE login = 'ada')";
    let ended = sqlx::query(ended).execute(&app.database.pool).await;
    ended.expect("the session is over");
    person.click(DEPOSIT).await;
    person.find("#password").await;
    assert_eq!(path(&person).await, "/sign-in");
    let again = member(&app, BUYER.0, &[Role::Owner], "eve").await;
    let next = value(&person, "input[name=next]").await;
    person.become_another(&again).await;
    person.go(&next).await;
    assert_eq!(value(&person, "#amount").await, "１23.4");
    person.wait_for("quiet", "Nothing was sent").await;
    assert_eq!(deposits(&app).await, 0);
    end(app, person).await;
}

/// What the page says of a form that it could not send.
async fn wait_for_word(person: &Person, text: &str) {
    let said = format!("//*[@id='notice'][contains(., '{text}')]");
    let wait = person
        .browser
        .client
        .wait()
        .at_most(Duration::from_secs(20));
    let found = wait.for_element(Locator::XPath(&said)).await;
    found.unwrap_or_else(|e| panic!("nobody said {text}: {e}"));
}

#[tokio::test]
async fn a_form_that_meets_no_network_says_so_and_is_sent_once_it_is_back() {
    let app = TestApp::with(Rules::none(), Limits::default()).await;
    let ada = member(&app, BUYER.0, &[Role::Owner], "ada").await;
    let between = Between::new(&app.url).await;
    let person = Person::at(&between.url, "en").await;
    person.become_another(&ada).await;
    person.go("/wallet").await;
    person.fill("#amount", "70").await;
    // The browser knows that it is offline: then nothing was sent.
    person.browser.be_offline(true).await;
    between.set(Network::Closes);
    person.click(DEPOSIT).await;
    wait_for_word(&person, "You are offline, and this was not sent").await;
    assert_eq!(value(&person, "#amount").await, "70");
    person.browser.assert_accessible().await;
    // It does not know: then it can't say whether it was.
    person.browser.be_offline(false).await;
    person.click(DEPOSIT).await;
    wait_for_word(&person, "it is not known whether this arrived").await;
    assert_eq!(value(&person, "#amount").await, "70");
    assert_eq!(deposits(&app).await, 0);
    between.set(Network::Works);
    person.click(DEPOSIT).await;
    person.find(".notice.good").await;
    assert_eq!(deposits(&app).await, 1);
    end(app, person).await;
}

#[tokio::test]
async fn an_order_whose_answer_is_lost_is_one_order() {
    let app = TestApp::with(Rules::none(), Limits::default()).await;
    let ada = member(&app, BUYER.0, &[Role::Owner], "ada").await;
    let between = Between::new(&app.url).await;
    let person = Person::at(&between.url, "en").await;
    person.become_another(&ada).await;
    person.go(CONFIRM).await;
    person.find(BUY).await;
    between.set(Network::LosesAnswers);
    person.click(BUY).await;
    while orders(&app).await == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    between.set(Network::Closes);
    wait_for_word(&person, "it is not known whether this arrived").await;
    between.set(Network::Works);
    person.click(BUY).await;
    // The same button leads to what it had ordered.
    person.wait_for("under", "o2").await;
    assert_eq!(orders(&app).await, 1);
    end(app, person).await;
}

async fn click_twice(person: &Person, css: &str) {
    let press = PointerAction::Down {
        button: MOUSE_BUTTON_LEFT,
    };
    let release = PointerAction::Up {
        button: MOUSE_BUTTON_LEFT,
    };
    let twice = MouseActions::new("mouse".to_owned())
        .then(PointerAction::MoveToElement {
            element: person.find(css).await,
            duration: None,
            x: 0.0,
            y: 0.0,
        })
        .then(press.clone())
        .then(release.clone())
        .then(press)
        .then(release);
    let clicked = person.browser.client.perform_actions(twice).await;
    clicked.expect("it is clicked twice");
}

#[tokio::test]
async fn a_double_click_is_one_order_with_scripts_or_without() {
    let (app, person) = buyer().await;
    for (runs_scripts, ordered) in [(true, 1), (false, 2)] {
        person.browser.run_scripts(runs_scripts).await;
        person.go(CONFIRM).await;
        click_twice(&person, BUY).await;
        // The later of two answers is shown: the lease, or the order that is there already.
        person
            .find("nav a[aria-current][href='/leases'], nav a[aria-current][href='/orders']")
            .await;
        assert_eq!(orders(&app).await, ordered);
    }
    end(app, person).await;
}

#[tokio::test]
async fn what_is_refused_is_said_on_the_page_that_it_was_typed_on() {
    let (app, person) = buyer().await;
    person.go("/wallet").await;
    person.fill("#amount", "-70").await;
    person.click(DEPOSIT).await;
    person.find("#amount-error").await;
    assert_eq!(
        path(&person).await,
        "/wallet",
        "the address stays the page's"
    );
    assert_eq!(value(&person, "#amount").await, "-70");
    let reached = person.script("return document.activeElement.id").await;
    assert_eq!(reached, "amount", "the field that is wrong is gone on with");
    person.browser.assert_accessible().await;
    person.fill("#amount", "70").await;
    person.click(DEPOSIT).await;
    person.find(".notice.good").await;
    assert_eq!(deposits(&app).await, 1);
    end(app, person).await;
}
