//! The commands of `sluice-agent`.

use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use sluice_agent::connector::Connector;
use sluice_agent::enrol;
use sluice_agent::exchange::Exchange;
use sluice_agent::folder::Folder;
use sluice_agent::host::{self, Host};
use sluice_agent::inventory::{Inventory, Needs};
use sluice_agent::look::Look;
use sluice_agent::slurm::{Silent, Slurm};
use sluice_agent::spool::Spool;
use sluice_agent::work::Agent;

/// Hands leases of the Sluice marketplace out on this machine and signs what ran.
///
/// Exit code 0: done. 1: it failed, and says why. 2: wrong usage.
#[derive(Parser)]
#[command(name = "sluice-agent", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make this machine an agent of an exchange, once
    #[command(
        after_help = "Example:\n  sluice-agent enrol --exchange https://market.example --token sluice_agent_3f…"
    )]
    Enrol {
        /// The exchange's address
        #[arg(long, env = "SLUICE_AGENT_EXCHANGE")]
        exchange: String,
        /// The one-time token that the exchange showed
        #[arg(long, env = "SLUICE_AGENT_TOKEN", hide_env_values = true)]
        token: String,
        #[command(flatten)]
        places: Places,
    },
    /// Work: hand leases out, take them back, sign what ran
    #[command(
        after_help = "Example:\n  sluice-agent run --ports 22000-22999\n\nOn a node of a Slurm cluster:\n  sluice-agent run --slurm-node gpu7 --slurm-partition leases --slurm-cpus 16 --slurm-gres gpu:a100"
    )]
    Run {
        /// The ports of which each lease gets one, for SSH
        #[arg(long, env = "SLUICE_AGENT_PORTS", default_value = "22000-22999", value_parser = ports)]
        ports: RangeInclusive<u16>,
        /// The one address at which leases are let in, in place of all of this machine's
        #[arg(long, env = "SLUICE_AGENT_LISTEN")]
        listen: Option<IpAddr>,
        /// The name of the group of processes (cgroup) that leases' groups are made in
        #[arg(long, env = "SLUICE_AGENT_GROUP", default_value = "sluice", value_parser = group)]
        group: String,
        /// The most MiB of disk for what the exchange has not acknowledged
        #[arg(long, env = "SLUICE_AGENT_SPOOL_MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=65_536))]
        spool_mib: u64,
        #[command(flatten)]
        slurm: SlurmNode,
        #[command(flatten)]
        places: Places,
    },
    /// Print what this machine has, as JSON, and what it lacks for a grade
    #[command(
        after_help = "Example:\n  sluice-agent inventory --needs a100.json\n\nwith a100.json:\n  {\"units\":8,\"models\":[\"NVIDIA A100-SXM4-80GB\"],\"accelerator_memory_mib\":80000,\n   \"cpus\":16,\"memory_mib\":131072,\"disk_mib\":524288}\n\nWhat it lacks is said on stderr, and the exit code is 1."
    )]
    Inventory {
        /// A file that says what a grade needs
        #[arg(long)]
        needs: Option<PathBuf>,
        /// Where holders' homes are made
        #[arg(long, env = "SLUICE_AGENT_HOMES", default_value = "/home")]
        homes: PathBuf,
    },
    /// A lease's first process
    #[command(hide = true)]
    Enter {
        #[arg(long)]
        group: Vec<PathBuf>,
        #[arg(last = true, required = true)]
        program: Vec<OsString>,
    },
    /// What a lease sees from inside, for the exchange's probes
    #[command(hide = true)]
    Look,
    /// A lease's last process
    #[command(hide = true)]
    Strike { uid: u32, striker: u32, asker: i32 },
}

/// Named, it makes leases reservations and jobs of Slurm.
#[derive(Args)]
struct SlurmNode {
    /// This machine's name in Slurm: leases become reservations and jobs of it
    #[arg(long, env = "SLUICE_AGENT_SLURM_NODE", requires_all = ["slurm_partition", "slurm_cpus"])]
    slurm_node: Option<String>,
    /// The partition of Slurm that leases are in
    #[arg(long, env = "SLUICE_AGENT_SLURM_PARTITION", requires = "slurm_node")]
    slurm_partition: Option<String>,
    /// How many processors a unit is, as Slurm counts them
    #[arg(long, env = "SLUICE_AGENT_SLURM_CPUS", requires = "slurm_node", value_parser = clap::value_parser!(u32).range(1..))]
    slurm_cpus: Option<u32>,
    /// What else a unit has one of, as Slurm names it: gpu, or gpu:a100
    #[arg(long, env = "SLUICE_AGENT_SLURM_GRES", requires = "slurm_node")]
    slurm_gres: Option<String>,
    /// Slurm's settings, where they are not in their usual place
    #[arg(long, env = "SLURM_CONF")]
    slurm_conf: Option<PathBuf>,
}

