//! A private PostgreSQL below the data folder, run from the system's own binaries.
//!
//! The server listens on a socket in a folder that only its owner may enter and on no network
//! port, so the folder is the password. It is a child of this process and ends with it: asked to
//! on a clean stop, by the parent-death signal when this process is killed.
//!
//! Below the data folder:
//! ```text
//! postgres/        0700, owned by the user the server runs as
//!   lock           held by the process that uses the folder
//!   data/          what initdb made
//!   socket/        where the server listens
//!   log            what the server said
//! ```

mod binaries;
mod error;
mod home;
mod processes;
mod server;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use error::EmbeddedError;

use binaries::Binaries;
use home::Home;
use server::{Ending, Server};

/// The name of the database and of its owner inside an embedded cluster.
const NAME: &str = "sluice";

/// How long a start is tried again while the leftovers of a killed server go away.
const RETRY_FOR: Duration = Duration::from_secs(20);

/// How to run an embedded cluster.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder that keeps everything; made when it is absent.
    pub data_dir: PathBuf,
    /// Whether a commit survives a power cut. False only for clusters that a test throws away.
    pub durable: bool,
}

/// A running PostgreSQL server. Dropping it stops the server cleanly.
#[derive(Debug)]
pub struct Cluster {
    url: String,
    home: Home,
    server: Server,
    _lock: File,
}

impl Cluster {
    /// Starts the cluster of the data folder, making it first when there is none.
    ///
    /// # Errors
    /// Says in one sentence what is missing or in the way: no PostgreSQL, the folder in use, no
    /// room, no right to the folder, data of another version.
    pub fn start(options: Options) -> Result<Self, EmbeddedError> {
        let home = Home::open(&options.data_dir)?;
        let lock = home.lock()?;
        let binaries = Binaries::find(home.data_version()?)?;
        processes::end_leftovers(&home.data())?;
        if !home.data().exists() {
            home.create_data(&binaries, options.durable)?;
        }
        let server = start_patiently(&home, &binaries, options.durable)?;
        let url = home.url();
        tracing::debug!(data = %home.data().display(), "the embedded PostgreSQL is ready");
        Ok(Self {
            url,
            home,
            server,
            _lock: lock,
        })
    }

    /// The address of the cluster that runs on a data folder, started by this or another process.
    ///
    /// # Errors
    /// The folder can't be used, or nothing runs there.
    pub fn address_of(data_dir: &Path) -> Result<String, EmbeddedError> {
        let home = Home::open(data_dir)?;
        match home.lock() {
            Err(EmbeddedError::AlreadyRunning { .. }) => Ok(home.url()),
            Err(other) => Err(other),
            Ok(_) => Err(EmbeddedError::NotRunning(data_dir.to_owned())),
        }
    }

    /// The address of the database, as sqlx, tokio-postgres and psql take it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder the server keeps its files in. It may lie elsewhere than asked for; see
    /// [`EmbeddedError::Unreachable`].
    pub fn data(&self) -> PathBuf {
        self.home.data()
    }

    /// The process id of the postmaster.
    pub fn process_id(&self) -> u32 {
        self.server.process_id()
    }

    /// Stops the server: sessions are ended, the last checkpoint is written.
    ///
    /// # Errors
    /// The server did not end in time and was told to end without a checkpoint.
    pub fn stop(mut self) -> Result<(), EmbeddedError> {
        self.server.stop()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.server.stop_if_running();
        self.home.forget_sockets();
    }
}

/// Orphans of a killed postmaster hold its shared memory for some seconds and make a new one
/// refuse, so that refusal is met with patience; any other ends the start.
fn start_patiently(
    home: &Home,
    binaries: &Binaries,
    durable: bool,
) -> Result<Server, EmbeddedError> {
    let deadline = Instant::now() + RETRY_FOR;
    loop {
        match Server::start(home, binaries, durable)? {
            Ending::Ready(server) => return Ok(server),
            Ending::Refused(said) if Instant::now() < deadline && is_passing(&said) => {
                std::thread::sleep(Duration::from_millis(200));
                processes::end_leftovers(&home.data())?;
            }
            Ending::Refused(said) => return Err(EmbeddedError::from_output("start", &said, home)),
        }
    }
}

fn is_passing(said: &str) -> bool {
    ["shared memory block", "postmaster.pid"]
        .iter()
        .any(|sign| said.contains(sign))
}
