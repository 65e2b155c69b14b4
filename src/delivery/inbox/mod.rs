//! What agents send: readings of minutes, and states that leases have come to on their machines.
//! Both can come in any order, late and again.

mod store;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use reading::{Minute, SignedReading, Terms, Untrue};
use serde::Deserialize;
use serde_json::json;
use sqlx::PgPool;
use ssh_key::PublicKey;

pub(super) use store::open_case;
pub use store::take_states;

/// How many seconds of the market's clock a minute may be told before it is over by ours.
const SKEW: u32 = 60;

/// The most readings of a request whose signatures are checked on the thread that answers.
const CHECKED_AT_ONCE: usize = 50;

/// The most states that are taken at once.
const MOST_STATES: usize = 200;

/// The most bytes of JSON that are kept of what shows a state.
const MOST_EVIDENCE: usize = 8 << 10;

/// The most bytes of a machine's key, as SSH writes it: one of RSA with 4,096 bits has 716.
const MOST_HOST_KEY: usize = 1 << 10;

/// What of an agent's readings was taken: by stay, up to which number. Whether it is believed is
/// another matter.
pub type Taken = BTreeMap<i64, u64>;

/// A change of state as an agent says it.
#[derive(Clone, Debug, Deserialize)]
pub struct StateChange {
    /// From 1, by agent.
    pub sequence: i64,
    /// The stay.
    pub lease: i64,
    /// Where it stands.
    pub stage: Stage,
    /// Why.
    pub reason: Reason,
    /// When, by the agent's reckoning of the market's clock.
    pub at: Timestamp,
    /// What shows it.
    pub evidence: serde_json::Value,
}

impl StateChange {
    /// Leaves out what shows it where that is too much to keep.
    fn shorten(&mut self) {
        let bytes = self.evidence.to_string().len();
        if bytes > MOST_EVIDENCE {
            self.evidence = json!({ "left_out_bytes": bytes });
        }
    }
}

/// Where a stay stands on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The holder can get in.
    Prepared,
    /// Nobody can get in, its files are there.
    Closed,
    /// Nothing of it is there.
    Wiped,
    /// What was asked could not be done.
    Failed,
}

impl Stage {
    /// Its name in the tables.
    pub fn code(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Closed => "closed",
            Self::Wiped => "wiped",
            Self::Failed => "failed",
        }
    }
}

/// Why a stay has come to a state, as its agent says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The exchange asked for it.
    Asked,
    /// Its end has come.
    Ended,
    /// The way in was gone and is there again.
    Restored,
    /// The machine could not do it.
    Machine,
}

impl Reason {
    /// Its name in the tables.
    pub fn code(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Ended => "ended",
            Self::Restored => "restored",
            Self::Machine => "machine",
        }
    }
}

/// The way in, as the evidence of `prepared` has it.
#[derive(Clone, Debug, Deserialize)]
struct WayIn {
    user: String,
    port: u16,
    host_key: String,
}

impl WayIn {
    /// The way in that an agent tells of, where it is one: holders type it into their shells, and
    /// each vantage reads those of all others with it.
    fn of(evidence: &serde_json::Value) -> Option<Self> {
        let mut way: Self = serde_json::from_value(evidence.clone()).ok()?;
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_name = way
            .user
            .starts_with(|first: char| first.is_ascii_lowercase())
            && way.user.len() <= 32
            && way.user.bytes().all(is_plain);
        let mut key = PublicKey::from_openssh(&way.host_key).ok()?;
        key.set_comment("");
        way.host_key = key.to_openssh().ok()?;
        let is_whole = is_name && way.port > 0 && way.host_key.len() <= MOST_HOST_KEY;
        is_whole.then_some(way)
    }
}

/// Takes readings of one agent.
///
/// # Arguments
/// `market` is the market's clock, and `open` the first hour (since 1970) of which readings still
/// count: what is about an earlier one is taken and not kept.
///
/// # Errors
/// When the database fails: nothing was taken then.
pub async fn take_readings(
    db: &PgPool,
    agent: i64,
    readings: Vec<SignedReading>,
    market: Timestamp,
    open: i64,
) -> Result<Taken, sqlx::Error> {
    let key: Vec<u8> = sqlx::query_scalar("SELECT public_key FROM agents WHERE id = $1")
        .bind(agent)
        .fetch_one(db)
        .await?;
    let stays: BTreeSet<i64> = readings.iter().filter_map(stay_of).collect();
    let terms = terms(db, agent, &stays).await?;
    let mut taken = taken(&readings);
    let is_much = readings.len() > CHECKED_AT_ONCE;
    let checking = move || sort(readings, &key, &terms, market, open);
    let sorted = if is_much {
        let checked = tokio::task::spawn_blocking(checking).await;
        checked.map_err(|_| sqlx::Error::WorkerCrashed)?
    } else {
        checking()
    };
    for (stay, early) in &sorted.early {
        let through = taken.entry(*stay).or_default();
        *through = early.saturating_sub(1).min(*through);
    }
    store::add_readings(db, agent, &sorted.good, market).await?;
    store::open_cases(db, agent, &sorted.bad, market).await?;
    Ok(taken)
}

