//! The agent at work without its exchange.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use jiff::SignedDuration;
use reading::{AgentKey, Digest};
use sluice_agent::connector::Connector;
use sluice_agent::exchange::Exchange;
use sluice_agent::lease::Access;
use sluice_agent::messages::{MarketTime, Reason, Stage};
use sluice_agent::meter::Meter;
use sluice_agent::spool::Spool;
use sluice_agent::work::Agent;

use crate::machine::{Cleared, holder, host, lease, let_in, now, refused, shut, soon, ssh};

/// A whole lease by the agent itself, its network gone: let in, metered, out at the hour, wiped.
#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_an_agent_without_its_network_keeps_a_lease_to_its_end() {
    let machine = Cleared(host(8));
    let folder = machine.0.leases.clone();
    let (key, public) = holder("eight");
    let wanted = lease(108, &[&public]);
    let spool = || Spool::open(&folder.with_extension("spool"), 7, 1 << 20).expect("a spool");
    let agent = || {
        let secret = AgentKey::from_secret(&[1; 32]);
        let orders = folder.with_extension("orders");
        let connector = Connector::Host(machine.0.clone());
        Agent::new(7, secret, connector, orders, spool()).expect("it begins")
    };
    let begun = agent();
    begun.take(vec![wanted.clone()]).expect("it is kept");
    let mut meter = Meter::default();
    let look = |agent: &Agent, meter: &mut Meter, seconds: i64| {
        let at = now() + SignedDuration::from_secs(seconds);
        for due in agent.look(meter, at).expect("it goes on") {
            agent.act(&due, || at).expect("it goes on");
        }
    };
    // Prepared before its start, and its holder's from then on; then two minutes, the way in being
    // shut in the second.
    for second in [-30, -10] {
        look(&begun, &mut meter, second);
    }
    let prepared = begun.spool(|spool| spool.states(9));
    assert_eq!(prepared.len(), 1, "said once: {prepared:?}");
    assert_eq!(
        (prepared[0].state.stage, prepared[0].state.reason),
        (Stage::Prepared, Reason::Asked),
        "{prepared:?}"
    );
    let access: Access =
        serde_json::from_value(prepared[0].state.evidence.clone()).expect("a way in");
    refused(&access, &key);
    look(&begun, &mut meter, -1);
    refused(&access, &key);
    look(&begun, &mut meter, 0);
    let_in(&access, &key, "echo mine > file");
    for second in (10..=70).step_by(10) {
        look(&begun, &mut meter, second);
    }
    shut(&machine.0, 108);
    soon("it is shut", || machine.0.units(&wanted) == 0);
    for second in (80..=180).step_by(10) {
        look(&begun, &mut meter, second);
    }
    drop(begun);

    // Started again without its network, it knows what it was asked, and when it ends.
    let again = agent();
    let mut meter = Meter::default();
    for second in (3_480..=3_610).step_by(10) {
        look(&again, &mut meter, second);
    }
    let readings = again.spool(|spool| spool.readings(99));
    let told: Vec<(u64, u8, u32)> = readings
        .iter()
        .map(|one| {
            (
                one.reading.sequence,
                one.reading.minute.of_hour(),
                one.reading.units,
            )
        })
        .collect();
    assert_eq!(
        told,
        [(1, 0, 8), (2, 1, 0), (3, 2, 8), (4, 58, 8), (5, 59, 8)]
    );
    let mut before = Digest::beginning(7, 108);
    for one in &readings {
        assert_eq!(one.reading.before, before);
        before = one.reading.hash();
    }
    assert_eq!(
        ssh(&access, &key, "true").status.code(),
        Some(255),
        "out at the hour"
    );
    assert!(fs::metadata("/home/sluice-l108/file").is_ok_and(|file| file.size() == 5));
    look(&again, &mut meter, 7_200);
    assert!(!Path::new("/home/sluice-l108").exists());
    let stages = again.spool(|spool| spool.states(9));
    let stages: Vec<_> = stages
        .iter()
        .map(|one| (one.state.stage, one.state.reason))
        .collect();
    assert_eq!(
        stages,
        [
            (Stage::Prepared, Reason::Asked),
            (Stage::Prepared, Reason::Restored),
            (Stage::Prepared, Reason::Asked),
            (Stage::Closed, Reason::Ended),
            (Stage::Wiped, Reason::Ended),
        ]
    );

    // What the exchange has is forgotten once it names the lease no more.
    drop(again);
    let mut spool = spool();
    spool.states_taken(99).expect("room");
    spool.taken(108, 99).expect("room");
    let (folder, done) = (folder.clone(), spool.waiting());
    assert_eq!(done, 0);
    drop(spool);
    let last = agent();
    let mut meter = Meter::default();
    look(&last, &mut meter, 7_210);
    assert_eq!(
        last.spool(Spool::waiting),
        1,
        "said once more after a start"
    );
    last.forget(&BTreeSet::new()).expect("it goes on");
    assert!(folder.join("l108").exists(), "not while something waits");
}

