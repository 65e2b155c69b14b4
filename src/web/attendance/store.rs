//! The rows of streams and of the orders that end with them.

use anyhow::Context;
use jiff::SignedDuration;
use jiff_sqlx::ToSqlx;
use market::{ClientId, ParticipantId};
use sqlx::{PgConnection, PgPool};

use super::{AttendanceId, Attended};
use crate::clock;
use crate::web::error::Error;

pub(super) async fn open(db: &PgPool, attended: &Attended, token: i64) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO api_sessions (id, token, user_id, participant, opened_at, seen_at)
         VALUES ($1, $2, $3, $4, $5, $5)",
    )
    .bind(&attended.id.0)
    .bind(token)
    .bind(attended.user)
    .bind(attended.participant.0)
    .bind(clock::wall().to_sqlx())
    .execute(db)
    .await
    .context("opening a stream")?;
    Ok(())
}

/// Notes that a stream is there; false where it was ended.
pub(super) async fn note(db: &PgPool, id: &AttendanceId) -> Result<bool, Error> {
    let noted =
        sqlx::query("UPDATE api_sessions SET seen_at = $2 WHERE id = $1 AND ended_at IS NULL")
            .bind(&id.0)
            .bind(clock::wall().to_sqlx())
            .execute(db)
            .await
            .context("noting that a stream is there")?;
    Ok(noted.rows_affected() == 1)
}

/// Keeps a stream of this person's from ending; false where it has.
pub(super) async fn lock(
    db: &mut PgConnection,
    id: &AttendanceId,
    user: i64,
) -> Result<bool, Error> {
    let found: Option<bool> = sqlx::query_scalar(
        "SELECT true FROM api_sessions
         WHERE id = $1 AND user_id = $2 AND ended_at IS NULL FOR KEY SHARE",
    )
    .bind(&id.0)
    .bind(user)
    .fetch_optional(db)
    .await
    .context("holding a stream")?;
    Ok(found.is_some())
}

/// Writes that these orders end with a stream.
pub(super) async fn add(db: &PgPool, id: &AttendanceId, orders: &[&ClientId]) -> Result<(), Error> {
    let orders: Vec<&str> = orders.iter().map(|order| &*order.0).collect();
    sqlx::query(
        "INSERT INTO api_session_orders (session, client_id)
         SELECT $1, client_id FROM unnest($2::text[]) AS client_id ON CONFLICT DO NOTHING",
    )
    .bind(&id.0)
    .bind(orders)
    .execute(db)
    .await
    .context("noting the orders of a stream")?;
    Ok(())
}

/// Ends a stream, after what is being placed with it.
pub(super) async fn end(db: &mut PgConnection, id: &AttendanceId) -> Result<(), Error> {
    // An update alone would not wait for those who only keep the row's key.
    sqlx::query("SELECT FROM api_sessions WHERE id = $1 FOR UPDATE")
        .bind(&id.0)
        .execute(&mut *db)
        .await
        .context("locking a stream")?;
    sqlx::query("UPDATE api_sessions SET ended_at = coalesce(ended_at, $2) WHERE id = $1")
        .bind(&id.0)
        .bind(clock::wall().to_sqlx())
        .execute(db)
        .await
        .context("ending a stream")?;
    Ok(())
}

/// A stream's orders that are open.
pub(super) async fn open_orders(db: &PgPool, id: &AttendanceId) -> Result<Vec<ClientId>, Error> {
    let open: Vec<String> = sqlx::query_scalar(
        "SELECT o.client_id FROM api_session_orders a
         JOIN api_sessions s ON s.id = a.session
         JOIN orders o ON o.participant = s.participant AND o.client_id = a.client_id
         WHERE s.id = $1 AND o.done IS NULL ORDER BY o.id",
    )
    .bind(&id.0)
    .fetch_all(db)
    .await
    .context("listing what is open of a stream")?;
    Ok(open.into_iter().map(ClientId).collect())
}

/// Nothing is open of a stream any more.
pub(super) async fn close(db: &PgPool, id: &AttendanceId) -> Result<(), Error> {
    sqlx::query("UPDATE api_sessions SET is_done = true WHERE id = $1")
        .bind(&id.0)
        .execute(db)
        .await
        .context("closing a stream")?;
    Ok(())
}

/// Streams that nobody has spoken for in so many seconds, and those whose end was cut short.
pub(super) async fn silent(db: &PgPool, seconds: i64) -> Result<Vec<Attended>, Error> {
    let since = clock::wall() - SignedDuration::from_secs(seconds);
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT id, participant, user_id FROM api_sessions
         WHERE NOT is_done AND seen_at < $1 ORDER BY seen_at LIMIT 100",
    )
    .bind(since.to_sqlx())
    .fetch_all(db)
    .await
    .context("looking for streams that nobody speaks for")?;
    let attended = |(id, participant, user)| Attended {
        id: AttendanceId(id),
        participant: ParticipantId(participant),
        user,
    };
    Ok(rows.into_iter().map(attended).collect())
}
