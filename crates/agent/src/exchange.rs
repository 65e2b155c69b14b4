//! The exchange, as the agent reaches it: by requests of its own, each signed.

use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use reading::{AgentKey, Request};
use serde::de::DeserializeOwned;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use crate::clock::Clock;
use crate::key::random;
use crate::messages::Problem;

/// The most bytes of an answer that are read.
const LONGEST_ANSWER: u64 = 4 << 20;
const PATIENCE: Duration = Duration::from_secs(20);

/// Where an exchange is, and how to know it.
#[derive(Debug)]
pub struct Exchange {
    http: ureq::Agent,
    base: String,
}

/// Why the exchange did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// An address that is none, or that would send in the open.
    #[error(
        "{0}: the exchange's address begins with https:// (http:// only on this machine) and has no path"
    )]
    Address(String),
    /// A file of certificates that has none.
    #[error("{0}: no certificates in PEM")]
    Certificates(String),
    /// It was not reached, or did not answer.
    #[error("the exchange was not reached: {0}")]
    Unreachable(String),
    /// It said no.
    #[error("the exchange said no ({status} {}): {}", .problem.code, .problem.detail)]
    Refused {
        /// HTTP's status.
        status: u16,
        /// What it said.
        problem: Problem,
    },
    /// Its answer can't be read.
    #[error("the exchange's answer can't be read: {0}")]
    Unreadable(String),
    /// The system gave no random number.
    #[error("the system gave no random numbers: {0}")]
    Random(io::Error),
}

impl Exchange {
    /// Of an address such as `https://market.example`.
    ///
    /// # Arguments
    /// `certificates` is a file of those that are trusted, in PEM, in place of the public ones.
    ///
    /// # Errors
    /// The address or the file is no good.
    pub fn new(base: &str, certificates: Option<&Path>) -> Result<Self, CallError> {
        let wrong = || CallError::Address(base.to_owned());
        let uri: ureq::http::Uri = base.parse().map_err(|_| wrong())?;
        let own = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
        let safe = uri.scheme_str() == Some("https") || own && uri.scheme_str() == Some("http");
        if !safe || uri.path() != "/" || uri.query().is_some() {
            return Err(wrong());
        }
        let mut tls = TlsConfig::builder();
        if let Some(path) = certificates {
            let none = || CallError::Certificates(path.display().to_string());
            let text = std::fs::read(path).map_err(|_| none())?;
            let of = |item| match item {
                Ok(PemItem::Certificate(one)) => Some(one),
                _ => None,
            };
            let trusted: Vec<_> = parse_pem(&text).filter_map(of).collect();
            if trusted.is_empty() {
                return Err(none());
            }
            tls = tls.root_certs(RootCerts::from(trusted));
        }
        let config = ureq::Agent::config_builder()
            .tls_config(tls.build())
            .timeout_global(Some(PATIENCE))
            // What is signed is for the exchange and nobody that it points to.
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("sluice-agent/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            http: config.into(),
            base: base.trim_end_matches('/').to_owned(),
        })
    }

    /// Posts a body and reads the answer. Where the clocks are too far apart the exchange says how
    /// late it is; that is learnt, and the request sent once more.
    ///
    /// # Errors
    /// It was not done, or it is not known whether it was: each request can be sent again.
    pub fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &[u8],
        key: &AgentKey,
        agent: u64,
        clock: &Clock,
    ) -> Result<T, CallError> {
        let first = self.post_once(path, body, key, agent, clock);
        let Err(CallError::Refused { problem, .. }) = &first else {
            return first;
        };
        match problem.clock {
            Some(theirs) if problem.code == "skewed" => {
                clock.learn(theirs, Duration::ZERO);
                self.post_once(path, body, key, agent, clock)
            }
            _ => first,
        }
    }

    fn post_once<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &[u8],
        key: &AgentKey,
        agent: u64,
        clock: &Clock,
    ) -> Result<T, CallError> {
        let nonce = random::<16>().map_err(CallError::Random)?;
        let asked = Request {
            method: "POST",
            path,
            body,
        };
        let proof = asked.prove(key, agent, clock.now(), nonce);
        let mut request = self.http.post(format!("{}{path}", self.base));
        for (name, value) in proof.headers() {
            request = request.header(name, value);
        }
        let request = request.header("Content-Type", "application/json");
        let failed = |error: ureq::Error| CallError::Unreachable(error.to_string());
        let mut answer = request.send(body).map_err(failed)?;
        let status = answer.status().as_u16();
        let mut text = Vec::new();
        let mut reader = answer.body_mut().as_reader().take(LONGEST_ANSWER);
        let read = reader.read_to_end(&mut text);
        read.map_err(|error| CallError::Unreachable(error.to_string()))?;
        if !answer.status().is_success() {
            let problem = serde_json::from_slice(&text).unwrap_or_default();
            return Err(CallError::Refused { status, problem });
        }
        serde_json::from_slice(&text).map_err(|error| CallError::Unreadable(error.to_string()))
    }
}

/// How long something took.
pub fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let done = act();
    (done, began.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_not_sent_in_the_open() {
        for good in [
            "https://market.example",
            "https://market.example/",
            "http://127.0.0.1:8080",
        ] {
            assert!(Exchange::new(good, None).is_ok(), "{good}");
        }
        for bad in [
            "http://market.example",
            "market.example",
            "https://market.example/api",
            "https://market.example/?a",
            "ftp://127.0.0.1",
            "http://127.0.0.1.example",
            "",
        ] {
            let refused = Exchange::new(bad, None);
            assert!(matches!(refused, Err(CallError::Address(_))), "{bad}");
        }
    }

    #[test]
    fn where_nobody_answers_it_is_said() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", port.local_addr().expect("bound"));
        drop(port);
        let exchange = Exchange::new(&address, None).expect("an address");
        let key = AgentKey::from_secret(&[1; 32]);
        let answer: Result<serde_json::Value, _> =
            exchange.post("/x", b"{}", &key, 7, &Clock::default());
        assert!(
            matches!(answer, Err(CallError::Unreachable(_))),
            "{answer:?}"
        );
    }
}
