//! The folder that holds everything an agent knows, and files in it that are written whole.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

/// An agent's folder, locked: there is one agent to a folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

/// Why a folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Somebody else could change what is in it.
    #[error(
        "{path} belongs to another user or can be written by others; mend it: chown {user} {path} && chmod go-w {path}"
    )]
    Unsafe {
        /// The folder.
        path: PathBuf,
        /// Who is to own it, by number.
        user: u32,
    },
    /// Another agent has it.
    #[error("another one uses {0}")]
    Taken(PathBuf),
    /// The system said no.
    #[error("{path}: {error}")]
    System {
        /// The folder.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

impl Folder {
    /// Takes a folder, made where it is not there. Others may pass through it, since a holder's
    /// SSH key is looked for below it, and see nothing of it.
    ///
    /// # Errors
    /// It is unsafe, taken, or can't be made.
    pub fn take(path: &Path) -> Result<Self, FolderError> {
        let system = |error| FolderError::System {
            path: path.to_owned(),
            error,
        };
        let made = DirBuilder::new().recursive(true).mode(0o711).create(path);
        made.map_err(system)?;
        let found = fs::metadata(path).map_err(system)?;
        let user = geteuid().as_raw();
        if found.uid() != user || found.mode() & 0o022 != 0 {
            return Err(FolderError::Unsafe {
                path: path.to_owned(),
                user,
            });
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(path.join("lock")).map_err(system)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(FolderError::Taken(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(system(error)),
        }
    }

    /// A file of it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Writes a file so that whoever looks later finds either what was there or all of this, also
/// after a power cut.
///
/// # Errors
/// The system said no; what was there is there still.
pub fn write_whole(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = parent.join(name);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(mode);
    let mut file = options.open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(parent)?.sync_all()
}
