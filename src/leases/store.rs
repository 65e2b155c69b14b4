//! What is written of keys, and of what a lease is to find started.

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::ParticipantId;
use serde_json::json;
use sqlx::PgPool;

use super::forms::NewKey;
use crate::clock;
use crate::web::acts::{self, Act, Origin};
use crate::web::{Error, Member};

/// The most keys that a participant has at once.
pub(super) const MOST_KEYS: i64 = 50;

/// What came of a key that was to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// It is there; also when the same form had come before.
    Yes,
    /// It is there under this other name.
    Named(String),
    /// There are as many keys as there may be.
    TooMany,
}

/// Adds a key.
pub(super) async fn add_key(
    db: &PgPool,
    member: &Member,
    origin: &Origin,
    key: &NewKey,
) -> Result<Added, Error> {
    let ParticipantId(participant) = member.participant;
    let mut transaction = db.begin().await.context("adding a key")?;
    // One at a time for a participant, so that what is counted stays so.
    sqlx::query("SELECT FROM participants WHERE id = $1 FOR NO KEY UPDATE")
        .bind(participant)
        .execute(&mut *transaction)
        .await
        .context("waiting to add a key")?;
    let there: Vec<(String, String)> = sqlx::query_as(
        "SELECT fingerprint, name FROM ssh_keys WHERE participant = $1 AND removed_at IS NULL",
    )
    .bind(participant)
    .fetch_all(&mut *transaction)
    .await
    .context("reading a participant's keys")?;
    if let Some((_, name)) = there.iter().find(|(known, _)| *known == key.fingerprint) {
        let is_same = *name == key.name;
        return Ok(if is_same {
            Added::Yes
        } else {
            Added::Named(name.clone())
        });
    }
    if i64::try_from(there.len()).unwrap_or(MOST_KEYS) >= MOST_KEYS {
        return Ok(Added::TooMany);
    }
    let id = sqlx::query_scalar(
        "INSERT INTO ssh_keys
             (participant, name, algorithm, public_key, fingerprint, added_by, added_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
    )
    .bind(participant)
    .bind(&key.name)
    .bind(&key.algorithm)
    .bind(&key.public_key)
    .bind(&key.fingerprint)
    .bind(member.user)
    .bind(clock::wall().to_sqlx())
    .fetch_one(&mut *transaction)
    .await
    .context("adding a key")?;
    let act = act("key_added", id, json!({ "fingerprint": key.fingerprint }));
    acts::record(&mut transaction, origin, act).await?;
    transaction.commit().await.context("adding a key")?;
    Ok(Added::Yes)
}

fn act(what: &'static str, key: i64, detail: serde_json::Value) -> Act {
    Act {
        what,
        subject: format!("ssh_key:{key}"),
        detail,
    }
}

/// Gives a key another name; false where the participant has no such key.
pub(super) async fn rename_key(
    db: &PgPool,
    member: &Member,
    origin: &Origin,
    key: i64,
    name: &str,
) -> Result<bool, Error> {
    let mut transaction = db.begin().await.context("renaming a key")?;
    let before: Option<String> = sqlx::query_scalar(
        "UPDATE ssh_keys k SET name = $3
         FROM (SELECT id, name FROM ssh_keys
               WHERE id = $1 AND participant = $2 AND removed_at IS NULL FOR UPDATE) old
         WHERE k.id = old.id RETURNING old.name",
    )
    .bind(key)
    .bind(member.participant.0)
    .bind(name)
    .fetch_optional(&mut *transaction)
    .await
    .context("renaming a key")?;
    match before {
        None => return Ok(false),
        // The same once more is no act.
        Some(before) if before == name => return Ok(true),
        Some(_) => {}
    }
    let act = act("key_renamed", key, json!({ "name": name }));
    acts::record(&mut transaction, origin, act).await?;
    transaction.commit().await.context("renaming a key")?;
    Ok(true)
}

/// Takes a key away; leases that have not begun are left without it. False where the participant
/// never had such a key.
pub(super) async fn remove_key(
    db: &PgPool,
    member: &Member,
    origin: &Origin,
    key: i64,
) -> Result<bool, Error> {
    let mut transaction = db.begin().await.context("removing a key")?;
    let removed: Option<(String, bool)> = sqlx::query_as(
        "UPDATE ssh_keys k SET removed_at = coalesce(k.removed_at, $3)
         FROM (SELECT id, removed_at IS NULL AS was_there FROM ssh_keys
               WHERE id = $1 AND participant = $2 FOR UPDATE) old
         WHERE k.id = old.id RETURNING k.fingerprint, old.was_there",
    )
    .bind(key)
    .bind(member.participant.0)
    .bind(clock::wall().to_sqlx())
    .fetch_optional(&mut *transaction)
    .await
    .context("removing a key")?;
    let Some((fingerprint, was_there)) = removed else {
        return Ok(false);
    };
    if was_there {
        let act = act("key_removed", key, json!({ "fingerprint": fingerprint }));
        acts::record(&mut transaction, origin, act).await?;
    }
    transaction.commit().await.context("removing a key")?;
    Ok(true)
}

/// Keeps what the leases of an order are to find started.
pub(super) async fn set_access(
    db: &PgPool,
    member: &Member,
    client_id: &str,
    image: &str,
    ssh_key: Option<i64>,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO order_access (participant, client_id, image, ssh_key, set_by, set_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (participant, client_id)
         DO UPDATE SET image = EXCLUDED.image, ssh_key = EXCLUDED.ssh_key,
                       set_by = EXCLUDED.set_by, set_at = EXCLUDED.set_at
         WHERE (order_access.image, order_access.ssh_key)
             IS DISTINCT FROM (EXCLUDED.image, EXCLUDED.ssh_key)",
    )
    .bind(member.participant.0)
    .bind(client_id)
    .bind(image)
    .bind(ssh_key)
    .bind(member.user)
    .bind(clock::wall().to_sqlx())
    .execute(db)
    .await
    .context("keeping what a lease is to find started")?;
    Ok(())
}
