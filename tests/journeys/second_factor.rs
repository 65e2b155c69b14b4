//! Second factors: setting one up, giving it, losing it; and what is shut until it is given.

use axum::http::StatusCode;
use sluice::web::Role;
use totp_rs::{Builder, Secret};

use crate::support::app::TestApp;
use crate::support::people::{self, Factor, PLATFORM};
use crate::support::visitor::{Page, Visitor, password};

const CODE: &str = "form[action='/second-factor']";
const CONFIRM: &str = "form[action='/second-factor/confirmation']";
const RENEW: &str = "form[action='/second-factor/codes']";

/// The code of a secret, so many steps from now.
pub(crate) fn code(secret: &str, steps: i64) -> String {
    let secret = Secret::try_from_base32(secret.replace(' ', "")).expect("base32");
    let into_step = sluice::clock::wall().as_second() % 30;
    if steps < 0 && into_step > 18 {
        // An early code is good for the rest of this step only: too short for a busy machine.
        let rest = u64::try_from(30 - into_step).expect("it is small");
        std::thread::sleep(std::time::Duration::from_secs(rest));
    }
    let now = sluice::clock::wall().as_second() + 30 * steps;
    let totp = Builder::new()
        .with_secret(secret)
        .build()
        .expect("a secret");
    totp.generate(u64::try_from(now).expect("after 1970"))
        .to_string()
}

