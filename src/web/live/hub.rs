//! The drawings that watchers share: one task for each topic that somebody watches.
//!
//! The task begins with the first watcher and ends with the last. It keeps one drawing, the
//! latest, so memory is bounded by the number of topics, and whoever is slow gets the next one
//! that they are ready for and holds up nobody.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::Instant;

use super::{Audience, Fragments, Topic};
use crate::feed::{Feed, Published};
use crate::web::i18n::Locale;

/// How long commits are gathered before what they changed is drawn.
const GATHER: Duration = Duration::from_millis(100);

/// How old a drawing may be that a new watcher is given although nothing has been committed since:
/// some figures go by the clock.
const FRESH: Duration = Duration::from_secs(1);

/// How long a drawing is good for that no clock makes old: a day, after which nobody minds another.
const FOREVER: Duration = Duration::from_secs(86_400);

/// What a topic is known by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The address of the stream.
    pub(super) address: String,
    /// The language that it is drawn in.
    pub(super) locale: Locale,
    /// Which part of what the address shows.
    pub(super) part: &'static str,
    /// For whom.
    pub(super) audience: Audience,
}

/// A fragment as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// The name that the page listens to.
    pub(super) name: &'static str,
    /// What its text is known by.
    pub(super) digest: u64,
    /// The event but for its id and its end.
    pub(super) event: Bytes,
}

impl Part {
    fn new(name: &'static str, html: &str) -> Self {
        let mut event = format!("event: {name}\n");
        for line in html.split(['\n', '\r']) {
            event.push_str("data: ");
            event.push_str(line);
            event.push('\n');
        }
        Self {
            name,
            digest: digest(html),
            event: Bytes::from(event),
        }
    }
}

