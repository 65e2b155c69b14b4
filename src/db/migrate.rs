//! Brings the schema up to date and checks what the server promises.

use std::time::{Duration, Instant};

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection, Executor};

use super::error::DatabaseError;
use super::first_connection;

/// The files of migrations/, inside the program.
static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// How long another program's migration, or a lock it waits for, is waited for in all.
const WAIT_FOR: Duration = Duration::from_secs(60);

/// PostgreSQL's code for a lock that was not had in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// What loses an acknowledged trade when the power goes: the setting, its bad value, the good one.
/// A failed fsync must end the server: the kernel forgets the pages and a second fsync would lie.
const LOSSES: [(&str, &str, &str); 4] = [
    ("fsync", "off", "on"),
    ("full_page_writes", "off", "on"),
    ("synchronous_commit", "off", "on"),
    ("data_sync_retry", "on", "off"),
];

/// Runs the migrations that the database lacks, one program at a time (sqlx holds an advisory
/// lock meanwhile).
///
/// A statement gives up a table lock after 2 s and is tried again, so that no reader queues for
/// long behind a migration that itself waits.
///
/// # Errors
/// No connection; a migration that fails; a database that a newer program has migrated.
pub async fn migrate(url: &str) -> Result<(), DatabaseError> {
    let begun = Instant::now();
    let mut connection = first_connection(url).await?;
    connection.execute("SET lock_timeout = '2s'").await?;
    connection
        .execute("SET application_name = 'sluice migrations'")
        .await?;
    loop {
        match MIGRATIONS.run(&mut connection).await {
            Ok(()) => break,
            Err(e) if waited_for_a_lock(&e) && begun.elapsed() < WAIT_FOR => {
                tracing::info!("another session holds a lock that a migration needs; waiting");
            }
            Err(e @ (MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_))) => {
                return Err(DatabaseError::OtherSchema(e));
            }
            Err(e) => return Err(DatabaseError::Migration(e)),
        }
    }
    connection.close().await?;
    Ok(())
}

/// Refuses a server that may lose what it has acknowledged.
///
/// # Errors
/// [`DatabaseError::Unsafe`] names the setting; or no connection.
pub async fn require_durable(url: &str) -> Result<(), DatabaseError> {
    let mut connection = first_connection(url).await?;
    let settings: Vec<(String, String)> = sqlx::query_as("SELECT name, setting FROM pg_settings")
        .fetch_all(&mut connection)
        .await?;
    connection.close().await?;
    for (setting, found) in settings {
        if setting == "data_checksums" && found == "off" {
            tracing::warn!("the database has no data checksums: a silent disk error stays silent");
        }
        let loss = LOSSES
            .iter()
            .find(|(name, bad, _)| *name == setting && *bad == found);
        if let Some((_, _, wanted)) = loss {
            return Err(DatabaseError::Unsafe {
                setting,
                found,
                wanted,
            });
        }
    }
    Ok(())
}

fn waited_for_a_lock(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else {
        return false;
    };
    error
        .as_database_error()
        .and_then(|e| e.code())
        .is_some_and(|code| code == LOCK_NOT_AVAILABLE)
}
