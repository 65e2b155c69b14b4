//! Vantages against an exchange: in this process, and as the program.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use nix::sys::signal::Signal;
use reading::{AgentKey, Request};
use serde_json::{Value, json};
use sluice::delivery::probes::{self, MOST_EVIDENCE, MOST_TAKEN};
use sluice::vantage::probe::Patience;
use sluice::vantage::{self, Options, Reach};
use sluice_agent::exchange::Exchange;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::counting::{STAY, Stand};
use super::doors::look;
use super::ssh::{Behind, Door};
use crate::program::{signal, sluice};
use crate::support::visitor::{Page, Visitor};

fn secret(number: u8) -> AgentKey {
    AgentKey::from_secret(&[number; 32])
}

/// A vantage that the exchange knows.
async fn known(stand: &Stand, key: &AgentKey) -> u64 {
    let key = key.public().to_bytes();
    let added = probes::add(stand.db(), "贵安", &key, stand.at(0)).await;
    let number = added.expect("it is written").expect("it is new");
    number.try_into().expect("it is above 0")
}

fn options(exchange: &str, number: u64, key: &AgentKey) -> Options {
    Options {
        exchange: Exchange::new(exchange, None).expect("an address"),
        number,
        key: AgentKey::from_secret(&key.secret()),
        reach: Reach::Any,
        patience: Patience::default(),
        at_once: 8,
    }
}

/// The lease's door is this one.
async fn behind(stand: &Stand, door: &Door) {
    let query = "UPDATE stays SET port = $1, host_key = $2 WHERE stay = $3";
    sqlx::query(query)
        .bind(i32::from(door.address.port()))
        .bind(door.host_key())
        .bind(STAY)
        .execute(stand.db())
        .await
        .expect("it is written");
}

/// Waits until the stay's latest word is this.
async fn found(stand: &Stand, reason: &str) {
    let began = Instant::now();
    let query = "SELECT reason FROM probe_spans ORDER BY first_at DESC LIMIT 1";
    loop {
        let found: Option<String> = sqlx::query_scalar(query)
            .fetch_optional(stand.db())
            .await
            .expect("it is read");
        if found.as_deref() == Some(reason) {
            return;
        }
        let waited = began.elapsed();
        assert!(
            waited < Duration::from_secs(20),
            "{found:?} in place of {reason}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn post(url: &str, path: &str, number: u64, key: &AgentKey, body: &Value) -> Page {
    let body = body.to_string();
    let asked = Request {
        method: "POST",
        path,
        body: body.as_bytes(),
    };
    let proof = asked.prove(key, number, sluice::clock::wall(), rand::random());
    let mut visitor = Visitor::at(url);
    for (name, value) in proof.headers() {
        visitor.sends.push((name, value));
    }
    let kind = ("content-type", "application/json".to_owned());
    visitor.sends.push(kind);
    visitor.send("POST", path, body).await
}

#[tokio::test]
async fn a_vantage_tries_what_is_due_and_what_it_finds_counts() {
    let stand = Stand::with(0).await;
    let key = secret(1);
    let number = known(&stand, &key).await;
    let door = Door::open(Behind::Prints(look(8).to_string()), &key).await;
    behind(&stand, &door).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(vantage::run(
        options(&stand.app.url, number, &key),
        stop.clone(),
    ));
    found(&stand, "passed").await;
    let accepted = "SELECT accepted_at IS NOT NULL FROM stays";
    let accepted: bool = sqlx::query_scalar(accepted)
        .fetch_one(stand.db())
        .await
        .expect("it is read");
    assert!(accepted, "by the only one");
    // The door refuses from now on, as the next probe finds; nothing is due before.
    let other = Door::open(Behind::Prints(look(8).to_string()), &secret(2)).await;
    behind(&stand, &other).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    found(&stand, "passed").await;
    let clock = stand.app.clock();
    clock.set(sluice::clock::stamp(stand.at(6)));
    found(&stand, "refused").await;
    let failing = "SELECT count(*) FROM stays WHERE failing_since = $1";
    let failing: i64 = sqlx::query_scalar(failing)
        .bind(jiff_sqlx::Timestamp::from(stand.at(6)))
        .fetch_one(stand.db())
        .await
        .expect("it is read");
    assert_eq!(failing, 1, "since market time at arrival");
    behind(&stand, &door).await;
    clock.set(sluice::clock::stamp(stand.at(7)));
    found(&stand, "passed").await;
    stop.cancel();
    running.await.expect("it ends well");
    stand.app.stop().await;
}

/// Nobody is at the exchange's address, then somebody is.
#[tokio::test]
async fn a_vantage_that_reaches_no_exchange_goes_on_trying() {
    let stand = Stand::with(0).await;
    let key = secret(1);
    let number = known(&stand, &key).await;
    let door = Door::open(Behind::Prints(look(8).to_string()), &key).await;
    behind(&stand, &door).await;
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = free.local_addr().expect("it has one");
    drop(free);
    let stop = CancellationToken::new();
    let running = tokio::spawn(vantage::run(
        options(&format!("http://{address}"), number, &key),
        stop.clone(),
    ));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!running.is_finished());
    let listener = TcpListener::bind(address).await.expect("the port is free");
    let site = stand.app.url.trim_start_matches("http://").to_owned();
    let forwarding = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(&site).await.expect("it serves");
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    found(&stand, "passed").await;
    stop.cancel();
    running.await.expect("it ends well");
    forwarding.abort();
    stand.app.stop().await;
}

#[tokio::test]
async fn only_a_vantage_that_is_not_retired_is_answered() {
    let stand = Stand::with(0).await;
    let (key, other) = (secret(1), secret(2));
    let number = known(&stand, &key).await;
    let url = stand.app.url.clone();
    let ask = json!({ "version": 1 });
    let work = "/api/vantage/v1/work";
    let answer = post(&url, work, number, &key, &ask).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let answer: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(answer["targets"][0]["stay"], STAY);
    assert_eq!(answer["again_ms"], 250);
    let by_other = post(&url, work, number, &other, &ask).await;
    assert_eq!(
        by_other.status,
        StatusCode::UNAUTHORIZED,
        "{}",
        by_other.body
    );
    let as_agent = post(&url, "/api/agent/v1/heartbeat", number, &key, &ask).await;
    assert_eq!(
        as_agent.status,
        StatusCode::UNAUTHORIZED,
        "{}",
        as_agent.body
    );
    let retired = probes::retire(stand.db(), "贵安", (stand.at(1), stand.at(1))).await;
    assert!(retired.expect("it is written").is_some());
    for path in [work, "/api/vantage/v1/results"] {
        let answer = post(&url, path, number, &key, &ask).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.body);
    }
    let again = probes::retire(stand.db(), "贵安", (stand.at(1), stand.at(1))).await;
    assert_eq!(again.expect("it is asked"), None);
    stand.app.stop().await;
}

