//! Leases' ways: the steps that follow from the clock, the market and what is known of machines.

use market::{LeaseId, Timestamp};

use super::Keeper;
use crate::clock;
use crate::delivery::course::{self, Facts, State, Step};

/// How many leases' ways are looked at together.
const AT_ONCE: i64 = 1_000;

#[derive(sqlx::FromRow)]
struct Row {
    lease: i64,
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
    state: Option<String>,
    reasons: Vec<String>,
    is_placed: bool,
    is_continued: bool,
    accepted_at: Option<jiff_sqlx::Timestamp>,
    is_orphaned: bool,
    is_wiped: bool,
}

impl Keeper {
    /// Notes the steps that leases have taken by now.
    ///
    /// # Arguments
    /// `placed` are those that may have no step yet; with `all`, others that are on their way are
    /// looked at too.
    pub(super) async fn go_ways(
        &self,
        now: Timestamp,
        placed: &[i64],
        all: bool,
    ) -> anyhow::Result<()> {
        let mut after = 0;
        loop {
            let rows = self.on_their_way(placed, all, after).await?;
            let Some(last) = rows.last().map(|row| row.lease) else {
                return Ok(());
            };
            after = last;
            let steps = self.steps(rows, now);
            if !steps.is_empty() {
                course::say(&self.db, &steps, clock::instant(now)).await?;
            }
        }
    }

    fn steps(&self, rows: Vec<Row>, now: Timestamp) -> Vec<(i64, Step)> {
        let mut steps = Vec::new();
        let market = self.feed.market();
        for row in rows {
            let Some(lease) = market.lease(LeaseId(row.lease)) else {
                continue;
            };
            let mut facts = row.facts();
            facts.is_settled = lease.is_ended();
            facts.failed_from = lease.failed_from.map(|hour| clock::instant(hour.begins()));
            while let Some(step) = facts.next(clock::instant(now)) {
                facts.state = step.state.or(facts.state);
                facts.reasons.push(step.reason.to_owned());
                steps.push((row.lease, step));
            }
        }
        steps
    }

    /// The next leases on their way, by their numbers, with what is known of them.
    async fn on_their_way(
        &self,
        placed: &[i64],
        all: bool,
        after: i64,
    ) -> Result<Vec<Row>, sqlx::Error> {
        sqlx::query_as(
            "SELECT o.lease, t.start_at, t.end_at, w.state,
                    ARRAY(SELECT DISTINCT reason FROM lease_states WHERE lease = o.lease) AS reasons,
                    p.stays IS NOT NULL AS is_placed,
                    EXISTS (SELECT FROM placements a JOIN placements b
                                ON b.stay = a.stay AND b.start_at = a.end_at AND b.lease <> a.lease
                            WHERE a.lease = o.lease AND a.end_at = t.end_at) AS is_continued,
                    CASE WHEN p.accepted = p.stays THEN p.accepted_at END AS accepted_at,
                    coalesce(p.orphans, 0) > 0 AS is_orphaned,
                    p.stays IS NULL OR p.wiped = p.stays AS is_wiped
             FROM (SELECT lease FROM lease_ways
                   WHERE state <> 'closed' AND ($2 OR lease = ANY($1)) AND lease > $3
                   UNION SELECT lease FROM unnest($1::bigint[]) lease
                   WHERE lease > $3
                     AND NOT EXISTS (SELECT FROM lease_ways w WHERE w.lease = lease.lease)
                   ORDER BY lease LIMIT $4) o
             JOIN trades t ON t.id = o.lease
             LEFT JOIN lease_ways w ON w.lease = o.lease
             LEFT JOIN LATERAL
                 (SELECT nullif(count(*), 0) AS stays, count(y.accepted_at) AS accepted,
                         max(y.accepted_at) AS accepted_at,
                         count(*) FILTER (WHERE y.stage = 'wiped') AS wiped,
                         count(*) FILTER (WHERE NOT EXISTS
                             (SELECT FROM agents a WHERE a.host = y.host AND a.revoked_at IS NULL))
                             AS orphans
                  FROM (SELECT DISTINCT stay, host FROM placements WHERE lease = o.lease) own
                  JOIN stays y ON y.stay = own.stay AND y.host = own.host) p ON true
             ORDER BY o.lease",
        )
        .bind(placed)
        .bind(all)
        .bind(after)
        .bind(AT_ONCE)
        .fetch_all(&self.db)
        .await
    }
}

impl Row {
    fn facts(&self) -> Facts {
        Facts {
            state: self.state.as_deref().and_then(State::from_code),
            reasons: self.reasons.clone(),
            start: self.start_at.to_jiff(),
            end: self.end_at.to_jiff(),
            is_placed: self.is_placed,
            is_continued: self.is_continued,
            accepted_at: self.accepted_at.map(jiff_sqlx::Timestamp::to_jiff),
            is_orphaned: self.is_orphaned,
            is_wiped: self.is_wiped,
            failed_from: None,
            is_settled: false,
        }
    }
}
