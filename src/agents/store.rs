//! What is written of machines, each with its row in the record of acts, in one transaction. What
//! agents themselves send is written by the machine (`src/delivery`).

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::{PoolId, Timestamp};
use serde_json::json;
use sqlx::PgPool;

use super::forms::{Machine, Maintenance};
use crate::clock;
use crate::delivery::agents;
use crate::web::acts::{self, Act, Origin};
use crate::web::{Error, Member};

/// What came of registering a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Registered {
    /// It is registered, now or by the same form before.
    Yes,
    /// Another host of the pool is called so.
    Named,
    /// Only so many units more have room.
    TooMany(i64),
}

/// Registers a machine, once. The pool's row is locked, so that of two at once one is counted
/// first.
pub(super) async fn register(
    db: &PgPool,
    origin: &Origin,
    pool: PoolId,
    machine: &Machine,
    most_units: i64,
) -> Result<Registered, Error> {
    let mut tx = db.begin().await.context("registering a machine")?;
    sqlx::query("SELECT FROM pool_openings WHERE pool = $1 FOR NO KEY UPDATE")
        .bind(pool.0)
        .execute(&mut *tx)
        .await
        .context("locking a pool")?;
    let known: Option<bool> = sqlx::query_scalar(
        "SELECT kind = 'agent' AND units = $3 AND address = $4 FROM hosts
         WHERE pool = $1 AND name = $2",
    )
    .bind(pool.0)
    .bind(&machine.name)
    .bind(machine.units)
    .bind(&machine.address)
    .fetch_optional(&mut *tx)
    .await
    .context("finding a machine of this name")?;
    if let Some(is_same) = known {
        return Ok(if is_same {
            Registered::Yes
        } else {
            Registered::Named
        });
    }
    let there: i64 = sqlx::query_scalar(
        "SELECT coalesce(sum(units), 0)::bigint FROM hosts WHERE pool = $1 AND kind = 'agent'",
    )
    .bind(pool.0)
    .fetch_one(&mut *tx)
    .await
    .context("counting units of machines")?;
    if there.saturating_add(machine.units) > most_units {
        return Ok(Registered::TooMany((most_units - there).max(0)));
    }
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO hosts (pool, name, units, kind, address) VALUES ($1, $2, $3, 'agent', $4)
         RETURNING id",
    )
    .bind(pool.0)
    .bind(&machine.name)
    .bind(machine.units)
    .bind(&machine.address)
    .fetch_one(&mut *tx)
    .await
    .context("registering a machine")?;
    let act = Act {
        what: "machine_registered",
        subject: format!("host:{id}"),
        detail: json!({ "pool": pool.to_string(), "name": machine.name, "units": machine.units,
                        "address": machine.address }),
    };
    acts::record(&mut tx, origin, act).await?;
    tx.commit().await.context("registering a machine")?;
    Ok(Registered::Yes)
}

/// What came of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// It is good for its machine, now or by the same form before.
    Yes,
    /// It was used, it is too old, or a later one took its place.
    Over,
}

/// Keeps a token of a machine, in place of one that nobody has used. The machine's row is locked, so
/// that of two at once one comes first.
pub(super) async fn new_token(
    db: &PgPool,
    origin: &Origin,
    member: &Member,
    host: i64,
    token: &str,
) -> Result<Made, Error> {
    let mut tx = db.begin().await.context("making an agent's token")?;
    sqlx::query("SELECT FROM hosts WHERE id = $1 FOR NO KEY UPDATE")
        .bind(host)
        .execute(&mut *tx)
        .await
        .context("locking a machine")?;
    let (hash, now) = (agents::hash(token), clock::wall());
    let known: Option<bool> = sqlx::query_scalar(
        "SELECT host = $2 AND agent IS NULL AND expires_at > $3 FROM agent_tokens
         WHERE token = $1",
    )
    .bind(&hash[..])
    .bind(host)
    .bind(now.to_sqlx())
    .fetch_optional(&mut *tx)
    .await
    .context("finding a token that was made before")?;
    if let Some(is_good) = known {
        return Ok(if is_good { Made::Yes } else { Made::Over });
    }
    let until = now + jiff::SignedDuration::from_hours(agents::TOKEN_HOURS);
    agents::new_token(&mut *tx, &hash, host, Some(member.user), (now, until))
        .await
        .context("keeping an agent's token")?;
    let act = Act {
        what: "agent_token_made",
        subject: format!("host:{host}"),
        detail: json!({ "until": until }),
    };
    acts::record(&mut tx, origin, act).await?;
    tx.commit().await.context("making an agent's token")?;
    Ok(Made::Yes)
}

