//! Leases in Slurm, from the first sign-in to the wipe record.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use jiff::SignedDuration;
use sluice_agent::connector::Connector;

use crate::machine::{entries, holder, lease, let_in, now, refused, run, running, shut, soon, ssh};
use crate::shared::{Machine, shared};

#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_a_holder_signs_in_runs_steps_and_is_out_at_the_end_with_all_that_was_theirs() {
    let cluster = shared();
    let machine = Machine::new(&cluster, "n1", 21);
    let slurm = Connector::Slurm(machine.slurm.clone());
    let (key, public) = holder("slurm-one");
    let (other_key, _) = holder("slurm-one-other");
    let lease = lease(121, &[&public]);
    assert_eq!(slurm.units(&lease, now()), 0, "nothing is there yet");
    let access = machine.prepare(&lease);
    assert_eq!(slurm.units(&lease, now()), 8);
    refused(&access, &other_key);
    let node = &machine.slurm.node;
    let said = let_in(&access, &key, "srun sh -c 'id -un; echo $SLURMD_NODENAME'");
    assert_eq!(said, format!("sluice-l121\n{node}\n"));
    // All units of it, each a task of its own.
    let said = let_in(
        &access,
        &key,
        "srun --ntasks=8 sh -c 'echo $SLURM_PROCID' | sort",
    );
    assert_eq!(said, "0\n1\n2\n3\n4\n5\n6\n7\n");
    if cluster.tracking == "proctrack/cgroup" {
        let said = let_in(&access, &key, "srun cat /proc/self/cgroup");
        assert!(said.contains("/job_"), "Slurm tracks it: {said}");
    }
    // More than the lease can't be had: neither inside it nor beside it.
    let more = ssh(&access, &key, "srun --ntasks=9 true");
    assert!(!more.status.success());
    let beside = "env -u SLURM_JOB_ID srun --immediate=5 --partition=leases true";
    let beside = ssh(&access, &key, beside);
    let why = String::from_utf8_lossy(&beside.stderr).into_owned();
    assert!(why.contains("Access/permission denied"), "{why}");
    assert_eq!(
        slurm.prepare(&lease, now()).expect("again"),
        access,
        "nothing changes"
    );
    assert_eq!(cluster.jobs(121), ["RUNNING"]);

    // The end can be put off.
    let mut longer = lease.clone();
    longer.end += SignedDuration::from_hours(2);
    slurm.prepare(&longer, now()).expect("it is put off");
    let name = format!("sluice-l121-{node}");
    let said = cluster.ask("scontrol", &["show", "reservation", &name]);
    let hours = ["Duration=02:59:", "Duration=03:00:"];
    assert!(hours.iter().any(|hours| said.contains(hours)), "{said}");

    let_in(&access, &key, "srun sh -c 'echo mine > file'");
    let closed = slurm.close(121).expect("it is closed");
    assert_eq!(closed.escaped, Vec::<String>::new());
    assert_eq!(closed.jobs.len(), 1);
    assert_eq!(closed.jobs[0].said, "CANCELLED");
    assert_eq!(closed.jobs[0].alive, Vec::<String>::new());
    assert_eq!(slurm.close(121).expect("again"), closed);
    assert_eq!(slurm.units(&lease, now()), 0);
    assert_eq!(ssh(&access, &key, "true").status.code(), Some(255));
    assert_eq!(cluster.jobs(121), ["CANCELLED"]);
    assert!(!cluster.is_reserved(&name));
    assert!(Path::new("/home/sluice-l121/file").exists(), "files stay");

    // A later end opens it once more, with a job of its own.
    slurm.prepare(&longer, now()).expect("it is opened");
    assert_eq!(let_in(&access, &key, "srun cat file"), "mine\n");
    let wiped = slurm.wipe(121, now).expect("it is wiped");
    let wiped = wiped.expect("it was there");
    // Home, `.ssh` and the file.
    assert_eq!((wiped.entries, wiped.bytes), (3, 5));
    assert!(!cluster.is_reserved(&name));
    assert!(!Path::new("/home/sluice-l121").exists());
    assert_eq!(entries("sluice-l121"), Vec::<String>::new());
    assert_eq!(slurm.wipe(121, now).expect("again"), Some(wiped));
    assert!(
        slurm.prepare(&longer, now()).is_err(),
        "it does not come back"
    );
}

