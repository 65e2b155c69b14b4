//! The shell round the areas: who is asking, in which language, within which bounds, and what is
//! said when a request can't be served.

pub mod access;
pub mod acts;
pub mod assets;
pub mod attendance;
pub mod banner;
pub mod body;
pub mod capacity;
pub mod certificate;
pub mod credit_code;
pub mod decision;
pub mod delivered;
pub mod ends;
pub mod entry;
pub mod error;
pub mod evidence;
pub mod failure;
pub mod form;
pub mod format;
pub mod headers;
pub mod held;
pub mod i18n;
pub mod identifier;
pub mod image;
pub mod kept;
pub mod level;
pub mod live;
pub mod metrics;
pub mod minutes;
pub mod passwords;
pub mod placing;
pub mod preferences;
pub mod problem;
pub mod quote;
pub mod reference;
pub mod say;
pub mod second_factor;
pub mod server;
pub mod session;
pub mod shelf;
pub mod shell;
pub mod signed;
#[cfg(debug_assertions)]
pub mod styleguide;
pub mod symbol;
pub mod tank;
pub mod throttle;
pub mod token;
pub mod window;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

use crate::config::Settings;

pub use access::Access;
pub use error::Error;
pub use form::{FieldErrors, Form};
pub use i18n::Locale;
pub use kept::Kept;
pub use session::{Member, Role, Session};
pub use shell::Shell;
pub use signed::{SigningAgent, SigningVantage};
pub use token::{Bearer, Scope};

/// How the web side is set up.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether browsers reach it by https: then cookies are bound to it.
    pub secure: bool,
    /// The largest body of a request, in bytes.
    pub body_bytes: usize,
    /// The same of what a program sends.
    pub program_body_bytes: usize,
    /// How long the whole of a body may take.
    pub body_timeout: Duration,
    /// How many passwords are hashed at once.
    pub password_permits: usize,
    /// How many requests may wait for a permit to hash a password; one more is refused.
    pub password_queue: usize,
    /// How many live streams may be open.
    pub streams: usize,
    /// How many hours of the market's clock a holder's files stay on a machine after a lease's end.
    pub data_hours: i64,
    /// Whether people may credit themselves test money: never where money is real.
    pub test_money: bool,
    /// Whether some of what a demonstration delivers is delivered by real machines.
    pub real_machines: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            secure: false,
            body_bytes: 64 * 1024,
            program_body_bytes: 1024 * 1024,
            body_timeout: Duration::from_secs(10),
            password_permits: 2,
            password_queue: 16,
            streams: 2048,
            data_hours: 24,
            test_money: false,
            real_machines: false,
        }
    }
}

impl From<&Settings> for Options {
    fn from(settings: &Settings) -> Self {
        let is_https = |url: &String| url.starts_with("https://");
        Self {
            secure: settings.public_url.as_ref().is_some_and(is_https),
            body_timeout: settings.body_timeout,
            password_permits: settings.argon2_permits,
            password_queue: settings.argon2_queue,
            data_hours: settings.data_hours.into(),
            ..Self::default()
        }
    }
}

/// What the web side keeps while it runs; nothing that a restart may not lose.
#[derive(Debug)]
pub struct Web {
    /// How it is set up.
    pub options: Options,
    /// How often someone may try.
    pub throttle: throttle::Throttle,
    /// Whose turn it is of the machines that ask.
    pub turns: signed::Turns,
    /// Permits to hash a password.
    pub passwords: Arc<Semaphore>,
    /// Places for those who wait for such a permit, and those who have one.
    pub password_queue: Arc<Semaphore>,
    /// Permits for live streams.
    pub streams: Arc<Semaphore>,
    /// Tokens of the API that wait to be looked at.
    pub tokens: token::Desk,
    /// What their watchers share.
    pub hub: Arc<live::Hub>,
    /// What the readers of pages share.
    pub shelf: shelf::Shelf,
    /// Sessions as they end, for the streams that they opened.
    pub sessions_ended: broadcast::Sender<session::TokenHash>,
    /// The streams whose sessions are looked at again.
    pub watched: session::Watched,
    /// Cancelled when the server is to stop: streams end with it.
    pub stopping: CancellationToken,
}

impl Web {
    /// A web side that is set up like this.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            throttle: throttle::Throttle::default(),
            turns: signed::Turns::default(),
            passwords: Arc::new(Semaphore::new(options.password_permits)),
            password_queue: Arc::new(Semaphore::new(
                options.password_permits + options.password_queue,
            )),
            streams: Arc::new(Semaphore::new(options.streams)),
            tokens: token::Desk::default(),
            hub: Arc::default(),
            shelf: shelf::Shelf::default(),
            sessions_ended: broadcast::channel(64).0,
            watched: session::Watched::default(),
            stopping: CancellationToken::new(),
        }
    }

    fn session_ended(&self, token: session::TokenHash) {
        // Nobody streaming is not an error.
        let _ = self.sessions_ended.send(token);
    }
}

/// Runs what changes something to its end even if the browser goes away: a cancelled handler
/// could leave a transaction open in the pool.
pub async fn to_the_end(request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => axum::response::IntoResponse::into_response(Error::Busy),
        },
    }
}
