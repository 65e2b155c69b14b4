//! Probes: what places of the exchange's own find at leases' doors, beside the agents' word.
//!
//! A *vantage* asks what is due ([`work`]), tries each way in, and says what came of it ([`take`]).
//! What many of them say is weighed by a quorum: one place alone neither accepts a lease nor denies
//! a minute of it, since what is wrong may be its own network. The program that does it is
//! [`vantage`](crate::vantage).

mod quorum;
mod store;

use std::collections::BTreeMap;

use jiff::Timestamp;
use reading::{Hour, Minute};
use serde::{Deserialize, Serialize};
use sluice_agent::inventory::Needs;
use sqlx::{PgConnection, PgPool};

pub use quorum::{Span, Vantage, denied, quorum};
pub use store::{add, retire, say_needs, seen, take, weigh_failing};

/// The most ways in that are told at once. Those that have waited longest come first. An answer is
/// below 1 MiB with them, of which a vantage reads no more.
pub const MOST: usize = 500;

/// The most bytes of JSON that say what a grade needs.
pub const MOST_NEEDS: usize = 1 << 10;

/// The most outcomes that are taken at once.
pub const MOST_TAKEN: usize = 100;

/// The most bytes of JSON that show one probe: what an outcome has of more is refused.
pub const MOST_EVIDENCE: usize = 8 << 10;

/// The version of the shapes.
pub const VERSION: u64 = 1;

/// The body of `POST /api/vantage/v1/work`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ask {
    /// [`VERSION`].
    pub version: u64,
}

/// Its answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Work {
    /// What is due now.
    pub targets: Vec<Target>,
    /// After how many real milliseconds to ask again.
    pub again_ms: u64,
}

/// The body of `POST /api/vantage/v1/results`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Results {
    /// [`VERSION`].
    pub version: u64,
    /// What was found, [`MOST_TAKEN`] at most.
    pub results: Vec<Outcome>,
}

/// A way in that is to be tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The number by which the machine knows the lease.
    pub stay: i64,
    /// The machine.
    pub host: i64,
    /// Where it is: a name or an address.
    pub address: String,
    /// The port of SSH.
    pub port: u16,
    /// The name to sign in with.
    pub login: String,
    /// The public key by which the machine is known, as its agent has said.
    pub host_key: String,
    /// What the lease has to see from inside.
    pub needs: Needs,
}

/// What came of a probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Of which stay.
    pub stay: i64,
    /// On which machine.
    pub host: i64,
    /// What it came to.
    pub reason: Reason,
    /// What shows it: of a lease that was seen from inside what it saw, else what was said.
    pub evidence: serde_json::Value,
}

/// What a probe came to: why it failed, if it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is there, is the grade, and lets in.
    Passed,
    /// There is no such machine, nothing listens, or what listens does not speak SSH.
    Unreachable,
    /// Nothing answered in time.
    Timeout,
    /// Another machine answered than the agent has said.
    HostKey,
    /// The key was not let in.
    Refused,
    /// It was let in, and saw nothing in time.
    Silent,
    /// What it saw can't be read.
    Unreadable,
    /// The lease has less than its grade.
    NotTheGrade,
}

impl Reason {
    /// Its name in the tables.
    pub fn code(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::HostKey => "host_key",
            Self::Refused => "refused",
            Self::Silent => "silent",
            Self::Unreadable => "unreadable",
            Self::NotTheGrade => "not_the_grade",
        }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    stay: i64,
    host: i64,
    address: String,
    port: i32,
    login: String,
    host_key: String,
    units: i64,
    needs: Option<sqlx::types::Json<Needs>>,
}

impl Row {
    fn target(self) -> Option<Target> {
        let needs = self.needs.map(|needs| needs.0).unwrap_or_default();
        let units = u32::try_from(self.units).unwrap_or(u32::MAX);
        Some(Target {
            stay: self.stay,
            host: self.host,
            address: self.address,
            port: u16::try_from(self.port).ok()?,
            login: self.login,
            host_key: self.host_key,
            needs: Needs { units, ..needs },
        })
    }
}

