//! What Slurm is asked and told, by its own programs: `scontrol`, `squeue`, `sbatch`, `scancel`.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Slurm;
use crate::host::{HostError, at};
use crate::program::within;

/// States of a node, or marks on them, in which it is not there for a lease. The first stand
/// alone, the others behind a `+`.
const NOT_WELL: [&str; 14] = [
    "DOWN",
    "ERROR",
    "FUTURE",
    "UNKNOWN",
    "DRAIN",
    "FAIL",
    "INVALID_REG",
    "MAINTENANCE",
    "NOT_RESPONDING",
    "POWERED_DOWN",
    "POWERING_DOWN",
    "POWERING_UP",
    "REBOOT_ISSUED",
    "REBOOT_REQUESTED",
];

/// States of a job that holds or may yet get its processors.
const LIVE: [&str; 13] = [
    "PENDING",
    "CONFIGURING",
    "RUNNING",
    "COMPLETING",
    "SUSPENDED",
    "STOPPED",
    "RESIZING",
    "REQUEUED",
    "REQUEUE_FED",
    "REQUEUE_HOLD",
    "RESV_DEL_HOLD",
    "SIGNALING",
    "STAGE_OUT",
];

/// How long a program of Slurm's may take; they would try for longer.
const LONGEST_ANSWER: Duration = Duration::from_secs(5);
/// How long after a program got no answer none is asked.
const SILENCE: Duration = Duration::from_secs(10);

/// When Slurm last did not answer.
#[derive(Clone, Debug, Default)]
pub struct Silent(Arc<Mutex<Option<Instant>>>);

impl Silent {
    fn is_recent(&self) -> bool {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() < SILENCE)
    }

    fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

/// `Name=value` by name, as `scontrol --oneliner show` prints one thing.
pub(super) struct Entry(BTreeMap<String, String>);

