//! One reading: what it says, the bytes that are signed, and what is checked before it counts.

use jiff::Timestamp;

use crate::canonical::Canonical;
use crate::digest::Digest;
use crate::key::{AgentKey, PublicKey, Signature};
use crate::minute::Minute;

/// One minute of one lease as one agent saw it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reading {
    /// The number of who saw it.
    pub agent: u64,
    /// The number of what it is about: 12 for `l12`.
    pub lease: u64,
    /// From 1 within (agent, lease), without gaps: a number that is missing was sent and lost, or
    /// is held back.
    pub sequence: u64,
    /// The UTC minute that it is about. Later numbers are about later minutes.
    pub minute: Minute,
    /// How many units ran in it and let the holder in, the whole minute long.
    pub units: u32,
    /// The hash of the reading numbered one lower, or [`Digest::beginning`].
    pub before: Digest,
}

/// A reading with its agent's signature. It counts once [`SignedReading::check`] has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedReading {
    /// What is said.
    pub reading: Reading,
    /// By whom.
    pub signature: Signature,
}

/// What the exchange knows of a lease's part on an agent's machine: readings have to fit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Which agent delivers.
    pub agent: u64,
    /// Which lease.
    pub lease: u64,
    /// The most units that can run.
    pub units: u32,
    /// The first minute of the lease, or from which on the agent speaks of it.
    pub start: Minute,
    /// The first minute after it.
    pub end: Minute,
}

/// Why a reading is not believed. The first of these that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrue {
    /// It names another agent than the one whose key is asked for.
    #[error("the reading is of agent {found}, not of {expected}")]
    OtherAgent {
        /// Who was to speak.
        expected: u64,
        /// Who is named.
        found: u64,
    },
    /// The agent's key did not sign these bytes.
    #[error("the signature is not of this reading by this agent's key")]
    WrongSignature,
    /// The agent does not deliver this lease.
    #[error("the reading is about lease {found}, not about {expected}")]
    OtherLease {
        /// What was to be spoken of.
        expected: u64,
        /// What is named.
        found: u64,
    },
    /// Numbers begin with 1.
    #[error("readings are numbered from 1")]
    NoSequence,
    /// The first reading names another beginning: the chain is broken where it starts.
    #[error("the first reading does not follow the beginning of its chain")]
    BrokenChain,
    /// Not a minute of the lease.
    #[error("{minute} is no minute of the lease")]
    OutsideLease {
        /// The minute that was named.
        minute: Minute,
    },
    /// A minute that is not over.
    #[error("{minute} is not over")]
    NotOver {
        /// The minute that was named.
        minute: Minute,
    },
    /// A number that its chain can't have come to: one reading a minute was to be signed at most.
    #[error("number {found} of a chain that can have come to {most} by then")]
    NumberTooHigh {
        /// The minutes from the lease's first to this one.
        most: u64,
        /// What it is numbered.
        found: u64,
    },
    /// More than the lease has.
    #[error("{found} units are said to have run, the lease has {most}")]
    TooManyUnits {
        /// What the lease has.
        most: u32,
        /// What was said.
        found: u32,
    },
}

impl Reading {
    /// The bytes that are signed, version 1 (69 bytes): `SLRD`, 1, agent, lease, sequence (64 bits
    /// each), minute and units (32 bits each), the hash before (32 bytes); numbers big-endian.
    pub fn bytes(&self) -> Vec<u8> {
        Canonical::of(*b"SLRD", 1)
            .u64(self.agent)
            .u64(self.lease)
            .u64(self.sequence)
            .u32(self.minute.0)
            .u32(self.units)
            .fixed(&self.before.0)
            .done()
    }

    /// What the next reading names: the SHA-256 of [`Reading::bytes`].
    pub fn hash(&self) -> Digest {
        Digest::of(&self.bytes())
    }

    /// Signs it.
    pub fn sign(self, key: &AgentKey) -> SignedReading {
        let signature = key.sign(&self.bytes());
        SignedReading {
            reading: self,
            signature,
        }
    }
}

impl SignedReading {
    /// Whether it counts, as far as one reading shows that by itself; whether it follows the one
    /// before it is [`Tally::first_break`](crate::Tally::first_break).
    ///
    /// # Arguments
    /// `now` is the exchange's clock; a minute has to be over by it, give or take `skew` seconds.
    ///
    /// # Errors
    /// The first reason not to believe it.
    pub fn check(
        &self,
        key: &PublicKey,
        terms: &Terms,
        now: Timestamp,
        skew: u32,
    ) -> Result<(), Untrue> {
        let reading = &self.reading;
        if reading.agent != terms.agent {
            return Err(Untrue::OtherAgent {
                expected: terms.agent,
                found: reading.agent,
            });
        }
        if !key.signed(&reading.bytes(), &self.signature) {
            return Err(Untrue::WrongSignature);
        }
        if reading.lease != terms.lease {
            return Err(Untrue::OtherLease {
                expected: terms.lease,
                found: reading.lease,
            });
        }
        let first = reading.sequence == 1;
        if reading.sequence == 0 {
            return Err(Untrue::NoSequence);
        }
        if first && reading.before != Digest::beginning(reading.agent, reading.lease) {
            return Err(Untrue::BrokenChain);
        }
        let minute = reading.minute;
        if minute < terms.start || minute >= terms.end {
            return Err(Untrue::OutsideLease { minute });
        }
        let most = u64::from(minute.0 - terms.start.0) + 1;
        if reading.sequence > most {
            return Err(Untrue::NumberTooHigh {
                most,
                found: reading.sequence,
            });
        }
        let over = Minute(minute.0.saturating_add(1)).begins().as_second();
        if over > now.as_second().saturating_add(i64::from(skew)) {
            return Err(Untrue::NotOver { minute });
        }
        if reading.units > terms.units {
            return Err(Untrue::TooManyUnits {
                most: terms.units,
                found: reading.units,
            });
        }
        Ok(())
    }
}
