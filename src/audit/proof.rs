//! The command log applied to an empty market: it must give what the tables hold.

use market::{Command, Event, EventKind, Market, Timestamp};
use tokio_postgres::{Row, Transaction};

use super::Check;
use crate::sequencer::chain::Covered;
use crate::sequencer::{StartError, snapshot, stored_instant};

const HOLDS: &str = "the command log gives the journal and the state that the tables hold";

/// How many commands are read at a time.
const PAGE: i32 = 10_000;

/// Applies every command again.
pub(super) async fn run(tables: &Transaction<'_>) -> Result<Check, StartError> {
    let mut wrong = Vec::new();
    if let Some(stored) = snapshot(tables).await? {
        let head: Vec<u8> = tables
            .query_one("SELECT chain FROM engine", &[])
            .await?
            .get(0);
        let mut proof = Proof {
            market: Market::new(stored.rules.clone()),
            journal: journal(tables).await?.into_iter(),
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
        let market = proof.end(&head);
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

/// Every journal entry as the tables have it, with its stored hash.
async fn journal(tables: &Transaction<'_>) -> Result<Vec<(Covered, Vec<u8>)>, StartError> {
    let sql = "SELECT e.id, e.command, e.at, e.reason, e.subject, e.hash,
                      array_agg(p.participant ORDER BY p.line),
                      array_agg(p.kind::text ORDER BY p.line),
                      array_agg(p.amount ORDER BY p.line)
                 FROM journal_entries e JOIN postings p ON p.entry = e.id
                GROUP BY e.id ORDER BY e.id";
    let covered = |row: &Row| {
        let (who, kinds): (Vec<i64>, Vec<String>) = (row.get(6), row.get(7));
        let amounts: Vec<i64> = row.get(8);
        let postings = who.into_iter().zip(kinds).zip(amounts);
        let covered = Covered {
            id: row.get(0),
            command: row.get(1),
            at: stored_instant(row, 2),
            reason: row.get(3),
            subject: row.get(4),
            postings: postings
                .map(|((who, kind), amount)| (who, kind, amount))
                .collect(),
        };
        (covered, row.get(5))
    };
    Ok(tables.query(sql, &[]).await?.iter().map(covered).collect())
}

struct Proof<'a> {
    market: Market,
    journal: std::vec::IntoIter<(Covered, Vec<u8>)>,
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
        let made = Covered::of(seq, event.at, entry);
        self.head = made.hash(&self.head);
        match self.journal.next() {
            Some((stored, hash)) if stored == made && hash == self.head => {}
            Some(_) => self
                .wrong
                .push(format!("entry {} is not what command {seq} gives", made.id)),
            None => self
                .wrong
                .push(format!("entry {} of command {seq} is missing", made.id)),
        }
    }

    fn end(mut self, head: &[u8]) -> Market {
        let more = self.journal.by_ref().count();
        if more > 0 {
            self.wrong
                .push(format!("{more} entries more than the commands give"));
        }
        if self.head != head {
            self.wrong
                .push("the engine's hash is not the last entry's".to_owned());
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
