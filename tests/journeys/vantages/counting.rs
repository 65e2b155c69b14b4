//! What is due for a vantage, and what the words of many come to, in the tables.

use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx;
use reading::Hour;
use serde_json::{Value, json};
use sluice::clock;
use sluice::delivery::probes::{self, Found, Outcome, Reason};
use sluice_agent::inventory::Needs;

use crate::support::app::TestApp;
use crate::support::market::{bid, hour};

/// The stay of lease `l1`, of eight units for hours 1 and 2 after the opening.
pub(super) const STAY: i64 = 1;

/// A market with a machine in its pool, and on it a lease whose way in was told.
pub(super) struct Stand {
    pub(super) app: TestApp,
    pub(super) host: i64,
    pub(super) vantages: Vec<i64>,
}

impl Stand {
    /// The same with so many vantages.
    pub(super) async fn with(vantages: usize) -> Self {
        let app = TestApp::start().await;
        app.submit(bid("one", 8, 100_000, (1, 3))).await;
        let mut stand = Self {
            app,
            host: 0,
            vantages: Vec::new(),
        };
        for insert in [
            "INSERT INTO users (id, participant, login, password_hash, created_at)
             OVERRIDING SYSTEM VALUE VALUES (9001, 1, 'operator', '', now())",
            "INSERT INTO pool_openings (pool, participant, form_id, name, opened_by, opened_at)
             OVERRIDING SYSTEM VALUE VALUES (1, 1, 'vantages-0000000001', 'one', 9001, now())",
            "INSERT INTO hosts (pool, name, units, kind, address)
             VALUES (1, 'machine', 64, 'agent', '127.0.0.1')",
        ] {
            stand.write(insert).await;
        }
        stand.host = stand.number("SELECT id FROM hosts").await;
        stand.placed(1, STAY, (1, 3)).await;
        for number in 0..vantages {
            let key = [u8::try_from(number + 1).expect("few"); 32];
            let name = format!("vantage {number}");
            let at = stand.at(0);
            let added = probes::add(stand.db(), &name, &key, at).await;
            stand.vantages.extend(added.expect("it is written"));
        }
        stand
    }

    pub(super) fn db(&self) -> &sqlx::PgPool {
        &self.app.database.pool
    }

    pub(super) async fn write(&self, statement: &'static str) {
        let done = sqlx::query(statement).execute(self.db()).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    async fn number(&self, query: &'static str) -> i64 {
        let found = sqlx::query_scalar(query).fetch_one(self.db()).await;
        found.expect("there is one")
    }

    /// So many minutes after hour 1, in which the lease begins.
    pub(super) fn at(&self, minutes: i64) -> Timestamp {
        clock::instant(hour(1)) + SignedDuration::from_mins(minutes)
    }

    /// Places eight units of a lease for these hours after the opening; its way in was told.
    pub(super) async fn placed(&self, lease: i64, stay: i64, (from, to): (i64, i64)) {
        sqlx::query(
            "WITH stay AS (
                 INSERT INTO stays (stay, host, stage, login, port, host_key)
                 VALUES ($1, $2, 'prepared', 'sluice-l1', 22001, 'ssh-ed25519 AAAA')
                 ON CONFLICT DO NOTHING)
             INSERT INTO placements (lease, host, start_at, end_at, stay, units)
             VALUES ($3, $2, $4, $5, $1, 8)",
        )
        .bind(stay)
        .bind(self.host)
        .bind(lease)
        .bind(clock::instant(hour(from)).to_sqlx())
        .bind(clock::instant(hour(to)).to_sqlx())
        .execute(self.db())
        .await
        .expect("it is placed");
    }

    /// The stays that are due for a vantage.
    async fn due(&self, vantage: usize, minutes: i64) -> Vec<i64> {
        let work = probes::work(self.db(), self.vantages[vantage], self.at(minutes)).await;
        let work = work.expect("it is read");
        work.into_iter().map(|target| target.stay).collect()
    }

    /// A vantage finds something of the stay.
    async fn finds(&self, vantage: usize, reason: Reason, minutes: i64) {
        self.shows(vantage, reason, json!({}), self.at(minutes))
            .await;
    }

    async fn shows(&self, vantage: usize, reason: Reason, evidence: Value, at: Timestamp) {
        let outcome = Outcome {
            stay: STAY,
            host: self.host,
            reason,
            evidence,
        };
        let taken = probes::take(self.db(), self.vantages[vantage], vec![outcome], at).await;
        taken.expect("it is taken");
    }

