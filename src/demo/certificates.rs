//! What the demonstration's providers have to show: certificates, identifiers, and hosts, of which
//! those of one pool fail now and then.

use anyhow::Context;
use market::{ParticipantId, PoolId};
use sqlx::PgPool;

use super::{Cast, store};
use crate::web::credit_code;
use crate::web::identifier::{Identifier, Subject};

/// Units of a simulated host.
const HOST_UNITS: i64 = 8;

/// The hosts of the customer's pool fail every so many hours, for so many minutes: often enough
/// that each of the customer's leases has such an hour.
const FAILS_EVERY: i64 = 9;
const FAILS_MINUTES: i64 = 25;

/// From which number on the codes of machines' providers are, and where these are registered: a
/// provider is of some region of the catalogue, though its machine is here.
const MACHINES_CODES: usize = 900;
const MACHINES_REGION: &str = "CN-GUZ-GAN";

/// An application that was certified, to be written.
pub(super) struct Certified {
    pub(super) participant: i64,
    pub(super) legal_name: String,
    pub(super) credit_code: String,
    pub(super) region: &'static str,
    /// What it says that it has.
    pub(super) capacity: &'static str,
}

/// A pool whose one machine is real, to be written.
pub(super) struct NewMachine {
    pub(super) provider: ParticipantId,
    pub(super) legal_name: &'static str,
    pub(super) pool: PoolId,
    pub(super) name: &'static str,
    pub(super) units: i64,
    pub(super) address: String,
}

/// A simulated host to be written.
pub(super) struct NewHost {
    pub(super) pool: i64,
    pub(super) name: String,
    pub(super) units: i64,
    pub(super) faults: Option<(i64, i64)>,
}

/// Certifies every provider, and names its pools and their hosts; once.
///
/// # Errors
/// When the database fails.
pub(super) async fn prepare(db: &PgPool, cast: &Cast) -> anyhow::Result<()> {
    let mut certified = Vec::new();
    let mut identifiers = Vec::new();
    let fleet = &cast.plan.fleet;
    for (place, provider) in fleet.providers.iter().enumerate() {
        let participant = cast.providers[place];
        certified.push(Certified {
            participant: participant.0,
            legal_name: super::provider_name(fleet, place),
            credit_code: credit_code(place)?,
            region: provider.region.code,
            capacity: "演示环境的模拟主机",
        });
        identifiers.push(Subject::Provider(participant));
    }
    let mut pools = Vec::new();
    let mut hosts = Vec::new();
    let failing = cast.customers_pool().map(|pool| pool.pool);
    for pool in &fleet.pools {
        let listed = &fleet.instruments[pool.instrument];
        let name = format!("{} {}", listed.region.cluster_zh, listed.grade.name);
        pools.push((pool.pool.0, cast.providers[pool.provider].0, name));
        identifiers.push(Subject::Pool(pool.pool));
        let is_failing = failing == Some(pool.pool);
        hosts.extend(hosts_of(
            pool.pool,
            pool.units,
            listed.grade.lot,
            is_failing,
        ));
    }
    let identifiers: Vec<Identifier> = identifiers.into_iter().map(Identifier).collect();
    store::certify(db, &certified, &identifiers).await?;
    store::name_pools(db, &pools, &hosts).await?;
    Ok(())
}

/// Certifies the provider of a real machine, names its pool, and registers the machine; gives its
/// number.
///
/// # Errors
/// When the database fails.
pub(super) async fn certify_machine(
    db: &PgPool,
    place: usize,
    new: NewMachine,
) -> anyhow::Result<i64> {
    let certified = Certified {
        participant: new.provider.0,
        legal_name: new.legal_name.to_owned(),
        credit_code: credit_code(MACHINES_CODES + place)?,
        region: MACHINES_REGION,
        capacity: "本机沙箱里的真实代理，CPU 与其他程序共用",
    };
    let subjects = [Subject::Provider(new.provider), Subject::Pool(new.pool)];
    store::certify(db, &[certified], &subjects.map(Identifier)).await?;
    let name = format!("本机沙箱 {}", new.name);
    store::name_pools(db, &[(new.pool.0, new.provider.0, name)], &[]).await?;
    Ok(store::machine(db, &new).await?)
}

/// Hosts of whole lots for all units of a pool.
fn hosts_of(pool: PoolId, units: i64, lot: i64, is_failing: bool) -> Vec<NewHost> {
    let each = (HOST_UNITS / lot).max(1) * lot;
    let mut hosts = Vec::new();
    let mut missing = units;
    while missing > 0 {
        hosts.push(NewHost {
            pool: pool.0,
            name: format!("{pool}-{:02}", hosts.len() + 1),
            units: missing.min(each),
            faults: is_failing.then_some((FAILS_EVERY, FAILS_MINUTES)),
        });
        missing -= each;
    }
    hosts
}

/// A code of the right form that is nobody's: its middle says what it is for.
fn credit_code(place: usize) -> anyhow::Result<String> {
    let base = format!("91110000MA0DEM{place:03}");
    let codes = ('0'..='9')
        .chain('A'..='Z')
        .map(|check| format!("{base}{check}"));
    let mut right = codes.filter_map(|code| credit_code::read(&code).ok());
    right.next().context("no check character fits")
}
