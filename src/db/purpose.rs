//! What a database is for. The first program that uses it decides, and that stands: test money and
//! money that is real are never in one ledger.

use sqlx::PgConnection;

use super::DatabaseError;
use crate::clock;

/// What a database is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// People's money.
    Earnest,
    /// Test money: `serve --demo`.
    Demonstration,
    /// A replay's time.
    Replay,
}

impl Purpose {
    const ALL: [Self; 3] = [Self::Earnest, Self::Demonstration, Self::Replay];

    fn code(self) -> &'static str {
        match self {
            Self::Earnest => "earnest",
            Self::Demonstration => "demonstration",
            Self::Replay => "replay",
        }
    }

    /// What is said to whoever wants the database for something else.
    pub(super) fn refusal(self) -> &'static str {
        match self {
            Self::Earnest => {
                "this database has been served in earnest and is never a demonstration's or a \
                 replay's: name another database or data folder"
            }
            Self::Demonstration => {
                "this database is a demonstration's, with test money: serve it with --demo, or \
                 name another database or data folder"
            }
            Self::Replay => {
                "this database is a replay's, whose time is not people's: name another database"
            }
        }
    }
}

/// Decides what a database is for where nobody has, and holds it to that. Of two programs that
/// ask at the same time one decides.
///
/// # Errors
/// [`DatabaseError::Purpose`] when it is for something else; or the database fails.
pub async fn claim(db: &mut PgConnection, wanted: Purpose) -> Result<(), DatabaseError> {
    sqlx::query(
        "INSERT INTO purpose (purpose, decided_at) VALUES ($1, $2) ON CONFLICT (one) DO NOTHING",
    )
    .bind(wanted.code())
    .bind(jiff_sqlx::Timestamp::from(clock::wall()))
    .execute(&mut *db)
    .await?;
    let decided: String = sqlx::query_scalar("SELECT purpose FROM purpose")
        .fetch_one(db)
        .await?;
    let decided = Purpose::ALL.into_iter().find(|one| one.code() == decided);
    match decided {
        Some(decided) if decided == wanted => Ok(()),
        Some(decided) => Err(DatabaseError::Purpose(decided)),
        None => Err(DatabaseError::Purpose(Purpose::Earnest)),
    }
}
