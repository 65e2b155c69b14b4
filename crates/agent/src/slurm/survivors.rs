//! What runs of a lease on this machine whatever Slurm says: by the account, and by the groups of
//! processes that `proctrack/cgroup` keeps for jobs, in cgroups of version 1 or 2.

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::processes::{self, Process};
use crate::host::{HostError, at};

/// A process that should not be there any more.
pub(super) struct Survivor {
    pid: Pid,
    pub(super) name: String,
    /// Whether it is the account's, or another's in the group of a job.
    pub(super) of_account: bool,
    /// The job that it is of: by its group of processes, else by what it was started with.
    pub(super) job: Option<u32>,
}

/// The processes of the account, and those of others in the groups of these jobs: a program that
/// changed its user, or one with users of its own. Slurm's `slurmstepd`, root's, is there as well
/// and is left to Slurm.
pub(super) fn find(uid: u32, jobs: &[u32]) -> Result<Vec<Survivor>, HostError> {
    let of_account = processes::of(uid).map_err(at("/proc"))?;
    let others = processes::find(|folder, uids| {
        let other = !uids.contains(&uid) && uids.iter().any(|uid| *uid != 0);
        other && in_group(folder, jobs).is_some()
    });
    let others = others.map_err(at("/proc"))?;
    let survivor = |process: Process, of_account| {
        let folder = Path::new("/proc").join(process.pid.to_string());
        Survivor {
            pid: process.pid,
            name: process.name,
            of_account,
            job: in_group(&folder, jobs).or_else(|| started_in(&folder, jobs)),
        }
    };
    let of_account = of_account.into_iter().map(|one| survivor(one, true));
    let others = others.into_iter().map(|one| survivor(one, false));
    Ok(of_account.chain(others).collect())
}

/// Ends them.
pub(super) fn end(survivors: &[Survivor]) {
    for survivor in survivors {
        // One that ended by itself meanwhile is as well.
        let _ = kill(survivor.pid, Signal::SIGKILL);
    }
}

/// Those of `later` that were there before.
pub(super) fn still(before: &[Survivor], mut later: Vec<Survivor>) -> Vec<Survivor> {
    later.retain(|one| before.iter().any(|other| other.pid == one.pid));
    later
}

fn in_group(folder: &Path, jobs: &[u32]) -> Option<u32> {
    let text = fs::read_to_string(folder.join("cgroup")).ok()?;
    of_job(&text, jobs)
}

/// The job whose group is among these, as `/proc/…/cgroup` lists them.
fn of_job(groups: &str, jobs: &[u32]) -> Option<u32> {
    let paths = groups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let of_slurm = paths.filter(|path| path.contains("slurm"));
    let mut parts = of_slurm.flat_map(|path| path.split('/'));
    parts.find_map(|part| {
        let number = part.strip_prefix("job_")?.parse().ok()?;
        jobs.contains(&number).then_some(number)
    })
}

fn started_in(folder: &Path, jobs: &[u32]) -> Option<u32> {
    let text = fs::read(folder.join("environ")).ok()?;
    of_step(&text, jobs)
}

/// The job that a process was started in, by its environment. What the holder's sessions start has
/// the job's number there too, and no place in it.
fn of_step(environment: &[u8], jobs: &[u32]) -> Option<u32> {
    let value = |name: &[u8]| {
        let mut variables = environment.split(|byte| *byte == 0);
        variables.find_map(|one| one.strip_prefix(name)?.strip_prefix(b"="))
    };
    value(b"SLURM_PROCID")?;
    let number = std::str::from_utf8(value(b"SLURM_JOB_ID")?).ok()?;
    let number = number.parse().ok()?;
    jobs.contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_known_by_its_group_in_either_version() {
        let one = "9:memory:/elsewhere/job_7\n6:freezer:/slurm_n1/uid_66101/job_5/step_0\n0::/\n";
        assert_eq!(of_job(one, &[5]), Some(5));
        assert_eq!(of_job(one, &[7]), None, "not Slurm's");
        let two = "0::/system.slice/n1_slurmstepd.scope/job_12/step_batch/user/task_0\n";
        assert_eq!(of_job(two, &[5, 12]), Some(12));
        assert_eq!(of_job(two, &[1]), None);
        assert_eq!(of_job("0::/sluice/l5\n", &[5]), None);
    }

    #[test]
    fn a_job_is_known_by_what_a_step_was_started_with() {
        assert_eq!(
            of_step(b"A=1\0SLURM_JOB_ID=5\0SLURM_PROCID=0\0", &[5]),
            Some(5)
        );
        assert_eq!(of_step(b"SLURM_JOB_ID=5\0SLURM_PROCID=0\0", &[6]), None);
        assert_eq!(of_step(b"SLURM_JOB_ID=5\0A=1\0", &[5]), None, "a session");
        assert_eq!(of_step(b"", &[5]), None);
    }
}
