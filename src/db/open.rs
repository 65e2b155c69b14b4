//! Opens the database that the settings name, or the private one of the data folder.

use std::path::PathBuf;

use super::embedded::{Cluster, EmbeddedError, Options};
use super::error::DatabaseError;

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
            return Ok(Self { url, cluster: None });
        }
        let opened = tokio::task::spawn_blocking(move || embedded(data_dir, sharing)).await;
        opened.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))
    }

    /// The address, as sqlx, tokio-postgres and psql take it.
    pub fn url(&self) -> &str {
        &self.url
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
            cluster: Some(cluster),
        }),
        Err(EmbeddedError::AlreadyRunning { .. }) if sharing == Sharing::Beside => Ok(Database {
            url: Cluster::address_of(&data_dir)?,
            cluster: None,
        }),
        Err(other) => Err(other.into()),
    }
}
