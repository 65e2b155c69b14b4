//! The keeper: places leases on machines, turns what is proven of each hour into one settlement,
//! corrects it by what comes later, and ends leases whose provider is in default. It holds no money
//! and no capacity: all that it does is a command, or a row of what is known.
//!
//! Everything is worked out from the tables and the market, and every command does no more than once
//! (an hour is settled once, a lease fails once), so that it can end anywhere and begin again.

mod defaults;
mod store;
mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use market::{
    Command, Delivered, EventKind, Hour, Lease, LeaseId, Market, PoolId, Rejection, Timestamp,
};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::agents;
use super::evidence::Evidence;
use super::inbox;
use super::placing;
use super::proof::Owed;
use super::watch::{Overdue, Watch};
use crate::clock::{self, MarketClock};
use crate::feed::Feed;
use crate::sequencer::{Actor, Receipt, Sequencer};

/// Who sends the keeper's commands.
pub const ACTOR: Actor = Actor::System("delivery");

/// How often it looks, in real time.
const GLANCE: Duration = Duration::from_millis(250);

/// How many minutes after an hour what may still be told of it is waited for. What comes later
/// corrects what was settled.
const WAIT_MINUTES: i64 = 10;

/// How many minutes after an hour it is looked at although nothing was told since it was over: all
/// of it may have been told a little early.
const EARLY_MINUTES: i64 = 1;

/// How many hours of leases are worked out together.
const AT_ONCE: usize = 1_000;

/// How many hours at most are looked at in one glance.
const AT_A_GLANCE: usize = 20_000;

/// How many hours beyond the rules' deadline readings are kept, and how many before they are needed
/// there is a place for them.
const SPARE_HOURS: i64 = 2;

/// How old, in real seconds, a request is forgotten.
const REQUESTS_KEPT: i64 = 600;

/// What the keeper reaches.
#[derive(Clone, Debug)]
pub struct Keeper {
    /// The tables.
    pub db: PgPool,
    /// The way to ask the market.
    pub sequencer: Sequencer,
    /// What the market has acknowledged.
    pub feed: Feed,
    /// Market time.
    pub clock: MarketClock,
}

/// How many hours readings are kept where the rules have no deadline for them.
const KEPT_WITHOUT_DEADLINE: i64 = 72;

/// The first hour since 1970 of which readings still count: the rules' deadline ago, the longest of
/// those that leases can have been sold under.
pub fn first_open(market: &Market, now: Timestamp) -> i64 {
    let deadlines = market.all_rules().map(|rules| rules.reading_deadline_hours);
    let longest = deadlines.map(|hours| hours.unwrap_or(KEPT_WITHOUT_DEADLINE));
    now.hour()
        .0
        .saturating_sub(longest.max().unwrap_or(KEPT_WITHOUT_DEADLINE))
        .saturating_sub(SPARE_HOURS)
}

/// What the keeper goes by from one glance to the next.
struct Known {
    watch: Watch,
    /// Leases that something happened to.
    touched: BTreeSet<LeaseId>,
    /// How many machines each pool has.
    machines: BTreeMap<PoolId, i64>,
    /// Hours that were looked at, and of which something may still be told.
    open: BTreeSet<(Hour, LeaseId)>,
    /// Those of which something was told since.
    news: BTreeSet<(Hour, LeaseId)>,
}

impl Known {
    /// Whether there is something to be found by looking at an hour that is over: else the chains of
    /// all leases would be read again and again while the last of them is waited for.
    fn is_worth_a_look(&self, lease: &Lease, hour: Hour, now: Timestamp) -> bool {
        let over = |minutes| hour.ends().plus_minutes(minutes) <= now;
        let one = (hour, lease.id);
        self.machines.contains_key(&lease.pool)
            && (over(WAIT_MINUTES)
                || self.news.contains(&one)
                || over(EARLY_MINUTES) && !self.open.contains(&one))
    }
}

