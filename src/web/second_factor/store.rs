//! The rows of second factors. Each act is one statement or in its caller's transaction, so that of
//! two that come at once only one gets through.

use anyhow::Context;
use jiff::SignedDuration;
use jiff_sqlx::ToSqlx;
use sqlx::PgConnection;

use super::{MOST_FAILURES, Secret, Taken, hash, new_codes};
use crate::clock;
use crate::web::error::Error;

/// How far a person is with their second factor.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Since when it is on; none where it is not.
    pub since: Option<jiff::Timestamp>,
    /// The secret of one that is being set up.
    pub pending: Option<Secret>,
    /// How many recovery codes are left.
    pub codes: i64,
    /// Whether so many codes were wrong in a row that only a recovery code is taken.
    pub is_worn: bool,
}

#[derive(sqlx::FromRow)]
struct Row {
    secret: Vec<u8>,
    confirmed_at: Option<jiff_sqlx::Timestamp>,
    codes: i64,
    failures: i32,
}

fn secret_of(bytes: Vec<u8>) -> Result<Secret, Error> {
    let bytes = bytes.try_into();
    bytes
        .map(Secret)
        .map_err(|_| Error::Internal(anyhow::anyhow!("a second factor's secret is cut short")))
}

/// How far a person is.
///
/// # Errors
/// When the database can't be read.
pub async fn state(db: impl sqlx::PgExecutor<'_>, user: i64) -> Result<State, Error> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT secret, confirmed_at, failures,
             (SELECT count(*) FROM recovery_codes c WHERE c.user_id = f.user_id) AS codes
         FROM second_factors f WHERE user_id = $1",
    )
    .bind(user)
    .fetch_optional(db)
    .await
    .context("reading a second factor")?;
    let Some(row) = row else {
        return Ok(State::default());
    };
    let since = row.confirmed_at.map(jiff_sqlx::Timestamp::to_jiff);
    let secret = secret_of(row.secret)?;
    Ok(State {
        since,
        pending: since.is_none().then_some(secret),
        codes: row.codes,
        is_worn: row.failures >= MOST_FAILURES,
    })
}

/// How long a secret that was shown waits for its first code, before asking again makes another.
const WAITS: SignedDuration = SignedDuration::from_hours(1);

/// Begins to set one up, with a new secret; false where one is on, which is never replaced so, or
/// was begun just now: whoever asks twice has put the first one into their device.
///
/// # Errors
/// When the database can't be written.
pub async fn begin(db: &mut PgConnection, user: i64) -> Result<bool, Error> {
    let Secret(secret) = Secret::new()?;
    let now = clock::wall();
    let begun = sqlx::query(
        "INSERT INTO second_factors (user_id, secret, enrolled_at) VALUES ($1, $2, $3)
         ON CONFLICT (user_id) DO UPDATE
             SET secret = EXCLUDED.secret, enrolled_at = EXCLUDED.enrolled_at
             WHERE second_factors.confirmed_at IS NULL AND second_factors.enrolled_at < $4",
    )
    .bind(user)
    .bind(secret.as_slice())
    .bind(now.to_sqlx())
    .bind((now - WAITS).to_sqlx())
    .execute(db)
    .await
    .context("beginning a second factor")?;
    Ok(begun.rows_affected() == 1)
}

/// Turns on what was begun, if the code is of its secret; gives the recovery codes.
///
/// # Errors
/// When the database can't be written.
pub async fn confirm(
    db: &mut PgConnection,
    user: i64,
    typed: &str,
) -> Result<Option<Vec<String>>, Error> {
    let now = clock::wall();
    let Some(secret) = state(&mut *db, user).await?.pending else {
        return Ok(None);
    };
    let Some(step) = secret.step_of(typed, now) else {
        return Ok(None);
    };
    let confirmed = sqlx::query(
        "UPDATE second_factors SET confirmed_at = $3, last_step = $4, failures = 0
         WHERE user_id = $1 AND secret = $2 AND confirmed_at IS NULL",
    )
    .bind(user)
    .bind(secret.0.as_slice())
    .bind(now.to_sqlx())
    .bind(step)
    .execute(&mut *db)
    .await
    .context("confirming a second factor")?;
    if confirmed.rows_affected() == 0 {
        return Ok(None);
    }
    recovery_codes(db, user).await.map(Some)
}

