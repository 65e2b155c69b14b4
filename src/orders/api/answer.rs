//! What a program is told of each thing that it asked.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use market::{ClientId, EventKind, LeaseId, Market, OrderId, ParticipantId, Trade};
use serde::Serialize;

use crate::protocol::instant;
use crate::sequencer::Receipt;
use crate::web::placing::Came;
use crate::web::problem::Problem;
use crate::web::{Error, Locale};

/// What has come of one thing.
pub(super) enum Answer {
    /// It was done, or waits for a second person.
    Good(Box<Good>),
    /// It was not.
    Refused(Box<Problem>),
}

#[derive(Serialize)]
pub(super) struct Good {
    #[serde(skip)]
    code: StatusCode,
    /// The order's client id.
    id: String,
    status: u16,
    /// `accepted`, `cancelled` or `held`.
    outcome: &'static str,
    /// Whether this repeats the first answer to the same order.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    again: bool,
    /// The request that waits for a second person, and its page.
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<String>,
    #[serde(flatten)]
    state: Option<State>,
}

/// An order as it stands, and what has just come of it.
#[derive(Serialize)]
struct State {
    order: String,
    units: i64,
    price: String,
    filled: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<&'static str>,
    at: String,
    trades: Vec<Traded>,
}

/// One trade.
#[derive(Serialize)]
pub(super) struct Traded {
    trade: String,
    lease: String,
    price: String,
    units: i64,
    start: String,
    end: String,
    pool: String,
}

impl From<&Trade> for Traded {
    fn from(trade: &Trade) -> Self {
        Self {
            trade: trade.trade.to_string(),
            // A trade and the lease that it makes have one number.
            lease: LeaseId(trade.trade.0).to_string(),
            price: trade.price.to_string(),
            units: trade.units,
            start: instant::print(trade.period.start.begins()),
            end: instant::print(trade.period.end.begins()),
            pool: trade.pool.to_string(),
        }
    }
}

impl Answer {
    pub(super) fn refused(id: &str, problem: Problem) -> Self {
        Self::Refused(Box::new(problem.about(id)))
    }

    /// What has come of the order of this name, which was new or not.
    pub(super) fn of(
        locale: Locale,
        market: &Market,
        participant: ParticipantId,
        id: String,
        is_new: bool,
        came: Came,
    ) -> Self {
        let named = |status, code| Problem::named(locale, status, code);
        let problem = match came {
            Came::Answered(receipt) => match receipt.rejection() {
                None => return Self::done(market, participant, id, is_new, &receipt),
                Some(rejection) => Problem::of_rejection(locale, rejection),
            },
            Came::Asked(request) => {
                return Self::Good(Box::new(Good {
                    code: StatusCode::ACCEPTED,
                    status: StatusCode::ACCEPTED.as_u16(),
                    id,
                    outcome: "held",
                    again: false,
                    request: Some(request.to_string()),
                    page: Some(format!("/orders/requests/{request}")),
                    state: None,
                }));
            }
            Came::Rejected(rejection) => Problem::of_rejection(locale, rejection),
            Came::Used => Problem::of_rejection(locale, market::Rejection::DuplicateId),
            Came::TooMany => named(StatusCode::CONFLICT, "too_many_waiting"),
            Came::Exceeds(_) => named(StatusCode::CONFLICT, "needs_approval"),
            Came::Left => named(StatusCode::CONFLICT, "session_over"),
            Came::Uncertain => named(StatusCode::SERVICE_UNAVAILABLE, "uncertain"),
            Came::Busy => Problem::of_error(locale, &Error::Busy),
        };
        Self::refused(&id, problem)
    }

    fn done(
        market: &Market,
        participant: ParticipantId,
        id: String,
        is_new: bool,
        receipt: &Receipt,
    ) -> Self {
        let order = market.order_of(participant, &ClientId(id.clone()));
        let accepted = receipt
            .events
            .iter()
            .rev()
            .find_map(|event| match event.kind {
                EventKind::Accepted { again, .. } => Some(again),
                _ => None,
            });
        let again = is_new && accepted == Some(true);
        let code = if is_new && !again {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        Self::Good(Box::new(Good {
            code,
            status: code.as_u16(),
            id,
            outcome: if accepted.is_some() {
                "accepted"
            } else {
                "cancelled"
            },
            again,
            request: None,
            page: None,
            state: order.map(|order| State::new(market, order, receipt)),
        }))
    }
}

impl State {
    fn new(market: &Market, id: OrderId, receipt: &Receipt) -> Self {
        let order = market.order(id);
        let trades = receipt.events.iter().filter_map(|event| match &event.kind {
            EventKind::Traded(trade) if trade.buy == id || trade.sell == id => {
                Some(Traded::from(trade))
            }
            _ => None,
        });
        Self {
            order: id.to_string(),
            units: order.units,
            price: order.price.to_string(),
            filled: order.least_sold(),
            done: order.done.map(market::DoneWhy::code),
            at: instant::print(receipt.at),
            trades: trades.collect(),
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Good(good) => (good.code, Json(good)).into_response(),
            Self::Refused(problem) => problem.into_response(),
        }
    }
}

/// The answers to several things, in their order.
#[derive(Serialize)]
#[serde(untagged)]
enum One {
    Good(Box<Good>),
    Refused {
        id: Option<String>,
        status: u16,
        outcome: &'static str,
        problem: Box<Problem>,
    },
}

/// All of them: as one failure only where none found room.
pub(super) fn all(answers: Vec<Answer>) -> Response {
    let is_busy = |answer: &Answer| {
        matches!(answer, Answer::Refused(problem)
            if problem.status() == StatusCode::SERVICE_UNAVAILABLE)
    };
    let status = if answers.iter().all(is_busy) {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    let one = |answer| match answer {
        Answer::Good(good) => One::Good(good),
        Answer::Refused(problem) => One::Refused {
            id: problem.id().map(str::to_owned),
            status: problem.status().as_u16(),
            outcome: "refused",
            problem,
        },
    };
    let list: Vec<One> = answers.into_iter().map(one).collect();
    let mut response = (status, Json(list)).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let soon = HeaderValue::from_static("2");
        response.headers_mut().insert(header::RETRY_AFTER, soon);
    }
    response
}
