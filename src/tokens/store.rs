//! What is written of tokens.

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use sqlx::PgConnection;

use super::forms::Terms;
use crate::clock;
use crate::web::session::TokenHash;
use crate::web::{Error, Member};

/// How many tokens of a member may be good at once.
pub(super) const MOST: i64 = 20;

/// What came of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// It is made, with this number.
    Now(i64),
    /// The same was made before, and is good.
    Before,
    /// It is another one's, or one that was taken back.
    Another,
    /// As many are good as may be.
    TooMany,
}

/// Keeps a token, once. The member's row is locked, so that of two at once one is counted first.
pub(super) async fn make(
    db: &mut PgConnection,
    member: &Member,
    token: TokenHash,
    terms: &Terms,
) -> Result<Made, Error> {
    sqlx::query("SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE")
        .bind(member.user)
        .execute(&mut *db)
        .await
        .context("locking a member")?;
    let now = clock::wall();
    let known: Option<bool> = sqlx::query_scalar(
        "SELECT user_id = $2 AND name = $3 AND scopes = $4 AND revoked_at IS NULL
         FROM api_tokens WHERE token_sha256 = $1",
    )
    .bind(token.as_slice())
    .bind(member.user)
    .bind(&terms.name)
    .bind(&terms.scopes)
    .fetch_optional(&mut *db)
    .await
    .context("finding a token that was made before")?;
    if let Some(is_same) = known {
        return Ok(if is_same { Made::Before } else { Made::Another });
    }
    let id: Option<i64> = sqlx::query_scalar(
        "INSERT INTO api_tokens (user_id, token_sha256, name, scopes, made_at, expires_at)
         SELECT $1, $2, $3, $4, $5, $6
         WHERE (SELECT count(*) FROM api_tokens
                WHERE user_id = $1 AND revoked_at IS NULL
                    AND (expires_at IS NULL OR expires_at > $5)) < $7
         RETURNING id",
    )
    .bind(member.user)
    .bind(token.as_slice())
    .bind(&terms.name)
    .bind(&terms.scopes)
    .bind(now.to_sqlx())
    .bind(terms.good_for.map(|good_for| (now + good_for).to_sqlx()))
    .bind(MOST)
    .fetch_optional(db)
    .await
    .context("keeping a token")?;
    Ok(id.map_or(Made::TooMany, Made::Now))
}

/// Takes a token back: the member's own, or any of their participant's where `all`. False where
/// there is none such.
pub(super) async fn revoke(
    db: &mut PgConnection,
    member: &Member,
    all: bool,
    id: i64,
) -> Result<bool, Error> {
    let revoked = sqlx::query(
        "UPDATE api_tokens t SET revoked_at = $5, revoked_by = $2
         FROM users u
         WHERE t.id = $4 AND u.id = t.user_id AND u.participant = $1 AND (t.user_id = $2 OR $3)
             AND t.revoked_at IS NULL",
    )
    .bind(member.participant.0)
    .bind(member.user)
    .bind(all)
    .bind(id)
    .bind(clock::wall().to_sqlx())
    .execute(db)
    .await
    .context("taking a token back")?;
    Ok(revoked.rows_affected() == 1)
}
