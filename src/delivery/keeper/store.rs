//! What the keeper writes.

use jiff::Timestamp;
use sqlx::PgPool;

use crate::delivery::evidence::Sealed;
use crate::delivery::placing::calendar;

/// Keeps what an hour's chains come to, in place of what they came to before. Where a chain is
/// broken elsewhere than it was, later hours are looked at again.
pub(super) async fn seal(
    db: &PgPool,
    hour: market::Hour,
    rows: &[Sealed],
) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let stays: Vec<i64> = rows.iter().map(|sealed| sealed.stay).collect();
    let agents: Vec<i64> = rows.iter().map(|sealed| sealed.agent).collect();
    let bytes: Vec<Vec<u8>> = rows.iter().map(|sealed| sealed.row.to_bytes()).collect();
    let at = jiff_sqlx::Timestamp::from(calendar(hour));
    sqlx::query(
        "WITH given AS (
             SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::bytea[]) g (stay, agent, sealed)),
         changed AS (
             SELECT g.stay FROM given g JOIN reading_hours r
                 ON r.stay = g.stay AND r.agent = g.agent AND r.hour_at = $1
             WHERE r.sealed <> g.sealed),
         later AS (
             INSERT INTO late_hours (stay, hour_at)
             SELECT DISTINCT r.stay, r.hour_at FROM reading_hours r
             WHERE r.stay IN (SELECT stay FROM changed) AND r.hour_at > $1
             ON CONFLICT (stay, hour_at) DO UPDATE SET news = late_hours.news + 1, again_at = NULL)
         INSERT INTO reading_hours (stay, hour_at, agent, sealed)
         SELECT stay, $1, agent, sealed FROM given
         ON CONFLICT (stay, hour_at, agent) DO UPDATE SET sealed = EXCLUDED.sealed
         WHERE reading_hours.sealed <> EXCLUDED.sealed",
    )
    .bind(at)
    .bind(stays)
    .bind(agents)
    .bind(bytes)
    .execute(db)
    .await
    .map(|_| ())
}

/// An hour of a stay of which something new has come.
#[derive(sqlx::FromRow)]
pub(super) struct Late {
    pub(super) stay: i64,
    pub(super) hour_at: jiff_sqlx::Timestamp,
    /// How often.
    pub(super) news: i64,
}

/// Takes at most so many hours of which something new has come, the earliest first; those that were
/// put off once it is their time.
pub(super) async fn late(
    db: &PgPool,
    most: usize,
    now: Timestamp,
) -> Result<Vec<Late>, sqlx::Error> {
    sqlx::query_as(
        "UPDATE late_hours SET again_at = NULL
         WHERE (stay, hour_at) IN (SELECT stay, hour_at FROM late_hours
                                   WHERE again_at IS NULL OR again_at <= $2
                                   ORDER BY hour_at, stay LIMIT $1)
         RETURNING stay, hour_at, news",
    )
    .bind(i64::try_from(most).unwrap_or(i64::MAX))
    .bind(jiff_sqlx::Timestamp::from(now))
    .fetch_all(db)
    .await
}

/// Takes an hour of these stays off the list of those with something new, unless more has come
/// since it was read how much there was.
pub(super) async fn looked_at(
    db: &PgPool,
    hour: market::Hour,
    stays: &[(i64, i64)],
) -> Result<(), sqlx::Error> {
    let (stays, news): (Vec<i64>, Vec<i64>) = stays.iter().copied().unzip();
    sqlx::query(
        "DELETE FROM late_hours l USING unnest($2::bigint[], $3::bigint[]) g (stay, news)
         WHERE l.hour_at = $1 AND l.stay = g.stay AND l.news = g.news AND l.again_at IS NULL",
    )
    .bind(jiff_sqlx::Timestamp::from(calendar(hour)))
    .bind(stays)
    .bind(news)
    .execute(db)
    .await
    .map(|_| ())
}

/// Puts an hour of the stays of these leases off until an instant.
pub(super) async fn put_off(
    db: &PgPool,
    hour: market::Hour,
    leases: &[i64],
    until: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE late_hours SET again_at = $3
         WHERE hour_at = $1 AND stay IN (SELECT stay FROM placements WHERE lease = ANY($2))",
    )
    .bind(jiff_sqlx::Timestamp::from(calendar(hour)))
    .bind(leases)
    .bind(jiff_sqlx::Timestamp::from(until))
    .execute(db)
    .await
    .map(|_| ())
}

/// Makes the partitions of readings for these hours, and drops those before the first.
pub(super) async fn keep_readings(db: &PgPool, first: i32, last: i32) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT keep_readings_of(hour) FROM generate_series($1, $2) hour")
        .bind(first)
        .bind(last)
        .execute(db)
        .await?;
    sqlx::query("SELECT drop_readings_before($1)")
        .bind(first)
        .execute(db)
        .await
        .map(|_| ())
}
