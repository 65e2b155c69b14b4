//! Agents: how a program comes to speak for a machine, and what the machine is to have.

mod store;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use reading::PublicKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::PgPool;

pub use store::{Enrolled, forget_requests, new_token, revoke};

/// What every token of an agent begins with, so that whoever finds one knows what it is.
pub const TOKEN_PREFIX: &str = "sluice_agent_";

/// How long a token can be used, in real time.
pub const TOKEN_HOURS: i64 = 24;

/// How long before its start a machine is told of a lease.
const LEAD: SignedDuration = SignedDuration::from_mins(15);

/// What of a machine's memory leases share: the rest is the system's.
const LEASABLE_MEMORY: (u64, u64) = (95, 100);

/// The most keys of a holder that let into one lease, the newest of them, and the most bytes of one:
/// a machine is told of all its leases in one answer.
const MOST_KEYS: i64 = 16;
const LONGEST_KEY: i32 = 2 << 10;

/// The most bytes of JSON that say what a machine has.
pub const MOST_INVENTORY: usize = 64 << 10;

/// The most processes of a lease.
const PROCESSES: u32 = 16_384;

/// What the database knows a token by.
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// What a machine has, as far as the exchange reads it; the rest is kept as it came.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Inventory {
    /// Processors.
    #[serde(default)]
    pub cpus: u64,
    /// Memory in MiB.
    #[serde(default)]
    pub memory_mib: u64,
}

/// What an agent says of itself.
#[derive(Clone, Debug, Deserialize)]
pub struct Beat {
    /// The shapes' version: 1.
    pub version: u64,
    /// The program's.
    pub program: String,
    /// By how many milliseconds its clock is before ours, as it knows.
    pub clock_ahead_ms: i64,
    /// How many readings and states it has that were not acknowledged.
    pub waiting: u64,
    /// What the machine has.
    pub inventory: serde_json::Value,
}

/// A lease as its machine is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Order {
    /// The number of its stay.
    pub lease: i64,
    /// `there`, or `over`: at once, whatever `end` says.
    pub want: &'static str,
    /// How many units.
    pub units: i64,
    /// When it begins.
    pub start: Timestamp,
    /// When access ends.
    pub end: Timestamp,
    /// When its files go.
    pub wipe: Timestamp,
    /// Public SSH keys of the holder.
    pub keys: Vec<String>,
    /// Those of the vantages, for probes.
    pub probes: Vec<String>,
    /// What it may use of the machine.
    pub limits: Limits,
}

/// What a lease may use of its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Processor time, in thousandths of a core.
    pub cpu_millis: u64,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Processes and threads.
    pub processes: u32,
}

impl Limits {
    /// So many units' share of a machine that has so many.
    fn of(inventory: &Inventory, units: i64, of: i64) -> Self {
        let share = |all: u64| {
            let units = u64::try_from(units).unwrap_or(0);
            let of = u64::try_from(of).unwrap_or(0).max(1);
            (all.saturating_mul(units.min(of)) / of).max(1)
        };
        let (part, whole) = LEASABLE_MEMORY;
        Self {
            cpu_millis: share(inventory.cpus.saturating_mul(1_000)),
            memory_mib: share(inventory.memory_mib.saturating_mul(part) / whole),
            processes: PROCESSES,
        }
    }
}

/// Why a machine does not become an agent.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// No such token, or it is too old.
    #[error("there is no such token, or it has expired")]
    NoToken,
    /// Another key has used the token, or the key has an agent already.
    #[error("the token was used, or the key has an agent already")]
    Used,
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Makes the holder of a token's key the agent of the token's machine, in place of any before. The
/// same token with the same key gets the same answer.
///
/// # Arguments
/// `now` is real time, `market` the market's, from which on the agent speaks.
///
/// # Errors
/// The token is none, or somebody has used it.
pub async fn enrol(
    db: &PgPool,
    token: &str,
    key: &PublicKey,
    inventory: &serde_json::Value,
    (now, market): (Timestamp, Timestamp),
) -> Result<i64, EnrolError> {
    let of = (now, market);
    match store::enrol(db, &hash(token), &key.to_bytes(), inventory, of).await? {
        Enrolled::As(agent) => Ok(agent),
        Enrolled::NoToken => Err(EnrolError::NoToken),
        Enrolled::Used => Err(EnrolError::Used),
    }
}

