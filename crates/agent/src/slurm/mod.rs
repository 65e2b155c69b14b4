//! The Slurm connector: leases on one node of a Slurm cluster.
//!
//! A lease is an account with a way in, as the host connector makes them, and in Slurm a
//! reservation of this node's processors for that account alone and a job inside it. Whoever signs
//! in has the job's number in their environment, so a plain `srun` starts steps of it.
//!
//! At the end Slurm is told to end it all, and is not believed: the machine's own processes are
//! looked through, and what Slurm forgot is ended and named, with what Slurm said of its job.
//!
//! Reservation and job are found again by their name, which follows from the lease's number and
//! the node. The numbers of jobs are on disk as well: once a job is over Slurm forgets it.

mod ask;
mod survivors;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::ask::{Entry, Job, said};
use crate::folder::write_whole;
use crate::host::{Host, HostError, Variable, account_name, at, running};
use crate::lease::{Access, Closed, EndedJob, Lease, MOST_NAMES, Wiped, note};

pub use self::ask::Silent;

/// How long a job may take to start, once its hours have begun, before that is an error. It is
/// looked at again at the next look.
const LONGEST_START: Duration = Duration::from_secs(5);
/// How long Slurm is waited for when it is to end jobs. What runs then is ended without it.
const LONGEST_END: Duration = Duration::from_secs(6);
/// The longest time limit with which a job is handed in, in minutes: it has to fit into the
/// reservation to start at all. Once it runs it has none, and ends with the reservation.
const FIRST_MINUTES: i64 = 5;

/// This node, and what a unit of it is.
#[derive(Clone, Debug)]
pub struct Slurm {
    /// Accounts, homes and ways in.
    pub host: Host,
    /// This machine's name in Slurm.
    pub node: String,
    /// The partition that leases are in.
    pub partition: String,
    /// Processors of a unit, as Slurm counts them.
    pub cpus: u32,
    /// What else a unit has one of: `gpu`, or `gpu:a100`.
    pub gres: Option<String>,
    /// Slurm's settings, where they are not in their usual place.
    pub conf: Option<PathBuf>,
    /// Whether Slurm answered.
    pub silent: Silent,
}

/// What is known of a lease's part in Slurm on disk, beside the host's record.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Record {
    /// From when to when the reservation was last asked for.
    reserved: Option<(Timestamp, Timestamp)>,
    /// The job that the holder's steps are of.
    job: Option<u32>,
    /// Whether that job was seen running.
    ran: bool,
    /// Every job that was to be ended, and how that went.
    ended: Vec<EndedJob>,
    /// The names of processes of jobs that were not the account's and outlived them.
    others: Vec<String>,
    /// How many those were.
    #[serde(default)]
    others_count: u64,
}

impl Slurm {
    /// Lets the holder in, reserves and starts. The same again changes what is different.
    ///
    /// Before the lease's start the reservation is there and the job waits for it.
    ///
    /// # Arguments
    /// `now` is the exchange's time. Slurm is told times from now on, not by the clock.
    ///
    /// # Errors
    /// Something of it could not be done; what was done stays, and is gone after a wipe.
    pub fn prepare(&self, lease: &Lease, now: Timestamp) -> Result<Access, HostError> {
        self.host.let_in(lease, |account| {
            self.check()?;
            let mut record = self.load(lease.lease)?;
            self.reserve(lease, now, account, &mut record)?;
            let job = self.start(lease, now, account, &mut record)?;
            Ok(self.environment(lease.lease, job))
        })
    }

    /// How many units run and let the holder in, now: all or none.
    ///
    /// All, when the way in is open, the node is neither drained nor down, the reservation is
    /// active for the account, and the job runs in it. A holder can end the job, or start others
    /// in its place: their lease is there all the same.
    pub fn units(&self, lease: &Lease, now: Timestamp) -> u32 {
        if self.host.units(lease) == 0 {
            return 0;
        }
        let there = self.is_there(lease, now).unwrap_or(false);
        if there { lease.units } else { 0 }
    }

    fn is_there(&self, lease: &Lease, now: Timestamp) -> Result<bool, HostError> {
        let (account, name) = (account_name(lease.lease), self.name(lease.lease));
        let Some(reservation) = self.reservation(&name)? else {
            return Ok(false);
        };
        if !self.node()?.is_well() || !self.is_own(&reservation, &account) {
            return Ok(false);
        }
        if now < lease.start {
            return Ok(true);
        }
        let record = self.load(lease.lease)?;
        let jobs = self.jobs(&account)?;
        let here = |job: &&Job| job.reservation == name && job.is_running();
        let ended_by_holder = |job: &Job| {
            let ended = ["CANCELLED", "COMPLETED", "FAILED", "OUT_OF_MEMORY"];
            record.ran && ended.contains(&job.state.as_str())
        };
        let own = jobs.iter().find(|job| Some(job.number) == record.job);
        let runs = jobs.iter().any(|job| here(&job)) || own.is_some_and(ended_by_holder);
        Ok(reservation.field("State") == "ACTIVE" && runs)
    }

