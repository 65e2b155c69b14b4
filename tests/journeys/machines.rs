//! What a provider sees and does of machines: registering one, letting its agent in and ending it,
//! declaring maintenance.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use market::{CreditStep, Rules, ServiceLevel};
use sluice::web::Role;
use sluice::web::server::Limits;

use crate::support::app::TestApp;
use crate::support::machine::{self, Machine};
use crate::support::market::{PROVIDER, hour};
use crate::support::people;
use crate::support::visitor::{Page, Visitor};

const MACHINES: &str = "/provide/pools/p1/machines";

/// Rules whose silver level excuses a twentieth, declared a day before.
pub(crate) fn silver() -> Rules {
    let silver = ServiceLevel {
        availability_bps: 9_900,
        penalty_bps: 2_000,
        grace_minutes: 30,
        default_minutes: 120,
        maintenance_bps: 500,
        maintenance_notice_hours: 24,
        credits: vec![
            CreditStep {
                below_bps: 9_900,
                credit_bps: 1_000,
            },
            CreditStep {
                below_bps: 9_000,
                credit_bps: 3_000,
            },
        ],
    };
    Rules {
        service_levels: BTreeMap::from([("SILVER".to_owned(), silver)]),
        ..Rules::none()
    }
}

/// A market with these rules whose pool 1 was opened on the site, and its operator.
async fn provider(rules: Rules) -> (TestApp, Visitor) {
    let app = TestApp::with(rules, Limits::default()).await;
    machine::opened(&app, "one").await;
    let operator = people::member(&app, PROVIDER.0, &[Role::Operator], "wang").await;
    (app, operator)
}

async fn register(operator: &mut Visitor, name: &str, units: &str) -> Page {
    let page = operator.get(MACHINES).await;
    let typed = [("name", name), ("units", units), ("address", "127.0.0.1")];
    operator.submit(&page, "#register form", &typed).await
}

/// Makes a token of the first machine; gives the token.
async fn token(app: &TestApp, operator: &mut Visitor) -> String {
    let page = operator.get(MACHINES).await;
    let made = operator.submit(&page, "form[action$='/token']", &[]).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
    let command = made.text("#command");
    let (before, token) = command.split_once(" --token ").expect("a token");
    let expected = format!("sluice-agent enrol --exchange {}", app.url);
    assert_eq!(before, expected);
    token.to_owned()
}

