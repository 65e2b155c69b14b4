//! What is read of interventions, and of what they are about.

use std::collections::BTreeMap;

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::{Command, InstrumentId, LeaseId, Money, ParticipantId, Period, Timestamp};
use sqlx::PgPool;

use crate::clock;
use crate::db::{period, stamp};
use crate::names;
use crate::web::Error;
use crate::web::reference::Reference;

/// How many rows a page has.
pub(super) const PAGE: usize = 50;

fn more_than_a_page() -> i64 {
    i64::try_from(PAGE).unwrap_or(i64::MAX).saturating_add(1)
}

/// An intervention that was written down, whatever became of it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Standing {
    pub(super) id: i64,
    pub(super) form_id: String,
    pub(super) user_id: i64,
    pub(super) login: String,
    asked_at: jiff_sqlx::Timestamp,
    body: serde_json::Value,
    after: i64,
    pub(super) command: Option<i64>,
    pub(super) rejected: Option<String>,
}

impl Standing {
    pub(super) fn asked_at(&self) -> Timestamp {
        stamp(self.asked_at)
    }

    /// The command as it was asked for.
    pub(super) fn body(&self) -> Result<Command, Error> {
        let command = serde_json::from_value(self.body.clone());
        Ok(command.context("reading a command")?)
    }
}

/// What stands under a form's number, else as the failure of a lease.
pub(super) async fn standing(
    db: &PgPool,
    form_id: &str,
    lease: Option<i64>,
) -> Result<Option<Standing>, Error> {
    let row = sqlx::query_as(
        "SELECT v.id, v.form_id, v.user_id, u.login, v.asked_at, v.body, v.after, v.command,
                v.rejected
         FROM interventions v JOIN users u ON u.id = v.user_id
         WHERE v.form_id = $1 OR v.lease = $2 AND v.rejected IS NULL
         ORDER BY v.form_id = $1 DESC LIMIT 1",
    )
    .bind(form_id)
    .bind(lease)
    .fetch_optional(db)
    .await;
    Ok(row.context("looking for an intervention")?)
}

/// The command of an intervention in the log, where the answer to it was lost.
pub(super) async fn done_as(db: &PgPool, standing: &Standing) -> Result<Option<i64>, Error> {
    let command = sqlx::query_scalar(
        "SELECT min(seq) FROM commands WHERE seq > $1 AND body = $2 AND rejected IS NULL",
    )
    .bind(standing.after)
    .bind(&standing.body)
    .fetch_one(db)
    .await;
    Ok(command.context("looking for an intervention's command")?)
}

/// A halt that was asked for.
#[derive(sqlx::FromRow)]
pub(super) struct HaltRow {
    pub(super) id: i64,
    pub(super) symbol: String,
    until_at: jiff_sqlx::Timestamp,
    asked_at: jiff_sqlx::Timestamp,
    pub(super) login: String,
    pub(super) reason: String,
    pub(super) note: Option<String>,
    pub(super) is_done: bool,
    pub(super) rejected: Option<String>,
    /// A later one was asked for while it held.
    pub(super) is_prolonged: bool,
}

impl HaltRow {
    pub(super) fn until(&self) -> Timestamp {
        stamp(self.until_at)
    }

    pub(super) fn asked_at(&self) -> Timestamp {
        stamp(self.asked_at)
    }
}

/// The halts that were asked for, the newest first, but those that hold.
pub(super) async fn halts(
    db: &PgPool,
    holding: &[(InstrumentId, Timestamp)],
    before: Option<i64>,
) -> Result<Vec<HaltRow>, Error> {
    let (instruments, untils) = columns(holding);
    let rows = sqlx::query_as(
        "SELECT v.id, i.symbol, v.until_at, v.asked_at, u.login, v.reason, v.note, v.rejected,
                v.command IS NOT NULL AS is_done,
                EXISTS (SELECT FROM interventions w
                        WHERE w.instrument = v.instrument AND w.id > v.id
                          AND w.command IS NOT NULL AND w.asked_at < v.until_at) AS is_prolonged
         FROM interventions v JOIN instruments i ON i.id = v.instrument
         JOIN users u ON u.id = v.user_id
         WHERE ($3::bigint IS NULL OR v.id < $3)
           AND NOT (v.command IS NOT NULL AND (v.instrument, v.until_at) IN (
               SELECT * FROM unnest($1::bigint[], $2::timestamptz[])))
         ORDER BY v.id DESC LIMIT $4",
    )
    .bind(instruments)
    .bind(untils)
    .bind(before)
    .bind(more_than_a_page())
    .fetch_all(db)
    .await;
    Ok(rows.context("loading halts")?)
}

fn columns(holding: &[(InstrumentId, Timestamp)]) -> (Vec<i64>, Vec<jiff_sqlx::Timestamp>) {
    let holding = holding.iter();
    holding
        .map(|(instrument, until)| (instrument.0, clock::instant(*until).to_sqlx()))
        .unzip()
}

