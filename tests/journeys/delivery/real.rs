//! A whole lease in earnest: bought through the API, handed out by the real agent with a real `sshd`,
//! probed from three places, used by its holder, and gone at its hour. As root, on account files and
//! folders of a namespace's own; an hour of the market takes forty seconds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use reading::AgentKey;
use sluice::clock::{MarketClock, stamp, wall};
use sluice::delivery::probes;
use sluice::vantage::probe::Patience;
use sluice::vantage::{self, Reach};
use sluice::web::server::Limits;
use sluice::web::{Options, Role, Scope};
use sluice_agent::exchange::Exchange;
use tokio_util::sync::CancellationToken;

use super::Site;
use crate::support::app::TestApp;
use crate::support::machine;
use crate::support::market::{BUYER, hour};
use crate::support::programs::program;
use crate::vantages::real::own_machine;

/// Market seconds in a real one.
const SPEED: i64 = 90;

/// The agent at work; it ends with this value.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Enrols this machine and lets its agent work.
fn agent(files: &Path, state: &Path, url: &str, token: &str) -> Agent {
    let program = files.join("sluice-agent");
    let state_of = |command: &mut Command| {
        command.arg("--state").arg(state).args(["--homes", "/home"]);
    };
    let mut enrol = Command::new(&program);
    enrol.args(["enrol", "--exchange", url, "--token", token]);
    state_of(&mut enrol);
    let enrolled = enrol.output().expect("it runs");
    assert!(enrolled.status.success(), "{enrolled:?}");
    let mut run = Command::new(&program);
    run.args(["run", "--ports", "23000-23019"]);
    state_of(&mut run);
    let log = fs::File::create(state.with_extension("log")).expect("a log");
    Agent(run.stderr(log).spawn().expect("it runs"))
}

/// The holder at the door.
fn ssh(key: &Path, port: u16, login: &str, command: &str) -> Output {
    let mut ssh = Command::new("ssh");
    ssh.arg("-i").arg(key).arg("-p").arg(port.to_string());
    for option in [
        "BatchMode=yes",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "IdentitiesOnly=yes",
        "ConnectTimeout=3",
        "LogLevel=ERROR",
    ] {
        ssh.args(["-o", option]);
    }
    let ssh = ssh.arg(format!("{login}@127.0.0.1")).arg(command);
    ssh.stdin(Stdio::null()).output().expect("ssh runs")
}

/// A key of the holder's, and its line.
fn key_pair(folder: &Path) -> (PathBuf, String) {
    let key = folder.join("holder");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(&key)
        .status();
    assert!(made.expect("ssh-keygen runs").success());
    let line = fs::read_to_string(key.with_extension("pub")).expect("the public half");
    (key, line.trim().to_owned())
}

async fn keep_key(site: &Site, line: &str) {
    let kept = sqlx::query(
        "INSERT INTO ssh_keys (participant, name, algorithm, public_key, fingerprint, added_by,
                added_at)
         SELECT participant, 'mine', 'ssh-ed25519', $2, 'SHA256:of-the-test', id, now()
         FROM users WHERE participant = $1 LIMIT 1",
    )
    .bind(BUYER.0)
    .bind(line)
    .execute(&site.app.database.pool)
    .await;
    assert_eq!(kept.expect("a key is kept").rows_affected(), 1);
}