/// Notes that an agent is there, and says what its machine is to have.
///
/// # Arguments
/// `now` is real time, `market` the market's; `data_hours` how long files stay after a lease's end.
///
/// # Errors
/// When the database fails.
pub async fn heartbeat(
    db: &PgPool,
    agent: i64,
    beat: &Beat,
    (now, market): (Timestamp, Timestamp),
    data_hours: i64,
) -> Result<Vec<Order>, sqlx::Error> {
    store::seen(db, agent, beat, now).await?;
    let inventory = serde_json::from_value(beat.inventory.clone()).unwrap_or_default();
    let told = market.saturating_add(LEAD).unwrap_or(Timestamp::MAX);
    let rows = stays(db, agent, told, market).await?;
    let probes = vantages(db).await?;
    let mut orders: BTreeMap<i64, Stay> = BTreeMap::new();
    for row in rows {
        let stay = orders.entry(row.stay).or_insert_with(|| Stay {
            of_machine: row.of_machine,
            parts: Vec::new(),
        });
        stay.parts.extend(Part::of(&row));
    }
    let data = SignedDuration::from_hours(data_hours);
    let mut found = Vec::new();
    for (number, stay) in orders {
        let mut order = stay.order(number, &inventory, market, data);
        order.probes.clone_from(&probes);
        found.push(order);
    }
    Ok(found)
}

#[derive(sqlx::FromRow)]
struct StayRow {
    stay: i64,
    of_machine: i64,
    units: Option<i64>,
    start_at: Option<jiff_sqlx::Timestamp>,
    end_at: Option<jiff_sqlx::Timestamp>,
    keys: Vec<String>,
}

/// What the machine of an agent is to have or to be rid of, of leases that begin by an instant; keys
/// of those that are not over by the market's time.
async fn stays(
    db: &PgPool,
    agent: i64,
    told: Timestamp,
    market: Timestamp,
) -> Result<Vec<StayRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT s.stay, h.units AS of_machine, p.units, p.start_at, p.end_at,
                ARRAY(SELECT k.public_key FROM ssh_keys k
                      WHERE k.participant = l.holder AND k.removed_at IS NULL
                        AND (a.ssh_key IS NULL OR k.id = a.ssh_key)
                        AND p.end_at > $3 AND octet_length(k.public_key) <= $4
                      ORDER BY k.id DESC LIMIT $5) AS keys
         FROM agents g JOIN hosts h ON h.id = g.host JOIN stays s ON s.host = h.id
         LEFT JOIN placements p ON p.stay = s.stay AND p.host = s.host
         LEFT JOIN leases l ON l.id = p.lease
         LEFT JOIN trades t ON t.id = l.id
         LEFT JOIN orders o ON o.id = t.buy
         LEFT JOIN order_access a ON a.participant = o.participant AND a.client_id = o.client_id
         WHERE g.id = $1 AND s.stage <> 'wiped'
           AND (p.start_at IS NULL OR p.start_at <= $2
                OR EXISTS (SELECT FROM placements b
                           WHERE b.stay = p.stay AND b.host = p.host AND b.start_at <= $2))
         ORDER BY s.stay, p.start_at",
    )
    .bind(agent)
    .bind(jiff_sqlx::Timestamp::from(told))
    .bind(jiff_sqlx::Timestamp::from(market))
    .bind(LONGEST_KEY)
    .bind(MOST_KEYS)
    .fetch_all(db)
    .await
}

/// The keys of the vantages, as SSH writes them.
async fn vantages(db: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    let keys: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT public_key FROM vantages WHERE retired_at IS NULL ORDER BY id")
            .fetch_all(db)
            .await?;
    Ok(keys.iter().map(|key| ssh_key(key)).collect())
}

/// An Ed25519 public key as `ssh-keygen` writes it (RFC 8709).
pub fn ssh_key(key: &[u8]) -> String {
    const KIND: &str = "ssh-ed25519";
    let mut blob = Vec::new();
    for part in [KIND.as_bytes(), key] {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        blob.extend(length.to_be_bytes());
        blob.extend(part);
    }
    format!("{KIND} {}", data_encoding::BASE64.encode(&blob))
}

/// A stay with what its leases have on the machine.
struct Stay {
    of_machine: i64,
    parts: Vec<Part>,
}