impl Keeper {
    /// Keeps until it is told to stop. What goes wrong is tried again.
    pub async fn run(self, stop: CancellationToken) {
        let failing = tokio::spawn(self.clone().fail_in_time(stop.clone()));
        let mut batches = self.feed.subscribe();
        let mut known = {
            let market = self.feed.market();
            Known {
                watch: Watch::all(&market),
                touched: market.open_leases().map(|lease| lease.id).collect(),
                machines: BTreeMap::new(),
                open: BTreeSet::new(),
                news: BTreeSet::new(),
            }
        };
        let mut minute = i64::MIN;
        while !stop.is_cancelled() {
            let touched = known.watch.follow(&mut batches, &self.feed);
            known.touched.extend(touched);
            let now = self.clock.now();
            let this_minute = now.0.div_euclid(60_000_000);
            let is_new = this_minute != std::mem::replace(&mut minute, this_minute);
            for error in self.glance(&mut known, now, is_new).await {
                tracing::warn!(error = format!("{error:#}"), "delivery could not be kept");
                minute = i64::MIN;
            }
            rest(&stop).await;
        }
        if let Err(error) = failing.await {
            tracing::error!(%error, "nobody looks for defaults");
        }
    }

    /// Does what is due once; gives what went wrong. What fails keeps nothing else from being done.
    async fn glance(
        &self,
        known: &mut Known,
        now: Timestamp,
        is_new_minute: bool,
    ) -> Vec<anyhow::Error> {
        if is_new_minute {
            let waits = |hour: Hour| hour.ends().plus_minutes(WAIT_MINUTES) > now;
            known.open.retain(|(hour, _)| waits(*hour));
        }
        let begun = self.begin(known, now).await;
        let corrected = self.correct(known, now).await;
        let settled = self.settle(known, now).await;
        let gone = match is_new_minute {
            true => self.go_ways(now, &[], true).await,
            false => Ok(()),
        };
        let kept = self.keep_house(is_new_minute, now).await;
        let all = [begun, corrected, settled, gone, kept];
        all.into_iter().filter_map(Result::err).collect()
    }

    /// Places the leases that something happened to, and begins their ways.
    async fn begin(&self, known: &mut Known, now: Timestamp) -> anyhow::Result<()> {
        let machines = placing::pools(&self.db).await?;
        {
            // A machine that has come may have room for what was sold before.
            let market = self.feed.market();
            let has_more =
                |lease: &&Lease| machines.get(&lease.pool) != known.machines.get(&lease.pool);
            let more = market.open_leases().filter(has_more).map(|lease| lease.id);
            if machines != known.machines {
                known.touched.extend(more);
            }
        }
        known.machines = machines;
        let placed = self.place(&known.machines, &known.touched, now).await?;
        if !placed.is_empty() {
            self.go_ways(now, &placed, false).await?;
        }
        known.touched.clear();
        Ok(())
    }

    /// Makes room for readings to come and drops what is not needed any more, once a minute.
    async fn keep_house(&self, is_due: bool, now: Timestamp) -> anyhow::Result<()> {
        if !is_due {
            return Ok(());
        }
        let first = first_open(&self.feed.market(), now);
        let last = now.hour().0.saturating_add(SPARE_HOURS);
        let hour = |hour: i64| i32::try_from(hour.max(0)).unwrap_or(i32::MAX);
        store::keep_readings(&self.db, hour(first), hour(last)).await?;
        let old = clock::wall().saturating_sub(jiff::SignedDuration::from_secs(REQUESTS_KEPT))?;
        agents::forget_requests(&self.db, old).await?;
        Ok(())
    }

    /// Places these leases where their pools have machines, and gives them.
    async fn place(
        &self,
        machines: &BTreeMap<PoolId, i64>,
        touched: &BTreeSet<LeaseId>,
        now: Timestamp,
    ) -> anyhow::Result<Vec<i64>> {
        // What lost units makes room for what has got them, so it comes first; leases that were made
        // later follow.
        let of_machines: Vec<(Lease, i64)> = {
            let market = self.feed.market();
            let leases = touched.iter().filter_map(|id| market.lease(*id));
            let ours = leases.filter(|lease| machines.contains_key(&lease.pool));
            ours.map(|lease| (lease.clone(), placing::lot_of(&market, lease)))
                .collect()
        };
        for (lease, lot) in &of_machines {
            placing::place(&self.db, lease, *lot, now).await?;
        }
        Ok(of_machines.iter().map(|(lease, _)| lease.id.0).collect())
    }

