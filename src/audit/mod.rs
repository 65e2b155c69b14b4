//! `sluice audit`: every invariant of the market, checked against the database.
//!
//! Three kinds of proof. Statements of SQL ([`checks`]) look for rows that contradict each other:
//! entries that don't sum to zero, balances that are not the sum of their postings, hours in
//! which a pool has leased more than it has. And the command log is applied to an empty market
//! ([`proof`]): it must give the journal, hash by hash, and the state that the tables hold. And what
//! machines delivered is worked out anew from what they signed and what probes found ([`minutes`]).

mod checks;
mod desk;
mod minutes;
mod proof;

use serde::Serialize;

use crate::sequencer::{StartError, open_to_read};

pub use desk::{Desk, Finished, State};

/// What an audit found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether every check passed.
    pub ok: bool,
    /// Every check, in order.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Debug, Serialize)]
pub struct Check {
    /// What must hold.
    pub holds: &'static str,
    /// What contradicts it, the first few; empty when it holds.
    pub wrong: Vec<String>,
}

/// Audits the database at this URL as of one instant; an engine may be running.
///
/// # Errors
/// When the database can't be reached or is not a marketplace's.
pub async fn run(database_url: &str) -> Result<Report, StartError> {
    let mut reader = open_to_read(database_url).await?;
    let tables = reader.read().await?;
    let mut checks = checks::run(&tables).await?;
    checks.push(proof::run(&tables).await?);
    tables.commit().await?;
    let minutes = minutes::run(database_url).await;
    checks.push(minutes.map_err(|error| StartError::Tables(format!("{error:#}")))?);
    Ok(Report {
        ok: checks.iter().all(|check| check.wrong.is_empty()),
        checks,
    })
}
