//! Second factors: codes by time (RFC 6238), and recovery codes for whoever has lost the device.
//!
//! A code by time has six digits and a step of 30 seconds. Besides its own step it is taken one
//! step early and one step late, for clocks that are apart and for slow hands; no further. The
//! step of the last code taken is kept, so none is taken twice, nor an older one after it. Both
//! kinds may be typed with spaces, hyphens and the full-width digits of a Chinese keyboard.

mod store;

use qrcode::{Color, EcLevel, QrCode};
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use totp_rs::{Builder, Totp};
use unicode_normalization::UnicodeNormalization;

use super::error::Error;

pub use store::{State, begin, confirm, confirm_new, forget, recovery_codes, state, take};

/// How many recovery codes a person gets.
pub const CODES: usize = 10;

/// How many wrong codes in a row until only a recovery code is taken.
pub const MOST_FAILURES: i32 = 100;

/// The digits of recovery codes: none that is taken for another (Crockford's).
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// How many of them a code has: 5 bits each, 100 bits.
const LENGTH: usize = 20;

/// What a person and their device share.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 20]);

/// Which code was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// One by time.
    Time,
    /// A recovery code; so many are left.
    Recovery(i64),
}

/// A square of dark and light fields, as the path of its dark ones.
#[derive(Clone, Debug)]
pub struct Square {
    /// Fields from edge to edge, the white border included.
    pub size: usize,
    /// For the `d` of an SVG path.
    pub path: String,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("Secret")
    }
}

impl Secret {
    /// A new one, of 160 random bits.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new() -> Result<Self, Error> {
        Ok(Self(random()?))
    }

    /// As text, in groups of four, for a device that can't scan.
    pub fn text(&self) -> String {
        grouped(&self.totp("").secret().to_base32())
    }

    /// What a device scans, for this sign-in name.
    pub fn url(&self, login: &str) -> String {
        self.totp(login).to_url().unwrap_or_default()
    }

    /// The same as a picture.
    pub fn square(&self, login: &str) -> Option<Square> {
        let code = QrCode::with_error_correction_level(self.url(login), EcLevel::L).ok()?;
        let width = code.width();
        let mut path = String::new();
        for (place, color) in code.to_colors().into_iter().enumerate() {
            if color == Color::Dark {
                let (x, y) = (place % width + BORDER, place / width + BORDER);
                path.push_str(&format!("M{x} {y}h1v1h-1z"));
            }
        }
        Some(Square {
            size: width + 2 * BORDER,
            path,
        })
    }

    /// The step of this code, if it is one of those that are taken at `now`.
    pub fn step_of(&self, typed: &str, now: jiff::Timestamp) -> Option<i64> {
        let code = plain(typed);
        let is_code = code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit());
        let now = u64::try_from(now.as_second()).ok()?;
        let step = self.totp("").check(&code, now).filter(|_| is_code)?;
        i64::try_from(step).ok()
    }

    fn totp(&self, login: &str) -> Totp {
        // A label is split at its colon, and one longer than that fits no square.
        let name: String = login.replace(':', " ").chars().take(64).collect();
        Builder::new()
            .with_secret(self.0.to_vec())
            .with_skew(1)
            .with_issuer(Some("Sluice"))
            .with_account_name(name)
            .build_noncompliant()
    }
}

/// How wide the white border is that a camera needs.
const BORDER: usize = 4;

/// New recovery codes, as a person keeps them.
///
/// # Errors
/// When the system has no randomness.
fn new_codes() -> Result<Vec<String>, Error> {
    let new = || {
        let bytes: [u8; LENGTH] = random()?;
        let digits = bytes
            .iter()
            .map(|byte| char::from(DIGITS[usize::from(byte % 32)]));
        Ok(grouped(&digits.collect::<String>()))
    };
    (0..CODES).map(|_| new()).collect()
}

/// What the tables know a recovery code by; none of what can't be one.
fn hash(typed: &str) -> Option<[u8; 32]> {
    let code: String = plain(typed)
        .to_uppercase()
        .chars()
        .map(|digit| match digit {
            'O' => '0',
            'I' | 'L' => '1',
            digit => digit,
        })
        .collect();
    let is_code = code.len() == LENGTH && code.bytes().all(|byte| DIGITS.contains(&byte));
    is_code.then(|| Sha256::digest(code.as_bytes()).into())
}

/// What was typed as the one who typed it means it: narrow, without what only groups.
fn plain(typed: &str) -> String {
    let is_group = |c: &char| c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}');
    let narrow = typed.chars().take(200).nfkc();
    narrow.filter(|c| !is_group(c)).collect()
}

fn grouped(text: &str) -> String {
    let mut out = String::new();
    for (place, c) in text.chars().enumerate() {
        if place > 0 && place % 4 == 0 {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SysRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| Error::Internal(anyhow::Error::new(error).context("reading random")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 6238's appendix B.
    const SECRET: Secret = Secret(*b"12345678901234567890");

    fn at(second: i64) -> jiff::Timestamp {
        jiff::Timestamp::from_second(second).expect("an instant")
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        // The last six of its eight digits.
        for (second, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
        ] {
            assert_eq!(SECRET.step_of(code, at(second)), Some(second / 30));
        }
    }

    #[test]
    fn a_code_is_taken_one_step_early_or_late_and_no_further() {
        let code = "081804";
        let second = 1_111_111_109;
        let taken = |apart: i64| SECRET.step_of(code, at(second + apart)).is_some();
        assert!(taken(-30) && taken(0) && taken(30));
        assert!(!taken(-60) && !taken(60));
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        let now = at(1_111_111_109);
        for typed in [
            "081 804",
            " 081804 ",
            "０８１８０４",
            "081-804",
            "０81\u{3000}804",
        ] {
            assert!(SECRET.step_of(typed, now).is_some(), "{typed}");
        }
        for typed in ["", "81804", "0081804", "081804a", "+81804", "081,804"] {
            assert_eq!(SECRET.step_of(typed, now), None, "{typed}");
        }
    }

    #[test]
    fn recovery_codes_are_many_bits_and_forgive_what_looks_alike() {
        let codes = new_codes().expect("randomness");
        assert_eq!(codes.len(), CODES);
        let code = &codes[0];
        assert_eq!(code.len(), LENGTH + 4);
        let hashed = hash(code).expect("it is one");
        assert_eq!(hash(&code.to_lowercase().replace(' ', "-")), Some(hashed));
        assert_eq!(
            hash(&code.replace('0', "o").replace('1', "l")),
            Some(hashed)
        );
        assert_ne!(hash(&codes[1]), Some(hashed));
        assert_eq!(hash("081804"), None);
        assert_eq!(hash(&"U".repeat(LENGTH)), None);
    }

    #[test]
    fn a_device_is_told_whose_code_it_is() {
        let url = SECRET.url("ada@example.org");
        assert!(url.starts_with("otpauth://totp/Sluice:ada"), "{url}");
        assert!(url.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"));
        assert_eq!(SECRET.text(), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
        let odd = SECRET.url(&format!("a:b{}", "算".repeat(300)));
        assert!(odd.starts_with("otpauth://"), "{odd}");
        let square = SECRET.square(&"算".repeat(300)).expect("a square");
        assert!(square.size > 21 && square.path.starts_with('M'));
    }
}
