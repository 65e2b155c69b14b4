//! `sluice-agent`, the program on a provider's machines: it hands leases out, takes them back when
//! their time has come, and signs what ran. It opens no port, runs no code that anyone sends it,
//! and speaks to nobody but its exchange. docs/AGENT.md says what it can see and do.

pub mod beside;
pub mod clock;
pub mod connector;
pub mod enrol;
pub mod exchange;
pub mod folder;
pub mod host;
pub mod inventory;
pub mod key;
pub mod lease;
pub mod look;
pub mod messages;
pub mod meter;
mod program;
pub mod slurm;
pub mod spool;
pub mod work;
