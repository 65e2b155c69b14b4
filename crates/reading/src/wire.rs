//! Readings as JSON, the body of `POST /api/agent/v1/readings`: any number of one agent's, of any
//! leases, in any order.
//!
//! ```json
//! {"version":1,"agent":7,"readings":[
//!   {"lease":12,"sequence":1,"minute":"2026-11-26T14:02:00Z","units":8,
//!    "before":"<64 hexadecimal digits>","signature":"<128 hexadecimal digits>"}]}
//! ```
//!
//! Every field is needed, none other is allowed. What is signed are not these characters but
//! [`Reading::bytes`](crate::Reading::bytes).

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::key::Signature;
use crate::minute::Minute;
use crate::one::{Reading, SignedReading};

const VERSION: u64 = 1;

/// The most readings of one body: a little under 1 MB.
pub const MOST_READINGS: usize = 3_000;

/// Why a body is not read. Nothing of it counts then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBody {
    /// Not JSON of this shape; the text says where.
    #[error("the body is not as it has to be: {0}")]
    Shape(String),
    /// Another version.
    #[error("version {0} of the body is not known, 1 is")]
    Version(u64),
    /// More than [`MOST_READINGS`].
    #[error("{0} readings are too many for one body")]
    TooMany(usize),
    /// A field of a reading says nothing that can be meant.
    #[error("`{field}` of reading {index} can't be read")]
    Field {
        /// Which, from 0.
        index: usize,
        /// `minute`, `before` or `signature`.
        field: &'static str,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    version: u64,
    agent: u64,
    readings: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    lease: u64,
    sequence: u64,
    minute: String,
    units: u32,
    before: String,
    signature: String,
}

/// Writes one agent's readings as a body. Whose number is not `agent` can't be written: its
/// signature would not hold, and is left to [`SignedReading::check`] to refuse.
pub fn to_json<'a>(agent: u64, readings: impl IntoIterator<Item = &'a SignedReading>) -> Vec<u8> {
    let line = |signed: &SignedReading| Line {
        lease: signed.reading.lease,
        sequence: signed.reading.sequence,
        minute: signed.reading.minute.to_string(),
        units: signed.reading.units,
        before: signed.reading.before.to_string(),
        signature: signed.signature.to_hex(),
    };
    let body = Body {
        version: VERSION,
        agent,
        readings: readings.into_iter().map(line).collect(),
    };
    serde_json::to_vec(&body).expect("numbers and texts are JSON")
}

/// Reads a body: all of it or nothing.
///
/// # Errors
/// The first thing in it that can't be read.
pub fn from_json(body: &[u8]) -> Result<Vec<SignedReading>, BadBody> {
    let body: Body =
        serde_json::from_slice(body).map_err(|error| BadBody::Shape(error.to_string()))?;
    if body.version != VERSION {
        return Err(BadBody::Version(body.version));
    }
    if body.readings.len() > MOST_READINGS {
        return Err(BadBody::TooMany(body.readings.len()));
    }
    let read = |(index, line): (usize, &Line)| {
        let bad = |field| BadBody::Field { index, field };
        Ok(SignedReading {
            reading: Reading {
                agent: body.agent,
                lease: line.lease,
                sequence: line.sequence,
                minute: Minute::parse(&line.minute).ok_or(bad("minute"))?,
                units: line.units,
                before: Digest::from_hex(&line.before).ok_or(bad("before"))?,
            },
            signature: Signature::from_hex(&line.signature).ok_or(bad("signature"))?,
        })
    };
    body.readings.iter().enumerate().map(read).collect()
}