fn digest(text: &str) -> u64 {
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The latest of a topic's drawings.
#[derive(Clone, Debug)]
struct Latest {
    /// Its place among the topic's drawings, from 1; 0 before the first.
    number: u64,
    /// The state of the market that it shows, at least.
    revision: u64,
    /// When it was begun.
    at: Instant,
    parts: Arc<[Part]>,
}

/// One topic, between its task and its watchers.
#[derive(Debug)]
struct Shared {
    latest: watch::Sender<Latest>,
    asked: Mutex<Asked>,
    ask: Notify,
}

#[derive(Debug, Default)]
struct Asked {
    /// How many drawings have been begun.
    begun: u64,
    /// Whether somebody has come who needs another one.
    is_wanted: bool,
}

impl Shared {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a drawing: whoever asks from now on needs the next one.
    fn begin(&self) -> u64 {
        let mut asked = self.asked();
        asked.begun += 1;
        asked.is_wanted = false;
        asked.begun
    }

    /// The number of the first drawing that is good enough for who comes now.
    fn good_from(&self, revision: u64) -> u64 {
        let latest = self.latest.borrow();
        let is_fresh = latest.revision == revision && latest.at.elapsed() < FRESH;
        if latest.number > 0 && is_fresh {
            return latest.number;
        }
        drop(latest);
        let mut asked = self.asked();
        asked.is_wanted = true;
        self.ask.notify_one();
        asked.begun + 1
    }
}

/// All topics that are watched.
#[derive(Debug, Default)]
pub struct Hub {
    topics: Mutex<HashMap<Key, Arc<Shared>>>,
    drawn: AtomicU64,
}

/// A watcher's place at a topic.
#[derive(Debug)]
pub(super) struct Seat {
    latest: watch::Receiver<Latest>,
    from: u64,
}

impl Seat {
    /// The latest drawing, if there is one that was begun after the watcher came.
    pub(super) fn parts(&mut self) -> Option<Arc<[Part]>> {
        let latest = self.latest.borrow_and_update();
        (latest.number >= self.from).then(|| Arc::clone(&latest.parts))
    }

    /// Waits for another drawing; false when none will come.
    pub(super) async fn changed(&mut self) -> bool {
        self.latest.changed().await.is_ok()
    }
}

impl Hub {
    /// How often anything has been drawn since the program began.
    pub fn drawn(&self) -> u64 {
        self.drawn.load(Ordering::Relaxed)
    }

    /// How many topics are watched.
    pub fn topics(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Shared>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place at this topic, whose task begins if nobody watches it yet.
    pub(super) fn join(self: &Arc<Self>, feed: &Feed, key: Key, topic: Topic) -> Seat {
        let revision = feed.market().revision();
        let mut topics = self.lock();
        if let Some(shared) = topics.get(&key) {
            let latest = shared.latest.subscribe();
            let from = shared.good_from(revision);
            return Seat { latest, from };
        }
        let (sender, latest) = watch::channel(Latest {
            number: 0,
            revision,
            at: Instant::now(),
            parts: Arc::new([]),
        });
        let shared = Arc::new(Shared {
            latest: sender,
            asked: Mutex::default(),
            ask: Notify::new(),
        });
        topics.insert(key.clone(), Arc::clone(&shared));
        let task = Task {
            hub: Arc::clone(self),
            key,
            shared,
            batches: feed.subscribe(),
            feed: feed.clone(),
        };
        tokio::spawn(task.run(topic));
        Seat { latest, from: 1 }
    }
}

/// What draws a topic. However it ends, the topic is over for its watchers, whose browsers ask
/// again.
struct Task {
    hub: Arc<Hub>,
    key: Key,
    shared: Arc<Shared>,
    feed: Feed,
    batches: broadcast::Receiver<Arc<Published>>,
}

impl Task {
    async fn run(mut self, topic: Topic) {
        loop {
            let number = self.shared.begin();
            // What has come until here is in what is drawn now.
            while let Ok(_) | Err(TryRecvError::Lagged(_)) = self.batches.try_recv() {}
            let (revision, at) = (self.feed.market().revision(), Instant::now());
            let Ok(fragments) = (topic.render)().await else {
                return;
            };
            self.hub.drawn.fetch_add(1, Ordering::Relaxed);
            metrics::counter!("sluice_live_drawn_total").increment(1);
            let parts = self.parts(fragments);
            self.shared.latest.send_replace(Latest {
                number,
                revision,
                at,
                parts,
            });
            if !self.wait(&topic).await {
                return;
            }
        }
    }

    /// The parts of a drawing; the ones that are as before are the very same.
    fn parts(&self, fragments: Fragments) -> Arc<[Part]> {
        let before = Arc::clone(&self.shared.latest.borrow().parts);
        fragments
            .into_iter()
            .map(|(name, html)| {
                let known = before.iter().find(|part| part.name == name);
                let known = known.filter(|part| part.digest == digest(&html));
                known.cloned().unwrap_or_else(|| Part::new(name, &html))
            })
            .collect()
    }

    /// Waits for a reason to draw; false when nobody watches any more.
    async fn wait(&mut self, topic: &Topic) -> bool {
        let over = Instant::now() + (topic.stands)().unwrap_or(FOREVER);
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(over) => return true,
                () = self.shared.latest.closed() => {
                    if self.is_deserted() {
                        return false;
                    }
                }
                () = self.shared.ask.notified() => {
                    if self.shared.asked().is_wanted {
                        return true;
                    }
                }
                batch = self.batches.recv() => match batch {
                    Ok(batch) if !(topic.wants)(&batch) => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => return false,
                },
            }
        }
        tokio::select! {
            () = tokio::time::sleep(GATHER) => {}
            () = self.shared.ask.notified() => {}
        }
        true
    }

    /// Gives the topic up if it has no watcher. Nobody can take a seat in between.
    fn is_deserted(&self) -> bool {
        let mut topics = self.hub.lock();
        let is_deserted = self.shared.latest.receiver_count() == 0;
        if is_deserted {
            topics.remove(&self.key);
        }
        is_deserted
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let mut topics = self.hub.lock();
        // The next task of the same topic may have begun.
        let is_own = |shared: &Arc<Shared>| Arc::ptr_eq(shared, &self.shared);
        if topics.get(&self.key).is_some_and(is_own) {
            topics.remove(&self.key);
        }
    }
}