#[tokio::test]
async fn what_a_vantage_says_wrongly_is_refused_and_changes_nothing() {
    let stand = Stand::with(0).await;
    let key = secret(1);
    let number = known(&stand, &key).await;
    let url = stand.app.url.clone();
    let result = json!({ "stay": STAY, "host": stand.host, "reason": "passed", "evidence": {} });
    let with = |name: &str, value: Value| {
        let mut changed = result.clone();
        changed[name] = value;
        json!({ "version": 1, "results": [changed] })
    };
    let results = "/api/vantage/v1/results";
    for wrong in [
        json!({}),
        json!([]),
        json!({ "version": 2, "results": [] }),
        json!({ "version": 1 }),
        json!({ "version": 1, "results": {} }),
        json!({ "version": 1, "results": vec![result.clone(); MOST_TAKEN + 1] }),
        with("reason", json!("paid")),
        with("reason", json!(null)),
        with("stay", json!("1")),
        with("host", json!(1.5)),
        with("evidence", json!("a".repeat(MOST_EVIDENCE))),
    ] {
        let answer = post(&url, results, number, &key, &wrong).await;
        let sent = wrong.to_string();
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{sent:.200}");
        assert!(answer.body.contains("unreadable"), "{}", answer.body);
    }
    let wrong = post(&url, "/api/vantage/v1/work", number, &key, &json!({})).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    let rows = "SELECT count(*) FROM probe_spans";
    let rows = async || -> i64 {
        let counted = sqlx::query_scalar(rows).fetch_one(stand.db()).await;
        counted.expect("they are counted")
    };
    assert_eq!(rows().await, 0);
    // What is about nothing that there is is passed over, and the rest is taken.
    let mut nobody = result.clone();
    nobody["stay"] = json!(i64::MAX);
    let mixed = json!({ "version": 1, "results": [nobody, result] });
    let answer = post(&url, results, number, &key, &mixed).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(rows().await, 1);
    stand.app.stop().await;
}

