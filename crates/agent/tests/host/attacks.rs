//! Holders who attack the machine: what outlives its lease, what stops the agent.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use sluice_agent::host::Cgroups;

use crate::machine::{
    Cleared, holder, host, lease, let_in, now, run, running, shut, soon, ssh_with,
};

/// A process of the account outside the lease's group, as a job of `cron` would be.
fn outside(uid: u32, program: impl AsRef<OsStr>, arguments: &[&str]) -> Child {
    let mut command = Command::new(program);
    command.args(arguments).uid(uid).gid(uid);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().expect("it starts")
}

/// Waits until a child was ended by the signal that none can refuse.
fn struck(what: &str, child: &mut Child) {
    use std::os::unix::process::ExitStatusExt;

    for _ in 0..100 {
        if let Some(status) = child.try_wait().expect("it is this test's") {
            assert_eq!(status.signal(), Some(9), "{what}");
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    panic!("it runs on: {what}");
}

/// A name that is no text, and a process whose first thread has ended while another runs on: both
/// are as alive as any.
#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_what_hides_by_its_name_or_its_first_thread_is_ended() {
    let machine = Cleared(host(10));
    let host = &machine.0;
    let (_, public) = holder("ten");
    host.prepare(&lease(110, &[&public])).expect("it is made");
    let nameless = Path::new("/var/tmp").join(OsStr::from_bytes(b"\xff"));
    fs::copy("/bin/sleep", &nameless).expect("it is copied");
    let mut nameless = outside(66_110, &nameless, &["7141"]);
    let headless = "use threads; threads->create(sub { sleep 7142 }); syscall(60, 0);";
    let mut headless = outside(66_110, "perl", &["-e", headless]);
    let status = format!("/proc/{}/status", headless.id());
    soon("its first thread has ended", || {
        fs::read_to_string(&status).is_ok_and(|text| text.contains("State:\tZ"))
    });
    let closed = host.close(110).expect("it is closed");
    struck("a name that is no text", &mut nameless);
    struck("a process without its first thread", &mut headless);
    assert_eq!(closed.escaped.len(), 2, "{closed:?}");
    host.wipe(110, now).expect("it is wiped");
}

/// What the account starts outside its group has the group's limits from the next look on.
#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_what_runs_outside_the_group_is_put_into_it() {
    let machine = Cleared(host(12));
    let host = &machine.0;
    let (key, public) = holder("twelve");
    // What keeps the agent alive where memory is short is not its holders'. (A container's root
    // may not be allowed to ask for it.)
    let score = Path::new("/proc/self/oom_score_adj");
    let before = fs::read_to_string(score).expect("it is there");
    let kept = fs::write(score, "-500").is_ok();
    let access = host.prepare(&lease(112, &[&public]));
    fs::write(score, before.trim()).expect("root can");
    let access = access.expect("it is made");
    let score = let_in(&access, &key, "cat /proc/self/oom_score_adj");
    let expected = if kept { "0" } else { before.trim() };
    assert_eq!(score.trim(), expected);
    let mut stray = outside(66_112, "sleep", &["7143"]);
    let mut other = outside(66_990, "sleep", &["7144"]);
    let groups = |child: &Child| {
        let text = fs::read_to_string(format!("/proc/{}/cgroup", child.id()));
        let text = text.expect("it runs");
        text.matches(&format!("{}/l112", host.group)).count()
    };
    assert_eq!(groups(&stray), 0);
    host.gather().expect("they are moved");
    let all = Cgroups::detect()
        .expect("there are groups")
        .folders("")
        .len();
    assert_eq!((groups(&stray), groups(&other)), (all, 0));
    host.gather().expect("nothing is left to be moved");
    let closed = host.close(112).expect("it is closed");
    struck("what was moved", &mut stray);
    assert_eq!(closed.escaped, Vec::<String>::new());
    assert!(other.try_wait().expect("it is this test's").is_none());
    other.kill().expect("it is this test's");
    other.wait().expect("it ended");
    host.wipe(112, now).expect("it is wiped");
}

/// What ends an account's processes can't be stopped by them.
#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_nobody_stops_what_ends_them() {
    let machine = Cleared(host(11));
    let host = machine.0.clone();
    let (_, public) = holder("eleven");
    // Whatever is started next, as soon as that is of this account.
    let stops = "fork; while (1) { open F, '/proc/loadavg'; my $last = (split ' ', <F>)[4]; \
                 for (1..200) { kill 'STOP', $last + $_ for 1..4 } }";
    let (told, done) = mpsc::channel();
    thread::spawn(move || {
        for _ in 0..4 {
            host.prepare(&lease(111, &[&public])).expect("it is made");
            let mut stops = outside(66_111, "perl", &["-e", stops]);
            thread::sleep(Duration::from_millis(30));
            let closed = host.close(111).expect("it is closed");
            struck("what stops others", &mut stops);
            assert_eq!(closed.escaped[..2], ["perl", "perl"]);
        }
        told.send(())
    });
    done.recv_timeout(Duration::from_secs(20))
        .expect("it is not held up");
    machine.0.wipe(111, now).expect("it is wiped");
}

