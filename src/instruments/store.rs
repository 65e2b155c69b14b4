//! What is kept of a ticket beside the order that it makes.

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::{ClientId, ParticipantId};
use sqlx::PgPool;

use super::forms::Access;
use crate::clock;
use crate::web::{Error, Member};

/// Keeps what an order is to find started, before the order is sent. That of an order that was
/// sent already stays as it is.
pub(super) async fn keep_access(
    db: &PgPool,
    member: &Member,
    client_id: &ClientId,
    access: &Access,
) -> Result<(), Error> {
    let ParticipantId(participant) = member.participant;
    sqlx::query(
        "INSERT INTO order_access (participant, client_id, image, ssh_key, set_by, set_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (participant, client_id)
         DO UPDATE SET image = EXCLUDED.image, ssh_key = EXCLUDED.ssh_key,
                       set_by = EXCLUDED.set_by, set_at = EXCLUDED.set_at
         WHERE NOT EXISTS (SELECT FROM orders o WHERE o.participant = EXCLUDED.participant
                                                  AND o.client_id = EXCLUDED.client_id)",
    )
    .bind(participant)
    .bind(&client_id.0)
    .bind(access.image)
    .bind(access.ssh_key)
    .bind(member.user)
    .bind(clock::wall().to_sqlx())
    .execute(db)
    .await
    .context("keeping what an order is to find started")?;
    Ok(())
}
