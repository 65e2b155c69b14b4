//! What the agent is made of: nothing that listens, nothing that speaks to a database, nothing
//! that schedules. Read from the lock file's graph, as cargo resolves it.

use std::collections::BTreeSet;
use std::process::Command;

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

/// The names of everything that the program is built of, on Linux; tests' own left out. The
/// features are those of its own build, not what other members of the workspace ask for.
fn built_of(root: &str) -> BTreeSet<String> {
    let said = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--package", root])
        .args(["--edges", "normal,build", "--prefix", "none"])
        .args(["--target", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let lines = String::from_utf8(said.stdout).expect("text");
    let names = lines.lines().filter_map(|line| line.split(' ').next());
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
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
