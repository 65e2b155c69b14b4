//! All that a handler may reach.

use std::sync::Arc;

use crate::audit;
use crate::clock::MarketClock;
use crate::feed::Feed;
use crate::sequencer::Sequencer;
use crate::web::Web;

/// All that a handler may reach; clones share it.
#[derive(Clone, Debug)]
pub struct App {
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
