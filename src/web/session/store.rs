//! The sessions' rows.

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::ParticipantId;
use sqlx::PgPool;

use super::{Entering, Found, IDLE, LONGEST, Member, Roles, Session, TokenHash};
use crate::clock;
use crate::web::error::Error;

/// How old `seen_at` may grow, so that not every request writes.
const SEEN_STEP: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

#[derive(sqlx::FromRow)]
struct Row {
    user_id: i64,
    participant: i64,
    name: String,
    login: String,
    roles: Vec<String>,
    is_suspended: bool,
    is_stale: bool,
    is_entering: bool,
}

/// The session of this token, if it is good now.
pub(super) async fn find(db: &PgPool, token: TokenHash) -> Result<Option<Found>, Error> {
    let now = clock::wall();
    let row: Option<Row> = sqlx::query_as(
        "SELECT s.user_id, u.participant, p.name, u.login, s.seen_at < $4 AS is_stale,
             p.suspended IS NOT NULL AS is_suspended,
             ARRAY(SELECT role FROM member_roles r WHERE r.user_id = u.id) AS roles,
             s.second_factor_at IS NULL AND (u.participant = 0 OR EXISTS (
                 SELECT FROM second_factors f
                 WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL)) AS is_entering
         FROM sessions s JOIN users u ON u.id = s.user_id
         JOIN participants p ON p.id = u.participant
         WHERE s.token_sha256 = $1 AND s.seen_at > $2 AND s.created_at > $3",
    )
    .bind(token.as_slice())
    .bind((now - IDLE).to_sqlx())
    .bind((now - LONGEST).to_sqlx())
    .bind((now - SEEN_STEP).to_sqlx())
    .fetch_optional(db)
    .await
    .context("finding a session")?;
    let Some(row) = row else {
        return Ok(None);
    };
    if row.is_stale {
        sqlx::query("UPDATE sessions SET seen_at = $2 WHERE token_sha256 = $1")
            .bind(token.as_slice())
            .bind(now.to_sqlx())
            .execute(db)
            .await
            .context("noting a session's use")?;
    }
    let participant = ParticipantId(row.participant);
    let member = Member {
        user: row.user_id,
        participant,
        name: row.name,
        login: row.login,
        roles: Roles::of(&row.roles),
        is_suspended: row.is_suspended,
    };
    Ok(Some(if row.is_entering {
        Found::Entering(Entering { member, token })
    } else {
        Found::Full(Session { member, token })
    }))
}

/// Puts a new session in the place of the one that the browser had. Whatever is long over goes
/// with it, so the table stays small without a job of its own.
pub(super) async fn replace(
    db: &PgPool,
    old: Option<TokenHash>,
    new: TokenHash,
    user: i64,
) -> Result<(), Error> {
    let now = clock::wall();
    sqlx::query(
        "WITH gone AS (DELETE FROM sessions
             WHERE token_sha256 = $1 OR created_at < $5 OR seen_at < $6)
         INSERT INTO sessions (token_sha256, user_id, created_at, seen_at)
         VALUES ($2, $3, $4, $4)",
    )
    .bind(old.as_ref().map(TokenHash::as_slice))
    .bind(new.as_slice())
    .bind(user)
    .bind(now.to_sqlx())
    .bind((now - LONGEST).to_sqlx())
    .bind((now - IDLE).to_sqlx())
    .execute(db)
    .await
    .context("starting a session")?;
    Ok(())
}

/// Ends a session.
pub(super) async fn remove(db: &PgPool, token: TokenHash) -> Result<(), Error> {
    sqlx::query("DELETE FROM sessions WHERE token_sha256 = $1")
        .bind(token.as_slice())
        .execute(db)
        .await
        .context("ending a session")?;
    Ok(())
}
