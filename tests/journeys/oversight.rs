//! The marketplace's desk: what waits there, who is certified or refused, who is suspended, and
//! what that does.

use axum::http::StatusCode;
use futures_util::future::join;
use market::{Command, Money, ParticipantId, Rules};
use serde_json::Value;
use sluice::web::Role;
use sluice::web::server::Limits;

use crate::support::app::TestApp;
use crate::support::market::{bid, deliver, hour};
use crate::support::people::{self, PLATFORM};
use crate::support::visitor::{Page, Visitor};

/// The provider and the buyer of the small market.
const P: i64 = 1;
const A: i64 = 2;

async fn operations(app: &TestApp) -> Visitor {
    people::of_platform(app, Role::Operations).await
}

/// What the record of acts has, in order: who, what, to what, and why.
async fn acts(app: &TestApp) -> Vec<(String, String, String, Value)> {
    let sql = "SELECT coalesce(u.login, ''), a.act, a.subject, a.detail
               FROM acts a LEFT JOIN users u ON u.id = a.user_id ORDER BY a.id";
    let rows = sqlx::query_as(sql).fetch_all(&app.database.pool).await;
    rows.expect("the acts are read")
}

async fn state_of(app: &TestApp, application: i64) -> (String, Option<String>, Option<String>) {
    let sql = "SELECT state, reason, note FROM applications WHERE id = $1";
    let row = sqlx::query_as(sql).bind(application);
    row.fetch_one(&app.database.pool)
        .await
        .expect("the application is there")
}

async fn open_orders(app: &TestApp, of: i64) -> i64 {
    let sql = "SELECT count(*) FROM orders WHERE participant = $1 AND done IS NULL";
    let count = sqlx::query_scalar(sql).bind(of);
    count
        .fetch_one(&app.database.pool)
        .await
        .expect("the orders are counted")
}

