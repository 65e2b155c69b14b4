//! The hosts that simulated delivery draws minutes from.

use std::collections::BTreeMap;

use market::{HOUR_MINUTES, Hour, Lease, PoolId};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use sqlx::PgPool;

/// A simulated host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its number.
    pub id: i64,
    /// How many units it has.
    pub units: i64,
    /// Every how many hours it fails, and for how many minutes; none where no fault is planned.
    pub faults: Option<(i64, i64)>,
}

#[derive(sqlx::FromRow)]
struct Row {
    pool: i64,
    id: i64,
    units: i64,
    fails_every: Option<i64>,
    fails_minutes: Option<i64>,
}

/// The hosts of these pools, in the order in which they came.
///
/// # Errors
/// When the database can't be read.
pub async fn of(db: &PgPool, pools: &[PoolId]) -> Result<BTreeMap<PoolId, Vec<Host>>, sqlx::Error> {
    let pools: Vec<i64> = pools.iter().map(|pool| pool.0).collect();
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT pool, id, units, fails_every, fails_minutes FROM hosts
         WHERE pool = ANY($1) AND kind = 'simulated' ORDER BY pool, id",
    )
    .bind(pools)
    .fetch_all(db)
    .await?;
    let mut hosts: BTreeMap<PoolId, Vec<Host>> = BTreeMap::new();
    for row in rows {
        hosts.entry(PoolId(row.pool)).or_default().push(Host {
            id: row.id,
            units: row.units,
            faults: row.fails_every.zip(row.fails_minutes),
        });
    }
    Ok(hosts)
}

/// What a lease got of its pool's hosts in an hour, in unit-minutes. Its place on them follows from
/// the seed and its number: whole lots, so that a lease of a whole host has one.
pub fn unit_minutes(seed: u64, hosts: &[Host], lot: i64, lease: &Lease, hour: Hour) -> i64 {
    let all: i64 = hosts.iter().map(|host| host.units).sum();
    let lot = lot.max(1);
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    random.set_stream(u64::from_ne_bytes(lease.id.0.to_ne_bytes()));
    let first = random.random_range(0..(all / lot).max(1)) * lot;
    let units = lease.held_in(hour);
    let held = units.min(all);
    let mut minutes = 0;
    let mut begins = 0;
    for host in hosts {
        // The host's units are a stretch of a ring; so are the lease's.
        let stretch = begins..begins + host.units;
        let taken = overlap(&stretch, first, first + held)
            + overlap(&stretch, first - all, first - all + held);
        minutes += taken * host.minutes(seed, hour);
        begins += host.units;
    }
    // What no host has, since one is still to be registered, runs all the same.
    let ran = minutes + (units - all).max(0) * HOUR_MINUTES;
    ran.min(lease.hour_minutes(hour))
}

fn overlap(stretch: &std::ops::Range<i64>, from: i64, to: i64) -> i64 {
    (stretch.end.min(to) - stretch.start.max(from)).max(0)
}

impl Host {
    /// How many minutes of an hour it runs: as drawn from the seed, its number and the hour, less
    /// what a planned fault takes.
    fn minutes(&self, seed: u64, hour: Hour) -> i64 {
        let lost = match self.faults {
            Some((every, minutes)) if every > 0 && hour.0.rem_euclid(every) == 0 => minutes,
            _ => 0,
        };
        super::simulated::drawn(seed, self.id, hour).min(HOUR_MINUTES - lost)
    }
}

#[cfg(test)]
mod tests {
    use market::{
        Access, ClientId, Command, InstrumentId, LeaseId, ListInstrument, Market, Money, OpenPool,
        ParticipantId, PlaceOrder, Rules, Side, Target, TimeInForce, Timestamp,
    };

    use super::*;

    const SEED: u64 = 1;