fn stay_of(signed: &SignedReading) -> Option<i64> {
    i64::try_from(signed.reading.lease).ok()
}

/// Up to which number each stay's readings are taken, as they stand in one request.
fn taken(readings: &[SignedReading]) -> Taken {
    let mut taken = Taken::new();
    for signed in readings {
        if let Some(stay) = stay_of(signed) {
            let through = taken.entry(stay).or_default();
            *through = (*through).max(signed.reading.sequence);
        }
    }
    taken
}

/// Readings that count as far as one shows by itself, and those that open a case.
#[derive(Debug, Default)]
struct Sorted {
    good: Vec<SignedReading>,
    bad: Vec<Bad>,
    /// By stay the lowest number that is about a minute that is not over: it has to come again.
    early: BTreeMap<i64, u64>,
}

/// A reading that can't be true.
#[derive(Debug)]
struct Bad {
    stay: i64,
    kind: &'static str,
    said: String,
    signed: SignedReading,
}

fn sort(
    readings: Vec<SignedReading>,
    key: &[u8],
    terms: &BTreeMap<i64, Terms>,
    market: Timestamp,
    open: i64,
) -> Sorted {
    let mut sorted = Sorted::default();
    let key = key
        .try_into()
        .ok()
        .and_then(|key: [u8; 32]| reading::PublicKey::from_bytes(&key).ok());
    let Some(key) = key else {
        return sorted;
    };
    for signed in readings {
        let Some(stay) = stay_of(&signed) else {
            continue;
        };
        // What is about no lease of this machine pays nobody.
        let Some(terms) = terms.get(&stay) else {
            continue;
        };
        match signed.check(&key, terms, market, SKEW) {
            Ok(()) if i64::from(signed.reading.minute.hour().0) < open => {}
            Ok(()) => sorted.good.push(signed),
            Err(error) => {
                let kind = match error {
                    Untrue::WrongSignature => "wrong_signature",
                    Untrue::OutsideLease { .. } => continue,
                    Untrue::NotOver { .. } => {
                        let sequence = signed.reading.sequence;
                        let early = sorted.early.entry(stay).or_insert(sequence);
                        *early = sequence.min(*early);
                        continue;
                    }
                    _ => "untrue",
                };
                sorted.bad.push(Bad {
                    stay,
                    kind,
                    said: error.to_string(),
                    signed,
                });
            }
        }
    }
    sorted
}

#[derive(sqlx::FromRow)]
struct TermsRow {
    stay: i64,
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
    units: i64,
}

/// Within which bounds an agent can speak of these stays: those of its own machine.
async fn terms(
    db: &PgPool,
    agent: i64,
    stays: &BTreeSet<i64>,
) -> Result<BTreeMap<i64, Terms>, sqlx::Error> {
    let stays: Vec<i64> = stays.iter().copied().collect();
    let rows: Vec<TermsRow> = sqlx::query_as(
        "SELECT p.stay, greatest(min(p.start_at), min(a.speaks_from)) AS start_at,
                max(p.end_at) AS end_at, max(p.units) AS units
         FROM placements p JOIN agents a ON a.host = p.host
         WHERE a.id = $1 AND p.stay = ANY($2) GROUP BY p.stay",
    )
    .bind(agent)
    .bind(stays)
    .fetch_all(db)
    .await?;
    let terms = rows.into_iter().filter_map(|row| {
        let terms = Terms {
            agent: u64::try_from(agent).ok()?,
            lease: u64::try_from(row.stay).ok()?,
            start: Minute::of(row.start_at.to_jiff())?,
            end: Minute::of(row.end_at.to_jiff())?,
            units: u32::try_from(row.units).ok()?,
        };
        Some((row.stay, terms))
    });
    Ok(terms.collect())
}
