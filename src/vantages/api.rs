//! What is due, and what was found.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::app::App;
use crate::clock::{self, MarketClock};
use crate::delivery::probes::{
    self, Ask, MOST_EVIDENCE, MOST_TAKEN, Outcome, Results, VERSION, Work,
};
use crate::web::signed::{failed, read, unreadable};
use crate::web::{Error, SigningVantage};

/// How often a vantage asks at least and at most, in real milliseconds.
const AGAIN_MS: std::ops::RangeInclusive<u64> = 250..=5_000;

/// `POST /api/vantage/v1/work`: a vantage is there, and hears which doors are to be tried.
///
/// # Errors
/// When the database fails; what is wrong with the request is a problem.
pub async fn work(
    State(app): State<App>,
    SigningVantage(vantage): SigningVantage,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Error> {
    let asked: Option<Ask> = read(&body);
    if asked.is_none_or(|asked| asked.version != VERSION) {
        return Ok(unreadable(&headers));
    }
    let seen = probes::seen(&app.db, vantage, clock::wall());
    seen.await.map_err(failed)?;
    let now = clock::instant(app.clock.now());
    let targets = probes::work(&app.db, vantage, now).await.map_err(failed)?;
    let again_ms = again_ms(&app.clock);
    Ok(Json(Work { targets, again_ms }).into_response())
}

/// A twelfth of a market minute: what is due each minute is not much later.
fn again_ms(clock: &MarketClock) -> u64 {
    let twelfth = u64::try_from(clock.minute().as_millis() / 12).unwrap_or(u64::MAX);
    twelfth.clamp(*AGAIN_MS.start(), *AGAIN_MS.end())
}

/// `POST /api/vantage/v1/results`: what came of probes.
///
/// # Errors
/// When the database fails: nothing of it was taken. What is wrong with the request is a problem.
pub async fn results(
    State(app): State<App>,
    SigningVantage(vantage): SigningVantage,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Error> {
    let told: Option<Results> = read(&body);
    let told = told.filter(|told| {
        let are_short = told.results.iter().all(is_short);
        told.version == VERSION && told.results.len() <= MOST_TAKEN && are_short
    });
    let Some(Results { results, .. }) = told else {
        return Ok(unreadable(&headers));
    };
    let now = clock::instant(app.clock.now());
    let taking = probes::take(&app.db, vantage, results, now);
    taking.await.map_err(failed)?;
    Ok(Json(json!({})).into_response())
}

fn is_short(outcome: &Outcome) -> bool {
    outcome.evidence.to_string().len() <= MOST_EVIDENCE
}
