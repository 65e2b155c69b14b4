//! What a lease sees from inside: what `sluice-agent look` prints where a probe of the exchange
//! signs in. It runs as the lease's account, in its group of processes, so it finds what the
//! holder would find; and it takes nothing that the holder could set: no arguments, no settings,
//! no file of the home.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::sys::prctl::set_dumpable;
use nix::unistd::{User, geteuid};
use serde::{Deserialize, Serialize};

use crate::inventory::{Accelerator, Needs, accelerators, memory_mib};
use crate::messages::VERSION;

/// How long an accelerator's program may take: a probe waits ten seconds for all of it.
const PATIENCE: Duration = Duration::from_secs(4);
/// The most accelerators that are told, and of each problem the most characters: a look is a few
/// KiB at most.
const MOST: usize = 32;
const LONGEST: usize = 200;

/// What a lease sees from inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// [`VERSION`].
    pub version: u64,
    /// The name of the account that it ran as.
    pub account: String,
    /// Each accelerator.
    pub accelerators: Vec<Accelerator>,
    /// Whole processors that the lease may use all the time.
    pub cpus: u64,
    /// Memory that it may use, in MiB.
    pub memory_mib: u64,
    /// What could not be asked, and why.
    pub problems: Vec<String>,
}

impl Look {
    /// Looks.
    ///
    /// # Errors
    /// The system does not say what memory or processors there are.
    pub fn take() -> io::Result<Self> {
        // Other processes of the lease are of the same account: they are not to trace this one.
        set_dumpable(false)?;
        let user = geteuid();
        let account = User::from_uid(user)?.map_or_else(|| user.to_string(), |user| user.name);
        let (mut accelerators, mut problems) = accelerators(PATIENCE);
        accelerators.truncate(MOST);
        problems.truncate(MOST);
        for problem in &mut problems {
            let end = problem.char_indices().nth(LONGEST).map(|(at, _)| at);
            problem.truncate(end.unwrap_or(problem.len()));
        }
        let memory = memory_mib()?;
        let limit = memory_limit_mib(Path::new("/proc/self/cgroup"), Path::new("/sys/fs/cgroup"));
        Ok(Self {
            version: VERSION,
            account,
            accelerators,
            // What the group's quota leaves is counted in.
            cpus: thread::available_parallelism()?.get() as u64,
            memory_mib: limit.map_or(memory, |limit| limit.min(memory)),
            problems,
        })
    }

    /// What is lacking for a grade, each in a sentence; nothing when it is the grade.
    pub fn lacks(&self, needs: &Needs) -> Vec<String> {
        needs.lacking(&self.accelerators, self.cpus, self.memory_mib)
    }
}

/// The least of the limits of memory that a process's group and those above it have; `None` where
/// there is none.
///
/// # Arguments
/// `own` lists the process's groups as `/proc/self/cgroup` does; `root` is where groups are.
fn memory_limit_mib(own: &Path, root: &Path) -> Option<u64> {
    let text = fs::read_to_string(own).ok()?;
    let groups = text.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, group) = (parts.next()?, parts.next()?);
        let group = group.trim_start_matches('/').to_owned();
        if controllers.is_empty() {
            return Some((root.to_owned(), "memory.max", group));
        }
        let of_memory = controllers.split(',').any(|one| one == "memory");
        of_memory.then(|| (root.join("memory"), "memory.limit_in_bytes", group))
    });
    let limits = groups.flat_map(|(root, file, group)| {
        let all: Vec<_> = Path::new(&group).ancestors().map(Path::to_owned).collect();
        let read = move |group| fs::read_to_string(root.join(group).join(file)).ok();
        all.into_iter().filter_map(read).collect::<Vec<_>>()
    });
    let bytes = limits.filter_map(|text| text.trim().parse::<u64>().ok());
    bytes.map(|bytes| bytes >> 20).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_finds_the_account_and_fits_a_few_kib() {
        let look = Look::take().expect("the system says");
        assert!(!look.account.is_empty() && look.cpus > 0 && look.memory_mib > 0);
        let text = serde_json::to_string(&look).expect("JSON");
        assert!(text.len() < 16 << 10, "{}", text.len());
        assert_eq!(
            serde_json::from_str::<Look>(&text).expect("it is read"),
            look
        );
        let needs = |cpus| Needs {
            units: 1,
            cpus,
            ..Needs::default()
        };
        assert_eq!(look.lacks(&needs(1)), Vec::<String>::new());
        assert_eq!(look.lacks(&needs(1_000_000)).len(), 1);
    }

    #[test]
    fn the_least_limit_of_the_group_and_those_above_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let own = root.join("own");
        let limit = |text: &str| {
            fs::write(&own, text).expect("it is written");
            memory_limit_mib(&own, root)
        };
        let set = |file: &str, value: &str| {
            let file = root.join(file);
            fs::create_dir_all(file.parent().expect("a folder")).expect("it is made");
            fs::write(file, value).expect("it is written");
        };
        set("sluice/l12/memory.max", "max\n");
        assert_eq!(limit("0::/sluice/l12\n"), None, "without a limit");
        set("sluice/l12/memory.max", "536870912\n");
        assert_eq!(limit("0::/sluice/l12\n"), Some(512));
        set("sluice/memory.max", "268435456\n");
        assert_eq!(limit("0::/sluice/l12\n"), Some(256), "one above is lower");
        // Version 1: the group of the controller, wherever others are.
        set("memory/sluice/l12/memory.limit_in_bytes", "134217728\n");
        set("memory/memory.limit_in_bytes", "9223372036854771712\n");
        let one = "5:cpu,cpuacct:/elsewhere\n4:memory:/sluice/l12\n";
        assert_eq!(limit(one), Some(128));
        assert_eq!(limit("3:pids:/sluice/l12\n"), None);
    }
}
