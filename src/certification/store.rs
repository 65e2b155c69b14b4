//! What is written of applications.

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::ParticipantId;
use sqlx::{PgConnection, PgPool};

use super::forms::Application;
use crate::clock;
use crate::web::Error;
use crate::web::acts::{self, Act, Origin};
use crate::web::identifier::{Identifier, Subject};

/// Saves the draft; a new one where there is none, or where the last one was refused. False when
/// what there is was sent already: then nothing is written.
pub(super) async fn save(
    db: &mut PgConnection,
    participant: ParticipantId,
    form: &Application,
) -> Result<bool, Error> {
    let saved = sqlx::query(
        "INSERT INTO applications AS a
             (participant, legal_name, credit_code, contact_name, contact_phone, contact_mail,
              region, site_address, capacity, created_at, saved_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
         ON CONFLICT (participant) WHERE state <> 'refused' DO UPDATE
         SET legal_name = EXCLUDED.legal_name, credit_code = EXCLUDED.credit_code,
             contact_name = EXCLUDED.contact_name, contact_phone = EXCLUDED.contact_phone,
             contact_mail = EXCLUDED.contact_mail, region = EXCLUDED.region,
             site_address = EXCLUDED.site_address, capacity = EXCLUDED.capacity,
             saved_at = EXCLUDED.saved_at
         WHERE a.state = 'draft'",
    )
    .bind(participant.0)
    .bind(&form.legal_name)
    .bind(&form.credit_code)
    .bind(&form.contact_name)
    .bind(&form.contact_phone)
    .bind(&form.contact_mail)
    .bind(&form.region)
    .bind(&form.site_address)
    .bind(&form.capacity)
    .bind(clock::wall().to_sqlx())
    .execute(db)
    .await
    .context("saving an application")?;
    Ok(saved.rows_affected() == 1)
}

/// Saves and sends an application, and gives its participant an identifier. False when one was
/// sent already.
pub(super) async fn submit(
    db: &PgPool,
    origin: &Origin,
    participant: ParticipantId,
    form: &Application,
) -> Result<bool, Error> {
    let mut transaction = db.begin().await.context("sending an application")?;
    if !save(&mut transaction, participant, form).await? {
        return Ok(false);
    }
    let now = clock::wall().to_sqlx();
    let (id,): (i64,) = sqlx::query_as(
        "UPDATE applications SET state = 'submitted', submitted_at = $2
         WHERE participant = $1 AND state = 'draft' RETURNING id",
    )
    .bind(participant.0)
    .bind(now)
    .fetch_one(&mut *transaction)
    .await
    .context("sending an application")?;
    let subject = Subject::Provider(participant);
    sqlx::query(
        "INSERT INTO identifiers (identifier, kind, subject, issued_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (kind, subject) DO NOTHING",
    )
    .bind(Identifier(subject).compact())
    .bind(subject.kind())
    .bind(subject.number())
    .bind(now)
    .execute(&mut *transaction)
    .await
    .context("giving an identifier")?;
    let act = Act {
        what: "apply",
        subject: format!("application:{id}"),
        detail: serde_json::json!({
            "credit_code": form.credit_code, "region": form.region
        }),
    };
    acts::record(&mut transaction, origin, act).await?;
    transaction
        .commit()
        .await
        .context("sending an application")?;
    Ok(true)
}
