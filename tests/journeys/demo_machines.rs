//! The demonstration's real machines: agents in sandboxes that end with the program, of which some
//! are bad on purpose; and none where the system does not allow it. As root in a namespace of the
//! test's own, but for the last.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use market::Hour;
use nix::sys::signal::Signal;
use sluice::clock::{MarketClock, stamp, wall};
use sluice::db::purpose::{self, Purpose};
use sluice::demo;
use sluice::demo::machines::{self, Reached, Sandbox};
use sluice::replay::decimal::Decimal;
use sluice::web::Options;
use sluice::web::server::Limits;
use tokio_util::sync::CancellationToken;

use crate::delivery::Site;
use crate::program::{signal, sluice};
use crate::support::app::TestApp;
use crate::support::market::OPENING;
use crate::support::postgres::{TestDatabase, folder_until_exit, fresh_database};
use crate::vantages::real::built_agent;

/// Market seconds in a real one: an hour takes twenty-four seconds.
const SPEED: i64 = 150;

/// How many hours after the opening the customer's first leases begin: in this hour the one bad
/// machine sleeps from minute 20 to 45, and the other is shut from minute 20 on.
const FIRST: i64 = 4;

fn require_own_namespace() {
    let own = std::env::var_os("SLUICE_OWN_NAMESPACE").is_some();
    assert!(own, "only ./test runs this, in a namespace of its own");
}

/// A demonstration with its machines, at work.
struct Demonstration {
    site: Site,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
    /// Where machines are kept.
    folder: std::path::PathBuf,
}

impl Demonstration {
    async fn start() -> Self {
        let agent = built_agent();
        let folder = folder_until_exit().join("machines");
        let first = Hour(OPENING.0 + FIRST).begins();
        // Twelve seconds, for what is done before the machines are listed.
        let start = first.plus_minutes(-30);
        let clock = MarketClock::running(stamp(wall()), start, SPEED);
        let options = Options {
            data_hours: 0,
            ..Options::default()
        };
        let rules = sluice::rules::load(None).expect("the standard rules");
        let app = TestApp::serve(rules, Limits::default(), options, Some(clock)).await;
        let db = app.database.pool.clone();
        let mut connection = db.acquire().await.expect("a connection");
        let claimed = purpose::claim(&mut connection, Purpose::Demonstration).await;
        claimed.expect("nobody has used it");
        drop(connection);
        let opened = demo::open(&db, start, Decimal(71_000)).await;
        let opened = opened.expect("it opens");
        let customer: i64 =
            sqlx::query_scalar("SELECT participant FROM users WHERE login = 'demo-buyer'")
                .fetch_one(&db)
                .await
                .expect("the customer");
        app.submit(market::Command::Deposit {
            participant: market::ParticipantId(customer),
            amount: market::Money(1_000_000),
        })
        .await;
        let sandbox = Sandbox::find(&folder, &agent).await;
        let sandbox = sandbox.expect("sandboxes work here");
        let reached = Reached {
            db,
            sequencer: app.app.sequencer.clone(),
            feed: app.app.feed.clone(),
            clock: app.clock().clone(),
        };
        let machines = machines::open(reached, &opened.cast, sandbox).await;
        let machines = machines.expect("they are listed");
        let stop = CancellationToken::new();
        let running = tokio::spawn(machines.run(app.url.clone(), stop.clone()));
        Self {
            site: Site::of(app),
            stop,
            running,
            folder,
        }
    }

    /// The customer's lease of a machine.
    async fn lease_of(&self, machine: &str) -> i64 {
        self.site
            .until(machine, async || {
                let lease = "SELECT p.lease FROM placements p JOIN hosts h ON h.id = p.host
                     WHERE h.name = $1 AND h.kind = 'agent' ORDER BY p.lease LIMIT 1";
                let lease: Option<i64> = sqlx::query_scalar(lease)
                    .bind(machine)
                    .fetch_optional(&self.site.app.database.pool)
                    .await
                    .expect("placements are read");
                lease
            })
            .await
    }

    /// What the first hour of a lease was settled by, and what came back of it.
    async fn settled(&self, lease: i64) -> (i64, i64) {
        self.site
            .until("its first hour is settled", async || {
                let settled = "SELECT unit_minutes, refunded FROM settlements
                     WHERE lease = $1 ORDER BY hour_at LIMIT 1";
                let settled: Option<(i64, i64)> = sqlx::query_as(settled)
                    .bind(lease)
                    .fetch_optional(&self.site.app.database.pool)
                    .await
                    .expect("settlements are read");
                settled
            })
            .await
    }

