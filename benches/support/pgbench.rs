//! What PostgreSQL does by itself on the same cluster, as `pgbench` measures it.

use std::path::Path;
use std::process::Command;

/// Makes pgbench's own tables; larger ones before, so that the server has old pieces of its log to
/// take, as one has that has run for a while. A new one is 16 MiB of zeros that a commit waits for.
pub(crate) fn prepare(url: &str) {
    run(url, &["-i", "-s", "60", "-q"]);
    run(url, &["-i", "-s", "10", "-q"]);
}

/// Prepared transactions a second of eight clients.
pub(crate) fn transactions_a_second(url: &str) -> f64 {
    let report = run(
        url,
        &["-M", "prepared", "-c", "8", "-j", "2", "-T", "8", "-n"],
    );
    figure(&report, "tps = ")
}

/// The mean latency of one client's prepared transactions, in milliseconds.
pub(crate) fn mean_latency(url: &str) -> f64 {
    let report = run(
        url,
        &["-M", "prepared", "-c", "1", "-j", "1", "-T", "5", "-n"],
    );
    figure(&report, "latency average = ")
}

fn figure(report: &str, name: &str) -> f64 {
    let rest = report.lines().find_map(|line| line.strip_prefix(name));
    let number = rest.and_then(|rest| rest.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .expect("a figure")
}

fn run(url: &str, arguments: &[&str]) -> String {
    let program = ["/usr/lib/postgresql/15/bin/pgbench", "/usr/bin/pgbench"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .unwrap_or("pgbench");
    let output = Command::new(program).args(arguments).arg(url).output();
    let output = output.expect("pgbench runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