    /// Since when the stay is accepted, and fails, in minutes.
    async fn weighed(&self) -> (Option<i64>, Option<i64>) {
        let query = "SELECT accepted_at, failing_since FROM stays WHERE stay = $1";
        let found: (Option<jiff_sqlx::Timestamp>, Option<jiff_sqlx::Timestamp>) =
            sqlx::query_as(query)
                .bind(STAY)
                .fetch_one(self.db())
                .await
                .expect("it is there");
        let minutes = |at: jiff_sqlx::Timestamp| {
            let after = at.to_jiff().duration_since(self.at(0)).as_secs();
            after.div_euclid(60)
        };
        (found.0.map(minutes), found.1.map(minutes))
    }

    /// Each row of the first vantage: first and last minute, probes, reason.
    async fn rows(&self) -> Vec<(i64, i64, i64, String)> {
        let query = "SELECT first_at, last_at, probes, reason FROM probe_spans
             WHERE vantage = $1 ORDER BY first_at";
        let rows: Vec<(jiff_sqlx::Timestamp, jiff_sqlx::Timestamp, i64, String)> =
            sqlx::query_as(query)
                .bind(self.vantages[0])
                .fetch_all(self.db())
                .await
                .expect("they are read");
        let minutes =
            |at: jiff_sqlx::Timestamp| at.to_jiff().duration_since(self.at(0)).as_secs() / 60;
        let rows = rows.into_iter();
        rows.map(|row| (minutes(row.0), minutes(row.1), row.2, row.3))
            .collect()
    }

    /// The minutes of the lease's first hour that a quorum denies.
    async fn denied(&self) -> Vec<usize> {
        let hour = u32::try_from(hour(1).hour().0).expect("it is late enough");
        let mut connection = self.db().acquire().await.expect("a connection");
        let found = Found::read(&mut connection, Hour(hour), &[STAY]).await;
        let found = found.expect("it is read").denied(STAY, self.host);
        let denied = found.iter().enumerate().filter(|(_, denied)| **denied);
        denied.map(|(minute, _)| minute).collect()
    }
}

use Reason::{NotTheGrade, Passed, Refused, Silent, Unreachable, Unreadable};

/// Nothing is due.
const NONE: Vec<i64> = Vec::new();

#[tokio::test]
async fn what_is_due_follows_from_what_was_found() {
    let stand = Stand::with(2).await;
    let needs = Needs {
        units: 1,
        cpus: 4,
        ..Needs::default()
    };
    let said = probes::say_needs(stand.db(), "A100-80GB", &needs).await;
    said.expect("it is written");
    // From when its way in is told, before its hour, each minute until it is accepted.
    let work = probes::work(stand.db(), stand.vantages[0], stand.at(-30)).await;
    let work = work.expect("it is read");
    let [target] = &work[..] else {
        panic!("{work:?}")
    };
    assert_eq!(
        (target.stay, &*target.address, target.port),
        (STAY, "127.0.0.1", 22_001)
    );
    assert_eq!((target.needs.units, target.needs.cpus), (8, 4));
    stand.finds(0, Passed, -30).await;
    assert_eq!(stand.due(0, -30).await, NONE);
    assert_eq!(stand.due(0, -29).await, [STAY]);
    assert_eq!(stand.due(1, -29).await, [STAY], "each has its own");
    stand.finds(1, Passed, -29).await;
    assert_eq!(stand.weighed().await, (Some(-29), None));
    // Then every five minutes, and each minute while one of them fails.
    assert_eq!(stand.due(0, -26).await, NONE);
    assert_eq!(stand.due(0, -25).await, [STAY]);
    stand.finds(0, Unreachable, -25).await;
    assert_eq!(stand.due(1, -25).await, [STAY]);
    stand.finds(1, Passed, -25).await;
    assert_eq!(stand.due(0, -24).await, [STAY]);
    assert_eq!(stand.due(1, -24).await, [STAY], "while the other one fails");
    stand.finds(0, Passed, -24).await;
    stand.finds(1, Passed, -24).await;
    assert_eq!(stand.due(0, -20).await, NONE);
    // Its holder reports a problem: once more from everywhere.
    stand.finds(0, Passed, 10).await;
    stand.finds(1, Passed, 10).await;
    sqlx::query(
        "INSERT INTO dispute_claims (claimant, form_id, lease, user_id, reason, start_at, end_at,
             amount, text, sent_at, after)
         SELECT 2, 'vantages-claim-0001', 1, 9001, 'not_reachable', $1, $1 + interval '1 hour',
             1, 'x', $1 + interval '11 minutes', 0",
    )
    .bind(stand.at(0).to_sqlx())
    .execute(stand.db())
    .await
    .expect("it is reported");
    assert_eq!(stand.due(0, 12).await, [STAY]);
    stand.finds(0, Passed, 12).await;
    assert_eq!(
        (stand.due(0, 14).await, stand.due(1, 14).await),
        (vec![], vec![STAY])
    );
    // Whatever its machine says, to its end, and no longer.
    stand.write("UPDATE stays SET stage = 'failed'").await;
    assert_eq!(stand.due(0, 119).await, [STAY]);
    assert_eq!(stand.due(0, 120).await, NONE);
    assert_eq!(stand.due(1, 200).await, NONE);
    stand
        .write("UPDATE stays SET stage = 'asked', port = NULL")
        .await;
    assert_eq!(stand.due(0, 60).await, NONE, "a way in that nobody knows");
    stand.app.stop().await;
}

