//! A whole lease in earnest: bought through the API, handed out by the real agent with a real `sshd`,
//! probed from three places, used by its holder, and gone at its hour. As root, on account files and
//! folders of a namespace's own; an hour of the market takes forty seconds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use market::Rules;
use reading::AgentKey;
use sluice::clock::{MarketClock, stamp, wall};
use sluice::delivery::probes;
use sluice::vantage::probe::Patience;
use sluice::vantage::{self, Reach};
use sluice::web::server::Limits;
use sluice::web::{Options, Role, Scope};
use sluice_agent::exchange::Exchange;
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use super::Site;
use crate::support::app::TestApp;
use crate::support::machine;
use crate::support::market::{BUYER, hour};
use crate::support::postgres::fresh_database;
use crate::support::programs::program;
use crate::support::visitor::Visitor;
use crate::vantages::real::own_machine;

/// Who has the machine: accounts of leases are named by numbers that each market counts from one.
static TURN: Mutex<()> = Mutex::const_new(());

/// The agent at work; it ends with this value.
pub(super) struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The way in to a lease.
pub(super) struct Door {
    port: u16,
    pub(super) login: String,
}

impl Door {
    /// Where its holder's files are.
    pub(super) fn home(&self) -> PathBuf {
        Path::new("/home").join(&self.login)
    }
}

/// A market whose leases this machine hands out and three places probe, with somebody who buys the
/// hour after the opening's.
pub(super) struct Earnest {
    pub(super) site: Site,
    pub(super) folder: TempDir,
    buyer: Visitor,
    key: PathBuf,
    probing: CancellationToken,
    _turn: MutexGuard<'static, ()>,
}

impl Earnest {
    /// A market with these rules that begins so many minutes into the hour that is bought, and goes
    /// on so many times as fast as real time.
    pub(super) async fn begun(rules: Rules, minutes: i64, speed: i64) -> Self {
        let turn = TURN.lock().await;
        let folder = tempfile::tempdir_in(own_machine()).expect("a folder");
        // What serves all tests' databases runs before the clock does.
        drop(fresh_database().await);
        let begins = hour(1).plus_minutes(minutes);
        let clock = MarketClock::running(stamp(wall()), begins, speed);
        let options = Options {
            data_hours: 0,
            ..Options::default()
        };
        let app = TestApp::serve(rules, Limits::default(), options, Some(clock)).await;
        let site = Site::of(app);
        let (key, line) = key_pair(folder.path());
        let scopes = [Scope::Read, Scope::Place];
        let buyer = program(&site.app, BUYER.0, &[Role::Buyer], &scopes, "buyer").await;
        keep_key(&site, &line).await;
        let probing = CancellationToken::new();
        probed(&site, 3, &probing).await;
        Self {
            site,
            folder,
            buyer,
            key,
            probing,
            _turn: turn,
        }
    }

    /// Where the agent keeps what it knows.
    pub(super) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Enrols this machine as one of two units with the exchange at this address, and lets its agent
    /// work, with these flags more.
    pub(super) async fn agent(&self, exchange: &str, flags: &[&str]) -> Agent {
        let (_, token) = machine::registered(&self.site.app, "one", 2).await;
        let program = own_machine().join("sluice-agent");
        let state = self.state();
        let state_of = |command: &mut Command| {
            command
                .arg("--state")
                .arg(&state)
                .args(["--homes", "/home"]);
        };
        let mut enrol = Command::new(&program);
        enrol.args(["enrol", "--exchange", exchange, "--token", &token]);
        state_of(&mut enrol);
        let enrolled = tokio::task::spawn_blocking(move || enrol.output());
        let enrolled = enrolled.await.expect("no panic").expect("it runs");
        assert!(enrolled.status.success(), "{enrolled:?}");
        let mut run = Command::new(&program);
        run.args(["run", "--ports", "23000-23019"]).args(flags);
        state_of(&mut run);
        let log = fs::File::create(state.with_extension("log")).expect("a log");
        Agent(run.stderr(log).spawn().expect("it runs"))
    }

    /// Buys one unit of the hour, as a program does.
    pub(super) async fn buy(&mut self) {
        let (from, to) = (
            sluice::clock::instant(hour(1)),
            sluice::clock::instant(hour(2)),
        );
        let order = serde_json::json!({
            "id": "e2e", "side": "buy", "units": 1, "price": "10.00",
            "symbols": ["A100-80GB.GUZ-GAN.SILVER"], "start": from, "end": to,
        });
        let order = order.to_string();
        let bought = self.buyer.send("POST", "/api/v1/orders", order).await;
        assert_eq!(bought.status, 201, "{}", bought.body);
    }

