//! What `sluice admin` reads and writes.

use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgPool};

use crate::clock;
use crate::names;
use crate::web::Role;

/// Whether the tables of people are there.
pub(super) async fn has_people(db: &PgPool) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT to_regclass('public.recovery_codes') IS NOT NULL")
        .fetch_one(db)
        .await
}

/// One of the marketplace's own people who is new.
#[derive(Debug)]
pub struct NewPerson<'a> {
    /// The name to sign in with.
    pub login: &'a str,
    /// The hash of the password.
    pub password_hash: String,
    /// What they do; one of the platform's roles.
    pub role: Role,
}

/// Writes one of the marketplace's own people; gives their number, or none where somebody has the
/// name.
///
/// # Errors
/// When the database can't be written.
pub async fn create(db: &mut PgConnection, new: &NewPerson<'_>) -> sqlx::Result<Option<i64>> {
    let now = clock::wall();
    let user: Option<i64> = sqlx::query_scalar(
        "INSERT INTO users (participant, login, login_key, password_hash, created_at)
         VALUES (0, $1, $2, $3, $4)
         ON CONFLICT (login_key) WHERE removed_at IS NULL DO NOTHING RETURNING id",
    )
    .bind(new.login)
    .bind(names::key(new.login))
    .bind(&new.password_hash)
    .bind(now.to_sqlx())
    .fetch_optional(&mut *db)
    .await?;
    if let Some(user) = user {
        sqlx::query(
            "INSERT INTO member_roles (user_id, participant, role, granted_at)
             VALUES ($1, 0, $2, $3)",
        )
        .bind(user)
        .bind(new.role.code())
        .bind(now.to_sqlx())
        .execute(db)
        .await?;
    }
    Ok(user)
}

/// Somebody who can sign in.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct Person {
    /// Their number.
    pub user: i64,
    /// Whether they are one of the marketplace's own.
    pub is_platform: bool,
}

/// Who signs in under this name.
pub(super) async fn person(db: &mut PgConnection, login: &str) -> sqlx::Result<Option<Person>> {
    sqlx::query_as(
        r#"SELECT id AS "user", participant = 0 AS is_platform
         FROM users WHERE login_key = $1 AND removed_at IS NULL"#,
    )
    .bind(names::key(login))
    .fetch_optional(db)
    .await
}

/// The participant of this name, else of this number; not the marketplace itself.
pub(super) async fn participant(
    db: &mut PgConnection,
    name: &str,
) -> sqlx::Result<Option<(i64, String)>> {
    sqlx::query_as(
        "SELECT id, name FROM participants WHERE id > 0 AND (name_key = $1 OR id = $2)
         ORDER BY name_key = $1 DESC LIMIT 1",
    )
    .bind(names::key(name))
    .bind(name.parse::<i64>().ok())
    .fetch_optional(db)
    .await
}

/// Suspends a participant; false where it is already.
pub(super) async fn suspend(db: &mut PgConnection, id: i64, reason: &str) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE participants SET suspended = $2, suspended_at = $3
         WHERE id = $1 AND suspended IS NULL",
    )
    .bind(id)
    .bind(reason)
    .bind(clock::wall().to_sqlx())
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a suspension; gives its reason, or none where there is none.
pub(super) async fn restore(db: &mut PgConnection, id: i64) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "UPDATE participants p SET suspended = NULL, suspended_at = NULL
         FROM participants before
         WHERE p.id = $1 AND before.id = p.id AND before.suspended IS NOT NULL
         RETURNING before.suspended",
    )
    .bind(id)
    .fetch_optional(db)
    .await
}