    /// Ends access and everything that runs: the way in, jobs, the reservation, and what runs
    /// whatever Slurm says. Files stay.
    ///
    /// # Errors
    /// Something still runs, or Slurm could not be told. What runs is ended also then.
    pub fn close(&self, number: u64) -> Result<Closed, HostError> {
        let mut closed = self.host.end(number, |account, uid| {
            let mut record = self.load(number)?;
            let told = self.end_jobs(number, account, &mut record);
            self.note_survivors(number, uid, &mut record)?;
            told?;
            self.end_reservation(&self.name(number))
        })?;
        let record = self.load(number)?;
        closed.processes += record.others_count;
        closed.escaped_count += record.others_count;
        note(&mut closed.escaped, &record.others);
        closed.jobs = record.ended;
        closed.jobs.truncate(MOST_NAMES);
        Ok(closed)
    }

    /// Removes everything that the lease left, and looks once more.
    ///
    /// # Arguments
    /// `now` is when it is begun, and, looked at again, when it is done.
    ///
    /// # Errors
    /// Something of it is still there. `None` when the lease never was.
    pub fn wipe(
        &self,
        number: u64,
        now: impl Fn() -> Timestamp,
    ) -> Result<Option<Wiped>, HostError> {
        self.close(number)?;
        if !self.host.is_gone(number)? {
            let name = self.name(number);
            if self.reservation(&name)?.is_some() {
                return Err(HostError::Left(format!("the reservation {name}")));
            }
            if let Some(job) = self.live_jobs(number, &account_name(number))?.first() {
                return Err(HostError::Left(format!("the job {}", job.number)));
            }
        }
        self.host.wipe(number, now)
    }

    /// Whether Slurm is set so that leases can be handed out by it.
    fn check(&self) -> Result<(), HostError> {
        let node = self.node()?;
        let own = fs::read_to_string("/proc/sys/kernel/hostname").map_err(at("the hostname"))?;
        let first = |name: &str| name.trim().split('.').next().map(str::to_lowercase);
        let host = node.field("NodeHostName");
        if first(host) != first(&own) {
            let own = own.trim();
            let node = &self.node;
            return Err(said(format!("the node {node} is on {host}, this is {own}")));
        }
        let partitions = self.partitions()?;
        if let Some(open) = partitions.iter().find(|one| one.is_open()) {
            let name = open.field("PartitionName");
            return Err(said(format!(
                "a holder could start jobs in the partition {name} without a reservation: \
                 give it ReqResv=YES or AllowGroups in slurm.conf"
            )));
        }
        Ok(())
    }

    /// Makes the reservation, or changes its hours.
    fn reserve(
        &self,
        lease: &Lease,
        now: Timestamp,
        account: &str,
        record: &mut Record,
    ) -> Result<(), HostError> {
        let hours = (lease.start, lease.end);
        let name = format!("ReservationName={}", self.name(lease.lease));
        let end = format!("EndTime={}", from_now(now, lease.end));
        let start = format!("StartTime={}", from_now(now, lease.start));
        match self.reservation(&self.name(lease.lease))? {
            Some(found) if !self.is_own(&found, account) => {
                let name = self.name(lease.lease);
                return Err(said(format!("the reservation {name} is somebody else's")));
            }
            Some(_) if record.reserved == Some(hours) => return Ok(()),
            Some(found) if found.field("State") == "ACTIVE" => {
                self.ask("scontrol", &["update", &name, &end])?;
            }
            Some(_) => {
                self.ask("scontrol", &["update", &name, &start, &end])?;
            }
            None => {
                let users = format!("Users={account}");
                let partition = format!("PartitionName={}", self.partition);
                let nodes = format!("Nodes={}", self.node);
                let cores = format!("CoreCnt={}", self.cores(lease.units)?);
                let what = [&name, &users, &partition, &nodes, &cores, &start, &end];
                // Other leases' jobs have no time limit, and would stand in the way of the hours
                // after theirs. They keep to their own reservations, which are not overlooked.
                let mut arguments = vec!["create", "reservation", "Flags=IGNORE_JOBS"];
                arguments.extend(what.map(String::as_str));
                self.ask("scontrol", &arguments)?;
            }
        }
        record.reserved = Some(hours);
        self.save(lease.lease, record)
    }