    /// Waits until the machine says that the way in is prepared.
    pub(super) async fn door(&self) -> Door {
        let prepared = self.site.until("the way in is prepared", async || {
            let way = "SELECT port, login FROM stays WHERE stage = 'prepared'";
            let way: Option<(i32, String)> = sqlx::query_as(way)
                .fetch_optional(&self.site.app.database.pool)
                .await
                .expect("stays are read");
            way
        });
        let (port, login) = prepared.await;
        let port = u16::try_from(port).expect("a port");
        Door { port, login }
    }

    /// Waits until a quorum of probes has passed.
    pub(super) async fn accepted(&self) {
        self.site
            .until("a quorum of probes has passed", async || {
                let accepted = "SELECT 1 FROM stays WHERE accepted_at IS NOT NULL";
                let accepted: Option<i32> = sqlx::query_scalar(accepted)
                    .fetch_optional(&self.site.app.database.pool)
                    .await
                    .expect("stays are read");
                accepted
            })
            .await;
    }

    /// What comes of a command that the holder runs.
    pub(super) fn ssh(&self, door: &Door, command: &str) -> Output {
        let mut ssh = Command::new("ssh");
        ssh.arg("-i").arg(&self.key);
        ssh.arg("-p").arg(door.port.to_string());
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
        let ssh = ssh.arg(format!("{}@127.0.0.1", door.login)).arg(command);
        ssh.stdin(Stdio::null()).output().expect("ssh runs")
    }

    /// Waits until the holder gets in, and gives what their command printed.
    pub(super) async fn holder(&self, door: &Door, command: &str) -> String {
        let did = self.site.until("the holder gets in", async || {
            let did = self.ssh(door, command);
            did.status.success().then_some(did.stdout)
        });
        String::from_utf8(did.await).expect("text")
    }

    /// Waits until the hour is over.
    pub(super) async fn over(&self) {
        while self.site.app.clock().now() < hour(2) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until nobody gets in and the files are gone.
    pub(super) async fn out(&self, door: &Door) {
        self.site
            .until("the holder is out", async || {
                (!self.ssh(door, "true").status.success()).then_some(())
            })
            .await;
        self.site
            .until("its files are gone", async || {
                (!door.home().exists()).then_some(())
            })
            .await;
    }

    /// Waits until the hour is settled and the lease's way is told to its end.
    pub(super) async fn closed(&self) {
        self.site
            .until("the hour is settled", async || {
                (self.site.settled(1).await.len() == 1).then_some(())
            })
            .await;
        self.site
            .until("its way is told to the end", async || {
                let ways = self.site.ways(1).await;
                (ways.last()?.0 == "closed").then_some(())
            })
            .await;
        let ways = self.site.ways(1).await;
        for needed in ["accepting", "running", "ended", "wiped", "closed"] {
            let has = ways.iter().any(|(state, _)| state == needed);
            assert!(has, "{needed}: {ways:?}");
        }
    }

    /// What the machine's agent showed as it led the lease into a state, or said that it was there.
    pub(super) async fn evidence(&self, state: &str) -> serde_json::Value {
        let evidence = "SELECT evidence FROM lease_states
             WHERE lease = 1 AND state = $1 AND actor LIKE 'agent:%'";
        let evidence = sqlx::query_scalar(evidence).bind(state);
        let evidence = evidence.fetch_one(&self.site.app.database.pool).await;
        evidence.expect("it is recorded")
    }

    /// Stops everything, and proves the books.
    pub(super) async fn stop(self) {
        self.probing.cancel();
        self.site.stop().await;
    }
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
    let mut earnest = Earnest::begun(Rules::none(), -3, 90).await;
    let _agent = earnest.agent(&earnest.site.app.url, &[]).await;
    earnest.buy().await;
    let door = earnest.door().await;
    if earnest.site.app.clock().now() < hour(1) {
        let early = earnest.ssh(&door, "id -un");
        assert!(
            !early.status.success() || earnest.site.app.clock().now() >= hour(1),
            "nobody gets in before the hour: {early:?}"
        );
    }
    earnest.accepted().await;
    let command = "echo mine > file; sleep 3600 >/dev/null 2>&1 & id -un";
    let did = earnest.holder(&door, command).await;
    assert_eq!(did.trim(), door.login);
    assert!(door.home().join("file").exists());

    // Its hour ends by itself: nobody gets in, nothing of it runs, its files are gone.
    earnest.over().await;
    earnest.out(&door).await;
    earnest.closed().await;
    let proven = earnest.site.settled(1).await[0];
    assert!((1..=60).contains(&proven), "some of it ran: {proven}");
    let ways = earnest.site.ways(1).await;
    assert!(ways.iter().any(|(state, _)| state == "scheduled"));
    let wiped = earnest.evidence("wiped").await;
    assert_eq!(wiped["said"]["account"], door.login.as_str(), "{wiped}");
    earnest.stop().await;
}
