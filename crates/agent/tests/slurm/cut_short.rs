//! The Slurm connector killed at any moment.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use sluice_agent::lease::HolderKey;
use sluice_agent::slurm::{Silent, Slurm};

use crate::machine::{CHILD, entries, holder, host, lease, let_in, now};
use crate::shared::{Machine, shared};

const GROUP: &str = "SLUICE_AGENT_SLURM_GROUP";
const NODE: &str = "SLUICE_AGENT_SLURM_NODE";

/// Not a test by itself: what the next one starts and kills.
#[test]
fn child_that_acts_until_it_is_killed() {
    let Some(act) = std::env::var_os(CHILD) else {
        return;
    };
    let text = |name| std::env::var(name).expect("the parent sets it");
    let mut host = host(29);
    host.group = text(GROUP);
    let slurm = Slurm {
        host,
        node: text(NODE),
        partition: "leases".to_owned(),
        cpus: 1,
        gres: None,
        conf: Some(PathBuf::from(text("SLURM_CONF"))),
        silent: Silent::default(),
    };
    if act == "prepare" {
        let line = fs::read_to_string("/var/lib/sluice-agent/holders/slurm-nine.pub");
        let key = HolderKey::try_from(line.expect("a key").trim().to_owned()).expect("a key");
        slurm
            .prepare(&lease(129, &[&key]), now())
            .expect("it is made");
    } else if act == "close" {
        slurm.close(129).expect("it is closed");
    } else {
        slurm.wipe(129, now).expect("it is wiped");
    }
}

/// Killed at any moment and done again it comes to the same end: one reservation and one job, then
/// neither.
#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_what_is_killed_at_any_moment_and_done_again_comes_to_the_same_end() {
    let cluster = shared();
    let machine = Machine::new(&cluster, "n1", 29);
    let slurm = &machine.slurm;
    let (key, public) = holder("slurm-nine");
    let start = |act: &str| -> Child {
        Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "cut_short::child_that_acts_until_it_is_killed"])
            .env(CHILD, act)
            .env(GROUP, &slurm.host.group)
            .env(NODE, &slurm.node)
            .env("SLURM_CONF", cluster.conf())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts")
    };
    let whole = |act: &str| {
        let began = Instant::now();
        assert!(start(act).wait().expect("it ended").success(), "{act}");
        began.elapsed()
    };
    let (prepares, closes, wipes) = (whole("prepare"), whole("close"), whole("wipe"));
    slurm.host.forget(129).expect("it is forgotten");
    let mut cut = 0;
    let mut cut_short = |act: &str, after: Duration| {
        let mut child = start(act);
        thread::sleep(after);
        child.kill().expect("it is killed");
        cut += usize::from(!child.wait().expect("it ended").success());
    };
    let name = format!("sluice-l129-{}", slurm.node);
    for moment in [0.1, 0.3, 0.7] {
        for part in [0.3, 1.0] {
            cut_short("prepare", prepares.mul_f64(moment * part));
        }
        slurm
            .prepare(&lease(129, &[&public]), now())
            .expect("it is made");
        // As if it had been killed after Slurm took it and before that was written down.
        let record = slurm.host.leases.join("l129/slurm.json");
        fs::remove_file(record).expect("it is there");
        let access = slurm
            .prepare(&lease(129, &[&public]), now())
            .expect("it is made");
        let live = cluster.jobs(129);
        let live = live
            .iter()
            .filter(|state| *state == "RUNNING" || *state == "PENDING");
        assert_eq!(live.count(), 1, "at {moment}");
        assert!(cluster.is_reserved(&name));
        let_in(
            &access,
            &key,
            "srun sh -c 'echo x > file'; (srun sleep 7261 >/dev/null 2>&1 &)",
        );
        for part in [0.3, 1.0] {
            cut_short("close", closes.mul_f64(moment * part));
        }
        let closed = slurm.close(129).expect("it is closed");
        assert!(
            !closed.jobs.is_empty(),
            "the job stands in the evidence: {closed:?}"
        );
        assert!(!cluster.is_reserved(&name));
        cut_short("wipe", wipes.mul_f64(moment));
        let wiped = slurm.wipe(129, now).expect("it is wiped");
        let wiped = wiped.expect("it was there");
        assert_eq!((wiped.entries, wiped.bytes), (3, 2), "at {moment}");
        assert!(!Path::new("/home/sluice-l129").exists());
        assert_eq!(entries("sluice-l129"), Vec::<String>::new());
        let left = cluster.jobs(129);
        assert!(left.iter().all(|state| state == "CANCELLED"), "{left:?}");
        slurm.host.forget(129).expect("it is forgotten");
    }
    assert!(cut > 6, "a good part was cut short: {cut} of 15");
}