#[tokio::test]
async fn a_machine_is_registered_enrolled_and_seen() {
    let (app, mut operator) = provider(Rules::none()).await;
    let pool = operator.get("/provide/pools/p1").await;
    assert!(pool.has(&format!("a[href='{MACHINES}']")));
    for _ in 0..2 {
        let done = register(&mut operator, "gpu-1", "8").await;
        assert_eq!(done.location(), format!("{MACHINES}?done=registered"));
    }
    let other = register(&mut operator, "gpu-1", "16").await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(other.has("#name-error"), "{}", other.body);
    // Of 128, twice the pool, 120 are left.
    let many = register(&mut operator, "gpu-2", "121").await;
    assert!(many.text("#units-error").contains("120"), "{}", many.body);
    let page = operator.get(MACHINES).await;
    assert_eq!(page.texts(".machine .tag"), ["no agent"]);
    // The form that made a token makes no other one, and none once it was used.
    let secret = token(&app, &mut operator).await;
    let row = operator.get(MACHINES).await;
    assert_eq!(row.texts(".machine .tag"), ["waiting to enrol"]);
    assert!(!row.body.contains(&secret), "it is shown once");
    let again = [("token", &*secret)];
    let path = format!("{MACHINES}/1/token");
    let shown = operator.post(&path, &again).await;
    assert!(shown.text("#command").ends_with(&secret), "{}", shown.body);
    let mut machine = Machine::new(&app, 1, [1; 32]);
    assert_eq!(machine.enrol(&secret).await.status, StatusCode::OK);
    let used = operator.post(&path, &again).await;
    assert_eq!(used.status, StatusCode::CONFLICT);
    machine.beat().await;
    let page = operator.get(MACHINES).await;
    assert_eq!(page.texts(".machine .tag"), ["there", "lacking"]);
    let said = page.text(".machine dl");
    for part in ["#1 · test", "64", "512 GiB", "none found", "8 × A100-80GB"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    // Silent for longer than it may be.
    let silent = "UPDATE agents SET seen_at = now() - interval '100 seconds'";
    let silent = sqlx::query(silent).execute(&app.database.pool).await;
    silent.expect("it is silent");
    let page = operator.get(MACHINES).await;
    assert_eq!(page.texts(".machine .tag")[0], "silent");
    // The drill is for simulated hosts.
    let drilled = [("fails_every", "24"), ("fails_minutes", "60")];
    let drill = operator.post("/provide/pools/p1/hosts/1", &drilled).await;
    assert_eq!(drill.status, StatusCode::NOT_FOUND);
    app.stop().await;
}

#[tokio::test]
async fn a_revoked_agent_is_refused_until_another_one_is_let_in() {
    let (app, mut operator) = provider(Rules::none()).await;
    register(&mut operator, "gpu-1", "8").await;
    let mut first = Machine::new(&app, 1, [1; 32]);
    let secret = token(&app, &mut operator).await;
    assert_eq!(first.enrol(&secret).await.status, StatusCode::OK);
    let page = operator.get(MACHINES).await;
    let form = "form[action$='/revoke']";
    let unsaid = operator.submit(&page, form, &[]).await;
    assert!(unsaid.has("#reason-1-error"), "{}", unsaid.body);
    first.beat().await;
    let ended = operator
        .submit(&page, form, &[("reason", "key_stolen")])
        .await;
    assert_eq!(ended.location(), format!("{MACHINES}?done=revoked"));
    let path = "/api/agent/v1/heartbeat";
    let refused = first.post(path, "{}".to_owned()).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(refused.body.contains("unknown_signer"), "{}", refused.body);
    let gone = operator.get(MACHINES).await;
    assert_eq!(gone.texts(".machine .tag"), ["no agent"]);
    assert!(!gone.has(form));
    // Another one; the form that ended the first does not end it.
    let mut second = Machine::new(&app, 1, [2; 32]);
    let secret = token(&app, &mut operator).await;
    assert_eq!(second.enrol(&secret).await.status, StatusCode::OK);
    operator
        .submit(&page, form, &[("reason", "key_stolen")])
        .await;
    second.beat().await;
    let acts = "SELECT act FROM acts WHERE subject = 'host:1' ORDER BY id";
    let acts: Vec<String> = sqlx::query_scalar(acts)
        .fetch_all(&app.database.pool)
        .await
        .expect("acts are read");
    let made = "agent_token_made";
    assert_eq!(
        acts,
        ["machine_registered", made, "agent_revoked", made],
        "each act once"
    );
    app.stop().await;
}

#[tokio::test]
async fn maintenance_is_declared_in_time_or_too_late_and_stays() {
    let (app, mut operator) = provider(silver()).await;
    let page = operator.get(MACHINES).await;
    assert!(page.text("#maintenance .hint").contains("24 hours ahead"));
    // As the form proposes it: the first whole hours that are a day ahead.
    let typed = [("note", "new power supply")];
    let form = "#maintenance form";
    let declared = operator.submit(&page, form, &typed).await;
    let onward = declared.location().to_owned();
    let said = operator.get(&onward).await;
    assert!(
        said.text(".notice.good").contains("in time"),
        "{}",
        said.body
    );
    // The same form again is the same maintenance, and another text is another one.
    let again = operator.submit(&page, form, &typed).await;
    assert_eq!(again.location(), onward);
    let changed = operator.submit(&page, form, &[("note", "else")]).await;
    assert_eq!(changed.status, StatusCode::UNPROCESSABLE_ENTITY);
    app.clock().set(hour(2).plus_minutes(20));
    // 12:00 at UTC+8 is less than two hours away.
    let late = [
        ("from_day", "2026-10-25"),
        ("from_hour", "12"),
        ("to_day", "2026-10-25"),
        ("to_hour", "14"),
        ("note", "too soon"),
    ];
    let page = operator.get(MACHINES).await;
    let late = operator.submit(&page, form, &late).await;
    let said = operator.get(late.location()).await;
    assert!(
        said.text(".notice.good").contains("too late"),
        "{}",
        said.body
    );
    let tags = said.texts(".declared .tag");
    assert_eq!(tags, ["in time: excused", "too late: counts as missing"]);
    let past = [("from_day", "2026-10-25"), ("from_hour", "9")];
    let past = operator.submit(&said, form, &past).await;
    assert!(past.has("#from_day-error"), "{}", past.body);
    app.stop().await;
}

#[tokio::test]
async fn another_participants_machines_are_not_there() {
    let (app, mut operator) = provider(Rules::none()).await;
    register(&mut operator, "gpu-1", "8").await;
    let other = people::participant(&app, "祁连算力").await;
    let mut stranger = people::member(&app, other, &[Role::Operator], "lili").await;
    for path in [MACHINES.to_owned(), format!("{MACHINES}/live")] {
        assert_eq!(stranger.get(&path).await.status, StatusCode::NOT_FOUND);
    }
    let typed = [("name", "x"), ("units", "8"), ("address", "a")];
    for path in [
        MACHINES.to_owned(),
        format!("{MACHINES}/1/token"),
        format!("{MACHINES}/1/revoke"),
        "/provide/pools/p1/maintenance".to_owned(),
    ] {
        let answer = stranger.post(&path, &typed).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    // Nor is a machine of one pool at another one's address.
    let elsewhere = operator.post(&format!("{MACHINES}/7/token"), &[]).await;
    assert_eq!(elsewhere.status, StatusCode::NOT_FOUND);
    app.stop().await;
}
