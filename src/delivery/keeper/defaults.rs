//! Defaults: leases whose provider has failed them for as long as the service level allows
//! (docs/MARKET_RULES.md, section 10).

use market::{Command, LeaseId, Market, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{ACTOR, Keeper, rest};
use crate::clock;
use crate::delivery::probes;

/// A lease that lacks something on a machine, or everywhere.
#[derive(sqlx::FromRow)]
struct Lacking {
    lease: i64,
    /// From when on it was to be there.
    start_at: jiff_sqlx::Timestamp,
    is_accepted: bool,
    failing_since: Option<jiff_sqlx::Timestamp>,
}

impl Lacking {
    /// Whether its provider is in default by now.
    fn is_default(&self, market: &Market, now: Timestamp) -> bool {
        let found = market.lease(LeaseId(self.lease));
        let Some((lease, level)) =
            found.and_then(|lease| Some((lease, market.service_level(lease)?)))
        else {
            return false;
        };
        let start = clock::stamp(self.start_at.to_jiff()).max(lease.traded_at);
        let (since, allowed) = match (self.is_accepted, self.failing_since) {
            (false, _) => (start, level.grace_minutes),
            (true, Some(since)) => {
                let since = clock::stamp(since.to_jiff());
                // A stay that goes on was failing for another lease before.
                let begins = lease.period.start.begins().max(lease.traded_at);
                (since.max(begins), level.default_minutes)
            }
            (true, None) => return false,
        };
        let is_over = allowed > 0 && since.plus_minutes(allowed) <= now;
        is_over && lease.failed_from.is_none() && lease.open_in(now.next_hour()) > 0
    }
}

impl Keeper {
    /// Ends leases as their providers come to be in default, until it is told to stop. It goes on
    /// beside settlement, however much there is to settle.
    pub(super) async fn fail_in_time(self, stop: CancellationToken) {
        let mut minute = i64::MIN;
        while !stop.is_cancelled() {
            let now = self.clock.now();
            let this_minute = now.0.div_euclid(60_000_000);
            let is_new = this_minute != std::mem::replace(&mut minute, this_minute);
            if let Err(error) = self.fail(now, is_new).await {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "defaults could not be looked for"
                );
                minute = i64::MIN;
            }
            rest(&stop).await;
        }
    }

    async fn fail(&self, now: Timestamp, is_new_minute: bool) -> anyhow::Result<()> {
        probes::weigh_failing(&self.db, clock::instant(now)).await?;
        let mut lacking = self.lacking(now).await?;
        if is_new_minute {
            lacking.extend(self.nowhere(now).await?);
        }
        let mut failed: Vec<LeaseId> = {
            let market = self.feed.market();
            let failed = lacking.iter().filter(|one| one.is_default(&market, now));
            failed.map(|one| LeaseId(one.lease)).collect()
        };
        failed.dedup();
        for lease in failed {
            let answer = self
                .sequencer
                .submit(ACTOR, Command::Default { lease })
                .await?;
            if let Some(rejection) = answer.rejection() {
                tracing::debug!(%lease, %rejection, "a lease was not failed");
            }
        }
        Ok(())
    }

    /// The leases in course that probes fail somewhere, or have never passed.
    async fn lacking(&self, now: Timestamp) -> Result<Vec<Lacking>, sqlx::Error> {
        sqlx::query_as(
            "SELECT p.lease, p.start_at, s.accepted_at IS NOT NULL AS is_accepted, s.failing_since
             FROM stays s JOIN placements p ON p.stay = s.stay AND p.host = s.host
             WHERE (s.failing_since IS NOT NULL OR s.accepted_at IS NULL)
               AND p.start_at <= $1 AND p.end_at > $1
             ORDER BY p.lease",
        )
        .bind(jiff_sqlx::Timestamp::from(clock::instant(now)))
        .fetch_all(&self.db)
        .await
    }

    /// The leases in course of pools with machines, none of which had room for them.
    async fn nowhere(&self, now: Timestamp) -> Result<Vec<Lacking>, sqlx::Error> {
        sqlx::query_as(
            "SELECT w.lease, t.start_at, false AS is_accepted,
                    NULL::timestamptz AS failing_since
             FROM lease_ways w JOIN trades t ON t.id = w.lease
             WHERE w.state IN ('scheduled', 'preparing', 'accepting')
               AND t.start_at <= $1 AND t.end_at > $1
               AND NOT EXISTS (SELECT FROM placements p
                               WHERE p.lease = w.lease AND p.start_at <= $1 AND p.end_at > $1)
             ORDER BY w.lease",
        )
        .bind(jiff_sqlx::Timestamp::from(clock::instant(now)))
        .fetch_all(&self.db)
        .await
    }
}