    /// How many cores so many units are.
    fn cores(&self, units: u32) -> Result<u32, HostError> {
        let node = self.node()?;
        let threads = node.field("ThreadsPerCore").parse().unwrap_or(1);
        let cpus = units.checked_mul(self.cpus);
        let cpus = cpus.ok_or_else(|| said(format!("{units} units are too many")))?;
        Ok(cpus.div_ceil(threads))
    }

    fn is_own(&self, reservation: &Entry, account: &str) -> bool {
        let is = |name, value: &str| reservation.field(name) == value;
        is("Users", account) && is("Nodes", &self.node)
    }

    /// Starts the job where it does not run, and gives its number.
    fn start(
        &self,
        lease: &Lease,
        now: Timestamp,
        account: &str,
        record: &mut Record,
    ) -> Result<u32, HostError> {
        let name = self.name(lease.lease);
        let number = self.live_jobs(lease.lease, account)?;
        let own = |job: &&Job| job.name == name && job.state != "COMPLETING";
        // One that was handed in just before the agent was killed is known by its name only.
        let number = match number.iter().find(own) {
            Some(job) => job.number,
            None => self.hand_in(lease, now, account)?,
        };
        if record.job != Some(number) {
            record.job = Some(number);
            record.ran = false;
            self.save(lease.lease, record)?;
        }
        let began = Instant::now();
        loop {
            let jobs = self.jobs(account)?;
            let job = jobs.iter().find(|job| job.number == number);
            let job = job.ok_or_else(|| said(format!("the job {number} is gone")))?;
            if job.is_running() {
                return self.is_started(lease.lease, job, record);
            }
            let others = jobs.iter().filter(|job| job.reservation == name);
            let waits = job.state == "PENDING" || job.state == "CONFIGURING";
            if waits && (now < lease.start || others.clone().any(Job::is_running)) {
                return Ok(number);
            }
            if !waits || began.elapsed() > LONGEST_START {
                let (state, reason) = (&job.state, &job.reason);
                return Err(said(format!("the job {number} is {state}: {reason}")));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Takes the time limit from a job that runs, and notes that it does.
    fn is_started(&self, lease: u64, job: &Job, record: &mut Record) -> Result<u32, HostError> {
        if job.limit != "UNLIMITED" {
            let job = format!("JobId={}", job.number);
            self.ask("scontrol", &["update", &job, "TimeLimit=UNLIMITED"])?;
        }
        if !record.ran {
            record.ran = true;
            self.save(lease, record)?;
        }
        Ok(job.number)
    }

    /// Hands the lease's job in: one that sleeps, with all that the lease is to have.
    fn hand_in(&self, lease: &Lease, now: Timestamp, account: &str) -> Result<u32, HostError> {
        let name = self.name(lease.lease);
        let minutes = lease.end.duration_since(now.max(lease.start)).as_secs() / 60;
        let mut arguments = vec![
            "--parsable".to_owned(),
            "--no-requeue".to_owned(),
            "--output=/dev/null".to_owned(),
            "--chdir=/".to_owned(),
            format!("--uid={account}"),
            format!("--gid={account}"),
            format!("--job-name={name}"),
            format!("--reservation={name}"),
            format!("--partition={}", self.partition),
            format!("--nodelist={}", self.node),
            format!("--ntasks={}", lease.units),
            format!("--cpus-per-task={}", self.cpus),
            format!("--mem={}M", lease.limits.memory_mib),
            format!("--time={}", (minutes - 1).clamp(1, FIRST_MINUTES)),
        ];
        if let Some(gres) = &self.gres {
            arguments.push(format!("--gres={gres}:{}", lease.units));
        }
        arguments.push("--wrap=exec sleep infinity".to_owned());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let answer = self.ask("sbatch", &arguments)?;
        // With a cluster's name behind it where there are several.
        let number = answer.split(';').next().and_then(|one| one.parse().ok());
        number.ok_or_else(|| said(format!("this is no job's number: {answer}")))
    }

    /// What whoever signs in has in their environment: `srun` starts steps of the job, and
    /// `sbatch` jobs in the reservation.
    fn environment(&self, lease: u64, job: u32) -> Vec<Variable> {
        let conf = self.conf.as_ref();
        let conf = conf.map(|conf| ("SLURM_CONF", conf.display().to_string()));
        let mut all = vec![
            ("SLURM_JOB_ID", job.to_string()),
            ("SBATCH_RESERVATION", self.name(lease)),
        ];
        all.extend(conf);
        all
    }

    /// The account's jobs that hold or may yet get processors. Those of the same lease on another
    /// machine are that machine's.
    fn live_jobs(&self, number: u64, account: &str) -> Result<Vec<Job>, HostError> {
        let (own, elsewhere) = (self.name(number), format!("{account}-"));
        let mut jobs = self.jobs(account)?;
        jobs.retain(|job| {
            let other = job.reservation != own && job.reservation.starts_with(&elsewhere);
            job.is_live() && !other
        });
        Ok(jobs)
    }

    /// Ends the account's jobs, and writes down what Slurm said of them in the end.
    fn end_jobs(&self, number: u64, account: &str, record: &mut Record) -> Result<(), HostError> {
        let live = match self.live_jobs(number, account) {
            Ok(live) => live.into_iter().map(|job| job.number).collect(),
            Err(error) => {
                // The one that is known of stands in the evidence all the same.
                self.note(number, record.job.into_iter().collect(), record)?;
                return Err(error);
            }
        };
        self.note(number, live, record)?;
        let began = Instant::now();
        loop {
            let live = self.live_jobs(number, account)?;
            let numbers: Vec<String> = live.iter().map(|job| job.number.to_string()).collect();
            let ending = live.iter().all(|job| job.state == "COMPLETING");
            if !ending {
                let mut arguments = vec!["--quiet", "--full", "--signal=KILL"];
                arguments.extend(numbers.iter().map(String::as_str));
                // Of one that has not started there is nothing to be signalled.
                let _ = self.ask("scancel", &arguments);
                let mut arguments = vec!["--quiet"];
                arguments.extend(numbers.iter().map(String::as_str));
                self.ask("scancel", &arguments)?;
            }
            if live.is_empty() || began.elapsed() > LONGEST_END {
                break;
            }
            thread::sleep(Duration::from_millis(200));
        }
        for job in self.jobs(account)? {
            let mut ended = record.ended.iter_mut();
            if let Some(one) = ended.find(|one| one.job == job.number) {
                one.said = job.state;
            }
        }
        self.save(number, record)
    }

    /// Writes down which jobs are to end, before they do.
    fn note(&self, number: u64, jobs: Vec<u32>, record: &mut Record) -> Result<(), HostError> {
        for job in jobs {
            if !record.ended.iter().any(|one| one.job == job) {
                record.ended.push(EndedJob {
                    job,
                    said: "UNKNOWN".to_owned(),
                    alive: Vec::new(),
                });
            }
        }
        self.save(number, record)
    }

    /// Looks for what runs on and writes it down with the job that it is of. What is not the
    /// account's is ended here: the host, which ends the rest and names it, can't know it.
    fn note_survivors(&self, number: u64, uid: u32, record: &mut Record) -> Result<(), HostError> {
        let jobs: Vec<u32> = record.ended.iter().map(|one| one.job).collect();
        let first = survivors::find(uid, &jobs)?;
        if first.is_empty() {
            return Ok(());
        }
        // What is just about to end is no survivor.
        thread::sleep(Duration::from_millis(200));
        let mut found = survivors::still(&first, survivors::find(uid, &jobs)?);
        for one in &mut record.ended {
            let of_job = found.iter().filter(|other| other.job == Some(one.job));
            let names: Vec<String> = of_job.map(|other| other.name.clone()).collect();
            note(&mut one.alive, &names);
        }
        for _ in 0..100 {
            found.retain(|one| !one.of_account);
            if found.is_empty() {
                return self.save(number, record);
            }
            let names: Vec<String> = found.iter().map(|one| one.name.clone()).collect();
            record.others_count += names.len() as u64;
            note(&mut record.others, &names);
            self.save(number, record)?;
            survivors::end(&found);
            thread::sleep(Duration::from_millis(50));
            found = survivors::find(uid, &jobs)?;
        }
        Err(running(found.into_iter().map(|one| one.name)))
    }

    fn end_reservation(&self, name: &str) -> Result<(), HostError> {
        let argument = format!("ReservationName={name}");
        let deleted = self.ask("scontrol", &["delete", &argument]);
        if self.reservation(name)?.is_none() {
            return Ok(());
        }
        deleted?;
        Err(HostError::Left(format!("the reservation {name}")))
    }

    /// How reservation and job are named.
    fn name(&self, number: u64) -> String {
        format!("{}-{}", account_name(number), self.node)
    }

    fn load(&self, number: u64) -> Result<Record, HostError> {
        let path = self.host.folder(number).join("slurm.json");
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Record::default()),
            other => {
                let text = other.map_err(at(path.display()))?;
                serde_json::from_slice(&text).map_err(at(path.display()))
            }
        }
    }

    fn save(&self, number: u64, record: &Record) -> Result<(), HostError> {
        let path = self.host.folder(number).join("slurm.json");
        let text = serde_json::to_vec_pretty(record).expect("a record is JSON");
        write_whole(&path, 0o600, &text).map_err(at(path.display()))
    }
}

/// A time as Slurm is told it.
fn from_now(now: Timestamp, time: Timestamp) -> String {
    match time.duration_since(now).as_secs() {
        seconds @ 1.. => format!("now+{seconds}seconds"),
        _ => "now".to_owned(),
    }
}
