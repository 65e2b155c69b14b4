//! What is written of people.

use anyhow::Context;
use jiff::SignedDuration;
use jiff_sqlx::ToSqlx;
use market::{Money, ParticipantId};
use sqlx::PgConnection;

use crate::clock;
use crate::names;
use crate::web::Error;

/// How long an invitation is good.
pub(super) const GOOD_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Why a member stays as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// There is no such member of this participant.
    Unknown,
    /// Nobody else owns the participant.
    LastOwner,
}

/// Keeps the hash of a new password.
pub(super) async fn password(db: &mut PgConnection, user: i64, hash: &str) -> Result<(), Error> {
    sqlx::query("UPDATE users SET password_hash = $2 WHERE id = $1")
        .bind(user)
        .bind(hash)
        .execute(db)
        .await
        .context("changing a password")?;
    Ok(())
}

/// The roles of a member, while nobody else changes who owns the participant.
async fn lock(
    db: &mut PgConnection,
    of: ParticipantId,
    user: i64,
) -> Result<Option<Vec<String>>, Error> {
    // Two owners who demote each other at once are two who ask for this row.
    sqlx::query("SELECT FROM participants WHERE id = $1 FOR UPDATE")
        .bind(of.0)
        .execute(&mut *db)
        .await
        .context("locking a participant")?;
    let roles = sqlx::query_scalar(
        "SELECT ARRAY(SELECT role FROM member_roles r WHERE r.user_id = u.id ORDER BY role)
         FROM users u WHERE u.id = $1 AND u.participant = $2 AND u.removed_at IS NULL",
    )
    .bind(user)
    .bind(of.0)
    .fetch_optional(db)
    .await
    .context("reading a member's roles")?;
    Ok(roles)
}

async fn has_other_owner(
    db: &mut PgConnection,
    of: ParticipantId,
    user: i64,
) -> Result<bool, Error> {
    let has = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM member_roles
             WHERE participant = $1 AND role = 'owner' AND user_id <> $2)",
    )
    .bind(of.0)
    .bind(user)
    .fetch_one(db)
    .await
    .context("looking for another owner")?;
    Ok(has)
}

/// Gives a member these roles and no other; gives the ones that they had.
pub(super) async fn roles(
    db: &mut PgConnection,
    of: ParticipantId,
    user: i64,
    roles: &[String],
) -> Result<Result<Vec<String>, Kept>, Error> {
    let Some(before) = lock(db, of, user).await? else {
        return Ok(Err(Kept::Unknown));
    };
    let owner = "owner".to_owned();
    if !roles.contains(&owner) && before.contains(&owner) && !has_other_owner(db, of, user).await? {
        return Ok(Err(Kept::LastOwner));
    }
    sqlx::query("DELETE FROM member_roles WHERE user_id = $1 AND role <> ALL($2)")
        .bind(user)
        .bind(roles)
        .execute(&mut *db)
        .await
        .context("taking roles")?;
    give(db, of.0, user, roles).await?;
    Ok(Ok(before))
}

async fn give(db: &mut PgConnection, of: i64, user: i64, roles: &[String]) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO member_roles (user_id, participant, role, granted_at)
         SELECT $1, $2, role, $4 FROM unnest($3) AS role ON CONFLICT DO NOTHING",
    )
    .bind(user)
    .bind(of)
    .bind(roles)
    .bind(clock::wall().to_sqlx())
    .execute(db)
    .await
    .context("giving roles")?;
    Ok(())
}

/// Removes a member from their participant; gives the roles that they had.
pub(super) async fn remove(
    db: &mut PgConnection,
    of: ParticipantId,
    user: i64,
) -> Result<Result<Vec<String>, Kept>, Error> {
    let Some(before) = lock(db, of, user).await? else {
        return Ok(Err(Kept::Unknown));
    };
    if before.contains(&"owner".to_owned()) && !has_other_owner(db, of, user).await? {
        return Ok(Err(Kept::LastOwner));
    }
    sqlx::query(
        "WITH roles AS (DELETE FROM member_roles WHERE user_id = $1),
         factor AS (DELETE FROM second_factors WHERE user_id = $1)
         UPDATE users SET removed_at = $2, password_hash = '' WHERE id = $1",
    )
    .bind(user)
    .bind(clock::wall().to_sqlx())
    .execute(db)
    .await
    .context("removing a member")?;
    Ok(Ok(before))
}

/// Sets the amount above which an order needs a second person; gives the one before.
pub(super) async fn approval_above(
    db: &mut PgConnection,
    of: ParticipantId,
    above: Option<Money>,
) -> Result<Option<Money>, Error> {
    let before: Option<i64> = sqlx::query_scalar(
        "UPDATE participants p SET approval_above = $2
         FROM (SELECT id, approval_above FROM participants WHERE id = $1 FOR NO KEY UPDATE) old
         WHERE p.id = old.id RETURNING old.approval_above",
    )
    .bind(of.0)
    .bind(above.map(|above| above.0))
    .fetch_one(db)
    .await
    .context("setting an amount")?;
    Ok(before.map(Money))
}

