//! The sandbox of a machine: namespaces of its own, in which nothing of the system's can be written
//! (`sandbox.sh`), as long as this program lives.
//!
//! The machine listens to this program on a pipe. When the program ends, however it ends, the pipe
//! does, and the first process of the machine with it; the system then ends all the others.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

const MACHINE: &str = include_str!("sandbox.sh");
const TRIAL: &str = include_str!("trial.sh");

/// Where a machine finds its agent, and the agent its folder: places of `sandbox.sh`.
const AGENT: &str = "/srv/sluice-agent";
const STATE: &str = "/srv/machine/state";

/// Where programs are, whatever this one was started with.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where holders are let in: this computer alone, as the demonstration.
pub(super) const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The first port of the first machine, and how many each has.
const FIRST_PORT: u16 = 25_000;
const PORTS: u16 = 100;

/// How long a machine may take to show that it works, and to end.
const PATIENCE: Duration = Duration::from_secs(30);
const END: Duration = Duration::from_secs(2);

/// Why no machines are started.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// Only root has machines of its own.
    #[error("making accounts in a sandbox takes root")]
    NotRoot,
    /// It would let others in.
    #[error("the demonstration is open to the network, and whoever leases them signs in here")]
    Open,
    /// The program of the agent is not there.
    #[error("there is no {0}: build it with cargo build -p sluice-agent")]
    NoAgent(PathBuf),
    /// A machine was started and does not work.
    #[error("a sandbox does not work here: {0}")]
    Sandbox(String),
    /// The system said no.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// Where machines are kept, and what runs on them.
#[derive(Clone, Debug)]
pub struct Sandbox {
    folder: PathBuf,
    agent: PathBuf,
}

/// What a machine's agent is told at its start.
pub(super) struct Start<'a> {
    pub(super) exchange: &'a str,
    /// A one-time token, where it has to enrol.
    pub(super) token: Option<&'a str>,
}

impl Sandbox {
    /// Finds out whether machines can be started, by starting one.
    ///
    /// # Arguments
    /// `folder` is where they are kept; `agent` the program of the agent.
    ///
    /// # Errors
    /// Why they can't.
    pub async fn find(folder: &Path, agent: &Path) -> Result<Self, Unfit> {
        if !nix::unistd::geteuid().is_root() {
            return Err(Unfit::NotRoot);
        }
        let agent = fs::canonicalize(agent).map_err(|_| Unfit::NoAgent(agent.to_owned()))?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(folder)?;
        let folder = fs::canonicalize(folder)?;
        let sandbox = Self { folder, agent };
        let mut command = sandbox.command("trial")?;
        command.args(["bash", "-c", TRIAL, "trial", &sandbox.group("trial")]);
        let mut child = command.spawn()?;
        // It is not told anything, and ends by itself while somebody could.
        let _open = child.stdin.take();
        let ended = timeout(PATIENCE, child.wait()).await;
        let works = matches!(ended, Ok(Ok(status)) if status.success());
        sandbox.clear("trial").await;
        if works {
            return Ok(sandbox);
        }
        let said = fs::read_to_string(sandbox.log("trial")).unwrap_or_default();
        let last = said.trim().lines().last().unwrap_or("it does not answer");
        Err(Unfit::Sandbox(last.to_owned()))
    }

    /// What is kept of a machine.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What the agent of a machine keeps.
    pub(super) fn state(&self, name: &str) -> PathBuf {
        self.folder(name).join("state")
    }

    /// What a machine says.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.folder.join(name).with_extension("log")
    }

    /// Starts the machine of this name and place among the machines.
    pub(super) fn start(&self, name: &str, place: u16, start: &Start<'_>) -> io::Result<Running> {
        let first = FIRST_PORT + PORTS * place;
        let mut command = self.command(name)?;
        command
            .args([AGENT, "run"])
            .env("SLUICE_AGENT_STATE", STATE)
            .env("SLUICE_AGENT_HOMES", "/home")
            .env("SLUICE_AGENT_EXCHANGE", start.exchange)
            .env("SLUICE_AGENT_LISTEN", ADDRESS.to_string())
            .env("SLUICE_AGENT_GROUP", self.group(name))
            .env(
                "SLUICE_AGENT_PORTS",
                format!("{first}-{}", first + PORTS - 1),
            );
        if let Some(token) = start.token {
            command.env("SLUICE_AGENT_TOKEN", token);
        }
        let mut child = command.spawn()?;
        let told = child.stdin.take();
        Ok(Running { child, told })
    }

    fn command(&self, name: &str) -> io::Result<Command> {
        let folder = self.folder(name);
        DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(&folder)?;
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--pid", "--ipc", "--fork", "--kill-child"])
            .args(["--mount-proc", "bash", "-c", MACHINE, "machine"])
            .arg(&folder)
            .arg(&self.agent)
            .env_clear()
            .env("PATH", PATH)
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(self.log(name))?)
            // Ctrl-C is for us; the machine ends when our own work is done.
            .process_group(0)
            .kill_on_drop(true);
        Ok(command)
    }

    /// The group of processes in which a machine's leases run: no other demonstration's on this
    /// computer.
    fn group(&self, name: &str) -> String {
        let whose = Sha256::digest(self.folder.as_os_str().as_encoded_bytes());
        let whose = data_encoding::HEXLOWER.encode(&whose[..4]);
        format!("sluice-demo-{whose}-{name}")
    }

    /// Removes the groups of processes of a machine that has ended: they are not the namespaces'.
    pub(super) async fn clear(&self, name: &str) {
        let kept = ["freezer", "cpu", "memory", "pids", ""];
        for kind in kept {
            let group = Path::new("/sys/fs/cgroup")
                .join(kind)
                .join(self.group(name));
            // The last process of a machine ends a little after its first.
            for _ in 0..20 {
                if !group.exists() || remove(&group).is_ok() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Removes a group of processes and those below it, where nothing runs in them any more.
fn remove(group: &Path) -> io::Result<()> {
    for below in fs::read_dir(group)? {
        let below = below?.path();
        if below.is_dir() {
            remove(&below)?;
        }
    }
    fs::remove_dir(group)
}

/// A machine that runs. It ends with this value.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    told: Option<ChildStdin>,
}

impl Running {
    /// How it has ended, if it has.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Tells it what to do, in a word of `sandbox.sh`.
    pub(super) async fn tell(&mut self, order: &str) -> io::Result<()> {
        match &mut self.told {
            Some(told) => told.write_all(format!("{order}\n").as_bytes()).await,
            None => Ok(()),
        }
    }

    /// Ends it, as it would end if nobody were there.
    pub(super) async fn end(mut self) {
        drop(self.told.take());
        if timeout(END, self.child.wait()).await.is_err() {
            // What it could not be told it is told by the system.
            let _ = self.child.kill().await;
        }
    }
}
