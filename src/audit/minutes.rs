//! Minutes: of each settled hour that machines delivered, what is paid is what is proven.

use std::collections::BTreeMap;

use market::{Hour, LeaseId};
use sqlx::postgres::PgConnection;

use super::Check;
use super::checks::SHOWN;
use crate::clock;
use crate::db;
use crate::delivery::evidence::Evidence;
use crate::delivery::proof::Owed;

/// How many hours of leases are worked out together.
const AT_ONCE: usize = 1_000;

#[derive(sqlx::FromRow)]
struct Row {
    lease: i64,
    hour_at: jiff_sqlx::Timestamp,
    units: i64,
    gone: i64,
    unit_minutes: i64,
    /// Whether something new has come that was not looked at yet.
    is_late: bool,
}

/// Works out anew what each settled hour of a lease on machines has proven, by readings and probes,
/// and sets it against what the hour counts. It counts less only where a correction was asked for
/// that there was no money for, or that came too late.
///
/// # Errors
/// When the database can't be reached or read.
pub(super) async fn run(database_url: &str) -> anyhow::Result<Check> {
    let mut connection = db::first_connection(database_url).await?;
    sqlx::query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .execute(&mut connection)
        .await?;
    let rows = settled(&mut connection).await?;
    let mut by_hour: BTreeMap<Hour, Vec<Row>> = BTreeMap::new();
    for row in rows {
        let hour = db::stamp(row.hour_at).hour();
        by_hour.entry(hour).or_default().push(row);
    }
    let mut wrong = Vec::new();
    for (hour, rows) in by_hour {
        for some in rows.chunks(AT_ONCE) {
            let leases: Vec<LeaseId> = some.iter().map(|row| LeaseId(row.lease)).collect();
            let evidence = Evidence::read(&mut connection, hour, &leases).await?;
            for row in some.iter().filter(|row| !row.is_late) {
                let owed = Owed {
                    units: row.units,
                    gone: row.gone,
                };
                let proven = evidence.proof(LeaseId(row.lease), owed, 0).proven;
                let counted = row.unit_minutes;
                let is_less = counted < proven;
                if counted != proven && !(is_less && was_asked(&mut connection, row, hour).await?) {
                    wrong.push(format!(
                        "l{}, hour of {}: {counted} unit-minutes are paid, {proven} are proven",
                        row.lease,
                        clock::instant(hour.begins())
                    ));
                }
            }
        }
    }
    wrong.truncate(SHOWN);
    Ok(Check {
        holds: "of each settled hour on machines the minutes that are paid are those that are proven",
        wrong,
    })
}

async fn settled(db: &mut PgConnection) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as(
        "SELECT h.lease, h.hour_at, h.unit_minutes,
                coalesce(l.held[(extract(epoch FROM h.hour_at - t.start_at) / 3600)::int + 1],
                         t.units) AS units,
                CASE WHEN h.hour_at = t.start_at THEN l.late_minutes ELSE 0 END AS gone,
                EXISTS (SELECT FROM late_hours n JOIN placements q ON q.stay = n.stay
                        WHERE q.lease = h.lease AND n.hour_at = h.hour_at) AS is_late
         FROM hours h JOIN leases l ON l.id = h.lease JOIN trades t ON t.id = h.lease
         WHERE (l.failed_from IS NULL OR h.hour_at < l.failed_from)
           AND EXISTS (SELECT FROM placements p WHERE p.lease = h.lease
                       AND p.start_at <= h.hour_at AND p.end_at > h.hour_at)
         ORDER BY h.hour_at, h.lease",
    )
    .fetch_all(db)
    .await
}

/// Whether a correction of an hour was asked for, whatever came of it.
async fn was_asked(db: &mut PgConnection, row: &Row, hour: Hour) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM commands WHERE body ->> 'do' = 'correct'
                        AND body ->> 'lease' = $1 AND body ->> 'hour' = $2)",
    )
    .bind(row.lease.to_string())
    .bind(hour.begins().0.to_string())
    .fetch_one(db)
    .await
}
