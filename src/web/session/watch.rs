//! Streams outlive the request that opened them, so their sessions are looked at again: every two
//! seconds one statement asks for all of them. A stream ends when its session is over or its
//! person may do something else than when it was opened, whoever did that and in whichever
//! process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use market::ParticipantId;
use tokio_stream::StreamExt;

use super::{Found, Roles, Session, TokenHash, store};
use crate::app::App;

/// How often.
const EVERY: Duration = Duration::from_secs(2);

/// What a person may do.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rights {
    participant: ParticipantId,
    roles: Roles,
    is_suspended: bool,
}

impl Rights {
    fn of(session: Session) -> Self {
        Self {
            participant: session.member.participant,
            roles: session.member.roles,
            is_suspended: session.member.is_suspended,
        }
    }
}

/// The streams of one server that somebody has opened.
#[derive(Clone, Debug, Default)]
pub struct Watched(Arc<Mutex<Streams>>);

#[derive(Debug, Default)]
struct Streams {
    next: u64,
    open: HashMap<u64, (TokenHash, Rights)>,
    is_watching: bool,
}

/// The place of one stream; given back when its body is dropped.
struct Place {
    watched: Watched,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.watched.with(|streams| {
            streams.open.remove(&self.number);
        });
    }
}

impl Watched {
    fn with<T>(&self, work: impl FnOnce(&mut Streams) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The answer as it is; if it is a stream, one that ends with what its session may do.
pub(super) fn follow(app: &App, session: Session, response: Response) -> Response {
    let kind = response.headers().get(CONTENT_TYPE);
    if kind.is_none_or(|kind| !kind.as_bytes().starts_with(b"text/event-stream")) {
        return response;
    }
    let watched = app.web.watched.clone();
    let token = session.token;
    let (number, begins) = watched.with(|streams| {
        streams.next += 1;
        streams
            .open
            .insert(streams.next, (token, Rights::of(session)));
        let begins = !std::mem::replace(&mut streams.is_watching, true);
        (streams.next, begins)
    });
    if begins {
        tokio::spawn(watch(app.clone()));
    }
    let place = Place { watched, number };
    response.map(|body| {
        let held = body.into_data_stream().map(move |data| {
            let _held = &place;
            data
        });
        Body::from_stream(held)
    })
}

/// Looks again until no stream is left or the server stops.
async fn watch(app: App) {
    loop {
        let slept = app
            .web
            .stopping
            .run_until_cancelled(tokio::time::sleep(EVERY));
        let is_over = slept.await.is_none();
        let open = app.web.watched.with(|streams| {
            streams.is_watching = !is_over && !streams.open.is_empty();
            streams
                .is_watching
                .then(|| streams.open.values().cloned().collect::<Vec<_>>())
        });
        let Some(open) = open else {
            return;
        };
        let mut tokens: Vec<TokenHash> = open.iter().map(|(token, _)| *token).collect();
        tokens.sort_unstable();
        tokens.dedup();
        // What can't be asked now is asked again.
        let Ok(good) = store::good(&app.db, &tokens).await else {
            continue;
        };
        let good: HashMap<TokenHash, Rights> = good
            .into_iter()
            .filter_map(|found| match found {
                Found::Full(session) => Some((session.token, Rights::of(session))),
                Found::Entering(_) => None,
            })
            .collect();
        for (token, rights) in open {
            if good.get(&token) != Some(&rights) {
                app.web.session_ended(token);
            }
        }
    }
}
