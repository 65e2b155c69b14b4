//! A machine for tests: folders and account files of the namespace's own, real clients.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use sluice_agent::host::Host;
use sluice_agent::lease::{Access, HolderKey, Lease, Limits, Want};

use crate::namespace;

/// Says to a process that a test started again what it is to do.
pub(crate) const CHILD: &str = "SLUICE_AGENT_HOST_CHILD";

/// Folders of the namespace's own where the machine's are; once for all tests.
pub(crate) fn own_machine() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        namespace::require();
        let files = Path::new("/var/lib/sluice-agent");
        if std::env::var_os(CHILD).is_some() {
            // Its parent made them.
            return files.to_owned();
        }
        DirBuilder::new()
            .recursive(true)
            .create(files)
            .expect("a folder");
        namespace::mount(files, "size=500m,mode=711");
        let copy = files.join("etc");
        run("cp", &["-a", "/etc", copy.to_str().expect("text")]);
        run("mount", &["--bind", copy.to_str().expect("text"), "/etc"]);
        for folder in ["/home", "/var/tmp", "/dev/shm", "/run"] {
            namespace::mount(Path::new(folder), "size=500m,mode=1777");
        }
        run("chmod", &["755", "/home", "/run"]);
        // Where it is built leases' accounts may not come.
        run(
            "cp",
            &[
                env!("CARGO_BIN_EXE_sluice-agent"),
                "/var/lib/sluice-agent/sluice-agent",
            ],
        );
        fs::create_dir("/var/tmp/shared").expect("a folder");
        run("chmod", &["1777", "/var/tmp/shared"]);
        files.to_owned()
    })
}

pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let done = Command::new(program)
        .args(arguments)
        .output()
        .expect(program);
    let why = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{program} {arguments:?}: {why}");
    String::from_utf8(done.stdout).expect("text")
}

/// A machine of its own for each test: its leases, ports and group of processes.
pub(crate) fn host(number: u16) -> Host {
    let leases = own_machine().join(format!("leases-{number}"));
    Host {
        leases,
        homes: "/home".into(),
        shared: vec!["/var/tmp".into(), "/dev/shm".into()],
        ports: 22_000 + 20 * number..=22_019 + 20 * number,
        listen: None,
        group: format!("sluice-test-{}-{number}", std::process::id()),
        program: own_machine().join("sluice-agent"),
    }
}

/// Ends what a test left, also one that failed: groups of processes are the machine's own.
pub(crate) struct Cleared(pub(crate) Host);

impl Drop for Cleared {
    fn drop(&mut self) {
        for lease in self.0.known().unwrap_or_default() {
            let _ = self.0.wipe(lease, now);
        }
        for kind in ["freezer", "cpu", "memory", "pids", ""] {
            let _ = fs::remove_dir(Path::new("/sys/fs/cgroup").join(kind).join(&self.0.group));
        }
    }
}

pub(crate) fn now() -> Timestamp {
    "2026-11-26T14:00:00Z".parse().expect("an instant")
}

/// A pair of keys of a holder, by the name of its file.
pub(crate) fn holder(name: &str) -> (PathBuf, HolderKey) {
    let folder = own_machine().join("holders");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .expect("a folder");
    let file = folder.join(name);
    run(
        "ssh-keygen",
        &[
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-f",
            file.to_str().expect("text"),
        ],
    );
    let line = fs::read_to_string(file.with_extension("pub")).expect("it was made");
    (
        file,
        HolderKey::try_from(line.trim().to_owned()).expect("a key"),
    )
}

pub(crate) fn lease(number: u64, keys: &[&HolderKey]) -> Lease {
    Lease {
        lease: number,
        want: Want::There,
        units: 8,
        start: now(),
        end: now() + SignedDuration::from_hours(1),
        wipe: now() + SignedDuration::from_hours(2),
        keys: keys.iter().map(|key| (*key).clone()).collect(),
        probes: Vec::new(),
        limits: Limits {
            cpu_millis: 1_000,
            memory_mib: 256,
            processes: 60,
        },
    }
}

/// Signs in by a real client, knowing the machine by the key that it was said to have.
pub(crate) fn ssh(access: &Access, key: &Path, command: &str) -> Output {
    ssh_with(access, key, &[], command)
}

/// The same with options of its own.
pub(crate) fn ssh_with(access: &Access, key: &Path, options: &[&str], command: &str) -> Output {
    let known = key.with_extension(format!("known-{}", access.port));
    let line = format!("[127.0.0.1]:{} {}\n", access.port, access.host_key);
    fs::write(&known, line).expect("it is written");
    Command::new("ssh")
        .args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
        ])
        .args(["-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=5"])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", known.display()))
        .arg("-i")
        .arg(key)
        .args(["-p", &access.port.to_string()])
        .args(options)
        .arg(format!("{}@127.0.0.1", access.user))
        .args(Some(command).filter(|command| !command.is_empty()))
        .stdin(Stdio::null())
        .output()
        .expect("ssh runs")
}

pub(crate) fn let_in(access: &Access, key: &Path, command: &str) -> String {
    let done = ssh(access, key, command);
    let why = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{command}: {why}");
    String::from_utf8(done.stdout).expect("text")
}

pub(crate) fn refused(access: &Access, key: &Path) {
    let done = ssh(access, key, "true");
    assert_eq!(done.status.code(), Some(255), "ssh itself failed");
    let why = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(why.contains("Permission denied (publickey)"), "{why}");
}

/// Waits until something holds.
pub(crate) fn soon(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "not within 10 s: {what}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

/// Ends the way in, as a restart of the machine does.
pub(crate) fn shut(host: &Host, lease: u64) {
    let pid = host.leases.join(format!("l{lease}/sshd.pid"));
    run(
        "kill",
        &["-9", fs::read_to_string(pid).expect("it runs").trim()],
    );
}

/// The lines of the system's files that name an account.
pub(crate) fn entries(account: &str) -> Vec<String> {
    let files = ["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"];
    let text: String = files
        .map(|file| fs::read_to_string(file).expect(file))
        .concat();
    let named = text
        .lines()
        .filter(|line| line.split([':', ',']).any(|word| word == account));
    named.map(str::to_owned).collect()
}

/// How many processes run this command line.
pub(crate) fn running(words: &str) -> usize {
    let done = Command::new("pgrep")
        .args(["-f", "-c", words])
        .output()
        .expect("pgrep runs");
    String::from_utf8_lossy(&done.stdout)
        .trim()
        .parse()
        .expect("a number")
}
