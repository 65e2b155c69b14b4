//! Members: who may do what, how they come and go, and one's own sign-in.

use std::time::Duration;

use axum::http::StatusCode;
use http_body_util::BodyExt;
use sluice::web::Role;

use crate::support::app::TestApp;
use crate::support::people;
use crate::support::visitor::{Page, Visitor, password};

const INVITE: &str = "form[action='/settings/members/invitations']";

/// Invites with these boxes ticked; gives the path that the link leads to.
async fn invite(owner: &mut Visitor, roles: &[&str]) -> String {
    let mut fields = vec![("note", "for bob")];
    fields.extend(roles.iter().map(|role| (*role, "on")));
    let page = owner.post("/settings/members/invitations", &fields).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let link = page.text("#link");
    let (_, path) = link.split_once("/join?").expect("a link");
    format!("/join?{path}")
}

async fn join(app: &TestApp, link: &str, login: &str) -> (Visitor, Page) {
    let mut visitor = Visitor::new(app);
    let page = visitor.get(link).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let typed = [("login", login), ("password", &*password(login))];
    let page = visitor.submit(&page, "form[action='/join']", &typed).await;
    (visitor, page)
}

async fn user(app: &TestApp, login: &str) -> i64 {
    let id = "SELECT id FROM users WHERE login = $1 AND removed_at IS NULL";
    let id = sqlx::query_scalar(id).bind(login);
    id.fetch_one(&app.database.pool).await.expect("a person")
}

async fn acts(app: &TestApp, act: &str) -> i64 {
    let count = "SELECT count(*) FROM acts WHERE act = $1";
    let count = sqlx::query_scalar(count).bind(act);
    count.fetch_one(&app.database.pool).await.expect("a count")
}

/// Whether a stream ends within five seconds.
async fn ends(body: hyper::body::Incoming) -> bool {
    tokio::time::timeout(Duration::from_secs(5), body.collect())
        .await
        .is_ok()
}

#[tokio::test]
async fn an_invitation_makes_one_member_with_its_roles_once() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "100").await;
    let link = invite(&mut ada, &["buyer"]).await;
    let token = link.rsplit('=').next().expect("a token");
    assert!(token.len() >= 43, "256 bits");
    let kept: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM invitations
         WHERE token_sha256 = sha256(convert_to($1, 'UTF8')) AND expires_at < now() + '7 days'",
    )
    .bind(token)
    .fetch_one(&app.database.pool)
    .await
    .expect("a count");
    assert_eq!(kept, 1, "only the hash is kept");
    // What is wrong is said at its field and uses nothing up.
    for (login, with, said) in [
        ("b b", &*password("bob"), "#login-error"),
        ("bob", "tiny pass", "#password-error"),
        ("ADA@example.org", &*password("bob"), "#login-error"),
    ] {
        let mut visitor = Visitor::new(&app);
        let page = visitor.get(&link).await;
        let typed = [("login", login), ("password", with)];
        let page = visitor.submit(&page, "form[action='/join']", &typed).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(page.texts(said).len(), 1, "{}", page.body);
        let (_, kept) = page.form("form[action='/join']");
        assert!(kept.contains(&("login".to_owned(), login.to_owned())));
        assert!(!page.body.contains(with), "no password is sent back");
    }
    let (mut bob, page) = join(&app, &link, "bob").await;
    assert_eq!(page.location(), "/");
    assert!(
        bob.get("/wallet").await.body.contains("100.00"),
        "ada's cash"
    );
    assert_eq!(
        bob.post("/wallet/deposits", &[]).await.status,
        StatusCode::FORBIDDEN
    );
    let mut late = Visitor::new(&app);
    let page = late.get(&link).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    let again = [
        ("invitation", token),
        ("login", "eve"),
        ("password", &*password("eve")),
    ];
    let page = late.post("/join", &again).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert_eq!(acts(&app, "invited").await + acts(&app, "joined").await, 2);
    app.stop().await;
}

