//! What is written of pools beside the market: names, identifiers, hosts, paused asks.

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::{ClientId, Order, OrderId, ParticipantId, PoolId, Side};
use sqlx::{PgConnection, PgPool};

use crate::clock;
use crate::web::identifier::{Identifier, Subject};
use crate::web::{Error, Member, form};

/// How many cards a simulated host has at least, and into how many hosts a pool is divided at
/// most.
const HOST_UNITS: i64 = 8;
const MOST_HOSTS: i64 = 64;

/// The number of the pool of this form, its identifier and its hosts, before the market is asked
/// to open it. The same form again gives the same pool, with the name that it was given.
pub(super) async fn open(
    db: &PgPool,
    member: &Member,
    form_id: &ClientId,
    name: &str,
    units: i64,
    lot: i64,
) -> Result<(PoolId, String), Error> {
    if let Some(opened) = opening(db, member.participant, form_id).await? {
        return Ok(opened);
    }
    let mut transaction = db.begin().await.context("numbering a pool")?;
    let now = clock::wall().to_sqlx();
    let opened: Option<(i64,)> = sqlx::query_as(
        "INSERT INTO pool_openings (participant, form_id, name, opened_by, opened_at)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (participant, form_id) DO NOTHING
         RETURNING pool",
    )
    .bind(member.participant.0)
    .bind(&form_id.0)
    .bind(name)
    .bind(member.user)
    .bind(now)
    .fetch_optional(&mut *transaction)
    .await
    .context("numbering a pool")?;
    let Some((pool,)) = opened else {
        // Another sending of it came first by a moment.
        drop(transaction);
        let opened = opening(db, member.participant, form_id).await?;
        return opened.ok_or(Error::Busy);
    };
    let subject = Subject::Pool(PoolId(pool));
    sqlx::query(
        "INSERT INTO identifiers (identifier, kind, subject, issued_at) VALUES ($1, $2, $3, $4)",
    )
    .bind(Identifier(subject).compact())
    .bind(subject.kind())
    .bind(pool)
    .bind(now)
    .execute(&mut *transaction)
    .await
    .context("giving an identifier")?;
    add_hosts(&mut transaction, PoolId(pool), units, lot).await?;
    transaction.commit().await.context("numbering a pool")?;
    Ok((PoolId(pool), name.to_owned()))
}

async fn opening(
    db: &PgPool,
    of: ParticipantId,
    form_id: &ClientId,
) -> Result<Option<(PoolId, String)>, Error> {
    let opened: Option<(i64, String)> = sqlx::query_as(
        "SELECT pool, name FROM pool_openings WHERE participant = $1 AND form_id = $2",
    )
    .bind(of.0)
    .bind(&form_id.0)
    .fetch_optional(db)
    .await
    .context("finding a pool's number")?;
    Ok(opened.map(|(pool, name)| (PoolId(pool), name)))
}

/// Takes back the name and the hosts of a pool that the market did not open. Its number is not
/// given again.
pub(super) async fn forget(db: &PgPool, pool: PoolId) -> Result<(), Error> {
    sqlx::query(
        "WITH o AS (DELETE FROM pool_openings WHERE pool = $1)
         DELETE FROM identifiers WHERE kind = 'pool' AND subject = $1",
    )
    .bind(pool.0)
    .execute(db)
    .await
    .context("taking back a pool's number")?;
    Ok(())
}

/// Simulated hosts for the units of a pool that has grown. A pool that a program listed has none.
pub(super) async fn grow(db: &PgPool, pool: PoolId, units: i64, lot: i64) -> Result<(), Error> {
    let mut transaction = db.begin().await.context("adding hosts")?;
    let opened: Option<(i64,)> =
        sqlx::query_as("SELECT pool FROM pool_openings WHERE pool = $1 FOR UPDATE")
            .bind(pool.0)
            .fetch_optional(&mut *transaction)
            .await
            .context("adding hosts")?;
    if opened.is_some() {
        add_hosts(&mut transaction, pool, units, lot).await?;
        transaction.commit().await.context("adding hosts")?;
    }
    Ok(())
}

