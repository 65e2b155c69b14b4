//! The sessions' rows.

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::ParticipantId;
use sqlx::{PgConnection, PgPool};

use super::{
    Bounds, Entering, FRESH, Found, Member, PARTICIPANTS, PLATFORMS, Roles, Session, TokenHash,
};
use crate::clock;
use crate::web::error::Error;

/// How old `seen_at` may grow, as a share of the time after which a session is over, so that not
/// every request writes.
const SEEN_SHARE: i32 = 15;

#[derive(sqlx::FromRow)]
struct Row {
    token_sha256: Vec<u8>,
    user_id: i64,
    participant: i64,
    name: String,
    login: String,
    roles: Vec<String>,
    suspension: Option<String>,
    is_stale: bool,
    is_entering: bool,
    is_factor_stale: bool,
}

impl Row {
    fn found(self) -> Option<Found> {
        let token: TokenHash = self.token_sha256.try_into().ok()?;
        let member = Member {
            user: self.user_id,
            participant: ParticipantId(self.participant),
            name: self.name,
            login: self.login,
            roles: Roles::of(&self.roles),
            is_suspended: self.suspension.is_some(),
            suspension: self.suspension,
        };
        Some(if self.is_entering {
            Found::Entering(Entering { member, token })
        } else {
            Found::Full(Session {
                member,
                token,
                is_factor_stale: self.is_factor_stale,
            })
        })
    }
}

/// The session of this token, if it is good now; this is a use of it.
pub(super) async fn find(db: &PgPool, token: TokenHash) -> Result<Option<Found>, Error> {
    let Some(row) = rows(db, &[token]).await?.pop() else {
        return Ok(None);
    };
    if row.is_stale {
        sqlx::query("UPDATE sessions SET seen_at = $2 WHERE token_sha256 = $1")
            .bind(token.as_slice())
            .bind(clock::wall().to_sqlx())
            .execute(db)
            .await
            .context("noting a session's use")?;
    }
    Ok(row.found())
}

/// Those of these sessions that are good now; asking is no use of them.
pub(super) async fn good(db: &PgPool, tokens: &[TokenHash]) -> Result<Vec<Found>, Error> {
    let rows = rows(db, tokens).await?;
    Ok(rows.into_iter().filter_map(Row::found).collect())
}

async fn rows(db: &PgPool, tokens: &[TokenHash]) -> Result<Vec<Row>, Error> {
    let now = clock::wall();
    let tokens: Vec<&[u8]> = tokens.iter().map(TokenHash::as_slice).collect();
    let stale = |bounds: Bounds| (now - bounds.idle / SEEN_SHARE).to_sqlx();
    let rows = sqlx::query_as(
        "SELECT s.token_sha256, s.user_id, u.participant, p.name, u.login,
             s.seen_at < CASE u.participant WHEN 0 THEN $7 ELSE $4 END AS is_stale,
             p.suspended AS suspension,
             ARRAY(SELECT role FROM member_roles r WHERE r.user_id = u.id) AS roles,
             s.second_factor_at IS NULL AND (u.participant = 0 OR EXISTS (
                 SELECT FROM second_factors f
                 WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL)) AS is_entering,
             coalesce(s.second_factor_at < $8, false) AS is_factor_stale
         FROM sessions s JOIN users u ON u.id = s.user_id
         JOIN participants p ON p.id = u.participant
         WHERE s.token_sha256 = ANY($1) AND u.removed_at IS NULL
             AND s.seen_at > CASE u.participant WHEN 0 THEN $5 ELSE $2 END
             AND s.created_at > CASE u.participant WHEN 0 THEN $6 ELSE $3 END",
    )
    .bind(tokens)
    .bind((now - PARTICIPANTS.idle).to_sqlx())
    .bind((now - PARTICIPANTS.longest).to_sqlx())
    .bind(stale(PARTICIPANTS))
    .bind((now - PLATFORMS.idle).to_sqlx())
    .bind((now - PLATFORMS.longest).to_sqlx())
    .bind(stale(PLATFORMS))
    .bind((now - FRESH).to_sqlx())
    .fetch_all(db)
    .await
    .context("finding sessions")?;
    Ok(rows)
}

/// Whose session this is or was, as long as its row is there.
pub(super) async fn last_person(db: &PgPool, token: TokenHash) -> Result<Option<i64>, Error> {
    let person = sqlx::query_scalar("SELECT user_id FROM sessions WHERE token_sha256 = $1")
        .bind(token.as_slice())
        .fetch_optional(db)
        .await
        .context("finding whose session it was")?;
    Ok(person)
}

/// A session that begins.
pub(super) struct New<'a> {
    pub(super) token: TokenHash,
    pub(super) user: i64,
    pub(super) address: &'a str,
    pub(super) has_given_factor: bool,
}

