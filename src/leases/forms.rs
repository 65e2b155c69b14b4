//! What is typed to add a key, and to choose what a lease is to find started.

use market::catalogue::Grade;
use market::{LeaseId, Money, Rejection};
use serde::Deserialize;
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, PublicKey};

use super::fragments::Stage;
use super::queries::Filter;
use crate::web::form::whole;
use crate::web::image::Image;
use crate::web::window::Window;
use crate::web::{FieldErrors, Locale};

/// The most characters that a key's name has.
const LONGEST_NAME: usize = 60;

/// The most bytes that a public key has; one of RSA with 16,384 bits has fewer.
const LARGEST_KEY: usize = 4096;

/// The fewest bits of an RSA key that is taken.
const RSA_BITS: usize = 2048;

/// How a private key shows: the head of its file, with or without the line round it.
const PRIVATE: [&str; 3] = ["private key", "putty-user-key-file", "b3blbnnzac1rzxktdjea"];

/// A key as it was typed.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct KeyForm {
    pub(super) name: String,
    pub(super) public_key: String,
    pub(super) back: String,
}

/// A key that can be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewKey {
    pub(super) name: String,
    pub(super) algorithm: String,
    pub(super) public_key: String,
    pub(super) fingerprint: String,
}

impl KeyForm {
    /// Whether a private key stands in it, in whichever field: then nothing of it is to be kept,
    /// shown or logged.
    pub(super) fn has_secret(&self) -> bool {
        [&self.name, &self.public_key].into_iter().any(|typed| {
            let typed = typed.to_lowercase();
            PRIVATE.iter().any(|mark| typed.contains(mark))
        })
    }

    /// The key, or what is wrong with it.
    pub(super) fn read(&self, locale: Locale) -> Result<NewKey, FieldErrors> {
        let mut errors = FieldErrors::default();
        let mut wrong = |field, key: &str| errors.add(field, locale.t(key));
        let typed = self.public_key.trim();
        let key = match typed {
            "" => Err("key.bad.missing"),
            _ if typed.len() > LARGEST_KEY => Err("key.bad.large"),
            _ if typed.lines().filter(|line| !line.trim().is_empty()).count() > 1
                && !typed.starts_with("--") =>
            {
                Err("key.bad.several")
            }
            _ if typed.starts_with("--") => Err("key.bad.pem"),
            _ => PublicKey::from_openssh(typed).map_err(|_| "key.bad.unreadable"),
        };
        let algorithm = match &key {
            Ok(key) => algorithm(key.key_data()),
            Err(why) => Err(*why),
        };
        if let Err(why) = algorithm {
            wrong("public_key", why);
        }
        let comment = key.as_ref().map(PublicKey::comment).unwrap_or_default();
        let name = match self.name.trim() {
            "" => shortened(comment),
            name => Some(name.to_owned()).filter(|name| is_name(name)),
        };
        if name.is_none() {
            wrong("name", "key.bad.name");
        }
        match (key, algorithm, name) {
            (Ok(mut key), Ok(algorithm), Some(name)) => {
                let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
                key.set_comment("");
                let Ok(public_key) = key.to_openssh() else {
                    wrong("public_key", "key.bad.unreadable");
                    return Err(errors);
                };
                Ok(NewKey {
                    name: if name.is_empty() {
                        algorithm.clone()
                    } else {
                        name
                    },
                    algorithm,
                    public_key: public_key.trim_end().to_owned(),
                    fingerprint,
                })
            }
            _ => Err(errors),
        }
    }
}