/// Adds hosts until they have this many units.
async fn add_hosts(db: &mut PgConnection, pool: PoolId, units: i64, lot: i64) -> Result<(), Error> {
    let (there, standing): (i64, i64) = sqlx::query_as(
        "SELECT count(*), coalesce(sum(units), 0)::bigint FROM hosts
         WHERE pool = $1 AND kind = 'simulated'",
    )
    .bind(pool.0)
    .fetch_one(&mut *db)
    .await
    .context("adding hosts")?;
    let each = host_units(units, lot);
    let mut missing = units - standing;
    let (mut names, mut sizes) = (Vec::new(), Vec::new());
    for number in there + 1.. {
        if missing <= 0 {
            break;
        }
        names.push(format!("{pool}-{number:02}"));
        sizes.push(missing.min(each));
        missing -= each;
    }
    sqlx::query(
        "INSERT INTO hosts (pool, name, units, kind)
         SELECT $1, name, units, 'simulated' FROM UNNEST($2::text[], $3::bigint[]) AS h (name, units)
         ON CONFLICT (pool, name) DO NOTHING",
    )
    .bind(pool.0)
    .bind(names)
    .bind(sizes)
    .execute(db)
    .await
    .context("adding hosts")?;
    Ok(())
}

/// How many cards each host of a pool has: whole lots, eight or so, more where there would be too
/// many hosts.
fn host_units(units: i64, lot: i64) -> i64 {
    let lot = lot.max(1);
    let up = |units: i64, by: i64| (units + by - 1) / by;
    let least = HOST_UNITS.max(up(units.max(0), MOST_HOSTS));
    up(least, lot) * lot
}

/// Plans a host's faults, or plans none. False when the pool has no such host.
pub(super) async fn plan_faults(
    db: &PgPool,
    pool: PoolId,
    host: i64,
    faults: Option<(i64, i64)>,
) -> Result<bool, Error> {
    let written = sqlx::query(
        "UPDATE hosts SET fails_every = $3, fails_minutes = $4
         WHERE pool = $1 AND id = $2 AND kind = 'simulated'",
    )
    .bind(pool.0)
    .bind(host)
    .bind(faults.map(|(every, _)| every))
    .bind(faults.map(|(_, minutes)| minutes))
    .execute(db)
    .await
    .context("planning faults")?;
    Ok(written.rows_affected() == 1)
}

/// Remembers the terms of asks that are to be cancelled, so that they can be placed again.
pub(super) async fn remember(
    db: &PgPool,
    of: ParticipantId,
    pool: PoolId,
    asks: &[Order],
) -> Result<(), Error> {
    let mut transaction = db.begin().await.context("pausing a pool")?;
    for ask in asks {
        let Side::Sell {
            min_hours, weekly, ..
        } = &ask.placed.side
        else {
            continue;
        };
        sqlx::query(
            "INSERT INTO paused_asks (ask, pool, participant, resumes_as, units, price, start_at,
                end_at, min_hours, weekly, paused_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             ON CONFLICT (ask) DO UPDATE SET units = EXCLUDED.units, price = EXCLUDED.price",
        )
        .bind(ask.id.0)
        .bind(pool.0)
        .bind(of.0)
        .bind(form::client_id())
        .bind(ask.units)
        .bind(ask.price.0)
        .bind(clock::instant(ask.period.start.begins()).to_sqlx())
        .bind(clock::instant(ask.period.end.begins()).to_sqlx())
        .bind(*min_hours)
        .bind(weekly.clone().map(String::from))
        .bind(clock::wall().to_sqlx())
        .execute(&mut *transaction)
        .await
        .context("pausing a pool")?;
    }
    transaction.commit().await.context("pausing a pool")?;
    Ok(())
}

/// Notes that a paused ask was placed again.
pub(super) async fn resumed(db: &PgPool, ask: OrderId) -> Result<(), Error> {
    sqlx::query("UPDATE paused_asks SET resumed_at = $2 WHERE ask = $1 AND resumed_at IS NULL")
        .bind(ask.0)
        .bind(clock::wall().to_sqlx())
        .execute(db)
        .await
        .context("resuming a pool")?;
    Ok(())
}

/// Forgets the terms of an ask: it is not to be placed again.
pub(super) async fn end(db: &PgPool, pool: PoolId, ask: OrderId) -> Result<(), Error> {
    sqlx::query("DELETE FROM paused_asks WHERE pool = $1 AND ask = $2 AND resumed_at IS NULL")
        .bind(pool.0)
        .bind(ask.0)
        .execute(db)
        .await
        .context("ending a tariff")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_whole_lots_and_are_not_too_many() {
        assert_eq!(host_units(64, 8), 8);
        assert_eq!(host_units(3, 1), 8);
        assert_eq!(host_units(100_000, 8), 1_568);
        assert_eq!(host_units(100_000, 1), 1_563);
        assert_eq!(host_units(8, 0), 8);
    }
}
