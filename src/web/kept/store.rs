//! The rows of kept forms.

use anyhow::Context;
use jiff::SignedDuration;
use jiff_sqlx::ToSqlx;
use sqlx::PgPool;

use crate::clock;
use crate::web::error::Error;

/// How long one is kept.
const FOR: SignedDuration = SignedDuration::from_hours(1);

/// How many there may be; further ones are not kept.
const MOST: i64 = 5_000;

/// A form that is kept.
pub(super) struct New<'a> {
    pub(super) token: [u8; 32],
    pub(super) path: &'a str,
    pub(super) fields: &'a str,
    /// Whose it is, where that is known.
    pub(super) person: Option<i64>,
}

/// Keeps one, and forgets those that are too old; false where there are too many.
pub(super) async fn keep(db: &PgPool, new: New<'_>) -> Result<bool, Error> {
    let now = clock::wall();
    let kept = sqlx::query(
        "WITH gone AS (DELETE FROM kept_forms WHERE kept_at < $6)
         INSERT INTO kept_forms (token_sha256, path, fields, user_id, kept_at)
         SELECT $1, $2, $3, $4, $5
         WHERE (SELECT count(*) FROM kept_forms WHERE kept_at >= $6) < $7",
    )
    .bind(new.token.as_slice())
    .bind(new.path)
    .bind(new.fields.as_bytes())
    .bind(new.person)
    .bind(now.to_sqlx())
    .bind((now - FOR).to_sqlx())
    .bind(MOST)
    .execute(db)
    .await
    .context("keeping a form")?;
    Ok(kept.rows_affected() == 1)
}

/// The path and the fields of a kept form, for this person.
pub(super) async fn find(
    db: &PgPool,
    token: [u8; 32],
    person: i64,
) -> Result<Option<(String, String)>, Error> {
    let found: Option<(String, Vec<u8>)> = sqlx::query_as(
        "SELECT path, fields FROM kept_forms
         WHERE token_sha256 = $1 AND kept_at > $2 AND coalesce(user_id = $3, true)",
    )
    .bind(token.as_slice())
    .bind((clock::wall() - FOR).to_sqlx())
    .bind(person)
    .fetch_optional(db)
    .await
    .context("finding a kept form")?;
    Ok(found.map(|(path, fields)| (path, String::from_utf8_lossy(&fields).into_owned())))
}
