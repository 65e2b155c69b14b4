//! The people whom anyone may sign in as, to see the market from every side.
//!
//! Their passwords come from the operating system, once for each database, and are printed at each
//! start. They can't be where the database is not a demonstration's (migrations/0061).

use std::fmt;

use anyhow::{Context, anyhow};
use data_encoding::BASE32_NOPAD;
use market::ParticipantId;
use rand::TryRng;
use rand::rngs::SysRng;
use sqlx::PgPool;

use super::store;
use crate::web::{Role, passwords};

/// For whom one of them acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Buyer,
    Provider,
    Platform,
}

/// One of them: the sign-in name, for whom, and as what.
struct Person(&'static str, Side, Role);

/// All of them. The platform's powers are apart, so certifying and ruling, which takes two, are
/// three people.
const PEOPLE: [Person; 6] = [
    Person("demo-buyer", Side::Buyer, Role::Owner),
    Person("demo-provider", Side::Provider, Role::Owner),
    Person("demo-operations", Side::Platform, Role::Operations),
    Person("demo-arbiter-1", Side::Platform, Role::Arbiter),
    Person("demo-arbiter-2", Side::Platform, Role::Arbiter),
    Person("demo-auditor", Side::Platform, Role::Auditor),
];

/// A row to be: who signs in with what.
pub(super) struct NewLogin {
    pub(super) place: i16,
    pub(super) login: &'static str,
    pub(super) participant: ParticipantId,
    pub(super) role: Role,
    pub(super) password: String,
    pub(super) password_hash: String,
    /// The secret of the second factor, for those who need one.
    pub(super) secret: Option<[u8; 20]>,
}

/// How one of them signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The sign-in name.
    pub login: String,
    /// The roles, as `owner` or `arbiter`.
    pub role: String,
    /// For whom, by name.
    pub participant: String,
    /// The password, unless the person has changed it.
    pub password: Option<String>,
    /// The secret of the second factor, in base 32, where there is one.
    pub secret: Option<String>,
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.password.as_deref().unwrap_or("(changed since)");
        write!(f, "  {:<16} {password:<23}", self.login)?;
        match &self.secret {
            Some(secret) => write!(f, " TOTP {secret}"),
            None => write!(f, " {} of {}", self.role, self.participant),
        }
    }
}

/// Makes those who are not there yet, and gives all as they sign in.
///
/// # Errors
/// When the system has no random bytes, or the database fails.
pub(super) async fn prepare(
    db: &PgPool,
    buyer: ParticipantId,
    provider: ParticipantId,
) -> anyhow::Result<Vec<Login>> {
    let known = store::login_places(db).await?;
    for (Person(login, side, role), place) in PEOPLE.into_iter().zip(1..) {
        if known.contains(&place) {
            continue;
        }
        let participant = match side {
            Side::Buyer => buyer,
            Side::Provider => provider,
            Side::Platform => ParticipantId::MARKETPLACE,
        };
        let password = password()?;
        let password_hash = passwords::hash_now(&password).map_err(|error| anyhow!(error))?;
        let new = NewLogin {
            place,
            login,
            participant,
            role,
            password,
            password_hash,
            secret: match side {
                Side::Platform => Some(random()?),
                Side::Buyer | Side::Provider => None,
            },
        };
        store::add_login(db, new).await?;
    }
    let rows = store::logins(db).await?;
    let shown = rows.into_iter().map(|row| Login {
        login: row.login,
        role: row.role,
        participant: row.participant,
        password: row.password,
        secret: row.secret.map(|secret| BASE32_NOPAD.encode(&secret)),
    });
    Ok(shown.collect())
}

/// Four groups of four letters and digits: 80 bits.
fn password() -> anyhow::Result<String> {
    let letters = BASE32_NOPAD.encode(&random::<10>()?).to_lowercase();
    let mut groups = String::new();
    for (place, letter) in letters.chars().enumerate() {
        if place > 0 && place % 4 == 0 {
            groups.push('-');
        }
        groups.push(letter);
    }
    Ok(groups)
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    SysRng
        .try_fill_bytes(&mut bytes)
        .context("reading random bytes")?;
    Ok(bytes)
}
