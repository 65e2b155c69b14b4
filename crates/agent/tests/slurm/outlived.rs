//! Jobs that Slurm calls ended while something of them runs: what the agent is there to notice.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sluice_agent::slurm::{Silent, Slurm};

use crate::cluster::Cluster;
use crate::machine::{holder, lease, let_in, now, own_machine, run, running, soon, ssh};
use crate::shared::{Machine, shared};

/// With `proctrack/pgid` a step's child in a session of its own is forgotten: Slurm says that the
/// job is cancelled, and the child lives. The evidence says so, and it lives no longer.
#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_a_child_that_lives_when_its_job_is_called_cancelled_is_noticed() {
    own_machine();
    let prefix = format!("p{}", std::process::id());
    let cluster = Cluster::start(&prefix, "proctrack/pgid", &["n1"]).expect("it starts");
    let machine = Machine::new(&cluster, "n1", 27);
    let slurm = &machine.slurm;
    let (key, public) = holder("slurm-seven");
    // Where holders could start jobs past their reservations, nothing is handed out.
    let partition = |setting| cluster.ask("scontrol", &["update", "PartitionName=leases", setting]);
    partition("ReqResv=NO");
    let refused = slurm.prepare(&lease(127, &[&public]), now());
    let refused = refused.expect_err("it is open").to_string();
    assert!(refused.contains("ReqResv=YES"), "{refused}");
    partition("ReqResv=YES");
    let access = slurm
        .prepare(&lease(127, &[&public]), now())
        .expect("it is made");
    let_in(
        &access,
        &key,
        "srun sh -c '(setsid sleep 7241 >/dev/null 2>&1 &) ; (setsid sleep 7242 >/dev/null 2>&1 &) ; sleep 0.5'",
    );
    assert_eq!(running("^sleep 724[12]$"), 2);
    let closed = slurm.close(127).expect("it is closed");
    assert_eq!(cluster.jobs(127), ["CANCELLED"]);
    assert_eq!(closed.jobs.len(), 1);
    assert_eq!(closed.jobs[0].said, "CANCELLED");
    assert_eq!(closed.jobs[0].alive, ["sleep", "sleep"]);
    assert_eq!(closed.escaped, ["sleep", "sleep"]);
    assert_eq!(running("^sleep 724[12]$"), 0);
    assert_eq!(slurm.close(127).expect("again"), closed, "it stays said");
    slurm.wipe(127, now).expect("it is wiped");
    ends_without_a_controller(&cluster, &machine);
}

/// While no `slurmctld` answers, a lease ends at its end too; that Slurm knows of it is said once
/// it is back.
fn ends_without_a_controller(cluster: &Cluster, machine: &Machine) {
    let slurm = &machine.slurm;
    let (key, public) = holder("slurm-seven-again");
    let wanted = lease(130, &[&public]);
    let access = slurm.prepare(&wanted, now()).expect("it is made");
    let_in(&access, &key, "(srun sleep 7243 >/dev/null 2>&1 &)");
    soon("it runs", || running("^[^ ]*sleep 7243$") == 1);
    cluster.end_controller();
    // What was on its way to it when it ended fails at once and says little; the next one waits.
    for _ in 0..2 {
        assert_eq!(slurm.units(&wanted, now()), 0);
    }
    // It is not waited for again: other leases have their ends too.
    let began = Instant::now();
    let refused = slurm.close(130).expect_err("Slurm was not told");
    assert!(began.elapsed() < Duration::from_secs(3), "{refused}");
    assert!(refused.to_string().contains("does not answer"), "{refused}");
    assert_eq!(running("^[^ ]*sleep 7243$"), 0);
    assert_eq!(ssh(&access, &key, "true").status.code(), Some(255));
    cluster.start_controller();
    // As after a start of the agent.
    let silent = Silent::default();
    let slurm = Slurm {
        silent,
        ..slurm.clone()
    };
    let closed = slurm.close(130).expect("it is closed");
    assert_eq!(closed.jobs.len(), 1);
    assert!(
        closed.escaped.len() >= 2,
        "the step and the job: {closed:?}"
    );
    assert_eq!(closed.jobs[0].alive, closed.escaped);
    assert!(!cluster.is_reserved(&format!("sluice-l130-{}", slurm.node)));
    soon("it is wiped", || slurm.wipe(130, now).is_ok());
}

