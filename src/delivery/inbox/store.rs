//! What is written of what agents send.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use reading::SignedReading;
use serde_json::json;
use sqlx::PgPool;

use super::{Bad, MOST_STATES, Stage, StateChange, WayIn};
use crate::delivery::course::{self, Step};

/// Keeps readings, each once, and notes the hours that are over and have something new. Where there is
/// no place for an hour of them yet, the clock having leapt, it is made.
pub(super) async fn add_readings(
    db: &PgPool,
    agent: i64,
    readings: &[SignedReading],
    market: Timestamp,
) -> Result<(), sqlx::Error> {
    let added = insert(db, agent, readings, market).await;
    let has_no_place = |error: &sqlx::Error| {
        let error = error.as_database_error();
        error.is_some_and(sqlx::error::DatabaseError::is_check_violation)
    };
    if !added.as_ref().is_err_and(has_no_place) {
        return added;
    }
    let hours: BTreeSet<u32> = readings
        .iter()
        .map(|signed| signed.reading.minute.hour().0)
        .collect();
    let hours = hours
        .into_iter()
        .filter_map(|hour| i32::try_from(hour).ok());
    sqlx::query("SELECT keep_readings_of(hour) FROM unnest($1::integer[]) hour")
        .bind(hours.collect::<Vec<i32>>())
        .execute(db)
        .await?;
    insert(db, agent, readings, market).await
}

/// An insertion into readings that notes the hours that are over and have something new; gives how
/// many were added.
macro_rules! noting_late {
    ($insertion:literal) => {
        concat!(
            "WITH given AS (
                 SELECT * FROM unnest($2::integer[], $3::bigint[], $4::bigint[], $5::integer[],
                                      $6::bytea[], $7::bytea[], $8::bytea[])
                     AS r (minute, stay, sequence, units, before, hash, signature)),
             added AS (
                 INSERT INTO readings
                     (agent, minute, stay, sequence, units, before, hash, signature, story) ",
            $insertion,
            " ON CONFLICT DO NOTHING RETURNING stay, minute),
             late AS (
                 INSERT INTO late_hours (stay, hour_at)
                 SELECT DISTINCT stay, to_timestamp(minute / 60 * 3600) FROM added
                 WHERE to_timestamp((minute / 60 + 1) * 3600) <= $9
                 ON CONFLICT (stay, hour_at)
                     DO UPDATE SET news = late_hours.news + 1, again_at = NULL)
             SELECT count(*) FROM added"
        )
    };
}

/// The story that an agent tells of each minute.
const FIRST: &str = noting_late!("SELECT $1, given.*, 0 FROM given");

/// A second story of a minute, which shows that neither is to be believed.
const SECOND: &str = noting_late!(
    "SELECT $1, given.*, 1 FROM given
     WHERE EXISTS (SELECT FROM readings k WHERE k.stay = given.stay AND k.agent = $1
                       AND k.minute = given.minute AND k.story = 0 AND k.hash <> given.hash)"
);

async fn insert(
    db: &PgPool,
    agent: i64,
    readings: &[SignedReading],
    market: Timestamp,
) -> Result<(), sqlx::Error> {
    if readings.is_empty() {
        return Ok(());
    }
    let added = insert_as(db, FIRST, agent, readings, market).await?;
    if usize::try_from(added) != Ok(readings.len()) {
        insert_as(db, SECOND, agent, readings, market).await?;
    }
    Ok(())
}

async fn insert_as(
    db: &PgPool,
    story: &'static str,
    agent: i64,
    readings: &[SignedReading],
    market: Timestamp,
) -> Result<i64, sqlx::Error> {
    let wide = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let narrow = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let of = readings.iter().map(|signed| &signed.reading);
    let minutes: Vec<i32> = of.clone().map(|one| narrow(one.minute.0)).collect();
    let stays: Vec<i64> = of.clone().map(|one| wide(one.lease)).collect();
    let sequences: Vec<i64> = of.clone().map(|one| wide(one.sequence)).collect();
    let units: Vec<i32> = of.clone().map(|one| narrow(one.units)).collect();
    let befores: Vec<Vec<u8>> = of.clone().map(|one| one.before.0.to_vec()).collect();
    let hashes: Vec<Vec<u8>> = of.map(|one| one.hash().0.to_vec()).collect();
    let signed = readings
        .iter()
        .map(|signed| signed.signature.to_bytes().to_vec());
    let signatures: Vec<Vec<u8>> = signed.collect();
    sqlx::query_scalar(story)
        .bind(agent)
        .bind(minutes)
        .bind(stays)
        .bind(sequences)
        .bind(units)
        .bind(befores)
        .bind(hashes)
        .bind(signatures)
        .bind(market.to_sqlx())
        .fetch_one(db)
        .await
}

