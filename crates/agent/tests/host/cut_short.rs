//! The host connector killed at any moment.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use sluice_agent::lease::HolderKey;

use crate::machine::{CHILD, Cleared, entries, holder, host, lease, let_in, now};

/// Not a test by itself: what the next one starts and kills.
#[test]
fn child_that_prepares_or_wipes_until_it_is_killed() {
    let Some(act) = std::env::var_os(CHILD) else {
        return;
    };
    let mut host = host(7);
    host.group = fs::read_to_string(host.leases.with_extension("group")).expect("it is there");
    if act == "wipe" {
        host.wipe(107, now).expect("it is wiped");
        return;
    }
    let line = fs::read_to_string("/var/lib/sluice-agent/holders/seven.pub").expect("a key");
    let key = HolderKey::try_from(line.trim().to_owned()).expect("a key");
    host.prepare(&lease(107, &[&key])).expect("it is made");
}

/// Killed at any moment and done again it comes to the same end; what was counted before the wipe
/// was cut short is in its record.
#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_what_is_killed_at_any_moment_and_done_again_comes_to_the_same_end() {
    let machine = Cleared(host(7));
    let host = &machine.0;
    fs::write(host.leases.with_extension("group"), &host.group).expect("it is written");
    let (key, public) = holder("seven");
    let child = |act: &str| {
        Command::new(std::env::current_exe().expect("this test"))
            .args([
                "--exact",
                "cut_short::child_that_prepares_or_wipes_until_it_is_killed",
            ])
            .env(CHILD, act)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts")
    };
    let cut_short = |act: &str, after: Duration| -> bool {
        let mut child = child(act);
        thread::sleep(after);
        child.kill().expect("it is killed");
        !child.wait().expect("it ended").success()
    };
    let whole = |act: &str| {
        let began = Instant::now();
        assert!(child(act).wait().expect("it ended").success(), "{act}");
        began.elapsed()
    };
    let prepares = whole("prepare");
    let wipes = whole("wipe");
    host.forget(107).expect("it is forgotten");
    let mut cut = 0;
    for round in 0..12 {
        // Three moments of each act, others in each round, all over the time that it takes.
        let moments = (0..3).map(|third| f64::from(round + 12 * third) / 36.0);
        for moment in moments.clone() {
            cut += usize::from(cut_short("prepare", prepares.mul_f64(moment)));
        }
        let access = host.prepare(&lease(107, &[&public])).expect("it is made");
        let_in(
            &access,
            &key,
            "for i in $(seq 500); do echo $i > file$i; done; echo x > /var/tmp/x7",
        );
        for moment in moments {
            cut += usize::from(cut_short("wipe", wipes.mul_f64(moment)));
        }
        let wiped = host
            .wipe(107, now)
            .expect("it is wiped")
            .expect("it was there");
        assert_eq!(
            (wiped.entries, wiped.bytes),
            (503, 1_892 + 2),
            "round {round}"
        );
        assert!(!Path::new("/home/sluice-l107").exists());
        assert!(!Path::new("/var/tmp/x7").exists());
        assert_eq!(
            entries("sluice-l107"),
            Vec::<String>::new(),
            "round {round}"
        );
        host.forget(107).expect("it is forgotten");
    }
    assert!(cut > 24, "a third at least was cut short: {cut} of 72");
}
