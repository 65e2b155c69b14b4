//! The program as it is started: what it prints, what it says, and its exit codes.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn agent(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice-agent"));
    command
        .args(arguments)
        .env_clear()
        .output()
        .expect("it starts")
}

fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let code = output.status.code().expect("it ended by itself");
    (code, text(&output.stdout), text(&output.stderr))
}

#[test]
fn each_command_has_help_with_an_example_that_it_takes() {
    for command in ["enrol", "run", "inventory"] {
        let (code, help, _) = said(&agent(&[command, "--help"]));
        assert_eq!(code, 0);
        let example = help
            .split_once("Example:\n  sluice-agent ")
            .expect(command)
            .1;
        let example = example.lines().next().expect("a line");
        let words: Vec<&str> = example.split(' ').collect();
        assert_eq!(words[0], command);
        // It is understood: what fails is the doing, in a folder that can't be.
        let mut words = words;
        if command != "inventory" {
            words.extend(["--state", "/proc/nowhere"]);
        }
        let (code, _, why) = said(&agent(&words));
        assert_eq!(code, 1, "{why}");
        assert!(why.starts_with("sluice-agent: "), "{why}");
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for wrong in [
        &[][..],
        &["nonsense"],
        &["enrol", "--exchange", "https://market.example"],
        &["run", "--ports", "22"],
        &["run", "--ports", "0-10"],
        &["run", "--ports", "30-20"],
        &["run", "--spool-mib", "0"],
        &["run", "--slurm-node", "n1", "--slurm-partition", "leases"],
        &["run", "--slurm-node", "n1", "--slurm-cpus", "16"],
        &["run", "--slurm-cpus", "16"],
        &["inventory", "--nonsense"],
    ] {
        let (code, _, why) = said(&agent(wrong));
        assert_eq!(code, 2, "{wrong:?}: {why}");
        assert!(!why.is_empty());
    }
}

#[test]
fn an_inventory_says_what_lacks_for_a_grade() {
    let folder = tempfile::tempdir().expect("a folder");
    let needs = folder.path().join("needs.json");
    let ask = |text: &str| {
        fs::write(&needs, text).expect("it is written");
        said(&agent(&[
            "inventory",
            "--homes",
            "/",
            "--needs",
            needs.to_str().expect("text"),
        ]))
    };
    let (code, found, why) = ask(r#"{"units":1,"cpus":0,"memory_mib":1,"disk_mib":1}"#);
    let found: serde_json::Value = serde_json::from_str(&found).expect("it is JSON");
    assert!(found["cpus"].as_u64() > Some(0), "{found}");
    if found["cgroups"] != "none" {
        assert_eq!((code, why.as_str()), (0, ""));
    }
    let (code, _, why) = ask(r#"{"units":2,"cpus":1000000,"memory_mib":1,"disk_mib":1}"#);
    assert_eq!(code, 1);
    assert!(
        why.contains("2000000 processors are needed, there are "),
        "{why}"
    );
    let (code, _, why) = ask(r#"{"units":2}"#);
    assert_eq!(code, 1);
    assert!(why.contains("needs.json: missing field"), "{why}");
}

fn enrol(state: &Path, exchange: &str) -> (i32, String, String) {
    let state = state.to_str().expect("text");
    said(&agent(&[
        "enrol",
        "--exchange",
        exchange,
        "--token",
        "once",
        "--state",
        state,
        "--homes",
        "/",
    ]))
}

/// The key is made before anything is sent, is its owner's alone, and stays for the next try.
#[test]
fn a_machine_that_reaches_no_exchange_keeps_its_key_and_is_not_enrolled() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("agent");
    let nobody = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("bound");
    let nobody = format!("http://{nobody}");
    let (code, _, why) = enrol(&state, &nobody);
    assert_eq!(code, 1);
    assert!(why.contains("the exchange was not reached"), "{why}");
    let key = state.join("key");
    let made = fs::read(&key).expect("the key is there");
    assert_eq!(
        fs::metadata(&key).expect("it is").permissions().mode() & 0o777,
        0o600
    );
    assert!(
        !why.contains(std::str::from_utf8(&made).expect("text").trim()),
        "it is not shown"
    );
    enrol(&state, &nobody);
    assert_eq!(
        fs::read(&key).expect("it is there"),
        made,
        "the same key again"
    );
    let run = said(&agent(&["run", "--state", state.to_str().expect("text")]));
    assert_eq!(run.0, 1);
    assert!(run.2.contains("enrol first"), "{}", run.2);

    fs::set_permissions(&key, Permissions::from_mode(0o644)).expect("it is changed");
    let (code, _, why) = enrol(&state, &nobody);
    assert_eq!(code, 1);
    assert!(why.contains("can be read by others"), "{why}");
    fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("it is changed");

    fs::set_permissions(&state, Permissions::from_mode(0o777)).expect("it is changed");
    let (code, _, why) = enrol(&state, &nobody);
    assert_eq!(code, 1);
    assert!(why.contains("can be written by others"), "{why}");
}

#[test]
fn an_exchange_is_not_spoken_to_in_the_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, _, why) = enrol(&folder.path().join("agent"), "http://market.example");
    assert_eq!(code, 1);
    assert!(why.contains("https://"), "{why}");
}

#[test]
fn one_agent_to_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("agent");
    let _held = sluice_agent::folder::Folder::take(&state).expect("it is free");
    let (code, _, why) = enrol(&state, "https://market.example");
    assert_eq!(code, 1);
    assert!(why.contains("another one uses"), "{why}");
}