/// Opens a case for each kind of what can't be true; one that is open already stays as it is.
pub(super) async fn open_cases(
    db: &PgPool,
    agent: i64,
    bad: &[Bad],
    market: Timestamp,
) -> Result<(), sqlx::Error> {
    let mut opened = BTreeSet::new();
    for one in bad {
        if !opened.insert((one.stay, one.kind)) {
            continue;
        }
        let reading = &one.signed.reading;
        let evidence = json!({
            "said": one.said,
            "sequence": reading.sequence,
            "minute": reading.minute.to_string(),
            "units": reading.units,
            "before": reading.before.to_string(),
            "signature": one.signed.signature.to_hex(),
        });
        open_case(db, agent, one.stay, one.kind, &evidence, market).await?;
    }
    Ok(())
}

/// Opens a case, unless one of its kind is open.
pub(in crate::delivery) async fn open_case(
    db: &PgPool,
    agent: i64,
    stay: i64,
    kind: &str,
    evidence: &serde_json::Value,
    market: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO delivery_cases (agent, stay, kind, opened_at, evidence)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    )
    .bind(agent)
    .bind(stay)
    .bind(kind)
    .bind(market.to_sqlx())
    .bind(evidence)
    .execute(db)
    .await
    .map(|_| ())
}

/// Takes an agent's states, each once and in their order, [`MOST_STATES`] at most; gives the number
/// of the last one that was taken, now or before.
///
/// # Errors
/// When the database fails: nothing was taken then.
pub async fn take_states(
    db: &PgPool,
    agent: i64,
    mut states: Vec<StateChange>,
    market: Timestamp,
) -> Result<i64, sqlx::Error> {
    states.sort_by_key(|state| state.sequence);
    states.truncate(MOST_STATES);
    let mut transaction = db.begin().await?;
    let (host, mut through): (i64, i64) =
        sqlx::query_as("SELECT host, states FROM agents WHERE id = $1 FOR UPDATE")
            .bind(agent)
            .fetch_one(&mut *transaction)
            .await?;
    let stays: Vec<i64> = states.iter().map(|state| state.lease).collect();
    course::hold(&mut transaction, host, &stays).await?;
    for mut state in states {
        // A number that is missing is waited for: an agent sends its states in their order.
        if state.sequence != through.saturating_add(1) {
            continue;
        }
        through = state.sequence;
        let way_in = match state.stage {
            Stage::Prepared => WayIn::of(&state.evidence),
            _ => None,
        };
        state.shorten();
        let is_known = sqlx::query(
            "UPDATE stays SET stage = $3, said_at = $4, login = coalesce($5, login),
                    port = coalesce($6, port), host_key = coalesce($7, host_key)
             WHERE stay = $1 AND host = $2",
        )
        .bind(state.lease)
        .bind(host)
        .bind(state.stage.code())
        .bind(market.to_sqlx())
        .bind(way_in.as_ref().map(|way| &way.user))
        .bind(way_in.as_ref().map(|way| i32::from(way.port)))
        .bind(way_in.as_ref().map(|way| &way.host_key))
        .execute(&mut *transaction)
        .await?;
        if is_known.rows_affected() == 0 {
            continue;
        }
        let leases: Vec<(i64, bool)> = sqlx::query_as(
            "SELECT lease, max(end_at) <= $3 FROM placements WHERE stay = $1 AND host = $2
             GROUP BY lease ORDER BY min(start_at) <= $3 DESC,
                      CASE WHEN min(start_at) <= $3 THEN min(start_at) END DESC, min(start_at)",
        )
        .bind(state.lease)
        .bind(host)
        .bind(market.to_sqlx())
        .fetch_all(&mut *transaction)
        .await?;
        // The lease that has the stay now, or had it last; what is wiped was all of theirs.
        let concerned = match state.stage {
            Stage::Wiped => leases.len(),
            _ => 1,
        };
        for (lease, is_over) in leases.into_iter().take(concerned) {
            let step = Step::of_agent(agent, host, &state, is_over);
            course::say(&mut *transaction, &[(lease, step)], market).await?;
        }
    }
    sqlx::query("UPDATE agents SET states = $2 WHERE id = $1")
        .bind(agent)
        .bind(through)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(through)
}