/// What one lease has of it for some hours.
struct Part {
    units: i64,
    start: Timestamp,
    end: Timestamp,
    keys: Vec<String>,
}

impl Part {
    fn of(row: &StayRow) -> Option<Self> {
        Some(Self {
            units: row.units?,
            start: row.start_at?.to_jiff(),
            end: row.end_at?.to_jiff(),
            keys: row.keys.clone(),
        })
    }
}

impl Stay {
    /// What the machine is told of it now. Hours that follow each other are one stretch, whoever's
    /// lease they are of; of several stretches it is told of the one in course, or the next.
    fn order(
        &self,
        lease: i64,
        inventory: &Inventory,
        now: Timestamp,
        data: SignedDuration,
    ) -> Order {
        let over = |at: Timestamp| at.saturating_add(data).unwrap_or(Timestamp::MAX);
        let last = self.parts.iter().map(|part| part.end).max();
        let wipe = last.map_or(now, over);
        let current = self
            .parts
            .iter()
            .position(|part| part.end > now)
            .or(self.parts.len().checked_sub(1));
        let Some(current) = current else {
            // Nothing of it is left: it never begins.
            return Order {
                lease,
                want: "over",
                units: 0,
                start: now,
                end: now,
                wipe,
                keys: Vec::new(),
                probes: Vec::new(),
                limits: Limits::of(inventory, 0, self.of_machine),
            };
        };
        let part = &self.parts[current];
        let mut end = part.end;
        for next in &self.parts[current..] {
            if next.start <= end {
                end = end.max(next.end);
            }
        }
        let mut start = part.start;
        for before in self.parts[..current].iter().rev() {
            if before.end >= start {
                start = before.start;
            }
        }
        Order {
            lease,
            want: "there",
            units: part.units,
            start,
            end,
            wipe,
            keys: part.keys.clone(),
            probes: Vec::new(),
            limits: Limits::of(inventory, part.units, self.of_machine),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3_600).expect("an instant")
    }

    fn part(units: i64, start: i64, end: i64) -> Part {
        Part {
            units,
            start: at(start),
            end: at(end),
            keys: vec![format!("key of {start}")],
        }
    }

    fn order(parts: Vec<Part>, now: i64) -> (&'static str, i64, i64, i64, i64) {
        let stay = Stay {
            of_machine: 8,
            parts,
        };
        let data = SignedDuration::from_hours(24);
        let order = stay.order(1, &Inventory::default(), at(now), data);
        let hours = [order.start, order.end, order.wipe].map(|at| at.as_second() / 3_600);
        (order.want, order.units, hours[0], hours[1], hours[2])
    }

    #[test]
    fn an_extension_goes_on_and_a_gap_does_not() {
        let extended = || vec![part(4, 1, 3), part(4, 3, 5)];
        assert_eq!(order(extended(), 0), ("there", 4, 1, 5, 29));
        assert_eq!(order(extended(), 4), ("there", 4, 1, 5, 29));
        let less = || vec![part(8, 1, 2), part(4, 2, 5)];
        assert_eq!(order(less(), 1), ("there", 8, 1, 5, 29));
        assert_eq!(order(less(), 2), ("there", 4, 1, 5, 29));
        let gap = || vec![part(8, 1, 2), part(8, 4, 5)];
        assert_eq!(order(gap(), 1), ("there", 8, 1, 2, 29));
        assert_eq!(order(gap(), 2), ("there", 8, 4, 5, 29));
        assert_eq!(order(gap(), 6), ("there", 8, 4, 5, 29));
        // Handed back whole before it began.
        assert_eq!(order(Vec::new(), 2), ("over", 0, 2, 2, 2));
    }

    #[test]
    fn a_key_is_written_as_ssh_does() {
        let written = ssh_key(&[7; 32]);
        assert!(written.starts_with("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBw"));
    }

    #[test]
    fn a_lease_gets_its_share_of_the_machine() {
        let inventory = Inventory {
            cpus: 64,
            memory_mib: 1_000,
        };
        let limits = Limits::of(&inventory, 2, 8);
        assert_eq!((limits.cpu_millis, limits.memory_mib), (16_000, 237));
        assert_eq!(Limits::of(&Inventory::default(), 0, 0).cpu_millis, 1);
    }
}
