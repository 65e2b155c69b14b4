//! Which units of a lease are on which machine. What is decided stays, but for hours that have not
//! begun and whose units have changed; a lease that goes on where another one of its holder ends
//! goes on in its place.

mod store;

use std::collections::BTreeMap;

use jiff::Timestamp;
use market::{Hour, Lease, LeaseId, Market, PoolId};
use sqlx::PgPool;

use crate::clock;
use crate::db;

/// A machine of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Machine {
    /// Its number.
    pub id: i64,
    /// How many units it has.
    pub units: i64,
    /// Whether somebody speaks for it.
    pub has_agent: bool,
}

/// Units of a lease on a machine for some hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placement {
    /// The machine.
    pub host: i64,
    /// The first hour.
    pub start: Hour,
    /// The first hour after it.
    pub end: Hour,
    /// The number by which the machine knows it.
    pub stay: i64,
    /// How many.
    pub units: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    lease: i64,
    host: i64,
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
    stay: i64,
    units: i64,
}

impl Row {
    fn placement(&self) -> Placement {
        Placement {
            host: self.host,
            start: db::stamp(self.start_at).hour(),
            end: db::stamp(self.end_at).hour(),
            stay: self.stay,
            units: self.units,
        }
    }
}

/// Where a lease can be, and where it was.
struct Place<'a> {
    machines: &'a [Machine],
    /// What others have there.
    others: Vec<Placement>,
    /// What the lease has.
    own: Vec<Placement>,
    /// What the lease has that it goes on from.
    before: Vec<Placement>,
    lot: i64,
}

/// Places a lease anew, as far as its units have changed.
///
/// # Errors
/// When the database fails: everything is as it was.
pub async fn place(
    pool: &PgPool,
    lease: &Lease,
    lot: i64,
    now: market::Timestamp,
) -> Result<(), sqlx::Error> {
    let machines = machines(pool, lease.pool).await?;
    if machines.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = machines.iter().map(|machine| machine.id).collect();
    let own = rows_of(pool, lease.id).await?;
    let from = match own.is_empty() {
        true => lease.period.start.max(now.hour()),
        false => lease.period.start.max(now.next_hour()),
    };
    let own: Vec<Placement> = own.iter().map(Row::placement).collect();
    if is_as_wanted(lease, &own, from) {
        return Ok(());
    }
    let others = others(pool, &ids, lease.id, from).await?;
    let before = extended(pool, lease, &ids).await?;
    let place = Place {
        machines: &machines,
        others,
        own,
        before,
        lot,
    };
    let wanted = place.plan(lease, from);
    store::replace(pool, lease.id, from, &wanted).await
}

/// Whether a lease has on machines what it takes up of its pool from an hour on.
fn is_as_wanted(lease: &Lease, own: &[Placement], from: Hour) -> bool {
    (from.0..lease.period.end.0).map(Hour).all(|hour| {
        let placed = own.iter().filter(|one| one.start <= hour && hour < one.end);
        placed.map(|one| one.units).sum::<i64>() == lease.occupies(hour)
    })
}

impl Place<'_> {
    /// What the lease is to have from an hour on, as rows that don't overlap.
    fn plan(&self, lease: &Lease, from: Hour) -> Vec<Placement> {
        let first = self.before.first().or(self.own.first());
        let stay = self
            .own
            .first()
            .or(first)
            .map_or(lease.id.0, |one| one.stay);
        let hours = (from.0..lease.period.end.0).map(Hour);
        // It stays where it was in the hour before, as far as it can.
        let mut last: BTreeMap<i64, i64> = BTreeMap::new();
        let was = self.own.iter().chain(&self.before);
        for one in was.filter(|one| one.end >= from && one.start < from) {
            *last.entry(one.host).or_default() += one.units;
        }
        let mut rows: Vec<Placement> = Vec::new();
        for hour in hours {
            let wanted = lease.occupies(hour);
            let here = self.hour(hour, wanted, &last);
            for (&host, &units) in &here {
                let same = rows
                    .iter_mut()
                    .rev()
                    .find(|row| row.host == host && row.end == hour && row.units == units);
                let end = Hour(hour.0 + 1);
                match same {
                    Some(row) => row.end = end,
                    None => rows.push(Placement {
                        host,
                        start: hour,
                        end,
                        stay,
                        units,
                    }),
                }
            }
            if wanted > 0 {
                last = here;
            }
        }
        rows
    }

    /// Units of one hour by machine: where they were, then on one machine that has room for what is
    /// missing, the fullest such, then wherever there is room, in whole lots.
    fn hour(&self, hour: Hour, wanted: i64, last: &BTreeMap<i64, i64>) -> BTreeMap<i64, i64> {
        let mut here: BTreeMap<i64, i64> = BTreeMap::new();
        let mut missing = wanted;
        let free = |machine: &Machine| {
            let taken = self
                .others
                .iter()
                .filter(|one| one.host == machine.id && one.start <= hour && hour < one.end);
            machine.units - taken.map(|one| one.units).sum::<i64>()
        };
        for machine in self.machines {
            let was = last.get(&machine.id).copied().unwrap_or(0);
            let some = was.min(missing).min(free(machine)).max(0);
            if some > 0 {
                here.insert(machine.id, some);
                missing -= some;
            }
        }
        let room = |here: &BTreeMap<i64, i64>, machine: &Machine| {
            free(machine) - here.get(&machine.id).copied().unwrap_or(0)
        };
        while missing > 0 {
            let enough = self
                .machines
                .iter()
                .filter(|one| room(&here, one) >= missing);
            let whole = enough.min_by_key(|one| (!one.has_agent, room(&here, one), one.id));
            let some = self
                .machines
                .iter()
                .filter(|one| room(&here, one) >= self.lot);
            let part = some.min_by_key(|one| (!one.has_agent, -room(&here, one), one.id));
            let Some(machine) = whole.or(part) else {
                break;
            };
            let fits = room(&here, machine).min(missing);
            let taken = fits - fits.rem_euclid(self.lot);
            if taken <= 0 {
                break;
            }
            *here.entry(machine.id).or_default() += taken;
            missing -= taken;
        }
        here
    }
}

