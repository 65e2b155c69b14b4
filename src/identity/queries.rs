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
