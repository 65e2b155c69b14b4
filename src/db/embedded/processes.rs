//! What an earlier run left behind: servers and their children on the same data folder.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::error::EmbeddedError;

/// After this long of fast shutdown the leftovers are told to end at once; the log replays.
const ASK_FOR: Duration = Duration::from_secs(20);
/// After this long the start is given up.
const WAIT_FOR: Duration = Duration::from_secs(30);

/// Ends every PostgreSQL process on the data folder and removes a stale process file.
///
/// The caller holds the folder's lock, so what still runs there has lost the process it belonged
/// to. A process file whose number lives again as something else would make PostgreSQL refuse.
pub(super) fn end_leftovers(data: &Path) -> Result<(), EmbeddedError> {
    let begun = Instant::now();
    let mut last_signal = None;
    loop {
        let left = on_folder(data);
        if left.is_empty() {
            break;
        }
        let waited = begun.elapsed();
        if waited > WAIT_FOR {
            return Err(EmbeddedError::Leftovers(data.to_owned()));
        }
        let signal = if waited > ASK_FOR {
            Signal::SIGQUIT
        } else {
            Signal::SIGINT
        };
        // Told once each: only the postmaster is asked, its children follow or notice its death.
        if last_signal != Some(signal) {
            last_signal = Some(signal);
            if let Some(postmaster) = postmaster_of(data).filter(|p| left.contains(p)) {
                kill(postmaster, signal).unwrap_or_default();
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let file = data.join("postmaster.pid");
    match fs::remove_file(&file) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(EmbeddedError::file(&file, e)),
        _ => Ok(()),
    }
}

/// The number in the first line of the process file.
fn postmaster_of(data: &Path) -> Option<Pid> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let number = text.lines().next()?.trim().parse().ok()?;
    Some(Pid::from_raw(number)).filter(|pid| pid.as_raw() > 1)
}

/// The PostgreSQL processes whose working folder is this one; each of them works there.
fn on_folder(data: &Path) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let numbers = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let works_here = |number: &i32| {
        let process = Path::new("/proc").join(number.to_string());
        let is_postgres =
            fs::read_to_string(process.join("comm")).is_ok_and(|name| name.trim() == "postgres");
        is_postgres && fs::read_link(process.join("cwd")).is_ok_and(|folder| folder == data)
    };
    numbers.filter(works_here).map(Pid::from_raw).collect()
}
