//! Delivery by machines: what is signed and probed is paid, and nothing else.

mod bounds;
mod cut;
mod faults;
mod killed;
mod levels;
mod minutes;
mod real;
mod slurm;

use std::time::Duration;

use market::{Lease, LeaseId, Rules};
use reading::Minute;
use sluice::delivery::keeper::Keeper;
use sluice::delivery::probes::{self, Outcome, Reason};
use sluice::web::server::Limits;
use tokio_util::sync::CancellationToken;

use crate::support::app::TestApp;
use crate::support::market::hour;

/// A market that is delivered by machines, with whoever keeps it.
pub(crate) struct Site {
    pub(crate) app: TestApp,
    stop: CancellationToken,
    keeping: tokio::task::JoinHandle<()>,
}

impl Site {
    pub(crate) async fn with(rules: Rules) -> Self {
        Self::of(TestApp::with(rules, Limits::default()).await)
    }

    /// Of a market that is served.
    pub(crate) fn of(app: TestApp) -> Self {
        let stop = CancellationToken::new();
        let keeping = tokio::spawn(keeper(&app).run(stop.clone()));
        Self { app, stop, keeping }
    }

    /// The same, kept by somebody else.
    pub(crate) async fn kept_by(self, keeper: Keeper, stop: CancellationToken) -> Self {
        self.stop.cancel();
        self.keeping.await.expect("the keeper does not panic");
        let keeping = tokio::spawn(keeper.run(stop.clone()));
        Self {
            app: self.app,
            stop,
            keeping,
        }
    }

    /// The same after whoever kept it was cut off wherever it was, and another has begun.
    pub(crate) async fn killed(self) -> Self {
        let pause = rand::random_range(0..400);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        self.keeping.abort();
        let _ = self.keeping.await;
        Self::of(self.app)
    }

    /// What is served, which nobody keeps any more.
    pub(crate) async fn unkept(self) -> TestApp {
        self.stop.cancel();
        self.keeping.await.expect("the keeper does not panic");
        self.app
    }

    pub(crate) async fn stop(self) {
        self.unkept().await.stop().await;
    }

    /// Sets the market's clock, this many minutes after an hour after the opening.
    pub(crate) fn set(&self, hours: i64, minutes: i64) {
        self.app.clock().set(hour(hours).plus_minutes(minutes));
    }

    pub(crate) fn now(&self) -> jiff::Timestamp {
        sluice::clock::instant(self.app.clock().now())
    }

    /// Waits until something is so.
    pub(crate) async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        for _ in 0..1_200 {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it did not come about: {what}");
    }

    pub(crate) fn lease(&self, number: i64) -> Lease {
        let market = self.app.app.feed.market();
        market.lease(LeaseId(number)).expect("a lease").clone()
    }

    /// What is known of hours: unit-minutes that each was settled by.
    pub(crate) async fn settled(&self, lease: i64) -> Vec<i64> {
        let settled = "SELECT unit_minutes FROM settlements WHERE lease = $1 ORDER BY hour_at";
        let settled = sqlx::query_scalar(settled).bind(lease);
        let settled = settled.fetch_all(&self.app.database.pool).await;
        settled.expect("settlements are read")
    }

    /// Waits until a stay is on a machine.
    pub(crate) async fn placed(&self, stay: i64) {
        self.until("the lease is placed", async || {
            let placed = "SELECT 1 FROM stays WHERE stay = $1";
            let placed: Option<i32> = sqlx::query_scalar(placed)
                .bind(stay)
                .fetch_optional(&self.app.database.pool)
                .await
                .expect("stays are read");
            placed.map(drop)
        })
        .await;
    }

    /// Places from which probes are made, by their numbers.
    pub(crate) async fn vantages(&self, number: u8) -> Vec<i64> {
        let mut vantages = Vec::new();
        for place in 0..number {
            let name = format!("place {place}");
            let db = &self.app.database.pool;
            let added = probes::add(db, &name, &[place; 32], self.now()).await;
            let added = added.expect("a vantage is added");
            vantages.push(added.expect("it is new"));
        }
        vantages
    }

    /// What a vantage finds of a stay now.
    pub(crate) async fn probe(&self, vantage: i64, (stay, host): (i64, i64), reason: Reason) {
        let outcome = Outcome {
            stay,
            host,
            reason,
            evidence: serde_json::json!({}),
        };
        let db = &self.app.database.pool;
        let taken = probes::take(db, vantage, vec![outcome], self.now()).await;
        taken.expect("it is taken");
    }

    /// What hours count now, with what was corrected.
    pub(crate) async fn counted(&self, lease: i64) -> Vec<i64> {
        let counted = "SELECT unit_minutes FROM hours WHERE lease = $1 ORDER BY hour_at";
        let counted = sqlx::query_scalar(counted).bind(lease);
        let counted = counted.fetch_all(&self.app.database.pool).await;
        counted.expect("hours are read")
    }

    /// Probes pass from now on.
    pub(crate) async fn accept(&self, stay: i64) {
        let accept = "UPDATE stays SET accepted_at = $2 WHERE stay = $1";
        let accepted = sqlx::query(accept)
            .bind(stay)
            .bind(jiff_sqlx::Timestamp::from(self.now()))
            .execute(&self.app.database.pool)
            .await;
        let accepted = accepted.expect("a stay is accepted");
        assert_eq!(accepted.rows_affected(), 1);
    }

    /// The states of a lease so far, with their reasons.
    pub(crate) async fn ways(&self, lease: i64) -> Vec<(String, String)> {
        let ways = "SELECT state, reason FROM lease_states WHERE lease = $1 ORDER BY number";
        let ways = sqlx::query_as(ways).bind(lease);
        let ways = ways.fetch_all(&self.app.database.pool).await;
        ways.expect("states are read")
    }
}

fn keeper(app: &TestApp) -> Keeper {
    Keeper {
        db: app.database.pool.clone(),
        sequencer: app.app.sequencer.clone(),
        feed: app.app.feed.clone(),
        clock: app.app.clock.clone(),
    }
}

/// The minutes of an hour after the opening, from one to before another, with so many units each.
pub(crate) fn minutes(hours: i64, of: std::ops::Range<i64>, units: u32) -> Vec<(Minute, u32)> {
    let at = |minute: i64| sluice::clock::instant(hour(hours).plus_minutes(minute));
    of.map(|minute| (Minute::of(at(minute)).expect("a minute"), units))
        .collect()
}