/// What kind of key it is, or why none of it is taken.
fn algorithm(key: &KeyData) -> Result<String, &'static str> {
    match (key.algorithm(), key) {
        (Algorithm::Dsa, _) => Err("key.bad.dsa"),
        (_, KeyData::Rsa(key)) => {
            let bytes = key.n.as_positive_bytes().unwrap_or_default();
            let leading = bytes.first().map_or(0, |byte| byte.leading_zeros());
            let bits = (bytes.len() * 8).saturating_sub(leading.try_into().unwrap_or(0));
            if bits < RSA_BITS {
                Err("key.bad.rsa")
            } else {
                Ok(format!("RSA {bits}"))
            }
        }
        (Algorithm::Ed25519, _) => Ok("Ed25519".to_owned()),
        (Algorithm::SkEd25519, _) => Ok("Ed25519-SK".to_owned()),
        (Algorithm::Ecdsa { curve }, _) => Ok(match curve {
            EcdsaCurve::NistP256 => "ECDSA P-256".to_owned(),
            EcdsaCurve::NistP384 => "ECDSA P-384".to_owned(),
            EcdsaCurve::NistP521 => "ECDSA P-521".to_owned(),
        }),
        (Algorithm::SkEcdsaSha2NistP256, _) => Ok("ECDSA-SK P-256".to_owned()),
        _ => Err("key.bad.kind"),
    }
}

/// Whether a name can be shown as it is: short, and without what changes the look of a line.
pub(super) fn is_name(name: &str) -> bool {
    let is_plain = |one: char| {
        let bends = matches!(one, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        !one.is_control() && !bends
    };
    (1..=LONGEST_NAME).contains(&name.chars().count()) && name.chars().all(is_plain)
}

/// What of a key's comment can be its name; an empty one where nothing can.
fn shortened(comment: &str) -> Option<String> {
    let short: String = comment.trim().chars().take(LONGEST_NAME).collect();
    Some(if is_name(&short) {
        short
    } else {
        String::new()
    })
}

/// Which part of a participant's leases is looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ListQuery {
    state: String,
    before: String,
}

impl ListQuery {
    /// What it narrows the list to; what can't be read is as if it were not there.
    pub(super) fn filter(&self) -> Filter {
        let mut stages = Stage::FILTERS.into_iter();
        Filter {
            stage: stages.find(|stage| stage.name() == self.state),
            before: self.before.parse().ok(),
        }
    }

    /// The address of a list that is narrowed like this.
    pub(super) fn address(stage: Option<Stage>, before: Option<LeaseId>) -> String {
        let stage = stage.map(|stage| format!("state={}", stage.name()));
        let before = before.map(|lease| format!("before={lease}"));
        let query: Vec<String> = [stage, before].into_iter().flatten().collect();
        if query.is_empty() {
            "/leases".to_owned()
        } else {
            format!("/leases?{}", query.join("&"))
        }
    }
}

/// A key's new name.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Rename {
    pub(super) name: String,
}

/// What is chosen in place of a key that is chosen later.
pub(super) const LATER: &str = "later";

/// What a lease is to find started, as it was chosen.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AccessForm {
    pub(super) image: String,
    pub(super) ssh_key: String,
}

impl AccessForm {
    /// The image's code and the key's number, or what is wrong with them.
    pub(super) fn read(
        &self,
        locale: Locale,
        grade: Option<&Grade>,
        keys: &[i64],
    ) -> Result<(&'static str, Option<i64>), FieldErrors> {
        let mut errors = FieldErrors::default();
        let image = Image::of(&self.image).filter(|image| image.fits(grade));
        if image.is_none() {
            errors.add("image", locale.t("access.bad.image"));
        }
        let key = match self.ssh_key.as_str() {
            LATER => Some(None),
            typed => whole(typed).filter(|key| keys.contains(key)).map(Some),
        };
        if key.is_none() {
            errors.add("ssh_key", locale.t("access.bad.key"));
        }
        match (image, key) {
            (Some(image), Some(key)) => Ok((&image.code, key)),
            _ => Err(errors),
        }
    }
}

/// Which hours of a lease are to be handed back, as they were typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HandBack {
    pub(super) day: String,
    pub(super) hour: String,
    pub(super) hours: String,
    /// What the button said would return.
    pub(super) back: String,
}

impl HandBack {
    /// The hours that it names; what it leaves out is as in `like`.
    pub(super) fn read(&self, locale: Locale, like: &Window) -> Result<Window, FieldErrors> {
        let window = Window::read(&self.day, &self.hour, &self.hours, like);
        window.map_err(|field| {
            let mut errors = FieldErrors::default();
            let key = format!("ticket.bad.{}", field.name());
            errors.add(field.name(), locale.t(key));
            errors
        })
    }

