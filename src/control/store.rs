//! Interventions: what was asked for, written with its act before the command is sent, and what
//! became of it.

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::{Command, InstrumentId, LeaseId, ParticipantId, Timestamp};
use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::queries::{self, Standing};
use crate::clock;
use crate::web::acts::{self, Act, Origin};
use crate::web::{Error, format};

/// What is to be done.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// An instrument is halted until then.
    Halt {
        instrument: InstrumentId,
        symbol: String,
        until: Timestamp,
    },
    /// Two participants are related.
    Relation {
        one: ParticipantId,
        other: ParticipantId,
    },
    /// A lease is failed by its provider.
    Default { lease: LeaseId },
}

impl What {
    fn command(&self) -> Command {
        match self {
            Self::Halt {
                instrument, until, ..
            } => Command::Halt {
                instrument: *instrument,
                until: *until,
            },
            Self::Relation { one, other } => Command::Relate {
                participants: vec![*one, *other],
            },
            Self::Default { lease } => Command::Default { lease: *lease },
        }
    }
}

/// An intervention as it is asked for.
#[derive(Debug)]
pub(super) struct Intervention<'a> {
    pub(super) form_id: &'a str,
    pub(super) user: i64,
    pub(super) what: What,
    pub(super) reason: &'static str,
    pub(super) note: Option<&'a str>,
    pub(super) at: Timestamp,
}

/// Writes an intervention with its act; gives the one that stands in its place where this form was
/// sent before, or the lease's failure was asked for already.
pub(super) async fn begin(
    db: &PgPool,
    origin: &Origin,
    asked: &Intervention<'_>,
) -> Result<(Standing, bool), Error> {
    let mut tx = db.begin().await.context("beginning an intervention")?;
    let (mut instrument, mut until, mut one, mut other, mut lease) = (None, None, None, None, None);
    match &asked.what {
        What::Halt {
            instrument: halted,
            until: at,
            ..
        } => (instrument, until) = (Some(halted.0), Some(clock::instant(*at).to_sqlx())),
        What::Relation { one: a, other: b } => (one, other) = (Some(a.0), Some(b.0)),
        What::Default { lease: failed } => lease = Some(failed.0),
    }
    let body = serde_json::to_value(asked.what.command()).context("writing a command")?;
    let id: Option<i64> = sqlx::query_scalar(
        "INSERT INTO interventions (form_id, user_id, asked_at, body, after, instrument, until_at,
             one, other, lease, reason, note)
         SELECT $1, $2, $3, $4, command, $5, $6, $7, $8, $9, $10, $11 FROM engine
         ON CONFLICT DO NOTHING RETURNING id",
    )
    .bind(asked.form_id)
    .bind(asked.user)
    .bind(clock::instant(asked.at).to_sqlx())
    .bind(body)
    .bind(instrument)
    .bind(until)
    .bind(one)
    .bind(other)
    .bind(lease)
    .bind(asked.reason)
    .bind(asked.note)
    .fetch_optional(&mut *tx)
    .await
    .context("writing down an intervention")?;
    if let Some(id) = id {
        record(&mut tx, origin, id, asked).await?;
    }
    tx.commit().await.context("committing an intervention")?;
    let standing = queries::standing(db, asked.form_id, lease).await?;
    // It may have been given up between the two.
    Ok((standing.ok_or(Error::Busy)?, id.is_some()))
}

async fn record(
    db: &mut PgConnection,
    origin: &Origin,
    id: i64,
    asked: &Intervention<'_>,
) -> Result<(), Error> {
    let (reason, note) = (asked.reason, asked.note);
    let of = |participant: &ParticipantId| format!("participant:{}", participant.0);
    let acts = match &asked.what {
        What::Halt {
            instrument,
            symbol,
            until,
        } => vec![(
            "halt",
            format!("instrument:{}", instrument.0),
            json!({ "symbol": symbol, "until": format::machine(*until), "intervention": id,
                    "reason": reason, "note": note }),
        )],
        What::Relation { one, other } => [(one, other), (other, one)]
            .map(|(one, other)| {
                let detail = json!({ "with": format!("n{}", other.0), "intervention": id,
                                     "reason": reason, "note": note });
                ("relate", of(one), detail)
            })
            .into(),
        What::Default { lease } => vec![(
            "default",
            lease.to_string(),
            json!({ "intervention": id, "reason": reason, "note": note }),
        )],
    };
    for (what, subject, detail) in acts {
        let act = Act {
            what,
            subject,
            detail,
        };
        acts::record(db, origin, act).await?;
    }
    Ok(())
}

/// Notes the command that an intervention has become.
pub(super) async fn done(db: &PgPool, id: i64, command: i64) -> Result<(), Error> {
    sqlx::query(
        "UPDATE interventions SET command = $2
         WHERE id = $1 AND command IS NULL AND rejected IS NULL
           AND NOT EXISTS (SELECT FROM interventions WHERE command = $2)",
    )
    .bind(id)
    .bind(command)
    .execute(db)
    .await
    .context("noting what an intervention has become")?;
    Ok(())
}

/// Notes, with an act, why the market did not do it.
pub(super) async fn rejected(
    db: &PgPool,
    origin: &Origin,
    id: i64,
    why: &str,
) -> Result<(), Error> {
    let mut tx = db.begin().await.context("beginning to note a rejection")?;
    let noted = sqlx::query(
        "UPDATE interventions SET rejected = $2
         WHERE id = $1 AND command IS NULL AND rejected IS NULL",
    )
    .bind(id)
    .bind(why)
    .execute(&mut *tx)
    .await
    .context("noting why an intervention was rejected")?;
    if noted.rows_affected() > 0 {
        let act = Act {
            what: "intervention_rejected",
            subject: format!("intervention:{id}"),
            detail: json!({ "rejected": why }),
        };
        acts::record(&mut tx, origin, act).await?;
    }
    tx.commit().await.context("committing a rejection")?;
    Ok(())
}

/// Forgets, with an act, an intervention whose command was never taken: the same form may be sent
/// again.
pub(super) async fn forget(db: &PgPool, origin: &Origin, id: i64) -> Result<(), Error> {
    let mut tx = db.begin().await.context("beginning to forget")?;
    let forgotten = sqlx::query(
        "DELETE FROM interventions WHERE id = $1 AND command IS NULL AND rejected IS NULL",
    )
    .bind(id)
    .execute(&mut *tx)
    .await
    .context("forgetting what was not sent")?;
    if forgotten.rows_affected() > 0 {
        let act = Act {
            what: "intervention_not_sent",
            subject: format!("intervention:{id}"),
            detail: json!({}),
        };
        acts::record(&mut tx, origin, act).await?;
    }
    tx.commit().await.context("committing what is forgotten")?;
    Ok(())
}
