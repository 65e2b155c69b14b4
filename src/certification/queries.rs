//! What is read of applications, and of what identifiers stand for.

use anyhow::Context;
use market::{Hour, ParticipantId, Period, Timestamp};
use sqlx::PgPool;

use super::forms::Application;
use crate::db::stamp;
use crate::web::Error;
use crate::web::identifier::{Identifier, Subject};

/// The latest application of a participant: what was sent, and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) form: Application,
    pub(super) state: String,
    pub(super) saved_at: Timestamp,
    pub(super) submitted_at: Option<Timestamp>,
    pub(super) reason: Option<String>,
    pub(super) note: Option<String>,
    pub(super) decided_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Row {
    legal_name: String,
    credit_code: String,
    contact_name: String,
    contact_phone: String,
    contact_mail: String,
    region: String,
    site_address: String,
    capacity: String,
    state: String,
    saved_at: jiff_sqlx::Timestamp,
    submitted_at: Option<jiff_sqlx::Timestamp>,
    reason: Option<String>,
    note: Option<String>,
    decided_at: Option<jiff_sqlx::Timestamp>,
}

impl From<Row> for Sent {
    fn from(row: Row) -> Self {
        Self {
            form: Application {
                legal_name: row.legal_name,
                credit_code: row.credit_code,
                contact_name: row.contact_name,
                contact_phone: row.contact_phone,
                contact_mail: row.contact_mail,
                region: row.region,
                site_address: row.site_address,
                capacity: row.capacity,
            },
            state: row.state,
            saved_at: stamp(row.saved_at),
            submitted_at: row.submitted_at.map(stamp),
            reason: row.reason,
            note: row.note,
            decided_at: row.decided_at.map(stamp),
        }
    }
}

/// The latest application of a participant, a draft too.
pub(super) async fn latest(db: &PgPool, of: ParticipantId) -> Result<Option<Sent>, Error> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT legal_name, credit_code, contact_name, contact_phone, contact_mail, region,
                site_address, capacity, state, saved_at, submitted_at, reason, note, decided_at
         FROM applications WHERE participant = $1 ORDER BY id DESC LIMIT 1",
    )
    .bind(of.0)
    .fetch_optional(db)
    .await
    .context("loading an application")?;
    Ok(row.map(Sent::from))
}

/// A participant as the public may know it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Provider {
    pub(super) name: String,
    pub(super) suspended: bool,
    pub(super) legal_name: Option<String>,
    pub(super) region: Option<String>,
    pub(super) certified_at: Option<jiff_sqlx::Timestamp>,
    pub(super) pools: i64,
}

/// Who was given this identifier.
pub(super) async fn provider(
    db: &PgPool,
    participant: ParticipantId,
) -> Result<Option<Provider>, Error> {
    sqlx::query_as(
        "SELECT p.name, p.suspended IS NOT NULL AS suspended, a.legal_name, a.region,
                a.decided_at AS certified_at,
                (SELECT count(*) FROM pools o WHERE o.participant = p.id) AS pools
         FROM identifiers i JOIN participants p ON p.id = i.subject
         LEFT JOIN applications a ON a.participant = p.id AND a.state = 'certified'
         WHERE i.kind = 'provider' AND i.subject = $1",
    )
    .bind(participant.0)
    .fetch_optional(db)
    .await
    .context("loading what an identifier stands for")
    .map_err(Error::from)
}

/// A pool as the public may know it.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) name: String,
    pub(super) symbol: String,
    pub(super) provider: ParticipantId,
    pub(super) units: i64,
    pub(super) period: Period,
    pub(super) is_simulated: bool,
}

#[derive(sqlx::FromRow)]
struct PoolRow {
    name: String,
    symbol: String,
    participant: i64,
    units: i64,
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
    is_simulated: bool,
}

/// The pool that was given this identifier; none before the market has opened it.
pub(super) async fn pool(db: &PgPool, subject: Subject) -> Result<Option<Pool>, Error> {
    let row: Option<PoolRow> = sqlx::query_as(
        "SELECT n.name, s.symbol, p.participant, p.units, p.start_at, p.end_at,
                EXISTS (SELECT FROM hosts h WHERE h.pool = p.id AND h.kind = 'simulated')
                    AS is_simulated
         FROM identifiers i JOIN pools p ON p.id = i.subject
         JOIN pool_openings n ON n.pool = p.id JOIN instruments s ON s.id = p.instrument
         WHERE i.kind = 'pool' AND i.subject = $1",
    )
    .bind(subject.number())
    .fetch_optional(db)
    .await
    .context("loading what an identifier stands for")?;
    let hour = |at| -> Hour { stamp(at).hour() };
    Ok(row.map(|row| Pool {
        name: row.name,
        symbol: row.symbol,
        provider: ParticipantId(row.participant),
        units: row.units,
        period: Period {
            start: hour(row.start_at),
            end: hour(row.end_at),
        },
        is_simulated: row.is_simulated,
    }))
}

/// The identifier of a participant, if it was given one.
pub(super) async fn identifier(
    db: &PgPool,
    participant: ParticipantId,
) -> Result<Option<Identifier>, Error> {
    let issued: Option<(i64,)> =
        sqlx::query_as("SELECT subject FROM identifiers WHERE kind = 'provider' AND subject = $1")
            .bind(participant.0)
            .fetch_optional(db)
            .await
            .context("loading an identifier")?;
    Ok(issued.map(|_| Identifier(Subject::Provider(participant))))
}
