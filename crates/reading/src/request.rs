//! What an agent asks, signed: who sees a request, or takes its body from a log, can't send it.
//!
//! Four headers prove it: `Sluice-Agent` (its number), `Sluice-Time` (RFC 3339, whole seconds),
//! `Sluice-Nonce` (32 hexadecimal digits, new with each request) and `Sluice-Signature` (128), of
//! the bytes `SLRQ`, 1, agent and time (64 bits each, seconds since 1970), the nonce, and method,
//! path with its query, and the SHA-256 of the body, the former two with their length before them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::canonical::Canonical;
use crate::digest::{Digest, from_hex, to_hex};
use crate::key::{AgentKey, PublicKey, Signature};

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `POST`, in capitals.
    pub method: &'a str,
    /// The path as it is sent, with its query.
    pub path: &'a str,
    /// The body as it is sent.
    pub body: &'a [u8],
}

/// What shows who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    agent: u64,
    seconds: i64,
    nonce: [u8; 16],
    signature: Signature,
}

/// A header that is missing or can't be read: its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header {0} is missing or can't be read")]
pub struct BadHeader(pub &'static str);

/// Why a request is not answered. The first of these that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The agent's key did not sign this.
    #[error("the signature is not of this request by this agent's key")]
    WrongSignature,
    /// The clocks are too far apart, or it was sent long ago.
    #[error("the request is {seconds} seconds from the exchange's clock, {allowed} are allowed")]
    Skewed {
        /// How far; negative where the agent's clock is behind.
        seconds: i64,
        /// How far it may be, either way.
        allowed: u32,
    },
    /// It was answered before.
    #[error("the request was sent before")]
    Replayed,
}

const AGENT: &str = "Sluice-Agent";
const TIME: &str = "Sluice-Time";
const NONCE: &str = "Sluice-Nonce";
const SIGNATURE: &str = "Sluice-Signature";

impl Request<'_> {
    /// Signs it.
    ///
    /// # Arguments
    /// `at` is the time of sending, of which whole seconds count; `nonce` 16 random bytes, never
    /// the same twice.
    pub fn prove(&self, key: &AgentKey, agent: u64, at: Timestamp, nonce: [u8; 16]) -> Proof {
        let seconds = at.as_second();
        let signature = key.sign(&self.bytes(agent, seconds, &nonce));
        Proof {
            agent,
            seconds,
            nonce,
            signature,
        }
    }

    fn bytes(&self, agent: u64, seconds: i64, nonce: &[u8; 16]) -> Vec<u8> {
        Canonical::of(*b"SLRQ", 1)
            .u64(agent)
            .fixed(&seconds.to_be_bytes())
            .fixed(nonce)
            .counted(self.method.as_bytes())
            .counted(self.path.as_bytes())
            .fixed(&Digest::of(self.body).0)
            .done()
    }
}

impl Proof {
    /// The number of who asks: whose key to check with.
    pub fn agent(&self) -> u64 {
        self.agent
    }

    /// What makes it one of its kind.
    pub fn nonce(&self) -> [u8; 16] {
        self.nonce
    }

    /// Names and values of the headers.
    pub fn headers(&self) -> [(&'static str, String); 4] {
        let at = Timestamp::from_second(self.seconds).unwrap_or(Timestamp::UNIX_EPOCH);
        [
            (AGENT, self.agent.to_string()),
            (TIME, at.to_string()),
            (NONCE, to_hex(&self.nonce)),
            (SIGNATURE, self.signature.to_hex()),
        ]
    }

    /// Reads the headers, each given by its name.
    ///
    /// # Errors
    /// The first that is missing or can't be read.
    pub fn from_headers<'a>(
        header: impl Fn(&'static str) -> Option<&'a str>,
    ) -> Result<Self, BadHeader> {
        let text = |name| header(name).ok_or(BadHeader(name));
        let at: Timestamp = text(TIME)?.parse().map_err(|_| BadHeader(TIME))?;
        if at.subsec_nanosecond() != 0 {
            return Err(BadHeader(TIME));
        }
        Ok(Self {
            agent: text(AGENT)?.parse().map_err(|_| BadHeader(AGENT))?,
            seconds: at.as_second(),
            nonce: from_hex(text(NONCE)?).ok_or(BadHeader(NONCE))?,
            signature: Signature::from_hex(text(SIGNATURE)?).ok_or(BadHeader(SIGNATURE))?,
        })
    }

    /// Whether this agent asks this, about now; whether for the first time, [`Nonces`] say.
    ///
    /// # Arguments
    /// `key` is that of [`Proof::agent`]; `now` the exchange's clock; `skew` how many seconds the
    /// two clocks may be apart, either way.
    ///
    /// # Errors
    /// The first reason not to answer.
    pub fn check(
        &self,
        request: &Request<'_>,
        key: &PublicKey,
        now: Timestamp,
        skew: u32,
    ) -> Result<(), Refused> {
        let bytes = request.bytes(self.agent, self.seconds, &self.nonce);
        if !key.signed(&bytes, &self.signature) {
            return Err(Refused::WrongSignature);
        }
        let seconds = self.seconds.saturating_sub(now.as_second());
        if seconds.unsigned_abs() > u64::from(skew) {
            return Err(Refused::Skewed {
                seconds,
                allowed: skew,
            });
        }
        Ok(())
    }
}

/// The requests that were answered, as long as they would still be taken for new ones.
///
/// This is the rule, for one process. Where several answer agents they have to share what it
/// holds: a unique key of (agent, nonce) in the database, rows older than the skew deleted.
#[derive(Debug, Default)]
pub struct Nonces {
    known: BTreeSet<(i64, u64, [u8; 16])>,
    latest: i64,
}

impl Nonces {
    /// Notes a request that has passed [`Proof::check`] with the same `now` and `skew`.
    ///
    /// # Errors
    /// It was noted before; or the exchange's clock was later once than it is now, and the request
    /// is so old that it may have been.
    pub fn admit(&mut self, proof: &Proof, now: Timestamp, skew: u32) -> Result<(), Refused> {
        self.latest = self.latest.max(now.as_second());
        let oldest = self.latest.saturating_sub(i64::from(skew));
        self.known = self.known.split_off(&(oldest, 0, [0; 16]));
        let may_be_known = proof.seconds < oldest;
        if may_be_known || !self.known.insert((proof.seconds, proof.agent, proof.nonce)) {
            return Err(Refused::Replayed);
        }
        Ok(())
    }
}
