//! The private PostgreSQL: what was written stays, whatever is killed.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use sluice::db::embedded::{Cluster, EmbeddedError, Options};
use sluice::db::{first_connection, require_durable};
use sqlx::Connection;

use crate::support::postgres::folder_until_exit;

fn start(data_dir: &Path) -> Result<Cluster, EmbeddedError> {
    Cluster::start(Options {
        data_dir: data_dir.to_owned(),
        durable: true,
    })
}

fn cluster_data(folder: &Path) -> PathBuf {
    folder.join("postgres/data")
}

async fn write(url: &str, number: i64) {
    let mut connection = first_connection(url).await.expect("the server answers");
    for statement in [
        "CREATE TABLE IF NOT EXISTS written (number bigint)",
        "INSERT INTO written SELECT $1::bigint",
    ] {
        let query = sqlx::query(statement);
        let query = if statement.contains("$1") {
            query.bind(number)
        } else {
            query
        };
        query
            .execute(&mut connection)
            .await
            .expect("the statement runs");
    }
    connection.close().await.expect("the connection closes");
}

async fn written(url: &str) -> Vec<i64> {
    let mut connection = first_connection(url).await.expect("the server answers");
    sqlx::query_scalar("SELECT number FROM written ORDER BY number")
        .fetch_all(&mut connection)
        .await
        .expect("the rows can be read")
}

#[tokio::test]
async fn what_was_written_survives_a_stop_and_a_killed_server() {
    let folder = folder_until_exit();
    let cluster = start(&folder).expect("a first start makes the data");
    require_durable(cluster.url()).await.expect("it is durable");
    write(cluster.url(), 1).await;
    cluster.stop().expect("it stops cleanly");

    let cluster = start(&folder).expect("it starts again");
    write(cluster.url(), 2).await;
    let postmaster = Pid::from_raw(i32::try_from(cluster.process_id()).expect("it is small"));
    kill(postmaster, Signal::SIGKILL).expect("the server is killed");
    drop(cluster);

    let cluster = start(&folder).expect("it starts after a kill");
    assert_eq!(written(cluster.url()).await, [1, 2]);
}

#[tokio::test]
async fn a_stale_process_file_of_a_living_number_is_no_obstacle() {
    let folder = folder_until_exit();
    let cluster = start(&folder).expect("a first start makes the data");
    write(cluster.url(), 1).await;
    let file = cluster.data().join("postmaster.pid");
    let old = fs::read_to_string(&file).expect("the process file is there");
    cluster.stop().expect("it stops cleanly");

    // The old number lives again: as a process of the very user that the server runs as.
    let mut other = Command::new("sleep");
    other.arg("600").stdout(Stdio::null()).stderr(Stdio::null());
    if Uid::effective().is_root() {
        other.uid(
            fs::metadata(cluster_data(&folder))
                .expect("it is there")
                .uid(),
        );
    }
    let mut other = other.spawn().expect("sleep starts");
    let (_, rest) = old.split_once('\n').expect("it has lines");
    fs::write(&file, format!("{}\n{rest}", other.id())).expect("the stale file is written");

    let cluster = start(&folder).expect("it starts beside the stale file");
    assert_eq!(written(cluster.url()).await, [1]);
    other.kill().expect("sleep ends");
    other.wait().expect("sleep has ended");
}

#[tokio::test]
async fn a_second_start_on_the_folder_says_who_runs_there() {
    let folder = folder_until_exit();
    let first = start(&folder).expect("the first starts");
    let refusal = start(&folder).expect_err("the second does not").to_string();
    let us = std::process::id();
    assert!(
        refusal.starts_with(&format!("already running: process {us} uses ")),
        "{refusal}"
    );
    assert_eq!(
        Cluster::address_of(&folder).expect("it can be joined"),
        first.url()
    );

    drop(first);
    let nobody = Cluster::address_of(&folder).expect_err("nothing runs any more");
    assert!(matches!(nobody, EmbeddedError::NotRunning(_)), "{nobody}");
    start(&folder).expect("and the folder is free again");
}

