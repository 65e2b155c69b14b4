//! The cluster that tests share, and what each of them has of it.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use sluice_agent::lease::{Access, Lease};
use sluice_agent::slurm::{Silent, Slurm};

use crate::cluster::Cluster;
use crate::machine::{Cleared, host, now, own_machine, run};

/// A node for most tests; one to be drained; one whose `slurmd` is stopped.
pub(crate) const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// The cluster for all tests; it ends with the last of them.
pub(crate) fn shared() -> Arc<Cluster> {
    static RUNNING: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(cluster) = running.upgrade() {
        return cluster;
    }
    let prefix = format!("t{}", std::process::id());
    own_machine();
    let cluster = Arc::new(Cluster::start_as_can(&prefix, &NODES));
    *running = Arc::downgrade(&cluster);
    cluster
}

impl Cluster {
    /// Ends `slurmctld` as a power cut does.
    pub(crate) fn end_controller(&self) {
        let path = self.folder.path().join("slurmctld.pid");
        let pid = fs::read_to_string(path).expect("it runs");
        run("kill", &["-9", pid.trim()]);
    }

    /// The process of a node's `slurmd`.
    pub(crate) fn slurmd(&self, node: &str) -> String {
        let path = format!("slurmd-{}.pid", self.node(node));
        let pid = fs::read_to_string(self.folder.path().join(path)).unwrap_or_default();
        pid.trim().to_owned()
    }
}

/// One test's connector to a node; what it left is ended, also where it failed.
pub(crate) struct Machine {
    pub(crate) slurm: Slurm,
    host: Option<Cleared>,
}

impl Machine {
    /// `number` is the test's own, for its ports and leases.
    pub(crate) fn new(cluster: &Cluster, node: &str, number: u16) -> Self {
        let host = host(number);
        let slurm = Slurm {
            host: host.clone(),
            node: cluster.node(node),
            partition: "leases".to_owned(),
            cpus: 1,
            gres: None,
            conf: Some(cluster.conf()),
            silent: Silent::default(),
        };
        Self {
            slurm,
            host: Some(Cleared(host)),
        }
    }

    /// Hands a lease out as the agent does: what can't be done yet is tried again. Another test's job
    /// may still be ending on the node.
    pub(crate) fn prepare(&self, lease: &Lease) -> Access {
        let begun = Instant::now();
        loop {
            match self.slurm.prepare(lease, now()) {
                Ok(access) => return access,
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(30), "{error:?}"),
            }
            thread::sleep(Duration::from_millis(500));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for lease in self.slurm.host.known().unwrap_or_default() {
            let _ = self.slurm.wipe(lease, now);
        }
        drop(self.host.take());
    }
}
