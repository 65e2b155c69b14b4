//! What is read of people; another participant's are as if they did not exist.

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::{Money, ParticipantId};
use sqlx::PgPool;

use crate::clock;
use crate::names;
use crate::web::Error;
use crate::web::session::Roles;

/// A member of a participant.
pub(super) struct MemberRow {
    pub(super) user: i64,
    pub(super) login: String,
    pub(super) roles: Roles,
    pub(super) has_factor: bool,
    pub(super) since: jiff::Timestamp,
}

/// Everyone who acts for a participant, in the order in which they came.
pub(super) async fn members(db: &PgPool, of: ParticipantId) -> Result<Vec<MemberRow>, Error> {
    let rows: Vec<(i64, String, Vec<String>, bool, jiff_sqlx::Timestamp)> = sqlx::query_as(
        "SELECT u.id, u.login,
             ARRAY(SELECT role FROM member_roles r WHERE r.user_id = u.id),
             EXISTS (SELECT FROM second_factors f
                 WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL),
             u.created_at
         FROM users u WHERE u.participant = $1 AND u.removed_at IS NULL
         ORDER BY u.id LIMIT 500",
    )
    .bind(of.0)
    .fetch_all(db)
    .await
    .context("listing members")?;
    let rows = rows.into_iter();
    Ok(rows
        .map(|(user, login, roles, has_factor, since)| MemberRow {
            user,
            login,
            roles: Roles::of(&roles),
            has_factor,
            since: since.to_jiff(),
        })
        .collect())
}

/// The amount above which a participant's orders need a second person.
pub(super) async fn approval_above(db: &PgPool, of: ParticipantId) -> Result<Option<Money>, Error> {
    let above: Option<i64> =
        sqlx::query_scalar("SELECT approval_above FROM participants WHERE id = $1")
            .bind(of.0)
            .fetch_one(db)
            .await
            .context("reading an amount")?;
    Ok(above.map(Money))
}

/// An invitation that is still good.
pub(super) struct InvitationRow {
    pub(super) number: i64,
    pub(super) note: String,
    pub(super) roles: Roles,
    pub(super) by: String,
    pub(super) until: jiff::Timestamp,
}

/// A participant's invitations that are still good, the latest first.
pub(super) async fn invitations(
    db: &PgPool,
    of: ParticipantId,
) -> Result<Vec<InvitationRow>, Error> {
    let rows: Vec<(i64, String, Vec<String>, String, jiff_sqlx::Timestamp)> = sqlx::query_as(
        "SELECT i.id, i.note, i.roles, u.login, i.expires_at
         FROM invitations i JOIN users u ON u.id = i.invited_by
         WHERE i.participant = $1 AND i.used_at IS NULL AND i.revoked_at IS NULL
             AND i.expires_at > $2
         ORDER BY i.id DESC LIMIT 100",
    )
    .bind(of.0)
    .bind(clock::wall().to_sqlx())
    .fetch_all(db)
    .await
    .context("listing invitations")?;
    let rows = rows.into_iter();
    Ok(rows
        .map(|(number, note, roles, by, until)| InvitationRow {
            number,
            note,
            roles: Roles::of(&roles),
            by,
            until: until.to_jiff(),
        })
        .collect())
}

/// The person who has joined by the invitation of this token under this sign-in name, with the hash
/// of their password.
pub(super) async fn joined(
    db: &PgPool,
    token: [u8; 32],
    login: &str,
) -> Result<Option<(i64, String)>, Error> {
    let joined = sqlx::query_as(
        "SELECT u.id, u.password_hash FROM invitations i JOIN users u ON u.id = i.used_by
         WHERE i.token_sha256 = $1 AND u.login_key = $2 AND u.removed_at IS NULL",
    )
    .bind(token.as_slice())
    .bind(names::key(login))
    .fetch_optional(db)
    .await
    .context("finding who has joined by an invitation")?;
    Ok(joined)
}

/// What an invitation is into.
pub(super) struct Offer {
    pub(super) participant: String,
    pub(super) roles: Roles,
}

/// The invitation of this token, if it is still good.
pub(super) async fn offer(db: &PgPool, token: [u8; 32]) -> Result<Option<Offer>, Error> {
    let row: Option<(String, Vec<String>)> = sqlx::query_as(
        "SELECT p.name, i.roles FROM invitations i JOIN participants p ON p.id = i.participant
         WHERE i.token_sha256 = $1 AND i.used_at IS NULL AND i.revoked_at IS NULL
             AND i.expires_at > $2",
    )
    .bind(token.as_slice())
    .bind(clock::wall().to_sqlx())
    .fetch_optional(db)
    .await
    .context("finding an invitation")?;
    Ok(row.map(|(participant, roles)| Offer {
        participant,
        roles: Roles::of(&roles),
    }))
}

/// The hash of a person's password.
pub(super) async fn password(db: &PgPool, user: i64) -> Result<Option<String>, Error> {
    let hash =
        sqlx::query_scalar("SELECT password_hash FROM users WHERE id = $1 AND removed_at IS NULL")
            .bind(user)
            .fetch_optional(db)
            .await
            .context("reading a password's hash")?;
    Ok(hash)
}
