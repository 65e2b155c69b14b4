//! The database that a replay runs on: a market of its own, empty at the start.
//!
//! A replay's clock is the trace's, so it can't share a market with people. It takes a database in
//! which nothing has happened, or in which only an earlier replay has, which it clears.

use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection};

use crate::db::purpose::{self, Purpose};
use crate::db::{self, DatabaseError};
use crate::sequencer::{Actor, LEADER_LOCK};

/// Who sends a replay's commands; by it an earlier replay is known.
pub const ACTOR: Actor = Actor::System("replay");

/// How often and how long apart the lock of an engine that was killed is asked for.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(500);

/// Why a replay can't have a database.
#[derive(Debug, thiserror::Error)]
pub enum GroundError {
    /// It can't be reached, or fails.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// People trade there.
    #[error(
        "this database has a market that no replay made; a replay begins with an empty one: \
         name another database"
    )]
    Taken,
    /// A server or another replay runs on it.
    #[error("a market is running on this database")]
    Led,
}

impl From<sqlx::Error> for GroundError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Clears what an earlier replay left, and brings the schema up to date.
///
/// # Errors
/// The database can't be used, belongs to people, or is in use; then it is as it was.
pub async fn prepare(url: &str) -> Result<(), GroundError> {
    let mut connection = db::first_connection(url).await?;
    lead(&mut connection).await?;
    if has_table(&mut connection, "public.commands").await? {
        clear(&mut connection).await?;
    }
    connection.close().await?;
    db::migrate(url).await?;
    let mut connection = db::first_connection(url).await?;
    purpose::claim(&mut connection, Purpose::Replay).await?;
    connection.close().await?;
    Ok(())
}

/// Takes the leader's lock, so that nothing is cleared under a running engine; it goes with the
/// connection.
async fn lead(connection: &mut PgConnection) -> Result<(), GroundError> {
    for _ in 0..LOCK_TRIES {
        let taken: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(LEADER_LOCK)
            .fetch_one(&mut *connection)
            .await?;
        if taken {
            return Ok(());
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
    Err(GroundError::Led)
}

async fn clear(connection: &mut PgConnection) -> Result<(), GroundError> {
    let of_people: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM commands WHERE actor <> $1)")
            .bind(ACTOR.to_string())
            .fetch_one(&mut *connection)
            .await?;
    let signed_up = has_table(connection, "public.participants").await?
        && sqlx::query_scalar("SELECT EXISTS (SELECT FROM participants WHERE id > 0)")
            .fetch_one(&mut *connection)
            .await?;
    let served = has_table(connection, "public.purpose").await?
        && sqlx::query_scalar("SELECT EXISTS (SELECT FROM purpose WHERE purpose <> 'replay')")
            .fetch_one(&mut *connection)
            .await?;
    if of_people || signed_up || served {
        return Err(GroundError::Taken);
    }
    let replayed: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM commands)")
        .fetch_one(&mut *connection)
        .await?;
    if replayed {
        // History is append-only: what an earlier replay left goes as a whole.
        connection
            .execute(
                "SET client_min_messages = warning;
                 DROP SCHEMA public CASCADE;
                 CREATE SCHEMA public",
            )
            .await?;
    }
    Ok(())
}

async fn has_table(connection: &mut PgConnection, table: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(table)
        .fetch_one(connection)
        .await
}
