//! Whole replays through the sequencer and a real PostgreSQL.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use market::Rules;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use sluice::audit;
use sluice::db::{Database, Sharing, first_connection};
use sqlx::Connection;

use crate::support::market::{opening, start, stop, submit};
use crate::support::postgres::{folder_until_exit, fresh_database};

fn sluice(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

/// A small trace of our own: 60 hosts, and 200 jobs over four days; some lines make no order.
fn write_traces(folder: &Path) {
    let mut nodes = "gpu_model,gpu_capacity_num\nGPU-series-1,4\n".to_owned();
    nodes.push_str(&"A10,1\n".repeat(40));
    nodes.push_str(&"A100-SXM4-80GB,8\n".repeat(20));
    let mut jobs = "num_gpu,gpu_milli,gpu_spec,qos,creation_time,deletion_time,scheduled_time\n\
                    0,0,,BE,5,10,5\n1,1000,,BE,5,,\n"
        .to_owned();
    for job in 0..200 {
        let (created, class) = (job * 1_700, if job % 3 == 0 { "BE" } else { "LS" });
        let (cards, milli) = match job % 5 {
            0 => (8, 1_000),
            1 => (1, 300),
            _ => (1, 1_000),
        };
        let ended = created + 3_000 + (job % 7) * 4_000;
        let _ = writeln!(jobs, "{cards},{milli},,{class},{created},{ended},{created}");
    }
    fs::write(folder.join("nodes.csv"), nodes).expect("the nodes are written");
    fs::write(folder.join("jobs.csv"), jobs).expect("the jobs are written");
}

fn small(folder: &Path, url: &str, more: &[&str]) -> Output {
    let mut command = sluice(folder);
    command
        .args(["replay", "--nodes", "nodes.csv", "--jobs", "jobs.csv"])
        .args(more)
        .env("DATABASE_URL", url);
    command.output().expect("the program runs")
}

fn summary(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"))
}

/// A summary without what the clock decides.
fn timeless(mut summary: Value) -> Value {
    let object = summary.as_object_mut().expect("an object");
    for time in ["seconds", "orders_per_second", "commands_per_second"] {
        assert!(object.remove(time).expect("it is there").as_f64() > Some(0.0));
    }
    summary
}

#[tokio::test]
async fn the_profile_is_replayed_to_closed_books() {
    let (database, folder) = (fresh_database().await, folder_until_exit());
    let mut command = sluice(&folder);
    command
        .args(["replay", "--json", "--load", "1.2"])
        .env("DATABASE_URL", &database.url);
    let output = command.output().expect("the program runs");
    let summary = summary(&output);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(summary["ledger_sum"], "0.0000");
    assert!(summary["trades"].as_i64() > Some(1_000), "{summary}");
    assert!(
        summary["unfilled"]["scarcity"].as_i64() > Some(0),
        "{summary}"
    );
    for kind in ["hold", "escrow", "payable", "bond"] {
        assert_eq!(summary["money"][kind], "0.0000", "{kind}");
    }
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM trades")
        .fetch_one(&database.pool)
        .await
        .expect("the trades can be counted");
    assert_eq!(summary["trades"].as_i64(), Some(stored));
    let report = audit::run(&database.url).await.expect("it can be audited");
    assert!(report.ok, "{report:?}");
}

#[tokio::test]
async fn the_same_seed_gives_the_same_summary_on_the_same_database() {
    let (database, folder) = (fresh_database().await, folder_until_exit());
    write_traces(&folder);
    let run = |seed| {
        let output = small(&folder, &database.url, &["--json", "--seed", seed]);
        assert_eq!(output.status.code(), Some(0));
        timeless(summary(&output))
    };
    let first = run("1");
    assert_eq!(first["rows_read"], 263);
    assert_eq!(first["rows_left_out"]["undisclosed_model"], 1);
    assert_eq!(first["rows_left_out"]["asks_for_no_gpu"], 1);
    assert_eq!(first["rows_left_out"]["never_ran"], 1);
    assert_ne!(first, run("2"));
    assert_eq!(first, run("1"));
}

#[tokio::test]
async fn a_malformed_line_is_named_and_the_rest_is_replayed() {
    let (database, folder) = (fresh_database().await, folder_until_exit());
    write_traces(&folder);
    let jobs = fs::read_to_string(folder.join("jobs.csv")).expect("they were written");
    let mut lines: Vec<&str> = jobs.lines().collect();
    lines[9] = "1,1000,,LS,soon,later,never";
    fs::write(folder.join("jobs.csv"), lines.join("\n")).expect("they are written");
    let output = small(&folder, &database.url, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("jobs line 10: creation_time"), "{said}");
    let summary = summary(&output);
    assert_eq!(summary["rows_left_out"]["malformed"], 1);
    assert_eq!(summary["ledger_sum"], "0.0000");
    assert_eq!(summary["bids"], 199);
}

#[tokio::test]
async fn the_orders_say_who_could_have_traded_with_them() {
    let (database, folder) = (fresh_database().await, folder_until_exit());
    write_traces(&folder);
    let output = small(
        &folder,
        &database.url,
        &["--json", "--orders-out", "o.jsonl"],
    );
    let summary = summary(&output);
    let text = fs::read_to_string(folder.join("o.jsonl")).expect("it was written");
    let orders: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect();
    assert_eq!(summary["orders"].as_u64(), Some(orders.len() as u64));
    // Whoever did trade could have.
    let pairs: Vec<(i64, i64)> = sqlx::query_as("SELECT buy, sell FROM trades")
        .fetch_all(&database.pool)
        .await
        .expect("the trades can be read");
    assert!(!pairs.is_empty());
    let counterparts = |order: i64| -> BTreeSet<String> {
        let named = Value::from(format!("o{order}"));
        let order = orders.iter().find(|line| line["order"] == named);
        let order = order.expect("every order has a line");
        let places = order["counterparts"].as_array().expect("a list").iter();
        let place = |place: &Value| place.as_u64().expect("a number") as usize - 1;
        let orders = places.map(|at| orders[place(at)]["order"].to_string());
        orders.collect()
    };
    for (buy, sell) in pairs {
        assert!(counterparts(buy).contains(&format!("\"o{sell}\"")), "{buy}");
        assert!(
            counterparts(sell).contains(&format!("\"o{buy}\"")),
            "{sell}"
        );
    }
}

#[tokio::test]
async fn a_market_that_people_made_is_left_alone() {
    let (database, folder) = (fresh_database().await, folder_until_exit());
    write_traces(&folder);
    let (started, _) = start(&database.url, Rules::none()).await;
    for command in opening() {
        submit(&started, command).await;
    }
    let busy = small(&folder, &database.url, &[]);
    assert_eq!(busy.status.code(), Some(1));
    let said = String::from_utf8_lossy(&busy.stderr).into_owned();
    assert!(said.contains("is running on this database"), "{said}");
    stop(started);
    let refused = small(&folder, &database.url, &[]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("a market that no replay made"), "{said}");
    let commands: i64 = sqlx::query_scalar("SELECT count(*) FROM commands")
        .fetch_one(&database.pool)
        .await
        .expect("they are still there");
    assert_eq!(commands, 5);
}

#[test]
fn wrong_usage_is_told() {
    let folder = folder_until_exit();
    for (arguments, sentence) in [
        (&["replay", "--nodes", "n.csv"][..], "--jobs"),
        (&["replay", "--load", "0"], "above 0"),
        (&["replay", "--load", "half"], "not a decimal number"),
    ] {
        let output = sluice(&folder).args(arguments).output();
        let output = output.expect("the program runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(sentence), "{said}");
    }
    let arguments = ["replay", "--nodes", "none.csv", "--jobs", "none.csv"];
    let output = sluice(&folder).args(arguments).output();
    let output = output.expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("sluice: none.csv can't be read"), "{said}");
}

/// Everything is killed at once, the server too, at ten different moments; what was answered
/// before is there once, and the books hold.
#[test]
fn a_replay_that_is_killed_loses_nothing_that_was_answered() {
    let folder = folder_until_exit();
    for round in 1..=10 {
        let receipts = folder.join(format!("receipts-{round}"));
        let mut replay = sluice(&folder)
            .args(["replay", "--receipts-out"])
            .arg(&receipts)
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let answered = || fs::read_to_string(&receipts).unwrap_or_default();
        let begun = Instant::now();
        while answered().lines().count() < round * 400 {
            assert!(
                begun.elapsed() < Duration::from_secs(120),
                "no answers come"
            );
            assert_eq!(replay.try_wait().expect("it can be asked"), None);
            std::thread::sleep(Duration::from_millis(5));
        }
        let group = Pid::from_raw(i32::try_from(replay.id()).expect("it is small"));
        killpg(group, Signal::SIGKILL).expect("the group is killed");
        replay.wait().expect("it ends");
        let answered = answered();
        let audited = sluice(&folder).args(["audit", "--json"]).output();
        let audited = audited.expect("the program runs");
        let said = String::from_utf8_lossy(&audited.stdout);
        assert_eq!(audited.status.code(), Some(0), "round {round}: {said}");
        assert_there_once(&folder, &answered);
    }
}

/// Checks each line of receipts (a command's number and, of an accepted order, its own) against
/// the tables.
fn assert_there_once(folder: &Path, receipts: &str) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (commands, orders): (Vec<i64>, Vec<i64>) = runtime.block_on(async {
        let database = Database::open(None, folder.join(".sluice"), Sharing::Alone).await;
        let database = database.expect("the server starts again");
        let url = database.for_replay().await.expect("it is still there");
        let mut connection = first_connection(&url).await.expect("it answers");
        let commands = sqlx::query_scalar("SELECT seq FROM commands")
            .fetch_all(&mut connection)
            .await
            .expect("the commands can be read");
        let orders = sqlx::query_scalar("SELECT id FROM orders")
            .fetch_all(&mut connection)
            .await
            .expect("the orders can be read");
        connection.close().await.expect("it closes");
        database.close().await.expect("the server stops");
        (commands, orders)
    });
    let stored: BTreeSet<i64> = commands.iter().copied().collect();
    assert_eq!(stored.len(), commands.len());
    let known: BTreeSet<i64> = orders.iter().copied().collect();
    assert_eq!(known.len(), orders.len());
    let mut accepted = 0;
    // What was being written when it was killed may be half a line.
    let whole = receipts.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.lines() {
        let (command, order) = line.split_once(' ').expect("two words");
        assert!(
            stored.contains(&command.parse().expect("a number")),
            "{line}"
        );
        if let Some(order) = order.strip_prefix('o') {
            assert!(known.contains(&order.parse().expect("a number")), "{line}");
            accepted += 1;
        }
    }
    assert!(accepted > 0);
}
