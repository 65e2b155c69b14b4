//! Leases on a host, from the first sign-in to the wipe record.

use std::fs;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use sluice_agent::host::HostError;
use sluice_agent::lease::{Access, HolderKey};

use crate::machine::{
    Cleared, entries, holder, host, lease, let_in, now, refused, run, running, shut, soon, ssh,
};

#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_a_holder_signs_in_works_and_is_out_at_the_end_with_all_that_was_theirs() {
    let machine = Cleared(host(1));
    let host = &machine.0;
    let (key, public) = holder("one");
    let (other_key, _) = holder("one-other");
    let lease = lease(101, &[&public]);
    assert_eq!(host.units(&lease), 0, "nothing is there yet");
    let access = host.prepare(&lease).expect("it is made");
    assert_eq!(host.units(&lease), 8);
    assert_eq!(
        let_in(&access, &key, "id -un; pwd"),
        "sluice-l101\n/home/sluice-l101\n"
    );
    refused(&access, &other_key);

    // Only these keys: one that the holder adds does not let in, and one that is taken away is out.
    let line = fs::read_to_string(other_key.with_extension("pub")).expect("it was made");
    let other = HolderKey::try_from(line.trim().to_owned()).expect("a key");
    for add in [
        "echo key > .ssh/authorized_keys",
        "mv .ssh away",
        "rmdir .ssh",
        "rm -rf .ssh",
    ] {
        assert_eq!(ssh(&access, &key, add).status.code(), Some(1), "{add}");
    }
    // Were it there, the machine's own `sshd` would let in by it, past the limits.
    let by_own = || {
        let access = Access {
            port: 22_990,
            host_key: systems_sshd(22_990),
            ..access.clone()
        };
        ssh(&access, &other_key, "true").status.success()
    };
    assert!(!by_own());
    let added = Path::new("/home/sluice-l101/.ssh/authorized_keys");
    fs::write(added, &line).expect("root can");
    assert!(by_own(), "the same with the key");
    refused(&access, &other_key);
    fs::remove_file(added).expect("root can");
    let mut changed = lease.clone();
    changed.keys = vec![other];
    assert_eq!(host.prepare(&changed).expect("it is changed"), access);
    refused(&access, &key);
    assert_eq!(let_in(&access, &other_key, "echo in"), "in\n");
    assert_eq!(host.prepare(&lease).expect("it is changed back"), access);

    // Files: at home, with links that lead elsewhere, and where all may write.
    let victim = Path::new("/var/tmp/of-another");
    fs::write(victim, "mine").expect("it is written");
    let_in(
        &access,
        &key,
        "head -c 100000 /dev/zero > data && mkdir -p deep/er && echo hi > deep/er/file \
         && ln -s /etc etc && ln -s /var/tmp/of-another link \
         && echo left > /var/tmp/left && mkdir -p /var/tmp/shared/mine/in \
         && echo left > /var/tmp/shared/mine/in/file && ln -s / /var/tmp/shared/mine/root \
         && echo left > /dev/shm/left",
    );

    let closed = host.close(101).expect("it is closed");
    assert!(closed.processes >= 1, "sshd itself: {closed:?}");
    assert_eq!(closed.escaped, Vec::<String>::new());
    assert_eq!(host.units(&lease), 0);
    let done = ssh(&access, &key, "true");
    assert_eq!(done.status.code(), Some(255));
    assert!(
        Path::new("/home/sluice-l101/data").exists(),
        "files stay for now"
    );

    let wiped = host
        .wipe(101, now)
        .expect("it is wiped")
        .expect("it was there");
    assert_eq!((wiped.account.as_str(), wiped.uid), ("sluice-l101", 66_101));
    // Home, .ssh, data, deep, er, file, two links; left, mine, in, file, root, left.
    assert_eq!(wiped.entries, 14, "{wiped:?}");
    assert!((100_000..101_000).contains(&wiped.bytes), "{wiped:?}");
    assert!(!Path::new("/home/sluice-l101").exists());
    for gone in ["/var/tmp/left", "/var/tmp/shared/mine", "/dev/shm/left"] {
        assert!(fs::symlink_metadata(gone).is_err(), "{gone}");
    }
    assert_eq!(fs::read_to_string(victim).expect("it is there"), "mine");
    assert_eq!(entries("sluice-l101"), Vec::<String>::new());
    assert_eq!(
        host.wipe(101, now).expect("again"),
        Some(wiped),
        "the record stays"
    );
    let again = host.prepare(&lease);
    assert!(matches!(again, Err(HostError::Wiped)), "{again:?}");
    host.forget(101).expect("it is forgotten");
    assert_eq!(host.known().expect("they are listed"), Vec::<u64>::new());
}

