//! Orders for programs: `docs/PROTOCOL.md`, "The API".

mod answer;
mod body;
mod list;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use market::Rejection;

use self::body::{Asked, Body};
use super::queries;
use crate::app::App;
use crate::web::acts::Origin;
use crate::web::attendance::{self, AttendanceId};
use crate::web::placing::{self, Came, Wish};
use crate::web::problem::Problem;
use crate::web::throttle::TooSoon;
use crate::web::{Bearer, Error, Locale};

/// The header by which an order names the stream with which it ends.
const SESSION: &str = "sluice-session";

/// `POST /api/v1/orders`: orders, changes and cancels, one or many, each answered in its place.
///
/// # Errors
/// When too many are sent, or the database fails.
pub async fn send(
    State(app): State<App>,
    origin: Origin,
    bearer: Bearer,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Error> {
    let locale = Locale::of(&headers);
    if !body::is_json(&headers) {
        return Ok(StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response());
    }
    let body = match Body::read(&body) {
        Ok(body) => body,
        Err((flaw, index)) => {
            let problem = Problem::of_flaw(locale, &flaw);
            let problem = match index {
                Some(index) => problem.at(index),
                None => problem,
            };
            return Ok(problem.into_response());
        }
    };
    let attends = match session_of(&headers) {
        Ok(attends) => attends,
        Err(()) => {
            let gone = Problem::named(locale, StatusCode::CONFLICT, "session_over");
            return Ok(gone.into_response());
        }
    };
    let is_one = body.is_one;
    let mut answers = grant(&app, &origin, &bearer, locale, body.asked, attends.as_ref()).await?;
    Ok(match answers.pop() {
        Some(only) if is_one => only.into_response(),
        last => {
            answers.extend(last);
            answer::all(answers)
        }
    })
}

/// The stream that a request names; an error where it can be none.
fn session_of(headers: &HeaderMap) -> Result<Option<AttendanceId>, ()> {
    let Some(named) = headers.get(SESSION) else {
        return Ok(None);
    };
    let named = named.to_str().ok().and_then(AttendanceId::of);
    named.map(Some).ok_or(())
}

/// Does what is asked, as far as this token and its member's roles let it.
async fn grant(
    app: &App,
    origin: &Origin,
    bearer: &Bearer,
    locale: Locale,
    asked: Vec<Asked>,
    attends: Option<&AttendanceId>,
) -> Result<Vec<answer::Answer>, Error> {
    let count = u32::try_from(asked.len()).unwrap_or(u32::MAX);
    let of = bearer.member.participant;
    let allowed = app.web.throttle.orders(of.0, count);
    allowed.map_err(|TooSoon(seconds)| Error::TooMany(seconds))?;
    let may = body::May::of(app, bearer, &asked).await?;
    let mut ids = Vec::with_capacity(asked.len());
    let mut wishes = Vec::new();
    {
        let market = app.feed.market();
        for asked in asked {
            let refused = may.refuses(&market, of, &asked);
            ids.push((asked.id().to_owned(), refused));
            if refused.is_none() {
                wishes.push(asked.wish(of, &market));
            }
        }
    }
    let kinds: Vec<bool> = wishes
        .iter()
        .map(|wish| matches!(wish, Wish::Place(_)))
        .collect();
    let came = placing::grant(app, origin, bearer, wishes, attends).await?;
    let mut came = kinds.into_iter().zip(came);
    let market = app.feed.market();
    let answer = |(id, refused): (String, Option<body::Refused>)| match refused {
        Some(refused) => answer::Answer::refused(&id, refused.problem(locale)),
        None => match came.next() {
            Some((is_new, came)) => answer::Answer::of(locale, &market, of, id, is_new, came),
            None => answer::Answer::of(locale, &market, of, id, false, Came::Uncertain),
        },
    };
    Ok(ids.into_iter().map(answer).collect())
}

/// `DELETE /api/v1/orders/{id}`: cancels what remains of an order, by its client id or its number.
///
/// # Errors
/// When too many are sent, or the database fails.
pub async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
    origin: Origin,
    bearer: Bearer,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let of = bearer.member.participant;
    let locale = Locale::of(&headers);
    let Some(known) = queries::program_order(&app.db, of, &id).await? else {
        return Ok(unknown(locale, &id));
    };
    let asked = vec![Asked::Cancel(known.placed.client_id)];
    let answers = grant(&app, &origin, &bearer, locale, asked, None).await?;
    let answer = answers.into_iter().next();
    answer
        .map(IntoResponse::into_response)
        .ok_or(Error::NotFound)
}

/// `GET /api/v1/orders?state=&limit=&cursor=`: a participant's orders, the newest first.
///
/// # Errors
/// When the database can't be read.
pub async fn index(
    State(app): State<App>,
    bearer: Bearer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    let locale = Locale::of(&headers);
    let asked = match list::Asked::read(query.as_deref().unwrap_or_default()) {
        Ok(asked) => asked,
        Err(flaw) => return Ok(Problem::of_flaw(locale, &flaw).into_response()),
    };
    let page = list::page(&app, bearer.member.participant, asked).await?;
    Ok(Json(page).into_response())
}

/// `GET /api/v1/orders/{id}`: one order with its trades, by its client id or its number.
///
/// # Errors
/// When the database can't be read.
pub async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    bearer: Bearer,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let of = bearer.member.participant;
    let Some(row) = queries::program_order(&app.db, of, &id).await? else {
        return Ok(unknown(Locale::of(&headers), &id));
    };
    let trades = queries::program_trades(&app.db, row.id).await?;
    let order = list::Listed::new(&app.feed.market(), row);
    Ok(Json(list::WithTrades::new(order, trades)).into_response())
}

/// The answer to whoever names no order of theirs.
fn unknown(locale: Locale, id: &str) -> Response {
    let unknown = Problem::of_rejection(locale, Rejection::UnknownOrder);
    unknown.about(id).into_response()
}

/// `POST /api/v1/session`: a stream; orders that name it are cancelled once it is gone.
///
/// # Errors
/// [`Error::Busy`] when the server has as many streams as it may; when the database fails.
pub async fn attend(State(app): State<App>, bearer: Bearer) -> Result<Response, Error> {
    attendance::open(&app, &bearer).await
}
