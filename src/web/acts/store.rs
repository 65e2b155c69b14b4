//! The acts' rows.

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use sqlx::PgConnection;

use super::{Act, Origin};
use crate::clock;
use crate::web::error::Error;

/// Writes the row of an act, in the act's own transaction.
///
/// # Errors
/// When the database can't be written: then the act is not to happen either.
pub async fn record(db: &mut PgConnection, origin: &Origin, act: Act) -> Result<(), Error> {
    let member = origin.member.as_ref();
    sqlx::query(
        "INSERT INTO acts (at, user_id, participant, act, subject, detail, request_id, address)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(clock::wall().to_sqlx())
    .bind(member.map(|member| member.user))
    .bind(member.map(|member| member.participant.0))
    .bind(act.what)
    .bind(act.subject)
    .bind(act.detail)
    .bind(&origin.request_id)
    .bind(&origin.address)
    .execute(db)
    .await
    .context("recording an act")?;
    Ok(())
}
