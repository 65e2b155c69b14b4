//! The files for containers say what they should, and the image's question about its health works.
//! They are read here, not built: docs and README say so.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde::Deserialize;

use crate::support::app::TestApp;

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// What the file of services may have; anything else is a slip.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Compose {
    name: String,
    services: BTreeMap<String, Service>,
    volumes: BTreeMap<String, Option<Nothing>>,
    networks: BTreeMap<String, Option<Network>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    internal: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    image: String,
    build: Option<String>,
    restart: String,
    environment: BTreeMap<String, String>,
    #[serde(default)]
    depends_on: BTreeMap<String, Dependency>,
    #[serde(default)]
    volumes: Vec<String>,
    #[serde(default)]
    ports: Vec<String>,
    networks: Vec<String>,
    healthcheck: Option<Healthcheck>,
    stop_grace_period: String,
    #[serde(default)]
    read_only: bool,
    #[serde(default)]
    tmpfs: Vec<String>,
    #[serde(default)]
    cap_drop: Vec<String>,
    #[serde(default)]
    security_opt: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dependency {
    condition: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Healthcheck {
    test: Vec<String>,
    interval: String,
    timeout: String,
    retries: u32,
    start_period: String,
}

#[test]
fn the_services_are_a_database_that_nobody_else_reaches_and_the_marketplace() {
    let compose: Compose =
        serde_saphyr::from_str(&file("docker-compose.yml")).expect("it is of the known form");
    assert_eq!(compose.name, "sluice");
    let database = &compose.services["database"];
    let market = &compose.services["marketplace"];
    assert_eq!(compose.services.len(), 2);

    let (image, tag) = database.image.split_once(':').expect("a tag");
    let major = tag.split(['.', '-']).next().unwrap_or_default();
    assert_eq!(image, "postgres");
    assert!(major.parse::<u32>().is_ok_and(|major| major >= 15), "{tag}");
    assert!(database.ports.is_empty(), "it is not published");
    assert_eq!(database.networks, ["inside"]);
    let inside = compose.networks["inside"].as_ref();
    assert!(inside.is_some_and(|inside| inside.internal));
    let initdb = &database.environment["POSTGRES_INITDB_ARGS"];
    assert!(initdb.contains("--data-checksums"));
    let [volume] = database.volumes.as_slice() else {
        panic!("{:?}", database.volumes);
    };
    let (named, folder) = volume.split_once(':').expect("a place");
    assert!(compose.volumes.contains_key(named), "{named}");
    assert_eq!(folder, "/var/lib/postgresql/data");
    let health = database.healthcheck.as_ref().expect("it has a check");
    assert_eq!(health.test[..2], ["CMD", "pg_isready"]);
    assert!(health.retries > 0);
    for time in [&health.interval, &health.timeout, &health.start_period] {
        assert!(time.ends_with('s'), "{time}");
    }

    assert_eq!(market.build.as_deref(), Some("."));
    assert_eq!(market.depends_on["database"].condition, "service_healthy");
    assert_eq!(
        market.ports,
        ["127.0.0.1:8080:8080"],
        "for this machine only"
    );
    assert!(market.read_only && market.tmpfs == ["/tmp"]);
    assert_eq!(market.cap_drop, ["ALL"]);
    assert_eq!(market.security_opt, ["no-new-privileges:true"]);
    for service in compose.services.values() {
        assert_eq!(service.restart, "unless-stopped");
        assert!(
            service
                .networks
                .iter()
                .all(|name| compose.networks.contains_key(name))
        );
        assert!(!service.stop_grace_period.is_empty());
    }
}

#[test]
fn no_secret_is_in_the_file_and_its_settings_are_ones_that_can_be_served_with() {
    let compose: Compose =
        serde_saphyr::from_str(&file("docker-compose.yml")).expect("it is of the known form");
    let database = &compose.services["database"].environment;
    let market = &compose.services["marketplace"].environment;
    let asked = [
        ("${SLUICE_DATABASE_PASSWORD:?set it in .env}", "abc123"),
        (
            "${SLUICE_PUBLIC_URL:?set it in .env}",
            "https://market.example",
        ),
    ];
    assert_eq!(database["POSTGRES_PASSWORD"], asked[0].0);
    let config = |left_out: &str| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.env_clear().args(["config"]);
        for (name, value) in market.iter().filter(|(name, _)| *name != left_out) {
            let value = asked.iter().fold(value.clone(), |value, (asked, given)| {
                value.replace(asked, given)
            });
            assert!(
                !value.contains("${"),
                "{name} asks for something unknown: {value}"
            );
            command.env(name, value);
        }
        command.output().expect("the program runs")
    };
    let done = config("");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(said.contains("environment SLUICE_PUBLIC_URL"), "{said}");
    assert!(!said.contains("abc123"), "{said}");
    let url = &market["DATABASE_URL"];
    let user = &database["POSTGRES_USER"];
    let name = &database["POSTGRES_DB"];
    assert!(url.starts_with(&format!("postgres://{user}:")), "{url}");
    assert!(url.ends_with(&format!("@database:5432/{name}")), "{url}");
    for text in [file("docker-compose.yml"), file("Dockerfile")] {
        assert!(
            !text.contains("--demo"),
            "in earnest unless somebody says otherwise"
        );
    }
    for ignored in [".env", ".git", "target", ".sluice", "node_modules"] {
        let ignores = file(".dockerignore");
        assert!(
            ignores.lines().any(|line| line == ignored),
            "{ignored} stays out"
        );
    }
    assert!(file(".gitignore").lines().any(|line| line == "/.env"));
}

