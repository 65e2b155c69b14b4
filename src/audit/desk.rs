//! Audits on request, beside a running engine: one at a time, the last result kept.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Report, run};
use crate::clock;

/// Where an audit can be asked for and its result seen. Clones share it; nothing of it outlives
/// the process.
#[derive(Clone, Debug)]
pub struct Desk {
    database_url: Arc<str>,
    state: Arc<Mutex<State>>,
}

/// How far the audits are.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Since when one runs, in real time.
    pub running_since: Option<jiff::Timestamp>,
    /// The last one that ended.
    pub last: Option<Arc<Finished>>,
}

/// An audit that has ended.
#[derive(Debug)]
pub struct Finished {
    /// When it began, in real time.
    pub began: jiff::Timestamp,
    /// When it ended.
    pub ended: jiff::Timestamp,
    /// What it found; nothing when the database could not be read, which the log explains.
    pub report: Option<Report>,
}

impl Desk {
    /// A desk for the market in the database at this URL.
    pub fn new(database_url: &str) -> Self {
        Self {
            database_url: database_url.into(),
            state: Arc::default(),
        }
    }

    /// How far the audits are.
    pub fn state(&self) -> State {
        self.with(|state| state.clone())
    }

    /// Begins an audit; false when one runs already.
    pub fn begin(&self) -> bool {
        let began = clock::wall();
        let is_free = self.with(|state| {
            let is_free = state.running_since.is_none();
            state.running_since.get_or_insert(began);
            is_free
        });
        if !is_free {
            return false;
        }
        // Applying the whole command log takes a processor for as long as it takes: a thread and
        // a runtime of its own keep that from whoever serves pages.
        let desk = self.clone();
        let thread = std::thread::Builder::new().name("audit".to_owned());
        if let Err(error) = thread.spawn(move || desk.work(began)) {
            tracing::error!(%error, "an audit can't be started");
            self.end(began, None);
        }
        true
    }

    fn work(&self, began: jiff::Timestamp) {
        // A panic is an audit that could not be done; it must not look like one that still runs.
        let audited = std::panic::catch_unwind(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            Ok::<_, anyhow::Error>(runtime.block_on(run(&self.database_url))?)
        });
        let report = match audited {
            Ok(Ok(report)) => Some(report),
            Ok(Err(error)) => {
                tracing::error!(error = format!("{error:#}"), "an audit was not done");
                None
            }
            Err(_) => None,
        };
        self.end(began, report);
    }

    fn end(&self, began: jiff::Timestamp, report: Option<Report>) {
        let finished = Finished {
            began,
            ended: clock::wall(),
            report,
        };
        self.with(|state| {
            *state = State {
                running_since: None,
                last: Some(Arc::new(finished)),
            };
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