/// Turns one on at once, for whoever hands its secret over in person; gives the secret.
///
/// # Errors
/// When the database can't be written.
pub async fn confirm_new(db: &mut PgConnection, user: i64) -> Result<Secret, Error> {
    begin(&mut *db, user).await?;
    let secret: Vec<u8> = sqlx::query_scalar(
        "UPDATE second_factors SET confirmed_at = $2 WHERE user_id = $1 RETURNING secret",
    )
    .bind(user)
    .bind(clock::wall().to_sqlx())
    .fetch_one(db)
    .await
    .context("confirming a new second factor")?;
    secret_of(secret)
}

/// Takes a code, once; none when it is wrong, used, or no second factor is on. Of two that come
/// at once with one code, one gets through.
///
/// # Errors
/// When the database can't be written.
pub async fn take(db: &mut PgConnection, user: i64, typed: &str) -> Result<Option<Taken>, Error> {
    if let Some(code) = hash(typed) {
        let used = sqlx::query(
            "WITH used AS (DELETE FROM recovery_codes c USING second_factors f
                 WHERE c.code_sha256 = $2 AND c.user_id = $1 AND f.user_id = $1
                     AND f.confirmed_at IS NOT NULL
                 RETURNING c.user_id)
             UPDATE second_factors f SET failures = 0 FROM used WHERE f.user_id = used.user_id",
        )
        .bind(user)
        .bind(code.as_slice())
        .execute(&mut *db)
        .await
        .context("using a recovery code")?;
        if used.rows_affected() == 1 {
            let left = state(&mut *db, user).await?.codes;
            return Ok(Some(Taken::Recovery(left)));
        }
    } else if by_time(&mut *db, user, typed).await? {
        return Ok(Some(Taken::Time));
    }
    sqlx::query(
        "UPDATE second_factors SET failures = failures + 1
         WHERE user_id = $1 AND confirmed_at IS NOT NULL AND failures < $2",
    )
    .bind(user)
    .bind(MOST_FAILURES)
    .execute(db)
    .await
    .context("counting a wrong code")?;
    Ok(None)
}

async fn by_time(db: &mut PgConnection, user: i64, typed: &str) -> Result<bool, Error> {
    let secret: Option<Vec<u8>> = sqlx::query_scalar(
        "SELECT secret FROM second_factors WHERE user_id = $1 AND confirmed_at IS NOT NULL",
    )
    .bind(user)
    .fetch_optional(&mut *db)
    .await
    .context("reading a second factor's secret")?;
    let Some(secret) = secret.map(secret_of).transpose()? else {
        return Ok(false);
    };
    let Some(step) = secret.step_of(typed, clock::wall()) else {
        return Ok(false);
    };
    let taken = sqlx::query(
        "UPDATE second_factors SET last_step = $3, failures = 0
         WHERE user_id = $1 AND secret = $2 AND confirmed_at IS NOT NULL
             AND last_step < $3 AND failures < $4",
    )
    .bind(user)
    .bind(secret.0.as_slice())
    .bind(step)
    .bind(MOST_FAILURES)
    .execute(db)
    .await
    .context("taking a code")?;
    Ok(taken.rows_affected() == 1)
}

/// New recovery codes in the place of all that were there.
///
/// # Errors
/// When the database can't be written.
pub async fn recovery_codes(db: &mut PgConnection, user: i64) -> Result<Vec<String>, Error> {
    let codes = new_codes()?;
    let hashes: Vec<Vec<u8>> = codes
        .iter()
        .filter_map(|code| hash(code))
        .map(|hash| hash.to_vec())
        .collect();
    // Whoever asks for new ones at the same time waits here, so that only one set stays.
    sqlx::query("SELECT FROM second_factors WHERE user_id = $1 FOR UPDATE")
        .bind(user)
        .execute(&mut *db)
        .await
        .context("locking a second factor")?;
    sqlx::query("DELETE FROM recovery_codes WHERE user_id = $1")
        .bind(user)
        .execute(&mut *db)
        .await
        .context("forgetting recovery codes")?;
    sqlx::query(
        "INSERT INTO recovery_codes (code_sha256, user_id) SELECT code, $1 FROM unnest($2) AS code",
    )
    .bind(user)
    .bind(hashes)
    .execute(db)
    .await
    .context("keeping recovery codes")?;
    Ok(codes)
}

/// Turns a person's second factor off, whatever state it is in; their sessions no longer count as
/// having given one.
///
/// # Errors
/// When the database can't be written.
pub async fn forget(db: &mut PgConnection, user: i64) -> Result<(), Error> {
    sqlx::query(
        "WITH gone AS (DELETE FROM second_factors WHERE user_id = $1)
         UPDATE sessions SET second_factor_at = NULL WHERE user_id = $1",
    )
    .bind(user)
    .execute(db)
    .await
    .context("turning off a second factor")?;
    Ok(())
}
