//! What the tables have of hours of leases, read for many at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use market::LeaseId;
use reading::{Digest, Hour, Minute, Reading, SealedHour, Tally, Told};
use sqlx::PgConnection;

use super::placing::calendar;
use super::probes::Found;
use super::proof::{Owed, Part, Proof, Said};
use crate::clock;

/// How many minutes after an hour its chain is read on, to know what can't come any more.
const BEYOND: i32 = 180;

/// An agent's chain about a stay.
type ChainId = (i64, i64);

/// What shows what leases got in one hour.
#[derive(Debug)]
pub struct Evidence {
    hour: market::Hour,
    placements: BTreeMap<i64, Vec<PlacementRow>>,
    tallies: BTreeMap<ChainId, Tally>,
    /// The chains whose readings of the hour itself are there, whatever they count for.
    told: BTreeSet<ChainId>,
    found: Found,
    /// What was sealed of the hour itself: what stands once its readings are gone.
    sealed: BTreeMap<ChainId, SealedHour>,
    /// By machine, the agents that it has had.
    agents: BTreeMap<i64, Vec<Speaker>>,
    /// By pool, maintenance with when it was declared.
    maintenances: BTreeMap<i64, Vec<Maintenance>>,
}

#[derive(Clone, Debug, sqlx::FromRow)]
struct PlacementRow {
    lease: i64,
    host: i64,
    stay: i64,
    pool: i64,
    units: i64,
    accepted_at: Option<jiff_sqlx::Timestamp>,
}

#[derive(Clone, Copy, Debug)]
struct Maintenance {
    start: Timestamp,
    end: Timestamp,
    declared_at: Timestamp,
}

/// All readings of one chain, column by column: a row each would cost more to read than to use.
#[derive(sqlx::FromRow)]
struct ReadingsRow {
    stay: i64,
    agent: i64,
    minutes: Vec<i32>,
    sequences: Vec<i64>,
    units: Vec<i32>,
    befores: Vec<Vec<u8>>,
}

#[derive(sqlx::FromRow)]
struct SealedRow {
    stay: i64,
    hour_at: jiff_sqlx::Timestamp,
    agent: i64,
    sealed: Vec<u8>,
}

/// An agent that a machine has or has had.
#[derive(Clone, Copy, Debug)]
struct Speaker {
    id: i64,
    /// Whether nothing more can come of it.
    is_revoked: bool,
}

/// What is to be kept of an hour's chain.
#[derive(Debug)]
pub struct Sealed {
    /// The stay.
    pub stay: i64,
    /// The agent.
    pub agent: i64,
    /// The row.
    pub row: SealedHour,
}