/// Turns a second factor on; gives its secret and the page with the recovery codes.
async fn enrol(visitor: &mut Visitor) -> (String, Page) {
    let begun = visitor.post("/second-factor/enrolment", &[]).await;
    let page = visitor.get(begun.location()).await;
    let secret = page.text("#secret");
    let code = code(&secret, -1);
    let page = visitor.submit(&page, CONFIRM, &[("code", &code)]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    (secret, page)
}

async fn acts(app: &TestApp, act: &str) -> i64 {
    let count = "SELECT count(*) FROM acts WHERE act = $1";
    let count = sqlx::query_scalar(count).bind(act);
    count.fetch_one(&app.database.pool).await.expect("a count")
}

#[tokio::test]
async fn a_second_factor_is_set_up_given_at_sign_in_and_turned_off() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "10").await;
    let mut elsewhere = Visitor::new(&app);
    elsewhere.sign_in("ada", &password("ada")).await;
    let before = ada.clone();
    let (secret, page) = enrol(&mut ada).await;
    assert_eq!(page.texts(".codes code").len(), 10);
    assert_ne!(ada.cookies, before.cookies, "the session is a new one");
    for mut old in [before, elsewhere] {
        let page = old.get("/wallet").await;
        assert_eq!(page.location(), "/sign-in?next=/wallet", "without a factor");
    }
    assert_eq!(ada.get("/wallet").await.status, StatusCode::OK);
    assert!(ada.get("/second-factor").await.body.contains("10 recovery"));

    let mut again = Visitor::new(&app);
    let page = again.sign_in("ada", &password("ada")).await;
    assert_eq!(page.location(), "/second-factor?next=/");
    for shut in ["/wallet", "/orders", "/wallet/live", "/settings"] {
        let page = again.get(shut).await;
        assert_eq!(page.location(), format!("/second-factor?next={shut}"));
    }
    // Nothing of what sets one up or turns it off is open meanwhile.
    let begun = again.post("/second-factor/enrolment", &[]).await;
    let page = again.get(begun.location()).await;
    assert!(page.texts("#secret").is_empty(), "{}", page.body);
    for shut in ["/second-factor/codes", "/second-factor/removal"] {
        let page = again.post(shut, &[("code", &code(&secret, 0))]).await;
        assert!(page.location().starts_with("/second-factor?next="));
    }
    let entering = again.clone();
    let page = again.get("/second-factor?next=/wallet").await;
    let page = again
        .submit(&page, CODE, &[("code", &code(&secret, 0))])
        .await;
    assert_eq!(page.location(), "/wallet");
    assert_ne!(again.cookies, entering.cookies, "the session is a new one");
    assert_eq!(again.get("/wallet").await.status, StatusCode::OK);
    let page = entering.clone().get("/second-factor").await;
    assert_eq!(page.location(), "/sign-in?next=/second-factor");

    let page = again.get("/second-factor").await;
    let wrong = again.submit(&page, RENEW, &[("code", "000000")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let off = [("code", &*code(&secret, 1))];
    let page = again.post("/second-factor/removal", &off).await;
    assert_eq!(page.location(), "/second-factor?off");
    let mut last = Visitor::new(&app);
    let page = last.sign_in("ada", &password("ada")).await;
    assert_eq!(page.location(), "/");
    for (act, times) in [
        ("second_factor_on", 1),
        ("second_factor_given", 2),
        ("second_factor_failed", 1),
        ("second_factor_off", 1),
        ("sign_in", 3),
    ] {
        assert_eq!(acts(&app, act).await, times, "{act}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_code_works_once_however_it_is_typed() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "10").await;
    let (secret, page) = enrol(&mut ada).await;
    let recovery = page.texts(".codes code");
    let wide = |text: &str| -> String {
        let wide = |c: char| match c {
            '0'..='9' => char::from_u32(u32::from(c) - 0x30 + 0xff10).unwrap_or(c),
            c => c,
        };
        text.chars().map(wide).collect()
    };
    let spaced = |code: &str| format!(" {} {}", &code[..3], &code[3..]);
    let try_in = async |typed: &str| -> bool {
        let mut visitor = Visitor::new(&app);
        visitor.sign_in("ada", &password("ada")).await;
        let page = visitor.post("/second-factor", &[("code", typed)]).await;
        page.status == StatusCode::SEE_OTHER
    };
    // The code that turned it on is used up, in whatever form.
    let used = code(&secret, -1);
    assert!(!try_in(&used).await && !try_in(&spaced(&used)).await);
    let now = code(&secret, 0);
    assert!(try_in(&spaced(&now)).await);
    for again in [now.clone(), spaced(&now), wide(&now), format!("{now} ")] {
        assert!(!try_in(&again).await, "{again}");
    }
    let next = code(&secret, 1);
    assert!(try_in(&wide(&next)).await);
    assert!(try_in(&recovery[0]).await);
    sqlx::query("UPDATE second_factors SET failures = 0")
        .execute(&app.database.pool)
        .await
        .expect("it is written");
    app.stop().await;
}

#[tokio::test]
async fn a_recovery_code_works_once_and_new_ones_end_the_old() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "10").await;
    let (secret, page) = enrol(&mut ada).await;
    let codes = page.texts(".codes code");
    let kept: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM recovery_codes
         WHERE code_sha256 = sha256(convert_to(replace($1, ' ', ''), 'UTF8'))",
    )
    .bind(&codes[0])
    .fetch_one(&app.database.pool)
    .await
    .expect("a count");
    assert_eq!(kept, 1, "only hashes are kept");
    let mut visitor = Visitor::new(&app);
    visitor.sign_in("ada", &password("ada")).await;
    let typed = codes[0].to_lowercase().replace(' ', "-");
    let page = visitor.post("/second-factor", &[("code", &typed)]).await;
    assert_eq!(page.location(), "/");
    assert!(
        visitor
            .get("/second-factor")
            .await
            .body
            .contains("9 recovery")
    );
    let mut second = Visitor::new(&app);
    second.sign_in("ada", &password("ada")).await;
    let page = second.post("/second-factor", &[("code", &codes[0])]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    // New codes for a code; the old ones are nothing any more.
    let renew = [("code", &*code(&secret, 0))];
    let page = visitor.post("/second-factor/codes", &renew).await;
    let new = page.texts(".codes code");
    assert_eq!(new.len(), 10);
    let page = second.post("/second-factor", &[("code", &codes[1])]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = second.post("/second-factor", &[("code", &new[1])]).await;
    assert_eq!(page.location(), "/");
    app.stop().await;
}

#[tokio::test]
async fn of_many_who_give_one_code_at_once_one_gets_in() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "10").await;
    let (secret, page) = enrol(&mut ada).await;
    let recovery = page.texts(".codes code").remove(0);
    for typed in [code(&secret, 0), recovery] {
        let mut waiting = Vec::new();
        for _ in 0..4 {
            let mut visitor = Visitor::new(&app);
            visitor.sign_in("ada", &password("ada")).await;
            waiting.push(visitor);
        }
        let fields = [("code", &*typed)];
        let tries = waiting
            .iter_mut()
            .map(|visitor| visitor.post("/second-factor", &fields));
        let pages = futures_util::future::join_all(tries).await;
        // Whoever is late is asked to sign in again: the others' sessions had no factor.
        let onward: Vec<_> = pages
            .iter()
            .map(|page| (page.status, page.headers.get("location")))
            .collect();
        let is_in = |page: &&Page| page.headers.get("location").is_some_and(|to| to == "/");
        assert_eq!(pages.iter().filter(is_in).count(), 1, "{typed}: {onward:?}");
    }
    assert_eq!(acts(&app, "second_factor_given").await, 2);
    app.stop().await;
}

