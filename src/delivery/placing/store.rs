//! Where leases are.

use market::{Hour, LeaseId};
use sqlx::PgPool;

use super::{Placement, instant};

/// Gives a lease other placements from an hour on.
pub(super) async fn replace(
    db: &PgPool,
    lease: LeaseId,
    from: Hour,
    placed: &[Placement],
) -> Result<(), sqlx::Error> {
    let mut transaction = db.begin().await?;
    sqlx::query("DELETE FROM placements WHERE lease = $1 AND start_at >= $2")
        .bind(lease.0)
        .bind(instant(from))
        .execute(&mut *transaction)
        .await?;
    sqlx::query("UPDATE placements SET end_at = $2 WHERE lease = $1 AND end_at > $2")
        .bind(lease.0)
        .bind(instant(from))
        .execute(&mut *transaction)
        .await?;
    for one in placed {
        sqlx::query(
            "WITH stay AS (INSERT INTO stays (stay, host) VALUES ($5, $2) ON CONFLICT DO NOTHING)
             INSERT INTO placements (lease, host, start_at, end_at, stay, units)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(lease.0)
        .bind(one.host)
        .bind(instant(one.start))
        .bind(instant(one.end))
        .bind(one.stay)
        .bind(one.units)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await
}