/// A node whose Slurm is stopped ends nothing. The lease ends at its end all the same.
#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_what_runs_while_slurm_is_stopped_is_ended_without_it() {
    let cluster = shared();
    let machine = Machine::new(&cluster, "n3", 28);
    let slurm = &machine.slurm;
    let (key, public) = holder("slurm-eight");
    let access = slurm
        .prepare(&lease(128, &[&public]), now())
        .expect("it is made");
    let_in(&access, &key, "(srun sleep 7251 >/dev/null 2>&1 &)");
    soon("it runs", || running("^[^ ]*sleep 7251$") == 1);
    // A program of the job that runs as somebody else, as one with users of its own does.
    let mut other = Command::new("sleep");
    other.arg("7252").uid(66_998).gid(66_998);
    let mut other = other.stdin(Stdio::null()).spawn().expect("it starts");
    let joined = join_job(&cluster, other.id());
    let mut stopped = steps_of(&jobs_of_third(&cluster));
    stopped.push(cluster.slurmd("n3"));
    let stopped: Vec<&str> = stopped.iter().map(String::as_str).collect();
    run("kill", &[&["-STOP"], &stopped[..]].concat());
    let closed = slurm.close(128);
    run("kill", &[&["-CONT"], &stopped[..]].concat());
    let closed = closed.expect("it is closed");
    if !joined {
        other.kill().expect("it is this test's");
    }
    other.wait().expect("it ended");
    assert_eq!(running("^[^ ]*sleep 725[12]$"), 0);
    assert_eq!(closed.jobs[0].said, "COMPLETING", "{closed:?}");
    // The step, what the job itself was, and the other's.
    let expected = vec!["sleep"; 2 + usize::from(joined)];
    assert_eq!(closed.jobs[0].alive, expected, "{closed:?}");
    assert_eq!(closed.escaped, expected);
    // It is gone only once Slurm is rid of it too.
    soon("it is wiped", || slurm.wipe(128, now).is_ok());
}

/// Puts a process into the group that Slurm keeps for the job's step, where it keeps one.
fn join_job(cluster: &Cluster, process: u32) -> bool {
    let step = run("pgrep", &["-f", "^[^ ]*sleep 7251$"]);
    let groups = format!("/proc/{}/cgroup", step.trim());
    let groups = fs::read_to_string(groups).expect("it runs");
    let folders = groups.lines().filter_map(|line| {
        let (kind, path) = line.split_once(':')?.1.split_once(':')?;
        let path = path
            .strip_prefix('/')
            .filter(|path| path.contains("/job_"))?;
        Some(Path::new("/sys/fs/cgroup").join(kind).join(path))
    });
    let mut joined = false;
    for folder in folders {
        let file = folder.join("cgroup.procs");
        fs::write(&file, process.to_string()).expect("root can");
        joined = true;
    }
    assert_eq!(joined, cluster.tracking == "proctrack/cgroup");
    joined
}

/// The numbers of the jobs of the node that is to be stopped.
fn jobs_of_third(cluster: &Cluster) -> Vec<String> {
    let node = format!("--nodelist={}", cluster.node("n3"));
    let said = cluster.ask("squeue", &["--noheader", "--format=%A", &node]);
    said.lines().map(|line| line.trim().to_owned()).collect()
}

/// The processes by which Slurm looks after the steps of these jobs.
fn steps_of(jobs: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("it is there").flatten() {
        let line = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        let of = |job: &String| line.starts_with(&format!("slurmstepd: [{job}."));
        if jobs.iter().any(of) {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    assert!(found.len() >= 2, "a step and the job itself: {found:?}");
    found
}