/// What a holder starts so that it outlives the job: in a session of its own, orphaned and deaf,
/// in a step or beside one; and as a job of `cron` would be, outside of everything.
#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_what_escaped_from_job_and_way_in_is_found_ended_and_named() {
    let cluster = shared();
    let machine = Machine::new(&cluster, "n1", 22);
    let slurm = &machine.slurm;
    let (key, public) = holder("slurm-two");
    let access = machine.prepare(&lease(122, &[&public]));
    let deaf = |seconds: u32| {
        format!("(setsid sh -c 'trap \"\" HUP TERM INT; sleep {seconds}' >/dev/null 2>&1 &)")
    };
    let_in(&access, &key, &format!("{} ; true", deaf(7221)));
    let step = format!(
        "(srun sh -c \"{}; sleep 7223\" >/dev/null 2>&1 &)",
        deaf(7222).replace('"', "\\\"")
    );
    let_in(&access, &key, &step);
    let mut outside = Command::new("sleep");
    outside
        .arg("7224")
        .uid(66_122)
        .gid(66_122)
        .stdin(Stdio::null());
    let mut outside = outside.spawn().expect("it starts");
    soon("all sleep", || running("^sleep 722[1-4]$") == 4);
    let closed = slurm.close(122).expect("it is closed");
    outside.wait().expect("it ended");
    assert_eq!(running("^sleep 722[1-4]$"), 0);
    assert!(closed.escaped.contains(&"sleep".to_owned()), "{closed:?}");
    if cluster.tracking == "proctrack/cgroup" {
        // Slurm found what was in its job; only what came from elsewhere is named.
        assert_eq!(closed.escaped, ["sleep"]);
        assert_eq!(closed.jobs[0].alive, Vec::<String>::new());
    }
    assert!(closed.processes >= 3, "{closed:?}");
    thread::sleep(Duration::from_millis(300));
    assert_eq!(running("^sleep 722[1-4]$"), 0);
    slurm.wipe(122, now).expect("it is wiped");
}

/// Neither another holder nor another of the machine's accounts gets at a lease.
#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_nobody_else_can_use_a_reservation() {
    let cluster = shared();
    let machine = Machine::new(&cluster, "n1", 23);
    let slurm = &machine.slurm;
    let (_, public) = holder("slurm-three");
    let (key, other) = holder("slurm-three-other");
    machine.prepare(&lease(123, &[&public]));
    let access = machine.prepare(&lease(124, &[&other]));
    // Nor does their running stand in the way of an end that is put off.
    let mut longer = lease(123, &[&public]);
    longer.end += SignedDuration::from_mins(10);
    slurm.prepare(&longer, now()).expect("it is put off");
    let name = format!("sluice-l123-{}", slurm.node);
    let job = format!("--format=%A --name={name}");
    let arguments: Vec<&str> = job.split(' ').chain(["--noheader"]).collect();
    let job = cluster.ask("squeue", &arguments);
    let job = job.trim();
    run(
        "useradd",
        &["--no-create-home", "--uid", "66999", "visitor"],
    );
    let visitor = |command: &str| {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", command])
            .env("SLURM_CONF", cluster.conf());
        shell
            .uid(66_999)
            .stdin(Stdio::null())
            .output()
            .expect("sh runs")
    };
    let reserved = format!(
        "env -u SLURM_JOB_ID srun --immediate=5 --partition=leases --reservation={name} true"
    );
    let inside = format!("srun --jobid={job} true");
    for (command, why) in [(reserved, "Access denied"), (inside, "denied")] {
        for done in [ssh(&access, &key, &command), visitor(&command)] {
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            assert!(
                !done.status.success() && said.contains(why),
                "{command}: {said}"
            );
        }
    }
    let cancel = ssh(&access, &key, &format!("scancel {job}"));
    assert!(!cancel.status.success());
    run("userdel", &["visitor"]);
    for number in [123, 124] {
        slurm.wipe(number, now).expect("it is wiped");
    }
}

