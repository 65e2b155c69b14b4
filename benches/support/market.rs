//! A market to load over HTTP: 20 instruments, 200 pools whose asks never run out, 1,000 participants
//! with a buyer's token each, served on loopback.

use std::sync::Arc;

use market::{
    Access, ClientId, Command, Hour, InstrumentId, ListInstrument, Money, OpenPool, ParticipantId,
    PlaceOrder, PoolId, Rules, Side, TimeInForce,
};
use sluice::app::{App, Parts};
use sluice::clock::MarketClock;
use sluice::db;
use sluice::load::{Mix, Options};
use sluice::sequencer::{self, Actor, Sequencer, Started};
use sluice::web::{Web, token};

use crate::site::Site;

pub(crate) const PARTICIPANTS: i64 = 1_000;
const INSTRUMENTS: i64 = 20;
const POOLS: i64 = 200;
const HOURS: i64 = 720;
pub(crate) const BEGINS: Hour = Hour(500_000);
const ME: Actor = Actor::System("bench");

/// A market that is served.
pub(crate) struct Market {
    pub(crate) app: App,
    pub(crate) started: Started,
    /// Where it is served.
    pub(crate) site: Site,
    tokens: Vec<String>,
}

impl Market {
    /// Opens one in a new database of this name; its clock stands at [`BEGINS`].
    pub(crate) async fn open(url: &str, database: &str, rules: Rules) -> Self {
        let mut admin = db::first_connection(url).await.expect("a connection");
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {database}")))
            .execute(&mut admin)
            .await
            .expect("a database");
        // What pgbench wrote is on disk, and its pieces of the log can be taken.
        sqlx::query("CHECKPOINT")
            .execute(&mut admin)
            .await
            .expect("a checkpoint");
        let (server, _) = url.rsplit_once('/').expect("a database in the URL");
        let url = format!("{server}/{database}");
        db::migrate(&url).await.expect("migrations");
        let clock = MarketClock::set_to(BEGINS.begins());
        let started = sequencer::start(sequencer::Options {
            database_url: url.clone(),
            rules,
            clock: clock.clone(),
            queue: 8_000,
            batch: 1_000,
        });
        let started = started.await.expect("a sequencer");
        list(&started.sequencer).await;
        let db = db::connect(&url).await.expect("a pool");
        let tokens = people(&db).await;
        let app = App::new(Parts {
            db,
            sequencer: started.sequencer.clone(),
            feed: started.feed.clone(),
            clock,
            audit: sluice::audit::Desk::new(&url),
            web: Arc::new(Web::new(sluice::web::Options::default())),
        });
        let site = Site::serve(sluice::router::router(app.clone())).await;
        Self {
            app,
            started,
            site,
            tokens,
        }
    }

    /// How many commands shared a transaction, on the whole.
    pub(crate) async fn batch(&self) -> f64 {
        let batch = "SELECT count(*)::float8 / greatest(count(DISTINCT batch), 1) FROM commands";
        let batch = sqlx::query_scalar(batch).fetch_one(&self.app.db).await;
        batch.expect("commands are counted")
    }

    /// The usual mix of orders, sent to it.
    pub(crate) fn load(
        &self,
        rate: Option<f64>,
        duration: std::time::Duration,
        (orders_a_request, connections): (usize, usize),
        seed: u64,
    ) -> Options {
        Options {
            address: self.site.address.clone(),
            // Who provides would meet their own asks.
            tokens: self.tokens[usize::try_from(POOLS).expect("a few")..].to_vec(),
            rate,
            duration,
            connections,
            orders_a_request,
            mix: Mix::default(),
            symbols: (1..=INSTRUMENTS).map(symbol).collect(),
            from: Hour(BEGINS.0 + 1).begins(),
            span: HOURS - 1,
            units: 1,
            limits: (Money(50_000), Money(110_000)),
            seed,
        }
    }

    pub(crate) async fn stop(self) {
        self.site.stop().await;
        self.started.sequencer.stop();
        self.started.thread.join().expect("the sequencer ends");
    }
}

fn symbol(number: i64) -> String {
    format!("G{number}.R.SILVER")
}

/// A buyer of each participant, with a token.
async fn people(db: &sqlx::PgPool) -> Vec<String> {
    let tokens: Vec<String> = (0..PARTICIPANTS)
        .map(|_| token::secret().expect("a token"))
        .collect();
    let hashes: Vec<Vec<u8>> = tokens
        .iter()
        .map(|text| token::hash(text).to_vec())
        .collect();
    for sql in [
        "INSERT INTO participants (id, name, created_at) OVERRIDING SYSTEM VALUE
         SELECT n, 'p' || n, now() FROM generate_series(1, cardinality($1::bytea[])) n",
        "INSERT INTO users (id, participant, login, password_hash, created_at)
             OVERRIDING SYSTEM VALUE
         SELECT n, n, 'buyer' || n, '', now() FROM generate_series(1, cardinality($1::bytea[])) n",
        "INSERT INTO member_roles (user_id, participant, role, granted_at)
         SELECT n, n, 'buyer', now() FROM generate_series(1, cardinality($1::bytea[])) n",
        "INSERT INTO api_tokens (user_id, token_sha256, name, scopes, made_at)
         SELECT n, hash, 'load', '{place,cancel}', now()
         FROM unnest($1::bytea[]) WITH ORDINALITY AS t (hash, n)",
        "ANALYZE api_tokens, users, participants, member_roles",
    ] {
        let query = sqlx::query(sql);
        let query = if sql.contains("$1") {
            query.bind(&hashes)
        } else {
            query
        };
        query.execute(db).await.expect("people are written");
    }
    tokens
}

/// 20 instruments, 200 pools whose asks never run out, and money for everybody.
async fn list(sequencer: &Sequencer) {
    let instruments = (1..=INSTRUMENTS).map(|number| {
        Command::ListInstrument(ListInstrument {
            instrument: InstrumentId(number),
            symbol: symbol(number),
            lot: 1,
            tick: Money(100),
        })
    });
    let deposits = (1..=PARTICIPANTS).map(|number| Command::Deposit {
        participant: ParticipantId(number),
        amount: Money(1_000_000_000_000),
    });
    let (start, end) = (BEGINS.begins(), Hour(BEGINS.0 + HOURS).begins());
    let pools = (1..=POOLS).flat_map(|number| {
        let (pool, participant) = (PoolId(number), ParticipantId(number));
        let opened = Command::OpenPool(OpenPool {
            pool,
            participant,
            instrument: InstrumentId(1 + number % INSTRUMENTS),
            units: 1_000_000,
            start,
            end,
            access: Access::Instant,
        });
        let ask = Command::PlaceOrder(PlaceOrder {
            participant,
            client_id: ClientId(format!("ask{number}")),
            side: Side::Sell {
                pool,
                min_hours: 1,
                weekly: None,
            },
            units: 1_000_000,
            price: Money(100_000),
            start,
            end,
            tif: TimeInForce::Gtc,
            post_only: false,
        });
        [opened, ask]
    });
    for command in instruments.chain(deposits).chain(pools) {
        let receipt = sequencer.submit(ME, command).await.expect("a receipt");
        assert_eq!(receipt.rejection(), None);
    }
}
