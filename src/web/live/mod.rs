//! Live parts of pages: server-sent events that follow the market's commits.
//!
//! A page has one stream. Each event is a whole fragment, the same bytes as in the page. What the
//! watchers of one address see alike is drawn once for all of them ([`hub`]); each is sent what
//! differs from what they have, and the id of an event says all that they have after it. So
//! whoever comes back, with that id, is sent what has changed meanwhile and nothing else, whatever
//! has happened to the server in between. A stream says every few seconds that it lives, so that a
//! page notices one that has died unseen. It ends with its reader's session, and when the server
//! stops.

mod has;
mod hub;

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::select_all;
use market::{Account, AccountKind, ParticipantId};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use self::has::Has;
pub use self::hub::Hub;
use self::hub::{Key, Part, Seat};
use super::error::Error;
use super::format;
use super::i18n::Locale;
use super::session::{self, Member, Session};
use crate::app::App;
use crate::feed::Published;

/// How often a stream says that it lives. `static/app.js` takes one that is silent for more than
/// twice as long for dead.
const BEAT: Duration = Duration::from_secs(3);

/// How often a stream makes sure of its reader's session.
const RECHECK: Duration = Duration::from_secs(60);

/// What says that a stream lives, and that all of the page is as it should be. Browsers drop
/// events without data.
const ALIVE: Bytes = Bytes::from_static(b"event: alive\ndata: .\n\n");

/// Named fragments, by the names that the page listens to.
pub type Fragments = Vec<(&'static str, String)>;

/// Fragments in the making.
type Drawing = Pin<Box<dyn Future<Output = Result<Fragments, Error>> + Send>>;

/// A fragment as it stands in the page.
///
/// # Errors
/// When the template can't be rendered.
pub fn html(fragment: &impl askama::Template) -> Result<String, Error> {
    fragment
        .render()
        .map_err(|error| Error::Internal(anyhow::Error::new(error)))
}

/// Who may see a drawing. Watchers share one only if it is for the same audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Whoever asks.
    Everyone,
    /// The members of one participant.
    Participant(ParticipantId),
    /// One member of a participant, by the number of the person.
    Member(ParticipantId, i64),
}

impl Audience {
    /// The participant that has signed in, or everyone.
    pub fn of(participant: Option<ParticipantId>) -> Self {
        participant.map_or(Self::Everyone, Self::Participant)
    }
}

/// Something to watch: fragments that are drawn at once, and anew after each commit that changes
/// them. What it draws follows from the stream's address, the reader's language, `part` and
/// `audience` alone, and from nothing else of whoever asked first.
pub struct Topic {
    part: &'static str,
    audience: Audience,
    wants: Box<dyn Fn(&Published) -> bool + Send + Sync>,
    render: Box<dyn Fn() -> Drawing + Send + Sync>,
    stands: Box<dyn Fn() -> Option<Duration> + Send + Sync>,
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topic({}, {:?})", self.part, self.audience)
    }
}

impl Topic {
    /// The fragments that `render` draws, which a commit that `wants` may change.
    pub fn new<W, R, F>(part: &'static str, audience: Audience, wants: W, render: R) -> Self
    where
        W: Fn(&Published) -> bool + Send + Sync + 'static,
        R: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<Fragments, Error>> + Send + 'static,
    {
        Self {
            part,
            audience,
            wants: Box::new(wants),
            render: Box::new(move || Box::pin(render())),
            stands: Box::new(|| None),
        }
    }

    /// The same, drawn anew without a commit too: `stands` says how long a drawing is good for,
    /// since some of what it shows goes by the clock; for ever where it says nothing.
    pub fn while_it_stands<S>(self, stands: S) -> Self
    where
        S: Fn() -> Option<Duration> + Send + Sync + 'static,
    {
        Self {
            stands: Box::new(stands),
            ..self
        }
    }

    /// What the header says that a participant can spend: live on every page of its members.
    fn cash(app: &App, participant: ParticipantId) -> Self {
        let feed = app.feed.clone();
        let wants = move |batch: &Published| batch.participants.contains(&participant);
        Self::new(
            "cash",
            Audience::Participant(participant),
            wants,
            move || {
                let cash = Account::of(participant, AccountKind::Cash);
                let cash = feed.market().ledger().balance(cash);
                async move { Ok(vec![("cash", format::money(cash))]) }
            },
        )
    }
}

/// Who watches which address, in which language, and what of it they have.
#[derive(Clone, Debug)]
pub struct Watcher {
    session: Option<Session>,
    locale: Locale,
    address: String,
    has: Has,
}

impl FromRequestParts<App> for Watcher {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Infallible> {
        let (query, named) = has::split(parts.uri.query().unwrap_or_default());
        // A browser that comes back by itself says it in the header, and then knows better than
        // the address, which is as it was at first.
        let sent = parts.headers.get("last-event-id");
        let sent = sent.and_then(|id| id.to_str().ok()).map(Has::read);
        Ok(Self {
            session: parts.extensions.get::<Session>().cloned(),
            locale: Locale::of(&parts.headers),
            address: format!("{}?{query}", parts.uri.path()),
            has: sent.unwrap_or(named),
        })
    }
}

/// A stream of these topics, of one address.
///
/// # Errors
/// [`Error::Busy`] when the server has as many streams as it may.
pub fn stream(app: &App, watcher: Watcher, topics: Vec<Topic>) -> Result<Response, Error> {
    let permit = Arc::clone(&app.web.streams)
        .try_acquire_owned()
        .map_err(|_| Error::Busy)?;
    let Watcher {
        session,
        locale,
        address,
        has,
    } = watcher;
    let join = |address, locale, topic: Topic| {
        let (part, audience) = (topic.part, topic.audience);
        let key = Key {
            address,
            locale,
            part,
            audience,
        };
        app.web.hub.join(&app.feed, key, topic)
    };
    let mut seats: Vec<Seat> = topics
        .into_iter()
        .map(|topic| join(address.clone(), locale, topic))
        .collect();
    if let Some(session) = &session {
        // The same on every page.
        let topic = Topic::cash(app, session.member.participant);
        seats.push(join(String::new(), Locale::default(), topic));
    }
    let (sender, receiver) = mpsc::channel(1);
    let follow = Follow {
        seats,
        sender,
        has,
        _permit: permit,
    };
    let over = over(app.clone(), session, app.web.sessions_ended.subscribe());
    tokio::spawn(async move {
        tokio::select! {
            () = over => {}
            () = follow.run() => {}
        }
    });
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
    ];
    let body = Body::from_stream(ReceiverStream::new(receiver));
    Ok((headers, body).into_response())
}

