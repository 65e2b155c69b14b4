//! Enrolment, heartbeats, states and readings.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use reading::PublicKey;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::app::App;
use crate::clock;
use crate::delivery::agents::{self, Beat, EnrolError, MOST_INVENTORY, Order};
use crate::delivery::inbox::{self, StateChange};
use crate::delivery::keeper;
use crate::web::problem::Problem;
use crate::web::signed::{Enrolling, failed, problem, read, unreadable};
use crate::web::{Error, Locale, SigningAgent};

/// The version of the shapes.
const VERSION: u64 = 1;

#[derive(Deserialize)]
struct Enrol {
    version: u64,
    token: String,
    key: String,
    inventory: serde_json::Value,
}

#[derive(Serialize)]
struct Enrolled {
    agent: i64,
}

/// `POST /api/agent/v1/enrol`: makes the holder of a key the agent of the machine for which a token
/// was made. Signed with that key.
///
/// # Errors
/// When the database fails; what is wrong with the request is a problem.
pub async fn enrol(
    State(app): State<App>,
    enrolling: Enrolling,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Error> {
    let locale = Locale::of(&headers);
    let asked: Option<Enrol> = read(&body);
    let asked = asked.filter(|asked| asked.version == VERSION && is_short(&asked.inventory));
    let key = asked.as_ref().map(|asked| PublicKey::from_hex(&asked.key));
    let (Some(asked), Some(Ok(key))) = (asked, key) else {
        return Ok(unreadable(&headers));
    };
    if let Err(refused) = enrolling.check(&key, &body) {
        return Ok(problem(locale, refused).into_response());
    }
    let now = (clock::wall(), clock::instant(app.clock.now()));
    match agents::enrol(&app.db, &asked.token, &key, &asked.inventory, now).await {
        Ok(agent) => Ok(Json(Enrolled { agent }).into_response()),
        Err(EnrolError::NoToken) => {
            Ok(Problem::named(locale, StatusCode::NOT_FOUND, "no_agent_token").into_response())
        }
        Err(EnrolError::Used) => {
            Ok(Problem::named(locale, StatusCode::CONFLICT, "agent_token_used").into_response())
        }
        Err(EnrolError::Database(error)) => Err(failed(error)),
    }
}

fn is_short(inventory: &serde_json::Value) -> bool {
    inventory.to_string().len() <= MOST_INVENTORY
}

#[derive(Serialize)]
struct Orders {
    /// Real time, by which requests are signed.
    clock: jiff::Timestamp,
    /// The market's clock, by which leases begin and end.
    market: MarketTime,
    leases: Vec<Order>,
}

#[derive(Serialize)]
struct MarketTime {
    at: jiff::Timestamp,
    /// Market seconds in a real one; 0 for a clock that stands.
    speed: i64,
}

/// `POST /api/agent/v1/heartbeat`: an agent is there, and hears what its machine is to have.
///
/// # Errors
/// When the database fails.
pub async fn heartbeat(
    State(app): State<App>,
    SigningAgent(agent): SigningAgent,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Error> {
    let beat: Option<Beat> = read(&body);
    let beat = beat.filter(|beat| beat.version == VERSION && is_short(&beat.inventory));
    let Some(beat) = beat else {
        return Ok(unreadable(&headers));
    };
    let (now, market) = (clock::wall(), clock::instant(app.clock.now()));
    let data_hours = app.web.options.data_hours;
    let heard = agents::heartbeat(&app.db, agent, &beat, (now, market), data_hours);
    let leases = heard.await.map_err(failed)?;
    let orders = Orders {
        clock: clock::wall(),
        market: MarketTime {
            at: clock::instant(app.clock.now()),
            speed: app.clock.speed(),
        },
        leases,
    };
    Ok(Json(orders).into_response())
}

#[derive(Deserialize)]
struct States {
    states: Vec<StateChange>,
}

/// `POST /api/agent/v1/states`: what leases have come to on the machine.
///
/// # Errors
/// When the database fails: nothing of it was taken.
pub async fn states(
    State(app): State<App>,
    SigningAgent(agent): SigningAgent,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Error> {
    let Some(States { states }) = read(&body) else {
        return Ok(unreadable(&headers));
    };
    let market = clock::instant(app.clock.now());
    let through = inbox::take_states(&app.db, agent, states, market).await;
    let through = through.map_err(failed)?;
    Ok(Json(json!({ "through": through })).into_response())
}

/// `POST /api/agent/v1/readings`: minutes of leases.
///
/// # Errors
/// When the database fails: nothing of it was taken.
pub async fn readings(
    State(app): State<App>,
    SigningAgent(agent): SigningAgent,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Error> {
    let Ok(readings) = reading::from_json(&body) else {
        return Ok(unreadable(&headers));
    };
    let now = app.clock.now();
    let open = keeper::first_open(&app.feed.market(), now);
    let taking = inbox::take_readings(&app.db, agent, readings, clock::instant(now), open);
    let taken = taking.await.map_err(failed)?;
    let taken: Vec<_> = taken
        .into_iter()
        .map(|(lease, through)| json!({ "lease": lease, "through": through }))
        .collect();
    Ok(Json(json!({ "taken": taken })).into_response())
}
