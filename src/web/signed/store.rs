//! Keys of machines, and the requests that were answered.

use anyhow::Context;
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use reading::PublicKey;
use sqlx::PgPool;

use super::Signer;
use crate::web::Error;

/// The key that a machine signs with; none of one that is not there or not any more.
pub(super) async fn key(db: &PgPool, signer: Signer) -> Result<Option<PublicKey>, Error> {
    let (of, id) = match signer {
        Signer::Agent(id) => (
            "SELECT public_key FROM agents WHERE id = $1 AND revoked_at IS NULL",
            id,
        ),
        Signer::Vantage(id) => (
            "SELECT public_key FROM vantages WHERE id = $1 AND retired_at IS NULL",
            id,
        ),
    };
    let found: Option<Vec<u8>> = sqlx::query_scalar(of)
        .bind(id)
        .fetch_optional(db)
        .await
        .context("looking for a machine's key")?;
    let key = found.and_then(|bytes| bytes.try_into().ok());
    Ok(key.and_then(|bytes: [u8; 32]| PublicKey::from_bytes(&bytes).ok()))
}

/// Notes that a request is answered; false where it was before.
pub(super) async fn admit(
    db: &PgPool,
    signer: &str,
    nonce: [u8; 16],
    now: Timestamp,
) -> Result<bool, Error> {
    let noted = sqlx::query(
        "INSERT INTO nonces (signer, nonce, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    );
    let noted = noted.bind(signer).bind(&nonce[..]).bind(now.to_sqlx());
    let noted = noted.execute(db).await.context("noting a request")?;
    Ok(noted.rows_affected() == 1)
}
