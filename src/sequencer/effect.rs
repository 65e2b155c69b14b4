//! All that a batch writes, worked out from the market as it stands after it.
//!
//! Nothing in it borrows from the market: the next batch is applied while this one commits.

use market::{Market, Timestamp};

use super::chain;
use super::digest::Digest;
use super::rows::{Applied, Rows};
use super::tables::{self, Columns};

/// How far the market has come: by what is committed, or ahead of it by what is handed over.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) batch: i64,
    pub(super) command: i64,
    /// The hash of the last journal entry.
    pub(super) chain: Vec<u8>,
    pub(super) digest: Digest,
}

/// What one transaction writes.
pub(super) struct Effect {
    pub(super) batch: i64,
    pub(super) command: i64,
    /// How many commands it has.
    pub(super) commands: usize,
    pub(super) at: Timestamp,
    pub(super) acceptances: i64,
    pub(super) entries: i64,
    pub(super) chain: Vec<u8>,
    pub(super) digest: Vec<u8>,
    /// In the order of the statements.
    pub(super) tables: Vec<Columns>,
}

impl Effect {
    /// The effect of these commands, with which the head advances.
    pub(super) fn of(market: &Market, applied: &[Applied], head: &mut Head) -> Self {
        let rows = Rows::of(market, applied);
        head.batch += 1;
        if let Some(last) = applied.last() {
            head.command = last.seq;
        }
        let hashes;
        (head.chain, hashes) = chain::extend(&head.chain, &rows.entries);
        head.digest.follow(market, &rows);
        Self {
            batch: head.batch,
            command: head.command,
            commands: applied.len(),
            at: rows.at,
            acceptances: market.acceptances(),
            entries: market.ledger().entries(),
            chain: head.chain.clone(),
            digest: head.digest.bytes(),
            tables: tables::of(market, &rows, head.batch, hashes),
        }
    }
}