#[tokio::test]
async fn a_quorum_accepts_once_and_one_vantage_alone_neither_accepts_nor_fails() {
    let stand = Stand::with(3).await;
    for minutes in 0..3 {
        stand.finds(0, Passed, minutes).await;
    }
    assert_eq!(stand.weighed().await, (None, None));
    stand.finds(1, Unreachable, 3).await;
    stand.finds(0, Passed, 4).await;
    stand.finds(2, Passed, 5).await;
    assert_eq!(stand.weighed().await, (Some(5), None));
    stand.finds(1, Unreachable, 6).await;
    assert_eq!(stand.weighed().await, (Some(5), None), "one of three");
    stand.finds(0, Refused, 7).await;
    assert_eq!(
        stand.weighed().await,
        (Some(5), Some(7)),
        "since two of them fail, however long one alone has"
    );
    stand.finds(2, Refused, 8).await;
    assert_eq!(stand.weighed().await, (Some(5), Some(7)));
    stand.finds(1, Passed, 9).await;
    assert_eq!(
        stand.weighed().await,
        (Some(5), Some(8)),
        "since both that still fail do"
    );
    stand.finds(0, Passed, 10).await;
    assert_eq!(stand.weighed().await, (Some(5), None));
    assert_eq!(stand.denied().await, [7, 8, 9]);
    stand.app.stop().await;
}

#[tokio::test]
async fn a_word_that_is_old_counts_no_more() {
    let stand = Stand::with(3).await;
    stand.finds(0, Passed, 0).await;
    stand.finds(1, Passed, 20).await;
    assert_eq!(
        stand.weighed().await,
        (None, None),
        "not within the time that words count"
    );
    stand.finds(0, Unreachable, 21).await;
    stand.finds(1, Unreachable, 22).await;
    assert_eq!(stand.weighed().await, (None, Some(22)));
    let weigh = async |minutes| {
        let weighed = probes::weigh_failing(stand.db(), stand.at(minutes)).await;
        weighed.expect("it is weighed");
        stand.weighed().await.1
    };
    assert_eq!(weigh(35).await, Some(22));
    assert_eq!(
        weigh(36).await,
        None,
        "the first has said nothing for a quarter of an hour"
    );
    assert_eq!(stand.denied().await, (22..36).collect::<Vec<_>>());
    // After the gap it fails anew: nobody knows what was between.
    stand.finds(0, Unreachable, 40).await;
    stand.finds(1, Unreachable, 41).await;
    assert_eq!(stand.weighed().await, (None, Some(41)));
    let denied = [(22..36).collect::<Vec<_>>(), (41..55).collect()].concat();
    assert_eq!(stand.denied().await, denied);
    // One that is retired counts no more; what it said of minutes before stands.
    let at = (stand.at(45), stand.at(45));
    let retired = probes::retire(stand.db(), "vantage 1", at).await;
    assert_eq!(retired.expect("it is written"), Some(stand.vantages[1]));
    assert_eq!(weigh(45).await, None);
    let denied = [(22..36).collect::<Vec<_>>(), (41..45).collect()].concat();
    assert_eq!(stand.denied().await, denied);
    stand.app.stop().await;
}

#[tokio::test]
async fn what_a_holder_can_bring_about_inside_denies_minutes_and_ends_no_lease() {
    let stand = Stand::with(3).await;
    for vantage in 0..3 {
        stand.finds(vantage, Passed, 0).await;
    }
    for vantage in 0..3 {
        stand.finds(vantage, Silent, 10).await;
        stand.finds(vantage, Unreadable, 11).await;
    }
    assert_eq!(stand.weighed().await, (Some(0), None));
    assert_eq!(stand.denied().await, (10..26).collect::<Vec<_>>());
    // From the first that nobody inside can bring about.
    for vantage in 0..3 {
        stand.finds(vantage, Refused, 12).await;
        stand.finds(vantage, NotTheGrade, 13).await;
    }
    assert_eq!(stand.weighed().await, (Some(0), Some(12)));
    stand.app.stop().await;
}