    async fn stop(self) {
        self.stop.cancel();
        self.running.await.expect("the machines do not panic");
        self.site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root in a namespace of its own"]
async fn as_root_machines_of_the_demonstration_deliver_and_the_bad_ones_pay_back() {
    require_own_namespace();
    let demonstration = Demonstration::start().await;
    let site = &demonstration.site;
    let sound = demonstration.lease_of("sound").await;
    let sleepy = demonstration.lease_of("sleepy").await;
    let shut = demonstration.lease_of("shut").await;
    let port = "SELECT port FROM stays WHERE stay = $1 AND accepted_at IS NOT NULL";
    let port = site.until("the sound one is accepted", async || {
        let port: Option<i32> = sqlx::query_scalar(port)
            .bind(sound)
            .fetch_optional(&site.app.database.pool)
            .await
            .expect("stays are read");
        port.and_then(|port| u16::try_from(port).ok())
    });
    let port = port.await;
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    let elsewhere = TcpStream::connect(("127.0.0.2", port));
    assert!(elsewhere.is_err(), "it is this one address's");
    while site.app.clock().now() < Hour(OPENING.0 + FIRST + 1).begins() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (whole, kept) = demonstration.settled(sound).await;
    let (slept, back) = demonstration.settled(sleepy).await;
    let (open, denied) = demonstration.settled(shut).await;
    assert!((40..=60).contains(&whole), "the sound one runs: {whole}");
    assert!(
        (10..=37).contains(&slept),
        "25 minutes are nobody's: {slept}"
    );
    assert!((10..=25).contains(&open), "40 minutes are denied: {open}");
    assert!(kept < back && back < denied, "{kept}, {back}, {denied}");
    assert_eq!(denied, 7_000 - 7_000 * open / 60, "of 0.70 yuan");
    let case = "SELECT 1 FROM delivery_cases WHERE kind = 'denied_minutes' AND stay = $1";
    let case: Option<i32> = sqlx::query_scalar(case)
        .bind(shut)
        .fetch_optional(&site.app.database.pool)
        .await
        .expect("cases are read");
    assert!(case.is_some(), "its agent has said that it ran");
    site.until("the shut one is in default", async || {
        site.lease(shut).failed_from.map(drop)
    })
    .await;
    assert_eq!(site.lease(sound).failed_from, None);
    assert_eq!(site.lease(sleepy).failed_from, None);
    let folder = demonstration.folder.display().to_string();
    assert!(!running_with(&folder).is_empty());
    demonstration.stop().await;
    assert_eq!(running_with(&folder), Vec::<String>::new());
}

/// The command lines of processes in whose command line or environment this stands.
fn running_with(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").expect("processes").flatten() {
        let read = |name| fs::read(process.path().join(name)).unwrap_or_default();
        let (line, environment) = (read("cmdline"), read("environ"));
        let has = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(text);
        let is_machine = has(&environment) || has(&line) && line.starts_with(b"unshare");
        if is_machine && !line.is_empty() {
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            found.push(line.lines().next().unwrap_or_default().to_owned());
        }
    }
    found
}

/// A demonstration's program, with what it logs.
struct Program {
    child: Child,
    log: mpsc::Receiver<String>,
}

impl Program {
    fn start(mut command: Command) -> Self {
        // The market begins at this hour of the day, when one of the machines may be asleep: so fast
        // that it is heard of in time all the same.
        command
            .env("SLUICE_CLOCK_SPEED", "120")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let (send, log) = mpsc::channel();
        let lines = BufReader::new(child.stderr.take().expect("it has a pipe")).lines();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| {
                let _ = send.send(line);
            });
        });
        Self { child, log }
    }

    /// The rest of the first line that has this in it.
    fn said(&self, what: &str) -> String {
        let begun = Instant::now();
        let mut seen = Vec::new();
        while let Ok(line) = self.log.recv_timeout(Duration::from_secs(60)) {
            if let Some((_, rest)) = line.split_once(what) {
                return rest.trim().to_owned();
            }
            seen.push(line);
            assert!(begun.elapsed() < Duration::from_secs(120), "{seen:?}");
        }
        panic!("it has not said {what}: {seen:?}");
    }

    fn end(mut self, how: Signal) {
        signal(&self.child, how);
        self.child.wait().expect("it ends");
    }
}