#[tokio::test]
async fn of_two_who_follow_one_link_at_once_one_joins() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1").await;
    let link = invite(&mut ada, &["finance"]).await;
    let token = link.rsplit('=').next().expect("a token");
    let mut visitors = [Visitor::new(&app), Visitor::new(&app)];
    let tries = visitors
        .iter_mut()
        .zip(["bob", "eve"])
        .map(|(visitor, login)| async move {
            let password = password(login);
            let fields = [
                ("invitation", token),
                ("login", login),
                ("password", &*password),
            ];
            visitor.post("/join", &fields).await.status
        });
    let mut statuses = futures_util::future::join_all(tries).await;
    statuses.sort();
    assert_eq!(statuses, [StatusCode::SEE_OTHER, StatusCode::NOT_FOUND]);
    app.stop().await;
}

#[tokio::test]
async fn an_invitation_that_is_revoked_or_old_is_no_more() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1").await;
    let none = Visitor::new(&app).get("/join?invitation=none").await;
    let revoked = invite(&mut ada, &["buyer"]).await;
    let page = ada.get("/settings/members").await;
    let page = ada.submit(&page, "form[action$='/revocation']", &[]).await;
    assert_eq!(page.location(), "/settings/members?revoked");
    let old = invite(&mut ada, &["buyer"]).await;
    sqlx::query("UPDATE invitations SET expires_at = now() - interval '1 second'")
        .execute(&app.database.pool)
        .await
        .expect("they grow old");
    for link in [revoked, old] {
        let page = Visitor::new(&app).get(&link).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND);
        assert_eq!(page.text("main"), none.text("main"));
    }
    let page = ada.get("/settings/members").await;
    assert!(page.texts("form[action$='/revocation']").is_empty());
    // A wrong invitation is none at all.
    for fields in [
        &[("note", "nobody")][..],
        &[("buyer", "on"), ("note", "a\u{202e}b")],
        &[("buyer", "on"), ("note", &"x".repeat(81))],
    ] {
        let page = ada.post("/settings/members/invitations", fields).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        let (_, kept) = page.form(INVITE);
        let note = fields.iter().find(|(name, _)| *name == "note");
        let note = note.expect("each has one").1;
        assert!(kept.contains(&("note".to_owned(), note.to_owned())));
    }
    assert_eq!(acts(&app, "invited").await, 2);
    app.stop().await;
}

#[tokio::test]
async fn roles_hold_at_once_and_streams_end_with_what_they_were_opened_for() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1").await;
    let link = invite(&mut ada, &["buyer"]).await;
    let (mut bob, _) = join(&app, &link, "bob").await;
    let id = user(&app, "bob").await;
    let stream = bob.open("GET", "/wallet/live", String::new()).await;
    let change = format!("/settings/members/{id}/roles");
    let page = ada.post(&change, &[("finance", "on")]).await;
    assert_eq!(page.location(), "/settings/members?roles");
    assert!(ends(stream.into_body()).await, "bob's stream goes on");
    let page = bob.post("/wallet/deposits", &[("amount", "5")]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
    let detail: serde_json::Value =
        sqlx::query_scalar("SELECT detail FROM acts WHERE act = 'roles_changed'")
            .fetch_one(&app.database.pool)
            .await
            .expect("an act");
    assert_eq!(
        detail,
        serde_json::json!({ "before": ["buyer"], "after": ["finance"] })
    );
    // A member who owns nothing changes nobody, themselves included.
    let page = bob.post(&change, &[("owner", "on")]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    app.stop().await;
}

#[tokio::test]
async fn whoever_is_removed_is_out_at_once_and_their_name_is_free() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1").await;
    let link = invite(&mut ada, &["buyer", "owner"]).await;
    let (mut bob, _) = join(&app, &link, "bob").await;
    let id = user(&app, "bob").await;
    let stream = bob.open("GET", "/wallet/live", String::new()).await;
    let remove = format!("/settings/members/{id}/removal");
    let mut eve = Visitor::member(&app, "eve", "1").await;
    let page = eve.post(&remove, &[]).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND, "another's member");
    let page = ada.post(&remove, &[]).await;
    assert_eq!(page.location(), "/settings/members?removed");
    assert!(ends(stream.into_body()).await, "bob's stream goes on");
    assert_eq!(bob.get("/wallet").await.location(), "/sign-in?next=/wallet");
    let fields = [("login", "bob"), ("password", &*password("bob"))];
    let page = bob.post("/sign-in", &fields).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(ada.post(&remove, &[]).await.status, StatusCode::NOT_FOUND);
    // The name may come back, by an invitation; it is a new person.
    let link = invite(&mut ada, &["finance"]).await;
    let (_, page) = join(&app, &link, "bob").await;
    assert_eq!(page.location(), "/");
    assert_ne!(user(&app, "bob").await, id);
    app.stop().await;
}