impl Evidence {
    /// Reads what there is of an hour of these leases, all of one pool or of several.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn read(
        db: &mut PgConnection,
        hour: market::Hour,
        leases: &[LeaseId],
    ) -> Result<Self, sqlx::Error> {
        let ids: Vec<i64> = leases.iter().map(|lease| lease.0).collect();
        let rows: Vec<PlacementRow> = sqlx::query_as(
            "SELECT p.lease, p.host, p.stay, h.pool, p.units, s.accepted_at
             FROM placements p JOIN stays s ON s.stay = p.stay AND s.host = p.host
             JOIN hosts h ON h.id = p.host
             WHERE p.lease = ANY($1) AND p.start_at <= $2 AND p.end_at > $2
             ORDER BY p.lease, p.host",
        )
        .bind(ids)
        .bind(at(hour))
        .fetch_all(&mut *db)
        .await?;
        let stays: Vec<i64> = rows.iter().map(|row| row.stay).collect();
        let mut hosts: Vec<i64> = rows.iter().map(|row| row.host).collect();
        hosts.sort_unstable();
        hosts.dedup();
        let agents = agents_of(db, &hosts).await?;
        let (tallies, told) = tallies(db, hour, &stays).await?;
        let sealed = sealed_of(db, hour, &stays).await?;
        let of_chain = Hour(u32::try_from(hour.0).unwrap_or(0));
        let found = Found::read(db, of_chain, &stays).await?;
        let maintenances = maintenances(db, hour, &hosts).await?;
        let mut placements: BTreeMap<i64, Vec<PlacementRow>> = BTreeMap::new();
        for row in rows {
            placements.entry(row.lease).or_default().push(row);
        }
        Ok(Self {
            hour,
            placements,
            tallies,
            told,
            found,
            sealed,
            agents,
            maintenances,
        })
    }

    /// What the hour comes to for a lease.
    ///
    /// # Arguments
    /// `notice_hours` is how long before its first minute maintenance had to be declared.
    pub fn proof(&self, lease: LeaseId, owed: Owed, notice_hours: i64) -> Proof {
        self.so_far(lease, owed, notice_hours, 60)
    }

    /// What the first so many minutes of the hour come to.
    pub fn so_far(&self, lease: LeaseId, owed: Owed, notice_hours: i64, minutes: usize) -> Proof {
        let rows = self.placements.get(&lease.0);
        let parts = rows.into_iter().flatten().map(|row| self.part(row));
        let parts: Vec<Part> = parts.collect();
        let pool = rows.and_then(|rows| rows.first()).map(|row| row.pool);
        let declared = pool.and_then(|pool| self.maintenances.get(&pool));
        let is_maintained = |place: usize| {
            let minute = minute_of(self.hour, place).begins();
            let mut all = declared.into_iter().flatten();
            all.any(|one| one.covers(minute, notice_hours))
        };
        Proof::of(owed, self.hour, minutes, &parts, is_maintained)
    }

    /// The agents, with the stay, that say of a lease that it ran where a quorum of probes denies it.
    pub fn contradicted(&self, lease: LeaseId) -> Vec<(i64, i64)> {
        let rows = self.placements.get(&lease.0).into_iter().flatten();
        let contradicted = rows.filter_map(|row| {
            let part = self.part(row);
            let mut minutes = part.said.iter().zip(&part.denied);
            let is_denied = minutes.any(|(said, denied)| match said {
                Said::Units(units) => *denied && *units > 0,
                _ => false,
            });
            let agent = self.agents.get(&row.host)?.last()?;
            is_denied.then_some((agent.id, row.stay))
        });
        contradicted.collect()
    }

    fn part(&self, row: &PlacementRow) -> Part {
        let hour = Hour(u32::try_from(self.hour.0).unwrap_or(0));
        let agents = self.agents.get(&row.host).into_iter().flatten();
        let told = agents.map(|agent| self.told(row.stay, *agent, hour));
        let told: Vec<Vec<Told>> = told.collect();
        let said = (0..60).map(|place| said(told.iter().filter_map(|told| told.get(place))));
        Part {
            units: row.units,
            accepted: row.accepted_at.and_then(|at| first_whole(at.to_jiff())),
            said: said.collect(),
            denied: self.found.denied(row.stay, row.host),
        }
    }

    /// What an agent tells of an hour of a stay.
    fn told(&self, stay: i64, agent: Speaker, hour: Hour) -> Vec<Told> {
        let chain = (stay, agent.id);
        let told = self.tallies.get(&chain).map(|tally| tally.told(hour));
        let mut told = told.unwrap_or_else(|| vec![Told::NotYet; 60]);
        let is_read = self.told.contains(&chain);
        if let Some(row) = self.sealed.get(&chain).filter(|_| !is_read) {
            told = vec![Told::Never; 60];
            for run in &row.runs {
                let first = usize::from(run.first);
                let minutes = first..first.saturating_add(usize::from(run.minutes));
                for minute in told.get_mut(minutes).into_iter().flatten() {
                    *minute = Told::Units(run.units);
                }
            }
        }
        if agent.is_revoked {
            for one in told.iter_mut().filter(|one| **one == Told::NotYet) {
                *one = Told::Never;
            }
        }
        told
    }

    /// The rows that stand for the hour's chains from now on, and the chains that are broken: stay,
    /// agent and number.
    pub fn sealed(&self) -> (Vec<Sealed>, Vec<(i64, i64, u64)>) {
        let hour = Hour(u32::try_from(self.hour.0).unwrap_or(0));
        let (mut rows, mut broken) = (Vec::new(), Vec::new());
        for (&(stay, agent), tally) in &self.tallies {
            if let Some(number) = tally.first_break() {
                broken.push((stay, agent, number));
            }
            if let Some(row) = tally.clone().seal(hour) {
                rows.push(Sealed { stay, agent, row });
            }
        }
        (rows, broken)
    }
}

