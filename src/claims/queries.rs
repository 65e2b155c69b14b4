//! What is read of a holder's leases to report a problem; another's are as if they did not exist.

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::{DisputeId, HOUR_MINUTES, Hour, LeaseId, Money, ParticipantId, Period, Timestamp};
use sqlx::PgPool;

use crate::clock;
use crate::web::Error;

/// A lease about which its holder may report a problem.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) id: LeaseId,
    pub(super) symbol: String,
    pub(super) provider: String,
    pub(super) units: i64,
    pub(super) price: Money,
    pub(super) period: Period,
}

impl Lease {
    /// What all its hours cost.
    pub(super) fn total(&self) -> Money {
        Money::exact(self.price.times(self.units, self.period.hours()))
    }

    /// Its last hour that has begun; its first before any has.
    pub(super) fn last_begun(&self, now: Timestamp) -> Period {
        let start = now
            .hour()
            .0
            .clamp(self.period.start.0, self.period.end.0 - 1);
        Period {
            start: Hour(start),
            end: Hour(start + 1),
        }
    }
}

#[derive(sqlx::FromRow)]
struct LeaseRow {
    id: i64,
    symbol: String,
    provider: Option<String>,
    units: i64,
    price: i64,
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
}

/// A holder's lease; another's is as if it did not exist.
pub(super) async fn lease(
    db: &PgPool,
    holder: ParticipantId,
    id: LeaseId,
) -> Result<Option<Lease>, Error> {
    let row: Option<LeaseRow> = sqlx::query_as(
        "SELECT l.id, i.symbol, o.name AS provider, t.units, t.price, t.start_at, t.end_at
         FROM leases l JOIN trades t ON t.id = l.id
         JOIN pools p ON p.id = t.pool JOIN instruments i ON i.id = p.instrument
         LEFT JOIN participants o ON o.id = l.provider
         WHERE l.holder = $1 AND l.id = $2",
    )
    .bind(holder.0)
    .bind(id.0)
    .fetch_optional(db)
    .await
    .context("loading a lease to report a problem of")?;
    Ok(row.map(|row| Lease {
        id: LeaseId(row.id),
        symbol: row.symbol,
        provider: row.provider.unwrap_or_default(),
        units: row.units,
        price: Money(row.price),
        period: Period {
            start: clock::stamp(row.start_at.to_jiff()).hour(),
            end: clock::stamp(row.end_at.to_jiff()).hour(),
        },
    }))
}

/// The unit-minutes of a period that are not refunded: what can still be claimed of it.
pub(super) async fn claimable(db: &PgPool, lease: &Lease, of: Period) -> Result<i64, Error> {
    let (hours, delivered): (i64, i64) = sqlx::query_as(
        "SELECT count(*), coalesce(sum(unit_minutes), 0)::bigint FROM hours
         WHERE lease = $1 AND hour_at >= $2 AND hour_at < $3",
    )
    .bind(lease.id.0)
    .bind(clock::instant(of.start.begins()).to_sqlx())
    .bind(clock::instant(of.end.begins()).to_sqlx())
    .fetch_one(db)
    .await
    .context("counting the minutes that can be claimed")?;
    // Hours that are not settled owe all of theirs.
    let promised = lease.units * HOUR_MINUTES;
    Ok(promised * (of.hours() - hours) + delivered)
}

/// The dispute that a form of this participant's has opened.
pub(super) async fn dispute_of_form(
    db: &PgPool,
    claimant: ParticipantId,
    form_id: &str,
) -> Result<Option<DisputeId>, Error> {
    let dispute: Option<i64> = sqlx::query_scalar(
        "SELECT dispute FROM dispute_claims
         WHERE form_id = $1 AND claimant = $2 AND dispute IS NOT NULL",
    )
    .bind(form_id)
    .bind(claimant.0)
    .fetch_optional(db)
    .await
    .context("looking for what a form has opened")?;
    Ok(dispute.map(DisputeId))
}