/// What is looked at: the way in, the node, the reservation, the job. What holders do to their own
/// job is no fault of the machine.
#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_units_run_while_slurm_has_the_node_the_reservation_and_the_job() {
    let cluster = shared();
    let machine = Machine::new(&cluster, "n2", 25);
    let slurm = &machine.slurm;
    let (key, public) = holder("slurm-five");
    let lease = lease(125, &[&public]);
    // An hour before, the reservation is there and the job waits for it.
    let before = now() - SignedDuration::from_hours(1);
    slurm.prepare(&lease, before).expect("it is made");
    assert_eq!(slurm.units(&lease, before), 8);
    assert_eq!(cluster.jobs(125), ["PENDING"]);
    assert_eq!(
        slurm.units(&lease, now()),
        0,
        "its hour has come by the exchange's clock only"
    );
    slurm.wipe(125, now).expect("it is wiped");
    slurm.host.forget(125).expect("it is forgotten");

    let access = machine.prepare(&lease);
    let node = slurm.node.as_str();
    let set = |state: &str| {
        let node = format!("NodeName={node}");
        cluster.ask("scontrol", &["update", &node, state, "Reason=test"]);
    };
    assert_eq!(slurm.units(&lease, now()), 8);
    // The hours behind it are all the next one's, and can be reserved while it runs.
    let mut next = crate::machine::lease(131, &[&public]);
    (next.start, next.end, next.units) = (lease.end, lease.wipe, 64);
    slurm.prepare(&next, now()).expect("it is made");
    next.start -= SignedDuration::from_mins(10);
    next.lease = 132;
    let taken = slurm
        .prepare(&next, now())
        .expect_err("it has the last minutes");
    assert!(taken.to_string().contains("Requested node"), "{taken}");
    for number in [131, 132] {
        slurm.wipe(number, now).expect("it is wiped");
    }
    set("State=DRAIN");
    assert_eq!(slurm.units(&lease, now()), 0, "drained");
    set("State=UNDRAIN");
    soon("Slurm hears of it again", || {
        slurm.units(&lease, now()) == 8
    });
    shut(&slurm.host, 125);
    soon("it is seen", || slurm.units(&lease, now()) == 0);
    assert_eq!(slurm.prepare(&lease, now()).expect("it is opened"), access);

    // The holder ends the job and starts another in its place: they have what they bought.
    let_in(&access, &key, "scancel $SLURM_JOB_ID");
    soon("it has ended", || {
        !cluster.jobs(125).contains(&"RUNNING".to_owned())
    });
    // Slurm may be at ending it still.
    let has_all = || slurm.units(&lease, now()) == 8;
    soon("it counts", has_all);
    let sleep = "sbatch --partition=leases --ntasks=8 --time=1 --wrap='sleep 7231'";
    let_in(&access, &key, sleep);
    soon("it runs", || running("^sleep 7231$") == 1);
    slurm.prepare(&lease, now()).expect("its own job waits");
    soon("it counts again", has_all);
    set("State=DOWN");
    assert_eq!(slurm.units(&lease, now()), 0, "down");
    slurm.close(125).expect("it is closed");
    assert_eq!(running("^sleep 7231$"), 0);
    let live = |state: &String| state == "RUNNING" || state == "PENDING";
    assert!(!cluster.jobs(125).iter().any(live));
    slurm.wipe(125, now).expect("it is wiped");
}

/// A cluster that would let holders past their reservations, and one whose processors are others'.
#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_what_can_not_be_handed_out_is_said() {
    let cluster = shared();
    let machine = Machine::new(&cluster, "n1", 26);
    let (_, public) = holder("slurm-six");
    let lease = lease(126, &[&public]);
    let refused = |machine: &Machine, why: &str| {
        let said = machine.slurm.prepare(&lease, now());
        let said = said.expect_err(why).to_string();
        assert!(said.contains(why), "{said}");
    };
    let mut wide = Machine::new(&cluster, "n1", 26);
    wide.slurm.cpus = 9;
    refused(&wide, "Requested node");
    let mut nowhere = Machine::new(&cluster, "n1", 26);
    nowhere.slurm.node = "nowhere".to_owned();
    refused(&nowhere, "nowhere");
    let name = format!("ReservationName=sluice-l126-{}", machine.slurm.node);
    let node = format!("Nodes={}", machine.slurm.node);
    let arguments = [
        "create",
        "reservation",
        &name,
        &node,
        "CoreCnt=1",
        "Users=root",
    ];
    let hours = ["StartTime=now", "Duration=10", "PartitionName=leases"];
    cluster.ask("scontrol", &[&arguments[..], &hours[..]].concat());
    refused(&machine, "somebody else's");
    cluster.ask("scontrol", &["delete", &name]);
}