    /// Settles the hours of which all is known, or has been waited for.
    async fn settle(&self, known: &mut Known, now: Timestamp) -> anyhow::Result<()> {
        let overdue = {
            let market = self.feed.market();
            let is_asked = |lease: &Lease, hour| known.is_worth_a_look(lease, hour, now);
            known.watch.overdue(&market, now, is_asked, AT_A_GLANCE)
        };
        let mut by_hour: BTreeMap<Hour, Vec<Overdue>> = BTreeMap::new();
        for one in overdue {
            by_hour.entry(one.hour).or_default().push(one);
        }
        for (hour, due) in by_hour {
            let is_waited_for = hour.ends().plus_minutes(WAIT_MINUTES) > now;
            for some in due.chunks(AT_ONCE) {
                let leases: Vec<Lease> = some.iter().map(|one| one.lease.clone()).collect();
                let told = self
                    .told(hour, &leases, is_waited_for, Asked::First)
                    .await?;
                for (lease, rejection) in told.refused {
                    tracing::debug!(%lease, %rejection, "an hour was not settled");
                    // One that was settled meanwhile is looked at again as it stands now.
                    known.watch.look(&self.feed.market(), lease);
                }
                for lease in &leases {
                    known.news.remove(&(hour, lease.id));
                    known.open.remove(&(hour, lease.id));
                }
                known
                    .open
                    .extend(told.open.into_iter().map(|lease| (hour, lease)));
            }
        }
        Ok(())
    }

    /// Corrects the hours of which something new has come; those that are not settled yet are to be
    /// looked at.
    async fn correct(&self, known: &mut Known, now: Timestamp) -> anyhow::Result<()> {
        let late = store::late(&self.db, AT_A_GLANCE, clock::instant(now)).await?;
        let mut by_hour: BTreeMap<Hour, Vec<(i64, i64)>> = BTreeMap::new();
        for one in late {
            let hour = clock::stamp(one.hour_at.to_jiff()).hour();
            by_hour.entry(hour).or_default().push((one.stay, one.news));
        }
        for (hour, news) in by_hour {
            for some in news.chunks(AT_ONCE) {
                let stays: Vec<i64> = some.iter().map(|(stay, _)| *stay).collect();
                let ids: Vec<i64> = sqlx::query_scalar(
                    "SELECT DISTINCT lease FROM placements
                     WHERE stay = ANY($1) AND start_at <= $2 AND end_at > $2 ORDER BY lease",
                )
                .bind(stays)
                .bind(jiff_sqlx::Timestamp::from(placing::calendar(hour)))
                .fetch_all(&self.db)
                .await?;
                let leases: Vec<Lease> = {
                    let market = self.feed.market();
                    let leases = ids.iter().filter_map(|id| market.lease(LeaseId(*id)));
                    let (settled, open): (Vec<&Lease>, Vec<&Lease>) =
                        leases.partition(|lease| lease.is_settled(hour));
                    known
                        .news
                        .extend(open.into_iter().map(|lease| (hour, lease.id)));
                    settled.into_iter().cloned().collect()
                };
                let told = self.told(hour, &leases, false, Asked::Again).await?;
                let is_short = |one: &(LeaseId, Rejection)| {
                    matches!(one.1, Rejection::InsufficientFunds { .. })
                };
                let short: Vec<i64> = told
                    .refused
                    .iter()
                    .filter(|one| is_short(one))
                    .map(|(lease, _)| lease.0)
                    .collect();
                if !short.is_empty() {
                    let later = clock::instant(now.next_hour().begins());
                    store::put_off(&self.db, hour, &short, later).await?;
                }
                store::looked_at(&self.db, hour, some).await?;
            }
        }
        Ok(())
    }

