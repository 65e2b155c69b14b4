//! What is read of people.

use anyhow::Context;
use sqlx::PgPool;

use crate::names;
use crate::web::Error;

/// A person's number and password hash.
#[derive(sqlx::FromRow)]
pub(super) struct Known {
    pub(super) id: i64,
    pub(super) password_hash: String,
}

/// The person of this sign-in name, if they are of the participant of this name.
pub(super) async fn user_of(db: &PgPool, name: &str, login: &str) -> Result<Option<Known>, Error> {
    let known = sqlx::query_as(
        "SELECT u.id, u.password_hash FROM users u JOIN participants p ON p.id = u.participant
         WHERE u.login_key = $1 AND p.name_key = $2 AND u.removed_at IS NULL",
    )
    .bind(names::key(login))
    .bind(names::key(name))
    .fetch_optional(db)
    .await
    .context("finding who has signed up before")?;
    Ok(known)
}

/// The person of this sign-in name.
pub(super) async fn user(db: &PgPool, login: &str) -> Result<Option<Known>, Error> {
    let known = sqlx::query_as(
        "SELECT id, password_hash FROM users WHERE login_key = $1 AND removed_at IS NULL",
    )
    .bind(names::key(login))
    .fetch_optional(db)
    .await
    .context("finding a user")?;
    Ok(known)
}
