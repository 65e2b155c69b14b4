//! Why the database can't be used, each a sentence.

use sqlx::migrate::MigrateError;

use super::embedded::EmbeddedError;
use super::purpose::Purpose;

/// Why the database can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The address is not one of PostgreSQL.
    #[error("the database address {0} can't be read: it looks like postgres://user@host:5432/name")]
    BadUrl(String),
    /// Nothing takes connections at the address.
    #[error("no database answers at {url}: {source}")]
    Absent {
        /// The address, without its password.
        url: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something takes the connection and then says nothing.
    #[error("the database at {0} does not answer")]
    Silent(String),
    /// The server is there and says no: unknown database, wrong password, too many connections.
    #[error("the database at {url} refuses: {said}")]
    Refused {
        /// The address, without its password.
        url: String,
        /// What the server said.
        said: String,
    },
    /// The server may lose what it said it kept.
    #[error(
        "the database may lose committed trades: `{setting}` is `{found}` and must be `{wanted}`"
    )]
    Unsafe {
        /// The name of the server's setting.
        setting: String,
        /// Its value.
        found: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// It is for something else than it is wanted for.
    #[error("{}", .0.refusal())]
    Purpose(Purpose),
    /// The schema was made by another version of the program.
    #[error("the database does not fit this program: {0}")]
    OtherSchema(MigrateError),
    /// A migration failed; its transaction was rolled back.
    #[error("bringing the database up to date failed: {0}")]
    Migration(MigrateError),
    /// The private PostgreSQL did not start or stop.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// Any other failure of a statement.
    #[error("the database failed: {0}")]
    Failed(#[from] sqlx::Error),
}

impl DatabaseError {
    /// Makes the sentence for a connection that did not come about.
    pub(super) fn connecting(url: &str, error: sqlx::Error) -> Self {
        let url = without_secrets(url);
        match error {
            sqlx::Error::Configuration(_) => Self::BadUrl(url),
            sqlx::Error::Io(source) => Self::Absent { url, source },
            sqlx::Error::Database(refusal) => Self::Refused {
                url,
                said: refusal.message().to_owned(),
            },
            other => Self::Refused {
                url,
                said: other.to_string(),
            },
        }
    }
}

/// A database address that may be shown: its password, if any, is replaced by `***`.
pub fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (address, query) = match rest.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (rest, None),
    };
    // The last `@` ends the login, so that a password with one in it is hidden whole. A slash
    // before it belongs to the password too.
    let address = match address.rsplit_once('@') {
        Some((login, host)) => match login.split_once(':') {
            Some((user, _)) => format!("{user}:***@{host}"),
            None => address.to_owned(),
        },
        None => address.to_owned(),
    };
    let separator = if scheme.is_empty() { "" } else { "://" };
    let Some(query) = query else {
        return format!("{scheme}{separator}{address}");
    };
    let shown: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((key, _)) if key.contains("pass") || key.contains("key") => format!("{key}=***"),
            _ => pair.to_owned(),
        })
        .collect();
    format!("{scheme}{separator}{address}?{}", shown.join("&"))
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn no_password_is_shown() {
        for (given, shown) in [
            ("postgres://u:p@h/d", "postgres://u:***@h/d"),
            ("postgres://u:p@ss/w@h:1/d", "postgres://u:***@h:1/d"),
            ("postgres://u@h/d", "postgres://u@h/d"),
            (
                "postgres://h/d?user=u&password=p",
                "postgres://h/d?user=u&password=***",
            ),
            ("u:p@h", "u:***@h"),
            ("postgres:///d", "postgres:///d"),
        ] {
            assert_eq!(without_secrets(given), shown);
        }
    }
}
