//! The exchange's probes at a lease's door: they look, and nothing else.

use sluice_agent::look::Look;

use crate::machine::{Cleared, holder, host, lease, let_in, now, refused, ssh, ssh_with};

#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_a_probe_sees_the_lease_from_inside_and_does_nothing_else() {
    let machine = Cleared(host(9));
    let host = &machine.0;
    let (key, public) = holder("nine");
    let (probe, probes_public) = holder("nine-probe");
    let (stranger, _) = holder("nine-stranger");
    let mut lease = lease(109, &[&public]);
    lease.probes = vec![probes_public];

    // Before its hour it is ready, looked at, and not its holder's yet.
    let access = host.prepare(&lease.before_its_start()).expect("it is made");
    let look = |asked: &str| let_in(&access, &probe, asked);
    let seen: Look = serde_json::from_str(&look("look")).expect("it is JSON");
    assert_eq!(seen.account, "sluice-l109");
    assert_eq!((seen.cpus, seen.memory_mib), (1, 256), "the group's limits");
    refused(&access, &key);
    refused(&access, &stranger);
    assert_eq!(host.prepare(&lease).expect("its hour has come"), access);
    assert_eq!(let_in(&access, &key, "echo in"), "in\n");

    // Whatever the probe asks for, it gets the look: no shell, no files, no way further.
    let first = look("look");
    for asked in ["id -un", "rm -rf ~", "", "look; id", "$(id)"] {
        assert_eq!(look(asked), first, "{asked}");
    }
    let sftp = ssh_with(&access, &probe, &["-s"], "sftp");
    assert_eq!(String::from_utf8_lossy(&sftp.stdout), first);
    let on = format!("127.0.0.1:{}", access.port);
    let through = ssh_with(&access, &probe, &["-W", &on], "");
    let why = String::from_utf8_lossy(&through.stderr).into_owned();
    assert!(why.contains("administratively prohibited"), "{why}");

    // Nor can the holder change what it sees, by what a shell reads before it does what it is told.
    let plant = "for file in .bashrc .bash_profile .bash_login .profile .bash_env .env .zshenv; do \
                 echo 'echo forged; exit 0' > $file; done; mkdir -p bin; \
                 printf '#!/bin/sh\\necho forged' > bin/sluice-agent; chmod +x bin/*";
    let_in(&access, &key, plant);
    assert_eq!(
        let_in(&access, &key, "echo in"),
        "forged\n",
        "the holder's own commands are changed by it"
    );
    assert_eq!(look("look"), first);
    for (way, file) in [("environment", "environment"), ("rc", "rc")] {
        let planted = ssh_with(&access, &key, &[], &format!("echo PATH=/tmp > .ssh/{file}"));
        let there = std::path::Path::new("/home/sluice-l109/.ssh").join(file);
        assert!(!there.exists(), "{way}: {planted:?}");
    }

    // A vantage that is retired is out, and after the end so is everybody.
    lease.probes.clear();
    host.prepare(&lease).expect("it is changed");
    refused(&access, &probe);
    host.close(109).expect("it is closed");
    assert_eq!(ssh(&access, &probe, "look").status.code(), Some(255));
    host.wipe(109, now).expect("it is wiped");
}