/// Puts a new session in the place of the one that the browser had; says whether a second factor
/// is due in it. Whatever is long over goes with it, so the table stays small without a job of its
/// own.
pub(super) async fn replace(
    db: &mut PgConnection,
    old: Option<TokenHash>,
    new: New<'_>,
) -> Result<bool, Error> {
    let now = clock::wall();
    let is_entering = sqlx::query_scalar(
        "WITH gone AS (DELETE FROM sessions
             WHERE token_sha256 = $1 OR created_at < $5 OR seen_at < $6)
         INSERT INTO sessions
             (token_sha256, user_id, created_at, seen_at, address, second_factor_at)
         VALUES ($2, $3, $4, $4, $7, CASE WHEN $8 THEN $4 END)
         RETURNING NOT $8 AND (
             EXISTS (SELECT FROM users u WHERE u.id = $3 AND u.participant = 0)
             OR EXISTS (SELECT FROM second_factors f
                 WHERE f.user_id = $3 AND f.confirmed_at IS NOT NULL))",
    )
    .bind(old.as_ref().map(TokenHash::as_slice))
    .bind(new.token.as_slice())
    .bind(new.user)
    .bind(now.to_sqlx())
    .bind((now - PARTICIPANTS.longest).to_sqlx())
    .bind((now - PARTICIPANTS.idle).to_sqlx())
    .bind(new.address)
    .bind(new.has_given_factor)
    .fetch_one(db)
    .await
    .context("starting a session")?;
    Ok(is_entering)
}

/// Ends a session; says whose it was.
pub(super) async fn remove(db: &mut PgConnection, token: TokenHash) -> Result<Option<i64>, Error> {
    let user = sqlx::query_scalar("DELETE FROM sessions WHERE token_sha256 = $1 RETURNING user_id")
        .bind(token.as_slice())
        .fetch_optional(db)
        .await
        .context("ending a session")?;
    Ok(user)
}

/// Ends a person's sessions but one.
pub(super) async fn remove_of(
    db: &mut PgConnection,
    user: i64,
    but: Option<TokenHash>,
) -> Result<Vec<TokenHash>, Error> {
    let tokens = sqlx::query_scalar(
        "DELETE FROM sessions WHERE user_id = $1 AND token_sha256 IS DISTINCT FROM $2
         RETURNING token_sha256",
    )
    .bind(user)
    .bind(but.as_ref().map(TokenHash::as_slice))
    .fetch_all(db)
    .await
    .context("ending a person's sessions")?;
    Ok(hashes(tokens))
}

/// Ends those of a person's sessions in which no second factor was given.
pub(super) async fn remove_without_factor(
    db: &mut PgConnection,
    user: i64,
) -> Result<Vec<TokenHash>, Error> {
    let tokens = sqlx::query_scalar(
        "DELETE FROM sessions WHERE user_id = $1 AND second_factor_at IS NULL
         RETURNING token_sha256",
    )
    .bind(user)
    .fetch_all(db)
    .await
    .context("ending sessions without a second factor")?;
    Ok(hashes(tokens))
}

/// Ends a person's session by its number.
pub(super) async fn remove_one(
    db: &mut PgConnection,
    user: i64,
    number: i64,
) -> Result<Option<TokenHash>, Error> {
    let tokens = sqlx::query_scalar(
        "DELETE FROM sessions WHERE user_id = $1 AND id = $2 RETURNING token_sha256",
    )
    .bind(user)
    .bind(number)
    .fetch_all(db)
    .await
    .context("ending one of a person's sessions")?;
    Ok(hashes(tokens).pop())
}

fn hashes(tokens: Vec<Vec<u8>>) -> Vec<TokenHash> {
    let tokens = tokens.into_iter();
    tokens.filter_map(|token| token.try_into().ok()).collect()
}

/// One of a person's sessions, as they are shown it.
#[derive(Clone, Debug)]
pub struct Open {
    /// By what the person names it.
    pub number: i64,
    /// When it began.
    pub created_at: jiff::Timestamp,
    /// When it was last used, to a few minutes.
    pub seen_at: jiff::Timestamp,
    /// From where it was begun.
    pub address: String,
    /// Whether it is the one that asks.
    pub is_this: bool,
}

/// A person's sessions that are good now, the last used first.
///
/// # Errors
/// When the database can't be read.
pub async fn of_person(db: &PgPool, member: &Member, this: TokenHash) -> Result<Vec<Open>, Error> {
    let now = clock::wall();
    let bounds = if member.is_of_platform() {
        PLATFORMS
    } else {
        PARTICIPANTS
    };
    let rows: Vec<(
        i64,
        jiff_sqlx::Timestamp,
        jiff_sqlx::Timestamp,
        String,
        bool,
    )> = sqlx::query_as(
        "SELECT id, created_at, seen_at, address, token_sha256 = $2 AS is_this
         FROM sessions WHERE user_id = $1 AND seen_at > $3 AND created_at > $4
         ORDER BY is_this DESC, seen_at DESC, id LIMIT 50",
    )
    .bind(member.user)
    .bind(this.as_slice())
    .bind((now - bounds.idle).to_sqlx())
    .bind((now - bounds.longest).to_sqlx())
    .fetch_all(db)
    .await
    .context("listing a person's sessions")?;
    let open = |(number, created_at, seen_at, address, is_this): (
        i64,
        jiff_sqlx::Timestamp,
        jiff_sqlx::Timestamp,
        String,
        bool,
    )| Open {
        number,
        created_at: created_at.to_jiff(),
        seen_at: seen_at.to_jiff(),
        address,
        is_this,
    };
    Ok(rows.into_iter().map(open).collect())
}
