//! Claims on their way: what was reported, written before the command that claims money for it.

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::{DisputeId, LeaseId, ParticipantId, Timestamp};
use sqlx::PgPool;

use super::forms::Claim;
use crate::clock;
use crate::web::{Error, Member};

/// Notes which dispute a claim on its way has opened, where its answer was lost: the only one of
/// that lease and amount that came after it.
pub(super) async fn link(db: &PgPool, lease: LeaseId) -> Result<(), Error> {
    sqlx::query(
        "UPDATE dispute_claims c SET dispute = d.id FROM disputes d
         WHERE c.lease = $1 AND c.dispute IS NULL AND d.lease = c.lease
           AND d.claimant = c.claimant AND d.claimed = c.amount AND d.command > c.after",
    )
    .bind(lease.0)
    .execute(db)
    .await
    .context("noting what a claim has opened")?;
    Ok(())
}

/// Writes a claim before its command is sent, in the place of one that never arrived.
pub(super) async fn enter(
    db: &PgPool,
    member: &Member,
    lease: LeaseId,
    form_id: &str,
    claim: &Claim,
    now: Timestamp,
) -> Result<(), Error> {
    let entered = sqlx::query(
        "INSERT INTO dispute_claims (form_id, lease, claimant, user_id, reason, start_at, end_at,
             minutes, units, amount, text, sent_at, after)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, command FROM engine
         ON CONFLICT (lease) WHERE dispute IS NULL DO UPDATE
            SET form_id = EXCLUDED.form_id, claimant = EXCLUDED.claimant,
                user_id = EXCLUDED.user_id, reason = EXCLUDED.reason,
                start_at = EXCLUDED.start_at, end_at = EXCLUDED.end_at,
                minutes = EXCLUDED.minutes, units = EXCLUDED.units, amount = EXCLUDED.amount,
                text = EXCLUDED.text, sent_at = EXCLUDED.sent_at, after = EXCLUDED.after",
    )
    .bind(form_id)
    .bind(lease.0)
    .bind(member.participant.0)
    .bind(member.user)
    .bind(&claim.reason)
    .bind(clock::instant(claim.period.start.begins()).to_sqlx())
    .bind(clock::instant(claim.period.end.begins()).to_sqlx())
    .bind(claim.sum.minutes.map(|one| one.minutes))
    .bind(claim.sum.minutes.map(|one| one.units))
    .bind(claim.sum.amount.0)
    .bind(&claim.text)
    .bind(clock::instant(now).to_sqlx())
    .execute(db)
    .await;
    let error = match entered {
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    let is_taken = error
        .as_database_error()
        .is_some_and(|error| error.is_unique_violation());
    // No page has sent one form for two leases.
    Err(if is_taken {
        Error::Invalid
    } else {
        anyhow::Error::new(error)
            .context("writing down a claim")
            .into()
    })
}

/// A claim has arrived.
pub(super) async fn arrived(
    db: &PgPool,
    claimant: ParticipantId,
    form_id: &str,
    dispute: DisputeId,
) -> Result<(), Error> {
    sqlx::query("UPDATE dispute_claims SET dispute = $3 WHERE claimant = $1 AND form_id = $2")
        .bind(claimant.0)
        .bind(form_id)
        .bind(dispute.0)
        .execute(db)
        .await
        .context("noting the dispute of a claim")?;
    Ok(())
}

/// A claim was refused: nothing came of it.
pub(super) async fn forget(
    db: &PgPool,
    claimant: ParticipantId,
    form_id: &str,
) -> Result<(), Error> {
    sqlx::query(
        "DELETE FROM dispute_claims WHERE claimant = $1 AND form_id = $2 AND dispute IS NULL",
    )
    .bind(claimant.0)
    .bind(form_id)
    .execute(db)
    .await
    .context("forgetting a refused claim")?;
    Ok(())
}
