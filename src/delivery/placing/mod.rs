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
    /// What others have on each.
    others: BTreeMap<i64, Vec<Placement>>,
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
        if missing == 0 {
            return here;
        }
        // A machine with what is free on it: less with each lot that is taken here.
        let mut room: Vec<(&Machine, i64)> = self
            .machines
            .iter()
            .map(|machine| (machine, self.free(machine, hour)))
            .collect();
        let mut take = |(machine, free): &mut (&Machine, i64), units: i64| {
            *here.entry(machine.id).or_default() += units;
            *free -= units;
            missing -= units;
            missing
        };
        let mut left = wanted;
        for one in &mut room {
            let was = last.get(&one.0.id).copied().unwrap_or(0);
            let some = was.min(left).min(one.1);
            if some > 0 {
                left = take(one, some);
            }
        }
        while left > 0 {
            let enough = room.iter_mut().filter(|(_, free)| *free >= left);
            let whole = enough.min_by_key(|(one, free)| (!one.has_agent, *free, one.id));
            let machine = match whole {
                Some(machine) => machine,
                None => {
                    let some = room.iter_mut().filter(|(_, free)| *free >= self.lot);
                    let part = some.min_by_key(|(one, free)| (!one.has_agent, -*free, one.id));
                    match part {
                        Some(machine) => machine,
                        None => break,
                    }
                }
            };
            let fits = machine.1.min(left);
            let taken = fits - fits.rem_euclid(self.lot);
            if taken <= 0 {
                break;
            }
            left = take(machine, taken);
        }
        here
    }

    /// What nobody else has of a machine in an hour.
    fn free(&self, machine: &Machine, hour: Hour) -> i64 {
        let others = self.others.get(&machine.id).into_iter().flatten();
        let taken = others.filter(|one| one.start <= hour && hour < one.end);
        (machine.units - taken.map(|one| one.units).sum::<i64>()).max(0)
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

/// The pools that are delivered by machines, and how many each has.
///
/// # Errors
/// When the database can't be read.
pub async fn pools(pool: &PgPool) -> Result<BTreeMap<PoolId, i64>, sqlx::Error> {
    let pools: Vec<(i64, i64)> =
        sqlx::query_as("SELECT pool, count(*) FROM hosts WHERE kind = 'agent' GROUP BY pool")
            .fetch_all(pool)
            .await?;
    let pools = pools.into_iter();
    Ok(pools
        .map(|(pool, machines)| (PoolId(pool), machines))
        .collect())
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
) -> Result<BTreeMap<i64, Vec<Placement>>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT lease, host, start_at, end_at, stay, units FROM placements
         WHERE host = ANY($1) AND end_at > $2 AND lease <> $3",
    )
    .bind(machines)
    .bind(instant(from))
    .bind(lease.0)
    .fetch_all(pool)
    .await?;
    let mut others: BTreeMap<i64, Vec<Placement>> = BTreeMap::new();
    for row in &rows {
        others.entry(row.host).or_default().push(row.placement());
    }
    Ok(others)
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

#[cfg(test)]
mod tests {
    use market::{
        Access, ClientId, Command, InstrumentId, ListInstrument, Money, OpenPool, ParticipantId,
        PlaceOrder, Rules, Side, Target, TimeInForce,
    };

    use super::*;

    /// A lease of so many units for hours 1 to 4.
    fn lease(units: i64) -> Lease {
        let mut market = Market::new(Rules::none());
        let order = |participant, side, hours: (i64, i64)| {
            Command::PlaceOrder(PlaceOrder {
                participant: ParticipantId(participant),
                client_id: ClientId(format!("o{participant}")),
                side,
                units,
                price: Money(1),
                start: Hour(hours.0).begins(),
                end: Hour(hours.1).begins(),
                tif: TimeInForce::Gtc,
                post_only: false,
            })
        };
        let sell = Side::Sell {
            pool: PoolId(1),
            min_hours: 1,
            weekly: None,
        };
        let buy = Side::Buy {
            target: Target::Pool(PoolId(1)),
            min_fill: None,
            flexible: None,
            buy_in: false,
        };
        for command in [
            Command::ListInstrument(ListInstrument {
                instrument: InstrumentId(1),
                symbol: "A.B.C".to_owned(),
                lot: 1,
                tick: Money(1),
            }),
            Command::Deposit {
                participant: ParticipantId(2),
                amount: Money(1_000_000),
            },
            Command::OpenPool(OpenPool {
                pool: PoolId(1),
                participant: ParticipantId(1),
                instrument: InstrumentId(1),
                units,
                start: Hour(0).begins(),
                end: Hour(100).begins(),
                access: Access::Instant,
            }),
            order(1, sell, (0, 100)),
            order(2, buy, (1, 4)),
        ] {
            market.apply(market::Timestamp(0), &command);
        }
        market.lease(LeaseId(1)).expect("it trades").clone()
    }

    fn machine(id: i64, units: i64) -> Machine {
        Machine {
            id,
            units,
            has_agent: true,
        }
    }

    fn at(host: i64, hours: (i64, i64), stay: i64, units: i64) -> Placement {
        Placement {
            host,
            start: Hour(hours.0),
            end: Hour(hours.1),
            stay,
            units,
        }
    }

    fn plan(
        lease: &Lease,
        machines: &[Machine],
        others: &[Placement],
        before: &[Placement],
        lot: i64,
    ) -> Vec<Placement> {
        let mut of_each: BTreeMap<i64, Vec<Placement>> = BTreeMap::new();
        for one in others {
            of_each.entry(one.host).or_default().push(*one);
        }
        let place = Place {
            machines,
            others: of_each,
            own: Vec::new(),
            before: before.to_vec(),
            lot,
        };
        place.plan(lease, lease.period.start)
    }

    #[test]
    fn a_lease_is_whole_where_it_fits_and_the_emptiest_machine_is_spared() {
        let machines = [machine(1, 16), machine(2, 8), machine(3, 8)];
        let lease = lease(8);
        assert_eq!(
            plan(&lease, &machines, &[], &[], 8),
            [at(2, (1, 4), 1, 8)],
            "where the least is left over"
        );
        let full = [at(2, (0, 9), 7, 8)];
        assert_eq!(
            plan(&lease, &machines, &full, &[], 8),
            [at(3, (1, 4), 1, 8)]
        );
    }

    #[test]
    fn what_does_not_fit_is_parted_in_lots_and_what_has_no_room_is_nowhere() {
        let machines = [machine(1, 8), machine(2, 8)];
        let others = [at(1, (0, 9), 7, 3), at(2, (0, 9), 8, 5)];
        assert_eq!(
            plan(&lease(8), &machines, &others, &[], 1),
            [at(1, (1, 4), 1, 5), at(2, (1, 4), 1, 3)]
        );
        assert_eq!(
            plan(&lease(8), &machines, &others, &[], 4),
            [at(1, (1, 4), 1, 4)],
            "two free lots would be needed"
        );
        assert_eq!(
            plan(
                &lease(8),
                &machines,
                &[at(1, (2, 3), 7, 8), at(2, (2, 3), 7, 8)],
                &[],
                8
            ),
            [at(1, (1, 2), 1, 8), at(1, (3, 4), 1, 8)]
        );
    }

    #[test]
    fn an_extension_stays_in_place_under_the_same_number() {
        let machines = [machine(1, 8), machine(2, 8)];
        let before = [at(2, (0, 1), 5, 4)];
        assert_eq!(
            plan(&lease(4), &machines, &[], &before, 1),
            [at(2, (1, 4), 5, 4)]
        );
    }
}
