//! What the agent says to its exchange, and what it makes of the answers: by HTTP, to one that
//! answers as it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use reading::{AgentKey, Digest, Minute, Reading};
use serde_json::{Value, json};
use sluice_agent::connector::Connector;
use sluice_agent::exchange::Exchange;
use sluice_agent::host::Host;
use sluice_agent::messages::{Reason, Stage, State};
use sluice_agent::spool::Spool;
use sluice_agent::work::Agent;
use tempfile::TempDir;

/// What was asked: the last word of the path, and the body.
type Asked = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// An exchange that answers each request by this, with a status.
fn exchange(answer: impl Fn(&str, &[u8]) -> (u16, Value) + Send + 'static) -> (Exchange, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let asked = Asked::default();
    let noted = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.expect("a connection"), &noted, &answer);
        }
    });
    let exchange = Exchange::new(&format!("http://{address}"), None);
    (exchange.expect("an address"), asked)
}

fn serve(stream: TcpStream, asked: &Asked, answer: impl Fn(&str, &[u8]) -> (u16, Value)) {
    let mut reader = BufReader::new(stream.try_clone().expect("a connection"));
    let mut line = String::new();
    reader.read_line(&mut line).expect("a request");
    let path = line.split(' ').nth(1).expect("a path");
    let name = path.rsplit('/').next().expect("a name").to_owned();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a header");
        if line.trim().is_empty() {
            break;
        }
        let (header, value) = line.split_once(':').expect("a header");
        if header.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().expect("a number");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let (status, text) = answer(&name, &body);
    asked.lock().expect("whole").push((name, body));
    let (mut stream, text) = (stream, text.to_string());
    let length = text.len();
    let head = format!(
        "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    // Whoever reads no further has closed it.
    let _ = stream.write_all((head + &text).as_bytes());
}

fn agent(folder: &TempDir, spool: Spool) -> Agent {
    let path = folder.path();
    let host = Host {
        leases: path.join("leases"),
        homes: "/".into(),
        shared: Vec::new(),
        ports: 1..=1,
        group: "sluice-test".to_owned(),
        program: "/nowhere".into(),
        listen: None,
    };
    let key = AgentKey::from_secret(&[1; 32]);
    let orders = path.join("orders.json");
    Agent::new(7, key, Connector::Host(host), orders, spool).expect("it begins")
}

fn spool(folder: &TempDir) -> Spool {
    Spool::open(&folder.path().join("spool"), 7, 64 << 20).expect("a spool")
}

fn state(evidence: Value) -> State {
    State {
        lease: 12,
        stage: Stage::Closed,
        reason: Reason::Ended,
        at: "2026-11-26T14:00:00Z".parse().expect("an instant"),
        evidence,
    }
}

fn names(asked: &Asked) -> Vec<String> {
    let asked = asked.lock().expect("whole");
    asked.iter().map(|(name, _)| name.clone()).collect()
}

/// What ran is told whatever the exchange says to the rest.
#[test]
fn readings_are_sent_where_heartbeat_and_states_could_not_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut spool = spool(&folder);
    let reading = Reading {
        agent: 7,
        lease: 12,
        sequence: 1,
        minute: Minute(29_000_000),
        units: 8,
        before: Digest::beginning(7, 12),
    };
    let signed = reading.sign(&AgentKey::from_secret(&[1; 32]));
    spool.add(vec![signed]).expect("room");
    spool.add_state(state(json!({}))).expect("room");
    let agent = agent(&folder, spool);
    let (exchange, asked) = exchange(|name, _| match name {
        "readings" => (200, json!({ "taken": [{ "lease": 12, "through": 1 }] })),
        _ => (413, json!({ "code": "too_long", "detail": "no" })),
    });
    assert!(agent.talk(&exchange).is_err());
    assert_eq!(names(&asked), ["heartbeat", "states", "readings"]);
    assert_eq!(agent.spool(Spool::waiting), 1, "the state waits");
}

/// States go by requests of a length that the exchange takes, however many and long they are.
#[test]
fn states_go_by_requests_of_bounded_length() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut spool = spool(&folder);
    for _ in 0..300 {
        spool.add_state(state(json!({}))).expect("room");
    }
    for _ in 0..150 {
        let long = json!({ "escaped": "a".repeat(8_000) });
        spool.add_state(state(long)).expect("room");
    }
    let agent = agent(&folder, spool);
    let (exchange, asked) = exchange(|name, body| {
        let body: Value = serde_json::from_slice(body).expect("JSON");
        match name {
            "states" => {
                let states = body["states"].as_array().expect("a list");
                (
                    200,
                    json!({ "through": states.last().expect("one")["sequence"] }),
                )
            }
            _ => (
                200,
                json!({ "clock": "2026-11-26T14:00:00Z", "leases": [] }),
            ),
        }
    });
    agent.talk(&exchange).expect("it is taken");
    assert_eq!(agent.spool(Spool::waiting), 0);
    let asked = asked.lock().expect("whole");
    let mut all = Vec::new();
    for (_, body) in asked.iter().filter(|(name, _)| name == "states") {
        assert!(body.len() < 600 << 10, "{}", body.len());
        let body: Value = serde_json::from_slice(body).expect("JSON");
        let states = body["states"].as_array().expect("a list");
        assert!(states.len() <= 200, "{}", states.len());
        all.extend(states.iter().map(|one| one["sequence"].as_u64()));
    }
    let expected: Vec<Option<u64>> = (1..=450).map(Some).collect();
    assert_eq!(all, expected, "each once, in order");
}

/// A record that could not be read again is not written.
#[test]
fn a_record_that_is_too_long_is_refused_and_what_was_there_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut first = spool(&folder);
    first.add_state(state(json!({}))).expect("room");
    let long = json!({ "escaped": "a".repeat(2 << 20) });
    let refused = first.add_state(state(long));
    assert!(refused.is_err_and(|why| why.to_string().contains("takes no record")));
    first.add_state(state(json!({}))).expect("room");
    drop(first);
    let again: Vec<u64> = spool(&folder)
        .states(9)
        .iter()
        .map(|one| one.sequence)
        .collect();
    assert_eq!(again, [1, 2]);
}

/// One order that can't be understood, or a long answer, keeps no other order from being heard.
#[test]
fn orders_are_understood_one_by_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let agent = agent(&folder, spool(&folder));
    let order = |number: u64| {
        json!({
            "lease": number, "want": "there", "units": 1, "start": "2026-11-26T14:00:00Z",
            "end": "2026-11-26T15:00:00Z", "wipe": "2026-11-26T16:00:00Z", "keys": [],
            "limits": { "cpu_millis": 1000, "memory_mib": 64, "processes": 30 },
        })
    };
    let (exchange, _) = exchange(move |_, _| {
        let mut new = order(2);
        new["something_new"] = json!("a".repeat(2 << 20));
        let mut key = order(3);
        key["keys"] = json!(["no key"]);
        let leases = [order(1), new, key, json!({}), order(4)];
        (
            200,
            json!({ "clock": "2026-11-26T14:00:00Z", "leases": leases }),
        )
    });
    agent.talk(&exchange).expect("it is heard");
    assert_eq!(kept(folder.path()), ["1", "4"]);
}

/// The leases that are kept.
fn kept(folder: &Path) -> Vec<String> {
    let text = std::fs::read(folder.join("orders.json")).expect("they are kept");
    let orders: Value = serde_json::from_slice(&text).expect("JSON");
    let orders = orders.as_object().expect("by number");
    orders.keys().cloned().collect()
}
