//! What a machine has, and what it lacks for a grade.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use serde::{Deserialize, Serialize};

use crate::host::Cgroups;
use crate::lease::printable;
use crate::program::within;

/// How long an accelerator's program may take to say what is there. Where no daemon keeps the
/// driver loaded, it takes seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// The most characters that are told of what could not be asked.
const LONGEST_PROBLEM: usize = 1_000;

/// What a machine has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// Each accelerator.
    pub accelerators: Vec<Accelerator>,
    /// Processors, as the system counts them.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Free disk in MiB, where holders' files go.
    pub disk_mib: u64,
    /// `v2`, `v1`, or `none`: how limits are kept.
    pub cgroups: &'static str,
    /// What could not be asked, and why: an accelerator's program that failed.
    pub problems: Vec<String>,
}

/// One accelerator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accelerator {
    /// As its program names it.
    pub model: String,
    /// What is the same wherever it is plugged in (NVIDIA), or where it is (Ascend).
    pub identity: String,
    /// Its memory in MiB, as its program counts it.
    pub memory_mib: u64,
    /// Whether its program calls it well.
    pub healthy: bool,
}

/// What a grade asks of a machine that delivers so many units of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// How many units: each is one accelerator, or one bundle of processors where `models` is
    /// empty.
    pub units: u32,
    /// The names under which accelerators' programs know the grade's model.
    #[serde(default)]
    pub models: Vec<String>,
    /// The least memory of each accelerator in MiB. What a program counts is a little less than
    /// what a card is sold as.
    #[serde(default)]
    pub accelerator_memory_mib: u64,
    /// Processors a unit.
    pub cpus: u32,
    /// Memory a unit in MiB.
    pub memory_mib: u64,
    /// Free disk a unit in MiB.
    pub disk_mib: u64,
}

impl Inventory {
    /// Looks.
    ///
    /// # Arguments
    /// `homes` is the folder where holders' files go.
    ///
    /// # Errors
    /// The system does not say what memory or disk it has.
    pub fn take(homes: &Path) -> io::Result<Self> {
        let (accelerators, problems) = accelerators(PATIENCE);
        let disk = statvfs(homes)?;
        let cpus = thread::available_parallelism()?.get();
        Ok(Self {
            accelerators,
            cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
            memory_mib: memory_mib()?,
            disk_mib: (disk.blocks_available() * disk.fragment_size()) >> 20,
            cgroups: Cgroups::detect().map_or("none", |cgroups| cgroups.version()),
            problems,
        })
    }

    /// What the machine lacks for a grade, each in a sentence; nothing when it will do.
    pub fn lacks(&self, needs: &Needs) -> Vec<String> {
        let mut lacks = needs.lacking(&self.accelerators, self.cpus.into(), self.memory_mib);
        let units = u64::from(needs.units);
        let disk = units.saturating_mul(needs.disk_mib);
        lacks.extend(at_least("MiB of free disk", self.disk_mib, disk));
        if self.cgroups == "none" {
            lacks.push("limits can't be kept: no cgroups with cpu, memory and pids".to_owned());
        }
        lacks
    }
}

impl Needs {
    /// What is lacking of accelerators, processors and memory (in MiB), each in a sentence.
    pub fn lacking(&self, accelerators: &[Accelerator], cpus: u64, memory_mib: u64) -> Vec<String> {
        let mut lacking = Vec::new();
        let units = u64::from(self.units);
        if !self.models.is_empty() {
            let fits = |one: &&Accelerator| {
                let memory = one.memory_mib >= self.accelerator_memory_mib;
                one.healthy && memory && self.models.contains(&one.model)
            };
            let some = accelerators.iter().filter(fits).count() as u64;
            let what = format!(
                "healthy {} with {} MiB each",
                self.models.join(" or "),
                self.accelerator_memory_mib
            );
            lacking.extend(at_least(&what, some, units));
        }
        let needed = units.saturating_mul(self.cpus.into());
        lacking.extend(at_least("processors", cpus, needed));
        let needed = units.saturating_mul(self.memory_mib);
        lacking.extend(at_least("MiB of memory", memory_mib, needed));
        lacking
    }
}

