//! What was not acknowledged by the exchange yet, on disk: readings and changes of state, in order.
//!
//! One file of records, only added to. A record is its length and the first eight bytes of the
//! SHA-256 of its content (32 and 64 bits, big-endian), then its content, JSON. It counts once it
//! is synced. A record that a crash cut short is the last one, and is cut off when the file is
//! opened; a wrong record with others behind it is damage, which nothing is built on. What was
//! acknowledged is noted by a record too, and the file is written anew when most of it is such.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use reading::{Digest, Minute, SignedReading};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::folder::write_whole;
use crate::messages::{State, StateChange};

/// The most readings that are put on disk together: with all of them a record stays below a
/// third of the length that one may have.
pub const MOST_TOGETHER: usize = 1_000;

const MAGIC: &[u8; 8] = b"SLSPOOL1";
const HEADER: usize = 12;
/// Longer than any record is; a length above it is none that was written.
const LONGEST: usize = 1 << 20;
/// About what a reading, a change of state or a head takes.
const USUAL: usize = 512;
/// A file below this size is not written anew.
const SMALL: u64 = 256 * 1024;

/// The records of one agent.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    file: File,
    agent: u64,
    /// Bytes of the file that count.
    length: u64,
    limit: u64,
    /// A write or sync failed in a way that leaves unknown what the disk has.
    lost: bool,
    heads: BTreeMap<u64, Head>,
    readings: BTreeMap<(u64, u64), SignedReading>,
    last_state: u64,
    states: BTreeMap<u64, StateChange>,
}

/// How far the chain of a lease has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the last reading.
    pub sequence: u64,
    /// Its hash: what the next one names.
    pub hash: Digest,
    /// The minute that it was about.
    pub minute: Minute,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Record {
    /// A body of readings, as it is sent: those of one minute are there together or not at all.
    Readings(Box<RawValue>),
    State(StateChange),
    /// The exchange has the readings of a lease up to this number.
    Taken {
        lease: u64,
        through: u64,
    },
    /// The exchange has the changes of state up to this number.
    StatesTaken {
        through: u64,
    },
    /// How far a chain had come when the file was written anew.
    Head {
        lease: u64,
        sequence: u64,
        hash: String,
        minute: String,
    },
    /// How far the changes of state had come.
    LastState {
        sequence: u64,
    },
}

