//! The host connector against the real thing: accounts, cgroups, and a real `sshd` that a holder
//! signs in to with a key. As root, in a mount and process namespace of its own, on copies of the
//! system's account files; the machine's own are never touched.

mod alone;
mod attacks;
mod cut_short;
mod leases;
mod machine;
#[path = "../namespace/mod.rs"]
mod namespace;
mod probes;