/// The agents that have been heard of since an instant, by number, once there are so many.
async fn heard(database: &TestDatabase, since: jiff::Timestamp, least: usize) -> Vec<i64> {
    let begun = Instant::now();
    loop {
        let agents = "SELECT id FROM agents WHERE program <> '' AND seen_at > $1 ORDER BY id";
        let agents: Vec<i64> = sqlx::query_scalar(agents)
            .bind(jiff_sqlx::Timestamp::from(since))
            .fetch_all(&database.pool)
            .await
            .expect("agents are read");
        if agents.len() >= least {
            return agents;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{agents:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
#[ignore = "needs root in a namespace of its own"]
async fn as_root_machines_end_with_the_program_and_are_the_same_at_its_next_start() {
    require_own_namespace();
    built_agent();
    let folder = folder_until_exit();
    let database = fresh_database().await;
    let began = wall();
    let start = |more: &[&str]| {
        let mut command = sluice(&folder);
        command
            .args(["serve", "--demo", "--allow-unsafe-database"])
            .args(more)
            .env("DATABASE_URL", &database.url);
        Program::start(command)
    };
    let first = start(&[]);
    let address = first.said("serving");
    let agents = heard(&database, began, 3).await;
    assert!(running_with(&address).len() >= 3, "an agent each");
    first.end(Signal::SIGKILL);
    let killed = Instant::now();
    while !running_with(&address).is_empty() {
        let left = running_with(&address);
        assert!(killed.elapsed() < Duration::from_secs(3), "{left:?}");
        std::thread::sleep(Duration::from_millis(20));
    }

    let again = wall();
    let second = start(&[]);
    let other = second.said("serving");
    assert_ne!(other, address, "and at another address");
    assert_eq!(heard(&database, again, 3).await, agents);
    second.end(Signal::SIGINT);
    assert_eq!(running_with(&other), Vec::<String>::new());
    let asks = "SELECT count(*) FROM orders o JOIN instruments i ON i.id = ANY(o.instruments)
         WHERE i.grade = 'SHARED-CPU' AND o.side = 'sell' AND o.done IS NULL";
    let open: i64 = sqlx::query_scalar(asks)
        .fetch_one(&database.pool)
        .await
        .expect("asks are read");
    assert_eq!(open, 3, "each is offered once");

    // Where they may not be, what was listed is taken off.
    let third = start(&["--demo-in-the-open", "--public-url", "https://example.org"]);
    let why = third.said("no real machines are started: ");
    assert!(why.contains("open to the network"), "{why}");
    third.said("serving");
    third.end(Signal::SIGINT);
    let open: i64 = sqlx::query_scalar(asks)
        .fetch_one(&database.pool)
        .await
        .expect("asks are read");
    assert_eq!(open, 0);
}

/// The program without root's rights, whoever runs this.
fn without_rights(folder: &std::path::Path) -> Command {
    let own = sluice(folder);
    if !nix::unistd::geteuid().is_root() {
        return own;
    }
    // In a namespace of users in which it is nobody.
    let mut command = Command::new("unshare");
    command.args(["--user", "--"]).arg(own.get_program());
    command.env_clear();
    for (name, value) in own.get_envs() {
        command.env(name, value.expect("it is set"));
    }
    command.current_dir(folder).stdin(Stdio::null());
    command
}

#[tokio::test]
async fn a_demonstration_without_rights_says_so_and_stays_simulated() {
    let folder = folder_until_exit();
    let mut command = without_rights(&folder);
    command.args(["serve", "--demo"]);
    let program = Program::start(command);
    let why = program.said("no real machines are started: ");
    assert!(why.contains("takes root"), "{why}");
    let address = program.said("serving http://");
    let page = crate::support::visitor::Visitor::at(&format!("http://{address}"))
        .get("/")
        .await;
    assert!(
        page.text(".banner").contains("simulated delivery"),
        "{}",
        page.text(".banner")
    );
    assert!(!page.body.contains("SHARED-CPU"));
    program.end(Signal::SIGINT);
    assert!(!folder.join(".sluice/machines").exists());
}