/// The key of an `sshd` as a machine has it, but for the port; it is started where it is not there.
fn systems_sshd(port: u16) -> String {
    let key = format!("/run/sshd-{port}");
    if !Path::new(&key).exists() {
        run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &key]);
        let (port, key) = (format!("-oPort={port}"), format!("-oHostKey={key}"));
        run(
            "/usr/sbin/sshd",
            &["-f", "/dev/null", "-oPidFile=none", &port, &key],
        );
    }
    soon("it listens", || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    let public = fs::read_to_string(format!("{key}.pub")).expect("it was made");
    public.trim().to_owned()
}

/// What the holder starts so that it outlives everything is found: by the group of processes, and
/// where it left that, by its account.
#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_a_child_that_escaped_is_found_and_ended() {
    let machine = Cleared(host(2));
    let host = &machine.0;
    let (key, public) = holder("two");
    let lease = lease(102, &[&public]);
    let access = host.prepare(&lease).expect("it is made");
    // Forked twice, in a session of its own, deaf to what can be ignored.
    let_in(
        &access,
        &key,
        "(setsid sh -c 'trap \"\" HUP TERM INT; sleep 7121 & sleep 7122' >/dev/null 2>&1 &) ; true",
    );
    soon("both sleep", || running("^sleep 712[12]$") == 2);
    // As a job of cron would be: the holder's account, outside the lease's group.
    let mut outside = Command::new("sleep");
    outside
        .arg("7123")
        .uid(66_102)
        .gid(66_102)
        .stdin(Stdio::null());
    let mut outside = outside.spawn().expect("it starts");
    // And one that starts itself anew for ever.
    let_in(
        &access,
        &key,
        "(setsid bash -c 'while :; do (sleep 0.01; sleep 7124) & sleep 0.05; done' \
         >/dev/null 2>&1 &) ; true",
    );
    soon("it multiplies", || running("^sleep 7124$") > 3);
    let closed = host.close(102).expect("it is closed");
    assert!(closed.escaped.contains(&"sleep".to_owned()), "{closed:?}");
    assert!(closed.processes > 5, "{closed:?}");
    let status = outside.wait().expect("it ended");
    assert!(!status.success());
    assert_eq!(running("^sleep 712[1-4]$"), 0);
    thread::sleep(Duration::from_millis(300));
    assert_eq!(running("^sleep 712[1-4]$"), 0);
    host.wipe(102, now).expect("it is wiped");
}

/// The limits are the kernel's: what exceeds them fails, and the lease counts all the same.
#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_limits_hold_and_whoever_uses_them_up_has_their_lease_all_the_same() {
    let machine = Cleared(host(3));
    let host = &machine.0;
    let (key, public) = holder("three");
    let lease = lease(103, &[&public]);
    let access = host.prepare(&lease).expect("it is made");
    // 256 MiB are allowed: twice that can't be had, half of it can.
    let fill = |mib: u32| {
        ssh(
            &access,
            &key,
            &format!("head -c {mib}M /dev/zero | tail -c {mib}M | wc -c"),
        )
    };
    let half = fill(100);
    assert_eq!(
        String::from_utf8_lossy(&half.stdout).trim(),
        (100 << 20).to_string()
    );
    let much = fill(600);
    assert_ne!(
        String::from_utf8_lossy(&much.stdout).trim(),
        (600 << 20).to_string()
    );
    // 60 processes are.
    let_in(
        &access,
        &key,
        "(setsid bash -c 'for i in $(seq 200); do sleep 7131 & done; wait' >/dev/null 2>&1 &) ; true",
    );
    soon("there are many", || running("^sleep 7131$") > 40);
    thread::sleep(Duration::from_millis(500));
    assert!(running("^sleep 7131$") <= 60);
    assert_eq!(host.units(&lease), 8, "who fills their lease has it");
    host.wipe(103, now).expect("it is wiped");
    assert_eq!(running("^sleep 7131$"), 0);
}

