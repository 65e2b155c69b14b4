//! The folder of an embedded cluster: where it lies, who owns it, who holds it.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::unistd::{Gid, Uid, User};
use sha2::{Digest, Sha256};

use super::NAME;
use super::binaries::Binaries;
use super::error::EmbeddedError;

/// The longest path of a Unix socket that every system takes.
const LONGEST_SOCKET: usize = 100;

/// The socket's name; the number is part of the name only, nothing listens on a port.
const SOCKET: &str = ".s.PGSQL.5432";

/// How often a lock that this very process seems to hold is tried again, and after how long.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The folder of one embedded cluster.
#[derive(Debug)]
pub(super) struct Home {
    asked: PathBuf,
    folder: PathBuf,
    sockets: PathBuf,
    owner: Option<(Uid, Gid)>,
}

impl Home {
    /// Makes the folder where it is absent and gives it to the user that the server runs as.
    pub(super) fn open(data_dir: &Path) -> Result<Self, EmbeddedError> {
        let owner = server_user()?;
        make_folder(data_dir, 0o755)?;
        let asked = fs::canonicalize(data_dir).map_err(|e| EmbeddedError::file(data_dir, e))?;
        let parent = reachable_parent(&asked, owner)?;
        let folder = parent.join("postgres");
        make_private(&folder, owner)?;
        let sockets = socket_folder(&folder);
        make_private(&sockets, owner)?;
        Ok(Self {
            asked,
            folder,
            sockets,
            owner,
        })
    }

    /// Takes the folder for this process; the lock goes with the file.
    pub(super) fn lock(&self) -> Result<File, EmbeddedError> {
        let path = self.folder.join("lock");
        let failed = |e| EmbeddedError::file(&path, e);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(failed)?;
        let mut taken = file.try_lock();
        // A program that another thread is starting has a copy of the lock until it runs.
        for _ in 0..LOCK_TRIES {
            let is_ours = fs::read_to_string(&path)
                .is_ok_and(|holder| holder.trim() == std::process::id().to_string());
            if taken.is_ok() || !is_ours {
                break;
            }
            thread::sleep(LOCK_PAUSE);
            taken = file.try_lock();
        }
        match taken {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(failed)?;
                return Err(EmbeddedError::AlreadyRunning {
                    data_dir: self.asked.clone(),
                    holder,
                });
            }
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        write!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(file)
    }

    /// The data folder of the server.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The folder of the server's socket.
    pub(super) fn sockets(&self) -> &Path {
        &self.sockets
    }

    /// Removes the socket's folder where it is a stand-in elsewhere; the server has ended.
    pub(super) fn forget_sockets(&self) {
        if !self.sockets.starts_with(&self.folder) {
            fs::remove_dir(&self.sockets).unwrap_or_default();
        }
    }

    /// The file of the server's messages.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The data folder and the major version that wrote it, when there is data.
    pub(super) fn data_version(&self) -> Result<Option<(PathBuf, u32)>, EmbeddedError> {
        let file = self.data().join("PG_VERSION");
        match fs::read_to_string(&file) {
            Ok(text) => Ok(text.trim().parse().ok().map(|v| (self.data(), v))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(EmbeddedError::file(&file, e)),
        }
    }

    /// The address of the database.
    pub(super) fn url(&self) -> String {
        let host: String = self
            .sockets
            .as_os_str()
            .as_bytes()
            .iter()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(*byte).into(),
                other => format!("%{other:02X}"),
            })
            .collect();
        format!("postgres://{NAME}@{host}/{NAME}")
    }

    /// A command that runs as the server's user, in the server's folder, in plain English.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("LC_ALL", "C.UTF-8")
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        if let Some((user, group)) = self.owner {
            command.uid(user.as_raw()).gid(group.as_raw());
        }
        command
    }

    /// Makes the data folder. It gets its name only when it is whole, so that a start that was
    /// interrupted begins afresh.
    pub(super) fn create_data(
        &self,
        binaries: &Binaries,
        durable: bool,
    ) -> Result<(), EmbeddedError> {
        let partial = self.folder.join("data.partial");
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(|e| EmbeddedError::file(&partial, e))?;
        }
        let mut initdb = self.command(&binaries.program("initdb"));
        initdb.arg("--pgdata").arg(&partial).args([
            "--username=sluice",
            "--auth-local=trust",
            "--auth-host=reject",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--data-checksums",
        ]);
        if !durable {
            initdb.arg("--no-sync");
        }
        self.finish("make its data folder", initdb, "")?;
        let mut single = self.command(&binaries.program("postgres"));
        single
            .args(["--single", "-D"])
            .arg(&partial)
            .arg("postgres");
        self.finish("make the database", single, "CREATE DATABASE sluice\n")?;
        let data = self.data();
        fs::rename(&partial, &data).map_err(|e| EmbeddedError::file(&data, e))?;
        if durable {
            let folder = File::open(&self.folder);
            let synced = folder.and_then(|folder| folder.sync_all());
            synced.map_err(|e| EmbeddedError::file(&self.folder, e))?;
        }
        Ok(())
    }

    /// Runs a command to its end; one that fails becomes a sentence.
    fn finish(
        &self,
        what: &'static str,
        mut command: Command,
        input: &str,
    ) -> Result<(), EmbeddedError> {
        let program = PathBuf::from(command.get_program());
        let failed = |source| EmbeddedError::Program {
            program: program.clone(),
            source,
        };
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that ended early is judged by what it said, not by the broken pipe.
            stdin.write_all(input.as_bytes()).unwrap_or_default();
        }
        let output = child.wait_with_output().map_err(failed)?;
        let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.push_str(&String::from_utf8_lossy(&output.stderr));
        // The single-user server ends well even when a statement failed.
        if output.status.success() && !said.contains("ERROR:") {
            return Ok(());
        }
        fs::write(self.log(), &said).map_err(|e| EmbeddedError::file(&self.log(), e))?;
        Err(EmbeddedError::from_output(what, &said, self))
    }
}