/// A holder who takes all ports that doors could be opened on, for either version of IP and
/// whether they listen or not, shuts nobody out.
#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_a_holder_who_takes_all_ports_shuts_nobody_out() {
    let machine = Cleared(host(14));
    let host = &machine.0;
    let (key, public) = holder("fourteen");
    let access = host.prepare(&lease(120, &[&public])).expect("it is made");
    // Its own sessions have the port of its own door.
    let session = thread::spawn(move || ssh_with(&access, &key, &[], "sleep 7152"));
    soon("it is signed in", || running("^sleep 7152$") == 1);
    let (low, high) = (host.ports.start(), host.ports.end());
    let take = |what: &str, then: &str| {
        let script = format!(
            "use Socket qw(:all); for my $port ({low}..{high}) {{ {what} push @all, $s; }} \
             rename '/var/tmp/taking', '/var/tmp/taken'; {then}"
        );
        fs::write("/var/tmp/taking", "").expect("it is written");
        chown("/var/tmp/taking", Some(66_120), None).expect("root can");
        let taker = outside(66_120, "perl", &["-e", &script]);
        soon("they are taken", || Path::new("/var/tmp/taken").exists());
        fs::remove_file("/var/tmp/taken").expect("it is there");
        taker
    };
    let fourth = "socket my $s, PF_INET, SOCK_STREAM, 0; \
                  bind $s, pack_sockaddr_in($port, INADDR_ANY);";
    let sixth = "socket my $s, PF_INET6, SOCK_STREAM, 0; \
                 setsockopt $s, IPPROTO_IPV6, IPV6_V6ONLY, 1; \
                 bind $s, pack_sockaddr_in6($port, Socket::IN6ADDR_ANY); listen $s, 1;";
    let waits = "sleep 7151";
    // Without its first thread it has no files that could be looked at.
    let hides = "use threads; threads->create(sub { sleep 7151 }); syscall(60, 0);";
    for (number, what, then) in [
        (121, fourth, waits),
        (122, sixth, waits),
        (123, sixth, hides),
    ] {
        let mut taker = take(what, then);
        let other = lease(number, &[&public]);
        host.prepare(&other).expect(what);
        struck(what, &mut taker);
        assert_eq!(host.units(&other), 8);
    }
    // The port of one whose way in is gone for a moment is not another's either.
    shut(host, 121);
    soon("it is seen", || host.units(&lease(121, &[])) == 0);
    let mut taker = take(sixth, waits);
    host.prepare(&lease(121, &[&public])).expect("it is opened");
    struck("the door's own port", &mut taker);
    assert_eq!(host.units(&lease(121, &[])), 8);
    assert!(!session.is_finished(), "{:?}", session.join());
    let closed = host.close(120).expect("it is closed");
    session.join().expect("it ended");
    let (hidden, named): (Vec<_>, Vec<_>) =
        closed.ports.iter().partition(|one| *one == "perl hidden");
    assert_eq!((hidden.len(), named.len()), (1, 3), "{closed:?}");
    assert!(named.iter().all(|one| one.starts_with("perl 22")));
}

/// Whoever connects and says nothing shuts out themselves.
#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_connections_that_say_nothing_shut_a_door_for_nobody_else() {
    let machine = Cleared(host(15));
    let host = &machine.0;
    let (key, public) = holder("fifteen");
    let access = host.prepare(&lease(125, &[&public])).expect("it is made");
    let idle: Vec<TcpStream> = (0..120)
        .map(|_| TcpStream::connect(("127.0.0.1", access.port)).expect("it is taken"))
        .collect();
    thread::sleep(Duration::from_millis(200));
    for _ in 0..3 {
        let done = ssh_with(&access, &key, &["-b", "127.0.0.2"], "echo in");
        assert_eq!(String::from_utf8_lossy(&done.stdout), "in\n", "{done:?}");
    }
    drop(idle);
}

/// What one holder mounted where all may write, which lets in nobody else, root included, keeps
/// nobody else's files.
#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_what_another_mounted_keeps_no_wipe_from_its_end() {
    let mut machine = Cleared(host(16));
    machine.0.shared = vec!["/var/tmp/mounts".into()];
    let host = &machine.0;
    let (key, public) = holder("sixteen");
    fs::create_dir_all("/var/tmp/mounts/of-another").expect("a folder");
    run("chmod", &["1777", "/var/tmp/mounts"]);
    let script = "exec 3<>/dev/fuse && mount -i -t fuse -o \
                  fd=3,rootmode=40000,user_id=66991,group_id=66991 none \
                  /var/tmp/mounts/of-another && exec sleep 7161";
    let mut mounted = outside(0, "bash", &["-c", script]);
    soon("it is mounted", || {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("it is there");
        mounts.contains("user_id=66991")
    });
    let refused = fs::metadata("/var/tmp/mounts/of-another");
    assert!(refused.is_err(), "{refused:?}");
    let access = host.prepare(&lease(126, &[&public])).expect("it is made");
    let_in(&access, &key, "echo mine > /var/tmp/mounts/mine");
    let wiped = host.wipe(126, now).expect("it is wiped");
    assert_eq!(wiped.expect("it was there").entries, 3);
    run("umount", &["-l", "/var/tmp/mounts/of-another"]);
    mounted.kill().expect("it is this test's");
    mounted.wait().expect("it ended");
}