/// Those that hold, by whom and why, the next to end first.
pub(super) async fn holding(
    db: &PgPool,
    holding: &[(InstrumentId, Timestamp)],
) -> Result<Vec<HaltRow>, Error> {
    let (instruments, untils) = columns(holding);
    let rows = sqlx::query_as(
        "SELECT coalesce(v.id, 0) AS id, i.symbol, h.until_at,
                coalesce(v.asked_at, h.until_at) AS asked_at, coalesce(u.login, '') AS login,
                coalesce(v.reason, '') AS reason, v.note, true AS is_done,
                NULL::text AS rejected, false AS is_prolonged
         FROM unnest($1::bigint[], $2::timestamptz[]) AS h (instrument, until_at)
         JOIN instruments i ON i.id = h.instrument
         LEFT JOIN LATERAL (
             SELECT * FROM interventions v
             WHERE v.instrument = h.instrument AND v.until_at = h.until_at
               AND v.rejected IS NULL ORDER BY v.id DESC LIMIT 1) v ON true
         LEFT JOIN users u ON u.id = v.user_id
         ORDER BY h.until_at, i.symbol",
    )
    .bind(instruments)
    .bind(untils)
    .fetch_all(db)
    .await;
    Ok(rows.context("loading the halts that hold")?)
}

/// A relation that was asked for.
#[derive(sqlx::FromRow)]
pub(super) struct RelationRow {
    pub(super) id: i64,
    pub(super) one: i64,
    pub(super) one_name: String,
    pub(super) other: i64,
    pub(super) other_name: String,
    asked_at: jiff_sqlx::Timestamp,
    pub(super) login: String,
    pub(super) reason: String,
    pub(super) note: Option<String>,
    pub(super) is_done: bool,
}

impl RelationRow {
    pub(super) fn asked_at(&self) -> Timestamp {
        stamp(self.asked_at)
    }
}

/// The relations, the newest first.
pub(super) async fn relations(db: &PgPool, before: Option<i64>) -> Result<Vec<RelationRow>, Error> {
    let rows = sqlx::query_as(
        "SELECT v.id, v.one, a.name AS one_name, v.other, b.name AS other_name, v.asked_at,
                u.login, v.reason, v.note, v.command IS NOT NULL AS is_done
         FROM interventions v JOIN participants a ON a.id = v.one
         JOIN participants b ON b.id = v.other JOIN users u ON u.id = v.user_id
         WHERE v.rejected IS NULL AND ($1::bigint IS NULL OR v.id < $1)
         ORDER BY v.id DESC LIMIT $2",
    )
    .bind(before)
    .bind(more_than_a_page())
    .fetch_all(db)
    .await;
    Ok(rows.context("loading relations")?)
}

/// The participant that is meant by its number or its whole name; never the marketplace.
pub(super) async fn participant(db: &PgPool, typed: &str) -> Result<Option<ParticipantId>, Error> {
    let number = match Reference::parse(typed) {
        Some(Reference::Participant(number)) => Some(number),
        _ => None,
    };
    let id: Option<i64> = sqlx::query_scalar(
        "SELECT id FROM participants WHERE id > 0 AND (id = $1 OR name_key = $2)
         ORDER BY id = $1 DESC NULLS LAST LIMIT 1",
    )
    .bind(number)
    // PostgreSQL's texts hold no NUL.
    .bind(names::key(&typed.replace('\0', " ")))
    .fetch_optional(db)
    .await
    .context("looking for a participant")?;
    Ok(id.map(ParticipantId))
}

/// The names of participants, by number.
pub(super) async fn names_of(
    db: &PgPool,
    of: impl IntoIterator<Item = ParticipantId>,
) -> Result<BTreeMap<ParticipantId, String>, Error> {
    let numbers: Vec<i64> = of.into_iter().map(|participant| participant.0).collect();
    let rows: Vec<(i64, String)> =
        sqlx::query_as("SELECT id, name FROM participants WHERE id = ANY ($1)")
            .bind(numbers)
            .fetch_all(db)
            .await
            .context("loading names")?;
    let rows = rows.into_iter();
    Ok(rows.map(|(id, name)| (ParticipantId(id), name)).collect())
}

/// A lease that may be found to be failed.
#[derive(sqlx::FromRow)]
pub(super) struct LeaseRow {
    pub(super) symbol: String,
    pub(super) units: i64,
    price: i64,
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
    pub(super) holder: i64,
    pub(super) holder_name: Option<String>,
    pub(super) provider: i64,
    pub(super) provider_name: Option<String>,
    pub(super) rules: i64,
    bond: i64,
}

impl LeaseRow {
    pub(super) fn price(&self) -> Money {
        Money(self.price)
    }

    pub(super) fn bond(&self) -> Money {
        Money(self.bond)
    }

    pub(super) fn period(&self) -> Period {
        period(self.start_at, self.end_at)
    }
}

/// One lease, whoever's it is.
pub(super) async fn lease(db: &PgPool, id: LeaseId) -> Result<Option<LeaseRow>, Error> {
    let row = sqlx::query_as(
        "SELECT i.symbol, t.units, t.price, t.start_at, t.end_at, l.holder,
                h.name AS holder_name, l.provider, s.name AS provider_name, t.rules, l.bond
         FROM leases l JOIN trades t ON t.id = l.id JOIN pools p ON p.id = t.pool
         JOIN instruments i ON i.id = p.instrument
         LEFT JOIN participants h ON h.id = l.holder
         LEFT JOIN participants s ON s.id = l.provider
         WHERE l.id = $1",
    )
    .bind(id.0)
    .fetch_optional(db)
    .await;
    Ok(row.context("loading a lease")?)
}
