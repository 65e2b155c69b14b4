//! The whole site on a database of its own, served on a free port of this machine.

use std::sync::Arc;

use market::{Command, Rules};
use sluice::app::{App, Parts};
use sluice::clock::MarketClock;
use sluice::router::router;
use sluice::sequencer::Started;
use sluice::web::server::{Limits, serve};
use sluice::web::{Options, Web};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::market::{opening, start, start_at, stop, submit};
use super::postgres::{TestDatabase, fresh_database};

/// A served site: one instrument, a provider with 64 units at 10.00, a market clock that stands.
pub(crate) struct TestApp {
    /// Where it is served, without a slash at the end.
    pub(crate) url: String,
    /// Its database.
    pub(crate) database: TestDatabase,
    /// What its handlers reach.
    pub(crate) app: App,
    started: Option<Started>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl TestApp {
    /// Serves a market with these rules, within these limits.
    pub(crate) async fn with(rules: Rules, limits: Limits) -> Self {
        let options = Options {
            test_money: true,
            ..Options::default()
        };
        Self::with_options(rules, limits, options).await
    }

    /// Serves a market with these rules, within these limits, set up like this.
    pub(crate) async fn with_options(rules: Rules, limits: Limits, options: Options) -> Self {
        Self::serve(rules, limits, options, None).await
    }

    /// The same, with a clock of one's own in place of one that stands at the opening.
    pub(crate) async fn serve(
        rules: Rules,
        limits: Limits,
        options: Options,
        clock: Option<MarketClock>,
    ) -> Self {
        let database = fresh_database().await;
        for name in ["黔云算力", "听澜智能"] {
            let insert = "INSERT INTO participants (name, created_at) VALUES ($1, now())";
            let inserted = sqlx::query(insert).bind(name).execute(&database.pool).await;
            inserted.expect("a participant is written");
        }
        let (started, clock) = match clock {
            None => start(&database.url, rules).await,
            Some(clock) => {
                let started = start_at(&database.url, rules, clock.clone()).await;
                (started.expect("the sequencer starts"), clock)
            }
        };
        for command in opening() {
            let receipt = submit(&started, command).await;
            assert_eq!(receipt.rejection(), None);
        }
        let app = App::new(Parts {
            db: database.pool.clone(),
            sequencer: started.sequencer.clone(),
            feed: started.feed.clone(),
            clock,
            audit: sluice::audit::Desk::new(&database.url),
            web: Arc::new(Web::new(options)),
        });
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("it has one");
        let stopping = app.web.stopping.clone();
        let serving = tokio::spawn(serve(listener, router(app.clone()), limits, stopping));
        Self {
            url: format!("http://{address}"),
            database,
            app,
            started: Some(started),
            serving,
        }
    }

    /// The market clock.
    pub(crate) fn clock(&self) -> &MarketClock {
        &self.app.clock
    }

    /// Does a command as the program; it must not be rejected.
    pub(crate) async fn submit(&self, command: Command) {
        let started = self.started.as_ref().expect("it runs");
        let receipt = submit(started, command).await;
        assert_eq!(receipt.rejection(), None);
    }

    /// Stops serving, as the program does at Ctrl-C, and proves the books.
    pub(crate) async fn stop(self) {
        drop(self.ended().await);
    }

    /// The same, and gives its database for another to go on with.
    pub(crate) async fn ended(mut self) -> TestDatabase {
        self.app.web.stopping.cancel();
        let served = (&mut self.serving)
            .await
            .expect("the server does not panic");
        served.expect("the server ends well");
        let started = self.started.take().expect("it runs");
        tokio::task::spawn_blocking(move || stop(started))
            .await
            .expect("the sequencer ends");
        let report = sluice::audit::run(&self.database.url)
            .await
            .expect("the audit runs");
        assert!(report.ok, "{report:#?}");
        self.database
    }
}