/// A stream of what one member may see: drawn at once and after each commit that touches their
/// participant. It is not shared with other members of it, whose roles may let them see less.
///
/// # Errors
/// [`Error::SignIn`] without a session, [`Error::Busy`] when the server has as many streams as it
/// may.
pub fn for_participant<R, F>(app: &App, watcher: Watcher, render: R) -> Result<Response, Error>
where
    R: Fn(App, Member) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Fragments, Error>> + Send + 'static,
{
    let session = watcher.session.as_ref().ok_or(Error::SignIn)?;
    let member = session.member.clone();
    let own = member.participant;
    let drawn = app.clone();
    let wants = move |published: &Published| published.participants.contains(&own);
    let audience = Audience::Member(own, member.user);
    let topic = Topic::new("own", audience, wants, move || {
        render(drawn.clone(), member.clone())
    });
    stream(app, watcher, vec![topic])
}

/// Comes back when a stream must end, whatever it is doing: the server stops, or its reader's
/// session is over.
async fn over(
    app: App,
    session: Option<Session>,
    mut ended: broadcast::Receiver<session::TokenHash>,
) {
    let Some(token) = session.map(|session| session.token) else {
        return app.web.stopping.cancelled().await;
    };
    let mut recheck = tokio::time::interval_at(tokio::time::Instant::now() + RECHECK, RECHECK);
    loop {
        tokio::select! {
            () = app.web.stopping.cancelled() => return,
            ended = ended.recv() => match ended {
                Ok(ended) if ended == token => return,
                Ok(_) => continue,
                // Too many at once: make sure.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            _ = recheck.tick() => {}
        }
        if !session::is_good(&app, token).await.unwrap_or(false) {
            return;
        }
    }
}

/// One stream.
struct Follow {
    seats: Vec<Seat>,
    sender: mpsc::Sender<Result<Bytes, Infallible>>,
    has: Has,
    _permit: OwnedSemaphorePermit,
}

impl Follow {
    async fn run(mut self) {
        let mut is_whole = false;
        loop {
            let parts: Vec<_> = self.seats.iter_mut().map(Seat::parts).collect();
            for part in parts.iter().flatten().flat_map(|parts| parts.iter()) {
                if !self.bring(part).await {
                    return;
                }
            }
            // All that the page shows has been drawn since its reader came.
            let was_whole = std::mem::replace(&mut is_whole, parts.iter().all(Option::is_some));
            if is_whole && !was_whole && !self.send(ALIVE).await {
                return;
            }
            let sender = self.sender.clone();
            let changed = select_all(self.seats.iter_mut().map(|seat| Box::pin(seat.changed())));
            tokio::select! {
                () = sender.closed() => return,
                (may_go_on, ..) = changed => if !may_go_on {
                    return;
                },
                () = tokio::time::sleep(BEAT) => if is_whole && sender.send(Ok(ALIVE)).await.is_err() {
                    return;
                },
            }
        }
    }

    /// Sends a part if the reader has another one; false when they have gone.
    async fn bring(&mut self, part: &Part) -> bool {
        if !self.has.take(part.name, part.digest) {
            return true;
        }
        let end = Bytes::from(format!("id: {}\n\n", self.has));
        self.send(part.event.clone()).await && self.send(end).await
    }

    async fn send(&self, bytes: Bytes) -> bool {
        self.sender.send(Ok(bytes)).await.is_ok()
    }
}