fn at_least(what: &str, has: u64, needed: u64) -> Option<String> {
    (has < needed).then(|| format!("{needed} {what} are needed, there are {has}"))
}

/// The machine's memory in MiB.
pub(crate) fn memory_mib() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let kib = kib.ok_or_else(|| io::Error::other("/proc/meminfo has no MemTotal"))?;
    Ok(kib / 1024)
}

/// The accelerators, as their programs print them, and what could not be asked and why.
pub(crate) fn accelerators(patience: Duration) -> (Vec<Accelerator>, Vec<String>) {
    let mut problems = Vec::new();
    let mut accelerators = Vec::new();
    let query = [
        "--query-gpu=name,uuid,memory.total",
        "--format=csv,noheader,nounits",
    ];
    for (found, read) in [
        (
            ask("nvidia-smi", &query, patience),
            nvidia as fn(&str) -> Option<Vec<Accelerator>>,
        ),
        (ask("npu-smi", &["info"], patience), ascend),
    ] {
        match found {
            Ok(None) => {}
            Ok(Some(said)) => match read(&said) {
                Some(some) => accelerators.extend(some),
                None => problems.push(format!("this can't be read: {said}")),
            },
            Err(problem) => problems.push(problem),
        }
    }
    let short = |problem: &String| printable(problem, LONGEST_PROBLEM);
    (accelerators, problems.iter().map(short).collect())
}

