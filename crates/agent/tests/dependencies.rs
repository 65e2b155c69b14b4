//! What the agent is made of: nothing that listens, nothing that speaks to a database, nothing
//! that schedules. Read from the lock file's graph, as cargo resolves it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What is not to be there, by the beginnings of names.
const NEVER: [&str; 22] = [
    "actix",
    "async-io",
    "async-std",
    "axum",
    "diesel",
    "h2",
    "hyper",
    "mio",
    "mysql",
    "postgres",
    "reqwest",
    "rocket",
    "rusqlite",
    "sled",
    "smol",
    "sqlx",
    "tiny_http",
    "tokio",
    "tonic",
    "tower",
    "tungstenite",
    "warp",
];

/// The names of everything that the program is built of, on Linux; tests' own left out.
fn built_of(root: &str) -> BTreeSet<String> {
    let said = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let graph: Value = serde_json::from_slice(&said.stdout).expect("it is JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let names: BTreeMap<String, String> = list(&graph["packages"])
        .iter()
        .map(|one| (text(&one["id"]), text(&one["name"])))
        .collect();
    let uses: BTreeMap<String, Vec<Value>> = list(&graph["resolve"]["nodes"])
        .iter()
        .map(|node| (text(&node["id"]), list(&node["deps"])))
        .collect();
    let first = names
        .iter()
        .find(|(_, name)| *name == root)
        .expect("it is a member")
        .0;
    let mut found = BTreeSet::new();
    let mut waiting = vec![first.clone()];
    while let Some(id) = waiting.pop() {
        if !found.insert(id.clone()) {
            continue;
        }
        for used in &uses[&id] {
            let kinds = list(&used["dep_kinds"]);
            if kinds.iter().any(|kind| kind["kind"] != "dev") {
                waiting.push(text(&used["pkg"]));
            }
        }
    }
    found.iter().map(|id| names[id].clone()).collect()
}

#[test]
fn no_web_server_no_database_driver_and_no_async_runtime() {
    let all = built_of("sluice-agent");
    for needed in ["reading", "ureq", "rustls", "ed25519-dalek"] {
        assert!(
            all.contains(needed),
            "the graph is read wrongly: no {needed}"
        );
    }
    let wrong = |name: &&String| NEVER.iter().any(|never| name.starts_with(never));
    let wrong: Vec<&String> = all.iter().filter(wrong).collect();
    assert!(wrong.is_empty(), "the agent is built of {wrong:?}");
    assert!(all.len() <= 100, "the agent is small: {} parts", all.len());
    // The same look finds them where they are.
    let exchange = built_of("sluice");
    for there in ["axum", "sqlx", "tokio"] {
        assert!(
            exchange.contains(there),
            "the graph is read wrongly: no {there}"
        );
    }
}