/// Ends an agent of a machine, and a token that could make another; one that is not the machine's
/// any more needs nothing.
pub(super) async fn revoke(
    db: &PgPool,
    origin: &Origin,
    member: &Member,
    host: i64,
    (agent, reason): (i64, &'static str),
) -> Result<(), Error> {
    let mut tx = db.begin().await.context("ending an agent")?;
    let is_there: Option<i64> = sqlx::query_scalar(
        "SELECT id FROM agents WHERE id = $1 AND host = $2 AND revoked_at IS NULL FOR UPDATE",
    )
    .bind(agent)
    .bind(host)
    .fetch_optional(&mut *tx)
    .await
    .context("finding an agent")?;
    if is_there.is_none() {
        return Ok(());
    }
    agents::revoke(&mut *tx, host, Some(member.user), clock::wall())
        .await
        .context("ending an agent")?;
    sqlx::query("DELETE FROM agent_tokens WHERE host = $1 AND agent IS NULL")
        .bind(host)
        .execute(&mut *tx)
        .await
        .context("taking back an agent's token")?;
    let act = Act {
        what: "agent_revoked",
        subject: format!("host:{host}"),
        detail: json!({ "agent": agent, "reason": reason }),
    };
    acts::record(&mut tx, origin, act).await?;
    tx.commit().await.context("ending an agent")?;
    Ok(())
}

/// Declares maintenance of a pool, once, and gives its number; none where the form was sent before
/// and said something else.
pub(super) async fn declare(
    db: &PgPool,
    origin: &Origin,
    pool: PoolId,
    form_id: &str,
    (maintenance, now): (&Maintenance, Timestamp),
) -> Result<Option<i64>, Error> {
    let mut tx = db.begin().await.context("declaring maintenance")?;
    let (start, end) = (
        clock::instant(maintenance.start).to_sqlx(),
        clock::instant(maintenance.end).to_sqlx(),
    );
    let id: Option<i64> = sqlx::query_scalar(
        "INSERT INTO maintenances (pool, form_id, start_at, end_at, note, declared_at, declared_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (pool, form_id) DO NOTHING RETURNING id",
    )
    .bind(pool.0)
    .bind(form_id)
    .bind(start)
    .bind(end)
    .bind(&maintenance.note)
    .bind(clock::instant(now).to_sqlx())
    .bind(origin.member.as_ref().map(|member| member.user))
    .fetch_optional(&mut *tx)
    .await
    .context("declaring maintenance")?;
    if let Some(id) = id {
        let act = Act {
            what: "maintenance_declared",
            subject: pool.to_string(),
            detail: json!({ "maintenance": id, "start": clock::instant(maintenance.start),
                            "end": clock::instant(maintenance.end), "note": maintenance.note }),
        };
        acts::record(&mut tx, origin, act).await?;
        tx.commit().await.context("declaring maintenance")?;
        return Ok(Some(id));
    }
    drop(tx);
    let same = sqlx::query_scalar(
        "SELECT id FROM maintenances WHERE pool = $1 AND form_id = $2 AND start_at = $3
             AND end_at = $4 AND note = $5",
    )
    .bind(pool.0)
    .bind(form_id)
    .bind(start)
    .bind(end)
    .bind(&maintenance.note)
    .fetch_optional(db)
    .await;
    Ok(same.context("finding maintenance that was declared")?)
}
