//! What is written of agents and their tokens.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::PgPool;

use super::Beat;

/// What came of an enrolment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// The agent of this number.
    As(i64),
    /// There is no such token, or it is too old.
    NoToken,
    /// Another key has used the token, or the key has an agent already.
    Used,
}

/// A token that is known.
#[derive(sqlx::FromRow)]
struct Token {
    host: i64,
    is_old: bool,
    agent: Option<i64>,
    used_by: Option<Vec<u8>>,
}

/// Keeps a new token of a machine, in place of those that were not used.
///
/// # Errors
/// When the database fails.
pub async fn new_token(
    db: impl sqlx::PgExecutor<'_>,
    token: &[u8; 32],
    host: i64,
    by: Option<i64>,
    (made_at, expires_at): (Timestamp, Timestamp),
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH old AS (DELETE FROM agent_tokens WHERE host = $2 AND agent IS NULL)
         INSERT INTO agent_tokens (token, host, made_by, made_at, expires_at)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(&token[..])
    .bind(host)
    .bind(by)
    .bind(made_at.to_sqlx())
    .bind(expires_at.to_sqlx())
    .execute(db)
    .await
    .map(|_| ())
}

pub(super) async fn enrol(
    db: &PgPool,
    token: &[u8; 32],
    key: &[u8; 32],
    inventory: &serde_json::Value,
    (now, market): (Timestamp, Timestamp),
) -> Result<Enrolled, sqlx::Error> {
    let mut transaction = db.begin().await?;
    let found: Option<Token> = sqlx::query_as(
        "SELECT t.host, t.expires_at < $2 AS is_old, t.agent, a.public_key AS used_by
         FROM agent_tokens t LEFT JOIN agents a ON a.id = t.agent
         WHERE t.token = $1 FOR UPDATE OF t",
    )
    .bind(&token[..])
    .bind(now.to_sqlx())
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(token_of) = found else {
        return Ok(Enrolled::NoToken);
    };
    if let Some(agent) = token_of.agent {
        let is_same = token_of.used_by.is_some_and(|used_by| used_by == key);
        return Ok(if is_same {
            Enrolled::As(agent)
        } else {
            Enrolled::Used
        });
    }
    if token_of.is_old {
        return Ok(Enrolled::NoToken);
    }
    let host = token_of.host;
    sqlx::query("UPDATE agents SET revoked_at = $2 WHERE host = $1 AND revoked_at IS NULL")
        .bind(host)
        .bind(now.to_sqlx())
        .execute(&mut *transaction)
        .await?;
    let agent: Option<i64> = sqlx::query_scalar(
        "INSERT INTO agents (host, public_key, enrolled_at, seen_at, inventory, speaks_from)
         VALUES ($1, $2, $3, $3, $4, $5) ON CONFLICT (public_key) DO NOTHING RETURNING id",
    )
    .bind(host)
    .bind(&key[..])
    .bind(now.to_sqlx())
    .bind(inventory)
    .bind(market.to_sqlx())
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(agent) = agent else {
        return Ok(Enrolled::Used);
    };
    sqlx::query("UPDATE agent_tokens SET agent = $2 WHERE token = $1")
        .bind(&token[..])
        .bind(agent)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(Enrolled::As(agent))
}

/// Ends an agent: nothing that its key signs is answered from now on.
///
/// # Errors
/// When the database fails.
pub async fn revoke(
    db: impl sqlx::PgExecutor<'_>,
    host: i64,
    by: Option<i64>,
    now: Timestamp,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "UPDATE agents SET revoked_at = $3, revoked_by = $2
         WHERE host = $1 AND revoked_at IS NULL RETURNING id",
    )
    .bind(host)
    .bind(by)
    .bind(now.to_sqlx())
    .fetch_optional(db)
    .await
}

pub(super) async fn seen(
    db: &PgPool,
    agent: i64,
    beat: &Beat,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let program: String = beat.program.chars().take(40).collect();
    sqlx::query(
        "UPDATE agents SET seen_at = $2, program = $3, clock_ahead_ms = $4, waiting = $5,
                inventory = CASE WHEN inventory = $6 THEN inventory ELSE $6 END
         WHERE id = $1",
    )
    .bind(agent)
    .bind(now.to_sqlx())
    .bind(program)
    .bind(beat.clock_ahead_ms)
    .bind(i64::try_from(beat.waiting).unwrap_or(i64::MAX))
    .bind(&beat.inventory)
    .execute(db)
    .await
    .map(|_| ())
}

/// Forgets requests that would not be taken for new ones any more.
///
/// # Errors
/// When the database fails.
pub async fn forget_requests(db: &PgPool, before: Timestamp) -> Result<(), sqlx::Error> {
    let forget = sqlx::query("DELETE FROM nonces WHERE at < $1").bind(before.to_sqlx());
    forget.execute(db).await.map(|_| ())
}
