//! The processes of an account, wherever they are.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid, getppid, setgid, setgroups, setuid};

use super::{HostError, run};

pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) name: String,
}

/// The processes of which this account is the real, effective, saved or file system's user.
pub(crate) fn of(uid: u32) -> io::Result<Vec<Process>> {
    find(|_, uids| uids.contains(&uid))
}

/// The processes that are asked for by their folder in `/proc` and their four users. Those that
/// have ended and wait to be noticed are none.
pub(crate) fn find(wanted: impl Fn(&Path, &[u32]) -> bool) -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // Gone meanwhile.
        let Ok(status) = fs::read_to_string(entry.path().join("status")) else {
            continue;
        };
        let field = |name: &str| {
            let mut lines = status.lines();
            lines
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or_default()
                .trim()
        };
        let dead = field("State:").starts_with(['Z', 'X']);
        let uids: Vec<u32> = field("Uid:")
            .split_whitespace()
            .filter_map(|one| one.parse().ok())
            .collect();
        if !dead && wanted(&entry.path(), &uids) {
            found.push(Process {
                pid: Pid::from_raw(pid),
                name: field("Name:").to_owned(),
            });
        }
    }
    Ok(found)
}

/// Ends every process of the account at once: by the kernel's own list, so that one that starts
/// others faster than they can be listed is ended too.
pub(super) fn end(program: &Path, uid: u32) -> Result<(), HostError> {
    let program = program.display().to_string();
    let own = std::process::id().to_string();
    run(&program, &["strike", &uid.to_string(), &own])
}

/// What this program does when it is started for [`end`]: becomes the account, and sends all of
/// its processes the signal that none can refuse.
///
/// It does nothing once `asker`, the process that started it, is gone: the account may be another
/// lease's by then, or the same one's anew.
///
/// # Errors
/// The system lets it not become the account.
pub fn strike(uid: u32, asker: i32) -> Result<(), Errno> {
    setgroups(&[])?;
    setgid(Gid::from_raw(uid))?;
    setuid(Uid::from_raw(uid))?;
    set_pdeathsig(Signal::SIGKILL)?;
    if getppid() != Pid::from_raw(asker) {
        return Ok(());
    }
    match kill(Pid::from_raw(-1), Signal::SIGKILL) {
        // There was none but this one.
        Err(Errno::ESRCH) => Ok(()),
        other => other,
    }
}

/// What this program does when it is started as a lease's first process: joins the group, then
/// becomes the program. It only comes back where that failed.
///
/// # Errors
/// A group can't be joined, or the program can't be started.
pub fn enter(
    groups: &[std::path::PathBuf],
    program: &[std::ffi::OsString],
) -> Result<Infallible, io::Error> {
    use std::os::unix::process::CommandExt;

    for group in groups {
        fs::write(group.join("cgroup.procs"), "0")?;
    }
    let (program, arguments) = program.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    Err(std::process::Command::new(program).args(arguments).exec())
}