    /// Works an hour of some leases out and tells the market.
    ///
    /// # Arguments
    /// `is_waited_for` says whether what may still be told is waited for.
    async fn told(
        &self,
        hour: Hour,
        leases: &[Lease],
        is_waited_for: bool,
        asked: Asked,
    ) -> anyhow::Result<Told> {
        let mut told = Told::default();
        if leases.is_empty() {
            return Ok(told);
        }
        let ids: Vec<LeaseId> = leases.iter().map(|lease| lease.id).collect();
        let mut connection = self.db.acquire().await?;
        let evidence = Evidence::read(&mut connection, hour, &ids).await?;
        drop(connection);
        let (mut commands, mut contradicted) = (Vec::new(), Vec::new());
        for lease in leases {
            let notice = self.notice_hours(lease);
            let proof = evidence.proof(lease.id, Owed::to(lease, hour), notice);
            if is_waited_for && proof.open > 0 {
                told.open.push(lease.id);
                continue;
            }
            if proof.denied > 0 {
                contradicted.extend(evidence.contradicted(lease.id));
            }
            if asked == Asked::Again && lease.delivered_in(hour) == Some(proof.proven) {
                continue;
            }
            let delivered = Delivered::UnitMinutes(proof.proven);
            let (hour, excused) = (hour.begins(), proof.excused);
            let command = match asked {
                Asked::First => Command::Deliver {
                    lease: lease.id,
                    hour,
                    delivered,
                    excused,
                },
                Asked::Again => Command::Correct {
                    lease: lease.id,
                    hour,
                    delivered,
                    excused,
                },
            };
            commands.push((lease.id, proof.proven, command));
        }
        // What an hour comes to is kept before it is paid: a second look finds the same.
        let (rows, broken) = evidence.sealed();
        store::seal(&self.db, hour, &rows).await?;
        let now = clock::instant(self.clock.now());
        for (stay, agent, number) in broken {
            let evidence = serde_json::json!({ "number": number, "hour": placing::calendar(hour) });
            inbox::open_case(&self.db, agent, stay, "broken_chain", &evidence, now).await?;
        }
        for (agent, stay) in contradicted {
            let evidence = serde_json::json!({ "hour": placing::calendar(hour) });
            inbox::open_case(&self.db, agent, stay, "denied_minutes", &evidence, now).await?;
        }
        let (mut asked_of, mut answers) = (Vec::new(), Vec::new());
        for (lease, proven, command) in commands {
            let at = self.clock.now();
            answers.push(self.sequencer.enqueue(at, ACTOR, command).await?);
            asked_of.push((lease, proven));
        }
        for ((lease, proven), answer) in asked_of.into_iter().zip(join_all(answers).await) {
            let receipt: Receipt = answer?;
            let why = receipt.rejection().or_else(|| short_of(&receipt, proven));
            told.refused.extend(why.map(|rejection| (lease, rejection)));
        }
        Ok(told)
    }

    fn notice_hours(&self, lease: &Lease) -> i64 {
        let market = self.feed.market();
        market
            .service_level(lease)
            .map_or(0, |level| level.maintenance_notice_hours)
    }
}

/// What a correction that came to other minutes than were asked for lacked.
fn short_of(receipt: &Receipt, proven: i64) -> Option<Rejection> {
    let corrected = receipt.events.iter().find_map(|event| match &event.kind {
        EventKind::Corrected(corrected) => Some(corrected.unit_minutes),
        _ => None,
    });
    let is_short = corrected.is_some_and(|minutes| minutes != proven);
    is_short.then_some(Rejection::InsufficientFunds { missing: 0 })
}

/// The pause between two glances.
async fn rest(stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(GLANCE) => {}
        () = stop.cancelled() => {}
    }
}

/// What came of telling the market of an hour of some leases.
#[derive(Debug, Default)]
struct Told {
    /// What it did not take. A correction that was taken in part counts as one that there was no money
    /// for.
    refused: Vec<(LeaseId, Rejection)>,
    /// Of which something may still be told.
    open: Vec<LeaseId>,
}

/// Whether an hour is settled or corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    First,
    Again,
}
