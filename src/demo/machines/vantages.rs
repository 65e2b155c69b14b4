//! Places from which the machines' doors are tried: three, so that two decide. They are tasks of
//! this program, and no further away than the machines are.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::Context;
use reading::AgentKey;
use sluice_agent::exchange::Exchange;
use sluice_agent::key::{self, KeyError};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::clock::{self, MarketClock};
use crate::delivery::probes;
use crate::demo::store;
use crate::vantage::probe::Patience;
use crate::vantage::{self, Options, Reach};

const PLACES: usize = 3;

/// How many ways in each tries at once.
const AT_ONCE: usize = 8;

/// One of them.
#[derive(Debug)]
pub(super) struct Vantage {
    number: u64,
    key: AgentKey,
}

/// Makes them known to the exchange, with the keys that are kept in this folder.
pub(super) async fn prepare(
    db: &PgPool,
    folder: &Path,
    clock: &MarketClock,
) -> anyhow::Result<Vec<Vantage>> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .context("a folder for the vantages' keys")?;
    let mut vantages = Vec::new();
    for place in 1..=PLACES {
        let path = folder.join(format!("key-{place}"));
        let key = match key::load(&path) {
            Err(KeyError::None(_)) => key::make(&path),
            other => other,
        }?;
        vantages.push(key);
    }
    let keys: Vec<Vec<u8>> = vantages
        .iter()
        .map(|key| key.public().to_bytes().to_vec())
        .collect();
    // One whose key is gone would be asked for ever, and never answer.
    let now = clock::instant(clock.now());
    for name in store::other_vantages(db, &keys).await? {
        probes::retire(db, &name, (clock::wall(), now)).await?;
    }
    let mut known = Vec::new();
    for key in vantages {
        let public = key.public().to_bytes();
        let name = format!("demonstration {}", &key.public().to_hex()[..12]);
        let number = match probes::add(db, &name, &public, now).await? {
            Some(number) => number,
            None => store::vantage(db, &public).await?,
        };
        known.push(Vantage {
            number: u64::try_from(number)?,
            key,
        });
    }
    Ok(known)
}

impl Vantage {
    /// Tries doors until it is told to stop.
    pub(super) async fn run(self, exchange: &str, stop: CancellationToken) -> anyhow::Result<()> {
        let options = Options {
            exchange: Exchange::new(exchange, None)?,
            number: self.number,
            key: self.key,
            reach: Reach::Any,
            patience: Patience::default(),
            at_once: AT_ONCE,
        };
        vantage::run(options, stop).await;
        Ok(())
    }
}