    /// Whether the button named this amount.
    pub(super) fn names(&self, back: Money) -> bool {
        self.back.parse::<Money>().is_ok_and(|named| named == back)
    }
}

/// The field that a refused hand-back is about; none for what is about all of it.
pub(super) fn field_of(rejection: Rejection) -> Option<&'static str> {
    match rejection {
        Rejection::PeriodStarted | Rejection::TooLate | Rejection::BadPeriod => Some("day"),
        Rejection::OutsideLease => Some("hours"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = include_str!("../../tests/keys/ed25519.pub");

    fn read(name: &str, public_key: &str) -> Result<NewKey, FieldErrors> {
        let form = KeyForm {
            name: name.to_owned(),
            public_key: public_key.to_owned(),
            back: String::new(),
        };
        form.read(Locale::En)
    }

    #[test]
    fn a_key_is_known_by_its_fingerprint_and_named_by_its_comment() {
        let key = read("", ED25519).unwrap();
        assert_eq!((&*key.name, &*key.algorithm), ("ci@tinglan", "Ed25519"));
        // As `ssh-keygen -lf` says it.
        assert_eq!(
            key.fingerprint,
            "SHA256:UCUiLr7Pjs9wFFJMDByLgc3NrtdU344OgUM45wZPcIQ"
        );
        assert!(!key.public_key.contains("tinglan"), "{}", key.public_key);
        assert_eq!(read("夜间训练", ED25519).unwrap().name, "夜间训练");
        let bare = ED25519.rsplit_once(' ').unwrap().0;
        assert_eq!(read(" ", bare).unwrap().name, "Ed25519");
        let rsa = read("", include_str!("../../tests/keys/rsa_2048.pub")).unwrap();
        assert_eq!(
            (&*rsa.algorithm, &*rsa.fingerprint),
            (
                "RSA 2048",
                "SHA256:lcIP5Rw8SvVaDJMLGvk0c8p4BUZARn904D/T1UU6tLM"
            )
        );
        let ecdsa = read("", include_str!("../../tests/keys/ecdsa.pub")).unwrap();
        assert_eq!(ecdsa.algorithm, "ECDSA P-256");
    }

    #[test]
    fn a_weak_key_is_refused_with_its_reason() {
        let said = |key: &str| {
            let errors = read("", key).unwrap_err();
            errors.get("public_key").unwrap_or_default().to_owned()
        };
        let rsa = said(include_str!("../../tests/keys/rsa_1024.pub"));
        assert!(rsa.contains("2048"), "{rsa}");
        let dsa = said(include_str!("../../tests/keys/dsa.pub"));
        assert!(dsa.contains("DSA"), "{dsa}");
    }

    #[test]
    fn what_is_no_key_is_said_and_never_taken() {
        let twice = format!("{ED25519}\n{ED25519}");
        let options = format!("command=\"/bin/sh\" {ED25519}");
        let long = format!("{} {}", ED25519.trim(), "x".repeat(LARGEST_KEY));
        for typed in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 AAAA",
            "hello there",
            "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA",
            &twice,
            &options,
            &long,
        ] {
            let errors = read("", typed).unwrap_err();
            assert!(errors.get("public_key").is_some(), "{typed}");
        }
        for name in [
            "x".repeat(61),
            "a\u{202e}b".to_owned(),
            "a\u{7}b".to_owned(),
        ] {
            let errors = read(&name, ED25519).unwrap_err();
            assert!(errors.get("name").is_some(), "{name:?}");
        }
    }

    #[test]
    fn a_private_key_is_seen_wherever_it_stands() {
        for (name, public_key) in [
            ("", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz"),
            ("", "-----BEGIN RSA PRIVATE KEY-----"),
            ("", "PuTTY-User-Key-File-3: ssh-ed25519"),
            ("", "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU"),
            ("-----BEGIN PRIVATE KEY-----", ED25519),
        ] {
            let form = KeyForm {
                name: name.to_owned(),
                public_key: public_key.to_owned(),
                back: String::new(),
            };
            assert!(form.has_secret(), "{name} {public_key}");
        }
        let form = KeyForm {
            name: "private laptop".to_owned(),
            public_key: ED25519.to_owned(),
            back: String::new(),
        };
        assert!(!form.has_secret());
    }
}
