//! The tokens' rows.

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::ParticipantId;
use sqlx::{PgExecutor, PgPool};

use super::{Bearer, Scope};
use crate::clock;
use crate::web::error::Error;
use crate::web::session::{Member, Roles, TokenHash};

/// A token that is good now.
pub(super) struct Found {
    pub(super) bearer: Bearer,
    /// Whether its last use was noted a while ago.
    pub(super) is_stale: bool,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    token_sha256: Vec<u8>,
    user_id: i64,
    participant: i64,
    name: String,
    login: String,
    roles: Vec<String>,
    suspension: Option<String>,
    scopes: Vec<String>,
    is_counted: bool,
    is_stale: bool,
}

impl Row {
    fn found(self) -> Option<Found> {
        let bearer = Bearer {
            id: self.id,
            token: self.token_sha256.try_into().ok()?,
            member: Member {
                user: self.user_id,
                participant: ParticipantId(self.participant),
                name: self.name,
                login: self.login,
                roles: Roles::of(&self.roles),
                is_suspended: self.suspension.is_some(),
                suspension: self.suspension,
            },
            scopes: self
                .scopes
                .iter()
                .filter_map(|code| Scope::from_code(code))
                .collect(),
            is_counted: self.is_counted,
        };
        Some(Found {
            bearer,
            is_stale: self.is_stale,
        })
    }
}

/// Those of these tokens that are good now.
pub(super) async fn good(
    db: impl PgExecutor<'_>,
    tokens: &[TokenHash],
) -> Result<Vec<Found>, Error> {
    let tokens: Vec<&[u8]> = tokens.iter().map(TokenHash::as_slice).collect();
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT t.id, t.token_sha256, t.user_id, u.participant, p.name, u.login,
             ARRAY(SELECT role FROM member_roles r WHERE r.user_id = u.id) AS roles,
             p.suspended AS suspension, t.scopes,
             p.approval_above IS NOT NULL OR EXISTS (
                 SELECT FROM order_requests q WHERE q.participant = p.id) AS is_counted,
             coalesce(t.used_at < $2 - interval '1 minute', true) AS is_stale
         FROM api_tokens t JOIN users u ON u.id = t.user_id
         JOIN participants p ON p.id = u.participant
         WHERE t.token_sha256 = ANY($1) AND t.revoked_at IS NULL
             AND (t.expires_at IS NULL OR t.expires_at > $2)
             AND u.removed_at IS NULL AND u.participant > 0",
    )
    .bind(tokens)
    .bind(clock::wall().to_sqlx())
    .fetch_all(db)
    .await
    .context("looking at tokens")?;
    Ok(rows.into_iter().filter_map(Row::found).collect())
}

/// Notes that these tokens were used now, and from where.
pub(super) async fn note_use(db: &PgPool, used: &[(i64, String)]) -> Result<(), Error> {
    if used.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = used.iter().map(|(id, _)| *id).collect();
    let addresses: Vec<&str> = used.iter().map(|(_, address)| &**address).collect();
    sqlx::query(
        "UPDATE api_tokens t SET used_at = $3, used_from = u.address
         FROM unnest($1::bigint[], $2::text[]) AS u (id, address) WHERE t.id = u.id",
    )
    .bind(ids)
    .bind(addresses)
    .bind(clock::wall().to_sqlx())
    .execute(db)
    .await
    .context("noting the use of tokens")?;
    Ok(())
}