/// What a program prints; `None` where it is not there.
fn ask(program: &str, arguments: &[&str], patience: Duration) -> Result<Option<String>, String> {
    let mut command = Command::new(program);
    let said = match within(command.args(arguments), patience) {
        Ok(Some(said)) => said,
        Ok(None) => {
            return Err(format!(
                "{program} said nothing in {} s",
                patience.as_secs()
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{program}: {error}")),
    };
    if !said.status.success() {
        let why = String::from_utf8_lossy(&said.stderr);
        return Err(format!(
            "{program} failed ({}): {}",
            said.status,
            why.trim()
        ));
    }
    Ok(Some(String::from_utf8_lossy(&said.stdout).into_owned()))
}

/// Reads what `nvidia-smi` prints of name, uuid and memory.
fn nvidia(said: &str) -> Option<Vec<Accelerator>> {
    let read = |line: &str| {
        let mut cells = line.split(", ");
        Some(Accelerator {
            model: cells.next()?.trim().to_owned(),
            identity: cells.next()?.trim().to_owned(),
            // A card that has fallen off the bus says "[N/A]" or the like.
            memory_mib: cells
                .next()
                .map_or(0, |cell| cell.trim().parse().unwrap_or(0)),
            healthy: true,
        })
    };
    let lines = said.lines().filter(|line| !line.trim().is_empty());
    let read: Option<Vec<Accelerator>> = lines.map(read).collect();
    read.map(|mut all| {
        all.iter_mut()
            .for_each(|one| one.healthy = one.memory_mib > 0);
        all
    })
}

/// Reads the table of `npu-smi info`: two lines an accelerator, the first with name and health,
/// the second with its place on the bus and, last, memory used / all. `None` without such a table.
fn ascend(said: &str) -> Option<Vec<Accelerator>> {
    said.contains("HBM-Usage(MB)").then_some(())?;
    // The table of processes that follows has four columns.
    let rows = said.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').collect();
        let number = cells.first()?.split_whitespace().next()?;
        (cells.len() == 3 && number.parse::<u32>().is_ok()).then_some(cells)
    });
    let rows: Vec<Vec<&str>> = rows.collect();
    let read = |pair: &[Vec<&str>]| {
        let [first, second] = pair else { return None };
        let memory = second[2].rsplit_once('/')?.1.trim().parse().ok()?;
        Some(Accelerator {
            model: first[0].split_whitespace().nth(1)?.to_owned(),
            identity: second[1].trim().to_owned(),
            memory_mib: memory,
            healthy: first[1].trim() == "OK",
        })
    };
    rows.chunks(2).map(read).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn this_machine_has_something() {
        let found = Inventory::take(Path::new("/")).expect("the system says");
        assert!(found.cpus > 0 && found.memory_mib > 0, "{found:?}");
    }

    #[test]
    fn a_program_that_hangs_is_not_waited_for() {
        let began = Instant::now();
        let hangs = ask("sleep", &["60"], Duration::from_millis(50));
        assert!(hangs.is_err_and(|why| why.contains("said nothing")));
        assert!(began.elapsed() < Duration::from_secs(10));
        let patience = Duration::from_secs(10);
        assert_eq!(
            ask("echo", &["one"], patience),
            Ok(Some("one\n".to_owned()))
        );
        assert_eq!(ask("no-such-program", &[], patience), Ok(None));
        assert!(ask("false", &[], patience).is_err());
    }

    #[test]
    fn what_nvidia_smi_prints_is_read() {
        let said = "NVIDIA A100-SXM4-80GB, GPU-4c0e3a0b-6f4b-8d3e-2a35-0d6f5b9d0001, 81920\n\
                    NVIDIA A100-SXM4-80GB, GPU-4c0e3a0b-6f4b-8d3e-2a35-0d6f5b9d0002, [N/A]\n";
        let found = nvidia(said).expect("it is read");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].model, "NVIDIA A100-SXM4-80GB");
        assert_eq!(found[0].memory_mib, 81_920);
        assert_eq!((found[0].healthy, found[1].healthy), (true, false));
        assert_eq!(nvidia("nothing to see"), None);
    }

    /// The columns are those of npu-smi 24 and 25, as people post them.
    #[test]
    fn what_npu_smi_prints_is_read() {
        let said = "\
+------------------------------------------------------------------------------------------------+
| npu-smi 24.1.1                   Version: 24.1.1                                               |
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
| 0     910B4               | OK            | 88.2        30                0    / 0             |
| 0                         | 0000:C1:00.0  | 0           0    / 0          2838 / 32768         |
+===========================+===============+====================================================+
| 1     910B4               | Alarm         | 87.0        30                0    / 0             |
| 0                         | 0000:C2:00.0  | 0           0    / 0          29356/ 32768         |
+===========================+===============+====================================================+
+---------------------------+---------------+----------------------------------------------------+
| NPU     Chip              | Process id    | Process name             | Process memory(MB)      |
+===========================+===============+====================================================+
| 1       0                 | 4711          | python3                  | 26520                   |
+===========================+===============+====================================================+
";
        let found = ascend(said).expect("it is read");
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(
            (found[1].model.as_str(), found[1].memory_mib),
            ("910B4", 32_768)
        );
        assert_eq!(found[1].identity, "0000:C2:00.0");
        assert_eq!((found[0].healthy, found[1].healthy), (true, false));
        assert_eq!(ascend("no NPU"), None);
    }

    #[test]
    fn what_a_machine_lacks_for_a_grade_is_said() {
        let card = |healthy| Accelerator {
            model: "NVIDIA A100-SXM4-80GB".to_owned(),
            identity: String::new(),
            memory_mib: 81_920,
            healthy,
        };
        let machine = Inventory {
            accelerators: vec![card(true), card(false)],
            cpus: 32,
            memory_mib: 128 * 1024,
            disk_mib: 1 << 20,
            cgroups: "v2",
            problems: Vec::new(),
        };
        let needs = |units| Needs {
            units,
            models: vec!["NVIDIA A100-SXM4-80GB".to_owned()],
            accelerator_memory_mib: 80_000,
            cpus: 16,
            memory_mib: 64 * 1024,
            disk_mib: 1 << 19,
        };
        assert_eq!(machine.lacks(&needs(1)), Vec::<String>::new());
        let two = machine.lacks(&needs(2));
        assert_eq!(
            two,
            ["2 healthy NVIDIA A100-SXM4-80GB with 80000 MiB each are needed, there are 1"]
        );
        assert_eq!(
            machine.lacks(&needs(3)).len(),
            4,
            "cards, processors, memory, disk"
        );
        let other = Needs {
            models: vec!["910B4".to_owned()],
            ..needs(1)
        };
        assert_eq!(machine.lacks(&other).len(), 1);
        let bare = Inventory {
            cgroups: "none",
            ..machine
        };
        assert_eq!(bare.lacks(&needs(1)).len(), 1);
    }
}
