//! Orders that stand only while a program attends: it holds a stream open, names it with its
//! orders, and they are cancelled once the stream is gone.
//!
//! Which orders those are is written before they are sent, so that they are cancelled although the
//! server that held the stream has died: whoever serves a stream says every few seconds that it is
//! there, and any server ends what nobody speaks for. A row is locked from the look at it to the
//! market's answers, so that nothing is placed with what has ended.

mod store;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use market::{ClientId, Command, ParticipantId};
use sqlx::{PgTransaction, Postgres};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::session;
use super::token::{self, Bearer};
use crate::app::App;
use crate::sequencer::Actor;

/// How often a stream says that it lives, to its reader and to the table.
const BEAT: Duration = Duration::from_secs(3);

/// For how many seconds a stream is taken to be there after it said so last.
const SILENT: i64 = 30;

/// How often what nobody speaks for is looked for.
const SWEEP: Duration = Duration::from_secs(10);

/// How long to wait where the market takes no commands.
const AGAIN: Duration = Duration::from_millis(200);

/// The number of a stream, by which orders name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttendanceId(String);

impl AttendanceId {
    /// The one of this name, if it is like one of ours.
    pub fn of(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let is_ours = (16..=64).contains(&text.len()) && text.bytes().all(is_plain);
        is_ours.then(|| Self(text.to_owned()))
    }
}

/// A stream whose orders end with it.
struct Attended {
    id: AttendanceId,
    participant: ParticipantId,
    user: i64,
}

/// Opens a stream for whoever has this token, which says its number first.
///
/// # Errors
/// [`Error::Busy`] when the server has as many streams as it may; when the database fails.
pub async fn open(app: &App, bearer: &Bearer) -> Result<Response, Error> {
    let permit = Arc::clone(&app.web.streams)
        .try_acquire_owned()
        .map_err(|_| Error::Busy)?;
    let attended = Attended {
        id: AttendanceId(session::secret()?),
        participant: bearer.member.participant,
        user: bearer.member.user,
    };
    store::open(&app.db, &attended, bearer.id).await?;
    let (sender, receiver) = mpsc::channel(1);
    let first = format!(
        "event: session\ndata: {{\"session\":\"{}\"}}\n\n",
        attended.id.0
    );
    let (app, token) = (app.clone(), bearer.token);
    tokio::spawn(async move {
        let _permit = permit;
        attend(&app, &attended, token, sender, first.into()).await;
        if let Err(error) = end(&app, &attended).await {
            tracing::error!(%error, "the orders of a stream are left to the next look");
        }
    });
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
    ];
    let body = Body::from_stream(ReceiverStream::new(receiver));
    Ok((headers, body).into_response())
}

/// Comes back when a stream is over: its reader has gone, its token is good no more, its row was
/// ended, or the server stops.
async fn attend(
    app: &App,
    attended: &Attended,
    token: session::TokenHash,
    sender: mpsc::Sender<Result<Bytes, Infallible>>,
    first: Bytes,
) {
    let mut said = first;
    loop {
        tokio::select! {
            () = sender.closed() => return,
            () = app.web.stopping.cancelled() => return,
            sent = sender.send(Ok(said)) => if sent.is_err() {
                return;
            },
        }
        tokio::select! {
            () = sender.closed() => return,
            () = app.web.stopping.cancelled() => return,
            () = tokio::time::sleep(BEAT) => {}
        }
        // A database that can't be asked now is no reason to cancel anything; it is for longer.
        let is_open = store::note(&app.db, &attended.id).await;
        let is_good = token::is_good(app, token).await;
        if matches!(is_open, Ok(false)) || matches!(is_good, Ok(false)) {
            return;
        }
        said = Bytes::from_static(b"event: alive\ndata: .\n\n");
    }
}

/// What keeps a stream from ending until the orders that name it are answered.
#[derive(Debug)]
pub struct Held(
    #[expect(dead_code, reason = "the row is locked until it is dropped")] PgTransaction<'static>,
);

/// Notes which orders are to end with a stream of this participant's member, before they are sent;
/// none where it is over.
///
/// # Errors
/// When the database fails.
pub async fn hold(
    app: &App,
    bearer: &Bearer,
    id: &AttendanceId,
    orders: &[&ClientId],
) -> Result<Option<Held>, Error> {
    let mut db: PgTransaction<'static> = sqlx::Pool::<Postgres>::begin(&app.db)
        .await
        .context("holding a stream")?;
    if !store::lock(&mut db, id, bearer.member.user).await? {
        return Ok(None);
    }
    store::add(&app.db, id, orders).await?;
    Ok(Some(Held(db)))
}

/// Ends a stream, and cancels what is open of its orders. Done again, it changes nothing.
async fn end(app: &App, attended: &Attended) -> Result<(), Error> {
    let mut db = app.db.begin().await.context("ending a stream")?;
    store::end(&mut db, &attended.id).await?;
    db.commit().await.context("ending a stream")?;
    loop {
        let open = store::open_orders(&app.db, &attended.id).await?;
        if open.is_empty() && app.sequencer.is_ready() {
            return store::close(&app.db, &attended.id).await;
        }
        for client_id in open {
            let command = Command::CancelOrder {
                participant: attended.participant,
                client_id,
            };
            let actor = Actor::User(attended.user);
            if app.sequencer.submit(actor, command).await.is_err() {
                // What is open then is looked at anew.
                tokio::time::sleep(AGAIN).await;
                break;
            }
        }
        if !app.sequencer.is_ready() {
            if app.web.stopping.is_cancelled() {
                return Ok(());
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// Ends what nobody speaks for, again and again until the server stops.
pub async fn sweep(app: App, stopping: CancellationToken) {
    let mut sweeps = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = sweeps.tick() => {}
        }
        let swept = async {
            for attended in store::silent(&app.db, SILENT).await? {
                end(&app, &attended).await?;
            }
            Ok::<(), Error>(())
        };
        if let Err(error) = swept.await {
            tracing::error!(%error, "streams that nobody speaks for can't be ended");
        }
    }
}
