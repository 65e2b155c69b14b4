//! A dispute in a real browser, in both languages: the buyer reports a problem, the provider
//! answers, one arbiter proposes and another one approves. Every page on the way is looked at as
//! each of them sees it.

use sluice::web::Role;
use sluice::web::server::Limits;

use crate::app::TestApp;
use crate::market::{BUYER, PROVIDER, bid, deliver, hour};
use crate::people::{PLATFORM, member};
use crate::support::Person;
use crate::visitor::Visitor;

const STORY: &str = "22:10 起八卡训练无法同步，单卡正常，吞吐掉到二十分之一，二十分钟后恢复。";
const ANSWER: &str = "SSH 与 8 张卡全程在线，我方计量每小时都有记录。吞吐问题可能来自购买方代码。";

struct Cast {
    ada: Visitor,
    operator: Visitor,
    lin: Visitor,
    zhou: Visitor,
    auditor: Visitor,
}

impl Cast {
    async fn sign_in(app: &TestApp) -> Self {
        Self {
            ada: member(app, BUYER.0, &[Role::Owner], "ada").await,
            operator: member(app, PROVIDER.0, &[Role::Operator], "operator").await,
            lin: member(app, PLATFORM, &[Role::Arbiter], "lin.xi").await,
            zhou: member(app, PLATFORM, &[Role::Arbiter], "zhou.lan").await,
            auditor: member(app, PLATFORM, &[Role::Auditor], "auditor").await,
        }
    }
}

/// A lease of four hours at 10.00, of which three are over and one of these was short.
async fn lease(app: &TestApp) {
    app.submit(bid("leased", 8, 100_000, (1, 5))).await;
    app.clock().set(hour(4));
    for (after, minutes) in [(1, 60), (2, 40), (3, 60)] {
        app.submit(deliver(1, after, minutes)).await;
    }
}

async fn dispute_in(language: &'static str) {
    let rules = sluice::rules::load(None).expect("the standard rules");
    let app = TestApp::with(rules, Limits::default()).await;
    lease(&app).await;
    let cast = Cast::sign_in(&app).await;
    let person = Person::new(&app, language).await;
    report(&person, &cast).await;
    answer(&person, &cast).await;
    propose(&person, &cast).await;
    approve(&person, &cast).await;
    for (who, name) in [
        (&cast.ada, "claimant"),
        (&cast.operator, "provider"),
        (&cast.auditor, "auditor"),
    ] {
        person.become_another(who).await;
        person.go("/disputes/d1").await;
        person.look(&format!("dispute-ruled-{name}")).await;
    }
    person.go("/disputes").await;
    person.look("disputes-platform").await;
    person.browser.close().await;
    app.stop().await;
}

async fn report(person: &Person, cast: &Cast) {
    person.become_another(&cast.ada).await;
    person.go("/disputes").await;
    person.look("disputes-empty").await;
    person.go("/leases/l1/problem").await;
    person.find("form[action$='/problem']").await;
    person.look("report").await;
    person.click("form[action$='/problem'] .primary").await;
    person.find("#text-error").await;
    person.look("report-refused").await;
    person.fill("input[name=hours]", "2").await;
    person
        .script("document.querySelector('[name=hour]').value = '10'")
        .await;
    person.fill("#minutes", "20").await;
    // What is claimed is worked out as it is typed.
    person.wait_for("sum", "26.6666").await;
    person
        .script("document.querySelector('#reason').value = 'interconnect'")
        .await;
    person.fill("#text", STORY).await;
    person.look("report-filled").await;
    person.leave("form[action$='/problem'] .primary").await;
    person.find(".notice.good").await;
    person.look("dispute-opened").await;
    person.go("/leases/l1/problem").await;
    person.look("report-closed").await;
}

async fn answer(person: &Person, cast: &Cast) {
    person.become_another(&cast.operator).await;
    person.go("/disputes").await;
    person.look("disputes-provider").await;
    person.go("/disputes/d1").await;
    person.fill("#text", ANSWER).await;
    person.look("dispute-provider").await;
    person.click(".say button").await;
    person.wait_for("talk", "SSH").await;
    // The buyer has the page open and what they are typing stays, while the answer comes.
    person.become_another(&cast.ada).await;
    person.go("/disputes/d1").await;
    person.find("body[data-live='on']").await;
    person.fill("#text", "还没有写完").await;
    let mut operator = cast.operator.clone();
    let page = operator.get("/disputes/d1").await;
    let more = [("text", "补充：该时段机房无告警。")];
    operator
        .submit(&page, "form[action$='/messages']", &more)
        .await;
    person.wait_for("talk", "该时段机房无告警").await;
    let typed = person
        .script("return document.querySelector('#text').value")
        .await;
    assert_eq!(typed, "还没有写完");
}

async fn propose(person: &Person, cast: &Cast) {
    person.become_another(&cast.lin).await;
    person.go("/disputes/d1").await;
    person.fill("#minutes", "15").await;
    // Its effect on the ledger comes as it is typed.
    person.wait_for("sum", "20.00").await;
    person.find("#effect .entry tfoot").await;
    person.look("dispute-propose").await;
    person
        .fill("#reason", "连续 15 分钟低于下限；重跑时间不属交付范围。")
        .await;
    person.click("#propose .primary").await;
    person.find("button[disabled]").await;
    person.look("dispute-proposed-own").await;
}

async fn approve(person: &Person, cast: &Cast) {
    person.become_another(&cast.zhou).await;
    person.go("/disputes/d1").await;
    person.fill("#opinion", "记录与双方陈述一致，同意。").await;
    person.look("dispute-approve").await;
    person.leave("#decide .primary").await;
    person.find(".notice.good").await;
    person.look("dispute-ruled-arbiter").await;
}

#[tokio::test]
async fn a_dispute_is_ruled_in_chinese() {
    dispute_in("zh-CN").await;
}

#[tokio::test]
async fn a_dispute_is_ruled_in_english() {
    dispute_in("en").await;
}
