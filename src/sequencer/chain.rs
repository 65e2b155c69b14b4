//! The hash chain over journal entries: a changed, missing or inserted entry shows.

use market::{Entry, Timestamp};
use sha2::{Digest, Sha256};

use super::rows::Made;

/// The hash of each entry over the one before it, and the last.
pub(super) fn extend(chain: &[u8], entries: &[Made<Entry>]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut head = chain.to_vec();
    let mut hashes = Vec::with_capacity(entries.len());
    for made in entries {
        head = entry_hash(&head, made.command, made.at, &made.what);
        hashes.push(head.clone());
    }
    (head, hashes)
}

/// SHA-256 over the hash of the entry before it and all that the entry says, each number as eight
/// bytes, big end first; texts end with a zero byte.
pub(crate) fn entry_hash(before: &[u8], command: i64, at: Timestamp, entry: &Entry) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(before);
    for number in [
        entry.id.0,
        command,
        at.0,
        entry.reason.subject().unwrap_or(0),
    ] {
        hash.update(number.to_be_bytes());
    }
    hash.update(entry.reason.code());
    hash.update([0]);
    for posting in &entry.postings {
        hash.update(posting.account.participant.0.to_be_bytes());
        hash.update(posting.account.kind.code());
        hash.update([0]);
        hash.update(posting.amount.0.to_be_bytes());
    }
    hash.finalize().to_vec()
}
