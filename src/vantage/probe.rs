//! One probe: whether a lease's door is there, is the machine's own, lets in, and what the lease
//! has behind it. Each is bounded in time and size, whatever is at the other end.

use std::borrow::Cow;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reading::AgentKey;
use russh::client::{self, AuthResult, Handle};
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{
    Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate,
};
use russh::{ChannelMsg, Disconnect};
use serde_json::{Value, json};
use sluice_agent::look::Look;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::reach::Reach;
use crate::delivery::probes::{MOST_EVIDENCE, Outcome, Reason, Target};

/// Within which times a machine has to answer.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// To take a connection.
    pub connect: Duration,
    /// To show its key and let in.
    pub sign_in: Duration,
    /// To say all that the lease sees.
    pub look: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            sign_in: Duration::from_secs(10),
            look: Duration::from_secs(10),
        }
    }
}

/// The most bytes of a look that are read.
const MOST_LOOK: usize = 64 << 10;

/// How many addresses of a name are tried.
const MOST_ADDRESSES: usize = 4;

/// The most characters of what somebody else says that are kept.
const MOST_SAID: usize = 200;

/// What makes probes.
#[derive(Clone, Debug)]
pub struct Prober {
    key: Arc<PrivateKey>,
    patience: Patience,
    reach: Reach,
}

/// Why a probe failed, and what shows it.
type Failed = (Reason, Value);

impl Prober {
    /// With this key, which doors know.
    pub fn new(key: &AgentKey, patience: Patience, reach: Reach) -> Self {
        let pair = Ed25519Keypair::from_seed(&key.secret());
        let key = PrivateKey::new(KeypairData::Ed25519(pair), "vantage");
        Self {
            key: Arc::new(key.expect("a key that is not encrypted")),
            patience,
            reach,
        }
    }

    /// Tries a way in. What comes of it is the same where the same is found, to the letter: it says
    /// no times.
    pub async fn probe(&self, target: &Target) -> Outcome {
        let (reason, evidence) = match self.look(target).await {
            Ok(look) => {
                let lacks = look.lacks(&target.needs);
                match lacks.is_empty() {
                    true => (Reason::Passed, json!({ "saw": look })),
                    false => (Reason::NotTheGrade, json!({ "saw": look, "lacks": lacks })),
                }
            }
            Err(failed) => failed,
        };
        Outcome {
            stay: target.stay,
            host: target.host,
            reason,
            evidence: bounded(evidence),
        }
    }

    async fn look(&self, target: &Target) -> Result<Look, Failed> {
        let expected = PublicKey::from_openssh(&target.host_key)
            .map_err(|error| said(Reason::HostKey, error))?;
        let stream = timeout(self.patience.connect, self.connect(target));
        let stream = stream.await.map_err(|_| in_time("taken a connection"))??;
        // Whatever is going on at the other end, it ends with this probe.
        let (stream, _shut) = shut_at_the_end(stream).map_err(|e| said(Reason::Unreachable, e))?;
        let signing_in = timeout(
            self.patience.sign_in,
            self.sign_in(stream, target, expected),
        );
        let session = signing_in.await.map_err(|_| in_time("let in"))??;
        let looking = timeout(self.patience.look, run(&session));
        let silent = |_| (Reason::Silent, json!({ "said": "nothing in time" }));
        let text = looking.await.map_err(silent)??;
        let _ = session.disconnect(Disconnect::ByApplication, "", "").await;
        serde_json::from_slice(&text).map_err(|error| said(Reason::Unreadable, error))
    }

    async fn connect(&self, target: &Target) -> Result<TcpStream, Failed> {
        let unreachable = |error: &dyn std::fmt::Display| said(Reason::Unreachable, error);
        let found = tokio::net::lookup_host((target.address.as_str(), target.port)).await;
        let found = found.map_err(|_| unreachable(&"there is no machine of this name"))?;
        let mut last = unreachable(&"its address is of a private network");
        let may = |address: &SocketAddr| self.reach.may(address.ip());
        for address in found.filter(may).take(MOST_ADDRESSES) {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = unreachable(&error.kind()),
            }
        }
        Err(last)
    }

    async fn sign_in(
        &self,
        stream: TcpStream,
        target: &Target,
        expected: PublicKey,
    ) -> Result<Handle<Known>, Failed> {
        let config = Arc::new(config(&expected));
        let known = Known { expected };
        let mut session = client::connect_stream(config, stream, known).await?;
        let key = PrivateKeyWithHashAlg::new(self.key.clone(), None);
        let let_in = session.authenticate_publickey(&target.login, key).await;
        match let_in.map_err(Wrong::Ssh)? {
            AuthResult::Success => Ok(session),
            AuthResult::Failure { .. } => Err((Reason::Refused, json!({ "login": target.login }))),
        }
    }
}