/// Where files go at the lease's end, its last minute is told as anywhere else.
#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_the_last_minute_is_told_where_files_go_at_the_end() {
    let machine = Cleared(host(17));
    let folder = machine.0.leases.clone();
    let (_, public) = holder("seventeen");
    let mut wanted = lease(117, &[&public]);
    wanted.wipe = wanted.end;
    let spool = Spool::open(&folder.with_extension("spool"), 7, 1 << 20).expect("a spool");
    let secret = AgentKey::from_secret(&[1; 32]);
    let connector = Connector::Host(machine.0.clone());
    let agent = Agent::new(7, secret, connector, folder.with_extension("orders"), spool);
    let agent = agent.expect("it begins");
    agent.take(vec![wanted]).expect("it is kept");
    let mut meter = Meter::default();
    for second in (3_530..=3_620).step_by(10) {
        let at = now() + SignedDuration::from_secs(second);
        for due in agent.look(&mut meter, at).expect("it goes on") {
            agent.act(&due, || at).expect("it is said");
        }
    }
    let readings = agent.spool(|spool| spool.readings(9));
    let told = readings
        .iter()
        .map(|one| (one.reading.minute.of_hour(), one.reading.units));
    assert_eq!(told.collect::<Vec<_>>(), [(59, 8)]);
    let stages = agent.spool(|spool| spool.states(9));
    let stages: Vec<_> = stages.iter().map(|one| one.state.stage).collect();
    assert_eq!(stages, [Stage::Prepared, Stage::Wiped]);
}

/// Ends the agent and lets go of what was frozen, also when the test fails.
struct Ends<'a>(&'a AtomicBool, &'a Path, &'a Path);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        let _ = fs::remove_file(self.1);
        let _ = fs::write(self.2.join("freezer.state"), "THAWED");
    }
}

/// However long a lease takes to end, another's minutes go on.
#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_a_lease_that_does_not_end_keeps_no_other_from_being_measured() {
    let mut machine = Cleared(host(13));
    let folder = machine.0.leases.clone();
    // What ends processes takes longer than it may, for as long as this file is there; and where
    // groups of version 1 can be had it can't even be killed.
    let slow = folder.with_extension("slow");
    let (program, own) = (folder.with_extension("sh"), machine.0.program.clone());
    let held = format!("/sys/fs/cgroup/freezer/{}-held", machine.0.group);
    let held = Path::new(&held);
    let freezes = fs::create_dir(held).is_ok();
    let script = format!(
        "#!/bin/sh\n[ $1 = strike -a -e {slow} ] || exec {own} \"$@\"\n\
         cd {held} && echo $$ >cgroup.procs && echo FROZEN >freezer.state\nexec sleep 30\n",
        slow = slow.display(),
        own = own.display(),
        held = held.display(),
    );
    fs::write(&program, script).expect("it is written");
    fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("it is ours");
    fs::write(&slow, "").expect("it is written");
    machine.0.program = program;
    let (_, public) = holder("thirteen");
    let (mut ends, goes_on) = (lease(113, &[&public]), lease(114, &[&public]));
    for lease in [&ends, &goes_on] {
        machine.0.prepare(lease).expect("it is made");
    }
    ends.end = now();
    let secret = AgentKey::from_secret(&[1; 32]);
    let spool = Spool::open(&folder.with_extension("spool"), 7, 1 << 20).expect("a spool");
    let orders = folder.with_extension("orders");
    let connector = Connector::Host(machine.0.clone());
    let agent = Agent::new(7, secret, connector, orders, spool).expect("it begins");
    let agent = Arc::new(agent);
    agent.take(vec![ends, goes_on]).expect("it is kept");
    let market = MarketTime {
        at: now(),
        speed: 15,
    };
    agent.clock.learn_market(market, Duration::ZERO);
    let nobody = Exchange::new("http://127.0.0.1:9", None).expect("an address");
    let over = AtomicBool::new(false);
    let stages = || {
        let told = agent.spool(|spool| spool.states(9)).into_iter();
        let of_first = told.filter(|one| one.state.lease == 113);
        of_first.map(|one| one.state.stage).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let ends = Ends(&over, &slow, held);
        let run = scope.spawn(|| agent.run(nobody, || !over.load(Ordering::Relaxed)));
        soon("a minute is over", || {
            agent.spool(|spool| spool.readings(9)).len() == 1
        });
        let told = agent.spool(|spool| spool.readings(9));
        assert_eq!((told[0].reading.lease, told[0].reading.units), (114, 8));
        soon("it is not waited for", || stages() == [Stage::Failed]);
        fs::remove_file(&slow).expect("it is there");
        if freezes {
            let state = held.join("freezer.state");
            let before = fs::read_to_string(&state).expect("it is there");
            assert_eq!(before, "FROZEN\n");
            fs::write(state, "THAWED").expect("root can");
        }
        soon("it ends", || stages().contains(&Stage::Closed));
        drop(ends);
        run.join().expect("it ended").expect("it went on");
        if freezes {
            soon("nothing is held", || fs::remove_dir(held).is_ok());
        }
    });
}
