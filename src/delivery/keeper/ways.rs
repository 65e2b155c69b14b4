//! Leases' ways: the steps that follow from the clock, the market and what is known of machines.

use market::{LeaseId, Timestamp};

use super::{Keeper, store};
use crate::clock;
use crate::delivery::course::{Facts, State};

/// The most leases whose ways are looked at in one minute of the market: the rest follow in the next.
const AT_ONCE: i64 = 20_000;

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
    /// Notes the steps that leases have taken by now; of all that are on their way, or of these only.
    pub(super) async fn go_ways(
        &self,
        now: Timestamp,
        only: Option<Vec<i64>>,
    ) -> anyhow::Result<()> {
        let rows = self.on_their_way(only).await?;
        let mut steps = Vec::new();
        {
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
        }
        if !steps.is_empty() {
            store::take_steps(&self.db, &steps, clock::instant(now)).await?;
        }
        Ok(())
    }

    /// The leases of pools with machines that are not closed, with what is known of them.
    async fn on_their_way(&self, only: Option<Vec<i64>>) -> Result<Vec<Row>, sqlx::Error> {
        sqlx::query_as(
            "SELECT l.id AS lease, t.start_at, t.end_at, s.state,
                    coalesce(s.reasons, '{}') AS reasons,
                    p.stays IS NOT NULL AS is_placed,
                    EXISTS (SELECT FROM placements a JOIN placements b
                                ON b.stay = a.stay AND b.start_at = a.end_at AND b.lease <> a.lease
                            WHERE a.lease = l.id AND a.end_at = t.end_at) AS is_continued,
                    CASE WHEN p.accepted = p.stays THEN p.accepted_at END AS accepted_at,
                    coalesce(p.orphans, 0) > 0 AS is_orphaned,
                    p.stays IS NULL OR p.wiped = p.stays AS is_wiped
             FROM leases l JOIN trades t ON t.id = l.id
             LEFT JOIN LATERAL
                 (SELECT (array_agg(state ORDER BY number DESC))[1] AS state,
                         array_agg(reason) AS reasons
                  FROM lease_states WHERE lease = l.id) s ON true
             LEFT JOIN LATERAL
                 (SELECT nullif(count(*), 0) AS stays, count(y.accepted_at) AS accepted,
                         max(y.accepted_at) AS accepted_at,
                         count(*) FILTER (WHERE y.stage = 'wiped') AS wiped,
                         count(*) FILTER (WHERE NOT EXISTS
                             (SELECT FROM agents a WHERE a.host = y.host AND a.revoked_at IS NULL))
                             AS orphans
                  FROM stays y WHERE (y.stay, y.host) IN
                      (SELECT stay, host FROM placements WHERE lease = l.id)) p ON true
             WHERE t.pool IN (SELECT pool FROM hosts WHERE kind = 'agent')
               AND s.state IS DISTINCT FROM 'closed'
               AND ($2::bigint[] IS NULL OR l.id = ANY($2))
             ORDER BY l.id LIMIT $1",
        )
        .bind(AT_ONCE)
        .bind(only)
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