#[tokio::test]
async fn wrong_codes_have_to_wait_and_a_hundred_leave_only_recovery() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "10").await;
    let (secret, page) = enrol(&mut ada).await;
    let recovery = page.texts(".codes code");
    let pool = &app.database.pool;
    sqlx::query("UPDATE second_factors SET failures = 99")
        .execute(pool)
        .await
        .expect("it is written");
    let mut visitor = Visitor::new(&app);
    visitor.sign_in("ada", &password("ada")).await;
    let page = visitor.post("/second-factor", &[("code", "000000")]).await;
    assert!(page.text("#code-error").contains("recovery code"));
    let right = [("code", &*code(&secret, 0))];
    let page = visitor.post("/second-factor", &right).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "worn out");
    let page = visitor
        .post("/second-factor", &[("code", &recovery[0])])
        .await;
    assert_eq!(page.location(), "/");
    // Ten at once by person, wherever they come from; a right one has to wait as well.
    let mut statuses = Vec::new();
    for _ in 0..10 {
        let mut visitor = visitor.clone();
        let page = visitor.post("/second-factor", &[("code", "000000")]).await;
        statuses.push(page.status);
    }
    assert_eq!(statuses.last(), Some(&StatusCode::TOO_MANY_REQUESTS));
    let page = visitor.post("/second-factor/codes", &right).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(page.headers.contains_key("retry-after"));
    app.stop().await;
}

#[tokio::test]
async fn the_platforms_people_reach_nothing_but_enrolment_without_a_factor() {
    let app = TestApp::start().await;
    let roles = [Role::Operations];
    let mut new = people::member_with(&app, PLATFORM, &roles, "olga", Factor::Missing).await;
    sqlx::query("DELETE FROM second_factors")
        .execute(&app.database.pool)
        .await
        .expect("she has none yet");
    for shut in ["/settings", "/orders", "/second-factor/codes"] {
        let page = new.send(
            if shut.ends_with("codes") {
                "POST"
            } else {
                "GET"
            },
            shut,
            String::new(),
        );
        let page = page.await;
        assert!(
            page.location().starts_with("/second-factor?next="),
            "{shut}"
        );
    }
    let page = new.get("/second-factor").await;
    assert!(page.body.contains("no other page opens"), "{}", page.body);
    let (secret, _) = enrol(&mut new).await;
    assert_eq!(new.get("/second-factor").await.status, StatusCode::OK);
    // And it stays on.
    let page = new.get("/second-factor").await;
    assert!(!page.body.contains("/second-factor/removal"));
    let off = [("code", &*code(&secret, 0))];
    let page = new.post("/second-factor/removal", &off).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    app.stop().await;
}

#[tokio::test]
async fn who_may_come_in_is_changed_with_a_fresh_factor() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "10").await;
    let (secret, _) = enrol(&mut ada).await;
    let invite = [("note", "for bob"), ("buyer", "on")];
    let page = ada.post("/settings/members/invitations", &invite).await;
    assert_eq!(page.status, StatusCode::OK, "it was given just now");
    sqlx::query("UPDATE sessions SET second_factor_at = second_factor_at - interval '6 minutes'")
        .execute(&app.database.pool)
        .await
        .expect("it grows old");
    ada.sends
        .push(("referer", format!("{}/settings/members", app.url)));
    for path in [
        "/settings/password",
        "/settings/members/1/roles",
        "/settings/members/1/removal",
        "/settings/members/invitations",
    ] {
        let page = ada.post(path, &invite).await;
        let way = page.location();
        assert!(
            way.starts_with("/second-factor?next=/settings/members%3Fkept"),
            "{way}"
        );
    }
    assert_eq!(ada.get("/wallet").await.status, StatusCode::OK);
    let page = ada.post("/settings/members/invitations", &invite).await;
    let page = ada.get(page.location()).await;
    let page = ada
        .submit(&page, CODE, &[("code", &code(&secret, 0))])
        .await;
    let page = ada.get(page.location()).await;
    let form = "form[action='/settings/members/invitations']";
    let (_, fields) = page.form(form);
    assert!(fields.contains(&("note".to_owned(), "for bob".to_owned())));
    let page = ada.post("/settings/members/invitations", &invite).await;
    assert_eq!(page.status, StatusCode::OK);
    app.stop().await;
}

#[tokio::test]
async fn an_act_whose_row_can_not_be_written_does_not_happen() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "10").await;
    let pool = &app.database.pool;
    sqlx::query("ALTER TABLE acts ADD CHECK (act <> 'second_factor_on') NOT VALID")
        .execute(pool)
        .await
        .expect("the table is altered");
    let begun = ada.post("/second-factor/enrolment", &[]).await;
    let page = ada.get(begun.location()).await;
    let code = code(&page.text("#secret"), 0);
    let failed = ada.submit(&page, CONFIRM, &[("code", &code)]).await;
    assert_eq!(failed.status, StatusCode::INTERNAL_SERVER_ERROR);
    let on = "SELECT count(*) FROM second_factors WHERE confirmed_at IS NOT NULL";
    let on: i64 = sqlx::query_scalar(on)
        .fetch_one(pool)
        .await
        .expect("a count");
    assert_eq!(on, 0);
    assert_eq!(ada.get("/wallet").await.status, StatusCode::OK);
    app.stop().await;
}
