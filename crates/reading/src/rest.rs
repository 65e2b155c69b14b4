//! What is kept of an hour for years: one small row.
//!
//! Nearly every hour of a lease is one run of sixty minutes with all units, so minutes are kept as
//! runs. Such an hour of a lease of up to a year is at most 41 bytes ([`SealedHour::to_bytes`]), 32
//! of them the hash that the chain had come to, by which whoever kept the signed readings can prove
//! what was sealed. The worst is an hour in which the units change every minute: 474 bytes.
//!
//! # 10,000 live leases for a year
//!
//! 10,000 leases × 8,760 hours are 87.6 million rows. As `(lease bigint, agent bigint, hour int,
//! row bytea)` with a primary key of the first three, a million rows of whole hours took 140.6
//! bytes each in PostgreSQL 15, 93.1 for the row and 47.5 for the key: **12.3 GB a year**, 3.4 kB a
//! lease-day.
//!
//! A row a minute with its hash and signature took 214.8 bytes: 5,256 million of them would be 1.13
//! TB. So signed readings are kept as they came only while their hour is open: of three hours 1.8
//! million rows, 0.4 GB, in partitions by the hour that are dropped whole.

use crate::digest::Digest;
use crate::minute::{Hour, Minute};

const VERSION: u8 = 1;
pub(crate) const HOUR_MINUTES: u8 = 60;

/// One hour of one lease as one agent delivered it, when no more can come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedHour {
    /// Who delivered.
    pub agent: u64,
    /// What.
    pub lease: u64,
    /// When.
    pub hour: Hour,
    /// The minutes in which units ran, in order, none overlapping.
    pub runs: Vec<Run>,
    /// The highest number that counted, of this hour or one before it; 0 when none ever did.
    pub sequence: u64,
    /// The hash of that reading, or [`Digest::beginning`].
    pub head: Digest,
    /// The number from which on nothing counts, where the chain breaks.
    pub broken: Option<u64>,
}

/// Minutes in a row with the same units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first, of its hour: 0 to 59.
    pub first: u8,
    /// How many: 1 to 60.
    pub minutes: u8,
    /// The units that ran in each; 0 where the agent was there and nothing ran.
    pub units: u32,
}

/// Bytes that no sealed hour is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no sealed hour of version 1")]
pub struct BadRow;

/// Puts minutes of one hour, in their order, together as runs.
pub(crate) fn runs(minutes: impl Iterator<Item = (Minute, u32)>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (minute, units) in minutes {
        let first = minute.of_hour();
        match runs.last_mut() {
            Some(run) if run.units == units && run.end() == first => run.minutes += 1,
            _ => runs.push(Run {
                first,
                minutes: 1,
                units,
            }),
        }
    }
    runs
}

impl Run {
    /// The minute of the hour after its last one.
    fn end(&self) -> u8 {
        self.first.saturating_add(self.minutes)
    }
}

impl SealedHour {
    /// What was delivered.
    pub fn unit_minutes(&self) -> u64 {
        let of_run = |run: &Run| u64::from(run.minutes) * u64::from(run.units);
        self.runs.iter().map(of_run).sum()
    }

    /// All but agent, lease and hour, which are columns: a version (1), the number of runs, of each
    /// its first minute, minutes and units, then `sequence`, `broken` (0 for none) and the 32 bytes
    /// of `head`. Units, `sequence` and `broken` are LEB128, the rest bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let count = u8::try_from(self.runs.len()).expect("an hour has at most 60 runs");
        let mut bytes = vec![VERSION, count];
        for run in &self.runs {
            bytes.extend([run.first, run.minutes]);
            put(&mut bytes, u64::from(run.units));
        }
        put(&mut bytes, self.sequence);
        put(&mut bytes, self.broken.unwrap_or(0));
        bytes.extend(self.head.0);
        bytes
    }

    /// Reads what [`SealedHour::to_bytes`] wrote, and nothing else.
    ///
    /// # Errors
    /// It is something else.
    pub fn from_bytes(agent: u64, lease: u64, hour: Hour, bytes: &[u8]) -> Result<Self, BadRow> {
        let mut rest = bytes;
        if take(&mut rest)? != VERSION {
            return Err(BadRow);
        }
        let count = take(&mut rest)?;
        let mut runs: Vec<Run> = Vec::new();
        for _ in 0..count {
            let run = Run {
                first: take(&mut rest)?,
                minutes: take(&mut rest)?,
                units: u32::try_from(number(&mut rest)?).map_err(|_| BadRow)?,
            };
            let follows = runs.last().is_none_or(|last| {
                last.end() < run.first || last.end() == run.first && last.units != run.units
            });
            if !follows || run.minutes == 0 || run.end() > HOUR_MINUTES {
                return Err(BadRow);
            }
            runs.push(run);
        }
        let sequence = number(&mut rest)?;
        let broken = number(&mut rest)?;
        let head = Digest(rest.try_into().map_err(|_| BadRow)?);
        Ok(Self {
            agent,
            lease,
            hour,
            runs,
            sequence,
            head,
            broken: (broken != 0).then_some(broken),
        })
    }
}

/// Writes a number as LEB128: seven bits a byte, the lowest first, a high bit where more follow.
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = u8::try_from(number & 0x7f).expect("seven bits fit in a byte");
        number >>= 7;
        if number == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

fn take(rest: &mut &[u8]) -> Result<u8, BadRow> {
    let (first, others) = rest.split_first().ok_or(BadRow)?;
    *rest = others;
    Ok(*first)
}

/// Reads LEB128 in its shortest form.
fn number(rest: &mut &[u8]) -> Result<u64, BadRow> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take(rest)?;
        let bits = u64::from(byte & 0x7f);
        let shifted = bits << shift;
        if shifted >> shift != bits || (byte == 0 && shift > 0) {
            return Err(BadRow);
        }
        number |= shifted;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(BadRow)
}
