//! The chromedriver process of one test.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// A chromedriver on a port of its own. Dropping it ends the driver and its browsers; they also
/// end when the test's process is killed.
pub(crate) struct Driver {
    process: Child,
    /// Where it takes commands.
    pub(crate) url: String,
}

impl Driver {
    /// Starts the driver and waits until it says where it listens.
    pub(crate) fn start() -> Self {
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "TERM", "--", "chromedriver", "--port=0"])
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let started = command.spawn();
        let mut process = started.expect("setpriv and chromedriver are installed; see ./test");
        let mut lines = BufReader::new(process.stdout.take().expect("it has a pipe")).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        // Read on, so that the driver never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let mut driver = Self {
            process,
            url: String::new(),
        };
        let Some(port) = port else {
            let ended = driver
                .process
                .wait()
                .expect("it closed its output, so it ends");
            panic!("chromedriver did not start: {ended}");
        };
        driver.url = format!("http://127.0.0.1:{port}");
        driver
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).expect("it is small"));
        // Asked to end, it ends its browsers first.
        kill(pid, Signal::SIGTERM).unwrap_or_default();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) {
            if !matches!(self.process.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        killpg(pid, Signal::SIGKILL).unwrap_or_default();
        self.process.wait().ok();
    }
}