/// What the agents that a machine has had say of a minute: one that saw it is believed, one that may
/// still speak is waited for.
fn said<'a>(told: impl Iterator<Item = &'a Told>) -> Said {
    let mut said = None;
    for one in told {
        said = Some(match (one, said) {
            (Told::Units(units), Some(Said::Units(most))) => {
                Said::Units(most.max(i64::from(*units)))
            }
            (Told::Units(units), _) => Said::Units(i64::from(*units)),
            (_, Some(Said::Units(most))) => Said::Units(most),
            (Told::NotYet, _) | (_, Some(Said::NotYet)) => Said::NotYet,
            (Told::Never, _) => Said::Never,
        });
    }
    said.unwrap_or(Said::NotYet)
}

impl Maintenance {
    fn covers(&self, minute: Timestamp, notice_hours: i64) -> bool {
        let in_time = is_in_time(self.start, self.declared_at, notice_hours);
        in_time && self.start <= minute && minute < self.end
    }
}

/// Whether maintenance that begins at an instant was declared so many hours before it.
pub fn is_in_time(start: Timestamp, declared_at: Timestamp, notice_hours: i64) -> bool {
    let notice = jiff::SignedDuration::from_hours(notice_hours);
    start.duration_since(declared_at) >= notice
}

/// The first minute that began at or after an instant.
fn first_whole(at: Timestamp) -> Option<Minute> {
    let minute = Minute::of(at)?;
    Some(if minute.begins() == at {
        minute
    } else {
        Minute(minute.0.saturating_add(1))
    })
}

fn minute_of(hour: market::Hour, place: usize) -> Minute {
    let first = Hour(u32::try_from(hour.0).unwrap_or(0)).begins().0;
    Minute(first.saturating_add(u32::try_from(place).unwrap_or(0)))
}

fn at(hour: market::Hour) -> jiff_sqlx::Timestamp {
    jiff_sqlx::Timestamp::from(calendar(hour))
}

async fn agents_of(
    db: &mut PgConnection,
    hosts: &[i64],
) -> Result<BTreeMap<i64, Vec<Speaker>>, sqlx::Error> {
    let rows: Vec<(i64, i64, bool)> = sqlx::query_as(
        "SELECT host, id, revoked_at IS NOT NULL FROM agents WHERE host = ANY($1) ORDER BY id",
    )
    .bind(hosts)
    .fetch_all(&mut *db)
    .await?;
    let mut agents: BTreeMap<i64, Vec<Speaker>> = BTreeMap::new();
    for (host, id, is_revoked) in rows {
        agents
            .entry(host)
            .or_default()
            .push(Speaker { id, is_revoked });
    }
    Ok(agents)
}

/// What was sealed of this hour.
async fn sealed_of(
    db: &mut PgConnection,
    hour: market::Hour,
    stays: &[i64],
) -> Result<BTreeMap<ChainId, SealedHour>, sqlx::Error> {
    let rows: Vec<SealedRow> = sqlx::query_as(
        "SELECT stay, hour_at, agent, sealed FROM reading_hours
         WHERE stay = ANY($1) AND hour_at = $2",
    )
    .bind(stays)
    .bind(at(hour))
    .fetch_all(&mut *db)
    .await?;
    let read = rows
        .iter()
        .filter_map(|row| Some(((row.stay, row.agent), row.read()?)));
    Ok(read.collect())
}

/// The chains about these stays: as they stood when an hour before this one was sealed, with all
/// that came since about hours up to a while after it; and of which of them there are readings of
/// this hour.
async fn tallies(
    db: &mut PgConnection,
    hour: market::Hour,
    stays: &[i64],
) -> Result<(BTreeMap<ChainId, Tally>, BTreeSet<ChainId>), sqlx::Error> {
    let sealed: Vec<SealedRow> = sqlx::query_as(
        "SELECT l.stay, l.hour_at, l.agent, l.sealed
         FROM unnest($1::bigint[]) s (stay)
         JOIN LATERAL (SELECT DISTINCT ON (agent) stay, hour_at, agent, sealed FROM reading_hours r
                       WHERE r.stay = s.stay AND r.hour_at < $2
                       ORDER BY agent, hour_at DESC) l ON true",
    )
    .bind(stays)
    .bind(at(hour))
    .fetch_all(&mut *db)
    .await?;
    let mut tallies = BTreeMap::new();
    for row in sealed {
        if let Some(read) = row.read() {
            tallies.insert((row.stay, row.agent), Tally::after(&read));
        }
    }
    let last = i32::try_from(hour.0).unwrap_or(0).saturating_mul(60);
    let rows: Vec<ReadingsRow> = sqlx::query_as(
        "SELECT r.stay, r.agent, array_agg(r.minute) AS minutes, array_agg(r.sequence) AS sequences,
                array_agg(r.units) AS units, array_agg(r.before) AS befores
         FROM readings r WHERE r.stay = ANY($1) AND r.minute < $2 AND r.minute >= $3
         GROUP BY r.stay, r.agent",
    )
    .bind(stays)
    .bind(last.saturating_add(60 + BEYOND))
    .bind(first_open(&tallies, stays, hour))
    .fetch_all(&mut *db)
    .await?;
    let mut told = BTreeSet::new();
    for row in rows {
        let chain = (row.stay, row.agent);
        for reading in row.readings() {
            if i64::from(reading.minute.hour().0) == hour.0 {
                told.insert(chain);
            }
            let tally = tallies
                .entry(chain)
                .or_insert_with(|| Tally::new(reading.agent, reading.lease));
            // It is of this chain; what was sealed before is passed over by the tally itself.
            let _ = tally.add(&reading);
        }
    }
    Ok((tallies, told))
}