/// Why something is not on disk.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The file would become larger than it may. Nothing of it was written.
    #[error(
        "the spool {path} is full: {limit} bytes are allowed, and nothing of it was acknowledged for so long"
    )]
    Bound {
        /// The file.
        path: PathBuf,
        /// How many bytes it may have.
        limit: u64,
    },
    /// A record is longer than one may be. Nothing of it was written.
    #[error("the spool {path} takes no record of {length} bytes")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// How long it is.
        length: usize,
    },
    /// The disk is full. Nothing of it was written.
    #[error(
        "the disk of the spool {0} is full: free some space, what ran meanwhile can't be noted"
    )]
    DiskFull(PathBuf),
    /// It is not known what the disk has. Nothing is written to it any more.
    #[error(
        "the spool {path} can't be written ({error}): start the agent again once the disk is well"
    )]
    Lost {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is damaged in its middle.
    #[error(
        "the spool {path} is damaged at byte {at}: what follows was synced and can't be read. Keep the file, revoke the agent and enrol anew"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        at: u64,
    },
    /// It can't be opened or read.
    #[error("the spool {path}: {error}")]
    System {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl Spool {
    /// Opens the file, made where it is not there, and cuts off what a crash left of a record.
    ///
    /// # Arguments
    /// `limit` is the most bytes that the file may have.
    ///
    /// # Errors
    /// It is damaged, or can't be read.
    pub fn open(path: &Path, agent: u64, limit: u64) -> Result<Self, SpoolError> {
        let system = |error| SpoolError::System {
            path: path.to_owned(),
            error,
        };
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let mut file = options.open(path).map_err(system)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(system)?;
        let mut spool = Self {
            path: path.to_owned(),
            file,
            agent,
            length: 0,
            limit,
            lost: false,
            heads: BTreeMap::new(),
            readings: BTreeMap::new(),
            last_state: 0,
            states: BTreeMap::new(),
        };
        let length = spool.read(&bytes)?;
        if length < MAGIC.len() {
            write_whole(path, 0o600, MAGIC).map_err(system)?;
            spool.file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .map_err(system)?;
            spool.length = MAGIC.len() as u64;
        } else {
            spool.length = length as u64;
            spool.file.set_len(spool.length).map_err(system)?;
            spool.file.sync_all().map_err(system)?;
        }
        Ok(spool)
    }

    /// Takes in what is in the file; how many of its bytes count.
    fn read(&mut self, bytes: &[u8]) -> Result<usize, SpoolError> {
        let damaged = |path: &Path, at: usize| SpoolError::Damaged {
            path: path.to_owned(),
            at: at as u64,
        };
        if bytes.len() < MAGIC.len() {
            return Ok(0);
        }
        if !bytes.starts_with(MAGIC) {
            return Err(damaged(&self.path, 0));
        }
        let mut at = MAGIC.len();
        while at < bytes.len() {
            let rest = &bytes[at..];
            let Some(content) = content(rest) else {
                // What a crash leaves of a record is followed by nothing.
                let torn = (1..rest.len()).all(|later| self::content(&rest[later..]).is_none());
                return torn.then_some(at).ok_or_else(|| damaged(&self.path, at));
            };
            let record = serde_json::from_slice(content).ok();
            let known = record.and_then(|record| self.apply(record));
            known.ok_or_else(|| damaged(&self.path, at))?;
            at += HEADER + content.len();
        }
        Ok(at)
    }

    /// Takes in one record; `None` when it says nothing that can be meant.
    fn apply(&mut self, record: Record) -> Option<()> {
        match record {
            Record::Readings(body) => {
                let read = reading::from_json(body.get().as_bytes()).ok()?;
                read.into_iter().for_each(|signed| self.note(signed));
            }
            Record::State(change) => {
                self.last_state = self.last_state.max(change.sequence);
                self.states.insert(change.sequence, change);
            }
            Record::Taken { lease, through } => self.forget(lease, through),
            Record::StatesTaken { through } => self.states.retain(|&number, _| number > through),
            Record::Head {
                lease,
                sequence,
                hash,
                minute,
            } => {
                let head = Head {
                    sequence,
                    hash: Digest::from_hex(&hash)?,
                    minute: Minute::parse(&minute)?,
                };
                self.heads.insert(lease, head);
            }
            Record::LastState { sequence } => self.last_state = sequence,
        }
        Some(())
    }

    fn note(&mut self, signed: SignedReading) {
        let one = &signed.reading;
        let head = Head {
            sequence: one.sequence,
            hash: one.hash(),
            minute: one.minute,
        };
        self.heads.insert(one.lease, head);
        self.readings.insert((one.lease, one.sequence), signed);
    }

    fn forget(&mut self, lease: u64, through: u64) {
        let taken: Vec<(u64, u64)> = self
            .readings
            .range((lease, 0)..=(lease, through))
            .map(|(&key, _)| key)
            .collect();
        for key in taken {
            self.readings.remove(&key);
        }
    }

    /// How far the chain of a lease has come; `None` before its first reading.
    pub fn head(&self, lease: u64) -> Option<Head> {
        self.heads.get(&lease).copied()
    }

    /// The readings that were not acknowledged, by lease and number, at most so many.
    pub fn readings(&self, most: usize) -> Vec<SignedReading> {
        self.readings.values().take(most).cloned().collect()
    }

    /// The changes of state that were not acknowledged, in order, at most so many.
    pub fn states(&self, most: usize) -> Vec<StateChange> {
        self.states.values().take(most).cloned().collect()
    }

    /// How much waits: readings and changes of state.
    pub fn waiting(&self) -> usize {
        self.readings.len() + self.states.len()
    }

    /// Puts readings on disk, all together. Each follows the head of its lease.
    ///
    /// # Arguments
    /// At most [`MOST_TOGETHER`] readings.
    ///
    /// # Errors
    /// None of them is there; or, with [`SpoolError::Lost`], it is not known.
    pub fn add(&mut self, readings: Vec<SignedReading>) -> Result<(), SpoolError> {
        self.append(&Record::Readings(self.body(&readings)))?;
        readings.into_iter().for_each(|signed| self.note(signed));
        Ok(())
    }

    /// Puts a change of state on disk, with the next number.
    ///
    /// # Errors
    /// It is not there; or, with [`SpoolError::Lost`], it is not known.
    pub fn add_state(&mut self, state: State) -> Result<(), SpoolError> {
        let change = StateChange {
            sequence: self.last_state + 1,
            state,
        };
        self.append(&Record::State(change.clone()))?;
        self.last_state = change.sequence;
        self.states.insert(change.sequence, change);
        Ok(())
    }

    /// Forgets readings of a lease that the exchange has.
    ///
    /// # Errors
    /// It is forgotten here, and could not be noted: after a start it would be sent once more,
    /// which changes nothing.
    pub fn taken(&mut self, lease: u64, through: u64) -> Result<(), SpoolError> {
        self.forget(lease, through);
        self.acknowledge(Record::Taken { lease, through })
    }

    /// Forgets changes of state that the exchange has.
    ///
    /// # Errors
    /// As with [`Spool::taken`].
    pub fn states_taken(&mut self, through: u64) -> Result<(), SpoolError> {
        self.states.retain(|&number, _| number > through);
        self.acknowledge(Record::StatesTaken { through })
    }

    fn acknowledge(&mut self, record: Record) -> Result<(), SpoolError> {
        if self.length > SMALL.max(2 * self.needed()) {
            return self.rewrite();
        }
        match self.append(&record) {
            Err(SpoolError::Bound { .. } | SpoolError::DiskFull(_)) => self.rewrite(),
            other => other,
        }
    }

    /// About how long the file would be if it were written anew.
    fn needed(&self) -> u64 {
        ((self.waiting() + self.heads.len() + 1) * USUAL) as u64
    }

    /// Writes the file anew with what waits and how far things have come.
    fn rewrite(&mut self) -> Result<(), SpoolError> {
        let bytes = self.whole();
        match write_whole(&self.path, 0o600, &bytes) {
            Ok(()) => {
                let mut options = OpenOptions::new();
                let opened = options.read(true).write(true).open(&self.path);
                self.file = opened.map_err(|error| self.lose(error))?;
                self.length = bytes.len() as u64;
                Ok(())
            }
            Err(error) if is_full(&error) => Err(SpoolError::DiskFull(self.path.clone())),
            Err(error) => Err(self.lose(error)),
        }
    }

    fn whole(&self) -> Vec<u8> {
        let heads = self.heads.iter().map(|(&lease, head)| Record::Head {
            lease,
            sequence: head.sequence,
            hash: head.hash.to_string(),
            minute: head.minute.to_string(),
        });
        let last = Record::LastState {
            sequence: self.last_state,
        };
        let states = self.states.values().cloned().map(Record::State);
        let readings: Vec<&SignedReading> = self.readings.values().collect();
        let readings = readings
            .chunks(MOST_TOGETHER)
            .map(|some| Record::Readings(self.body(some.iter().copied())));
        let mut bytes = MAGIC.to_vec();
        let records = heads.chain([last]).chain(states).chain(readings);
        records.for_each(|record| push(&mut bytes, &record));
        bytes
    }

    fn body<'a>(&self, readings: impl IntoIterator<Item = &'a SignedReading>) -> Box<RawValue> {
        let body = reading::to_json(self.agent, readings);
        let body = String::from_utf8(body).expect("JSON is text");
        RawValue::from_string(body).expect("it is JSON")
    }

    /// Adds a record by one write and one sync, or leaves the file as it was.
    fn append(&mut self, record: &Record) -> Result<(), SpoolError> {
        if self.lost {
            return Err(self.lose(io::Error::other("an earlier write failed")));
        }
        let mut bytes = Vec::new();
        push(&mut bytes, record);
        if bytes.len() > HEADER + LONGEST {
            return Err(SpoolError::TooLong {
                path: self.path.clone(),
                length: bytes.len() - HEADER,
            });
        }
        let after = |length: u64| length.saturating_add(bytes.len() as u64);
        if after(self.length) > self.limit && self.length > 2 * self.needed() {
            self.rewrite()?;
        }
        if after(self.length) > self.limit {
            return Err(SpoolError::Bound {
                path: self.path.clone(),
                limit: self.limit,
            });
        }
        if let Err(error) = self.file.write_all_at(&bytes, self.length) {
            // What was written of it is cut off at once, or when the file is opened again.
            if self.file.set_len(self.length).is_err() || !is_full(&error) {
                return Err(self.lose(error));
            }
            return Err(SpoolError::DiskFull(self.path.clone()));
        }
        // A sync that failed says nothing about what the disk has, and neither would the next one.
        self.file.sync_data().map_err(|error| self.lose(error))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn lose(&mut self, error: io::Error) -> SpoolError {
        self.lost = true;
        SpoolError::Lost {
            path: self.path.clone(),
            error,
        }
    }
}

/// Writes a record: length, check, content.
fn push(bytes: &mut Vec<u8>, record: &Record) {
    let content = serde_json::to_vec(record).expect("records are JSON");
    let length = u32::try_from(content.len()).expect("a record is short");
    bytes.extend(length.to_be_bytes());
    bytes.extend(check(&content));
    bytes.extend(content);
}

/// The content of the record that these bytes begin with, if they do.
fn content(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<8>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let content = rest
        .get(..length)
        .filter(|_| (1..=LONGEST).contains(&length))?;
    (check(content) == *sum).then_some(content)
}

fn check(content: &[u8]) -> [u8; 8] {
    let sum: [u8; 32] = Sha256::digest(content).into();
    sum[..8].try_into().expect("eight of 32")
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