    /// Leases of so many units of a pool of 64, one after the other.
    fn leases(units: &[i64]) -> Vec<Lease> {
        let mut market = Market::new(Rules::none());
        let order = |participant, name: String, side, units| {
            Command::PlaceOrder(PlaceOrder {
                participant: ParticipantId(participant),
                client_id: ClientId(name),
                side,
                units,
                price: Money(1),
                start: Hour(0).begins(),
                end: Hour(1_000).begins(),
                tif: TimeInForce::Gtc,
                post_only: false,
            })
        };
        let mut commands = vec![
            Command::ListInstrument(ListInstrument {
                instrument: InstrumentId(1),
                symbol: "A.B.C".to_owned(),
                lot: 1,
                tick: Money(1),
            }),
            Command::Deposit {
                participant: ParticipantId(2),
                amount: Money(1_000_000_000),
            },
            Command::OpenPool(OpenPool {
                pool: PoolId(1),
                participant: ParticipantId(1),
                instrument: InstrumentId(1),
                units: 640,
                start: Hour(0).begins(),
                end: Hour(1_000).begins(),
                access: Access::Instant,
            }),
        ];
        let ask = Side::Sell {
            pool: PoolId(1),
            min_hours: 1,
            weekly: None,
        };
        commands.push(order(1, "ask".to_owned(), ask, 640));
        for (number, units) in units.iter().enumerate() {
            let bid = Side::Buy {
                target: Target::Pool(PoolId(1)),
                min_fill: None,
                flexible: None,
                buy_in: false,
            };
            commands.push(order(2, format!("bid{number}"), bid, *units));
        }
        for command in commands {
            market.apply(Timestamp(0), &command);
        }
        let lease = |number| market.lease(LeaseId(number)).cloned();
        (1..).map_while(lease).collect()
    }

    fn hosts(faults: &[Option<(i64, i64)>]) -> Vec<Host> {
        let host = |(id, faults): (i64, &Option<(i64, i64)>)| Host {
            id,
            units: 8,
            faults: *faults,
        };
        (1..).zip(faults).map(host).collect()
    }

    #[test]
    fn a_host_fails_at_its_planned_hours_and_takes_its_leases_with_it() {
        let planned = hosts(&[Some((24, 45)), None]);
        let sound = hosts(&[None, None]);
        let leases = leases(&[8; 20]);
        let mut hit = 0;
        for lease in &leases {
            for hour in (0..1_000).map(Hour) {
                let got = unit_minutes(SEED, &planned, 8, lease, hour);
                let else_got = unit_minutes(SEED, &sound, 8, lease, hour);
                assert_eq!(got, unit_minutes(SEED, &planned, 8, lease, hour));
                if hour.0 % 24 == 0 && got != else_got {
                    // The whole host, so the whole lease: 15 minutes are left, or fewer.
                    assert!(got <= 8 * 15, "{got}");
                    hit += 1;
                } else {
                    assert_eq!(got, else_got, "{hour}");
                }
            }
        }
        // 42 planned hours for each lease that stands on the first host: about half of them.
        assert!((4..16).contains(&(hit / 40)), "{hit}");
    }

    #[test]
    fn a_lease_over_several_hosts_loses_only_what_failed() {
        let planned = hosts(&[Some((1, 60)), None, None, None]);
        let lease = &leases(&[16])[0];
        let whole: Vec<i64> = (0..200)
            .map(|hour| unit_minutes(SEED, &planned, 1, lease, Hour(hour)))
            .collect();
        let most = whole.iter().max().copied().unwrap_or_default();
        assert!(most >= 8 * 60, "at least one host stands: {most}");
        assert!(whole.iter().all(|minutes| (0..=16 * 60).contains(minutes)));
        // A lease larger than what is registered: the rest runs.
        let larger = &leases(&[40])[0];
        let dead = hosts(&[Some((1, 60)), Some((1, 60))]);
        assert_eq!(unit_minutes(SEED, &dead, 8, larger, Hour(1)), 24 * 60);
        // All of a pool, whatever its place on the ring.
        let all = &leases(&[32])[0];
        assert_eq!(
            unit_minutes(SEED, &hosts(&[Some((1, 60)); 4]), 8, all, Hour(1)),
            0
        );
    }
}
