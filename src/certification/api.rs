//! What an identifier stands for, as JSON.

use axum::Json;
use market::{ParticipantId, Period};
use serde::{Serialize, Serializer};
use sqlx::PgPool;

use super::queries;
use crate::web::Error;
use crate::web::format;
use crate::web::identifier::{Identifier, Subject};
use crate::web::symbol::Symbol;

/// What an identifier stands for.
#[derive(Serialize)]
pub(super) struct Answer {
    pub(super) identifier: String,
    #[serde(rename = "kind", serialize_with = "kind")]
    pub(super) subject: Subject,
    pub(super) provider: Provider,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pool: Option<Pool>,
}

/// Who it is.
#[derive(Serialize)]
pub(super) struct Provider {
    pub(super) identifier: String,
    pub(super) name: String,
    #[serde(rename = "certified")]
    pub(super) is_certified: bool,
    #[serde(rename = "suspended")]
    pub(super) is_suspended: bool,
    pub(super) legal_name: Option<String>,
    pub(super) region: Option<String>,
    pub(super) certified_at: Option<jiff::Timestamp>,
    #[serde(skip)]
    pub(super) pools: i64,
}

/// Which capacity.
#[derive(Serialize)]
pub(super) struct Pool {
    pub(super) name: String,
    pub(super) symbol: String,
    pub(super) grade: String,
    pub(super) units: i64,
    #[serde(flatten, serialize_with = "period")]
    pub(super) period: Period,
    #[serde(rename = "simulated")]
    pub(super) is_simulated: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Body {
    Found(Box<Answer>),
    Wrong { error: &'static str },
}

fn kind<S: Serializer>(subject: &Subject, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(subject.kind())
}

fn period<S: Serializer>(period: &Period, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Ends {
        start: String,
        end: String,
    }
    Ends {
        start: format::machine(period.start.begins()),
        end: format::machine(period.end.begins()),
    }
    .serialize(to)
}

/// The answer as a body: what was found, or in one word why nothing was.
pub(super) fn json(found: Option<Answer>, wrong: Option<&'static str>) -> Json<Body> {
    Json(match found {
        Some(answer) => Body::Found(Box::new(answer)),
        None => Body::Wrong {
            error: wrong.unwrap_or("unknown"),
        },
    })
}

/// What this identifier stands for, if it was given out.
pub(super) async fn answer(db: &PgPool, identifier: Identifier) -> Result<Option<Answer>, Error> {
    let subject = identifier.0;
    let (pool, of) = match subject {
        Subject::Provider(participant) => (None, participant),
        Subject::Pool(_) => match queries::pool(db, subject).await? {
            Some(pool) => {
                let of = pool.provider;
                (Some(pool), of)
            }
            None => return Ok(None),
        },
    };
    let Some(provider) = provider(db, of).await? else {
        return Ok(None);
    };
    let pool = pool.map(|pool| Pool {
        grade: Symbol::new(&pool.symbol).grade_name().to_owned(),
        name: pool.name,
        symbol: pool.symbol,
        units: pool.units,
        period: pool.period,
        is_simulated: pool.is_simulated,
    });
    Ok(Some(Answer {
        identifier: identifier.to_string(),
        subject,
        provider,
        pool,
    }))
}

async fn provider(db: &PgPool, of: ParticipantId) -> Result<Option<Provider>, Error> {
    let row = queries::provider(db, of).await?;
    Ok(row.map(|row| Provider {
        identifier: Identifier(Subject::Provider(of)).to_string(),
        name: row.name,
        is_certified: row.certified_at.is_some(),
        is_suspended: row.suspended,
        legal_name: row.legal_name,
        region: row.region,
        certified_at: row.certified_at.map(jiff_sqlx::Timestamp::to_jiff),
        pools: row.pools,
    }))
}
