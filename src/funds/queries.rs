//! What is read of a participant's journal.

use anyhow::Context;
use market::{Money, ParticipantId, Timestamp};
use sqlx::PgPool;

use crate::clock;
use crate::web::Error;

/// One posting to one of the participant's accounts, with its entry.
pub(super) struct Line {
    pub(super) entry: i64,
    pub(super) at: Timestamp,
    pub(super) reason: String,
    pub(super) subject: Option<i64>,
    pub(super) kind: String,
    pub(super) amount: Money,
}

#[derive(sqlx::FromRow)]
struct Row {
    entry: i64,
    at: jiff_sqlx::Timestamp,
    reason: String,
    subject: Option<i64>,
    kind: String,
    amount: i64,
}

/// The postings of the latest entries, the newest entry first.
pub(super) async fn lines(db: &PgPool, of: ParticipantId) -> Result<Vec<Line>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT p.entry, e.at, e.reason, e.subject, p.kind::text AS kind, p.amount
         FROM postings p JOIN journal_entries e ON e.id = p.entry
         WHERE p.participant = $1 ORDER BY p.entry DESC, p.line LIMIT 60",
    )
    .bind(of.0)
    .fetch_all(db)
    .await
    .context("loading a participant's journal")?;
    let line = |row: Row| Line {
        entry: row.entry,
        at: clock::stamp(row.at.to_jiff()),
        reason: row.reason,
        subject: row.subject,
        kind: row.kind,
        amount: Money(row.amount),
    };
    Ok(rows.into_iter().map(line).collect())
}
