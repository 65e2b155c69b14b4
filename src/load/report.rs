//! What came of a load.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::mix::{Request, Sender};

/// The longest latency that is told apart, in microseconds.
const LONGEST: u64 = 600_000_000;

/// What was sent, what came of it, and how long it took from the intended sending.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Orders, changes and cancels that were sent.
    pub sent: u64,
    /// Those that the market did.
    pub accepted: u64,
    /// Those that wait for a second person.
    pub held: u64,
    /// Those that were refused, by code.
    pub rejected: BTreeMap<String, u64>,
    /// Those whose request failed or could not be understood.
    pub errors: u64,
    /// Requests that were answered.
    pub requests: u64,
    /// From the first to the last answer.
    pub seconds: f64,
    /// What was accepted in a second.
    pub accepted_a_second: f64,
    /// Latencies of requests in milliseconds.
    pub p50: f64,
    /// 90 % are not slower.
    pub p90: f64,
    /// 99 % are not slower.
    pub p99: f64,
    /// 99.9 % are not slower.
    pub p99_9: f64,
    /// The slowest.
    pub max: f64,
}

/// What is counted meanwhile.
pub(super) struct Tally {
    sent: u64,
    accepted: u64,
    held: u64,
    rejected: BTreeMap<String, u64>,
    errors: u64,
    latencies: Histogram<u64>,
}

/// As much of an answer as is counted.
#[derive(Deserialize)]
struct Answer<'a> {
    outcome: Option<&'a str>,
    code: Option<&'a str>,
    problem: Option<Coded<'a>>,
}

#[derive(Deserialize)]
struct Coded<'a> {
    code: &'a str,
}

impl Tally {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            sent: 0,
            accepted: 0,
            held: 0,
            rejected: BTreeMap::new(),
            errors: 0,
            latencies: Histogram::new_with_max(LONGEST, 3)?,
        })
    }

    /// Counts an answer.
    pub(super) fn count(
        &mut self,
        sender: &Sender,
        request: &Request,
        answer: &[u8],
        latency: Duration,
    ) -> anyhow::Result<()> {
        let micros = u64::try_from(latency.as_micros())?;
        self.latencies.saturating_record(micros.max(1));
        self.sent += request.orders.len() as u64;
        let is_list = answer.first() == Some(&b'[');
        let read: Result<Vec<Answer<'_>>, _> = if is_list {
            serde_json::from_slice(answer)
        } else {
            serde_json::from_slice(answer).map(|one| vec![one])
        };
        let answers = read.unwrap_or_default();
        // One problem for all of them is each one's.
        let all = answers
            .first()
            .filter(|_| !is_list)
            .and_then(|one| one.code);
        for (place, id) in request.orders.iter().enumerate() {
            let one = answers.get(place);
            let code = one.and_then(|one| one.code.or(one.problem.as_ref().map(|no| no.code)));
            match (one.and_then(|one| one.outcome), code.or(all)) {
                (Some("held"), _) => self.held += 1,
                (Some("accepted" | "cancelled"), _) => {
                    self.accepted += 1;
                    if let Some(id) = id {
                        sender.rests(id);
                    }
                }
                (_, Some(code)) => *self.rejected.entry(code.to_owned()).or_default() += 1,
                _ => self.errors += 1,
            }
        }
        Ok(())
    }

    /// Counts a request that failed.
    pub(super) fn fail(&mut self, request: &Request) {
        self.sent += request.orders.len() as u64;
        self.errors += request.orders.len() as u64;
    }

    /// Adds what another connection counted.
    pub(super) fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        self.sent += other.sent;
        self.accepted += other.accepted;
        self.held += other.held;
        self.errors += other.errors;
        for (code, count) in &other.rejected {
            *self.rejected.entry(code.clone()).or_default() += count;
        }
        self.latencies.add(&other.latencies)?;
        Ok(())
    }

    pub(super) fn report(self, elapsed: Duration) -> Report {
        let seconds = elapsed.as_secs_f64();
        let at = |share: f64| self.latencies.value_at_quantile(share) as f64 / 1_000.0;
        Report {
            sent: self.sent,
            accepted: self.accepted,
            held: self.held,
            errors: self.errors,
            requests: self.latencies.len(),
            seconds,
            accepted_a_second: self.accepted as f64 / seconds,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: self.latencies.max() as f64 / 1_000.0,
            rejected: self.rejected,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "sent {} in {} requests and {:.1} s: {} accepted ({:.0} a second), {} held, {} errors",
            self.sent,
            self.requests,
            self.seconds,
            self.accepted,
            self.accepted_a_second,
            self.held,
            self.errors
        )?;
        for (code, count) in &self.rejected {
            writeln!(f, "refused {count}: {code}")?;
        }
        write!(
            f,
            "latency in ms from the intended sending: p50 {:.2}, p90 {:.2}, p99 {:.2}, p99.9 {:.2}, \
             max {:.2}",
            self.p50, self.p90, self.p99, self.p99_9, self.max
        )
    }
}
