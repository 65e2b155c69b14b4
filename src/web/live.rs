//! Live parts of pages: server-sent events that follow the market's commits.
//!
//! A page has one stream. Each event is a whole fragment, the same bytes as in the page, sent when
//! it differs from what was sent before; so whoever reconnects, or lags, is right again with the
//! next event and nothing has to be resumed. A stream ends with its reader's session, and when
//! the server stops.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use market::{Account, AccountKind};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::error::Error;
use super::format;
use super::session::{self, Member, Session};
use crate::app::App;
use crate::feed::Published;

/// How long commits are gathered before what they changed is drawn.
const GATHER: Duration = Duration::from_millis(100);

/// How often a stream makes sure of its reader's session.
const RECHECK: Duration = Duration::from_secs(60);

/// Named fragments, by the names that the page listens to.
pub type Fragments = Vec<(&'static str, String)>;

/// A fragment as it stands in the page.
///
/// # Errors
/// When the template can't be rendered.
pub fn html(fragment: &impl askama::Template) -> Result<String, Error> {
    fragment
        .render()
        .map_err(|error| Error::Internal(anyhow::Error::new(error)))
}

/// A stream that draws `render` at once and after each commit that `wants`.
///
/// # Errors
/// [`Error::Busy`] when the server has as many streams as it may.
pub fn stream<W, R, F>(
    app: &App,
    session: Option<&Session>,
    wants: W,
    render: R,
) -> Result<Response, Error>
where
    W: Fn(&Published) -> bool + Send + Sync + 'static,
    R: FnMut() -> F + Send + 'static,
    F: Future<Output = Result<Fragments, Error>> + Send,
{
    let permit = Arc::clone(&app.web.streams)
        .try_acquire_owned()
        .map_err(|_| Error::Busy)?;
    let (sender, receiver) = mpsc::channel(1);
    let follow = Follow {
        app: app.clone(),
        session: session.cloned(),
        batches: app.feed.subscribe(),
        ended: app.web.sessions_ended.subscribe(),
        sender,
        sent: BTreeMap::new(),
    };
    tokio::spawn(async move {
        let _permit = permit;
        follow.run(wants, render).await;
    });
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15));
    Ok(Sse::new(ReceiverStream::new(receiver))
        .keep_alive(keep_alive)
        .into_response())
}

/// A stream of what only the reader's participant may see: drawn at once and after each commit
/// that touches the participant.
///
/// # Errors
/// [`Error::Busy`] when the server has as many streams as it may.
pub fn for_participant<R, F>(app: &App, session: &Session, render: R) -> Result<Response, Error>
where
    R: Fn(App, Member) -> F + Send + 'static,
    F: Future<Output = Result<Fragments, Error>> + Send,
{
    let member = session.member.clone();
    let own = member.participant;
    let drawn = app.clone();
    let wants = move |published: &Published| published.participants.contains(&own);
    stream(app, Some(session), wants, move || {
        render(drawn.clone(), member.clone())
    })
}

struct Follow {
    app: App,
    session: Option<Session>,
    batches: broadcast::Receiver<Arc<Published>>,
    ended: broadcast::Receiver<session::TokenHash>,
    sender: mpsc::Sender<Result<Event, Infallible>>,
    sent: BTreeMap<&'static str, String>,
}

impl Follow {
    async fn run<W, R, F>(mut self, wants: W, mut render: R)
    where
        W: Fn(&Published) -> bool,
        R: FnMut() -> F,
        F: Future<Output = Result<Fragments, Error>>,
    {
        loop {
            // What can't be drawn ends the stream; the browser asks again.
            let Ok(mut fragments) = render().await else {
                return;
            };
            fragments.extend(self.cash());
            for (name, html) in fragments {
                if self.sent.get(name) == Some(&html) {
                    continue;
                }
                let event = Event::default().event(name).data(html.as_str());
                self.sent.insert(name, html);
                let stopping = self.app.web.stopping.clone();
                let sent = stopping
                    .run_until_cancelled(self.sender.send(Ok(event)))
                    .await;
                if !matches!(sent, Some(Ok(()))) {
                    return;
                }
            }
            if !self.wait(&wants).await {
                return;
            }
        }
    }

    /// Waits for a commit that matters; false when the stream is over.
    async fn wait(&mut self, wants: impl Fn(&Published) -> bool) -> bool {
        let stopping = self.app.web.stopping.clone();
        let token = self.session.as_ref().map(|session| session.token);
        let own = self
            .session
            .as_ref()
            .map(|session| session.member.participant);
        let wants = |batch: &Published| {
            wants(batch) || own.is_some_and(|own| batch.participants.contains(&own))
        };
        let mut recheck = tokio::time::interval_at(tokio::time::Instant::now() + RECHECK, RECHECK);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return false,
                () = self.sender.closed() => return false,
                ended = self.ended.recv() => match (ended, token) {
                    (Ok(ended), Some(token)) if ended == token => return false,
                    // Too many at once: make sure.
                    (Err(RecvError::Lagged(_)), Some(token)) if !self.is_good(token).await => {
                        return false;
                    }
                    _ => {}
                },
                _ = recheck.tick() => if let Some(token) = token
                    && !self.is_good(token).await { return false },
                batch = self.batches.recv() => match batch {
                    Ok(batch) if !wants(&batch) => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => return false,
                },
            }
        }
        tokio::time::sleep(GATHER).await;
        // What came meanwhile is in what is drawn next.
        while let Ok(_) | Err(broadcast::error::TryRecvError::Lagged(_)) = self.batches.try_recv() {
        }
        true
    }

    /// What the header says that the reader can spend: live on every page.
    fn cash(&self) -> Option<(&'static str, String)> {
        let cash = Account::of(self.session.as_ref()?.member.participant, AccountKind::Cash);
        let cash = self.app.feed.market().ledger().balance(cash);
        Some(("cash", format::money(cash)))
    }

    async fn is_good(&self, token: session::TokenHash) -> bool {
        session::is_good(&self.app, token).await.unwrap_or(false)
    }
}
