//! What is written of disputes: messages and proposals. No money.

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::{DisputeId, Money, Timestamp};
use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::queries::MOST_MESSAGES;
use crate::clock;
use crate::web::acts::{self, Act, Origin};
use crate::web::minutes::Sum;
use crate::web::{Error, Member};

/// Writes what somebody says; the same form again changes nothing. False when they have said as
/// much as they may.
pub(super) async fn say(
    db: &PgPool,
    member: &Member,
    dispute: DisputeId,
    form_id: &str,
    text: &str,
    now: Timestamp,
) -> Result<bool, Error> {
    let said = sqlx::query(
        "INSERT INTO dispute_messages (dispute, participant, user_id, form_id, said_at, text)
         SELECT $1, $2, $3, $4, $5, $6
         WHERE (SELECT count(*) FROM dispute_messages
                WHERE dispute = $1 AND participant = $2) < $7
         ON CONFLICT (dispute, user_id, form_id) DO NOTHING",
    )
    .bind(dispute.0)
    .bind(member.participant.0)
    .bind(member.user)
    .bind(form_id)
    .bind(clock::instant(now).to_sqlx())
    .bind(text)
    .bind(MOST_MESSAGES)
    .execute(db)
    .await
    .context("writing down what was said")?;
    if said.rows_affected() > 0 {
        return Ok(true);
    }
    let again: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM dispute_messages
             WHERE dispute = $1 AND user_id = $2 AND form_id = $3)",
    )
    .bind(dispute.0)
    .bind(member.user)
    .bind(form_id)
    .fetch_one(db)
    .await
    .context("looking for a message sent before")?;
    Ok(again)
}

/// Writes a proposal with its act; false when one stands already.
pub(super) async fn propose(
    db: &PgPool,
    origin: &Origin,
    proposer: i64,
    dispute: DisputeId,
    (sum, reason): (Sum, &str),
    now: Timestamp,
) -> Result<bool, Error> {
    let mut db = db.begin().await.context("beginning a proposal")?;
    let id: Option<i64> = sqlx::query_scalar(
        "INSERT INTO dispute_proposals (dispute, proposer, proposed_at, minutes, units, award,
             reason)
         SELECT id, $2, $3, $4, $5, $6, $7 FROM disputes WHERE id = $1 AND ruled_at IS NULL
         ON CONFLICT (dispute) WHERE state IN ('open', 'approving', 'approved') DO NOTHING
         RETURNING id",
    )
    .bind(dispute.0)
    .bind(proposer)
    .bind(clock::instant(now).to_sqlx())
    .bind(sum.minutes.map(|one| one.minutes))
    .bind(sum.minutes.map(|one| one.units))
    .bind(sum.amount.0)
    .bind(reason)
    .fetch_optional(&mut *db)
    .await
    .context("writing down a proposal")?;
    let Some(id) = id else {
        return Ok(false);
    };
    let detail = json!({ "proposal": id, "award": sum.amount, "reason": reason });
    record(&mut db, origin, "propose_ruling", dispute, detail).await?;
    db.commit().await.context("committing a proposal")?;
    Ok(true)
}

/// A proposal that is to be approved, before its ruling is sent: from here on it is this award and
/// no other. None when it is not open for this person any more.
pub(super) async fn begin_approval(
    db: &PgPool,
    origin: &Origin,
    decider: i64,
    (dispute, proposal): (DisputeId, i64),
    opinion: &str,
    now: Timestamp,
) -> Result<Option<Money>, Error> {
    let mut db = db.begin().await.context("beginning an approval")?;
    let award: Option<i64> = sqlx::query_scalar(
        "UPDATE dispute_proposals
            SET state = 'approving', decider = $3, opinion = $4, decided_at = $5
         WHERE id = $2 AND dispute = $1 AND state = 'open' AND proposer <> $3 RETURNING award",
    )
    .bind(dispute.0)
    .bind(proposal)
    .bind(decider)
    .bind(opinion)
    .bind(clock::instant(now).to_sqlx())
    .fetch_optional(&mut *db)
    .await
    .context("writing down an approval")?;
    let Some(award) = award else {
        return Ok(None);
    };
    let detail = json!({ "proposal": proposal, "award": award, "state": "approving" });
    record(&mut db, origin, "approve_ruling", dispute, detail).await?;
    db.commit().await.context("committing an approval")?;
    Ok(Some(Money(award)))
}

