//! Which deposits were asked for, so that each form is one.

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::{Command, Money, ParticipantId};
use sqlx::PgPool;

use crate::clock;
use crate::sequencer::Actor;
use crate::web::Error;

/// A deposit as a form asks for it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) form_id: String,
    pub(super) participant: ParticipantId,
    pub(super) user: i64,
    pub(super) amount: Money,
}

/// How a form stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its command is to be sent now, by whoever is told this.
    Send,
    /// Its command has been sent, and its answer has not come.
    Sent,
    /// It is booked.
    Booked,
    /// It was another deposit.
    Another,
}

impl Asked {
    /// What the market is asked.
    pub(super) fn command(&self) -> Command {
        Command::Deposit {
            participant: self.participant,
            amount: self.amount,
        }
    }

    /// Who asks.
    pub(super) fn actor(&self) -> Actor {
        Actor::User(self.user)
    }
}

/// Takes a form for sending, or says how it stands. Of many that send one form, one is told to
/// send its command.
pub(super) async fn take(db: &PgPool, asked: &Asked) -> Result<Standing, Error> {
    let taken = sqlx::query(
        "INSERT INTO deposits
             (form_id, participant, user_id, amount, epoch, after, state, sent_at)
         SELECT $1, $2, $3, $4, epoch, command, 'sent', $5 FROM engine
         ON CONFLICT (form_id) DO NOTHING",
    )
    .bind(&asked.form_id)
    .bind(asked.participant.0)
    .bind(asked.user)
    .bind(asked.amount.0)
    .bind(clock::wall().to_sqlx())
    .execute(db)
    .await
    .context("taking a deposit's form")?;
    if taken.rows_affected() == 1 {
        return Ok(Standing::Send);
    }
    standing(db, asked).await
}

/// How a form that was sent before stands.
async fn standing(db: &PgPool, asked: &Asked) -> Result<Standing, Error> {
    let row: Option<(i64, i64, bool, i64, i64)> = sqlx::query_as(
        "SELECT participant, amount, state = 'booked', d.epoch, e.epoch
         FROM deposits d CROSS JOIN engine e WHERE form_id = $1",
    )
    .bind(&asked.form_id)
    .fetch_optional(db)
    .await
    .context("reading a deposit's form")?;
    Ok(match row {
        // Given back meanwhile: whoever asks next takes it.
        None => Standing::Sent,
        Some((participant, amount, ..))
            if participant != asked.participant.0 || amount != asked.amount.0 =>
        {
            Standing::Another
        }
        Some((_, _, true, ..)) => Standing::Booked,
        // The engine that was asked leads: its answer comes, or a new one takes its place.
        Some((_, _, _, then, now)) if then == now => Standing::Sent,
        Some((_, _, _, then, _)) => resolve(db, asked, then).await?,
    })
}

/// What came of a command whose engine is gone. Nothing of that engine can be committed any more,
/// so the log has the command now or never.
async fn resolve(db: &PgPool, asked: &Asked, epoch: i64) -> Result<Standing, Error> {
    let body = serde_json::to_value(asked.command()).context("writing a command")?;
    // The same amount twice by one person is as good as either: each form has one of them.
    let booked = sqlx::query(
        "UPDATE deposits d SET state = 'booked', command = found.seq
         FROM (SELECT c.seq FROM commands c JOIN deposits of ON of.form_id = $1
             WHERE c.seq > of.after AND c.actor = $2 AND c.body = $3 AND c.rejected IS NULL
                 AND NOT EXISTS (SELECT FROM deposits other WHERE other.command = c.seq)
             ORDER BY c.seq LIMIT 1) found
         WHERE d.form_id = $1 AND d.state = 'sent' AND d.epoch = $4",
    )
    .bind(&asked.form_id)
    .bind(asked.actor().to_string())
    .bind(body)
    .bind(epoch)
    .execute(db)
    .await
    .context("looking for a deposit in the log")?;
    if booked.rows_affected() == 1 {
        return Ok(Standing::Booked);
    }
    let taken = sqlx::query(
        "UPDATE deposits d SET epoch = e.epoch, after = e.command FROM engine e
         WHERE form_id = $1 AND state = 'sent' AND d.epoch = $2",
    )
    .bind(&asked.form_id)
    .bind(epoch)
    .execute(db)
    .await
    .context("taking a deposit's form over")?;
    Ok(if taken.rows_affected() == 1 {
        Standing::Send
    } else {
        Standing::Sent
    })
}

/// Notes by which command a form was booked.
pub(super) async fn booked(db: &PgPool, form_id: &str, command: i64) -> Result<(), Error> {
    sqlx::query(
        "UPDATE deposits SET state = 'booked', command = $2
         WHERE form_id = $1 AND state = 'sent'",
    )
    .bind(form_id)
    .bind(command)
    .execute(db)
    .await
    .context("noting a deposit")?;
    Ok(())
}

/// Gives a form back whose command was not done, so that it can be sent again.
pub(super) async fn give_back(db: &PgPool, form_id: &str) -> Result<(), Error> {
    sqlx::query("DELETE FROM deposits WHERE form_id = $1 AND state = 'sent'")
        .bind(form_id)
        .execute(db)
        .await
        .context("giving a deposit's form back")?;
    Ok(())
}
