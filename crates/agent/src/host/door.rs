//! A lease's own `sshd`: a port, a key of its own, the holder's keys, and those of probes, which
//! start one program and nothing else.
//!
//! It runs inside the lease's group, and so does whatever is started through it. It asks no PAM:
//! that would move sessions to groups of their own. Its keys lie outside the home, so the holder
//! can't add to them.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::account::Account;
use super::cgroups::Cgroups;
use super::{HostError, LONGEST_PROGRAM, Variable, at, ports, read_if_there, run};
use crate::folder::write_whole;
use crate::lease::{Access, Lease};
use crate::program::within;

pub(super) struct Door {
    pub(super) folder: PathBuf,
    pub(super) port: u16,
    /// The one address that is listened at, or none for all.
    pub(super) listen: Option<IpAddr>,
}

const SSHD: [&str; 3] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];

/// Whoever connects and says nothing shuts out their own address, and of IP's sixth version their
/// own network. OpenSSH knows these since 8.5.
const BY_SOURCE: [&str; 2] = ["PerSourceMaxStartups 3", "PerSourceNetBlockSize 32:64"];

impl Door {
    /// Writes what `sshd` reads. Keys hold from the next sign-in on; sessions that are open stay.
    /// So does what is to stand in their environment, which stands with each key: `sshd` reads
    /// nothing else anew.
    pub(super) fn make(
        &self,
        account: &Account,
        lease: &Lease,
        program: &Path,
        environment: &[Variable],
    ) -> Result<(), HostError> {
        let host_key = self.file("host_key");
        if !self.file("host_key.pub").exists() || !host_key.exists() {
            let _ = fs::remove_file(&host_key);
            let path = host_key.display().to_string();
            let comment = account.name.as_str();
            run(
                "ssh-keygen",
                &["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", &path],
            )?;
        }
        let look = look_only(program);
        if look.is_none() && !lease.probes.is_empty() {
            let why = format!("{} has a name that it can't be told", program.display());
            return Err(self.said(&why));
        }
        let look = look.unwrap_or_default();
        let probes = lease.probes.iter().map(|key| format!("{look} {key}\n"));
        let options: Vec<String> = environment.iter().map(option).collect();
        let blank = if options.is_empty() { "" } else { " " };
        let options = options.join(",") + blank;
        let holders = lease.keys.iter().map(|key| format!("{options}{key}\n"));
        // The first line of a key counts: one that is named as both only looks.
        let lines: String = probes.chain(holders).collect();
        self.write("authorized_keys", 0o640, &lines)?;
        let keys = self.file("authorized_keys");
        chown(&keys, Some(0), Some(account.uid)).map_err(at(keys.display()))?;
        let known = self.known()?;
        let config = self.config(account, environment) + &known.join("\n") + "\n";
        self.write("sshd_config", 0o600, &config)
    }

