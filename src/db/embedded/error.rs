//! Why an embedded PostgreSQL could not run, each a sentence that says what to do.

use std::io;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use super::home::Home;

/// With less room than this, in bytes, PostgreSQL can't write its next log file.
const LEAST_ROOM: u64 = 16_777_216;

/// Why an embedded PostgreSQL could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No PostgreSQL server is installed where one is looked for.
    #[error(
        "PostgreSQL was not found: install it (Debian and Ubuntu: apt-get install postgresql), \
         or name the folder of initdb and postgres in SLUICE_PG_BIN, \
         or name a running server in DATABASE_URL"
    )]
    NotFound,
    /// SLUICE_PG_BIN names a folder without the two programs.
    #[error("SLUICE_PG_BIN names {0}, but there is no working initdb and postgres in it")]
    BadBinaries(PathBuf),
    /// setpriv, which ties the server's life to ours, is not installed.
    #[error("setpriv was not found: install it (Debian and Ubuntu: apt-get install util-linux)")]
    NoSetpriv,
    /// The data was written by a major version that is not installed.
    #[error(
        "the data in {data} was written by PostgreSQL {wanted}, which is not installed \
         (found: {found})"
    )]
    OtherVersion {
        /// The folder of the data.
        data: PathBuf,
        /// The major version that wrote it.
        wanted: u32,
        /// The major versions that are installed.
        found: String,
    },
    /// Another process uses the folder.
    #[error("already running: process {holder} uses {data_dir}")]
    AlreadyRunning {
        /// The folder that was asked for.
        data_dir: PathBuf,
        /// The process that holds its lock, as it wrote itself down.
        holder: String,
    },
    /// A server of an earlier run would not end.
    #[error("a PostgreSQL of an earlier run still uses {0} and does not end")]
    Leftovers(PathBuf),
    /// Nothing runs on the folder.
    #[error("nothing is running on {0}")]
    NotRunning(PathBuf),
    /// PostgreSQL refuses to run as root, and there is no user to run it as.
    #[error(
        "PostgreSQL does not run as root and there is no user `postgres` to run it as: \
         install PostgreSQL with the system's package manager, or run as an ordinary user"
    )]
    NoServerUser,
    /// The user of the server can't reach the folder, nor the one to fall back on.
    #[error("the user `postgres` can't reach {0}: name a folder that it can enter with --data-dir")]
    Unreachable(PathBuf),
    /// The disk is full.
    #[error("no room is left on the disk of {0}")]
    DiskFull(PathBuf),
    /// A file or folder may not be made or read.
    #[error("no permission to use {0}")]
    Permission(PathBuf),
    /// Any other trouble with a file.
    #[error("{path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// One of PostgreSQL's programs could not be run at all.
    #[error("{program} can't be run: {source}")]
    Program {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// PostgreSQL gave up for another reason, which is in its own words.
    #[error("PostgreSQL could not {what}: {said} (more in {log})")]
    Refused {
        /// What it was to do.
        what: &'static str,
        /// Its last complaint.
        said: String,
        /// Where all of it stands.
        log: PathBuf,
    },
    /// The server did not become ready, or did not end, in time.
    #[error("PostgreSQL did not {what} within {seconds} seconds (see {log})")]
    TooSlow {
        /// What it was to do.
        what: &'static str,
        /// How long it was waited for.
        seconds: u64,
        /// Where its messages stand.
        log: PathBuf,
    },
}

/// A program that ran out of room may end over something that follows from it and name only that.
fn is_full(home: &Home) -> bool {
    let found = home.log().parent().and_then(|folder| statvfs(folder).ok());
    found.is_some_and(|disk| disk.blocks_available() * disk.fragment_size() < LEAST_ROOM)
}

impl EmbeddedError {
    /// Makes the sentence for a failed use of a file or folder.
    pub(super) fn file(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull(path),
            io::ErrorKind::PermissionDenied => Self::Permission(path),
            _ => Self::File { path, source },
        }
    }

    /// Makes the sentence from what a PostgreSQL program printed before it gave up.
    pub(super) fn from_output(what: &'static str, said: &str, home: &Home) -> Self {
        let names_it = [
            "No space left on device",
            "Check free disk space",
            "Disk quota exceeded",
        ];
        if names_it.iter().any(|sign| said.contains(sign)) || is_full(home) {
            return Self::DiskFull(home.data());
        }
        if said.contains("Permission denied") {
            return Self::Permission(home.data());
        }
        let complaint = said
            .lines()
            .rev()
            .find_map(|line| {
                let (_, text) = ["FATAL:", "PANIC:", "error:", "ERROR:"]
                    .iter()
                    .find_map(|sign| line.split_once(sign))?;
                Some(text.trim().to_owned())
            })
            .unwrap_or_else(|| said.lines().last().unwrap_or("it said nothing").to_owned());
        Self::Refused {
            what,
            said: complaint,
            log: home.log(),
        }
    }
}