/// The user to run the server as, when it may not be the one we are.
fn server_user() -> Result<Option<(Uid, Gid)>, EmbeddedError> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    match User::from_name("postgres") {
        Ok(Some(user)) => Ok(Some((user.uid, user.gid))),
        _ => Err(EmbeddedError::NoServerUser),
    }
}

/// The folder that was asked for, or one below /var/lib when the server's user can't enter it,
/// as in a clone below root's own 0700 home.
fn reachable_parent(asked: &Path, owner: Option<(Uid, Gid)>) -> Result<PathBuf, EmbeddedError> {
    let Some(owner) = owner else {
        return Ok(asked.to_owned());
    };
    if can_enter(asked, owner) {
        return Ok(asked.to_owned());
    }
    let elsewhere = Path::new("/var/lib/sluice").join(short_hash(asked));
    make_folder(&elsewhere, 0o755)?;
    if !can_enter(&elsewhere, owner) {
        return Err(EmbeddedError::Unreachable(asked.to_owned()));
    }
    tracing::info!(
        "the user `postgres` can't enter {}, so the database lies in {}",
        asked.display(),
        elsewhere.display()
    );
    Ok(elsewhere)
}

fn can_enter(folder: &Path, (user, group): (Uid, Gid)) -> bool {
    let mut test = Command::new("test");
    test.arg("-x").arg(folder).current_dir("/");
    test.uid(user.as_raw()).gid(group.as_raw());
    test.status().is_ok_and(|status| status.success())
}

/// The socket's folder: beside the data, or a short one when that path is too long for a socket.
fn socket_folder(folder: &Path) -> PathBuf {
    let beside = folder.join("socket");
    if beside.join(SOCKET).as_os_str().len() <= LONGEST_SOCKET {
        return beside;
    }
    Path::new("/tmp").join(format!("sluice-{}", short_hash(folder)))
}

fn short_hash(path: &Path) -> String {
    let digest = Sha256::digest(OsStr::as_bytes(path.as_os_str()));
    digest.iter().take(8).map(|b| format!("{b:02x}")).collect()
}

fn make_folder(path: &Path, mode: u32) -> Result<(), EmbeddedError> {
    let mut builder = DirBuilder::new();
    let made = builder.recursive(true).mode(mode).create(path);
    made.map_err(|e| EmbeddedError::file(path, e))
}

/// Makes a folder that only the server's user may enter. One that is there must be a real folder
/// and already belong to that user or to us: a link or a stranger's folder is not taken over.
fn make_private(path: &Path, owner: Option<(Uid, Gid)>) -> Result<(), EmbeddedError> {
    let failed = |e| EmbeddedError::file(path, e);
    match DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(e)),
        _ => {}
    }
    let found = fs::symlink_metadata(path).map_err(failed)?;
    let ours = Uid::effective().as_raw();
    let theirs = owner.map_or(ours, |(user, _)| user.as_raw());
    if !found.is_dir() || ![ours, theirs].contains(&found.uid()) {
        return Err(EmbeddedError::Permission(path.to_owned()));
    }
    if let Some((user, group)) = owner {
        let (user, group) = (Some(user.as_raw()), Some(group.as_raw()));
        std::os::unix::fs::lchown(path, user, group).map_err(failed)?;
    }
    if found.mode() & 0o777 != 0o700 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}
