//! Becoming an agent of an exchange: a key that is made here, and a number that it gives.

use std::fs;
use std::io;
use std::path::Path;

use reading::AgentKey;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::exchange::{CallError, Exchange};
use crate::folder::{Folder, write_whole};
use crate::inventory::Inventory;
use crate::key::{self, KeyError};
use crate::messages::{Enrol, Enrolled, VERSION};

/// Who this agent is: `agent.json` of its folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The exchange's address.
    pub exchange: String,
    /// The agent's number there.
    pub agent: u64,
}

/// Why an agent is not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// It is.
    #[error(
        "this folder's agent is number {agent} of {exchange} already; another one needs another folder (--state)"
    )]
    Enrolled {
        /// Where.
        exchange: String,
        /// As which.
        agent: u64,
    },
    /// It never was.
    #[error("this folder has no agent: enrol first (sluice-agent enrol --help)")]
    Not,
    /// Its key is no good.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The exchange did not take it.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The system said no.
    #[error("{what}: {error}")]
    System {
        /// To what.
        what: String,
        /// What it said.
        error: io::Error,
    },
}

/// The file of an agent's folder that says who it is.
pub const IDENTITY: &str = "agent.json";

/// Makes the key where there is none, and asks the exchange for a number. Where the answer was
/// lost the same again, with the same token, gives the same number.
///
/// # Errors
/// It is enrolled already, its key is unsafe, or the exchange said no.
pub fn enrol(
    folder: &Folder,
    exchange: &Exchange,
    address: &str,
    token: &str,
    inventory: &Inventory,
) -> Result<Identity, EnrolError> {
    match identity(folder) {
        Ok(Identity { exchange, agent }) => return Err(EnrolError::Enrolled { exchange, agent }),
        Err(EnrolError::Not) => {}
        Err(error) => return Err(error),
    }
    let path = folder.file("key");
    let key = match key::load(&path) {
        Err(KeyError::None(_)) => key::make(&path)?,
        other => other?,
    };
    let message = Enrol {
        version: VERSION,
        token,
        key: key.public().to_hex(),
        inventory,
    };
    let body = serde_json::to_vec(&message).expect("a message is JSON");
    let clock = Clock::default();
    let answer: Enrolled = exchange.post("/api/agent/v1/enrol", &body, &key, 0, &clock)?;
    let identity = Identity {
        exchange: address.to_owned(),
        agent: answer.agent,
    };
    let text = serde_json::to_vec_pretty(&identity).expect("an identity is JSON");
    let path = folder.file(IDENTITY);
    write_whole(&path, 0o600, &text).map_err(system(&path))?;
    Ok(identity)
}

/// Who the agent of a folder is, and its key.
///
/// # Errors
/// It is not enrolled, or its key is unsafe.
pub fn known(folder: &Folder) -> Result<(Identity, AgentKey), EnrolError> {
    let identity = identity(folder)?;
    Ok((identity, key::load(&folder.file("key"))?))
}

fn identity(folder: &Folder) -> Result<Identity, EnrolError> {
    let path = folder.file(IDENTITY);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(EnrolError::Not),
        other => other.map_err(system(&path))?,
    };
    serde_json::from_slice(&text).map_err(|error| system(&path)(error.into()))
}

fn system(path: &Path) -> impl FnOnce(io::Error) -> EnrolError {
    let what = path.display().to_string();
    move |error| EnrolError::System { what, error }
}
