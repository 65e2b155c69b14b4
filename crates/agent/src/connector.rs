//! Which connector an agent hands leases out by, and the four acts that it is asked for.

use std::path::Path;

use jiff::Timestamp;

use crate::host::{Host, HostError};
use crate::lease::{Access, Closed, Lease, Wiped};
use crate::slurm::Slurm;

/// What hands leases out on this machine. [`lease`](crate::lease) says what each act is to do.
#[derive(Clone, Debug)]
pub enum Connector {
    /// Accounts of one Linux machine.
    Host(Host),
    /// Reservations and jobs of one node of a Slurm cluster.
    Slurm(Slurm),
}

impl Connector {
    /// Lets the holder in. The same again changes what is different.
    ///
    /// # Arguments
    /// `now` is the exchange's time, as far as it is known.
    ///
    /// # Errors
    /// Something of it could not be done; what was done stays, and is gone after a wipe.
    pub fn prepare(&self, lease: &Lease, now: Timestamp) -> Result<Access, HostError> {
        match self {
            Self::Host(host) => host.prepare(lease),
            Self::Slurm(slurm) => slurm.prepare(lease, now),
        }
    }

    /// How many units run and let the holder in, now.
    ///
    /// # Arguments
    /// `now` is the exchange's time, as far as it is known.
    pub fn units(&self, lease: &Lease, now: Timestamp) -> u32 {
        match self {
            Self::Host(host) => host.units(lease),
            Self::Slurm(slurm) => slurm.units(lease, now),
        }
    }

    /// Puts what leases' accounts run outside their groups of processes into them. Not on a node of
    /// Slurm, which has groups of its own for what it starts.
    ///
    /// # Errors
    /// The system said no.
    pub fn gather(&self) -> Result<(), HostError> {
        match self {
            Self::Host(host) => host.gather(),
            Self::Slurm(_) => Ok(()),
        }
    }

    /// Ends access and everything that runs. Files stay.
    ///
    /// # Errors
    /// Something still runs, or could not be looked for.
    pub fn close(&self, lease: u64) -> Result<Closed, HostError> {
        match self {
            Self::Host(host) => host.close(lease),
            Self::Slurm(slurm) => slurm.close(lease),
        }
    }

    /// Removes everything that the lease left, and looks once more. `None` when it never was.
    ///
    /// # Errors
    /// Something of it is still there.
    pub fn wipe(
        &self,
        lease: u64,
        now: impl Fn() -> Timestamp,
    ) -> Result<Option<Wiped>, HostError> {
        match self {
            Self::Host(host) => host.wipe(lease, now),
            Self::Slurm(slurm) => slurm.wipe(lease, now),
        }
    }

    /// Forgets a lease that is wiped, once its record has been told.
    ///
    /// # Errors
    /// The system said no.
    pub fn forget(&self, lease: u64) -> Result<(), HostError> {
        match self {
            Self::Host(host) => host.forget(lease),
            Self::Slurm(slurm) => slurm.host.forget(lease),
        }
    }

    /// Where holders' files go.
    pub fn homes(&self) -> &Path {
        match self {
            Self::Host(host) => &host.homes,
            Self::Slurm(slurm) => &slurm.host.homes,
        }
    }
}
