//! The marketplace's own people at work in a real browser, in both languages: the desk, a
//! certificate given and one refused, a participant suspended, the books with an audit, and one
//! box that finds everything. Every page is looked at by axe-core and by a camera.

use market::{Command, LeaseId, Money, ParticipantId};
use sluice::web::Role;
use sluice::web::server::Limits;

use crate::app::TestApp;
use crate::market::{BUYER, PROVIDER, bid, deliver, hour};
use crate::people::{self, application, member, of_platform};
use crate::shop;
use crate::support::Person;

/// A market with some trade: a lease of which hours are paid, one is short and two have no
/// readings, and a dispute about it; applications that wait.
pub(crate) async fn busy() -> TestApp {
    let rules = sluice::rules::load(None).expect("the standard rules");
    let app = TestApp::with(rules, Limits::default()).await;
    shop::open(&app).await;
    app.submit(bid("web-leased", 8, 150_000, (1, 7))).await;
    app.clock().set(hour(4));
    let lease: i64 = sqlx::query_scalar("SELECT max(id) FROM leases")
        .fetch_one(&app.database.pool)
        .await
        .expect("there is a lease");
    app.submit(deliver(lease, 1, 60)).await;
    app.submit(deliver(lease, 2, 47)).await;
    app.clock()
        .set(market::Timestamp(hour(5).0 + 20 * 60_000_000));
    app.submit(Command::OpenDispute {
        participant: BUYER,
        lease: LeaseId(lease),
        amount: Money(500_000),
    })
    .await;
    for name in [
        "贵安演示算力",
        "中卫西云数据科技",
        "A rather long English name of a laboratory",
    ] {
        let participant = people::participant(&app, name).await;
        application(&app, participant).await;
    }
    app
}

async fn oversee_in(language: &'static str) {
    let app = busy().await;
    let operations = of_platform(&app, Role::Operations).await;
    let auditor = of_platform(&app, Role::Auditor).await;
    let owner = member(&app, BUYER.0, &[Role::Owner], "owner@tinglan.example").await;
    let person = Person::new(&app, language).await;
    person.become_another(&operations).await;
    person.go("/ops").await;
    person.look("desk").await;
    decide(&person).await;
    suspend(&person).await;
    person.become_another(&owner).await;
    person.go("/wallet").await;
    person.find(".suspended").await;
    person.look("wallet-suspended").await;
    person.become_another(&auditor).await;
    read_the_books(&person).await;
    look_up(&person).await;
    person.browser.close().await;
    app.stop().await;
}

/// One is certified, one refused, the third can be seen.
async fn decide(person: &Person) {
    person.go("/ops/applications").await;
    person.look("applications").await;
    person.click("tbody th a").await;
    person.click("form[action$='/refuse'] button").await;
    person.find("#reason-error").await;
    person.look("application-refused-without-reason").await;
    person.leave("form[action$='/certify'] button").await;
    person.find(".notice.good").await;
    person.look("application-certified").await;
    person.go("/ops/applications/2").await;
    person.click("#reason option[value='other']").await;
    person.fill("#note", "机房租赁合同缺少盖章页。").await;
    person.leave("form[action$='/refuse'] button").await;
    person.find(".notice.good").await;
    person.go("/ops/applications?state=refused").await;
    person.look("applications-decided").await;
}

async fn suspend(person: &Person) {
    person.go("/ops/participants").await;
    person.look("participants").await;
    person.go(&format!("/ops/participants/{BUYER}")).await;
    person.look("participant").await;
    person.click("#reason option[value='undelivered']").await;
    person.leave("form[action$='/suspend'] button").await;
    person.find(".notice.good").await;
    person.look("participant-suspended").await;
    person
        .go(&format!("/ops/participants/{}", ParticipantId(PROVIDER.0)))
        .await;
    person.look("participant-provider").await;
}

async fn read_the_books(person: &Person) {
    person.go("/ops/ledger").await;
    person.look("trial-balance").await;
    person
        .click("form[action='/ops/ledger/audit'] button")
        .await;
    // Where a page is left before its form was sent, the form never is.
    person.find("#audit :is([role=status], summary)").await;
    for _ in 0..600 {
        person.go("/ops/ledger").await;
        let is_running = person.script("return !!document.querySelector('#audit [role=status]')");
        if is_running.await == false {
            break;
        }
    }
    person.click("#audit summary").await;
    person.look("trial-balance-audited").await;
    person.go("/ops/journal").await;
    person.look("journal").await;
    person.fill("#about", "nonsense").await;
    person.click("form.filter button").await;
    person.find("#about-error").await;
    person.look("journal-refused").await;
    person.fill("#about", "t1").await;
    person.click("form.filter button").await;
    person.find(".entries").await;
    person.click(".entries tbody th a").await;
    person.find(".stacked").await;
    person.look("entry").await;
}

async fn look_up(person: &Person) {
    person.browser.resize(1440, 900).await;
    person.fill("#find", "1").await;
    person.click(".tools .find button").await;
    person.find(".queue").await;
    person.look("search-many").await;
    person.go("/ops/search?q=nothing+like+it").await;
    person.look("search-none").await;
    for (path, name) in [
        ("/ops/search?q=web-leased", "overseen-order"),
        ("/ops/trades/t1", "overseen-trade"),
    ] {
        person.go(path).await;
        person.find(".chain").await;
        person.look(name).await;
    }
    person.go("/ops/search?q=web-leased").await;
    person.click(".table td a").await;
    person.find("#hours").await;
    person.look("overseen-lease").await;
}

#[tokio::test]
async fn the_marketplace_is_overseen_in_chinese() {
    oversee_in("zh-CN").await;
}

#[tokio::test]
async fn the_marketplace_is_overseen_in_english() {
    oversee_in("en").await;
}