/// How to speak to a machine of this key.
fn config(expected: &PublicKey) -> client::Config {
    let mut config = client::Config {
        client_id: russh::SshId::Standard(Cow::Borrowed("SSH-2.0-sluice")),
        window_size: 128 << 10,
        ..client::Config::default()
    };
    // Of several keys that a machine has, the one that it is known by.
    if expected.algorithm() == Algorithm::Ed25519 {
        config.preferred.key = Cow::Borrowed(&[Algorithm::Ed25519]);
    }
    config
}

/// How `sshd` ends a session where the machine lets nobody sign in (nologin(5)), whose key it knows.
const NO_LOGIN: u32 = 254;

/// Has the lease looked at from inside, and gives what is printed.
async fn run(session: &Handle<Known>) -> Result<Vec<u8>, Failed> {
    let channel = session.channel_open_session().await;
    let mut channel = channel.map_err(|error| said(Reason::Silent, error))?;
    let asked = channel.exec(true, "look").await;
    asked.map_err(|error| said(Reason::Silent, error))?;
    let mut text = Vec::new();
    let mut status = None;
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => text.extend_from_slice(&data),
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            ChannelMsg::Failure => return Err(said(Reason::Silent, "nothing can be started")),
            ChannelMsg::Close => break,
            _ => {}
        }
        if text.len() > MOST_LOOK {
            return Err(said(Reason::Unreadable, "it is longer than 64 KiB"));
        }
    }
    // Nobody inside can bring that about.
    if status == Some(NO_LOGIN) {
        return Err((Reason::Refused, json!({ "exit_status": status })));
    }
    match text.is_empty() {
        true => Err((Reason::Silent, json!({ "exit_status": status }))),
        false => Ok(text),
    }
}

/// A machine as its agent has said that it is known.
struct Known {
    expected: PublicKey,
}

/// Why a session came to nothing.
#[derive(Debug)]
enum Wrong {
    /// The machine is known by another key.
    HostKey(Value),
    /// What the protocol says.
    Ssh(russh::Error),
}

impl From<russh::Error> for Wrong {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

impl From<Wrong> for Failed {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            Wrong::HostKey(evidence) => (Reason::HostKey, evidence),
            // It has no key of the kind that it is known by.
            Wrong::Ssh(error @ russh::Error::NoCommonAlgo { .. }) => said(Reason::HostKey, error),
            Wrong::Ssh(error) => said(Reason::Unreachable, error),
        }
    }
}

impl client::Handler for Known {
    type Error = Wrong;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Wrong> {
        let shown = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.key_data().clone(),
            PublicKeyOrCertificate::Certificate(one) => one.public_key().clone(),
        };
        let expected = self.expected.key_data();
        if shown == *expected {
            return Ok(true);
        }
        let name = |key: &russh::keys::ssh_key::public::KeyData| {
            key.fingerprint(HashAlg::Sha256).to_string()
        };
        let (expected, shown) = (name(expected), name(&shown));
        Err(Wrong::HostKey(
            json!({ "expected": expected, "shown": shown }),
        ))
    }
}

/// Ends a connection when it is dropped: a session's own task would go on as long as the other end
/// keeps it busy.
struct Shut(std::net::TcpStream);

impl Drop for Shut {
    fn drop(&mut self) {
        // One that has ended by itself is as good.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

fn shut_at_the_end(stream: TcpStream) -> io::Result<(TcpStream, Shut)> {
    let stream = stream.into_std()?;
    let shut = Shut(stream.try_clone()?);
    Ok((TcpStream::from_std(stream)?, shut))
}

fn in_time(what: &str) -> Failed {
    let why = format!("it has not {what} in time");
    (Reason::Timeout, json!({ "said": why }))
}

fn said(reason: Reason, why: impl std::fmt::Display) -> Failed {
    let why: String = why.to_string().chars().take(MOST_SAID).collect();
    (reason, json!({ "said": why }))
}

/// What shows a probe, or that it is too long to be kept.
fn bounded(evidence: Value) -> Value {
    let long = evidence.to_string().len();
    if long <= MOST_EVIDENCE {
        return evidence;
    }
    let lacks = evidence.get("lacks").map(|lacks| {
        let text = lacks.to_string();
        text.chars().take(MOST_SAID).collect::<String>()
    });
    json!({ "too_long": long, "lacks": lacks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_that_is_too_long_is_cut() {
        let short = json!({ "saw": "a" });
        assert_eq!(bounded(short.clone()), short);
        let long = json!({ "saw": "a".repeat(MOST_EVIDENCE), "lacks": ["one"] });
        let cut = bounded(long);
        assert_eq!(cut["lacks"], "[\"one\"]");
        assert!(cut.to_string().len() < 500);
    }
}
