//! What providers ask in an hour: their prices follow how much of a pool was leased of late, a slow
//! drift, and the time of day.
//!
//! All of it is over before the hour begins, so it is the same whenever it is worked out again.

use market::{Hour, InstrumentId, Market, Money, Period, WHOLE_BPS};

use super::listing::{self, Tariff, share};
use super::{Cast, SEED};
use crate::replay::dice::{Dice, Draw};
use crate::replay::fleet::PoolTerms;

/// A pool's prices are looked at every so many hours.
const TURN_HOURS: i64 = 6;

/// Over how many hours before that its utilisation counts, and against which share of the pool.
const LOOK_BACK: i64 = 12;
const USUAL_BPS: i64 = 3_000;

/// By how much a wholly leased pool is dearer than an idle one, in basis points.
const SPAN_BPS: i64 = 1_500;

/// How far prices drift from one day to the next, at most.
const DRIFT_BPS: i64 = 300;

/// How much dearer days are than nights, and from when to when it is day, in UTC.
const DAY_BPS: i64 = 150;
const DAY: std::ops::Range<i64> = 1..14;

/// Prices move in steps of this.
const STEP_BPS: i64 = 25;

/// The tariffs of every pool in one hour, each with its price, by the pool's place in the fleet.
pub(super) struct Tariffs(Vec<Vec<(Tariff, Money)>>);

impl Tariffs {
    /// What is asked in an hour.
    pub(super) fn at(cast: &Cast, market: &Market, hour: Hour) -> Self {
        let pools = cast.plan.fleet.pools.iter().enumerate();
        let tariffs = pools.map(|(place, pool)| {
            let seen = Hour(hour.0 - (hour.0 + count(place)).rem_euclid(TURN_HOURS));
            let base = listing::price(&cast.plan, pool);
            let moved = share(base, factor(cast, market, pool, seen));
            let tariffs = listing::tariffs(&cast.plan, pool).into_iter();
            tariffs
                .map(|tariff| {
                    let price = share(moved, tariff.bps);
                    (tariff, price)
                })
                .collect()
        });
        Self(tariffs.collect())
    }

    /// The pools whose prices are looked at in this hour, with what they ask from now on; those of
    /// the login's provider are its people's.
    pub(super) fn looked_at<'a>(
        &'a self,
        cast: &'a Cast,
        hour: Hour,
    ) -> impl Iterator<Item = (&'a PoolTerms, &'a [(Tariff, Money)])> {
        let pools = cast.plan.fleet.pools.iter().zip(&self.0).enumerate();
        pools
            .filter(move |(place, (pool, _))| {
                let is_turn = (hour.0 + count(*place)).rem_euclid(TURN_HOURS) == 0;
                is_turn && hour > cast.begins && cast.providers[pool.provider] != cast.host()
            })
            .map(|(_, (pool, tariffs))| (pool, tariffs.as_slice()))
    }

    /// The lowest price at which some pool of these instruments sells the whole period.
    pub(super) fn lowest(
        &self,
        cast: &Cast,
        instruments: &[InstrumentId],
        period: Period,
    ) -> Option<Money> {
        let sells = |tariff: &Tariff| {
            let weekly = tariff.weekly.as_ref();
            period.hours() >= tariff.min_hours
                && weekly.is_none_or(|week| period.each().all(|hour| week.holds(hour.of_week())))
        };
        let listed = &cast.plan.fleet.instruments;
        let pools = cast.plan.fleet.pools.iter().zip(&self.0);
        pools
            .filter(|(pool, _)| instruments.contains(&listed[pool.instrument].instrument))
            .flat_map(|(_, tariffs)| tariffs)
            .filter(|(tariff, _)| sells(tariff))
            .map(|(_, price)| *price)
            .min()
    }
}

/// Prices against those that were listed, in basis points, when they are looked at in this hour.
fn factor(cast: &Cast, market: &Market, pool: &PoolTerms, seen: Hour) -> i64 {
    if seen <= cast.begins || cast.providers[pool.provider] == cast.host() {
        return WHOLE_BPS;
    }
    let leased: i64 = market.pool(pool.pool).map_or(0, |pool| {
        (seen.0 - LOOK_BACK..seen.0)
            .map(|hour| pool.leased_in(Hour(hour)))
            .sum()
    });
    let utilised = leased * WHOLE_BPS / (pool.units * LOOK_BACK).max(1);
    let (day, of_day) = (seen.0.div_euclid(24), seen.0.rem_euclid(24));
    let drift = |day: i64| {
        let row = usize::try_from(day << 12).unwrap_or(0) | pool.provider;
        Dice::of(SEED, Draw::Drift, row).between(-DRIFT_BPS, DRIFT_BPS)
    };
    let drifted = (drift(day) * (24 - of_day) + drift(day + 1) * of_day) / 24;
    let time_of_day = if DAY.contains(&of_day) {
        DAY_BPS
    } else {
        -DAY_BPS
    };
    let moved = (utilised - USUAL_BPS) * SPAN_BPS / WHOLE_BPS + drifted + time_of_day;
    WHOLE_BPS + moved / STEP_BPS * STEP_BPS
}

fn count(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(0)
}