/// The first minute of which readings have to be read: after the earliest sealed hour where all
/// chains have one, else whatever there is.
fn first_open(tallies: &BTreeMap<ChainId, Tally>, stays: &[i64], hour: market::Hour) -> i32 {
    let has_any = |stay: &i64| {
        let mut of_stay = tallies.range((*stay, i64::MIN)..=(*stay, i64::MAX));
        of_stay.next().is_some()
    };
    if !stays.iter().all(has_any) {
        return 0;
    }
    let sealed = tallies.values().filter_map(Tally::sealed_hour).min();
    let first = sealed.map_or(0, |hour| hour.begins().0.saturating_add(60));
    i32::try_from(first)
        .unwrap_or(0)
        .min(i32::try_from(hour.0).unwrap_or(0).saturating_mul(60))
}

impl SealedRow {
    fn read(&self) -> Option<SealedHour> {
        let hour = clock::stamp(self.hour_at.to_jiff()).hour();
        let hour = Hour(u32::try_from(hour.0).ok()?);
        let (agent, stay) = (
            u64::try_from(self.agent).ok()?,
            u64::try_from(self.stay).ok()?,
        );
        SealedHour::from_bytes(agent, stay, hour, &self.sealed).ok()
    }
}

impl ReadingsRow {
    fn readings(&self) -> impl Iterator<Item = Reading> {
        let number = |id: i64| u64::try_from(id).unwrap_or(0);
        let small = |number: i32| u32::try_from(number).unwrap_or(0);
        let befores = self.befores.iter().map(|before| &before[..]);
        let of_each = self.minutes.iter().zip(&self.sequences).zip(&self.units);
        of_each
            .zip(befores)
            .map(move |(((minute, sequence), units), before)| Reading {
                agent: number(self.agent),
                lease: number(self.stay),
                sequence: number(*sequence),
                minute: Minute(small(*minute)),
                units: small(*units),
                before: Digest(before.try_into().unwrap_or([0; 32])),
            })
    }
}

async fn maintenances(
    db: &mut PgConnection,
    hour: market::Hour,
    hosts: &[i64],
) -> Result<BTreeMap<i64, Vec<Maintenance>>, sqlx::Error> {
    let rows: Vec<(
        i64,
        jiff_sqlx::Timestamp,
        jiff_sqlx::Timestamp,
        jiff_sqlx::Timestamp,
    )> = sqlx::query_as(
        "SELECT m.pool, m.start_at, m.end_at, m.declared_at FROM maintenances m
             WHERE m.start_at < $2 AND m.end_at > $1
               AND m.pool IN (SELECT pool FROM hosts WHERE id = ANY($3))",
    )
    .bind(at(hour))
    .bind(at(market::Hour(hour.0 + 1)))
    .bind(hosts)
    .fetch_all(&mut *db)
    .await?;
    let mut maintenances: BTreeMap<i64, Vec<Maintenance>> = BTreeMap::new();
    for (pool, start, end, declared_at) in rows {
        maintenances.entry(pool).or_default().push(Maintenance {
            start: start.to_jiff(),
            end: end.to_jiff(),
            declared_at: declared_at.to_jiff(),
        });
    }
    Ok(maintenances)
}
