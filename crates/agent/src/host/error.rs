//! Why something was not done.

use std::io;
use std::ops::RangeInclusive;

use crate::lease::note;

/// Why something was not done. Whatever it was, it can be asked again.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A lease that is wiped does not come back.
    #[error("the lease is wiped")]
    Wiped,
    /// The name or the number of its account is somebody else's.
    #[error("the account {0} can't be made: its name or its number is somebody else's")]
    Account(String),
    /// No port is free.
    #[error("no port of {}-{} is free", .0.start(), .0.end())]
    Ports(RangeInclusive<u16>),
    /// Limits can't be kept here.
    #[error("there are no cgroups with cpu, memory and pids")]
    NoCgroups,
    /// A program said no.
    #[error("{program}: {said}")]
    Program {
        /// Which.
        program: String,
        /// What it said.
        said: String,
    },
    /// Processes that can't be ended.
    #[error("still running: {0}")]
    Running(String),
    /// What is still there after everything was removed.
    #[error("still there: {0}")]
    Left(String),
    /// The system said no.
    #[error("{what}: {error}")]
    System {
        /// To what.
        what: String,
        /// What it said.
        error: io::Error,
    },
}

/// Says to which act the system said no.
pub(crate) fn at<E: Into<io::Error>>(what: impl std::fmt::Display) -> impl FnOnce(E) -> HostError {
    move |error| HostError::System {
        what: what.to_string(),
        error: error.into(),
    }
}

/// Says that these run on.
pub(crate) fn running(names: impl IntoIterator<Item = String>) -> HostError {
    let mut some = Vec::new();
    note(&mut some, &names.into_iter().collect::<Vec<_>>());
    HostError::Running(some.join(", "))
}