#[tokio::test]
async fn an_interrupted_first_start_begins_afresh() {
    let folder = folder_until_exit();
    start(&folder).expect("it starts").stop().expect("it stops");
    let data = cluster_data(&folder);
    fs::rename(&data, folder.join("postgres/data.partial")).expect("as if cut off before its end");
    let cluster = start(&folder).expect("it starts");
    write(cluster.url(), 1).await;
    assert!(!folder.join("postgres/data.partial").exists());
}

#[tokio::test]
async fn a_folder_too_deep_for_a_socket_works() {
    let folder = folder_until_exit()
        .join("long".repeat(20))
        .join("long".repeat(20));
    let cluster = start(&folder).expect("it starts");
    write(cluster.url(), 1).await;
    assert_eq!(written(cluster.url()).await, [1]);
    // The short folder that stands in for it goes with the server.
    let (_, rest) = cluster
        .url()
        .split_once('@')
        .expect("the address names a folder");
    let (socket, _) = rest.split_once('/').expect("the address names a database");
    let socket = PathBuf::from(socket.replace("%2F", "/"));
    assert!(
        socket.exists() && !socket.starts_with(&folder),
        "{}",
        socket.display()
    );
    drop(cluster);
    assert!(!socket.exists(), "{}", socket.display());
}

#[test]
fn no_other_user_can_enter() {
    let folder = folder_until_exit();
    let cluster = start(&folder).expect("it starts");
    let mode = |path: &Path| {
        let found = fs::metadata(path).expect("the folder is there");
        found.permissions().mode() & 0o777
    };
    assert_eq!(mode(&folder.join("postgres")), 0o700);
    assert_eq!(mode(&cluster.data()), 0o700);
    let settings = fs::read_to_string(cluster.data().join("pg_hba.conf")).expect("it can be read");
    let open = |line: &&str| line.starts_with("host") && !line.trim_end().ends_with("reject");
    assert_eq!(settings.lines().find(open), None);
}

#[test]
fn a_link_in_place_of_the_folder_is_not_followed() {
    let folder = folder_until_exit();
    let elsewhere = folder.join("elsewhere");
    fs::create_dir(&elsewhere).expect("a folder is made");
    std::os::unix::fs::symlink(&elsewhere, folder.join("postgres")).expect("a link is made");
    let refusal = start(&folder).expect_err("it does not start");
    assert!(matches!(refusal, EmbeddedError::Permission(_)), "{refusal}");
}

/// Refuses to go on where mounts would be the system's own.
fn require_own_namespace() {
    let own = std::env::var_os("SLUICE_OWN_NAMESPACE").is_some();
    assert!(own, "only ./test runs this, in a namespace of its own");
}

/// An empty file system of this size in a folder, gone with the namespace.
fn mount(folder: &Path, size: &str) {
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", size, "tmpfs"]).arg(folder);
    let done = mount.status().expect("mount runs");
    assert!(done.success(), "{} is not mounted", folder.display());
}

#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_data_below_a_closed_home_lies_where_the_server_can_go() {
    require_own_namespace();
    mount(Path::new("/var/lib"), "size=500m");
    let home = folder_until_exit().join("home");
    fs::create_dir(&home).expect("a folder is made");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).expect("it is closed");
    let cluster = start(&home.join(".sluice")).expect("it starts all the same");
    assert!(
        cluster.data().starts_with("/var/lib/sluice"),
        "{}",
        cluster.data().display()
    );
    let refusal = start(&home.join(".sluice")).expect_err("it is taken");
    assert!(
        matches!(refusal, EmbeddedError::AlreadyRunning { .. }),
        "{refusal}"
    );
}

#[test]
#[ignore = "needs root in a namespace of its own"]
fn as_root_a_full_disk_is_one_sentence_and_room_mends_it() {
    require_own_namespace();
    let folder = folder_until_exit();
    mount(&folder, "size=20m,mode=755");
    let refusal = start(&folder).expect_err("there is no room");
    assert!(matches!(refusal, EmbeddedError::DiskFull(_)), "{refusal}");
    mount(&folder, "remount,size=500m");
    start(&folder).expect("with room it starts");
}
