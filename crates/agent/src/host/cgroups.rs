//! Groups of processes with limits: cgroups of version 2, or of version 1, whichever the machine
//! keeps its cpu, memory and pids in.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::processes::Process;
use super::{HostError, at, read_if_there};
use crate::lease::Limits;

const ROOT: &str = "/sys/fs/cgroup";
const CPU_PERIOD_MICROS: u64 = 100_000;

/// The groups of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroups {
    version: Version,
    /// One folder for all, or of version 1 one a controller, the freezer's first.
    roots: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Cgroups {
    /// Finds out how the machine keeps them; `None` where it has no limits for cpu, memory and
    /// number of processes.
    pub fn detect() -> Option<Self> {
        Self::below(Path::new(ROOT))
    }

    fn below(root: &Path) -> Option<Self> {
        let controllers = read_if_there(&root.join("cgroup.controllers")).ok()?;
        let controllers: Vec<&str> = controllers.split_whitespace().collect();
        if ["cpu", "memory", "pids"]
            .iter()
            .all(|one| controllers.contains(one))
        {
            return Some(Self {
                version: Version::Two,
                roots: vec![root.to_owned()],
            });
        }
        let roots = ["freezer", "cpu", "memory", "pids"].map(|one| root.join(one));
        let all = roots.iter().all(|root| root.join("cgroup.procs").exists());
        all.then(|| Self {
            version: Version::One,
            roots: roots.into(),
        })
    }

    /// `v1` or `v2`.
    pub fn version(&self) -> &'static str {
        match self.version {
            Version::One => "v1",
            Version::Two => "v2",
        }
    }

    /// The folders of a group: whoever writes 0 to the `cgroup.procs` of each is in it.
    pub fn folders(&self, group: &str) -> Vec<PathBuf> {
        self.roots.iter().map(|root| root.join(group)).collect()
    }

    /// Makes a group, and those above it, with these limits.
    pub(super) fn make(&self, group: &str, limits: &Limits) -> Result<(), HostError> {
        for folder in self.folders(group) {
            fs::create_dir_all(&folder).map_err(at(folder.display()))?;
        }
        if self.version == Version::Two {
            // A group has controllers only if each above it hands them down.
            let mut above = PathBuf::new();
            for part in Path::new(group) {
                let file = self.roots[0].join(&above).join("cgroup.subtree_control");
                fs::write(&file, "+cpu +memory +pids").map_err(at(file.display()))?;
                above.push(part);
            }
        }
        for (folder, name, value, needed) in self.settings(limits) {
            let file = self.roots[folder].join(group).join(name);
            if needed || file.exists() {
                fs::write(&file, value).map_err(at(file.display()))?;
            }
        }
        Ok(())
    }

    /// What is written where: the folder's place among the roots, the file, the value, and
    /// whether it has to be there.
    fn settings(&self, limits: &Limits) -> Vec<(usize, &'static str, String, bool)> {
        let quota = u64::from(limits.cpu_millis) * CPU_PERIOD_MICROS / 1_000;
        let memory = (u64::from(limits.memory_mib) << 20).to_string();
        let processes = limits.processes.to_string();
        match self.version {
            Version::One => vec![
                (1, "cpu.cfs_period_us", CPU_PERIOD_MICROS.to_string(), true),
                (1, "cpu.cfs_quota_us", quota.to_string(), true),
                (2, "memory.limit_in_bytes", memory.clone(), true),
                // Kernels without accounting of swap do not have it.
                (2, "memory.memsw.limit_in_bytes", memory, false),
                (3, "pids.max", processes, true),
            ],
            Version::Two => vec![
                (0, "cpu.max", format!("{quota} {CPU_PERIOD_MICROS}"), true),
                (0, "memory.max", memory, true),
                (0, "memory.swap.max", "0".to_owned(), false),
                (0, "pids.max", processes, true),
            ],
        }
    }

    /// The processes of a group, by any of its folders.
    pub(super) fn processes(&self, group: &str) -> Result<Vec<Pid>, HostError> {
        let mut found = Vec::new();
        for folder in self.folders(group) {
            let file = folder.join("cgroup.procs");
            let text = read_if_there(&file).map_err(at(file.display()))?;
            let pids = text.lines().filter_map(|line| line.parse().ok());
            found.extend(pids.map(Pid::from_raw));
        }
        found.sort_unstable();
        found.dedup();
        // Another namespace's processes have no number here, and are not ours to end.
        found.retain(|pid| pid.as_raw() > 0);
        Ok(found)
    }

    /// Puts processes that are not there into a group, where it is there.
    pub(super) fn join(&self, group: &str, processes: &[Process]) -> Result<(), HostError> {
        for folder in self.folders(group) {
            let file = folder.join("cgroup.procs");
            let text = match fs::read_to_string(&file) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(at(file.display()))?,
            };
            let there: BTreeSet<&str> = text.lines().collect();
            for process in processes {
                let pid = process.pid.to_string();
                if there.contains(pid.as_str()) {
                    continue;
                }
                match fs::write(&file, &pid) {
                    // It ended by itself meanwhile.
                    Err(error) if error.raw_os_error() == Some(Errno::ESRCH as i32) => {}
                    other => other.map_err(at(file.display()))?,
                }
            }
        }
        Ok(())
    }

    /// Ends every process of a group. They are stopped first where that can be, so that none
    /// starts another meanwhile.
    pub(super) fn kill(&self, group: &str) -> Result<(), HostError> {
        match self.version {
            Version::Two => {
                let file = self.roots[0].join(group).join("cgroup.kill");
                match fs::write(&file, "1") {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        // Linux before 5.14, or no such group.
                        self.signal(group)
                    }
                    other => other.map_err(at(file.display())),
                }
            }
            Version::One => {
                let file = self.roots[0].join(group).join("freezer.state");
                if !file.exists() {
                    return self.signal(group);
                }
                fs::write(&file, "FROZEN").map_err(at(file.display()))?;
                freeze(&file)?;
                let signalled = self.signal(group);
                fs::write(&file, "THAWED").map_err(at(file.display()))?;
                signalled
            }
        }
    }

    fn signal(&self, group: &str) -> Result<(), HostError> {
        for pid in self.processes(group)? {
            // One that ended by itself meanwhile is as well.
            let _ = kill(pid, Signal::SIGKILL);
        }
        Ok(())
    }

    /// Removes a group without processes.
    pub(super) fn remove(&self, group: &str) -> Result<(), HostError> {
        for folder in self.folders(group) {
            let mut tries = 0;
            loop {
                match fs::remove_dir(&folder) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                    // The kernel lets go of a process's group a little after the process ended.
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy && tries < 100 => {
                        tries += 1;
                        thread::sleep(Duration::from_millis(20));
                    }
                    other => {
                        other.map_err(at(folder.display()))?;
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Waits until all of a group have stopped, for a while: one that the system holds does not stop.
fn freeze(state: &Path) -> Result<(), HostError> {
    for _ in 0..50 {
        let text = read_if_there(state).map_err(at(state.display()))?;
        if text.trim() != "FREEZING" {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        cpu_millis: 1_500,
        memory_mib: 64,
        processes: 30,
    };

    /// Which version a machine has is told by what lies there.
    #[test]
    fn the_version_is_found_by_what_lies_there() {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path();
        assert_eq!(Cgroups::below(root), None);
        for one in ["freezer", "cpu", "memory", "pids"] {
            fs::create_dir(root.join(one)).expect("a folder");
            assert_eq!(Cgroups::below(root), None, "without {one}");
            fs::write(root.join(one).join("cgroup.procs"), "").expect("a file");
        }
        assert_eq!(Cgroups::below(root).expect("version 1").version(), "v1");
        // Both at once: what the controllers are in counts.
        fs::write(root.join("cgroup.controllers"), "hugetlb").expect("a file");
        assert_eq!(Cgroups::below(root).expect("version 1").version(), "v1");
        fs::write(root.join("cgroup.controllers"), "cpuset cpu io memory pids").expect("a file");
        assert_eq!(Cgroups::below(root).expect("version 2").version(), "v2");
    }

    #[test]
    fn limits_are_written_as_the_kernel_documents_them() {
        let of = |version| {
            Cgroups {
                version,
                roots: Vec::new(),
            }
            .settings(&LIMITS)
        };
        let two: Vec<_> = of(Version::Two)
            .into_iter()
            .map(|one| (one.1, one.2))
            .collect();
        let expected = [
            ("cpu.max", "150000 100000"),
            ("memory.max", "67108864"),
            ("memory.swap.max", "0"),
            ("pids.max", "30"),
        ];
        assert_eq!(two, expected.map(|(name, value)| (name, value.to_owned())));
        let one = of(Version::One);
        assert!(one.contains(&(1, "cpu.cfs_quota_us", "150000".to_owned(), true)));
    }
}