#[tokio::test]
async fn the_image_runs_as_nobody_in_particular_and_asks_after_its_health() {
    let dockerfile = file("Dockerfile").replace("\\\n", " ");
    let lines: Vec<&str> = dockerfile.lines().map(str::trim).collect();
    let with = |word: &str| -> Vec<&str> {
        let found = lines.iter().filter_map(|line| line.strip_prefix(word));
        found.map(str::trim).collect()
    };
    let stages = with("FROM ");
    assert_eq!(stages.len(), 3);
    for stage in &stages {
        let image = stage.split(' ').next().unwrap_or_default();
        assert!(
            image.contains(':') && !image.ends_with(":latest"),
            "{stage}"
        );
    }
    let runs = with("RUN ").join("\n");
    assert!(runs.contains("npm ci"), "{runs}");
    assert!(runs.contains("cargo build --release --locked"), "{runs}");
    let user = lines.iter().rposition(|line| line.starts_with("USER "));
    let last_stage = lines.iter().rposition(|line| line.starts_with("FROM "));
    assert!(user > last_stage, "the last stage has a user");
    assert_eq!(with("USER "), ["10001:10001"]);
    for copied in with("COPY ") {
        let mut words = copied.split_whitespace().peekable();
        if words.peek().is_some_and(|word| word.starts_with("--from")) {
            continue;
        }
        let words: Vec<&str> = words.collect();
        for name in &words[..words.len() - 1] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
            assert!(path.exists(), "{name}");
        }
    }
    let health = with("HEALTHCHECK ").join(" ");
    let (_, asks) = health.split_once("CMD ").expect("it has a command");
    let asks: Vec<String> = serde_json::from_str(asks).expect("a list of words");
    let app = TestApp::start().await;
    let address = app.url.trim_start_matches("http://").to_owned();
    let ask = async || {
        let (asks, address) = (asks.clone(), address.clone());
        let asked = tokio::task::spawn_blocking(move || {
            let mut command = Command::new(&asks[0]);
            command.args(&asks[1..]).env("SLUICE_LISTEN", address);
            command.output().expect("bash runs")
        });
        asked.await.expect("it ends").status.success()
    };
    assert!(ask().await, "it is ready");
    app.stop().await;
    assert!(!ask().await, "it has stopped");
}
