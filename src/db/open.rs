//! Opens the database that the settings name, or the private one of the data folder.

use std::path::PathBuf;

use sqlx::{Connection, Executor};

use super::embedded::{Cluster, EmbeddedError, Options};
use super::error::DatabaseError;
use super::first_connection;

/// Whether a command needs the data folder to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// It runs the market; nobody else may.
    Alone,
    /// It looks on: when a server runs on the folder already, it joins that server.
    Beside,
}

/// An open database: an address, and the private server behind it when there is one.
///
/// Dropping it stops a private server.
#[derive(Debug)]
pub struct Database {
    url: String,
    /// Whether the server is the data folder's own.
    private: bool,
    cluster: Option<Cluster>,
}

impl Database {
    /// Takes `url` when it is there, else starts the private server of `data_dir`.
    ///
    /// # Errors
    /// The private server does not start. An outside one is not tried here.
    pub async fn open(
        url: Option<String>,
        data_dir: PathBuf,
        sharing: Sharing,
    ) -> Result<Self, DatabaseError> {
        if let Some(url) = url {
            return Ok(Self {
                url,
                private: false,
                cluster: None,
            });
        }
        let opened = tokio::task::spawn_blocking(move || embedded(data_dir, sharing)).await;
        opened.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))
    }

    /// The address, as sqlx, tokio-postgres and psql take it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address of the database for a replay: on a private server one of its own, made when it is
    /// absent, so that it never meets the market of people; else the one that was named.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub async fn for_replay(&self) -> Result<String, DatabaseError> {
        let Some(url) = self.replay_url() else {
            return Ok(self.url.clone());
        };
        if !self.has_replay().await? {
            let mut connection = first_connection(&self.url).await?;
            connection.execute("CREATE DATABASE sluice_replay").await?;
            connection.close().await?;
        }
        Ok(url)
    }

    /// Whether a private server has a replay's database.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn has_replay(&self) -> Result<bool, DatabaseError> {
        if !self.private {
            return Ok(false);
        }
        let mut connection = first_connection(&self.url).await?;
        let sql = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'sluice_replay')";
        let found = sqlx::query_scalar(sql).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(found)
    }

    fn replay_url(&self) -> Option<String> {
        let (server, _) = self.url.rsplit_once('/').filter(|_| self.private)?;
        Some(format!("{server}/sluice_replay"))
    }

    /// Stops a private server; an outside one is left alone.
    ///
    /// # Errors
    /// The private server did not end in time.
    pub async fn close(self) -> Result<(), DatabaseError> {
        let Some(cluster) = self.cluster else {
            return Ok(());
        };
        let stopped = tokio::task::spawn_blocking(move || cluster.stop()).await;
        let stopped = stopped.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
        Ok(stopped?)
    }
}

fn embedded(data_dir: PathBuf, sharing: Sharing) -> Result<Database, DatabaseError> {
    let options = Options {
        data_dir: data_dir.clone(),
        durable: true,
    };
    match Cluster::start(options) {
        Ok(cluster) => Ok(Database {
            url: cluster.url().to_owned(),
            private: true,
            cluster: Some(cluster),
        }),
        Err(EmbeddedError::AlreadyRunning { .. }) if sharing == Sharing::Beside => Ok(Database {
            url: Cluster::address_of(&data_dir)?,
            private: true,
            cluster: None,
        }),
        Err(other) => Err(other.into()),
    }
}