/// An invitation that is made.
pub(super) struct NewInvitation<'a> {
    pub(super) of: ParticipantId,
    pub(super) token: [u8; 32],
    pub(super) roles: &'a [String],
    pub(super) note: &'a str,
    pub(super) by: i64,
}

/// What came of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Invited {
    /// It is made, with this number.
    Now(i64),
    /// The same was made before by the same person, and nobody has used it.
    Before,
    /// Its token is another invitation's.
    Another,
}

/// Keeps an invitation, once.
pub(super) async fn invite(
    db: &mut PgConnection,
    new: NewInvitation<'_>,
) -> Result<Invited, Error> {
    let now = clock::wall();
    let number: Option<i64> = sqlx::query_scalar(
        "INSERT INTO invitations
             (participant, token_sha256, roles, note, invited_by, invited_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (token_sha256) DO NOTHING RETURNING id",
    )
    .bind(new.of.0)
    .bind(new.token.as_slice())
    .bind(new.roles)
    .bind(new.note)
    .bind(new.by)
    .bind(now.to_sqlx())
    .bind((now + GOOD_FOR).to_sqlx())
    .fetch_optional(&mut *db)
    .await
    .context("keeping an invitation")?;
    if let Some(number) = number {
        return Ok(Invited::Now(number));
    }
    let is_same: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM invitations
             WHERE token_sha256 = $1 AND participant = $2 AND invited_by = $3 AND roles = $4
               AND note = $5 AND used_at IS NULL AND revoked_at IS NULL)",
    )
    .bind(new.token.as_slice())
    .bind(new.of.0)
    .bind(new.by)
    .bind(new.roles)
    .bind(new.note)
    .fetch_one(db)
    .await
    .context("finding an invitation that was made before")?;
    Ok(if is_same {
        Invited::Before
    } else {
        Invited::Another
    })
}

/// Takes an invitation back; false where there is none of the participant's, or it was used.
pub(super) async fn revoke(
    db: &mut PgConnection,
    of: ParticipantId,
    number: i64,
) -> Result<bool, Error> {
    let revoked = sqlx::query(
        "UPDATE invitations SET revoked_at = $3
         WHERE id = $2 AND participant = $1 AND used_at IS NULL AND revoked_at IS NULL",
    )
    .bind(of.0)
    .bind(number)
    .bind(clock::wall().to_sqlx())
    .execute(db)
    .await
    .context("revoking an invitation")?;
    Ok(revoked.rows_affected() == 1)
}

/// Who has joined, and by which invitation.
pub(super) struct Joined {
    pub(super) user: i64,
    pub(super) invitation: i64,
    pub(super) participant: i64,
    pub(super) roles: Vec<String>,
}

/// Why nobody has joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotJoined {
    /// The invitation is not good, or no longer.
    NoInvitation,
    /// Someone has this sign-in name.
    Taken,
}

/// Makes whoever has this invitation a member, and uses it up.
pub(super) async fn join(
    db: &mut PgConnection,
    token: [u8; 32],
    login: &str,
    password_hash: &str,
) -> Result<Result<Joined, NotJoined>, Error> {
    let now = clock::wall();
    // Of two who follow one link at once, one waits here and then finds it used.
    let used: Option<(i64, i64, Vec<String>)> = sqlx::query_as(
        "UPDATE invitations SET used_at = $2
         WHERE token_sha256 = $1 AND used_at IS NULL AND revoked_at IS NULL AND expires_at > $2
         RETURNING id, participant, roles",
    )
    .bind(token.as_slice())
    .bind(now.to_sqlx())
    .fetch_optional(&mut *db)
    .await
    .context("using an invitation")?;
    let Some((invitation, participant, roles)) = used else {
        return Ok(Err(NotJoined::NoInvitation));
    };
    let written: sqlx::Result<i64> = sqlx::query_scalar(
        "INSERT INTO users (participant, login, login_key, password_hash, created_at)
         VALUES ($1, $2, $3, $4, $5) RETURNING id",
    )
    .bind(participant)
    .bind(login)
    .bind(names::key(login))
    .bind(password_hash)
    .bind(now.to_sqlx())
    .fetch_one(&mut *db)
    .await;
    if let Err(sqlx::Error::Database(error)) = &written
        && error.constraint() == Some("users_login")
    {
        return Ok(Err(NotJoined::Taken));
    }
    let user = written.context("writing a member")?;
    give(db, participant, user, &roles).await?;
    sqlx::query("UPDATE invitations SET used_by = $2 WHERE id = $1")
        .bind(invitation)
        .bind(user)
        .execute(db)
        .await
        .context("noting who used an invitation")?;
    Ok(Ok(Joined {
        user,
        invitation,
        participant,
        roles,
    }))
}
