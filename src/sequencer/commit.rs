//! The sequencer's connection, and the one transaction in which a batch becomes fact.
//!
//! The connection is its own: not from a pool, never cancelled, no timeout round `COMMIT`. It is
//! tokio-postgres rather than sqlx because it hands over the server's notices: a commit that says
//! yes with a warning may not be replicated, and counts as unknown (docs/decisions/0003).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{poll_fn, try_join_all};
use market::Rules;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, NoTls, Statement, Transaction};

use super::StartError;
use super::effect::Effect;
use super::instant::Instant;
use super::tables::{Columns, SQL};

/// The advisory lock of the leader; the migrator's is another.
pub(crate) const LEADER_LOCK: i64 = 0x534c_5549_4345;

/// How long a server may take to accept the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An engine that was killed may leave its session for a moment: how often and how long apart
/// the lock is asked for.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(500);

/// How the statements of a batch are planned: once for all, and always by way of the keys. A table
/// that was empty when the leader began, or has not been counted since, would be read from end to
/// end, and a plan for each batch costs more than most batches.
const PLANNING: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;
     SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off";

/// Why a batch was not committed, or is not known to be.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommitError {
    #[error("the database refused or was lost")]
    Database(#[from] tokio_postgres::Error),
    #[error("another engine has taken the lead")]
    Fenced,
    #[error("the commit came with a warning")]
    Warned,
    #[error("the thread that commits has died")]
    Died,
}

/// The engine's connection with what the `engine` row says of it.
pub(crate) struct Link {
    client: Client,
    warned: Arc<AtomicBool>,
    /// One array statement a table, prepared once it leads.
    statements: Vec<Statement>,
    epoch: i64,
    batch: i64,
}

impl Link {
    /// Connects.
    pub(crate) async fn open(url: &str) -> Result<Self, StartError> {
        let mut config: tokio_postgres::Config = url.parse()?;
        config
            .application_name("sluice engine")
            .connect_timeout(CONNECT_TIMEOUT)
            .keepalives_idle(Duration::from_secs(30));
        let (client, mut connection) = config.connect(NoTls).await?;
        let warned = Arc::new(AtomicBool::new(false));
        let notices = warned.clone();
        tokio::spawn(async move {
            // The flag is set before the answer that follows the notice is handed on.
            while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
                match message {
                    Ok(AsyncMessage::Notice(notice)) => {
                        tracing::warn!(%notice, "the database gave notice");
                        notices.store(true, Ordering::SeqCst);
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::error!(%error, "the engine's connection is lost");
                        return;
                    }
                }
            }
        });
        Ok(Self {
            client,
            warned,
            statements: Vec::new(),
            epoch: 0,
            batch: 0,
        })
    }

    /// Takes the leader's lock, then commits a new epoch before anything else; an older engine's
    /// next batch fails. One that led before names its own epoch, and takes no other's place.
    pub(super) async fn take_the_lead(
        &mut self,
        rules: &Rules,
        own: Option<i64>,
    ) -> Result<i64, StartError> {
        let mut tries = 0;
        while !self.lock().await? {
            if own.is_some() && own != self.epoch().await? {
                return Err(StartError::Fenced);
            }
            tries += 1;
            if tries == LOCK_TRIES {
                return Err(StartError::Led);
            }
            tokio::time::sleep(LOCK_PAUSE).await;
        }
        let rules = serde_json::to_string(rules).expect("rules are plain data");
        self.client
            .execute(
                "INSERT INTO engine (epoch, batch, command, acceptances, entries, chain, rules)
                 VALUES (0, 0, 0, 0, 0, '', $1::text::jsonb) ON CONFLICT DO NOTHING",
                &[&rules],
            )
            .await?;
        let row = self
            .client
            .query_opt(
                "WITH led AS (UPDATE engine SET epoch = epoch + 1
                               WHERE epoch = coalesce($1, epoch) RETURNING epoch, batch),
                      noted AS (INSERT INTO epochs (epoch, batch, began_at)
                                SELECT epoch, batch, now() FROM led)
                 SELECT epoch, batch FROM led",
                &[&own],
            )
            .await?
            .ok_or(StartError::Fenced)?;
        if self.warned.load(Ordering::SeqCst) {
            return Err(StartError::Warned);
        }
        (self.epoch, self.batch) = (row.get(0), row.get(1));
        let prepared = SQL.iter().map(|sql| self.client.prepare(sql));
        self.statements = try_join_all(prepared).await?;
        Ok(self.epoch)
    }

    /// Has everything that was read: from now on it writes.
    pub(super) async fn begin_to_write(&self) -> Result<(), StartError> {
        Ok(self.client.batch_execute(PLANNING).await?)
    }

    /// The epoch that is committed.
    async fn epoch(&self) -> Result<Option<i64>, StartError> {
        let row = self.client.query_opt("SELECT epoch FROM engine", &[]);
        Ok(row.await?.map(|row| row.get(0)))
    }

    async fn lock(&self) -> Result<bool, StartError> {
        let row = self
            .client
            .query_one("SELECT pg_try_advisory_lock($1)", &[&LEADER_LOCK])
            .await?;
        Ok(row.get(0))
    }

    /// The connection itself.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// A reading of all tables at one instant.
    pub(crate) async fn read(&mut self) -> Result<Transaction<'_>, StartError> {
        let transaction = self
            .client
            .build_transaction()
            .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await?;
        Ok(transaction)
    }

    /// Says that this session's program lives, and finds out whether the session does.
    pub(super) async fn beat(&self) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute("SELECT").await
    }

    /// Writes a batch and commits it.
    pub(super) async fn commit(&mut self, effect: Effect) -> Result<(), CommitError> {
        let (advance, inserts) = self
            .statements
            .split_first()
            .expect("a leader has prepared its statements");
        self.warned.store(false, Ordering::SeqCst);
        let at = Instant(effect.at);
        let head = [
            &self.epoch as &(dyn ToSql + Sync),
            &self.batch,
            &effect.batch,
            &effect.command,
            &at,
            &effect.acceptances,
            &effect.entries,
            &effect.chain,
            &effect.digest,
        ];
        // All of it goes out in one write; each statement waits for its own answer.
        let begin = self.client.batch_execute("BEGIN");
        let advance = self.client.execute(advance, &head);
        let inserts = inserts
            .iter()
            .zip(&effect.tables)
            .filter(|(_, columns)| !columns.is_empty())
            .map(|(statement, columns)| self.insert(statement, columns).boxed_local());
        let (begun, advanced, inserted) =
            futures_util::join!(begin, advance, try_join_all(inserts));
        begun?;
        if advanced? != 1 {
            return Err(CommitError::Fenced);
        }
        inserted?;
        self.client.batch_execute("COMMIT").await?;
        if self.warned.load(Ordering::SeqCst) {
            return Err(CommitError::Warned);
        }
        self.batch = effect.batch;
        Ok(())
    }

    async fn insert(
        &self,
        statement: &Statement,
        columns: &Columns,
    ) -> Result<u64, tokio_postgres::Error> {
        let columns: Vec<&(dyn ToSql + Sync)> = columns
            .iter()
            .map(|column| column.as_ref() as &(dyn ToSql + Sync))
            .collect();
        self.client.execute(statement, &columns).await
    }
}
