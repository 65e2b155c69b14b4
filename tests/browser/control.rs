//! Operations at work on the market in a real browser, in both languages: a halt, a relation, a
//! default, and what the parties see of each. Every page is looked at by axe-core and by a camera.

use market::{Command, LeaseId, ParticipantId, Timestamp};
use sluice::web::Role;

use crate::app::TestApp;
use crate::market::{BUYER, PROVIDER, bid, hour};
use crate::oversight::busy;
use crate::people::{member, of_platform};
use crate::support::Person;

/// The lease that is found failed: of two hours some minutes are over.
async fn a_lease(app: &TestApp) -> LeaseId {
    app.submit(bid("web-failed", 8, 150_000, (6, 12))).await;
    let lease = sqlx::query_scalar("SELECT max(id) FROM leases");
    let lease: i64 = lease.fetch_one(&app.database.pool).await.expect("a lease");
    LeaseId(lease)
}

async fn intervene_in(language: &'static str) {
    let app = busy().await;
    let lease = a_lease(&app).await;
    let operations = of_platform(&app, Role::Operations).await;
    let buyer = member(&app, BUYER.0, &[Role::Owner], "owner@tinglan.example").await;
    let provider = member(&app, PROVIDER.0, &[Role::Owner], "wang").await;
    let person = Person::new(&app, language).await;
    person.become_another(&operations).await;
    halt(&person).await;
    relate(&person).await;
    find_failed(&person, lease).await;
    person.become_another(&buyer).await;
    person.go(&format!("/leases/{lease}")).await;
    person.find(".failure").await;
    person.look("lease-failed").await;
    person.go("/market/A100-80GB.GUZ-GAN.SILVER").await;
    person.find(".told .notice").await;
    person.look("instrument-halted").await;
    // What is open learns that the halt is over: no event says so.
    app.clock().set(Timestamp(hour(8).0));
    app.submit(Command::Tick).await;
    let gone = "return String(!document.querySelector('.told .notice'))";
    person.until(gone, "true", "the halt's notice goes").await;
    person.become_another(&provider).await;
    person.go(&format!("/provide/leases/{lease}")).await;
    person.find(".failure").await;
    person.look("provider-lease-failed").await;
    person.browser.close().await;
    app.stop().await;
}

async fn halt(person: &Person) {
    person.go("/ops/halts").await;
    person.look("halts-empty").await;
    person.fill("#symbol", "A100-80GB.GUZ-GAN.GOLD.NONE").await;
    person.fill("#minutes", "0").await;
    person.click("form[action='/ops/halts'] button").await;
    person.find("#symbol-error").await;
    person.look("halt-refused").await;
    person.fill("#symbol", "A100-80GB.GUZ-GAN.SILVER").await;
    person.fill("#minutes", "45").await;
    person.pick("#reason", "abnormal_price").await;
    person
        .fill("#note", "十分钟内五笔成交高于中位价一倍，正在核查。")
        .await;
    person.leave("form[action='/ops/halts'] button").await;
    person.find(".notice.good").await;
    person.fill("#symbol", "A100-80GB.GUZ-GAN.SILVER").await;
    person.fill("#minutes", "90").await;
    person.pick("#reason", "investigation").await;
    person.leave("form[action='/ops/halts'] button").await;
    person.find(".notice.good").await;
    person.look("halts").await;
}

async fn relate(person: &Person) {
    let of = [
        "贵安演示算力",
        "中卫西云数据科技",
        "A rather long English name of a laboratory",
    ];
    person.go("/ops/relations").await;
    for pair in of.windows(2) {
        person.fill("#one", pair[0]).await;
        person.fill("#other", pair[1]).await;
        person.pick("#reason", "control").await;
        person
            .fill("#note", "工商登记 2026-10-20：两家的实际控制人是同一人。")
            .await;
        person.leave("form[action='/ops/relations'] button").await;
        person.find(".notice.good").await;
    }
    person.look("relations").await;
    person
        .fill("#one", &ParticipantId(BUYER.0).to_string())
        .await;
    person
        .fill("#other", &ParticipantId(BUYER.0).to_string())
        .await;
    person.click("form[action='/ops/relations'] button").await;
    person.find("#other-error").await;
    person.look("relation-refused").await;
}

async fn find_failed(person: &Person, lease: LeaseId) {
    person.go(&format!("/ops/leases/{lease}")).await;
    person.leave("a[href$='/default']").await;
    person.look("default").await;
    person.pick("#reason", "withdrawn").await;
    person
        .fill("#note", "供方通知三台主机被收回，无法在时限内恢复。")
        .await;
    person.leave("form[action$='/default'] button").await;
    person.find(".failure").await;
    person.look("default-found").await;
    person.go(&format!("/ops/leases/{lease}")).await;
    person.look("lease-failed-of-anyone").await;
}

#[tokio::test]
async fn operations_intervene_in_chinese() {
    intervene_in("zh-CN").await;
}

#[tokio::test]
async fn operations_intervene_in_english() {
    intervene_in("en").await;
}