/// The ruling of an approved proposal is made.
pub(super) async fn end_approval(
    db: &PgPool,
    origin: &Origin,
    (dispute, proposal): (DisputeId, i64),
) -> Result<(), Error> {
    let mut db = db
        .begin()
        .await
        .context("beginning the end of an approval")?;
    let ended = sqlx::query(
        "UPDATE dispute_proposals SET state = 'approved'
         WHERE id = $2 AND dispute = $1 AND state = 'approving'",
    )
    .bind(dispute.0)
    .bind(proposal)
    .execute(&mut *db)
    .await
    .context("noting that a ruling is made")?;
    if ended.rows_affected() > 0 {
        let detail = json!({ "proposal": proposal, "state": "approved" });
        record(&mut db, origin, "approve_ruling", dispute, detail).await?;
    }
    db.commit()
        .await
        .context("committing the end of an approval")?;
    Ok(())
}

/// The market would not make the ruling: the proposal is open again.
pub(super) async fn undo_approval(
    db: &PgPool,
    origin: &Origin,
    (dispute, proposal): (DisputeId, i64),
    why: &str,
) -> Result<(), Error> {
    let mut db = db.begin().await.context("beginning to undo an approval")?;
    sqlx::query(
        "UPDATE dispute_proposals
            SET state = 'open', decider = NULL, opinion = NULL, decided_at = NULL
         WHERE id = $2 AND dispute = $1 AND state = 'approving'",
    )
    .bind(dispute.0)
    .bind(proposal)
    .execute(&mut *db)
    .await
    .context("undoing an approval")?;
    let detail = json!({ "proposal": proposal, "state": "open", "rejected": why });
    record(&mut db, origin, "approve_ruling", dispute, detail).await?;
    db.commit().await.context("committing an undone approval")?;
    Ok(())
}

/// Ends an open proposal without a ruling: returned by a second person with an opinion, or
/// withdrawn by its proposer without one. False when it is not open for this person any more.
pub(super) async fn drop_proposal(
    db: &PgPool,
    origin: &Origin,
    user: i64,
    (dispute, proposal): (DisputeId, i64),
    opinion: Option<&str>,
    now: Timestamp,
) -> Result<bool, Error> {
    let mut db = db.begin().await.context("beginning to drop a proposal")?;
    let dropped = sqlx::query(
        "UPDATE dispute_proposals
            SET state = CASE WHEN $4::text IS NULL THEN 'withdrawn' ELSE 'returned' END,
                decider = CASE WHEN $4::text IS NULL THEN NULL ELSE $3 END,
                opinion = $4, decided_at = $5
         WHERE id = $2 AND dispute = $1 AND state = 'open' AND (proposer = $3) = ($4 IS NULL)",
    )
    .bind(dispute.0)
    .bind(proposal)
    .bind(user)
    .bind(opinion)
    .bind(clock::instant(now).to_sqlx())
    .execute(&mut *db)
    .await
    .context("dropping a proposal")?;
    if dropped.rows_affected() == 0 {
        return Ok(false);
    }
    let what = if opinion.is_some() {
        "return_ruling"
    } else {
        "withdraw_ruling"
    };
    let detail = json!({ "proposal": proposal, "opinion": opinion });
    record(&mut db, origin, what, dispute, detail).await?;
    db.commit().await.context("committing a dropped proposal")?;
    Ok(true)
}

async fn record(
    db: &mut PgConnection,
    origin: &Origin,
    what: &'static str,
    dispute: DisputeId,
    detail: serde_json::Value,
) -> Result<(), Error> {
    let act = Act {
        what,
        subject: dispute.to_string(),
        detail,
    };
    acts::record(db, origin, act).await
}
