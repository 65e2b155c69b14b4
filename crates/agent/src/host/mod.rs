//! The host connector: leases on one Linux machine.
//!
//! A lease is an account, a home, a group of processes with limits (cgroup v1 or v2), and an
//! `sshd` of its own inside that group, which lets in the holder's keys, and those of probes to
//! look. Whatever the holder starts is in the group with it, so all of it is found and ended; what
//! got out of it by another way (a job of `cron`, say) is found by its account.
//!
//! Each act can be cut short at any point and done again. What it decided (the account's number,
//! the port, what was counted before the wipe) is on disk before it is acted upon; everything else
//! is looked up where it is.

mod account;
mod cgroups;
mod door;
mod error;
mod ipc;
mod ports;
pub(crate) mod processes;
mod sweep;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::folder::write_whole;
use crate::lease::{Access, Closed, LONGEST_NAME, Lease, MOST_NAMES, Wiped, printable};
use crate::program::within;

use self::processes::Process;
use self::sweep::Amount;

pub use cgroups::Cgroups;
pub use error::HostError;
pub(crate) use error::{at, running};
pub use processes::{enter, strike};

/// The first of the numbers that leases' accounts have: above those of people, below those that
/// are handed out for containers.
const FIRST_UID: u32 = 66_000;
const UIDS: u64 = 34_000;

/// Numbers and ports are chosen by one lease after another.
static CHOOSING: Mutex<()> = Mutex::new(());

/// How long a program may take. Those that change the system's files wait for each other.
const LONGEST_PROGRAM: Duration = Duration::from_secs(30);

/// Where else on a Debian machine an account can leave files.
pub const SHARED: [&str; 11] = [
    "/tmp",
    "/var/tmp",
    "/dev/shm",
    "/dev/mqueue",
    "/run/lock",
    "/run/screen",
    "/run/user",
    "/var/crash",
    "/var/mail",
    "/var/spool/cron/crontabs",
    "/var/spool/cron/atjobs",
];

/// Where on a machine leases are, and what they use of it.
#[derive(Clone, Debug)]
pub struct Host {
    /// A folder for what is known of each lease. Root's alone to write, all the way up.
    pub leases: PathBuf,
    /// Where homes are made.
    pub homes: PathBuf,
    /// Where else a holder could leave files.
    pub shared: Vec<PathBuf>,
    /// The ports of which each lease gets one.
    pub ports: RangeInclusive<u16>,
    /// The one address at which leases are let in; none for every address of the machine.
    pub listen: Option<IpAddr>,
    /// The name of the group of processes that holds those of all leases.
    pub group: String,
    /// This program: it starts again as a lease's first process, as its account's last, and as the
    /// account where a probe signs in, which has to be able to start it.
    pub program: PathBuf,
}

/// How a lease's account is named.
pub(crate) fn account_name(number: u64) -> String {
    format!("sluice-l{number}")
}