/// What is due for a vantage: ways in that were told, of leases that are not over, whatever their
/// machine says of them now. Each minute of the market until it is accepted, while a vantage's
/// latest probe of it failed, and while its holder has reported a problem since this one's last;
/// else every five.
///
/// # Arguments
/// `now` is the market's time.
///
/// # Errors
/// When the database can't be read.
pub async fn work(db: &PgPool, vantage: i64, now: Timestamp) -> sqlx::Result<Vec<Target>> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT s.stay, s.host, h.address, s.port, s.login, s.host_key, p.units, n.needs
         FROM stays s JOIN hosts h ON h.id = s.host
         JOIN pools o ON o.id = h.pool JOIN instruments i ON i.id = o.instrument
         LEFT JOIN grade_needs n ON n.grade = i.grade
         JOIN LATERAL (
             SELECT units FROM placements p
             WHERE p.stay = s.stay AND p.host = s.host AND p.end_at > $2
             ORDER BY p.start_at LIMIT 1) p ON true
         LEFT JOIN LATERAL (
             SELECT last_at FROM probe_spans b
             WHERE b.stay = s.stay AND b.host = s.host AND b.vantage = $1
             ORDER BY first_at DESC LIMIT 1) own ON true
         WHERE h.address IS NOT NULL AND s.port IS NOT NULL AND s.login IS NOT NULL
           AND s.host_key IS NOT NULL
           AND CASE
               WHEN own.last_at IS NULL THEN true
               WHEN own.last_at > $2 - interval '1 minute' THEN false
               WHEN own.last_at <= $2 - interval '5 minutes' OR s.accepted_at IS NULL THEN true
               ELSE EXISTS (
                   SELECT FROM vantages v JOIN LATERAL (
                       SELECT passed FROM probe_spans b
                       WHERE b.stay = s.stay AND b.host = s.host AND b.vantage = v.id
                       ORDER BY first_at DESC LIMIT 1) latest ON NOT latest.passed
                   WHERE v.retired_at IS NULL)
                 OR EXISTS (
                   SELECT FROM placements q JOIN dispute_claims c ON c.lease = q.lease
                   WHERE q.stay = s.stay AND q.host = s.host AND c.sent_at > own.last_at)
               END
         ORDER BY own.last_at NULLS FIRST, s.stay, s.host LIMIT $3",
    )
    .bind(vantage)
    .bind(jiff_sqlx::Timestamp::from(now))
    .bind(i64::try_from(MOST).unwrap_or(i64::MAX))
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().filter_map(Row::target).collect())
}

/// What vantages found of many stays in and about one hour.
#[derive(Clone, Debug)]
pub struct Found {
    hour: Hour,
    vantages: Vec<Vantage>,
    spans: BTreeMap<(i64, i64), Vec<Span>>,
}

#[derive(sqlx::FromRow)]
struct VantageRow {
    id: i64,
    added_at: jiff_sqlx::Timestamp,
    until_at: Option<jiff_sqlx::Timestamp>,
}

#[derive(sqlx::FromRow)]
struct SpanRow {
    stay: i64,
    host: i64,
    vantage: i64,
    first_at: jiff_sqlx::Timestamp,
    last_at: jiff_sqlx::Timestamp,
    passed: bool,
}

impl Found {
    /// Reads what they found of an hour of these stays.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn read(db: &mut PgConnection, hour: Hour, stays: &[i64]) -> sqlx::Result<Self> {
        let vantages: Vec<VantageRow> = sqlx::query_as(
            "SELECT id, added_at, until_at FROM vantages
             WHERE retired_at IS NULL OR until_at IS NOT NULL ORDER BY id",
        )
        .fetch_all(&mut *db)
        .await?;
        let rows: Vec<SpanRow> = sqlx::query_as(
            "SELECT stay, host, vantage, first_at, last_at, passed FROM probe_spans
             WHERE stay = ANY($1) AND first_at < $2 + interval '1 hour'
               AND last_at > $2 - interval '15 minutes'",
        )
        .bind(stays)
        .bind(jiff_sqlx::Timestamp::from(hour.begins().begins()))
        .fetch_all(&mut *db)
        .await?;
        let mut spans: BTreeMap<(i64, i64), Vec<Span>> = BTreeMap::new();
        for row in rows {
            spans.entry((row.stay, row.host)).or_default().push(Span {
                vantage: row.vantage,
                first: row.first_at.to_jiff(),
                last: row.last_at.to_jiff(),
                passed: row.passed,
            });
        }
        let vantage = |row: VantageRow| Vantage {
            id: row.id,
            since: row.added_at.to_jiff(),
            until: row.until_at.map(jiff_sqlx::Timestamp::to_jiff),
        };
        Ok(Self {
            hour,
            vantages: vantages.into_iter().map(vantage).collect(),
            spans,
        })
    }

    /// Whether a quorum denies it, minute by minute of the hour.
    pub fn denied(&self, stay: i64, host: i64) -> Vec<bool> {
        let spans = self.spans.get(&(stay, host)).map_or(&[][..], Vec::as_slice);
        let any = spans.iter().any(|span| !span.passed);
        let is_denied = |minute: Minute| any && denied(spans, &self.vantages, minute);
        self.hour.minutes().map(is_denied).collect()
    }
}
