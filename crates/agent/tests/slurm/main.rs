//! The Slurm connector against the real thing: a cluster of Debian's `slurm-wlm` that the tests
//! start on loopback, accounts, cgroups, and a holder who signs in with a key and says `srun`. As
//! root, in a mount and process namespace of its own, on copies of the system's account files; no
//! service of the machine is started or touched.

mod cluster;
mod cut_short;
mod leases;
#[path = "../host/machine.rs"]
mod machine;
#[path = "../namespace/mod.rs"]
mod namespace;
mod outlived;
mod shared;

use self::machine::run;
