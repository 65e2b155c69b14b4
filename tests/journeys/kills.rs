//! The leader's process is killed, or stopped and woken, under load with a standby beside it, and
//! an outside witness judges.
//!
//! `SLUICE_KILLS` says how many kills; ten where it is not set.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use market::{
    Command, Hour, InstrumentId, Money, OpenPool, ParticipantId, PlaceOrder, PoolId, Rules,
};
use nix::sys::signal::Signal;
use rand::RngExt;
use sluice::clock::{MarketClock, stamp, wall};
use sluice::sequencer;

use crate::program::{signal, sluice};
use crate::support::market::{ask, opening, stop, submit};
use crate::support::postgres::{TestDatabase, folder_until_exit, fresh_database};
use crate::support::visitor::Visitor;
use crate::support::witness::{Form, Witness};

const SYMBOL: &str = "A100-80GB.GUZ-GAN.SILVER";
/// Who signs up first after the opening's two.
const ADA: i64 = 3;
/// How long a successor may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// A server of ours; it is killed with this value, whatever fails.
pub(crate) struct Server {
    pub(crate) child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts `sluice serve`, with these flags, and waits until it answers at an address.
    pub(crate) fn start(folder: &Path, database: &TestDatabase, flags: &[&str]) -> Self {
        let mut command = sluice(folder);
        command
            .args(["serve", "--allow-unsafe-database"])
            .args(flags)
            .env("DATABASE_URL", &database.url)
            .env("SLUICE_RULES", "none")
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().expect("it has a pipe")).lines();
        let mut seen = String::new();
        for line in lines.by_ref() {
            let line = line.expect("the log is text");
            seen.push_str(&line);
            if let Some((_, address)) = line.split_once("http://") {
                let address = address.trim().to_owned();
                std::thread::spawn(move || lines.for_each(drop));
                return Self { child, address };
            }
        }
        let _ = child.wait();
        panic!("it did not come up: {seen}");
    }

    /// The status that it answers to whether it is ready; 0 when it does not answer.
    async fn readiness(&self) -> u16 {
        use std::io::{Read, Write};
        let address = self.address.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let mut stream = std::net::TcpStream::connect(&address).ok()?;
            stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
            let request =
                format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            answer.split(' ').nth(1)?.parse().ok()
        });
        asked.await.expect("no panic").unwrap_or(0)
    }

    async fn until_ready(&self) {
        let begun = Instant::now();
        while self.readiness().await != 200 {
            assert!(begun.elapsed() < PATIENCE, "nobody takes over");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A market in which Ada has money and a pool has room, its form, and who leads.
async fn opened(folder: &Path) -> (TestDatabase, Server, Vec<Form>) {
    let database = fresh_database().await;
    for name in ["黔云算力", "听澜智能"] {
        sqlx::query("INSERT INTO participants (name, created_at) VALUES ($1, now())")
            .bind(name)
            .execute(&database.pool)
            .await
            .expect("a participant is written");
    }
    list(&database).await;
    let leader = Server::start(folder, &database, &[]);
    let mut ada = Visitor::at(&format!("http://{}", leader.address));
    ada.sign_up("ada").await;
    let mut forms = Vec::new();
    // Two clients whose orders trade at once, and two whose orders rest.
    for price in ["10.00", "10.00", "1.00", "2.00"] {
        let typed = [("mode", "advanced"), ("units", "1"), ("price", price)];
        let confirm = ada.ticket(SYMBOL, &typed).await;
        let (action, mut fields) = confirm.form("form[action$='/orders']");
        fields.retain(|(name, _)| name != "client_id");
        let cookies = ada
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let cookie = cookies.collect::<Vec<_>>().join("; ");
        forms.push(Form {
            action,
            fields,
            cookie,
        });
    }
    (database, leader, forms)
}

/// Lists the opening's market around the present, with much to buy, and gives Ada money.
async fn list(database: &TestDatabase) {
    let now = stamp(wall());
    let options = sequencer::Options {
        database_url: database.url.clone(),
        rules: Rules::none(),
        clock: MarketClock::set_to(now),
        queue: 100,
        batch: 100,
    };
    let started = sequencer::start(options).await.expect("it starts");
    let (start, end) = (now.hour().begins(), Hour(now.hour().0 + 24 * 30).begins());
    for mut command in opening() {
        match &mut command {
            Command::OpenPool(pool) => {
                *pool = OpenPool {
                    pool: PoolId(1),
                    instrument: InstrumentId(1),
                    units: 1_000_000,
                    start,
                    end,
                    ..pool.clone()
                };
            }
            Command::PlaceOrder(_) => {
                let Command::PlaceOrder(placed) = ask("ask", 1_000_000, 100_000) else {
                    panic!("an ask is placed");
                };
                command = Command::PlaceOrder(PlaceOrder {
                    start,
                    end,
                    ..placed
                });
            }
            _ => {}
        }
        assert_eq!(submit(&started, command).await.rejection(), None);
    }
    let deposit = Command::Deposit {
        participant: ParticipantId(ADA),
        amount: Money(1_000_000_000_000),
    };
    assert_eq!(submit(&started, deposit).await.rejection(), None);
    stop(started);
}

/// `sluice audit` on a market, also one that is served.
pub(crate) fn prove(folder: &Path, database: &TestDatabase) {
    let mut command = sluice(folder);
    let audit = command.arg("audit").env("DATABASE_URL", &database.url);
    let done = audit.output().expect("the audit runs");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        done.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

fn folder() -> PathBuf {
    let folder = folder_until_exit();
    fs::create_dir(folder.join("witness")).expect("a folder is made");
    folder
}

fn kills() -> u32 {
    let set = std::env::var("SLUICE_KILLS").ok();
    set.map_or(10, |number| {
        number.parse().expect("SLUICE_KILLS is a number")
    })
}

#[tokio::test]
async fn what_a_killed_leader_acknowledged_is_there_once() {
    let folder = folder();
    let (database, mut leader, forms) = opened(&folder).await;
    let witness = Witness::begin(&folder.join("witness"), &leader.address, &forms);
    let mut random = rand::rng();
    let kills = kills();
    for kill in 1..=kills {
        let standby = Server::start(&folder, &database, &["--standby"]);
        assert_eq!(standby.readiness().await, 503, "a standby is not ready");
        let pause = random.random_range(100..700);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        signal(&leader.child, Signal::SIGKILL);
        leader.child.wait().expect("it is gone");
        standby.until_ready().await;
        witness
            .address
            .lock()
            .expect("no client panics")
            .clone_from(&standby.address);
        leader = standby;
        let said = witness.said();
        said.judge(&database.pool, ADA, false).await;
        prove(&folder, &database);
        println!(
            "kill {kill} of {kills} after {pause} ms: {} acknowledged",
            said.acknowledged()
        );
    }
    let said = witness.end();
    said.judge(&database.pool, ADA, true).await;
    assert!(
        said.acknowledged() > 10 * forms.len(),
        "{}",
        said.acknowledged()
    );
    prove(&folder, &database);
    let epochs: i64 = sqlx::query_scalar("SELECT epoch FROM engine")
        .fetch_one(&database.pool)
        .await
        .expect("it is read");
    assert_eq!(epochs, i64::from(kills) + 2, "each leader led once");
    signal(&leader.child, Signal::SIGINT);
    assert_eq!(leader.child.wait().expect("it ends").code(), Some(0));
}

#[tokio::test]
async fn a_leader_that_slept_while_another_led_ends_and_commits_nothing() {
    let folder = folder();
    let (database, mut leader, forms) = opened(&folder).await;
    let witness = Witness::begin(&folder.join("witness"), &leader.address, &forms);
    let standby = Server::start(&folder, &database, &["--standby"]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    signal(&leader.child, Signal::SIGSTOP);
    standby.until_ready().await;
    witness
        .address
        .lock()
        .expect("no client panics")
        .clone_from(&standby.address);
    tokio::time::sleep(Duration::from_millis(500)).await;
    signal(&leader.child, Signal::SIGCONT);
    let begun = Instant::now();
    let code = loop {
        if let Some(ended) = leader.child.try_wait().expect("it can be asked") {
            break ended.code();
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "it goes on beside its successor"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(code, Some(1));
    let said = witness.end();
    said.judge(&database.pool, ADA, true).await;
    assert!(said.acknowledged() > forms.len());
    prove(&folder, &database);
    let epoch: i64 = sqlx::query_scalar("SELECT epoch FROM engine")
        .fetch_one(&database.pool)
        .await
        .expect("it is read");
    assert_eq!(epoch, 3);
}
