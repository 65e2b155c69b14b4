//! The demonstration's own rows.

use market::{Command, ParticipantId, Timestamp};
use sqlx::PgPool;

use crate::clock;
use crate::names;
use crate::sequencer::Actor;

/// What this actor has done, and when it began.
pub(super) async fn done(
    db: &PgPool,
    actor: Actor,
) -> anyhow::Result<(Option<Timestamp>, Vec<Command>)> {
    let rows: Vec<(jiff_sqlx::Timestamp, String)> = sqlx::query_as(
        "SELECT at, body::text FROM commands WHERE actor = $1 AND rejected IS NULL ORDER BY seq",
    )
    .bind(actor.to_string())
    .fetch_all(db)
    .await?;
    let begun = rows.first().map(|(at, _)| clock::stamp(at.to_jiff()));
    let commands = rows.iter().map(|(_, body)| serde_json::from_str(body));
    Ok((begun, commands.collect::<Result<_, _>>()?))
}

/// The number of the participant of this name, made where there is none yet.
pub(super) async fn participant(db: &PgPool, name: &str) -> Result<ParticipantId, sqlx::Error> {
    let id = sqlx::query_scalar(
        "INSERT INTO participants (name, created_at, name_key) VALUES ($1, $2, $3)
             ON CONFLICT (name_key) DO UPDATE SET name = EXCLUDED.name
         RETURNING id",
    )
    .bind(name)
    .bind(jiff_sqlx::Timestamp::from(clock::wall()))
    .bind(names::key(name))
    .fetch_one(db)
    .await?;
    Ok(ParticipantId(id))
}
