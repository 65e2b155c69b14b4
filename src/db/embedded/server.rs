//! One run of the server: started, waited for, stopped.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use super::binaries::Binaries;
use super::error::EmbeddedError;
use super::home::Home;
use crate::db::CONNECTION_LIMIT;

/// Recovery after a crash replays the log before the server is ready; that may take minutes.
const READY_WITHIN: Duration = Duration::from_secs(600);
/// A clean stop writes a checkpoint.
const STOP_WITHIN: Duration = Duration::from_secs(60);
/// The log is begun anew by a start that finds it larger than this many bytes.
const LARGEST_LOG: u64 = 10_000_000;
const PAUSE: Duration = Duration::from_millis(20);

/// How a start went.
pub(super) enum Ending {
    /// The server takes connections.
    Ready(Server),
    /// It ended by itself, having said this.
    Refused(String),
}

/// A running server process.
#[derive(Debug)]
pub(super) struct Server {
    pid: Pid,
    ended: Arc<Mutex<bool>>,
    keeper: Option<JoinHandle<()>>,
    log: std::path::PathBuf,
}

impl Server {
    /// Starts the server and waits until it takes connections or gives up.
    pub(super) fn start(
        home: &Home,
        binaries: &Binaries,
        durable: bool,
    ) -> Result<Ending, EmbeddedError> {
        let log = home.log();
        let failed = |e| EmbeddedError::file(&log, e);
        let mut file = open_log(&log).map_err(failed)?;
        let begins_at = file.seek(SeekFrom::End(0)).map_err(failed)?;
        let command = command(home, binaries, durable, &file).map_err(failed)?;
        let mut server = Self::spawn(command, &log)?;
        let begun = Instant::now();
        loop {
            if server.has_ended() {
                server.join();
                let mut said = String::new();
                file.seek(SeekFrom::Start(begins_at)).map_err(failed)?;
                file.read_to_string(&mut said).map_err(failed)?;
                return Ok(Ending::Refused(said));
            }
            if is_ready(&home.data(), server.pid) {
                return Ok(Ending::Ready(server));
            }
            if begun.elapsed() > READY_WITHIN {
                return Err(EmbeddedError::TooSlow {
                    what: "become ready",
                    seconds: READY_WITHIN.as_secs(),
                    log,
                });
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// The process id of the postmaster.
    pub(super) fn process_id(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// Asks for a fast shutdown and waits for it; after too long, ends the server without one.
    pub(super) fn stop(&mut self) -> Result<(), EmbeddedError> {
        self.signal(Signal::SIGINT);
        if self.ends_within(STOP_WITHIN) {
            self.join();
            return Ok(());
        }
        self.signal(Signal::SIGQUIT);
        if self.ends_within(STOP_WITHIN) {
            self.join();
        }
        Err(EmbeddedError::TooSlow {
            what: "stop",
            seconds: STOP_WITHIN.as_secs(),
            log: self.log.clone(),
        })
    }

    /// Stops a server that is left; what goes wrong is logged.
    pub(super) fn stop_if_running(&mut self) {
        if !self.has_ended()
            && let Err(e) = self.stop()
        {
            tracing::error!("{e}");
        }
    }

    /// Starts the process from a thread that lives as long as it: the parent-death signal is
    /// sent when the thread that forked ends, and threads of a pool come and go.
    fn spawn(mut command: Command, log: &Path) -> Result<Self, EmbeddedError> {
        let ended = Arc::new(Mutex::new(false));
        let flag = Arc::clone(&ended);
        let (tell, hear) = mpsc::channel();
        let keeper = std::thread::spawn(move || match command.spawn() {
            Ok(child) => {
                tell.send(Ok(child.id())).unwrap_or_default();
                keep(child, &flag);
            }
            Err(e) => tell.send(Err(e)).unwrap_or_default(),
        });
        let told = hear.recv().unwrap_or_else(|e| Err(io::Error::other(e)));
        match told {
            Ok(id) => Ok(Self {
                pid: process(id),
                ended,
                keeper: Some(keeper),
                log: log.to_owned(),
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(EmbeddedError::NoSetpriv),
            Err(source) => Err(EmbeddedError::Program {
                program: "setpriv".into(),
                source,
            }),
        }
    }

    fn has_ended(&self) -> bool {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ends_within(&self, limit: Duration) -> bool {
        let begun = Instant::now();
        while !self.has_ended() {
            if begun.elapsed() > limit {
                return false;
            }
            std::thread::sleep(PAUSE);
        }
        true
    }

    /// Under the lock, so that the number can't have been given to another process.
    fn signal(&self, signal: Signal) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if !*ended {
            kill(self.pid, signal).unwrap_or_default();
        }
    }

    fn join(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            keeper.join().unwrap_or_default();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop_if_running();
    }
}

fn process(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).expect("a process id is a small number"))
}

/// Waits for the process to end and reaps it under the lock.
fn keep(mut child: Child, ended: &Mutex<bool>) {
    let pid = process(child.id());
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    while waitid(Id::Pid(pid), flags) == Err(Errno::EINTR) {}
    let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(e) = child.wait() {
        tracing::error!("waiting for PostgreSQL: {e}");
    }
    *ended = true;
}

fn command(home: &Home, binaries: &Binaries, durable: bool, log: &File) -> io::Result<Command> {
    let mut command = home.command(Path::new("setpriv"));
    command
        .args(["--pdeathsig", "INT", "--"])
        .arg(binaries.program("postgres"))
        .arg("-D")
        .arg(home.data());
    for (name, value) in settings(durable) {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    let sockets = home.sockets().to_string_lossy().replace('"', "\"\"");
    command
        .arg("-c")
        .arg(format!("unix_socket_directories=\"{sockets}\""))
        .arg("-c")
        .arg(format!("max_connections={CONNECTION_LIMIT}"))
        // Its own group: Ctrl-C is for us, and we stop the server when our own work is done.
        .process_group(0)
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?);
    Ok(command)
}

/// What the server is told besides its own defaults.
fn settings(durable: bool) -> Vec<(&'static str, &'static str)> {
    let mut settings = vec![
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        ("cluster_name", "sluice"),
        ("shared_buffers", "256MB"),
        ("max_wal_size", "2GB"),
        // A commit that needs a new piece of the log waits until 16 MiB of zeros are on disk; one
        // that takes an old piece does not.
        ("min_wal_size", "1GB"),
        ("jit", "off"),
        ("data_sync_retry", "off"),
    ];
    let promise = if durable { "on" } else { "off" };
    for name in ["fsync", "full_page_writes", "synchronous_commit"] {
        settings.push((name, promise));
    }
    settings
}

fn open_log(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).append(true).create(true).open(path)?;
    if file.metadata()?.len() > LARGEST_LOG {
        file.set_len(0)?;
    }
    Ok(file)
}

/// The process file's last line says how far the server of this number is.
fn is_ready(data: &Path, pid: Pid) -> bool {
    let Ok(text) = fs::read_to_string(data.join("postmaster.pid")) else {
        return false;
    };
    let mut lines = text.lines();
    let number = lines.next().and_then(|line| line.trim().parse().ok());
    number == Some(pid.as_raw()) && lines.nth(6).is_some_and(|state| state.trim() == "ready")
}
