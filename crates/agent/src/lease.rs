//! What a machine is asked to hand out, what it says of that, and the border of what does it.
//!
//! A *connector* hands leases out by the means of one kind of machine. Each is a module that takes
//! and gives the nouns below, by four acts that can be cut short anywhere and done again:
//! `prepare` (the holder can get in), `units` (how many units run and let the holder in, now),
//! `close` (nobody can get in, nothing of it runs, its files stay) and `wipe` (nothing of it is
//! left). [`Connector`](crate::connector::Connector) is the choice of one.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A lease, or an agent's part of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// Its number: 12 for `l12`.
    pub lease: u64,
    /// What the exchange wants of it.
    pub want: Want,
    /// How many units of it are on this machine.
    pub units: u32,
    /// When it begins.
    pub start: Timestamp,
    /// When access ends, unless a later one is named before.
    pub end: Timestamp,
    /// When its files go.
    pub wipe: Timestamp,
    /// The holder's SSH keys: these and no others let in, from its start on.
    pub keys: Vec<HolderKey>,
    /// The keys of the exchange's probes. They let in from the preparation on, and do nothing but
    /// look at what the lease sees from inside.
    #[serde(default)]
    pub probes: Vec<HolderKey>,
    /// What all of it together may use.
    pub limits: Limits,
}

impl Lease {
    /// The same before its hour has come: ready, for probes to look at, and not yet its holder's.
    pub fn before_its_start(&self) -> Self {
        Self {
            keys: Vec::new(),
            ..self.clone()
        }
    }
}

/// What the exchange wants of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// The holder is to get in from now to its end.
    There,
    /// It is over now, whatever its end said; files stay to `wipe`.
    Over,
}

/// What all processes of a lease together may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Processor time, in thousandths of a core.
    pub cpu_millis: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// How many processes and threads.
    pub processes: u32,
}

/// One public SSH key: its kind and its body, and nothing that `sshd` would take for an option.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HolderKey {
    kind: String,
    body: String,
}

/// What is no SSH key that is let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no public SSH key of one line, of a kind that is taken")]
pub struct NoHolderKey;

/// The kinds of keys that let in.
const KINDS: [&str; 7] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

impl TryFrom<String> for HolderKey {
    type Error = NoHolderKey;

    /// Reads a line as `ssh-keygen` writes it; what stands behind the key is left out.
    fn try_from(line: String) -> Result<Self, NoHolderKey> {
        if line.contains(['\n', '\r', '\0']) {
            return Err(NoHolderKey);
        }
        let mut words = line.split([' ', '\t']);
        let kind = words
            .next()
            .and_then(|kind| KINDS.iter().find(|one| **one == kind));
        let (kind, body) = kind.zip(words.next()).ok_or(NoHolderKey)?;
        let bytes = data_encoding::BASE64
            .decode(body.as_bytes())
            .map_err(|_| NoHolderKey)?;
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or(NoHolderKey)?;
        let named = usize::try_from(u32::from_be_bytes(*length)).ok();
        let named = named.and_then(|length| rest.get(..length));
        if named != Some(kind.as_bytes()) {
            return Err(NoHolderKey);
        }
        Ok(Self {
            kind: (*kind).to_owned(),
            body: body.to_owned(),
        })
    }
}

impl From<HolderKey> for String {
    fn from(key: HolderKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for HolderKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.kind, self.body)
    }
}

/// The holder's way in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The name to sign in with.
    pub user: String,
    /// The port of SSH.
    pub port: u16,
    /// The public key by which the machine is known, as `ssh-keygen` writes it.
    pub host_key: String,
}

/// What ran of a lease when it was closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// How many processes were ended, the way in included.
    pub processes: u64,
    /// The names of those that had left the lease's group of processes: the first [`MOST_NAMES`].
    pub escaped: Vec<String>,
    /// How many those were.
    #[serde(default)]
    pub escaped_count: u64,
    /// The names of those that were ended since they held a port that a door is opened on, with the
    /// port: the first [`MOST_NAMES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    /// What a scheduler said of the lease's jobs, and what was found in its place: the first
    /// [`MOST_NAMES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<EndedJob>,
}

