//! Probes of leases' doors: what one finds at the other end, what many come to, and the program
//! that makes them.

mod counting;
mod doors;
mod program;
pub(crate) mod real;
mod ssh;
