//! A Slurm cluster of one machine: `munged`, `slurmctld` and a `slurmd` for each of its nodes, with
//! keys, settings and state of their own.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use sluice_agent::host::Cgroups;
use tempfile::TempDir;

use super::run;

pub(crate) struct Cluster {
    pub(crate) folder: TempDir,
    /// What its nodes' names begin with: their groups of processes are the machine's own.
    prefix: String,
    /// How it keeps track of processes.
    pub(crate) tracking: &'static str,
}

impl Cluster {
    /// Starts one on this machine, which is to be a namespace's own.
    pub(crate) fn start_as_can(prefix: &str, nodes: &[&str]) -> Self {
        Self::start(prefix, "proctrack/cgroup", nodes).unwrap_or_else(|why| {
            // There are kernels and containers that have no cgroups to be written.
            eprintln!("proctrack/cgroup can't be had here, so it is proctrack/linuxproc: {why}");
            Self::start(prefix, "proctrack/linuxproc", nodes).expect("it starts")
        })
    }

    /// Starts one; what its daemons said when it does not come up.
    pub(crate) fn start(
        prefix: &str,
        tracking: &'static str,
        nodes: &[&str],
    ) -> Result<Self, String> {
        let cluster = Self {
            folder: tempfile::tempdir().expect("a folder"),
            prefix: prefix.to_owned(),
            tracking,
        };
        let folder = cluster.folder.path();
        fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("it is ours");
        fs::create_dir(folder.join("state")).expect("a folder");
        cluster.start_munge();
        cluster.write_settings(nodes);
        let conf = cluster.conf();
        let conf = conf.to_str().expect("text");
        cluster.start_controller();
        for node in nodes {
            fs::create_dir(folder.join(format!("spool-{}", cluster.node(node)))).expect("a folder");
            let done = Command::new("slurmd")
                .args(["-f", conf, "-N", &cluster.node(node)])
                .output()
                .expect("slurmd runs");
            if !done.status.success() {
                return Err(cluster.log(node));
            }
        }
        let began = Instant::now();
        while cluster.ask("sinfo", &["-N", "-h", "-o", "%t"]) != "idle\n".repeat(nodes.len()) {
            if began.elapsed() > Duration::from_secs(10) {
                return Err(cluster.log(nodes[0]));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(cluster)
    }

    pub(crate) fn start_controller(&self) {
        run("slurmctld", &["-f", self.conf().to_str().expect("text")]);
        let began = Instant::now();
        while !self.ask("scontrol", &["ping"]).contains("is UP") {
            assert!(began.elapsed() < Duration::from_secs(10), "it answers");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn start_munge(&self) {
        let folder = self.folder.path().join("munge");
        fs::create_dir(&folder).expect("a folder");
        let file = |name: &str| folder.join(name).display().to_string();
        let key: Vec<u8> = (0..=127).collect();
        fs::write(folder.join("key"), key).expect("it is written");
        fs::set_permissions(folder.join("key"), Permissions::from_mode(0o400)).expect("it is ours");
        let options = [
            ("--key-file", "key"),
            ("--socket", "socket"),
            ("--pid-file", "pid"),
            ("--log-file", "log"),
            ("--seed-file", "seed"),
        ];
        let options = options.map(|(option, name)| format!("{option}={}", file(name)));
        run("munged", &options.each_ref().map(String::as_str));
    }

    fn write_settings(&self, nodes: &[&str]) {
        let hostname = fs::read_to_string("/proc/sys/kernel/hostname").expect("it has one");
        let hostname = hostname.trim();
        let at = self.folder.path().display();
        let mut text = format!(
            "ClusterName=sluice\nSlurmctldHost={hostname}(127.0.0.1)\n\
             SlurmUser=root\nSlurmdUser=root\n\
             AuthType=auth/munge\nCredType=cred/munge\nAuthInfo=socket={at}/munge/socket\n\
             CommunicationParameters=NoInAddrAny,NoCtldInAddrAny\nSlurmctldPort={}\n\
             StateSaveLocation={at}/state\nSlurmdSpoolDir={at}/spool-%n\n\
             SlurmctldPidFile={at}/slurmctld.pid\nSlurmdPidFile={at}/slurmd-%n.pid\n\
             SlurmctldLogFile={at}/slurmctld.log\nSlurmdLogFile={at}/slurmd-%n.log\n\
             ProctrackType={}\nTaskPlugin=task/none\nSwitchType=switch/none\nMpiDefault=none\n\
             SelectType=select/cons_tres\nSelectTypeParameters=CR_Core_Memory\n\
             SchedulerParameters=batch_sched_delay=0,sched_interval=1\n\
             SlurmdParameters=config_overrides\nReturnToService=2\n",
            free_port(),
            self.tracking,
        );
        for node in nodes {
            text += &format!(
                "NodeName={} NodeHostname={hostname} NodeAddr=127.0.0.1 Port={} CPUs=64 \
                 RealMemory=1000000\n",
                self.node(node),
                free_port()
            );
        }
        text += "PartitionName=leases Nodes=ALL ReqResv=YES State=UP MaxTime=INFINITE\n";
        fs::write(self.conf(), text).expect("it is written");
        let plugin = match Cgroups::detect().as_ref().map(Cgroups::version) {
            Some("v2") => "CgroupPlugin=cgroup/v2\nIgnoreSystemd=yes\n",
            _ => "CgroupPlugin=cgroup/v1\n",
        };
        let path = self.folder.path().join("cgroup.conf");
        fs::write(path, plugin).expect("it is written");
    }

    pub(crate) fn conf(&self) -> PathBuf {
        self.folder.path().join("slurm.conf")
    }

    /// A node's name in Slurm.
    pub(crate) fn node(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn log(&self, node: &str) -> String {
        let path = format!("slurmd-{}.log", self.node(node));
        let path = self.folder.path().join(path);
        fs::read_to_string(path).unwrap_or_default()
    }

    /// What one of Slurm's programs says to the administrator.
    pub(crate) fn ask(&self, program: &str, arguments: &[&str]) -> String {
        let done = Command::new(program)
            .args(arguments)
            .env("SLURM_CONF", self.conf())
            .stdin(Stdio::null())
            .output()
            .expect(program);
        String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr)
    }

    /// The states of a lease's jobs, those that have ended included.
    pub(crate) fn jobs(&self, lease: u64) -> Vec<String> {
        let said = self.ask("squeue", &["--noheader", "--states=all", "--format=%U %T"]);
        let own = format!("{} ", 66_000 + lease);
        let own = said.lines().filter_map(|line| line.strip_prefix(&own));
        own.map(|state| state.trim().to_owned()).collect()
    }

    /// Whether a reservation is there.
    pub(crate) fn is_reserved(&self, name: &str) -> bool {
        let said = self.ask("scontrol", &["show", "reservation", name]);
        assert!(
            said.contains("ReservationName=") || said.contains("not found"),
            "{said}"
        );
        said.contains("ReservationName=")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut pids = vec!["slurmctld.pid".to_owned(), "munge/pid".to_owned()];
        let entries = fs::read_dir(self.folder.path())
            .into_iter()
            .flatten()
            .flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        pids.extend(names.filter(|name| name.starts_with("slurmd-") && name.ends_with(".pid")));
        let read = |name: &String| fs::read_to_string(self.folder.path().join(name)).ok();
        let pids: Vec<String> = pids.iter().filter_map(read).collect();
        for pid in &pids {
            let _ = Command::new("kill").arg(pid.trim()).status();
        }
        // One that ended stays listed where the namespace's first process does not look.
        let runs = |pid: &String| {
            let status = Path::new("/proc").join(pid.trim()).join("status");
            fs::read_to_string(status).is_ok_and(|status| !status.contains("State:\tZ"))
        };
        for _ in 0..100 {
            if !pids.iter().any(runs) {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
        // Of cgroups in version 1; a `slurmd` leaves its own behind.
        for kind in ["freezer", "cpuset", "memory", "cpu", "devices", "systemd"] {
            let entries = fs::read_dir(Path::new("/sys/fs/cgroup").join(kind));
            for entry in entries.into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with(&format!("slurm_{}", self.prefix)) {
                    remove_group(&entry.path());
                }
            }
        }
    }
}

fn remove_group(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_group(&entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}

/// A port that was free just now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("it is bound").port()
}
