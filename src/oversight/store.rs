//! Decisions of the desk, each with its row in the record of acts, in one transaction.

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use serde_json::json;
use sqlx::PgPool;

use crate::clock;
use crate::web::Error;
use crate::web::acts::{self, Act, Origin};
use crate::web::decision::Reasoned;

/// What an application comes to.
pub(super) enum Outcome {
    /// The participant may provide.
    Certified(Option<String>),
    /// It may not.
    Refused(Reasoned),
}

/// Decides on an application that waits; false when it does not, since somebody was earlier.
pub(super) async fn decide(
    db: &PgPool,
    origin: &Origin,
    application: i64,
    outcome: Outcome,
) -> Result<bool, Error> {
    let (what, state, reason, note) = match outcome {
        Outcome::Certified(note) => ("certify", "certified", None, note),
        Outcome::Refused(Reasoned { reason, note }) => ("refuse", "refused", Some(reason), note),
    };
    let mut db = db.begin().await.context("beginning a decision")?;
    let participant: Option<i64> = sqlx::query_scalar(
        "UPDATE applications SET state = $2, reason = $3, note = $4, decided_by = $5,
             decided_at = $6
         WHERE id = $1 AND state = 'submitted' RETURNING participant",
    )
    .bind(application)
    .bind(state)
    .bind(reason)
    .bind(&note)
    .bind(origin.member.as_ref().map(|member| member.user))
    .bind(clock::wall().to_sqlx())
    .fetch_optional(&mut *db)
    .await
    .context("deciding on an application")?;
    let Some(participant) = participant else {
        return Ok(false);
    };
    let act = Act {
        what,
        subject: format!("participant:{participant}"),
        detail: json!({ "application": application, "reason": reason, "note": note }),
    };
    acts::record(&mut db, origin, act).await?;
    db.commit().await.context("keeping a decision")?;
    Ok(true)
}

/// Suspends a participant; false when it is suspended already, or is none.
pub(super) async fn suspend(
    db: &PgPool,
    origin: &Origin,
    participant: i64,
    why: &Reasoned,
) -> Result<bool, Error> {
    let mut db = db.begin().await.context("beginning a suspension")?;
    let suspended = sqlx::query(
        "UPDATE participants SET suspended = $2, suspended_at = $3
         WHERE id = $1 AND id > 0 AND suspended IS NULL",
    )
    .bind(participant)
    .bind(why.reason)
    .bind(clock::wall().to_sqlx())
    .execute(&mut *db)
    .await
    .context("suspending a participant")?;
    if suspended.rows_affected() == 0 {
        return Ok(false);
    }
    let act = Act {
        what: "suspend",
        subject: format!("participant:{participant}"),
        detail: json!({ "reason": why.reason, "note": why.note }),
    };
    acts::record(&mut db, origin, act).await?;
    db.commit().await.context("keeping a suspension")?;
    Ok(true)
}

/// Lifts a suspension; false when there is none.
pub(super) async fn restore(
    db: &PgPool,
    origin: &Origin,
    participant: i64,
    note: Option<&str>,
) -> Result<bool, Error> {
    let mut db = db.begin().await.context("beginning to lift a suspension")?;
    let was: Option<String> = sqlx::query_scalar(
        "WITH was AS (SELECT id, suspended FROM participants
             WHERE id = $1 AND suspended IS NOT NULL FOR UPDATE)
         UPDATE participants p SET suspended = NULL, suspended_at = NULL
         FROM was WHERE p.id = was.id RETURNING was.suspended",
    )
    .bind(participant)
    .fetch_optional(&mut *db)
    .await
    .context("lifting a suspension")?;
    let Some(was) = was else {
        return Ok(false);
    };
    let act = Act {
        what: "restore",
        subject: format!("participant:{participant}"),
        detail: json!({ "was": was, "note": note }),
    };
    acts::record(&mut db, origin, act).await?;
    db.commit().await.context("keeping a restoration")?;
    Ok(true)
}

/// Notes that a suspended participant's orders are being cancelled once more.
pub(super) async fn note_cancelling(
    db: &PgPool,
    origin: &Origin,
    participant: i64,
    orders: usize,
) -> Result<(), Error> {
    let mut db = db.acquire().await.context("asking for a connection")?;
    let act = Act {
        what: "cancel_orders",
        subject: format!("participant:{participant}"),
        detail: json!({ "orders": orders }),
    };
    acts::record(&mut db, origin, act).await
}

/// Closes a case of delivery with what came of it; false when somebody was earlier.
pub(super) async fn close_case(
    db: &PgPool,
    origin: &Origin,
    case: i64,
    note: &str,
) -> Result<bool, Error> {
    let mut db = db.begin().await.context("beginning to close a case")?;
    let closed = sqlx::query(
        "UPDATE delivery_cases SET closed_at = $2, closed_by = $3, note = $4
         WHERE id = $1 AND closed_at IS NULL",
    )
    .bind(case)
    .bind(clock::wall().to_sqlx())
    .bind(origin.member.as_ref().map(|member| member.user))
    .bind(note)
    .execute(&mut *db)
    .await
    .context("closing a case")?;
    if closed.rows_affected() == 0 {
        return Ok(false);
    }
    let act = Act {
        what: "case_closed",
        subject: format!("case:{case}"),
        detail: json!({ "note": note }),
    };
    acts::record(&mut db, origin, act).await?;
    db.commit().await.context("closing a case")?;
    Ok(true)
}
