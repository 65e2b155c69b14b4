//! What is read of tokens; another participant's are as if they did not exist.

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use sqlx::PgPool;

use crate::clock;
use crate::web::token::Scope;
use crate::web::{Error, Member};

/// A token that is good, as people are shown it.
pub(super) struct TokenRow {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) login: String,
    pub(super) scopes: Vec<Scope>,
    pub(super) made_at: jiff::Timestamp,
    pub(super) expires_at: Option<jiff::Timestamp>,
    pub(super) used: Option<(jiff::Timestamp, String)>,
    pub(super) is_own: bool,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    name: String,
    login: String,
    scopes: Vec<String>,
    made_at: jiff_sqlx::Timestamp,
    expires_at: Option<jiff_sqlx::Timestamp>,
    used_at: Option<jiff_sqlx::Timestamp>,
    used_from: Option<String>,
    is_own: bool,
}

/// A member's tokens that are good, and to an owner those of all members; one's own first, the
/// latest before others.
pub(super) async fn tokens(
    db: &PgPool,
    member: &Member,
    all: bool,
) -> Result<Vec<TokenRow>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT t.id, t.name, u.login, t.scopes, t.made_at, t.expires_at, t.used_at, t.used_from,
                t.user_id = $2 AS is_own
         FROM api_tokens t JOIN users u ON u.id = t.user_id
         WHERE u.participant = $1 AND u.removed_at IS NULL AND (t.user_id = $2 OR $3)
             AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $4)
         ORDER BY is_own DESC, t.id DESC LIMIT 500",
    )
    .bind(member.participant.0)
    .bind(member.user)
    .bind(all)
    .bind(clock::wall().to_sqlx())
    .fetch_all(db)
    .await
    .context("listing tokens")?;
    let row = |row: Row| TokenRow {
        id: row.id,
        name: row.name,
        login: row.login,
        scopes: row
            .scopes
            .iter()
            .filter_map(|code| Scope::from_code(code))
            .collect(),
        made_at: row.made_at.to_jiff(),
        expires_at: row.expires_at.map(jiff_sqlx::Timestamp::to_jiff),
        used: row
            .used_at
            .map(|at| (at.to_jiff(), row.used_from.unwrap_or_default())),
        is_own: row.is_own,
    };
    Ok(rows.into_iter().map(row).collect())
}
