//! The command log applied to an empty market: it must give what the tables hold.

use market::{Command, Event, EventKind, Market, Timestamp};
use tokio_postgres::Transaction;

use super::Check;
use crate::sequencer::{StartError, chain, snapshot, stored_instant};

const HOLDS: &str = "the command log gives the journal and the state that the tables hold";

/// How many commands are read at a time.
const PAGE: i32 = 10_000;

/// Applies every command again.
pub(super) async fn run(tables: &Transaction<'_>) -> Result<Check, StartError> {
    let mut wrong = Vec::new();
    if let Some(stored) = snapshot(tables).await? {
        let mut hashes = tables
            .query("SELECT hash FROM journal_entries ORDER BY id", &[])
            .await?;
        let hashes: Vec<Vec<u8>> = hashes.drain(..).map(|row| row.get(0)).collect();
        let mut proof = Proof {
            market: Market::new(stored.rules.clone()),
            hashes: hashes.into_iter(),
            head: Vec::new(),
            wrong: &mut wrong,
        };
        let sql = "SELECT seq, at, body::text, rejected FROM commands ORDER BY seq";
        let commands = tables.bind(sql, &[]).await?;
        loop {
            let page = tables.query_portal(&commands, PAGE).await?;
            for row in &page {
                let at = stored_instant(row, 1);
                proof.apply(row.get(0), at, row.get(2), row.get(3));
            }
            if page.is_empty() {
                break;
            }
        }
        let market = proof.end();
        match Market::restore(stored) {
            Ok(restored) if restored == market => {}
            Ok(restored) => wrong.push(difference(&market, &restored)),
            Err(error) => wrong.push(error),
        }
    }
    wrong.truncate(10);
    Ok(Check {
        holds: HOLDS,
        wrong,
    })
}

struct Proof<'a> {
    market: Market,
    hashes: std::vec::IntoIter<Vec<u8>>,
    head: Vec<u8>,
    wrong: &'a mut Vec<String>,
}

impl Proof<'_> {
    fn apply(&mut self, seq: i64, at: Timestamp, body: &str, rejected: Option<&str>) {
        let command: Command = match serde_json::from_str(body) {
            Ok(command) => command,
            Err(error) => {
                self.wrong
                    .push(format!("command {seq} can't be read: {error}"));
                return;
            }
        };
        if at < self.market.now() {
            self.wrong
                .push(format!("command {seq} is earlier than the one before it"));
            return;
        }
        let mut answer = None;
        for event in self.market.apply(at, &command) {
            match &event.kind {
                EventKind::Rejected(rejection) => answer = Some(rejection.code()),
                EventKind::Posted(_) => self.compare(seq, &event),
                _ => {}
            }
        }
        if answer != rejected {
            self.wrong.push(format!(
                "command {seq} gives {answer:?}, the log says {rejected:?}"
            ));
        }
    }

    fn compare(&mut self, seq: i64, event: &Event) {
        let EventKind::Posted(entry) = &event.kind else {
            return;
        };
        self.head = chain::entry_hash(&self.head, seq, event.at, entry);
        if self.hashes.next().as_ref() != Some(&self.head) {
            self.wrong.push(format!(
                "entry {} of command {seq} has another hash",
                entry.id
            ));
        }
    }

    fn end(mut self) -> Market {
        let more = self.hashes.by_ref().count();
        if more > 0 {
            self.wrong
                .push(format!("{more} entries more than the commands give"));
        }
        self.market
    }
}

/// Which part of two markets differs; the whole of one is too long to print.
fn difference(market: &Market, restored: &Market) -> String {
    let same_ledger = market.ledger() == restored.ledger();
    let part = if same_ledger {
        "orders, leases or books"
    } else {
        "the ledger"
    };
    format!("{part} in the tables are not what the commands give")
}
