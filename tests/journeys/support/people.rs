//! People with the roles that a test wants, signed in without a password's work: their rows are
//! written as signing up and in would write them.

use sha2::{Digest, Sha256};
use sluice::web::Role;

use super::app::TestApp;
use super::visitor::Visitor;

/// Participant 0: the marketplace itself, whose people have the platform's roles.
pub(crate) const PLATFORM: i64 = 0;

/// How far somebody has come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Factor {
    /// They have none and need none.
    None,
    /// They have one and gave it.
    Given,
    /// They have one, or need one, and did not give it yet.
    Missing,
}

/// A participant of this name; its number.
pub(crate) async fn participant(app: &TestApp, name: &str) -> i64 {
    let insert = "INSERT INTO participants (name, created_at) VALUES ($1, now()) RETURNING id";
    let inserted = sqlx::query_scalar(insert).bind(name);
    inserted
        .fetch_one(&app.database.pool)
        .await
        .expect("a participant is written")
}

/// An application that a participant has sent; its number.
pub(crate) async fn application(app: &TestApp, of: i64) -> i64 {
    let insert = "INSERT INTO applications
             (participant, legal_name, credit_code, contact_name, contact_phone, contact_mail,
              region, site_address, capacity, state, created_at, saved_at, submitted_at)
         VALUES ($1, '贵州祁连算力科技有限公司', '91520900MA6HX3R47L', '林溪', '0851-5550100',
                 'ops@qilian.example', 'CN-GUZ-GAN', '贵安新区电子园 7 号', '64 × A100-80GB',
                 'submitted', now(), now(), now()) RETURNING id";
    let inserted = sqlx::query_scalar(insert).bind(of);
    inserted
        .fetch_one(&app.database.pool)
        .await
        .expect("an application is written")
}

/// A member of a participant with these roles, signed in. The platform's people have given their
/// second factor, others have none.
pub(crate) async fn member(app: &TestApp, of: i64, roles: &[Role], login: &str) -> Visitor {
    let factor = if of == PLATFORM {
        Factor::Given
    } else {
        Factor::None
    };
    member_with(app, of, roles, login, factor).await
}

/// The marketplace's person with this role, whose sign-in name is the role's.
pub(crate) async fn of_platform(app: &TestApp, role: Role) -> Visitor {
    member(app, PLATFORM, &[role], role.code()).await
}

/// The same, with a second factor that was given or not.
pub(crate) async fn member_with(
    app: &TestApp,
    of: i64,
    roles: &[Role],
    login: &str,
    factor: Factor,
) -> Visitor {
    let pool = &app.database.pool;
    let insert = "INSERT INTO users (participant, login, password_hash, created_at)
         VALUES ($1, $2, 'none', now()) RETURNING id";
    let user: i64 = sqlx::query_scalar(insert)
        .bind(of)
        .bind(login)
        .fetch_one(pool)
        .await
        .expect("a person is written");
    for role in roles {
        let insert = "INSERT INTO member_roles (user_id, participant, role, granted_at)
             VALUES ($1, $2, $3, now())";
        let inserted = sqlx::query(insert)
            .bind(user)
            .bind(of)
            .bind(role.code())
            .execute(pool)
            .await;
        inserted.expect("a role is written");
    }
    if factor != Factor::None {
        let insert = "INSERT INTO second_factors (user_id, secret, enrolled_at, confirmed_at)
             VALUES ($1, decode(repeat('5a', 20), 'hex'), now(), now())";
        let inserted = sqlx::query(insert).bind(user).execute(pool).await;
        inserted.expect("a second factor is written");
    }
    let token = format!("{login}{}", "x".repeat(43));
    let insert = "INSERT INTO sessions
             (token_sha256, user_id, created_at, seen_at, second_factor_at)
         VALUES ($1, $2, now(), now(), CASE WHEN $3 THEN now() END)";
    let inserted = sqlx::query(insert)
        .bind(Sha256::digest(token.as_bytes()).as_slice())
        .bind(user)
        .bind(factor == Factor::Given)
        .execute(pool)
        .await;
    inserted.expect("a session is written");
    let mut visitor = Visitor::new(app);
    visitor.cookies.insert("sluice".to_owned(), token);
    visitor
}
