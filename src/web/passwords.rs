//! Passwords: which are good enough, and their argon2id hashes, made a few at a time off the
//! threads that serve pages.

use std::sync::Arc;

use anyhow::anyhow;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

use super::error::Error;
use super::i18n::Locale;
use crate::app::App;

/// The fewest characters of a password.
pub const SHORTEST: usize = 15;

/// The most bytes of a password: more would only be work for nothing.
pub const LONGEST_BYTES: usize = 1024;

/// What an unknown name is verified against, so that it takes as long as a known one. It is the
/// hash of no password: of random bytes that were thrown away.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$gmBFrHPmIQu/5NHdnGPVmw$\
    ZkAWGI9KBW6OZRDt4t/H/LVUaYwRVsvuLAoP/lw1z+8";

/// Passwords of the required length that people choose most.
const COMMON: &str = include_str!("common_passwords.txt");

/// Why a password is refused; each has a sentence in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weak {
    /// Too few characters.
    Short,
    /// Too many bytes.
    Long,
    /// Among the first that anyone would try.
    Common,
}

impl Weak {
    /// The sentence at the field.
    pub fn text(self, locale: Locale) -> String {
        match self {
            Self::Short => locale.tr("sign_up.bad.short", [("n", &SHORTEST.to_string())]),
            Self::Long => locale.tr("sign_up.bad.long", [("n", &LONGEST_BYTES.to_string())]),
            Self::Common => locale.t("sign_up.bad.common").into_owned(),
        }
    }
}

/// Whether a password is good enough; there is no rule about its kinds of characters. The names
/// are its owner's.
///
/// # Errors
/// Why it is not.
pub fn check(password: &str, names: &[&str]) -> Result<(), Weak> {
    if password.chars().count() < SHORTEST {
        return Err(Weak::Short);
    }
    if password.len() > LONGEST_BYTES {
        return Err(Weak::Long);
    }
    let plain = password.to_lowercase();
    let is_run = |step: u32| {
        let chars: Vec<u32> = plain.chars().map(u32::from).collect();
        chars
            .windows(2)
            .all(|pair| pair[1].wrapping_sub(pair[0]) == step)
    };
    let is_repeat = (1..=plain.len() / 2)
        .any(|size| plain.is_char_boundary(size) && plain.replace(&plain[..size], "").is_empty());
    let is_name = names.iter().any(|name| {
        let name = name.to_lowercase();
        !name.is_empty() && plain.replace(&name, "").chars().count() < SHORTEST / 2
    });
    let is_common = COMMON.lines().any(|common| common == plain);
    if is_run(0) || is_run(1) || is_run(u32::MAX) || is_repeat || is_name || is_common {
        return Err(Weak::Common);
    }
    Ok(())
}

/// The hash to keep of a password.
///
/// # Errors
/// [`Error::Busy`] when too many wait.
pub async fn hash(app: &App, password: String) -> Result<String, Error> {
    bounded(app, move || hash_now(&password)).await?
}

/// The same at once, on this thread.
///
/// # Errors
/// When the system has no randomness.
pub fn hash_now(password: &str) -> Result<String, Error> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| Error::Internal(anyhow!("hashing a password: {error}")))
}

/// Whether a password has this hash; with none, whether it has nobody's: never.
///
/// # Errors
/// [`Error::Busy`] when too many wait.
pub async fn verify(app: &App, password: String, hash: Option<String>) -> Result<bool, Error> {
    bounded(app, move || {
        let is_known = hash.is_some();
        let hash = hash.as_deref().unwrap_or(NOBODY);
        let matches = PasswordHash::new(hash).is_ok_and(|hash| {
            Argon2::default()
                .verify_password(password.as_bytes(), &hash)
                .is_ok()
        });
        matches && is_known
    })
    .await
}

/// Does the work on a thread of its own once a permit is free. The permits move into the work, so
/// that a request that is dropped does not free them before it is done.
async fn bounded<T: Send + 'static>(
    app: &App,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let place = Arc::clone(&app.web.password_queue)
        .try_acquire_owned()
        .map_err(|_| Error::Busy)?;
    let permit = Arc::clone(&app.web.passwords)
        .acquire_owned()
        .await
        .map_err(|_| Error::Busy)?;
    let work = tokio::task::spawn_blocking(move || {
        let _held = (place, permit);
        work()
    });
    work.await
        .map_err(|error| Error::Internal(anyhow::Error::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_is_enough_and_obvious_is_not() {
        assert_eq!(check("correct horse battery", &["ada"]), Ok(()));
        assert_eq!(check("十五个字的密码也是可以的对不对呀", &[]), Ok(()));
        assert_eq!(check("fourteen chars", &[]), Err(Weak::Short));
        assert_eq!(check(&"ab cd ef ".repeat(200), &[]), Err(Weak::Long));
        for common in [
            "aaaaaaaaaaaaaaaa",
            "abcdefghijklmnopq",
            "987654321098765432109876543210",
            "passwordpassword",
            "Tinglan-AI-Tinglan-AI-1",
            "qwertyuiopasdfghjkl",
        ] {
            assert_eq!(
                check(common, &["tinglan-ai"]),
                Err(Weak::Common),
                "{common}"
            );
        }
    }

    #[test]
    fn nobodys_hash_costs_as_much_as_anybodys() {
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let ours = Argon2::default().hash_password(b"some password").unwrap();
        assert_eq!(nobody.algorithm, ours.algorithm);
        assert_eq!(nobody.params, ours.params);
    }
}
