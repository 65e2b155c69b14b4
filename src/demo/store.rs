//! The demonstration's own rows.

use market::ParticipantId;
use sqlx::PgPool;

use crate::clock;

/// The number of the participant of this name, made where there is none yet.
pub(super) async fn participant(db: &PgPool, name: &str) -> Result<ParticipantId, sqlx::Error> {
    let id = sqlx::query_scalar(
        "INSERT INTO participants (name, created_at) VALUES ($1, $2)
             ON CONFLICT (lower(name)) DO UPDATE SET name = EXCLUDED.name
         RETURNING id",
    )
    .bind(name)
    .bind(jiff_sqlx::Timestamp::from(clock::wall()))
    .fetch_one(db)
    .await?;
    Ok(ParticipantId(id))
}
