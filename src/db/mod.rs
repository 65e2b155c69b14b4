//! The database: where it comes from, how it is reached, what it must promise.
//!
//! Connections are counted once, here, so that nobody's pool eats another's share:
//!
//! | who | connections |
//! | --- | --- |
//! | pages and areas, one pool | [`POOL_CONNECTIONS`] |
//! | the keeper of deliveries, one pool | [`KEEPER_CONNECTIONS`] |
//! | everything with a connection of its own (sequencer, looking at tokens, migrations, audit, listeners) | the rest |
//! | an embedded server takes | [`CONNECTION_LIMIT`] |

pub mod embedded;
mod error;
mod migrate;
mod open;
pub mod purpose;

use std::str::FromStr;
use std::time::Duration;

use market::{Period, Timestamp};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};

use crate::clock;

pub use error::DatabaseError;
pub use migrate::{migrate, require_durable};
pub use open::{Database, Sharing};

/// The most connections an embedded server takes.
pub const CONNECTION_LIMIT: u32 = 60;

/// The most connections of the pool that pages and areas share.
pub const POOL_CONNECTIONS: u32 = 16;

/// The most connections of the keeper of deliveries.
pub const KEEPER_CONNECTIONS: u32 = 3;

/// How long a first connection is waited for before the database counts as absent.
const FIRST_CONNECTION: Duration = Duration::from_secs(10);

/// How long a page waits for a connection of the pool.
const FREE_CONNECTION: Duration = Duration::from_secs(5);

/// A pool of connections for pages and areas: at most [`POOL_CONNECTIONS`], no statement longer
/// than 10 s, no transaction idle longer than 10 s, named `sluice pages` on the server.
///
/// # Errors
/// The address can't be read, or nothing answers there as PostgreSQL should.
pub async fn connect(url: &str) -> Result<PgPool, DatabaseError> {
    // One plain connection first: the pool would try a refused one again until its own limit.
    first_connection(url).await?.close().await.ok();
    let options = options(url)?.application_name("sluice pages").options([
        ("statement_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "10s"),
    ]);
    Ok(PgPoolOptions::new()
        .max_connections(POOL_CONNECTIONS)
        .acquire_timeout(FREE_CONNECTION)
        .connect_lazy_with(options))
}

/// Connections beside a pool for the keeper of deliveries, at most [`KEEPER_CONNECTIONS`], so that
/// settlement waits for no page: no statement longer than a minute, named `sluice keeper`.
pub fn for_keeper(beside: &PgPool) -> PgPool {
    let options = PgConnectOptions::clone(&beside.connect_options())
        .application_name("sluice keeper")
        .options([("statement_timeout", "60s")]);
    PgPoolOptions::new()
        .max_connections(KEEPER_CONNECTIONS)
        .acquire_timeout(FREE_CONNECTION)
        .connect_lazy_with(options)
}

/// One connection beside a pool, of this name on the server, for one statement that is asked all the
/// time: it is planned once, whatever it is asked with.
pub fn one_planned(beside: &PgPool, name: &str) -> PgPool {
    let options = PgConnectOptions::clone(&beside.connect_options())
        .application_name(name)
        .options([("plan_cache_mode", "force_generic_plan")]);
    PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(FREE_CONNECTION)
        .connect_lazy_with(options)
}

/// An instant of the tables, in UTC microseconds as the market has it.
pub fn stamp(at: jiff_sqlx::Timestamp) -> Timestamp {
    clock::stamp(at.to_jiff())
}

/// A period of the tables, in whole UTC hours.
pub fn period(start: jiff_sqlx::Timestamp, end: jiff_sqlx::Timestamp) -> Period {
    Period {
        start: stamp(start).hour(),
        end: stamp(end).hour(),
    }
}

/// One connection without limits on its statements, for what is not a page.
///
/// # Errors
/// The address can't be read, or nothing answers there as PostgreSQL should.
pub async fn first_connection(url: &str) -> Result<PgConnection, DatabaseError> {
    let options = options(url)?;
    let connecting = tokio::time::timeout(FIRST_CONNECTION, options.connect());
    match connecting.await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(e)) => Err(DatabaseError::connecting(url, e)),
        Err(_) => Err(DatabaseError::Silent(error::without_secrets(url))),
    }
}

fn options(url: &str) -> Result<PgConnectOptions, DatabaseError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(DatabaseError::BadUrl(error::without_secrets(url)));
    }
    PgConnectOptions::from_str(url).map_err(|e| DatabaseError::connecting(url, e))
}

pub use error::without_secrets;