/// The most names of processes that are kept, and of each the most characters. Holders name their
/// processes, and start as many as they like.
pub const MOST_NAMES: usize = 50;
pub(crate) const LONGEST_NAME: usize = 64;

impl Closed {
    /// Notes processes that had left the lease's group.
    pub(crate) fn note_escaped(&mut self, names: &[String]) {
        self.escaped_count += names.len() as u64;
        note(&mut self.escaped, names);
    }
}

/// Adds names, as many as are kept of them.
pub(crate) fn note(kept: &mut Vec<String>, names: &[String]) {
    let room = MOST_NAMES.saturating_sub(kept.len());
    let names = names.iter().take(room);
    kept.extend(names.map(|name| printable(name, LONGEST_NAME)));
}

/// A text of at most so many characters, with nothing in it that would do something to a terminal.
pub(crate) fn printable(text: &str, most: usize) -> String {
    let shown = |one: char| if one.is_control() { '\u{fffd}' } else { one };
    text.chars().take(most).map(shown).collect()
}

/// A scheduler's job of a lease, once it was to have ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedJob {
    /// Its number.
    pub job: u32,
    /// Where it stands by the scheduler's word, when that was waited for: `CANCELLED`, or what it
    /// still said when it had been waited for long enough; `UNKNOWN` where it did not answer.
    pub said: String,
    /// The names of its processes that ran on all the same, and were ended by the agent. They are
    /// among those that escaped.
    pub alive: Vec<String>,
}

/// The wipe record: what was removed of a lease, and what could not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wiped {
    /// The account that it had.
    pub account: String,
    /// Its number.
    pub uid: u32,
    /// Files, links and folders.
    pub entries: u64,
    /// Bytes of files; one with several names counts for each.
    pub bytes: u64,
    /// When it was begun.
    pub began: Timestamp,
    /// When it was looked at once more, and nothing was found.
    pub done: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

    #[test]
    fn names_are_as_many_and_as_long_as_are_kept_and_show_as_text() {
        let mut closed = Closed::default();
        for _ in 0..2 {
            let names: Vec<String> = (0..40).map(|_| "\u{1b}[2J".repeat(30)).collect();
            closed.note_escaped(&names);
        }
        assert_eq!((closed.escaped.len(), closed.escaped_count), (50, 80));
        let short = |name: &String| name.chars().count() == 64 && !name.contains('\u{1b}');
        assert!(closed.escaped.iter().all(short), "{closed:?}");
        let text = serde_json::to_string(&closed).expect("JSON");
        assert!(text.len() < 8 << 10, "{}", text.len());
    }

    #[test]
    fn a_key_is_one_line_without_options() {
        let read = |line: &str| HolderKey::try_from(line.to_owned()).map(|key| key.to_string());
        assert_eq!(read(KEY), Ok(KEY.to_owned()));
        assert_eq!(
            read(&format!("{KEY} somebody@somewhere")),
            Ok(KEY.to_owned())
        );
        for wrong in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 ",
            "ssh-dss AAAAB3NzaC1kc3M=",
            // The body is of another kind, or cut short.
            &KEY.replace("ssh-ed25519 ", "ssh-rsa "),
            "ssh-ed25519 AAAAC3Nz",
            "ssh-ed25519 AAAA",
            // Options, before the key or behind another line.
            &format!("command=\"/bin/sh\" {KEY}"),
            &format!("{KEY}\ncommand=\"/bin/sh\" {KEY}"),
            &format!("{KEY}\r{KEY}"),
            &format!("{KEY} somebody\n{KEY}"),
        ] {
            assert_eq!(read(wrong), Err(NoHolderKey), "{wrong}");
        }
    }
}