/// A name and a value in the environment of whoever signs in.
pub(crate) type Variable = (&'static str, String);

/// What is known of a lease on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    uid: u32,
    port: u16,
    stage: Stage,
    closed: Closed,
    /// What was in the home before the wipe began to remove it.
    found: Option<Found>,
    /// What was elsewhere, likewise.
    #[serde(default)]
    elsewhere: Option<Amount>,
    wiped: Option<Wiped>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Open,
    Closed,
    Wiping,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Found {
    began: Timestamp,
    #[serde(flatten)]
    amount: Amount,
}

/// Runs a program with these arguments, without a shell.
fn run(program: &str, arguments: &[&str]) -> Result<(), HostError> {
    run_within(LONGEST_PROGRAM, program, arguments)
}

/// The same, and no longer than so.
fn run_within(patience: Duration, program: &str, arguments: &[&str]) -> Result<(), HostError> {
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C");
    let done = within(&mut command, patience).map_err(at(program))?;
    let said = match done {
        Some(done) if done.status.success() => return Ok(()),
        Some(done) => {
            let text = String::from_utf8_lossy(&done.stderr).trim().to_owned();
            format!("{text} ({})", done.status)
        }
        None => format!("it did not end in {} s", patience.as_secs()),
    };
    Err(HostError::Program {
        program: program.to_owned(),
        said,
    })
}

impl Host {
    /// Lets the holder in. The same again changes what is different, such as the keys.
    ///
    /// # Errors
    /// Something of it could not be done; what was done stays, and is gone after a wipe.
    pub fn prepare(&self, lease: &Lease) -> Result<Access, HostError> {
        self.let_in(lease, |_| Ok(Vec::new()))
    }

    /// As [`Host::prepare`], with something done between the account and the way in, which gives
    /// what stands in the environment of whoever signs in.
    pub(crate) fn let_in(
        &self,
        lease: &Lease,
        between: impl FnOnce(&str) -> Result<Vec<Variable>, HostError>,
    ) -> Result<Access, HostError> {
        let number = lease.lease;
        let mut record = match self.load(number)? {
            Some(record) => record,
            None => self.begin(number)?,
        };
        if record.stage == Stage::Wiping {
            return Err(HostError::Wiped);
        }
        let cgroups = Cgroups::detect().ok_or(HostError::NoCgroups)?;
        let account = self.account(number, record.uid);
        account.make()?;
        if record.stage == Stage::Closed {
            account.renew()?;
            record.stage = Stage::Open;
            self.save(number, &record)?;
        }
        let environment = between(&account.name)?;
        cgroups.make(&self.group(number), &lease.limits)?;
        let door = self.door(number, record.port);
        door.make(&account, lease, &self.program, &environment)?;
        if !door.is_open(&cgroups, &self.group(number)) {
            self.open(&door, &cgroups, &self.group(number))?;
        }
        door.access(&account)
    }

    /// Opens a door. Where a holder's process has its port that is ended; it may be held anew.
    fn open(&self, door: &door::Door, cgroups: &Cgroups, group: &str) -> Result<(), HostError> {
        let is_open = || door.is_open(cgroups, group);
        let mut tries = 0;
        loop {
            door.shut(cgroups, group);
            if !ports::is_free(door.port) {
                self.clear(&(door.port..=door.port))?;
            }
            tries += 1;
            match door.open(&self.program, &cgroups.folders(group), is_open) {
                Err(_) if tries < 3 && !ports::is_free(door.port) => {}
                done => return done,
            }
        }
    }

    /// Ends what holders' processes hold these ports, says so, and notes it with their leases.
    fn clear(&self, ports: &RangeInclusive<u16>) -> Result<(), HostError> {
        let mut leases = BTreeMap::new();
        for number in self.known()? {
            let record = self.load(number)?.filter(|record| record.wiped.is_none());
            leases.extend(record.map(|record| (record.uid, (number, record.port))));
        }
        let door = |process: &Process| leases.get(&process.uid).map(|(_, port)| *port);
        let own = |uids: &[u32]| uids.first().is_some_and(|uid| leases.contains_key(uid));
        let all = processes::find(|_, uids| own(uids)).map_err(at("/proc"))?;
        for (process, port) in ports::clear(ports, &all, door) {
            let port = port.map_or("hidden".to_owned(), |port| port.to_string());
            let line = format!("{} {port}", printable(&process.name, LONGEST_NAME));
            let (number, _) = leases[&process.uid];
            eprintln!("sluice-agent: l{number}: ended for a door's port: {line}");
            self.note_port(number, &line)?;
        }
        Ok(())
    }

    fn note_port(&self, number: u64, line: &str) -> Result<(), HostError> {
        let path = self.folder(number).join("ports");
        let before = read_if_there(&path).map_err(at(path.display()))?;
        if before.lines().count() < MOST_NAMES {
            let text = format!("{before}{line}\n");
            write_whole(&path, 0o600, text.as_bytes()).map_err(at(path.display()))?;
        }
        Ok(())
    }

    /// How many units run and let the holder in, now: all or none.
    ///
    /// It is looked at from outside what the holder can use up: whoever exhausts the processes or
    /// the memory of their own lease has it all the same.
    pub fn units(&self, lease: &Lease) -> u32 {
        let there = |record: &Record| {
            let cgroups = Cgroups::detect()?;
            let door = self.door(lease.lease, record.port);
            let account = self.account(lease.lease, record.uid);
            let open = record.stage == Stage::Open && account.is_whole();
            (open && door.is_open(&cgroups, &self.group(lease.lease))).then_some(())
        };
        let record = self.load(lease.lease).ok().flatten();
        record.as_ref().and_then(there).map_or(0, |()| lease.units)
    }

    /// Ends access and everything that runs. Files stay.
    ///
    /// # Errors
    /// Something still runs, or could not be looked for.
    pub fn close(&self, number: u64) -> Result<Closed, HostError> {
        self.end(number, |_, _| Ok(()))
    }

    /// As [`Host::close`], with something done once the way in is shut and what came through it
    /// has ended, by the name of the account and its number. What runs after that is ended whether
    /// it could be done or not; the lease is closed only when it could.
    pub(crate) fn end(
        &self,
        number: u64,
        between: impl FnOnce(&str, u32) -> Result<(), HostError>,
    ) -> Result<Closed, HostError> {
        let Some(mut record) = self.load(number)? else {
            return Ok(Closed::default());
        };
        if record.stage != Stage::Open {
            return Ok(record.closed);
        }
        let account = self.account(number, record.uid);
        account.expire()?;
        let cgroups = Cgroups::detect().ok_or(HostError::NoCgroups)?;
        let group = self.group(number);
        let inside = cgroups.processes(&group)?;
        record.closed.processes += inside.len() as u64;
        self.save(number, &record)?;
        cgroups.kill(&group)?;
        for _ in 0..100 {
            if cgroups.processes(&group)?.is_empty() {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let between = between(&account.name, record.uid);
        // What can start processes of the account from outside may do so once more while it is
        // ended; quiet is when twice in a row nothing is found. What is not found is ended all the
        // same, once at least.
        let (mut quiet, mut struck) = (0, false);
        for _ in 0..100 {
            let inside = cgroups.processes(&group)?;
            let mut all = processes::of(record.uid).map_err(at("/proc"))?;
            let outside: Vec<_> = all
                .iter()
                .filter(|one| !inside.contains(&one.pid))
                .collect();
            if struck && inside.is_empty() && outside.is_empty() {
                quiet += 1;
                if quiet == 2 {
                    break;
                }
            } else {
                quiet = 0;
                record.closed.processes += (inside.len() + outside.len()) as u64;
                let names: Vec<String> = outside.iter().map(|one| one.name.clone()).collect();
                record.closed.note_escaped(&names);
                self.save(number, &record)?;
                all.retain(|one| one.uid == record.uid);
                let _ = cgroups.join(&group, &all);
                let killed = cgroups.kill(&group);
                processes::end(&self.program, record.uid)?;
                killed?;
                struck = true;
            }
            thread::sleep(Duration::from_millis(50));
        }
        if quiet < 2 {
            let left = processes::of(record.uid).map_err(at("/proc"))?;
            return Err(running(left.into_iter().map(|one| one.name)));
        }
        between?;
        let ports = self.folder(number).join("ports");
        let ports = read_if_there(&ports).map_err(at(ports.display()))?;
        record.closed.ports = ports.lines().map(str::to_owned).collect();
        record.stage = Stage::Closed;
        self.save(number, &record)?;
        Ok(record.closed)
    }

    /// Puts what leases' accounts run outside their groups (a job of `cron`, say) into them, so
    /// that their limits hold for it as well.
    ///
    /// # Errors
    /// The system said no.
    pub fn gather(&self) -> Result<(), HostError> {
        let cgroups = Cgroups::detect().ok_or(HostError::NoCgroups)?;
        let mut groups = BTreeMap::new();
        for number in self.known()? {
            let record = self.load(number)?;
            let open = record.filter(|record| record.stage == Stage::Open);
            groups.extend(open.map(|record| (record.uid, self.group(number))));
        }
        if groups.is_empty() {
            return Ok(());
        }
        let own = |uids: &[u32]| uids.first().is_some_and(|uid| groups.contains_key(uid));
        let all = processes::find(|_, uids| own(uids)).map_err(at("/proc"))?;
        let mut by_account: BTreeMap<u32, Vec<Process>> = BTreeMap::new();
        for process in all {
            by_account.entry(process.uid).or_default().push(process);
        }
        for (uid, processes) in by_account {
            cgroups.join(&groups[&uid], &processes)?;
        }
        Ok(())
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
        let Some(mut record) = self.load(number)? else {
            return Ok(None);
        };
        if let Some(wiped) = record.wiped {
            return Ok(Some(wiped));
        }
        let account = self.account(number, record.uid);
        record.stage = Stage::Wiping;
        // The home goes first: what is wrong elsewhere keeps nothing of it.
        sweep::unmount(&account.home, account.uid)?;
        let found = match record.found.take() {
            Some(found) => found,
            None => Found {
                began: now(),
                amount: sweep::count(&account.home)?,
            },
        };
        record.found = Some(found.clone());
        self.save(number, &record)?;
        sweep::remove(&account.home)?;
        let elsewhere = match record.elsewhere {
            Some(elsewhere) => elsewhere,
            None => sweep::count_owned(&self.shared, account.uid)?,
        };
        record.elsewhere = Some(elsewhere);
        self.save(number, &record)?;
        sweep::remove_owned(&self.shared, account.uid)?;
        ipc::remove(account.uid)?;
        account.remove()?;
        if let Some(cgroups) = Cgroups::detect() {
            cgroups.remove(&self.group(number))?;
        }
        self.door(number, record.port).remove()?;
        self.look_again(&account)?;
        let wiped = Wiped {
            account: account.name,
            uid: account.uid,
            entries: found.amount.entries + elsewhere.entries,
            bytes: found.amount.bytes + elsewhere.bytes,
            began: found.began,
            done: now(),
        };
        record.wiped = Some(wiped.clone());
        self.save(number, &record)?;
        Ok(Some(wiped))
    }

    /// Whether nothing of a lease is left but the record of its wipe, or nothing ever was.
    pub(crate) fn is_gone(&self, number: u64) -> Result<bool, HostError> {
        let record = self.load(number)?;
        Ok(record.is_none_or(|record| record.wiped.is_some()))
    }

    /// Forgets a lease that is wiped, once its record has been told.
    ///
    /// # Errors
    /// The system said no.
    pub fn forget(&self, number: u64) -> Result<(), HostError> {
        if self
            .load(number)?
            .is_some_and(|record| record.wiped.is_some())
        {
            let folder = self.folder(number);
            fs::remove_dir_all(&folder).map_err(at(folder.display()))?;
        }
        Ok(())
    }

    /// The leases that something is known of, by number.
    ///
    /// # Errors
    /// The system said no.
    pub fn known(&self) -> Result<Vec<u64>, HostError> {
        let entries = match fs::read_dir(&self.leases) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(at(self.leases.display()))?,
        };
        let mut known = Vec::new();
        for entry in entries {
            let name = entry.map_err(at(self.leases.display()))?.file_name();
            let number = name
                .to_str()
                .and_then(|name| name.strip_prefix('l')?.parse::<u64>().ok());
            known.extend(number);
        }
        known.sort_unstable();
        Ok(known)
    }

    /// Decides on the number of the account and the port, and writes them down.
    fn begin(&self, number: u64) -> Result<Record, HostError> {
        let _one = CHOOSING.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut taken, mut numbers) = (Vec::new(), Vec::new());
        for other in self.known()? {
            if let Some(record) = self.load(other)? {
                taken.push(record.port);
                numbers.push(record.uid);
            }
        }
        let from = |offset: u64| FIRST_UID + u32::try_from(offset % UIDS).unwrap_or(0);
        let mut all = (0..UIDS).map(|offset| from(number % UIDS + offset));
        let uid = all.find(|uid| !numbers.contains(uid) && account::is_nobodys(*uid));
        let uid = uid.ok_or_else(|| HostError::Account(account_name(number)))?;
        let free = |port: &u16| !taken.contains(port) && ports::is_free(*port);
        let mut port = self.ports.clone().find(free);
        if port.is_none() {
            self.clear(&self.ports)?;
            // What was ended lets go of its port a little later.
            for _ in 0..50 {
                port = port.or_else(|| self.ports.clone().find(free));
                if port.is_some() {
                    break;
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
        let folder = self.folder(number);
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o711).create(&folder);
        made.map_err(at(folder.display()))?;
        let record = Record {
            uid,
            port: port.ok_or_else(|| HostError::Ports(self.ports.clone()))?,
            stage: Stage::Open,
            closed: Closed::default(),
            found: None,
            elsewhere: None,
            wiped: None,
        };
        self.save(number, &record)?;
        Ok(record)
    }

    fn look_again(&self, account: &account::Account) -> Result<(), HostError> {
        let mut left: Vec<String> = Vec::new();
        if account.is_known() {
            left.push(format!("the account {}", account.name));
        }
        if account.home.symlink_metadata().is_ok() {
            left.push(account.home.display().to_string());
        }
        let owned = sweep::count_owned(&self.shared, account.uid)?;
        if owned.entries > 0 {
            left.push(format!("{} files in shared folders", owned.entries));
        }
        let running = processes::of(account.uid).map_err(at("/proc"))?;
        if let Some(first) = running.first() {
            let more = running.len() - 1;
            left.push(format!("the process {} and {more} more", first.name));
        }
        if left.is_empty() {
            return Ok(());
        }
        Err(HostError::Left(left.join(", ")))
    }

    fn account(&self, number: u64, uid: u32) -> account::Account {
        let name = account_name(number);
        account::Account {
            home: self.homes.join(&name),
            name,
            uid,
        }
    }

    fn door(&self, number: u64, port: u16) -> door::Door {
        door::Door {
            folder: self.folder(number),
            port,
            listen: self.listen,
        }
    }

    fn group(&self, number: u64) -> String {
        format!("{}/l{number}", self.group)
    }

    pub(crate) fn folder(&self, number: u64) -> PathBuf {
        self.leases.join(format!("l{number}"))
    }

    fn load(&self, number: u64) -> Result<Option<Record>, HostError> {
        let path = self.folder(number).join("record.json");
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(at(path.display()))?,
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(at(path.display()))
    }

    fn save(&self, number: u64, record: &Record) -> Result<(), HostError> {
        let path = self.folder(number).join("record.json");
        let text = serde_json::to_vec_pretty(record).expect("a record is JSON");
        write_whole(&path, 0o600, &text).map_err(at(path.display()))
    }
}

/// A file's content, or nothing where it is not there.
pub(crate) fn read_if_there(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        other => other,
    }
}