/// The machines of a pool, in the order in which they came; none of one that has none.
///
/// # Errors
/// When the database can't be read.
pub async fn machines(pool: &PgPool, of: PoolId) -> Result<Vec<Machine>, sqlx::Error> {
    sqlx::query_as(
        "SELECT h.id, h.units,
                EXISTS (SELECT FROM agents a WHERE a.host = h.id AND a.revoked_at IS NULL)
                    AS has_agent
         FROM hosts h WHERE h.pool = $1 AND h.kind = 'agent' ORDER BY h.id",
    )
    .bind(of.0)
    .fetch_all(pool)
    .await
}

/// The pools that are delivered by machines.
///
/// # Errors
/// When the database can't be read.
pub async fn pools(pool: &PgPool) -> Result<Vec<PoolId>, sqlx::Error> {
    let pools: Vec<i64> =
        sqlx::query_scalar("SELECT DISTINCT pool FROM hosts WHERE kind = 'agent'")
            .fetch_all(pool)
            .await?;
    Ok(pools.into_iter().map(PoolId).collect())
}

/// The lot of a lease.
pub fn lot_of(market: &Market, lease: &Lease) -> i64 {
    let pool = market.pool(lease.pool);
    let instrument = pool.and_then(|pool| market.instrument(pool.instrument));
    instrument.map_or(1, |instrument| instrument.listed.lot.max(1))
}

async fn rows_of(pool: &PgPool, lease: LeaseId) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as(
        "SELECT lease, host, start_at, end_at, stay, units FROM placements
         WHERE lease = $1 ORDER BY start_at, host",
    )
    .bind(lease.0)
    .fetch_all(pool)
    .await
}

/// What other leases have on these machines from an hour on.
async fn others(
    pool: &PgPool,
    machines: &[i64],
    lease: LeaseId,
    from: Hour,
) -> Result<Vec<Placement>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT lease, host, start_at, end_at, stay, units FROM placements
         WHERE host = ANY($1) AND end_at > $2 AND lease <> $3",
    )
    .bind(machines)
    .bind(instant(from))
    .bind(lease.0)
    .fetch_all(pool)
    .await?;
    Ok(rows.iter().map(Row::placement).collect())
}

/// What a lease goes on from: the placements of one other lease of its holder on the same machines
/// that end where it begins, of a stay that nobody else goes on with.
async fn extended(
    pool: &PgPool,
    lease: &Lease,
    machines: &[i64],
) -> Result<Vec<Placement>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT p.lease, p.host, p.start_at, p.end_at, p.stay, p.units
         FROM placements p JOIN leases l ON l.id = p.lease
         WHERE p.host = ANY($1) AND p.end_at = $2 AND l.holder = $3 AND p.lease <> $4
           AND NOT EXISTS (SELECT FROM placements n
                           WHERE n.stay = p.stay AND n.start_at >= $2 AND n.lease <> $4)
         ORDER BY p.units = $5 DESC, p.stay, p.host",
    )
    .bind(machines)
    .bind(instant(lease.period.start))
    .bind(lease.holder.0)
    .bind(lease.id.0)
    .bind(lease.occupies(lease.period.start))
    .fetch_all(pool)
    .await?;
    let first = rows.first().map(|row| row.lease);
    let of_first = rows.iter().filter(|row| Some(row.lease) == first);
    Ok(of_first.map(Row::placement).collect())
}

fn instant(hour: Hour) -> jiff_sqlx::Timestamp {
    jiff_sqlx::Timestamp::from(calendar(hour))
}

/// An hour of the market as an instant of the calendar.
pub(super) fn calendar(hour: Hour) -> Timestamp {
    clock::instant(hour.begins())
}
