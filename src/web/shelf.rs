//! What readers of one address see alike, drawn once for each state of the market: pages take from
//! here what does not depend on who asks, and draw the rest.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use askama::Template;
use askama::filters::HtmlSafe;
use moka::future::Cache;

use super::error::Error;
use super::live;
use crate::app::App;

/// How many drawings are kept; the ones that nobody asked for of late go first.
const MOST: u64 = 512;

/// How long one is kept that nobody asks for.
const IDLE: Duration = Duration::from_secs(10);

/// A minute of market time, in microseconds: what goes by the clock is shown by the minute.
const MINUTE: i64 = 60_000_000;

/// A fragment as it stands in the page, drawn already.
#[derive(Clone, Debug)]
pub struct Drawn(Arc<str>);

impl Drawn {
    /// Draws a fragment.
    ///
    /// # Errors
    /// When the template can't be rendered.
    pub fn new(fragment: &impl Template) -> Result<Self, Error> {
        Ok(Self(live::html(fragment)?.into()))
    }

    /// Its text.
    pub fn html(&self) -> String {
        (*self.0).to_owned()
    }
}

impl fmt::Display for Drawn {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

impl HtmlSafe for Drawn {}

/// What a drawing is known by: the market's revision, the minute, and what names it.
type Key = (u64, i64, &'static str, String);

/// The drawings.
#[derive(Clone)]
pub struct Shelf(Cache<Key, Arc<dyn Any + Send + Sync>>);

impl fmt::Debug for Shelf {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "Shelf({})", self.0.entry_count())
    }
}

impl Default for Shelf {
    fn default() -> Self {
        let cache = Cache::builder().max_capacity(MOST).time_to_idle(IDLE);
        Self(cache.build())
    }
}

impl Shelf {
    /// What `draw` makes of the market as it is now, for everyone who asks for `name` of this
    /// `part`; `name` holds all that it depends on, the language included. It is made once however
    /// many ask at once.
    ///
    /// # Errors
    /// Those of `draw`.
    pub async fn get<V, F>(
        &self,
        app: &App,
        part: &'static str,
        name: String,
        draw: F,
    ) -> Result<Arc<V>, Error>
    where
        V: Send + Sync + 'static,
        F: Future<Output = Result<V, Error>> + Send,
    {
        // The state is asked for before it is read: what is drawn is not older than its key.
        let revision = app.feed.market().revision();
        let key = (revision, app.clock.now().0 / MINUTE, part, name);
        let drawn = self.0.try_get_with(key, async {
            let value: Arc<dyn Any + Send + Sync> = Arc::new(draw.await?);
            Ok::<_, Error>(value)
        });
        let drawn = drawn.await.map_err(|error| {
            Arc::try_unwrap(error).unwrap_or_else(|error| Error::Internal(anyhow!("{error:?}")))
        })?;
        drawn
            .downcast()
            .map_err(|_| Error::Internal(anyhow!("{part} is drawn in two ways")))
    }
}
