//! The program itself, killed again and again while its keeper settles: what was told is paid once.

use std::time::{Duration, Instant};

use market::{Command, Money};
use nix::sys::signal::Signal;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sqlx::PgPool;

use super::{Site, minutes};
use crate::kills::{Server, prove};
use crate::program::signal;
use crate::support::machine::Machine;
use crate::support::market::{BUYER, bid, hour};
use crate::support::postgres::{TestDatabase, folder_until_exit};

/// Leases of a unit each, and the hours of each that are due when the program starts.
const LEASES: i64 = 60;
const HOURS: std::ops::Range<i64> = 1..9;
const KILLS: usize = 12;
/// Of the moments of the kills.
const SEED: u64 = 6;
/// How long the program may take for anything.
const PATIENCE: Duration = Duration::from_secs(40);

/// The minutes of an hour after the opening in which a lease's unit ran.
fn ran(lease: i64, hours: i64) -> i64 {
    match (lease + hours) % 3 {
        0 => 0,
        1 => 37,
        _ => 59,
    }
}

/// A market of that many leases whose machine has told all its minutes; nobody has settled any of
/// them.
async fn told() -> TestDatabase {
    let rules = sluice::rules::load(None).expect("the standard rules");
    let site = Site::with(rules).await;
    let mut machine = Machine::enrolled(&site.app, "one", 64).await;
    for number in 0..LEASES {
        let hours = (HOURS.start, HOURS.end);
        let wanted = bid(&format!("b{number}"), 1, 100_000, hours);
        site.app.submit(wanted).await;
    }
    for lease in 1..=LEASES {
        site.placed(lease).await;
        site.accept(lease).await;
    }
    let app = site.unkept().await;
    // Told within its hour, so that the audit never takes it for something that is still to be
    // looked at.
    for hours in HOURS {
        app.clock().set(hour(hours).plus_minutes(59));
        let mut told = Vec::new();
        for lease in 1..=LEASES {
            let stay = u64::try_from(lease).expect("positive");
            told.extend(machine.sign(stay, &minutes(hours, 0..ran(lease, hours), 1)));
        }
        for some in told.chunks(1_000) {
            let answer = machine.tell(some).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
    }
    // Nothing more is waited for by then.
    app.clock().set(hour(HOURS.end).plus_minutes(11));
    // The program's clock goes on from the last command.
    app.submit(Command::Deposit {
        participant: BUYER,
        amount: Money(1),
    })
    .await;
    let database = app.ended().await;
    let settled = settled(&database.pool).await;
    assert!(settled.iter().all(|&some| some == 0), "{settled:?}");
    database
}

/// How many leases each hour is settled of.
async fn settled(db: &PgPool) -> Vec<i64> {
    let settled = "SELECT count(s.lease) FROM generate_series($1::timestamptz, $2,
                '1 hour') h LEFT JOIN settlements s ON s.hour_at = h GROUP BY h ORDER BY h";
    let at = |hours| jiff_sqlx::Timestamp::from(sluice::clock::instant(hour(hours)));
    let settled = sqlx::query_scalar(settled)
        .bind(at(HOURS.start))
        .bind(at(HOURS.end - 1));
    settled.fetch_all(db).await.expect("settlements are read")
}

/// Waits until at least so many lease-hours are settled.
async fn until_settled(db: &PgPool, wanted: i64) {
    let begun = Instant::now();
    while settled(db).await.iter().sum::<i64>() < wanted {
        assert!(begun.elapsed() < PATIENCE, "it does not go on settling");
    }
}

/// Waits until every lease is said to have come to its end.
async fn until_ended(db: &PgPool) {
    let begun = Instant::now();
    loop {
        let ended = "SELECT count(DISTINCT lease) FROM lease_states WHERE state = 'ended'";
        let ended: i64 = sqlx::query_scalar(ended)
            .fetch_one(db)
            .await
            .expect("states are read");
        if ended == LEASES {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{ended} leases have ended");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The minutes that each lease-hour counts, by lease and hours after the opening, and how many entries
/// the lease's settlement has.
async fn paid(db: &PgPool) -> Vec<(i64, i64, i64, i64)> {
    let paid =
        "SELECT s.lease, (extract(epoch FROM s.hour_at) / 3600)::bigint - $1, s.unit_minutes,
                (SELECT count(*) FROM journal_entries
                 WHERE reason = 'settlement' AND subject = s.lease)
         FROM settlements s ORDER BY s.lease, s.hour_at";
    let paid = sqlx::query_as(paid).bind(hour(0).hour().0);
    paid.fetch_all(db).await.expect("settlements are read")
}

#[tokio::test]
async fn a_program_that_is_killed_while_it_settles_pays_each_hour_once() {
    let database = told().await;
    let db = &database.pool;
    let folder = folder_until_exit();
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/rules/standard.toml");
    // Each command is a commit of its own, so that a kill finds some done and others not.
    let flags = ["--rules", rules, "--batch-max", "1", "--clock-speed", "2"];
    let all = LEASES * (HOURS.end - HOURS.start);
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut in_the_middle = 0;
    for kill in 1..=KILLS {
        let before: i64 = settled(db).await.iter().sum();
        assert!(before < all, "there is something left to be killed in");
        let mut server = Server::start(&folder, &database, &flags);
        let more = random.random_range(0..10);
        until_settled(db, before + more).await;
        let pause = Duration::from_micros(random.random_range(0..3_000));
        tokio::time::sleep(pause).await;
        signal(&server.child, Signal::SIGKILL);
        server.child.wait().expect("it is gone");
        let found = settled(db).await;
        in_the_middle += i32::from(found.iter().any(|&some| 0 < some && some < LEASES));
        prove(&folder, &database);
        println!("kill {kill} of {KILLS}, {more} and {pause:?} after {before}: {found:?} settled");
    }
    assert!(in_the_middle >= 5, "only {in_the_middle} kills cut an hour");

    let mut server = Server::start(&folder, &database, &flags);
    until_settled(db, all).await;
    until_ended(db).await;
    signal(&server.child, Signal::SIGINT);
    assert_eq!(server.child.wait().expect("it ends").code(), Some(0));
    prove(&folder, &database);
    let entries = HOURS.end - HOURS.start;
    let once = |lease: i64, hours: i64| (lease, hours, ran(lease, hours), entries);
    let expected: Vec<_> = (1..=LEASES)
        .flat_map(|lease| HOURS.map(move |hours| once(lease, hours)))
        .collect();
    assert_eq!(paid(db).await, expected);
    let escrow: i64 = sqlx::query_scalar(
        "SELECT coalesce(sum(amount), 0)::bigint FROM postings WHERE kind = 'escrow'",
    )
    .fetch_one(db)
    .await
    .expect("postings are read");
    assert_eq!(escrow, 0, "every lease is closed");
}