#[tokio::test]
async fn a_participant_always_has_an_owner() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1").await;
    let own = user(&app, "ada@example.org").await;
    for (path, fields) in [
        (format!("/settings/members/{own}/removal"), &[][..]),
        (format!("/settings/members/{own}/roles"), &[("buyer", "on")]),
    ] {
        let page = ada.post(&path, fields).await;
        assert_eq!(page.status, StatusCode::CONFLICT, "{path}");
        assert!(page.text(".notice").contains("always has an owner"));
    }
    // Two owners who take the other's part at once: one stays.
    let link = invite(&mut ada, &["owner"]).await;
    let (mut bob, _) = join(&app, &link, "bob").await;
    let id = user(&app, "bob").await;
    let (remove_bob, remove_ada) = (
        format!("/settings/members/{id}/removal"),
        format!("/settings/members/{own}/removal"),
    );
    tokio::join!(ada.post(&remove_bob, &[]), bob.post(&remove_ada, &[]));
    let owners: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM member_roles r JOIN users u ON u.id = r.user_id
         WHERE role = 'owner' AND removed_at IS NULL",
    )
    .fetch_one(&app.database.pool)
    .await
    .expect("a count");
    assert_eq!(owners, 1);
    app.stop().await;
}

#[tokio::test]
async fn a_new_password_ends_other_sessions_and_the_old_one() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1").await;
    let mut elsewhere = Visitor::new(&app);
    elsewhere.sign_in("ada", &password("ada")).await;
    let stream = elsewhere.open("GET", "/orders/live", String::new()).await;
    let change = "form[action='/settings/password']";
    for (current, new, said) in [
        (
            "not the one in force",
            "a long enough password",
            "#current-error",
        ),
        (&*password("ada"), "too short", "#password-error"),
        (&*password("ada"), "ada@example.org-ada", "#password-error"),
    ] {
        let page = ada.get("/settings").await;
        let typed = [("current", current), ("password", new)];
        let page = ada.submit(&page, change, &typed).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{new}");
        assert_eq!(page.texts(said).len(), 1, "{}", page.body);
        assert!(!page.body.contains(new) && !page.body.contains(current));
    }
    let page = ada.get("/settings").await;
    let typed = [
        ("current", &*password("ada")),
        ("password", "the hills beyond the river"),
    ];
    let page = ada.submit(&page, change, &typed).await;
    assert_eq!(page.location(), "/settings?password", "{}", page.body);
    assert_eq!(ada.get("/wallet").await.status, StatusCode::OK);
    assert!(ends(stream.into_body()).await, "the other stream goes on");
    assert!(
        elsewhere
            .get("/wallet")
            .await
            .location()
            .starts_with("/sign-in")
    );
    let page = elsewhere.sign_in("ada", &password("ada")).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = elsewhere.sign_in("ada", "the hills beyond the river").await;
    assert_eq!(page.location(), "/");
    assert_eq!(acts(&app, "password_changed").await, 1);
    assert_eq!(acts(&app, "password_change_failed").await, 1);
    app.stop().await;
}