impl Entry {
    fn read(line: &str) -> Self {
        let words = line.split_whitespace();
        let fields = words.filter_map(|word| word.split_once('='));
        Self(
            fields
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// A field; empty where it is not there.
    pub(super) fn field(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Of a node: whether it is there for a lease.
    pub(super) fn is_well(&self) -> bool {
        let state = self.field("State");
        let mut marks = state.split('+');
        // `*` is what Slurm 20 and older write for a node that does not answer.
        !state.is_empty() && !state.contains('*') && !marks.any(|mark| NOT_WELL.contains(&mark))
    }

    /// Of a partition: whether an account that has nothing but a reservation could start jobs
    /// there without it.
    pub(super) fn is_open(&self) -> bool {
        self.field("ReqResv") == "NO"
            && self.field("RootOnly") == "NO"
            && self.field("State") == "UP"
            && self.field("AllowGroups") == "ALL"
    }
}

/// A job, as `squeue` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) number: u32,
    pub(super) state: String,
    pub(super) reservation: String,
    pub(super) limit: String,
    pub(super) name: String,
    pub(super) reason: String,
}

/// The columns of [`Job`].
const COLUMNS: &str = "%A|%T|%v|%l|%j|%r";

impl Job {
    /// Whether it holds or may yet get its processors.
    pub(super) fn is_live(&self) -> bool {
        LIVE.contains(&self.state.as_str())
    }

    pub(super) fn is_running(&self) -> bool {
        self.state == "RUNNING"
    }

    /// Reads a line; a name may have any character in it.
    fn read(line: &str) -> Option<Self> {
        let mut words = line.splitn(5, '|');
        let number = words.next()?.trim().parse().ok()?;
        let mut word = || words.next().map(str::to_owned);
        let (state, reservation, limit) = (word()?, word()?, word()?);
        let (name, reason) = words.next()?.rsplit_once('|')?;
        Some(Self {
            number,
            state,
            reservation,
            limit,
            name: name.to_owned(),
            reason: reason.to_owned(),
        })
    }
}

impl Slurm {
    /// Runs a program of Slurm's, without a shell, and gives what it printed.
    ///
    /// Nothing of the agent's own environment goes with it: it could change what is meant, and a
    /// job would be given it. A controller that is not there is waited for only so long, and once
    /// for all that is asked soon after: other leases have their ends too.
    pub(super) fn ask(&self, program: &str, arguments: &[&str]) -> Result<String, HostError> {
        let silence = || HostError::Program {
            program: program.to_owned(),
            said: "Slurm does not answer".to_owned(),
        };
        if self.silent.is_recent() {
            return Err(silence());
        }
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C");
        if let Some(conf) = &self.conf {
            command.env("SLURM_CONF", conf);
        }
        let done = within(&mut command, LONGEST_ANSWER).map_err(at(program))?;
        let Some(done) = done else {
            self.silent.begin();
            return Err(silence());
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        let (status, printed) = (done.status, text(&done.stdout));
        if status.success() {
            return Ok(printed);
        }
        let said = [printed, text(&done.stderr)].join(" ");
        if said.contains("Unable to contact slurm controller") {
            self.silent.begin();
        }
        Err(HostError::Program {
            program: program.to_owned(),
            said: format!("{} ({status})", said.trim()),
        })
    }

    fn show(&self, what: &[&str]) -> Result<Vec<Entry>, HostError> {
        let mut arguments = vec!["--oneliner", "show"];
        arguments.extend(what);
        let said = self.ask("scontrol", &arguments)?;
        Ok(said.lines().map(Entry::read).collect())
    }

    /// This machine, as Slurm sees it.
    pub(super) fn node(&self) -> Result<Entry, HostError> {
        let mut found = self.show(&["node", &self.node])?;
        let found = found.pop().filter(|one| one.field("NodeName") == self.node);
        found.ok_or_else(|| said(format!("there is no node {}", self.node)))
    }

    /// The partitions of the cluster.
    pub(super) fn partitions(&self) -> Result<Vec<Entry>, HostError> {
        self.show(&["partition"])
    }

    /// A reservation, where there is one.
    pub(super) fn reservation(&self, name: &str) -> Result<Option<Entry>, HostError> {
        match self.show(&["reservation", name]) {
            Err(HostError::Program { said, .. }) if said.contains("not found") => Ok(None),
            other => {
                let of_name = |one: &Entry| one.field("ReservationName") == name;
                Ok(other?.into_iter().find(of_name))
            }
        }
    }

    /// The jobs of an account that Slurm knows of, those that have ended not long ago included.
    pub(super) fn jobs(&self, account: &str) -> Result<Vec<Job>, HostError> {
        let (user, format) = (format!("--user={account}"), format!("--format={COLUMNS}"));
        let said = self.ask("squeue", &["--noheader", "--states=all", &user, &format]);
        match said {
            // An account is removed only once it was seen to have none.
            Err(HostError::Program { said, .. }) if said.contains("Invalid user") => Ok(Vec::new()),
            other => Ok(other?.lines().filter_map(Job::read).collect()),
        }
    }
}

/// Something that Slurm's programs did not say themselves.
pub(super) fn said(said: String) -> HostError {
    HostError::Program {
        program: "slurm".to_owned(),
        said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_well_when_nothing_is_said_against_it() {
        let well =
            |state: &str| Entry::read(&format!("NodeName=n1 State={state} Weight=1")).is_well();
        for there in [
            "IDLE",
            "MIXED",
            "ALLOCATED",
            "IDLE+CLOUD",
            "IDLE+RESERVED",
            "MIXED+PLANNED",
        ] {
            assert!(well(there), "{there}");
        }
        for gone in [
            "",
            "DOWN",
            "DOWN*",
            "IDLE*",
            "IDLE+DRAIN",
            "MIXED+DRAIN",
            "IDLE+NOT_RESPONDING",
            "DOWN+NOT_RESPONDING",
            "UNKNOWN",
            "IDLE+MAINTENANCE",
        ] {
            assert!(!well(gone), "{gone}");
        }
    }

    #[test]
    fn a_partition_is_open_unless_it_asks_for_a_reservation_or_a_group() {
        let open = |fields: &str| Entry::read(&format!("PartitionName=p {fields}")).is_open();
        let all = "AllowGroups=ALL RootOnly=NO ReqResv=NO State=UP";
        assert!(open(all));
        for (what, kept) in [
            ("ReqResv=NO", "ReqResv=YES"),
            ("AllowGroups=ALL", "AllowGroups=staff"),
            ("RootOnly=NO", "RootOnly=YES"),
            ("State=UP", "State=DOWN"),
        ] {
            assert!(!open(&all.replace(what, kept)), "{kept}");
        }
    }

    /// A holder names their jobs as they like; it changes nothing of what else is read.
    #[test]
    fn a_job_is_read_whatever_it_is_named() {
        let read = |name: &str| Job::read(&format!("12|RUNNING|sluice-l1-n1|1:00|{name}|None"));
        for name in ["sluice-l1-n1", "a|b|PENDING", "", "|"] {
            let job = read(name).expect("it is one");
            assert_eq!((job.number, job.name.as_str()), (12, name));
            assert_eq!((job.reason.as_str(), job.is_running()), ("None", true));
        }
        assert_eq!(Job::read("12|RUNNING|r"), None);
    }
}