/// As a person sets one up: its key, its number, and the program until it is told to stop.
#[tokio::test]
async fn the_program_makes_its_key_is_added_tries_doors_and_is_retired() {
    let stand = Stand::with(0).await;
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state");
    let own = state.to_str().expect("text");
    let said = |arguments: &[&str]| {
        let mut command = sluice(folder.path());
        command.env("DATABASE_URL", &stand.app.database.url);
        let output = command.args(arguments).output().expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (code, public, why) = said(&["vantage", "key", "--state", own]);
    assert_eq!(code, Some(0), "{why}");
    let public = public.trim();
    assert_eq!(public.len(), 64, "{public}");
    let file = state.join("key");
    let mode = fs::metadata(&file)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = said(&["vantage", "key", "--state", own]);
    assert_eq!(again.1.trim(), public, "it stays");

    let add = ["admin", "vantage", "add", "--name", "贵安", "--key", public];
    let (code, said_so, why) = said(&add);
    assert_eq!(code, Some(0), "{why}");
    let number = said_so.split_once("--number ").expect("a number").1;
    let number = number.lines().next().expect("a line").to_owned();
    let (code, _, why) = said(&add);
    assert_eq!(code, Some(1));
    assert!(why.contains("there is a vantage"), "{why}");
    let weak = format!("01{}", "0".repeat(62));
    for wrong in ["zz", &weak] {
        let add = ["admin", "vantage", "add", "--name", "x", "--key", wrong];
        assert_eq!(said(&add).0, Some(1), "{wrong}");
    }

    let needs = folder.path().join("needs.json");
    let file = needs.to_str().expect("text");
    let say = [
        "admin",
        "grade-needs",
        "--grade",
        "A100-80GB",
        "--file",
        file,
    ];
    for (text, expected) in [
        (r#"{"units":1,"cpus":65,"memory_mib":1,"disk_mib":0}"#, 0),
        (r#"{"units":2,"cpus":65,"memory_mib":1,"disk_mib":0}"#, 1),
        ("{}", 1),
    ] {
        fs::write(&needs, text).expect("it is written");
        let (code, _, why) = said(&say);
        assert_eq!(code, Some(expected), "{why}");
    }
    let none = ["admin", "grade-needs", "--grade", "NONE", "--file", file];
    assert_eq!(said(&none).0, Some(1));

    let key = sluice_agent::key::load(&state.join("key")).expect("its key");
    let door = Door::open(Behind::Prints(look(8).to_string()), &key).await;
    behind(&stand, &door).await;
    let mut program = start(folder.path(), &stand.app.url, &number, own);
    found(&stand, "not_the_grade").await;
    signal(&program, Signal::SIGINT);
    let ended = tokio::task::spawn_blocking(move || program.wait());
    let ended = ended.await.expect("it is waited for").expect("it ends");
    assert_eq!(ended.code(), Some(0));

    let (code, _, why) = said(&["admin", "vantage", "retire", "--name", "贵安"]);
    assert_eq!(code, Some(0), "{why}");
    assert_eq!(
        said(&["admin", "vantage", "retire", "--name", "贵安"]).0,
        Some(1)
    );
    let acts = "SELECT act FROM acts WHERE act LIKE 'vantage%' OR act LIKE 'grade%' ORDER BY id";
    let acts: Vec<String> = sqlx::query_scalar(acts)
        .fetch_all(stand.db())
        .await
        .expect("acts are read");
    assert_eq!(
        acts,
        ["vantage_added", "grade_needs_said", "vantage_retired"]
    );

    fs::set_permissions(state.join("key"), fs::Permissions::from_mode(0o644))
        .expect("it is changed");
    let (code, _, why) = said(&["vantage", "key", "--state", own]);
    assert_eq!(code, Some(1));
    assert!(why.contains("can be read by others"), "{why}");
    stand.app.stop().await;
}

fn start(folder: &Path, url: &str, number: &str, state: &str) -> std::process::Child {
    let mut command = sluice(folder);
    command.args(["vantage", "--exchange", url, "--number", number]);
    command.args(["--state", state, "--private"]);
    command.stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::null());
    command.spawn().expect("it starts")
}
