//! The hash chain over journal entries: a changed, missing or inserted entry shows.

use market::{Entry, Timestamp};
use sha2::{Digest, Sha256};

use super::rows::Made;

/// What the chain covers of an entry, from the market or from the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Covered {
    pub(crate) id: i64,
    pub(crate) command: i64,
    pub(crate) at: Timestamp,
    pub(crate) reason: String,
    pub(crate) subject: Option<i64>,
    /// Participant, kind and amount of each posting.
    pub(crate) postings: Vec<(i64, String, i64)>,
}

impl Covered {
    /// An entry as the market made it by a command.
    pub(crate) fn of(command: i64, at: Timestamp, entry: &Entry) -> Self {
        let postings = entry.postings.iter().map(|posting| {
            let kind = posting.account.kind.code().to_owned();
            (posting.account.participant.0, kind, posting.amount.0)
        });
        Self {
            id: entry.id.0,
            command,
            at,
            reason: entry.reason.code().to_owned(),
            subject: entry.reason.subject(),
            postings: postings.collect(),
        }
    }

    /// SHA-256 over the hash of the entry before it and all that this one says: each number as
    /// eight bytes, the high one first; each text followed by a zero byte.
    pub(crate) fn hash(&self, before: &[u8]) -> Vec<u8> {
        let mut hash = Sha256::new();
        hash.update(before);
        for number in [self.id, self.command, self.at.0, self.subject.unwrap_or(0)] {
            hash.update(number.to_be_bytes());
        }
        hash.update(&self.reason);
        hash.update([0]);
        for (participant, kind, amount) in &self.postings {
            hash.update(participant.to_be_bytes());
            hash.update(kind);
            hash.update([0]);
            hash.update(amount.to_be_bytes());
        }
        hash.finalize().to_vec()
    }
}

/// The hash of each entry over the one before it, and the last.
pub(super) fn extend(chain: &[u8], entries: &[Made<Entry>]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut head = chain.to_vec();
    let mut hashes = Vec::with_capacity(entries.len());
    for made in entries {
        head = Covered::of(made.command, made.at, &made.what).hash(&head);
        hashes.push(head.clone());
    }
    (head, hashes)
}