#[tokio::test]
async fn people_see_their_sessions_and_end_them_but_nobody_elses() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1").await;
    let mut eve = Visitor::member(&app, "eve", "1").await;
    let mut others = [Visitor::new(&app), Visitor::new(&app), Visitor::new(&app)];
    for other in &mut others {
        other.sign_in("ada", &password("ada")).await;
    }
    let page = ada.get("/settings").await;
    assert_eq!(page.texts(".session").len(), 4);
    assert!(page.texts(".session")[0].contains("this one"));
    let (end, _) = page.form("form[action$='/end']");
    assert_eq!(eve.post(&end, &[]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(ada.post(&end, &[]).await.location(), "/settings?ended");
    assert_eq!(ada.post(&end, &[]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(ada.get("/settings").await.texts(".session").len(), 3);
    let page = ada.post("/settings/sessions/end-others", &[]).await;
    assert_eq!(page.location(), "/settings?others");
    assert_eq!(ada.get("/settings").await.texts(".session").len(), 1);
    for other in &mut others {
        assert!(
            other
                .get("/settings")
                .await
                .location()
                .starts_with("/sign-in")
        );
    }
    assert_eq!(eve.get("/settings").await.status, StatusCode::OK);
    app.stop().await;
}

#[tokio::test]
async fn the_platforms_people_are_signed_out_sooner() {
    let app = TestApp::start().await;
    let roles = [Role::Auditor];
    let age = |sql: &'static str| {
        let pool = app.database.pool.clone();
        async move { sqlx::query(sql).execute(&pool).await.expect("sessions age") }
    };
    let mut olga = people::member(&app, people::PLATFORM, &roles, "olga").await;
    age("UPDATE sessions SET seen_at = seen_at - interval '14 minutes'").await;
    assert_eq!(olga.get("/settings").await.status, StatusCode::OK);
    // That was a use of it: idle time begins again.
    age("UPDATE sessions SET seen_at = seen_at - interval '14 minutes'").await;
    assert_eq!(olga.get("/settings").await.status, StatusCode::OK);
    age("UPDATE sessions SET seen_at = seen_at - interval '15 minutes'").await;
    assert!(
        olga.get("/settings")
            .await
            .location()
            .starts_with("/sign-in")
    );
    let mut omar = people::member(&app, people::PLATFORM, &roles, "omar").await;
    age("UPDATE sessions SET created_at = created_at - interval '12 hours'").await;
    assert!(
        omar.get("/settings")
            .await
            .location()
            .starts_with("/sign-in")
    );
    app.stop().await;
}

#[tokio::test]
async fn a_stream_ends_with_its_idle_session_and_keeps_none_alive() {
    let app = TestApp::start().await;
    let ada = Visitor::member(&app, "ada", "1").await;
    let stream = ada.open("GET", "/wallet/live", String::new()).await;
    let age = "UPDATE sessions SET seen_at = seen_at - interval '24 hours'";
    sqlx::query(age)
        .execute(&app.database.pool)
        .await
        .expect("it ages");
    assert!(ends(stream.into_body()).await, "the stream goes on");
    // Suspension, whoever writes it, ends what was opened before.
    let mut bob = Visitor::member(&app, "bob", "1").await;
    let stream = bob.open("GET", "/wallet/live", String::new()).await;
    let suspend = "UPDATE participants SET suspended = 'abuse', suspended_at = now()
         WHERE name = 'bob'";
    sqlx::query(suspend)
        .execute(&app.database.pool)
        .await
        .expect("it is suspended");
    assert!(ends(stream.into_body()).await, "the stream goes on");
    assert_eq!(bob.get("/wallet").await.status, StatusCode::OK);
    app.stop().await;
}