/// A tree that is made to be hard to remove: deeper than a path or the open files reach.
#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_a_tree_deeper_than_any_path_is_counted_and_removed() {
    let machine = Cleared(host(4));
    let host = &machine.0;
    let (key, public) = holder("four");
    let access = host.prepare(&lease(104, &[&public])).expect("it is made");
    let_in(
        &access,
        &key,
        "for where in ~ /var/tmp/shared; do cd $where; \
         for i in $(seq 1500); do mkdir abcdefghijklmnop; cd -P abcdefghijklmnop; done; \
         echo bottom > bottom; done",
    );
    let wiped = host
        .wipe(104, now)
        .expect("it is wiped")
        .expect("it was there");
    // Both trees, both bottoms, the home and its `.ssh`.
    assert_eq!((wiped.entries, wiped.bytes), (3_004, 14));
    assert_eq!(
        fs::read_dir("/var/tmp/shared")
            .expect("it is there")
            .count(),
        0
    );
}

/// After the machine's restart nothing runs; files and orders are there. The way in comes back.
#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_a_way_in_that_is_gone_is_opened_again_and_an_end_can_be_put_off() {
    let machine = Cleared(host(5));
    let host = &machine.0;
    let (key, public) = holder("five");
    let lease = lease(105, &[&public]);
    let access = host.prepare(&lease).expect("it is made");
    let_in(&access, &key, "echo kept > file");
    shut(host, 105);
    soon("it is seen", || host.units(&lease) == 0);
    assert_eq!(
        host.prepare(&lease).expect("it is opened"),
        access,
        "by the same key and port"
    );
    assert_eq!(let_in(&access, &key, "cat file"), "kept\n");
    assert_eq!(host.units(&lease), 8);
    host.close(105).expect("it is closed");
    assert_eq!(host.units(&lease), 0);
    assert_eq!(
        host.prepare(&lease).expect("it is opened once more"),
        access
    );
    assert_eq!(let_in(&access, &key, "cat file"), "kept\n");
    host.wipe(105, now).expect("it is wiped");
}

#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_an_account_that_is_somebody_elses_is_left_alone() {
    let machine = Cleared(host(6));
    let host = &machine.0;
    let (_, public) = holder("six");
    run("useradd", &["--no-create-home", "sluice-l151"]);
    let refused = host.prepare(&lease(151, &[&public]));
    assert!(matches!(refused, Err(HostError::Account(_))), "{refused:?}");
    run("userdel", &["sluice-l151"]);
    host.prepare(&lease(151, &[&public]))
        .expect("now it is made");
    host.wipe(151, now).expect("it is wiped");

    // A number that is somebody else's is passed over: an account's, a group's, another lease's.
    run(
        "useradd",
        &["--uid", "66153", "--no-create-home", "somebody"],
    );
    run("groupadd", &["--gid", "66154", "some"]);
    let mut numbers = Vec::new();
    for number in [153, 153 + 34_000] {
        host.prepare(&lease(number, &[&public]))
            .expect("it is made");
    }
    for number in [153, 153 + 34_000] {
        let wiped = host.wipe(number, now).expect("it is wiped");
        numbers.push(wiped.expect("it was there").uid);
    }
    assert_eq!(numbers, [66_155, 66_156]);
    assert_eq!(entries("somebody").len(), 4, "it is as it was");
    run("userdel", &["somebody"]);
    run("groupdel", &["some"]);
}
