//! Keys of machines, and the requests that were answered.

use anyhow::Context;
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use reading::PublicKey;
use sqlx::PgPool;

use super::Signer;
use crate::web::Error;

/// The key that a machine signs with, and whether it is believed still; none of one that is not there.
pub(super) async fn key(db: &PgPool, signer: Signer) -> Result<Option<(PublicKey, bool)>, Error> {
    let (of, id) = match signer {
        Signer::Agent(id) => (
            "SELECT public_key, revoked_at IS NULL FROM agents WHERE id = $1",
            id,
        ),
        Signer::Vantage(id) => (
            "SELECT public_key, retired_at IS NULL FROM vantages WHERE id = $1",
            id,
        ),
    };
    let found: Option<(Vec<u8>, bool)> = sqlx::query_as(of)
        .bind(id)
        .fetch_optional(db)
        .await
        .context("looking for a machine's key")?;
    Ok(found.and_then(|(bytes, is_believed)| {
        let bytes: [u8; 32] = bytes.try_into().ok()?;
        Some((PublicKey::from_bytes(&bytes).ok()?, is_believed))
    }))
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
