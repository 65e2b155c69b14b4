//! What PostgreSQL says at the end of a replay, read back on a connection that wrote nothing.

use std::collections::BTreeMap;

use sqlx::Connection;

use super::fates::Tally;
use crate::db::{self, DatabaseError};

/// The ledger as the tables have it, in 1/10,000 yuan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Balances by kind of account.
    pub balances: BTreeMap<String, i64>,
    /// Postings by kind of account.
    pub postings: BTreeMap<String, i64>,
    /// Rows of trades, leases and settlements.
    pub rows: Rows,
}

/// How many rows tell of what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Rows {
    /// Commands.
    pub commands: i64,
    /// Trades.
    pub trades: i64,
    /// Leases.
    pub leases: i64,
    /// Leases that have ended.
    pub ended: i64,
    /// Settled hours.
    pub settlements: i64,
    /// Orders that are still open.
    pub open: i64,
}

/// Books that don't close.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the books do not close: {0}")]
pub struct NotClosed(String);

impl Books {
    /// Reads them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn read(url: &str) -> Result<Self, DatabaseError> {
        let mut connection = db::first_connection(url).await?;
        let balances: Vec<(String, i64)> =
            sqlx::query_as("SELECT kind::text, sum(amount)::bigint FROM balances GROUP BY kind")
                .fetch_all(&mut connection)
                .await?;
        let postings: Vec<(String, i64)> =
            sqlx::query_as("SELECT kind::text, sum(amount)::bigint FROM postings GROUP BY kind")
                .fetch_all(&mut connection)
                .await?;
        let rows: Rows = sqlx::query_as(
            "SELECT (SELECT count(*) FROM commands) AS commands,
                    (SELECT count(*) FROM trades) AS trades,
                    (SELECT count(*) FROM leases) AS leases,
                    (SELECT count(*) FROM leases WHERE ended) AS ended,
                    (SELECT count(*) FROM settlements) AS settlements,
                    (SELECT count(*) FROM orders WHERE done IS NULL) AS open",
        )
        .fetch_one(&mut connection)
        .await?;
        connection.close().await?;
        Ok(Self {
            balances: balances.into_iter().collect(),
            postings: postings.into_iter().collect(),
            rows,
        })
    }

    /// The sum of every posting.
    pub fn ledger_sum(&self) -> i64 {
        self.postings.values().sum()
    }

    /// Checks that nothing is held, escrowed, payable or pledged any more, that balances are the
    /// sums of postings, and that the tables tell of exactly what was answered.
    ///
    /// # Errors
    /// What contradicts that.
    pub fn check(&self, tally: &Tally) -> Result<(), NotClosed> {
        let balances: i64 = self.balances.values().sum();
        if self.ledger_sum() != 0 || balances != 0 || self.balances != self.postings {
            let (balances, postings) = (&self.balances, &self.postings);
            return Err(NotClosed(format!(
                "balances are {balances:?}, postings {postings:?}"
            )));
        }
        for kind in ["hold", "escrow", "payable", "bond"] {
            if let Some(left) = self.balances.get(kind).filter(|left| **left != 0) {
                return Err(NotClosed(format!("{left} are left in {kind}")));
            }
        }
        let told = Rows {
            commands: tally.commands,
            trades: tally.trades,
            leases: tally.leases,
            ended: tally.leases,
            settlements: tally.settled_hours,
            open: 0,
        };
        if self.rows != told {
            let found = self.rows;
            return Err(NotClosed(format!("answered {told:?}, stored {found:?}")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed() -> Books {
        let sums = BTreeMap::from([
            ("bank".to_owned(), -10),
            ("cash".to_owned(), 9),
            ("fees".to_owned(), 1),
            ("hold".to_owned(), 0),
        ]);
        Books {
            balances: sums.clone(),
            postings: sums,
            rows: Rows {
                commands: 3,
                ..Rows::default()
            },
        }
    }

    #[test]
    fn books_close_only_when_nothing_is_left_over() {
        let tally = Tally {
            commands: 3,
            ..Tally::default()
        };
        assert_eq!(closed().check(&tally), Ok(()));
        type Spoil = fn(&mut Books);
        let spoils: [Spoil; 4] = [
            |books| *books.balances.entry("cash".to_owned()).or_default() += 1,
            |books| *books.postings.entry("cash".to_owned()).or_default() -= 1,
            |books| {
                for sums in [&mut books.balances, &mut books.postings] {
                    sums.insert("escrow".to_owned(), 5);
                    sums.insert("bank".to_owned(), -15);
                }
            },
            |books| books.rows.trades = 1,
        ];
        for spoil in spoils {
            let mut books = closed();
            spoil(&mut books);
            assert!(books.check(&tally).is_err(), "{books:?}");
        }
    }
}
