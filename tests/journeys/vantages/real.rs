//! A probe of a real `sshd`, as the agent's host connector opens it for a lease. As root, on account
//! files and folders of a namespace's own.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};
use reading::AgentKey;
use sluice::delivery::probes::{Outcome, Reason, Target};
use sluice::vantage::Reach;
use sluice::vantage::probe::{Patience, Prober};
use sluice_agent::host::Host;
use sluice_agent::inventory::Needs;
use sluice_agent::lease::{Access, HolderKey, Lease, Limits, Want};

use super::ssh::line;

pub(crate) fn run(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).status();
    assert!(done.expect(program).success(), "{program} {arguments:?}");
}

/// Folders and account files of the namespace's own, the same for all tests; gives the folder for
/// all that leases need.
pub(crate) fn own_machine() -> PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(make_machine).clone()
}

fn make_machine() -> PathBuf {
    let own = std::env::var_os("SLUICE_OWN_NAMESPACE").is_some();
    assert!(own, "only ./test runs this, in a namespace of its own");
    let files = Path::new("/srv/sluice-agent");
    let mut folder = DirBuilder::new();
    folder.recursive(true).create(files).expect("a folder");
    let mount = |folder: &str, mode: &str| {
        let options = format!("size=500m,mode={mode}");
        run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs", folder]);
    };
    mount("/srv/sluice-agent", "711");
    run("cp", &["-a", "/etc", "/srv/sluice-agent/etc"]);
    run("mount", &["--bind", "/srv/sluice-agent/etc", "/etc"]);
    mount("/home", "755");
    mount("/run", "755");
    folder
        .mode(0o711)
        .create(files.join("leases"))
        .expect("a folder");
    fs::copy(built_agent(), files.join("sluice-agent")).expect("it is copied");
    files.to_owned()
}

/// The agent's program, built like this test.
pub(crate) fn built_agent() -> PathBuf {
    let mut build = Command::new(env!("CARGO"));
    build.args([
        "build",
        "--quiet",
        "--locked",
        "--workspace",
        "--bin",
        "sluice-agent",
    ]);
    let built = build.current_dir(env!("CARGO_MANIFEST_DIR")).status();
    assert!(built.expect("cargo runs").success(), "the agent is built");
    let own = std::env::current_exe().expect("this test has a file");
    let folder = own.parent().and_then(Path::parent).expect("a folder");
    folder.join("sluice-agent")
}

/// What a test left, also one that failed: groups of processes are the machine's own.
struct Cleared(Host);

impl Drop for Cleared {
    fn drop(&mut self) {
        let _ = self.0.wipe(LEASE, now);
        for kind in ["freezer", "cpu", "memory", "pids", ""] {
            let _ = fs::remove_dir(Path::new("/sys/fs/cgroup").join(kind).join(&self.0.group));
        }
    }
}

const LEASE: u64 = 12;

fn now() -> Timestamp {
    "2026-11-26T14:00:00Z".parse().expect("an instant")
}

/// As the agent is told of it in an answer to its heartbeat.
fn lease(probes: &[&AgentKey]) -> Lease {
    let keys = probes.iter().map(|key| HolderKey::try_from(line(key)));
    Lease {
        lease: LEASE,
        want: Want::There,
        units: 1,
        start: now(),
        end: now() + SignedDuration::from_hours(1),
        wipe: now() + SignedDuration::from_hours(2),
        keys: Vec::new(),
        probes: keys.collect::<Result<_, _>>().expect("keys"),
        limits: Limits {
            cpu_millis: 1_000,
            memory_mib: 256,
            processes: 60,
        },
    }
}

fn target(access: &Access, memory_mib: u64) -> Target {
    Target {
        stay: 12,
        host: 3,
        address: "127.0.0.1".to_owned(),
        port: access.port,
        login: access.user.clone(),
        host_key: access.host_key.clone(),
        needs: Needs {
            units: 1,
            cpus: 1,
            memory_mib,
            ..Needs::default()
        },
    }
}

#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_a_probe_passes_at_a_real_door_and_fails_with_it() {
    let files = own_machine();
    let machine = Cleared(Host {
        leases: files.join("leases"),
        homes: "/home".into(),
        shared: Vec::new(),
        ports: 22_900..=22_919,
        listen: None,
        group: format!("sluice-vantage-{}", std::process::id()),
        program: files.join("sluice-agent"),
    });
    let (here, elsewhere) = (
        AgentKey::from_secret(&[1; 32]),
        AgentKey::from_secret(&[2; 32]),
    );
    let access = machine.0.prepare(&lease(&[&here])).expect("it is made");
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let probe = |key: &AgentKey, target: &Target| -> Outcome {
        let prober = Prober::new(key, Patience::default(), Reach::Any);
        runtime.block_on(prober.probe(target))
    };
    let fits = target(&access, 256);
    let passed = probe(&here, &fits);
    assert_eq!(passed.reason, Reason::Passed, "{passed:?}");
    assert_eq!(passed.evidence["saw"]["account"], "sluice-l12");
    assert_eq!(passed.evidence["saw"]["memory_mib"], 256);
    assert_eq!(probe(&here, &fits), passed, "the same again");

    let more = probe(&here, &target(&access, 512));
    assert_eq!(more.reason, Reason::NotTheGrade);
    assert_eq!(probe(&elsewhere, &fits).reason, Reason::Refused);
    let mut other = fits.clone();
    other.host_key = line(&elsewhere);
    assert_eq!(probe(&here, &other).reason, Reason::HostKey);
    let both = machine.0.prepare(&lease(&[&here, &elsewhere]));
    assert_eq!(both.expect("it is changed"), access);
    assert_eq!(probe(&elsewhere, &fits), passed, "two places find the same");

    machine.0.close(LEASE).expect("it is closed");
    assert_eq!(probe(&here, &fits).reason, Reason::Unreachable);
}