    /// Those of [`BY_SOURCE`] that this machine's `sshd` knows.
    fn known(&self) -> Result<&'static [&'static str], HostError> {
        static KNOWN: OnceLock<Vec<&'static str>> = OnceLock::new();
        if let Some(known) = KNOWN.get() {
            return Ok(known);
        }
        make_apart()?;
        let key = self.file("host_key").display().to_string();
        let fixed = ["-t", "-f", "/dev/null", "-h", &key];
        // Whatever else is wrong is no reason to leave them out.
        run(self.sshd()?, &fixed)?;
        let mut known = Vec::new();
        for option in BY_SOURCE {
            if run(self.sshd()?, &[&fixed[..], &["-o", option]].concat()).is_ok() {
                known.push(option);
            }
        }
        Ok(KNOWN.get_or_init(|| known))
    }

    fn sshd(&self) -> Result<&'static str, HostError> {
        let sshd = SSHD.into_iter().find(|path| Path::new(path).exists());
        sshd.ok_or_else(|| self.said("it is not installed (openssh-server)"))
    }

    fn config(&self, account: &Account, environment: &[Variable]) -> String {
        let own = environment.iter().map(|(name, _)| *name);
        let names: Vec<&str> = std::iter::once(OF_PROBES).chain(own).collect();
        let names = names.join(",");
        let file = |name| self.file(name).display().to_string();
        let lines = [
            format!("Port {}", self.port),
            format!("HostKey {}", file("host_key")),
            format!("PidFile {}", file("sshd.pid")),
            format!("AuthorizedKeysFile {}", file("authorized_keys")),
            format!("AllowUsers {}", account.name),
            "AuthenticationMethods publickey".to_owned(),
            "PubkeyAuthentication yes".to_owned(),
            "PasswordAuthentication no".to_owned(),
            "KbdInteractiveAuthentication no".to_owned(),
            "PermitRootLogin no".to_owned(),
            "UsePAM no".to_owned(),
            "StrictModes yes".to_owned(),
            // Set by the lines of the keys alone; the holder has no file to set any.
            format!("PermitUserEnvironment {names}"),
            "PermitUserRC no".to_owned(),
            "PrintLastLog no".to_owned(),
            "X11Forwarding no".to_owned(),
            "AllowAgentForwarding no".to_owned(),
            "GatewayPorts no".to_owned(),
            "LoginGraceTime 10".to_owned(),
            "MaxStartups 200:30:1000".to_owned(),
            "MaxAuthTries 6".to_owned(),
            "MaxSessions 20".to_owned(),
            "Subsystem sftp internal-sftp".to_owned(),
        ];
        let listen = self
            .listen
            .map(|address| format!("ListenAddress {address}"));
        let lines: Vec<String> = lines.into_iter().chain(listen).collect();
        lines.join("\n") + "\n"
    }

    /// Whether `sshd` runs in its group and takes connections.
    pub(super) fn is_open(&self, cgroups: &Cgroups, group: &str) -> bool {
        self.listener(cgroups, group).is_some() && ports::is_open(self.port, self.listen)
    }

    fn listener(&self, cgroups: &Cgroups, group: &str) -> Option<Pid> {
        let pid = read_if_there(&self.file("sshd.pid")).ok()?;
        let pid = Pid::from_raw(pid.trim().parse().ok()?);
        let inside = cgroups.processes(group).ok()?;
        inside.contains(&pid).then_some(pid)
    }

    /// Ends an `sshd` that is not all that it is to be: it found its port held by another, for one
    /// version of IP. Sessions go on.
    pub(super) fn shut(&self, cgroups: &Cgroups, group: &str) {
        for _ in 0..50 {
            let Some(pid) = self.listener(cgroups, group) else {
                return;
            };
            // One that ended by itself meanwhile is as well.
            let _ = kill(pid, Signal::SIGKILL);
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts `sshd` in these groups and waits until it takes connections.
    pub(super) fn open(
        &self,
        program: &Path,
        groups: &[PathBuf],
        is_open: impl Fn() -> bool,
    ) -> Result<(), HostError> {
        make_apart()?;
        let sshd = self.sshd()?;
        let log = self.file("sshd.log");
        let mut command = Command::new(program);
        command.arg("enter");
        for group in groups {
            command.arg("--group").arg(group);
        }
        command
            .args(["--", sshd, "-f"])
            .arg(self.file("sshd_config"))
            .arg("-E")
            .arg(&log);
        let done = within(&mut command, LONGEST_PROGRAM).map_err(at(program.display()))?;
        let done = done.ok_or_else(|| self.said("it does not start"))?;
        if !done.status.success() {
            return Err(self.said(&String::from_utf8_lossy(&done.stderr)));
        }
        for _ in 0..100 {
            if is_open() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        let log = read_if_there(&log).map_err(at(log.display()))?;
        Err(self.said(log.lines().last().unwrap_or("it did not open its port")))
    }

    fn said(&self, said: &str) -> HostError {
        HostError::Program {
            program: "sshd".to_owned(),
            said: said.trim().to_owned(),
        }
    }

    /// The way in.
    pub(super) fn access(&self, account: &Account) -> Result<Access, HostError> {
        let path = self.file("host_key.pub");
        let host_key = fs::read_to_string(&path).map_err(at(path.display()))?;
        Ok(Access {
            user: account.name.clone(),
            port: self.port,
            host_key: host_key.trim().to_owned(),
        })
    }

    /// Removes its files: keys, settings, log.
    pub(super) fn remove(&self) -> Result<(), HostError> {
        let names = [
            "authorized_keys",
            "sshd_config",
            "sshd.pid",
            "sshd.log",
            "host_key",
            "host_key.pub",
        ];
        for name in names {
            let path = self.file(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                other => other.map_err(at(path.display()))?,
            }
        }
        Ok(())
    }

    fn write(&self, name: &str, mode: u32, text: &str) -> Result<(), HostError> {
        let path = self.file(name);
        // One without a line is not one that is missing.
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            return Ok(());
        }
        write_whole(&path, mode, text.as_bytes()).map_err(at(path.display()))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Makes the folder where `sshd` goes while it does not trust its other end yet.
fn make_apart() -> Result<(), HostError> {
    let apart = Path::new("/run/sshd");
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o755).create(apart);
    made.map_err(at(apart.display()))
}

/// A variable as an option of a key.
fn option((name, value): &Variable) -> String {
    let value = value.replace('"', "\\\"");
    format!("environment=\"{name}={value}\"")
}

/// The variable that stands with probes' keys.
const OF_PROBES: &str = "SHLVL";

/// The options of a probe's key: whoever signs in by it gets what `look` prints. `None` where the
/// program's path has what a shell or `sshd` would read as something else.
///
/// The command is run by the account's shell. `bash` reads the holder's `.bashrc` when it is
/// started by `sshd`, unless it is told that another shell started it: hence `SHLVL`.
fn look_only(program: &Path) -> Option<String> {
    let path = program.to_str().filter(|path| path.starts_with('/'))?;
    let plain = |one: char| one.is_ascii_alphanumeric() || "/._-+@".contains(one);
    path.chars()
        .all(plain)
        .then(|| format!("restrict,environment=\"SHLVL=1\",command=\"{path} look\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_would_be_read_as_something_else_is_not_written() {
        let options = |path: &str| look_only(Path::new(path));
        assert_eq!(
            options("/usr/local/bin/sluice-agent").as_deref(),
            Some(r#"restrict,environment="SHLVL=1",command="/usr/local/bin/sluice-agent look""#)
        );
        for wrong in [
            "sluice-agent",
            "/opt/my agent",
            "/opt/a\"b",
            "/opt/a'b",
            "/opt/$HOME",
            "/opt/a;b",
            "/opt/a\nb",
            "/opt/a\\b",
        ] {
            assert_eq!(options(wrong), None, "{wrong}");
        }
    }
}
