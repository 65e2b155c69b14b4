//! Ports of doors, and holders' processes that hold them.
//!
//! A holder may bind any port above 1023, so also those that doors are opened on: all of them, or
//! one of a lease whose `sshd` is gone. What holds one that is needed is ended. A socket that is
//! bound and does not listen is in none of the system's lists; it is found by asking it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use rustix::net::{getpeername, getsockname};
use rustix::process::{
    Pid, PidfdFlags, PidfdGetfdFlags, Signal, pidfd_getfd, pidfd_open, pidfd_send_signal,
};

use super::processes::{Process, real_uid};

/// Whether a door could be opened on a port, for both versions of IP.
pub(super) fn is_free(port: u16) -> bool {
    // One after the other: the sixth version's takes the fourth's with it.
    let free = |address: SocketAddr| match TcpListener::bind(address) {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::AddrInUse && address.is_ipv6(),
    };
    free((Ipv4Addr::UNSPECIFIED, port).into()) && free((Ipv6Addr::UNSPECIFIED, port).into())
}

/// Whether a program of root's takes connections on a port, for both versions of IP, or for that of
/// the one address where doors are.
///
/// It is not tried: whoever lets connections wait there by the hundred has a door all the same,
/// and holds nobody up.
pub(super) fn is_open(port: u16, only: Option<IpAddr>) -> bool {
    let (fourth, sixth) = (Path::new("/proc/net/tcp"), Path::new("/proc/net/tcp6"));
    let has_sixth = || sixth.exists() && TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok();
    match only {
        Some(IpAddr::V4(_)) => listens(fourth, port),
        Some(IpAddr::V6(_)) => listens(sixth, port),
        None => listens(fourth, port) && (listens(sixth, port) || !has_sixth()),
    }
}

fn listens(list: &Path, port: u16) -> bool {
    let Ok(file) = File::open(list) else {
        return false;
    };
    let lines = BufReader::new(file).lines().skip(1).map_while(Result::ok);
    // What listens comes first.
    let mut listening = lines.take_while(|line| line.split_whitespace().nth(3) == Some("0A"));
    listening.any(|line| {
        let mut words = line.split_whitespace();
        let own = words.nth(1).and_then(|address| {
            let (_, port) = address.split_once(':')?;
            u16::from_str_radix(port, 16).ok()
        });
        own == Some(port) && words.nth(5) == Some("0")
    })
}

/// Ends those of these processes that hold one of these ports, and gives them, with the port where
/// it could be asked. One that hides its sockets from being asked (they are a thread's own, or its
/// first thread has ended) is ended as well: nothing that is used for work does so.
///
/// # Arguments
/// `door` gives the port of the door of a process's own lease: sessions through it have that port.
pub(super) fn clear<'a>(
    ports: &RangeInclusive<u16>,
    processes: &'a [Process],
    door: impl Fn(&Process) -> Option<u16>,
) -> Vec<(&'a Process, Option<u16>)> {
    let held = |process: &'a Process| {
        let pid = Pid::from_raw(process.pid.as_raw())?;
        let opened = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // What was opened is what was found: the number was not another's meanwhile.
        (real_uid(process.pid) == Some(process.uid)).then_some(())?;
        let folder = PathBuf::from(format!("/proc/{}", process.pid));
        let own = sockets(&folder.join("fd"));
        let port = own.iter().find_map(|(number, _)| {
            let socket = pidfd_getfd(&opened, *number, PidfdGetfdFlags::empty()).ok()?;
            let port = SocketAddr::try_from(getsockname(&socket).ok()?)
                .ok()?
                .port();
            let session = door(process) == Some(port) && getpeername(&socket).is_ok();
            (ports.contains(&port) && !session).then_some(port)
        });
        (port.is_some() || hides(&folder, &own)).then_some(())?;
        pidfd_send_signal(&opened, Signal::KILL).ok()?;
        Some((process, port))
    };
    processes.iter().filter_map(held).collect()
}

/// Whether a thread of a process has sockets that are not among the process's.
fn hides(folder: &Path, own: &[(i32, PathBuf)]) -> bool {
    let of_threads = || {
        let tasks = fs::read_dir(folder.join("task"))
            .into_iter()
            .flatten()
            .flatten();
        let all = tasks.flat_map(|task| sockets(&task.path().join("fd")));
        all.map(|(_, name)| name).collect::<BTreeSet<_>>()
    };
    let mut hidden = of_threads();
    hidden.retain(|name| own.iter().all(|(_, other)| other != name));
    if hidden.is_empty() {
        return false;
    }
    // One that was opened just now is the process's too, and one that was closed is nobody's.
    for (_, name) in sockets(&folder.join("fd")) {
        hidden.remove(&name);
    }
    let later = of_threads();
    hidden.iter().any(|name| later.contains(name))
}

/// The sockets among the files of a process or thread: number and name.
fn sockets(folder: &Path) -> Vec<(i32, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sockets = entries.filter_map(|entry| {
        let name = fs::read_link(entry.path()).ok()?;
        let number = entry.file_name().to_str()?.parse().ok()?;
        let is_socket = name
            .to_str()
            .is_some_and(|name| name.starts_with("socket:"));
        is_socket.then_some((number, name))
    });
    sockets.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_free_when_neither_version_of_ip_has_it() {
        let addresses: [SocketAddr; 3] = [
            (Ipv4Addr::UNSPECIFIED, 0).into(),
            (Ipv4Addr::LOCALHOST, 0).into(),
            (Ipv6Addr::LOCALHOST, 0).into(),
        ];
        for address in addresses {
            let Ok(held) = TcpListener::bind(address) else {
                continue;
            };
            let port = held.local_addr().expect("bound").port();
            assert!(!is_free(port), "{address}");
            drop(held);
            assert!(is_free(port), "{address}");
            assert!(!is_open(port, None), "nothing listens");
        }
    }
}