#[tokio::test]
async fn an_application_is_certified_once_and_the_act_is_recorded() {
    let app = TestApp::start().await;
    let id = people::application(&app, P).await;
    let mut first = operations(&app).await;
    let mut second = people::member(&app, PLATFORM, &[Role::Operations], "second").await;
    let desk = first.get("/ops").await;
    assert!(
        desk.text(".queue b").contains("贵州祁连算力"),
        "{}",
        desk.body
    );
    let list = first.get("/ops/applications").await;
    assert!(list.rows("tbody tr")[0].contains("贵州祁连算力科技有限公司"));
    let path = format!("/ops/applications/{id}");
    let page = first.get(&path).await;
    assert!(page.body.contains("91520900MA6HX3R47L"), "{}", page.body);
    // Both have the page open.
    let stale = second.get(&path).await;
    let certified = first.submit(&page, "form[action$='/certify']", &[]).await;
    assert_eq!(certified.location(), format!("{path}?decided"));
    assert_eq!(
        state_of(&app, id).await,
        ("certified".to_owned(), None, None)
    );
    let late = second
        .submit(
            &stale,
            "form[action$='/refuse']",
            &[("reason", "code_invalid")],
        )
        .await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    let said = late.text(".notice");
    assert!(
        said.contains("operations") && said.contains("certified"),
        "{said}"
    );
    assert_eq!(
        state_of(&app, id).await,
        ("certified".to_owned(), None, None)
    );
    let acts = acts(&app).await;
    let certifies: Vec<_> = acts.iter().filter(|act| act.2 == "participant:1").collect();
    assert_eq!(certifies.len(), 1, "{acts:?}");
    assert_eq!(
        (&*certifies[0].0, &*certifies[0].1),
        ("operations", "certify")
    );
    assert_eq!(certifies[0].3["application"], id);
    let page = first.get(&format!("{path}?decided")).await;
    assert!(page.body.contains("Decided; the applicant"));
    assert!(!page.body.contains("/certify"), "nothing is left to decide");
    assert!(
        first
            .get("/ops")
            .await
            .body
            .contains("No application waits.")
    );
    let list = first.get("/ops/applications?state=certified").await;
    assert_eq!(list.rows("tbody tr").len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn an_application_is_refused_with_a_reason_of_the_list() {
    let app = TestApp::start().await;
    let id = people::application(&app, P).await;
    let mut person = operations(&app).await;
    let path = format!("/ops/applications/{id}");
    let refuse = format!("{path}/refuse");
    let long = "长".repeat(2001);
    for (reason, note, field) in [
        ("", "", "reason"),
        ("nonsense", "", "reason"),
        ("code_invalid' OR 1=1", "", "reason"),
        ("abuse", "a reason of another list", "reason"),
        ("other", "", "note"),
        ("other", " \n ", "note"),
        ("code_invalid", &long, "note"),
        ("code_invalid", "a\0b", "note"),
    ] {
        let page = person
            .post(&refuse, &[("reason", reason), ("note", note)])
            .await;
        assert_eq!(
            page.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{reason} {field}"
        );
        assert!(
            !page.text(&format!("#{field}-error")).is_empty(),
            "{reason}"
        );
        // A control character may go; whatever else was typed stays.
        if !note.contains('\0') && !note.trim().is_empty() {
            assert_eq!(page.text("#note"), note, "what was typed stays");
        }
    }
    let page = person.post(&refuse, &[]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    let enormous = "x".repeat(70_000);
    let page = person
        .post(&refuse, &[("reason", "other"), ("note", &enormous)])
        .await;
    assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(state_of(&app, id).await.0, "submitted");
    assert!(acts(&app).await.is_empty());
    let note = "请补 <b>机房</b> 租赁合同\n和电费单";
    let page = person
        .post(&refuse, &[("reason", "site_unverified"), ("note", note)])
        .await;
    assert_eq!(page.location(), format!("{path}?decided"));
    let expected = (
        "refused".to_owned(),
        Some("site_unverified".to_owned()),
        Some(note.to_owned()),
    );
    assert_eq!(state_of(&app, id).await, expected);
    let page = person.get(&path).await;
    assert!(page.body.contains("the site could not be verified"));
    assert!(
        page.text(".typed").contains("<b>机房</b>"),
        "a text is no markup"
    );
    let act = &acts(&app).await[0];
    assert_eq!(
        (&*act.1, &act.3["reason"]),
        ("refuse", &Value::from("site_unverified"))
    );
    // It is mended and sent again: another row, with the first for comparison.
    let again = people::application(&app, P).await;
    let page = person.get(&format!("/ops/applications/{again}")).await;
    assert!(page.body.contains("Other applications of this participant"));
    app.stop().await;
}

#[tokio::test]
async fn two_decisions_at_once_are_one() {
    let app = TestApp::start().await;
    let mut first = operations(&app).await;
    let mut second = people::member(&app, PLATFORM, &[Role::Operations], "second").await;
    for _ in 0..5 {
        let id = people::application(&app, P).await;
        let (certify, refuse) = (
            format!("/ops/applications/{id}/certify"),
            format!("/ops/applications/{id}/refuse"),
        );
        let (one, other) = join(
            first.post(&certify, &[]),
            second.post(&refuse, &[("reason", "related_party")]),
        )
        .await;
        let mut statuses = [one.status, other.status];
        statuses.sort();
        assert_eq!(statuses, [StatusCode::SEE_OTHER, StatusCode::CONFLICT]);
        let free = "UPDATE applications SET state = 'refused', reason = 'other' WHERE id = $1";
        let freed = sqlx::query(free).bind(id).execute(&app.database.pool).await;
        freed.expect("the participant may send another");
    }
    assert_eq!(acts(&app).await.len(), 5);
    app.stop().await;
}

#[tokio::test]
async fn what_was_not_sent_is_nobody_elses() {
    let app = TestApp::start().await;
    let id = people::application(&app, P).await;
    sqlx::query("UPDATE applications SET state = 'draft', submitted_at = NULL")
        .execute(&app.database.pool)
        .await
        .expect("it is a draft again");
    let mut person = operations(&app).await;
    for odd in [
        &*id.to_string(),
        "0",
        "-1",
        "x",
        "01",
        "99999999999999999999",
    ] {
        let path = format!("/ops/applications/{odd}");
        assert_eq!(
            person.get(&path).await.status,
            StatusCode::NOT_FOUND,
            "{odd}"
        );
        for verb in ["certify", "refuse"] {
            let page = person
                .post(
                    &format!("{path}/{verb}"),
                    &[("reason", "other"), ("note", "x")],
                )
                .await;
            assert_eq!(page.status, StatusCode::NOT_FOUND, "{verb} {odd}");
        }
    }
    assert!(
        person
            .get("/ops")
            .await
            .body
            .contains("No application waits.")
    );
    assert!(acts(&app).await.is_empty());
    app.stop().await;
}

#[tokio::test]
async fn who_may_not_decide_sees_everything_and_no_button() {
    let app = TestApp::start().await;
    let id = people::application(&app, P).await;
    for role in Role::PLATFORM {
        let mut reader = people::of_platform(&app, role).await;
        for path in ["/ops", "/ops/applications", "/ops/participants"] {
            assert_eq!(
                reader.get(path).await.status,
                StatusCode::OK,
                "{role:?} {path}"
            );
        }
        for path in [
            format!("/ops/applications/{id}"),
            "/ops/participants/n2".to_owned(),
        ] {
            let page = reader.get(&path).await;
            assert_eq!(page.status, StatusCode::OK, "{role:?} {path}");
            let has_button = page.body.contains(&format!("action=\"{path}/"));
            assert_eq!(has_button, role == Role::Operations, "{role:?} {path}");
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn suspending_cancels_what_is_open_and_ends_nothing_that_runs() {
    let app = TestApp::start().await;
    // The lease l1 runs; two bids rest.
    app.submit(bid("leased", 8, 100_000, (1, 5))).await;
    app.submit(bid("rests", 8, 90_000, (6, 8))).await;
    app.submit(bid("rests too", 4, 90_000, (6, 8))).await;
    let mut owner = people::member(&app, A, &[Role::Owner], "owner").await;
    assert!(
        !owner
            .get("/wallet")
            .await
            .body
            .contains("class=\"suspended\"")
    );
    let mut person = operations(&app).await;
    let page = person.get("/ops/participants/n2").await;
    let button = page.text("form[action$='/suspend'] button");
    // 12 units for two hours at 9 are held.
    assert_eq!(button, "Suspend, cancel 2 orders, return ¥216.00");
    let typed = [("reason", "undelivered"), ("note", "third time")];
    let suspended = person
        .submit(&page, "form[action$='/suspend']", &typed)
        .await;
    assert_eq!(suspended.location(), "/ops/participants/n2?suspended");
    assert_eq!(open_orders(&app, A).await, 0);
    let market = app.app.feed.market().clone();
    assert!(
        market
            .lease(market::LeaseId(1))
            .is_some_and(|lease| !lease.is_ended())
    );
    // Who cancelled stands in the command log.
    let actors: Vec<String> = sqlx::query_scalar(
        "SELECT actor FROM commands WHERE body->>'do' = 'cancel_order' ORDER BY seq",
    )
    .fetch_all(&app.database.pool)
    .await
    .expect("the commands are read");
    assert!(actors.len() == 2 && actors.iter().all(|actor| actor.starts_with("user:")));
    // The lease runs on and is paid.
    app.clock().set(hour(2));
    app.submit(deliver(1, 1, 60)).await;
    // The owner is told why, may look at everything, and can begin nothing.
    let wallet = owner.get("/wallet").await;
    assert_eq!(wallet.status, StatusCode::OK);
    let said = wallet.text(".suspended");
    assert!(said.contains("leases repeatedly not delivered"), "{said}");
    let symbol = "/market/A100-80GB.GUZ-GAN.SILVER/orders";
    let refused = owner.post(symbol, &[("units", "1")]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let page = person.get("/ops/participants/n2?suspended").await;
    assert!(page.body.contains("third time"));
    let again = person.post("/ops/participants/n2/suspend", &typed).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "{}", again.body);
    assert!(
        again.text(".notice").contains("operations"),
        "{}",
        again.text(".notice")
    );
    let restored = person
        .post("/ops/participants/n2/restore", &[("note", "mended")])
        .await;
    assert_eq!(restored.location(), "/ops/participants/n2?restored");
    assert!(
        !owner
            .get("/wallet")
            .await
            .body
            .contains("class=\"suspended\"")
    );
    let again = person.post("/ops/participants/n2/restore", &[]).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let acts: Vec<String> = acts(&app).await.into_iter().map(|act| act.1).collect();
    assert_eq!(acts, ["suspend", "restore"]);
    app.stop().await;
}

#[tokio::test]
async fn a_suspension_has_a_reason_and_the_marketplace_is_not_suspended() {
    let app = TestApp::start().await;
    let mut person = operations(&app).await;
    for (reason, note, field) in [
        ("", "", "reason"),
        ("documents_missing", "a reason of another list", "reason"),
        ("other", "", "note"),
    ] {
        let page = person
            .post(
                "/ops/participants/n2/suspend",
                &[("reason", reason), ("note", note)],
            )
            .await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{reason}");
        assert!(
            !page.text(&format!("#{field}-error")).is_empty(),
            "{reason}"
        );
    }
    for (id, verb) in [
        ("n0", "suspend"),
        ("n999", "suspend"),
        ("2", "suspend"),
        ("N2", "suspend"),
        ("n02", "restore"),
        ("n0", "cancel"),
    ] {
        let path = format!("/ops/participants/{id}/{verb}");
        let page = person.post(&path, &[("reason", "abuse")]).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
    }
    // Cancelling is for who is suspended.
    app.submit(bid("rests", 8, 90_000, (6, 8))).await;
    let page = person.post("/ops/participants/n2/cancel", &[]).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert_eq!(open_orders(&app, A).await, 1);
    // Orders that came after the suspension are cancelled on request.
    sqlx::query("UPDATE participants SET suspended = 'abuse', suspended_at = now() WHERE id = 2")
        .execute(&app.database.pool)
        .await
        .expect("it is suspended");
    let page = person.get("/ops/participants/n2").await;
    let done = person.submit(&page, "form[action$='/cancel']", &[]).await;
    assert_eq!(done.location(), "/ops/participants/n2?cancelled");
    assert_eq!(open_orders(&app, A).await, 0);
    let acts = acts(&app).await;
    assert_eq!(
        acts.last().map(|act| (&*act.1, &act.3["orders"])),
        Some(("cancel_orders", &Value::from(1)))
    );
    app.stop().await;
}

#[tokio::test]
async fn participants_are_found_by_name_number_and_state() {
    let app = TestApp::start().await;
    for number in 0..60 {
        people::participant(&app, &format!("client {number:02} 100%_x")).await;
    }
    let mut person = operations(&app).await;
    let names = |page: &Page| {
        assert_eq!(page.status, StatusCode::OK);
        page.texts("tbody th b")
    };
    let page = person.get("/ops/participants").await;
    assert_eq!(names(&page).len(), 50);
    let next = page
        .body
        .split("href=\"")
        .find(|link| link.contains("before="));
    let next = next
        .and_then(|link| link.split('"').next())
        .expect("a next page");
    let next = next.replace("&amp;", "&").replace("&#38;", "&");
    assert_eq!(names(&person.get(&next).await).len(), 12);
    for (query, found) in [
        ("q=%E7%AE%97%E5%8A%9B", 1),
        ("q=CLIENT+07", 1),
        ("q=n2", 1),
        ("q=2", 16),
        ("q=100%25_x", 50),
        ("q=%25%25", 0),
        ("q=%27+OR+1%3D1+--", 0),
        ("q=%00", 50),
        ("q=99999999999999999999", 0),
        ("state=suspended", 0),
        ("state=certified", 0),
        ("state=nonsense", 50),
    ] {
        let page = person.get(&format!("/ops/participants?{query}")).await;
        assert_eq!(names(&page).len(), found, "{query}");
    }
    let page = person.get("/ops/participants/n2").await;
    assert!(page.body.contains("100,000.0000"), "its balance");
    for odd in ["2", "n02", "n-2", "o2", "n99999999999999999999"] {
        let page = person.get(&format!("/ops/participants/{odd}")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{odd}");
    }
    assert_eq!(
        person.get("/ops/participants/n0").await.status,
        StatusCode::OK
    );
    app.stop().await;
}

#[tokio::test]
async fn the_desk_shows_what_waits_and_how_the_market_is() {
    let rules = sluice::rules::load(None).expect("the standard rules");
    let app = TestApp::with(rules, Limits::default()).await;
    let mut auditor = people::of_platform(&app, Role::Auditor).await;
    let desk = auditor.get("/ops").await;
    assert_eq!(desk.texts(".figures dd:nth-child(2)")[0], "¥0.0000");
    assert!(
        desk.body
            .contains("Every hour that is over has its readings.")
    );
    assert!(desk.body.contains("No dispute is open."));
    assert!(desk.texts(".tag").contains(&"in order".to_owned()));
    app.submit(bid("leased", 8, 100_000, (1, 5))).await;
    // An hour and a bit over: 17 minutes late, then two hours of it.
    app.clock()
        .set(market::Timestamp(hour(2).0 + 10 * 60_000_000));
    assert!(
        auditor
            .get("/ops")
            .await
            .body
            .contains("Every hour that is over")
    );
    app.clock()
        .set(market::Timestamp(hour(3).0 + 17 * 60_000_000));
    let desk = auditor.get("/ops").await;
    let queue = desk.texts(".queue li").join("");
    assert!(queue.contains("黔云算力 sent no readings"), "{queue}");
    assert!(queue.contains("2 h from Sun 25 Oct 09:00"), "{queue}");
    assert!(
        queue.contains("until "),
        "the rules set a deadline: {queue}"
    );
    let figures = desk.texts(".figures dd:nth-child(2)");
    assert_eq!(figures[1], "¥320.00", "in escrow");
    app.submit(Command::OpenDispute {
        participant: ParticipantId(A),
        lease: market::LeaseId(1),
        amount: Money(500_000),
    })
    .await;
    let desk = auditor.get("/ops").await;
    let queue = desk.texts(".queue li").join("");
    assert!(queue.contains("听澜智能 against 黔云算力"), "{queue}");
    assert!(queue.contains("claims ¥50.00"), "{queue}");
    app.stop().await;
}

#[tokio::test]
async fn an_engine_that_is_late_or_recovering_is_not_called_in_order() {
    let app = TestApp::with(Rules::none(), Limits::default()).await;
    app.submit(bid("expires", 8, 90_000, (1, 2))).await;
    app.clock().set(hour(2));
    let mut auditor = people::of_platform(&app, Role::Auditor).await;
    let desk = auditor.get("/ops").await;
    assert!(
        desk.texts(".tag").contains(&"late".to_owned()),
        "{}",
        desk.text("aside")
    );
    app.app.sequencer.stop();
    app.app.sequencer.ended().await;
    let desk = auditor.get("/ops").await;
    assert!(desk.texts(".tag").contains(&"recovering".to_owned()));
    app.stop().await;
}
