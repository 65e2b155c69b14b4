//! The processes of an account, wherever they are.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid, User, getppid, setgroups, setresgid, setresuid};

use super::{HostError, run_within};

/// How long [`end`] may take: it is one call of the system.
const LONGEST_STRIKE: Duration = Duration::from_secs(5);
/// Of these numbers the highest that no account has is what strikes; leases' are above them.
const STRIKERS: Range<u32> = 65_900..66_000;

pub(crate) struct Process {
    pub(crate) pid: Pid,
    /// Its real user.
    pub(crate) uid: u32,
    /// As it named itself: any bytes at all.
    pub(crate) name: String,
}

/// The processes of which this account is the real, effective, saved or file system's user.
pub(crate) fn of(uid: u32) -> io::Result<Vec<Process>> {
    find(|_, uids| uids.contains(&uid))
}

/// The processes that are asked for by their folder in `/proc` and their four users. Those that
/// have ended and wait to be noticed are none; one whose first thread alone has ended is.
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
        let status = match fs::read(entry.path().join("status")) {
            Err(error) if is_gone(&error) => continue,
            other => other?,
        };
        let status = String::from_utf8_lossy(&status);
        let field = |name: &str| {
            let mut lines = status.lines();
            lines
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or_default()
                .trim()
        };
        let threads: u64 = field("Threads:").parse().unwrap_or(0);
        let dead = field("State:").starts_with(['Z', 'X']) && threads < 2;
        let uids: Vec<u32> = field("Uid:")
            .split_whitespace()
            .filter_map(|one| one.parse().ok())
            .collect();
        if !dead && wanted(&entry.path(), &uids) {
            found.push(Process {
                pid: Pid::from_raw(pid),
                uid: uids.first().copied().unwrap_or(0),
                name: field("Name:").to_owned(),
            });
        }
    }
    Ok(found)
}

/// The real user of a process; `None` when it is gone.
pub(super) fn real_uid(pid: Pid) -> Option<u32> {
    let status = fs::read(format!("/proc/{pid}/status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Whether a process ended while it was looked at.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::ESRCH as i32)
}

/// Ends every process of the account at once: by the kernel's own list, so that one that starts
/// others faster than they can be listed is ended too.
pub(super) fn end(program: &Path, uid: u32) -> Result<(), HostError> {
    let nobodys = |uid: &u32| matches!(User::from_uid(Uid::from_raw(*uid)), Ok(None));
    let striker = STRIKERS.rev().find(nobodys);
    let striker = striker.ok_or_else(|| HostError::Account("of what ends processes".to_owned()))?;
    let program = program.display().to_string();
    let numbers = [uid, striker, std::process::id()].map(|one| one.to_string());
    let [uid, striker, own] = numbers.each_ref().map(String::as_str);
    run_within(LONGEST_STRIKE, &program, &["strike", uid, striker, own])
}

/// What this program does when it is started for [`end`]: sends all processes of the account the
/// signal that none can refuse.
///
/// The system counts it as the account's when it signals, and as the striker's, whose number
/// nobody else has, when it is signalled: what it is to end can't end or stop it.
///
/// It does nothing once `asker`, the process that started it, is gone: the account may be another
/// lease's by then, or the same one's anew.
///
/// # Errors
/// The system lets it not become the account.
pub fn strike(uid: u32, striker: u32, asker: i32) -> Result<(), Errno> {
    let (account, striker) = (Uid::from_raw(uid), Uid::from_raw(striker));
    let group = Gid::from_raw(striker.as_raw());
    setgroups(&[])?;
    setresgid(group, group, group)?;
    setresuid(striker, account, striker)?;
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

/// What this program does when it is started as a lease's first process: joins the group, gives up
/// what keeps the agent from being ended when memory is short, then becomes the program. It only comes back where that failed.
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
    let score = Path::new("/proc/self/oom_score_adj");
    if fs::read_to_string(score)?.starts_with('-') {
        fs::write(score, "0")?;
    }
    let (program, arguments) = program.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    Err(std::process::Command::new(program).args(arguments).exec())
}