/// Probes from so many places until it is stopped.
async fn probed(site: &Site, places: u8, stop: &CancellationToken) {
    for place in 1..=places {
        let key = AgentKey::from_secret(&[place; 32]);
        let name = format!("place {place}");
        let bytes = key.public().to_bytes();
        let added = probes::add(&site.app.database.pool, &name, &bytes, site.now()).await;
        let number = added.expect("a vantage is added").expect("it is new");
        let options = vantage::Options {
            exchange: Exchange::new(&site.app.url, None).expect("an address"),
            number: u64::try_from(number).expect("positive"),
            key,
            reach: Reach::Any,
            patience: Patience::default(),
            at_once: 4,
        };
        tokio::spawn(vantage::run(options, stop.clone()));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root in a namespace of its own"]
async fn as_root_a_buyer_signs_in_works_and_is_out_at_the_hour() {
    let files = own_machine();
    let folder = tempfile::tempdir_in(&files).expect("a folder");
    let start = hour(1).0 - 60_000_000 * 3;
    let clock = MarketClock::running(stamp(wall()), market::Timestamp(start), SPEED);
    let options = Options {
        data_hours: 0,
        ..Options::default()
    };
    let limits = Limits::default();
    let app = TestApp::serve(market::Rules::none(), limits, options, Some(clock)).await;
    let site = Site::of(app);
    let (key, line) = key_pair(folder.path());
    let scopes = [Scope::Read, Scope::Place];
    let mut buyer = program(&site.app, BUYER.0, &[Role::Buyer], &scopes, "buyer").await;
    keep_key(&site, &line).await;
    let stop = CancellationToken::new();
    probed(&site, 3, &stop).await;
    let (_, token) = machine::registered(&site.app, "one", 2).await;
    let state = folder.path().join("state");
    let _agent = agent(&files, &state, &site.app.url, &token);

    let (from, to) = (
        sluice::clock::instant(hour(1)),
        sluice::clock::instant(hour(2)),
    );
    let order = serde_json::json!({
        "id": "e2e", "side": "buy", "units": 1, "price": "10.00",
        "symbols": ["A100-80GB.GUZ-GAN.SILVER"], "start": from, "end": to,
    });
    let bought = buyer
        .send("POST", "/api/v1/orders", order.to_string())
        .await;
    assert_eq!(bought.status, 201, "{}", bought.body);
    let (port, login) = site
        .until("the way in is prepared", async || {
            let way = "SELECT port, login FROM stays WHERE stage = 'prepared'";
            let way: Option<(i32, String)> = sqlx::query_as(way)
                .fetch_optional(&site.app.database.pool)
                .await
                .expect("stays are read");
            way
        })
        .await;
    let port = u16::try_from(port).expect("a port");
    if site.app.clock().now() < hour(1) {
        let early = ssh(&key, port, &login, "id -un");
        assert!(
            !early.status.success() || site.app.clock().now() >= hour(1),
            "nobody gets in before the hour: {early:?}"
        );
    }
    site.until("a quorum of probes has passed", async || {
        let accepted = "SELECT 1 FROM stays WHERE accepted_at IS NOT NULL";
        let accepted: Option<i32> = sqlx::query_scalar(accepted)
            .fetch_optional(&site.app.database.pool)
            .await
            .expect("stays are read");
        accepted
    })
    .await;
    let did = site
        .until("the holder gets in", async || {
            let did = ssh(&key, port, &login, "echo mine > file; sleep 3600 & id -un");
            did.status.success().then_some(did)
        })
        .await;
    assert_eq!(String::from_utf8_lossy(&did.stdout).trim(), login);
    assert!(Path::new("/home").join(&login).join("file").exists());

    // Its hour ends by itself: nobody gets in, nothing of it runs, its files are gone.
    while site.app.clock().now() < hour(2) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    site.until("the holder is out", async || {
        (!ssh(&key, port, &login, "true").status.success()).then_some(())
    })
    .await;
    site.until("its files are gone", async || {
        (!Path::new("/home").join(&login).exists()).then_some(())
    })
    .await;
    site.until("the hour is settled", async || {
        let settled = site.settled(1).await;
        (settled.len() == 1).then_some(())
    })
    .await;
    let proven = site.settled(1).await[0];
    assert!((1..=60).contains(&proven), "some of it ran: {proven}");
    site.until("its way is told to the end", async || {
        let ways = site.ways(1).await;
        (ways.last()?.0 == "closed").then_some(())
    })
    .await;
    let ways = site.ways(1).await;
    for needed in [
        "scheduled",
        "accepting",
        "running",
        "ended",
        "wiped",
        "closed",
    ] {
        let has = ways.iter().any(|(state, _)| state == needed);
        assert!(has, "{needed}: {ways:?}");
    }
    let wiped: serde_json::Value =
        sqlx::query_scalar("SELECT evidence FROM lease_states WHERE lease = 1 AND state = 'wiped'")
            .fetch_one(&site.app.database.pool)
            .await
            .expect("the wipe is recorded");
    assert_eq!(wiped["said"]["account"], login.as_str(), "{wiped}");
    stop.cancel();
    site.stop().await;
}