impl SlurmNode {
    fn connector(self, host: Host) -> Connector {
        let needed = self.slurm_partition.zip(self.slurm_cpus);
        match self.slurm_node.zip(needed) {
            None => Connector::Host(host),
            Some((node, (partition, cpus))) => Connector::Slurm(Slurm {
                host,
                node,
                partition,
                cpus,
                gres: self.slurm_gres,
                conf: self.slurm_conf,
                silent: Silent::default(),
            }),
        }
    }
}

#[derive(Args)]
struct Places {
    /// The folder for all that the agent knows
    #[arg(
        long,
        env = "SLUICE_AGENT_STATE",
        default_value = "/var/lib/sluice-agent"
    )]
    state: PathBuf,
    /// Where holders' homes are made
    #[arg(long, env = "SLUICE_AGENT_HOMES", default_value = "/home")]
    homes: PathBuf,
    /// A file of certificates (PEM) by which the exchange is known, in place of the public ones
    #[arg(long, env = "SLUICE_AGENT_CERTIFICATES")]
    certificates: Option<PathBuf>,
}

fn main() -> ExitCode {
    match done(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("sluice-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

fn done(command: Command) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        Command::Enrol {
            exchange,
            token,
            places,
        } => enrol(&exchange, &token, &places)?,
        Command::Run {
            ports,
            listen,
            group,
            spool_mib,
            slurm,
            places,
        } => run((ports, listen), group, spool_mib, slurm, &places)?,
        Command::Inventory { needs, homes } => return inventory(needs.as_deref(), &homes),
        Command::Enter { group, program } => match host::enter(&group, &program)? {},
        Command::Look => println!("{}", serde_json::to_string(&Look::take()?)?),
        Command::Strike {
            uid,
            striker,
            asker,
        } => host::strike(uid, striker, asker)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn enrol(address: &str, token: &str, places: &Places) -> Result<(), Box<dyn Error>> {
    let exchange = Exchange::new(address, places.certificates.as_deref())?;
    let folder = Folder::take(&places.state)?;
    let inventory = Inventory::take(&places.homes)?;
    let identity = enrol::enrol(&folder, &exchange, address, token, &inventory)?;
    println!("agent {} of {}", identity.agent, identity.exchange);
    Ok(())
}

fn run(
    (ports, listen): (RangeInclusive<u16>, Option<IpAddr>),
    group: String,
    spool_mib: u64,
    slurm: SlurmNode,
    places: &Places,
) -> Result<(), Box<dyn Error>> {
    let folder = Folder::take(&places.state)?;
    let (identity, key) = enrol::known(&folder)?;
    if !nix::unistd::geteuid().is_root() {
        return Err("handing leases out makes accounts: start it as root".into());
    }
    let exchange = Exchange::new(&identity.exchange, places.certificates.as_deref())?;
    let spool = Spool::open(&folder.file("spool"), identity.agent, spool_mib << 20)?;
    let host = Host {
        leases: folder.file("leases"),
        homes: places.homes.clone(),
        shared: host::SHARED.iter().map(PathBuf::from).collect(),
        ports,
        listen,
        group,
        program: std::env::current_exe()?,
    };
    let orders = folder.file("orders.json");
    let connector = slurm.connector(host);
    let agent = Agent::new(identity.agent, key, connector, orders, spool)?;
    Arc::new(agent).run(exchange, || true)?;
    Ok(())
}

fn inventory(needs: Option<&Path>, homes: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let found = Inventory::take(homes)?;
    println!("{}", serde_json::to_string_pretty(&found)?);
    let Some(path) = needs else {
        return Ok(ExitCode::SUCCESS);
    };
    let said = |error: &dyn Error| format!("{}: {error}", path.display());
    let text = fs::read(path).map_err(|error| said(&error))?;
    let needs: Needs = serde_json::from_slice(&text).map_err(|error| said(&error))?;
    let lacks = found.lacks(&needs);
    for lack in &lacks {
        eprintln!("sluice-agent: {lack}");
    }
    Ok(if lacks.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Reads the name of a group: one folder below the top.
fn group(text: &str) -> Result<String, String> {
    let is_plain = |one: char| one.is_ascii_alphanumeric() || "-_".contains(one);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("letters, digits, - and _".to_owned()),
    }
}

/// Reads `22000-22999`.
fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = text
        .split_once('-')
        .ok_or("two ports with a - between them")?;
    let port = |text: &str| {
        text.parse::<u16>()
            .map_err(|error| format!("{text}: {error}"))
    };
    let (first, last) = (port(first)?, port(last)?);
    if first == 0 || first > last {
        return Err("the first port is above 0 and not above the last".to_owned());
    }
    Ok(first..=last)
}