#[tokio::test]
async fn probes_that_come_to_the_same_are_one_row() {
    let stand = Stand::with(1).await;
    for minutes in [0, 1, 6] {
        stand.finds(0, Passed, minutes).await;
    }
    stand
        .shows(0, Passed, json!({ "saw": 1 }), stand.at(7))
        .await;
    stand.finds(0, Refused, 8).await;
    stand.finds(0, Unreachable, 9).await;
    stand.finds(0, Unreachable, 24).await;
    let row = |first, last, probes, reason: &str| (first, last, probes, reason.to_owned());
    let mut rows = vec![
        row(0, 6, 3, "passed"),
        row(7, 7, 1, "passed"),
        row(8, 8, 1, "refused"),
        row(9, 9, 1, "unreachable"),
        // The same, after its word had ceased to count.
        row(24, 24, 1, "unreachable"),
    ];
    assert_eq!(stand.rows().await, rows);
    // In one instant, as where market time stands, the later word holds.
    stand.finds(0, Passed, 24).await;
    rows[4] = row(24, 24, 2, "passed");
    assert_eq!(stand.rows().await, rows);
    // By a clock that is behind nothing comes before what was.
    stand.finds(0, Passed, 20).await;
    rows[4] = row(24, 24, 3, "passed");
    assert_eq!(stand.rows().await, rows);
    // Of a lease that is over, and of one that nobody knows, nothing is taken.
    stand.finds(0, Unreachable, 120).await;
    let nobody = Outcome {
        stay: 77,
        host: stand.host,
        reason: Unreachable,
        evidence: json!({}),
    };
    let taken = probes::take(stand.db(), stand.vantages[0], vec![nobody], stand.at(25)).await;
    taken.expect("it is passed over");
    assert_eq!(stand.rows().await, rows);
    // What a machine prints may have what the tables can't.
    stand
        .shows(
            0,
            Refused,
            json!({ "s\0aw": ["a\0b", { "c": "\0" }] }),
            stand.at(26),
        )
        .await;
    rows.push(row(26, 26, 1, "refused"));
    assert_eq!(stand.rows().await, rows);
    stand.app.stop().await;
}

/// Many stays in one request: each is weighed by itself.
#[tokio::test]
async fn thousands_of_stays_are_weighed_together() {
    let stand = Stand::with(3).await;
    stand
        .write(
            "WITH more AS (
                 INSERT INTO stays (stay, host, stage, login, port, host_key)
                 SELECT n, h.id, 'prepared', 'x', 22001, 'x'
                 FROM generate_series(10001, 13000) n, hosts h)
             INSERT INTO placements (lease, host, start_at, end_at, stay, units)
             SELECT 1, p.host, p.start_at + n * interval '1 microsecond', p.end_at, 10000 + n, 1
             FROM placements p, generate_series(1, 3000) n",
        )
        .await;
    let (now, host) = (stand.at(1), stand.host);
    let outcomes = |failing: i64| -> Vec<Outcome> {
        let one = |stay: i64| Outcome {
            stay,
            host,
            reason: if stay % failing == 0 {
                Unreachable
            } else {
                Passed
            },
            evidence: json!({ "stay": stay }),
        };
        (10_001..=13_000).map(one).collect()
    };
    for (vantage, failing) in [(0, 2), (1, 3), (2, 5)] {
        let vantage = stand.vantages[vantage];
        let taken = probes::take(stand.db(), vantage, outcomes(failing), now).await;
        taken.expect("it is taken");
    }
    let rows: Vec<(i64, bool, bool)> = sqlx::query_as(
        "SELECT stay, accepted_at IS NOT NULL, failing_since IS NOT NULL FROM stays
         WHERE stay > 10000 ORDER BY stay",
    )
    .fetch_all(stand.db())
    .await
    .expect("they are read");
    assert_eq!(rows.len(), 3_000);
    for (stay, is_accepted, is_failing) in rows {
        let fails = [2, 3, 5].iter().filter(|one| stay % **one == 0).count();
        assert_eq!((is_accepted, is_failing), (fails < 2, fails >= 2), "{stay}");
    }
    let work = probes::work(stand.db(), stand.vantages[0], stand.at(2)).await;
    let work = work.expect("it is read");
    assert_eq!(work.len(), probes::MOST);
    assert_eq!(work[0].stay, STAY, "what was never tried comes first");
    stand.app.stop().await;
}
