//! Other programs: each has its time, and none is waited for beyond it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::memfd::{MFdFlags, memfd_create};

/// How long one that was killed is waited for. The system may hold it for ever: a driver that
/// hangs, a disk that is gone.
const LONGEST_DEATH: Duration = Duration::from_millis(500);
/// How many of one program may be held so before it is started no more.
const MOST_HELD: usize = 4;
/// The most bytes that are read of what a program says.
const LONGEST: u64 = 1 << 20;

/// Programs that were killed and are held by the system.
static HELD: Mutex<Vec<(OsString, Child)>> = Mutex::new(Vec::new());

/// What a program that ends in time came to; one that does not is killed, and it is `None`.
///
/// What it says goes into memory of its own, not through a pipe: were this program killed, the
/// other would be too when it next said something, half way through `/etc/passwd`; and whatever it
/// leaves running can't hold up who reads.
pub(crate) fn within(command: &mut Command, patience: Duration) -> io::Result<Option<Output>> {
    if is_held(command) {
        return Ok(None);
    }
    let memory = || memfd_create(c"said", MFdFlags::MFD_CLOEXEC).map(File::from);
    let (mut out, mut err) = (memory()?, memory()?);
    let child = command
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(err.try_clone()?)
        .spawn()?;
    let Some(status) = ended(child, command, patience)? else {
        return Ok(None);
    };
    Ok(Some(Output {
        status,
        stdout: read(&mut out)?,
        stderr: read(&mut err)?,
    }))
}

fn ended(
    mut child: Child,
    command: &Command,
    patience: Duration,
) -> io::Result<Option<ExitStatus>> {
    if let Some(status) = wait(&mut child, patience)? {
        return Ok(Some(status));
    }
    child.kill()?;
    if wait(&mut child, LONGEST_DEATH)?.is_none() {
        held().push((command.get_program().to_owned(), child));
    }
    Ok(None)
}

fn wait(child: &mut Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let began = Instant::now();
    loop {
        let status = child.try_wait()?;
        let waited = began.elapsed();
        if status.is_some() || waited > patience {
            return Ok(status);
        }
        let pause = (waited / 8).max(Duration::from_millis(1));
        thread::sleep(pause.min(Duration::from_millis(10)));
    }
}

/// Whether too many of a program are held by the system.
fn is_held(command: &Command) -> bool {
    let mut held = held();
    held.retain_mut(|(_, child)| matches!(child.try_wait(), Ok(None)));
    let same = held
        .iter()
        .filter(|(name, _)| name == command.get_program());
    same.count() >= MOST_HELD
}

fn held() -> std::sync::MutexGuard<'static, Vec<(OsString, Child)>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(said: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    said.rewind()?;
    said.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_its_time_and_what_it_leaves_running_holds_nobody_up() {
        let began = Instant::now();
        let patience = Duration::from_millis(50);
        let hangs = within(Command::new("sleep").arg("60"), patience).expect("it starts");
        assert!(hangs.is_none());
        let mut leaves = Command::new("sh");
        leaves.args(["-c", "sleep 3 & echo one; echo two >&2; exit 3"]);
        let patience = Duration::from_secs(10);
        let said = within(&mut leaves, patience).expect("it starts");
        let said = said.expect("it ended");
        assert!(began.elapsed() < Duration::from_secs(2));
        assert_eq!(said.status.code(), Some(3));
        assert_eq!(
            (&said.stdout[..], &said.stderr[..]),
            (&b"one\n"[..], &b"two\n"[..])
        );
    }
}
