//! What is written of participants and people.

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use sqlx::PgConnection;

use crate::clock;
use crate::names;
use crate::web::Error;

/// The name of a sign-up that someone has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The participant's.
    Name,
    /// The person's.
    Login,
}

/// Writes a participant and its first person, who owns it; gives the person's number.
pub(super) async fn sign_up(
    db: &mut PgConnection,
    name: &str,
    login: &str,
    password_hash: &str,
) -> Result<Result<i64, Taken>, Error> {
    let written: sqlx::Result<(i64,)> = sqlx::query_as(
        "WITH p AS (INSERT INTO participants (name, name_key, created_at)
             VALUES ($1, $5, $4) RETURNING id),
         u AS (INSERT INTO users (participant, login, login_key, password_hash, created_at)
             SELECT id, $2, $6, $3, $4 FROM p RETURNING id, participant),
         r AS (INSERT INTO member_roles (user_id, participant, role, granted_at)
             SELECT id, participant, 'owner', $4 FROM u)
         SELECT id FROM u",
    )
    .bind(name)
    .bind(login)
    .bind(password_hash)
    .bind(clock::wall().to_sqlx())
    .bind(names::key(name))
    .bind(names::key(login))
    .fetch_one(db)
    .await;
    let taken = match &written {
        Err(sqlx::Error::Database(error)) => match error.constraint() {
            Some("participants_name") => Some(Taken::Name),
            Some("users_login") => Some(Taken::Login),
            _ => None,
        },
        _ => None,
    };
    if let Some(taken) = taken {
        return Ok(Err(taken));
    }
    let (user,) = written.context("signing up")?;
    Ok(Ok(user))
}
