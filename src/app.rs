//! All that a handler may reach.

use std::ops::Deref;
use std::sync::Arc;

use crate::audit;
use crate::clock::MarketClock;
use crate::feed::Feed;
use crate::sequencer::Sequencer;
use crate::web::Web;

/// All that a handler may reach. It is handed to each layer and handler of each request, so a clone
/// is one count.
#[derive(Clone, Debug)]
pub struct App(Arc<Parts>);

/// What the program is put together of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Connections for reading, and for writing what has no money in it.
    pub db: sqlx::PgPool,
    /// The way to ask the market.
    pub sequencer: Sequencer,
    /// What the market has acknowledged.
    pub feed: Feed,
    /// Market time.
    pub clock: MarketClock,
    /// Where the books can be proved while the market runs.
    pub audit: audit::Desk,
    /// What the web side keeps while it runs.
    pub web: Arc<Web>,
}

impl App {
    /// The program of these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
