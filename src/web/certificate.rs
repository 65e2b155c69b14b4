//! Certificates: whether a participant may provide, and where.
//!
//! A participant that applied and was certified may open pools and offer them in the region of its
//! site. The area `certification` takes applications; `oversight` decides on them.

use anyhow::Context;
use market::catalogue::Region;
use market::{ParticipantId, Timestamp};
use sqlx::PgPool;

use super::error::Error;
use crate::clock;

/// What a certified participant was certified as.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The registered name.
    pub legal_name: String,
    /// Where its site is.
    pub region: &'static Region,
    /// Since when, in real time.
    pub since: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    legal_name: String,
    region: String,
    decided_at: jiff_sqlx::Timestamp,
}

/// The certificate of a participant, if it has one.
///
/// # Errors
/// When the database can't be read.
pub async fn of(db: &PgPool, participant: ParticipantId) -> Result<Option<Certificate>, Error> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT legal_name, region, decided_at FROM applications
         WHERE participant = $1 AND state = 'certified'",
    )
    .bind(participant.0)
    .fetch_optional(db)
    .await
    .context("loading a certificate")?;
    Ok(row.and_then(|row| {
        Some(Certificate {
            legal_name: row.legal_name,
            region: Region::of(&row.region)?,
            since: clock::stamp(row.decided_at.to_jiff()),
        })
    }))
}

/// The certificate of a participant that does what only a certified one may.
///
/// # Errors
/// [`Error::Uncertified`] for another.
pub async fn required(db: &PgPool, participant: ParticipantId) -> Result<Certificate, Error> {
    of(db, participant).await?.ok_or(Error::Uncertified)
}
