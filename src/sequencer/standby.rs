//! Waiting for the lead, beside the engine that has it.
//!
//! The leader's session holds an advisory lock, which goes with the session: at once when its
//! program is killed. A program that is stopped or hangs keeps its session; that one is told apart
//! by what `pg_stat_activity` says: a leader speaks every [`super::committer::BEAT`], so one whose
//! session has waited for its program for [`LEASE`] is held to be gone, and its session is ended.
//! Should it wake, it finds another epoch and ends. A session at work for its program is never
//! ended, however long that takes: ending a commit that waits would leave it unknown.

use std::time::Duration;

use tokio_postgres::Client;

use super::StartError;
use super::commit::{LEADER_LOCK, Link};

/// For how long a leader may be silent.
pub const LEASE: Duration = Duration::from_secs(5);

/// How often the lock is looked at.
const GLANCE: Duration = Duration::from_millis(200);

/// Comes back when nobody leads. Whoever is first then takes the lead; others wait again.
///
/// # Errors
/// When the database is lost; waiting can be begun anew.
pub async fn wait(database_url: &str) -> Result<(), StartError> {
    let link = Link::open(database_url).await?;
    while is_led(link.client()).await? {
        tokio::time::sleep(GLANCE).await;
    }
    Ok(())
}

/// Whether a session has the leader's lock; one that is silent for too long is ended.
async fn is_led(client: &Client) -> Result<bool, StartError> {
    let sql = "SELECT a.pid,
                      (a.state LIKE 'idle%' OR a.wait_event = 'ClientWrite')
                      AND clock_timestamp() - a.state_change > $2::bigint * interval '1 second'
                 FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
                  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                  AND l.classid::bigint << 32 | l.objid::bigint = $1";
    let lease = i64::try_from(LEASE.as_secs()).expect("it is short");
    let Some(leader) = client.query_opt(sql, &[&LEADER_LOCK, &lease]).await? else {
        return Ok(false);
    };
    // Of another role's session nothing is known.
    if leader.get::<_, Option<bool>>(1) == Some(true) {
        tracing::warn!("the leader has been silent for {lease} seconds; its session is ended");
        let pid: i32 = leader.get(0);
        client
            .execute("SELECT pg_terminate_backend($1)", &[&pid])
            .await?;
    }
    Ok(true)
}
