//! What an agent does all day. One thread looks at leases, measures them, and finds what is due: to
//! hand one out, or to take it back when its time has come. That is done [beside](crate::beside)
//! it. Another talks to the exchange, and a third puts what runs outside leases' groups of
//! processes into them. What they share is small: the orders, and the spool. So a network that is
//! slow or gone stops neither looks nor ends, nor does one lease another's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use reading::AgentKey;
use serde::de::DeserializeOwned;
use serde::{Deserialize as _, Serialize};

use crate::beside::{Act, Beside, Due};
use crate::clock::Clock;
use crate::connector::Connector;
use crate::exchange::{CallError, Exchange, timed};
use crate::folder::write_whole;
use crate::host::HostError;
use crate::inventory::Inventory;
use crate::lease::{Lease, Want, printable};
use crate::messages::{
    Heartbeat, Orders, ReadingsTaken, Reason, Stage, State, States, StatesTaken, VERSION,
};
use crate::meter::{self, Meter, Ran};
use crate::spool::{MOST_TOGETHER, Spool, SpoolError};

/// The most readings of one request.
const MOST_SENT: usize = 2_000;
/// The most changes of state of one request, and about how many bytes of them.
const MOST_STATES: usize = 200;
const MOST_STATE_BYTES: usize = 512 << 10;
/// The most bytes of what shows a state, and characters of what went wrong.
const LONGEST_EVIDENCE: usize = 8 << 10;
const LONGEST_ERROR: usize = 1_000;

/// How often, in real time, processes are looked through at the most.
const GATHER_LEAST: Duration = Duration::from_secs(1);

/// An agent at work.
pub struct Agent {
    /// Its number.
    pub agent: u64,
    /// Its key.
    pub key: AgentKey,
    /// Its clock.
    pub clock: Clock,
    /// What hands leases out.
    pub connector: Connector,
    /// Where the orders are kept: they hold through a restart without the exchange.
    pub orders: PathBuf,
    shared: Mutex<Shared>,
}

struct Shared {
    leases: BTreeMap<u64, Lease>,
    spool: Spool,
    /// What each lease was last said to be, not to say it at every look.
    said: BTreeMap<u64, (Stage, serde_json::Value)>,
}

/// Why an agent can't go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// Its spool.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The record of a lease that is wiped can't be removed.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The orders can't be read or kept.
    #[error("{path}: {error}")]
    Orders {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl Agent {
    /// Takes up work where it was left.
    ///
    /// # Errors
    /// The orders that were kept can't be read.
    pub fn new(
        agent: u64,
        key: AgentKey,
        connector: Connector,
        orders: PathBuf,
        spool: Spool,
    ) -> Result<Self, WorkError> {
        let leases = match fs::read(&orders) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error),
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::from),
        };
        let leases = leases.map_err(|error| WorkError::Orders {
            path: orders.clone(),
            error,
        })?;
        Ok(Self {
            agent,
            key,
            clock: Clock::default(),
            connector,
            orders,
            shared: Mutex::new(Shared {
                leases,
                spool,
                said: BTreeMap::new(),
            }),
        })
    }

    /// Works until something can't be gone on from.
    ///
    /// # Arguments
    /// `goes_on` is asked at each look.
    ///
    /// # Errors
    /// What that is. After a start it is tried again.
    pub fn run(
        self: &Arc<Self>,
        exchange: Exchange,
        goes_on: impl Fn() -> bool,
    ) -> Result<(), WorkError> {
        let agent = Arc::clone(self);
        let talk = thread::spawn(move || {
            loop {
                if let Err(error) = agent.talk(&exchange) {
                    tell(&error);
                }
                thread::sleep(agent.clock.talk_pause());
            }
        });
        let agent = Arc::clone(self);
        let gather = thread::spawn(move || agent.gather());
        let mut meter = Meter::default();
        let mut beside = Beside::default();
        while goes_on() && !talk.is_finished() && !gather.is_finished() {
            let due = self.look(&mut meter, self.clock.market_now())?;
            beside.done()?;
            beside.start(self, due);
            thread::sleep(self.clock.look_pause());
        }
        beside.all_done()
    }

    /// Puts what runs outside leases' groups into them, for ever.
    fn gather(&self) {
        let mut before = None;
        loop {
            let gathered = self.connector.gather();
            let why = gathered.as_ref().err().map(ToString::to_string);
            if let Err(error) = gathered
                && why != before
            {
                tell(&error);
            }
            before = why;
            thread::sleep(self.clock.look_pause().max(GATHER_LEAST));
        }
    }

    /// Takes in what the exchange wants, and keeps it.
    ///
    /// # Errors
    /// It can't be kept; it holds until the next start.
    pub fn take(&self, leases: Vec<Lease>) -> Result<(), WorkError> {
        let mut shared = self.shared();
        let before = shared.leases.clone();
        shared
            .leases
            .extend(leases.into_iter().map(|lease| (lease.lease, lease)));
        if shared.leases == before {
            return Ok(());
        }
        self.keep(&shared.leases)
    }

    fn keep(&self, leases: &BTreeMap<u64, Lease>) -> Result<(), WorkError> {
        let text = serde_json::to_vec_pretty(leases).expect("leases are JSON");
        write_whole(&self.orders, 0o600, &text).map_err(|error| WorkError::Orders {
            path: self.orders.clone(),
            error,
        })
    }

    /// Looks at every lease once: notes what ran, and says what is due.
    ///
    /// # Arguments
    /// `at` is the market's time now.
    ///
    /// # Errors
    /// The spool is lost. That it or its disk is full is said, and the readings are missing.
    pub fn look(&self, meter: &mut Meter, at: Timestamp) -> Result<Vec<Due>, WorkError> {
        let known = {
            let shared = self.shared();
            let stage = |lease: &Lease| shared.said.get(&lease.lease).map(|one| one.0);
            let known = shared.leases.values();
            known
                .map(|lease| (lease.clone(), stage(lease)))
                .collect::<Vec<_>>()
        };
        let (mut ran, mut due) = (Vec::new(), Vec::new());
        for (lease, stage) in known {
            let (some, act) = self.look_at(&lease, stage, meter, at);
            ran.extend(some);
            due.extend(act.map(|(act, reason)| Due {
                lease,
                act,
                reason,
                at,
            }));
        }
        for some in ran.chunks(MOST_TOGETHER) {
            let mut shared = self.shared();
            let sign =
                |ran: &Ran| meter::sign(*ran, shared.spool.head(ran.lease), self.agent, &self.key);
            let readings = some.iter().filter_map(sign).collect();
            said(shared.spool.add(readings))?;
        }
        Ok(due)
    }

    fn look_at(
        &self,
        lease: &Lease,
        stage: Option<Stage>,
        meter: &mut Meter,
        at: Timestamp,
    ) -> (Option<Ran>, Option<(Act, Reason)>) {
        let asked = lease.want == Want::Over;
        let why = if asked { Reason::Asked } else { Reason::Ended };
        let number = lease.lease;
        if at >= lease.wipe {
            // Where files go at once, the last minute ends with this.
            let ran = meter.look(number, at, 0);
            meter.forget(number);
            let due = stage != Some(Stage::Wiped);
            return (ran, due.then_some((Act::Wipe, why)));
        }
        if asked || at >= lease.end {
            // A lease's last minute ends with it.
            let ran = meter.look(number, at, 0);
            meter.forget(number);
            return (ran, Some((Act::Close, why)));
        }
        let units = self.connector.units(lease, at);
        let gone = stage == Some(Stage::Prepared) && units == 0;
        let why = if gone {
            Reason::Restored
        } else {
            Reason::Asked
        };
        let begun = at >= lease.start;
        let ran = begun.then(|| meter.look(number, at, units)).flatten();
        (ran, Some((Act::Prepare, why)))
    }

    /// Does what is due, and says what came of it.
    ///
    /// # Arguments
    /// `now` is the market's time.
    ///
    /// # Errors
    /// The spool is lost.
    pub fn act(&self, due: &Due, now: impl Fn() -> Timestamp) -> Result<(), WorkError> {
        let (lease, at) = (&due.lease, due.at);
        let number = lease.lease;
        let (stage, done) = match due.act {
            Act::Close => (Stage::Closed, self.connector.close(number).map(json)),
            Act::Wipe => (Stage::Wiped, self.connector.wipe(number, now).map(json)),
            Act::Prepare => {
                let access = if at >= lease.start {
                    self.connector.prepare(lease, at)
                } else {
                    self.connector.prepare(&lease.before_its_start(), at)
                };
                (Stage::Prepared, access.map(json))
            }
        };
        self.say(number, stage, due.reason, at, done)
    }

    /// Puts a state on the spool, unless it is what was said last.
    fn say(
        &self,
        lease: u64,
        stage: Stage,
        reason: Reason,
        at: Timestamp,
        done: Result<serde_json::Value, HostError>,
    ) -> Result<(), WorkError> {
        let (stage, reason, evidence) = match done {
            Ok(evidence) => (stage, reason, evidence),
            Err(error) => {
                let words: Vec<String> = error
                    .to_string()
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect();
                let error = printable(&words.join(" "), LONGEST_ERROR);
                let evidence = serde_json::json!({ "error": error });
                (Stage::Failed, Reason::Machine, evidence)
            }
        };
        let evidence = bounded(evidence);
        let mut shared = self.shared();
        let new = (stage, evidence.clone());
        let again = shared.said.get(&lease) == Some(&new);
        if again && reason != Reason::Restored {
            return Ok(());
        }
        let state = State {
            lease,
            stage,
            reason,
            at,
            evidence,
        };
        if said(shared.spool.add_state(state))? {
            shared.said.insert(lease, new);
        }
        Ok(())
    }

    /// Talks to the exchange once: says that it is there, hears what is wanted, sends what waits.
    /// Each of these is tried, whatever became of the others: what ran is told also where the rest
    /// is not understood.
    ///
    /// # Errors
    /// It was not reached, or said no: what waits goes on waiting.
    pub fn talk(&self, exchange: &Exchange) -> Result<(), TalkError> {
        let named = self.say_that_it_is_there(exchange);
        let states = self.send_states(exchange);
        let readings = self.send_readings(exchange);
        for later in [&states, &readings] {
            if let (Err(error), Err(_)) = (later, &named) {
                tell(error);
            }
        }
        let named = named?;
        states?;
        readings?;
        if let Some(named) = named {
            self.forget(&named)?;
        }
        Ok(())
    }

    /// The leases that the exchange names; `None` where one of them could not even be told apart.
    fn say_that_it_is_there(
        &self,
        exchange: &Exchange,
    ) -> Result<Option<BTreeSet<u64>>, TalkError> {
        let inventory = Inventory::take(self.connector.homes()).map_err(TalkError::Inventory)?;
        let heartbeat = Heartbeat {
            version: VERSION,
            program: env!("CARGO_PKG_VERSION"),
            clock_ahead_ms: self.clock.ahead_ms(),
            waiting: self.shared().spool.waiting(),
            inventory: &inventory,
        };
        let body = serde_json::to_vec(&heartbeat).expect("a message is JSON");
        let (orders, took) = timed(|| self.post::<Orders>(exchange, "heartbeat", &body));
        let orders = orders?;
        self.clock.learn(orders.clock, took);
        if let Some(market) = orders.market {
            self.clock.learn_market(market, took);
        }
        let (mut named, mut all_named) = (BTreeSet::new(), true);
        let mut leases = Vec::new();
        for order in orders.leases {
            let number = order["lease"].as_u64();
            named.extend(number);
            all_named &= number.is_some();
            match Lease::deserialize(order) {
                Ok(lease) => leases.push(lease),
                Err(error) => tell(&NotUnderstood { number, error }),
            }
        }
        self.take(leases)?;
        Ok(all_named.then_some(named))
    }

    fn send_states(&self, exchange: &Exchange) -> Result<(), TalkError> {
        loop {
            let mut states = self.shared().spool.states(MOST_STATES);
            let mut room = MOST_STATE_BYTES;
            let fits = states.iter().take_while(|change| {
                let length = serde_json::to_vec(change).map_or(0, |text| text.len());
                let fits = length <= room;
                room = room.saturating_sub(length);
                fits
            });
            // One is sent whatever its length: the exchange says what is wrong with it.
            states.truncate(fits.count().max(1));
            let Some(last) = states.last().map(|change| change.sequence) else {
                return Ok(());
            };
            let states = States {
                version: VERSION,
                states: &states,
            };
            let body = serde_json::to_vec(&states).expect("a message is JSON");
            let answer: StatesTaken = self.post(exchange, "states", &body)?;
            said(self.shared().spool.states_taken(answer.through.min(last)))?;
            if answer.through < last {
                return Ok(());
            }
        }
    }

    fn send_readings(&self, exchange: &Exchange) -> Result<(), TalkError> {
        loop {
            let readings = self.shared().spool.readings(MOST_SENT);
            if readings.is_empty() {
                return Ok(());
            }
            let body = reading::to_json(self.agent, &readings);
            let answer: ReadingsTaken = self.post(exchange, "readings", &body)?;
            let mut shared = self.shared();
            for taken in &answer.taken {
                said(shared.spool.taken(taken.lease, taken.through))?;
            }
            // Nothing of it was taken: it is sent again another time.
            if shared.spool.readings(1).first() == readings.first() {
                return Ok(());
            }
        }
    }

    /// Forgets leases that are wiped, once the exchange knows it and names them no more.
    ///
    /// # Errors
    /// A record can't be removed, or the orders can't be kept.
    pub fn forget(&self, named: &BTreeSet<u64>) -> Result<(), WorkError> {
        let mut shared = self.shared();
        if shared.spool.waiting() > 0 {
            return Ok(());
        }
        let over = |(&lease, said): (&u64, &(Stage, serde_json::Value))| {
            (said.0 == Stage::Wiped && !named.contains(&lease)).then_some(lease)
        };
        let over: Vec<u64> = shared.said.iter().filter_map(over).collect();
        if over.is_empty() {
            return Ok(());
        }
        for lease in over {
            self.connector.forget(lease)?;
            shared.said.remove(&lease);
            shared.leases.remove(&lease);
        }
        self.keep(&shared.leases)
    }

    fn post<T: DeserializeOwned>(
        &self,
        exchange: &Exchange,
        name: &str,
        body: &[u8],
    ) -> Result<T, CallError> {
        let path = format!("/api/agent/v1/{name}");
        exchange.post(&path, body, &self.key, self.agent, &self.clock)
    }

    /// What waits and how far things have come. A thread that panicked in the middle left the
    /// spool as its file has it, or refuses to go on.
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The spool, to look at.
    pub fn spool<T>(&self, look: impl FnOnce(&Spool) -> T) -> T {
        look(&self.shared().spool)
    }
}

/// Why the exchange does not know what it is to know. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum TalkError {
    /// The call.
    #[error(transparent)]
    Call(#[from] CallError),
    /// What came of it could not be kept.
    #[error(transparent)]
    Work(#[from] WorkError),
    /// The system does not say what the machine has.
    #[error("the machine can't be looked at: {0}")]
    Inventory(io::Error),
}

/// An order that can't be understood. Others are.
#[derive(Debug, thiserror::Error)]
#[error("the order of {} can't be understood: {error}", .number.map_or("a lease".to_owned(), |number| format!("l{number}")))]
struct NotUnderstood {
    number: Option<u64>,
    error: serde_json::Error,
}

/// A full spool or disk is said and lived with; a lost one is not. Whether it was done.
fn said(done: Result<(), SpoolError>) -> Result<bool, WorkError> {
    match done {
        Ok(()) => Ok(true),
        Err(
            error @ (SpoolError::Bound { .. }
            | SpoolError::DiskFull(_)
            | SpoolError::TooLong { .. }),
        ) => {
            tell(&error);
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Evidence of a length that the exchange takes: what is longest of it is left out, by name.
fn bounded(mut evidence: serde_json::Value) -> serde_json::Value {
    let mut cut = Vec::new();
    while evidence.to_string().len() > LONGEST_EVIDENCE {
        let Some(fields) = evidence.as_object_mut() else {
            return serde_json::json!({ "cut": true });
        };
        let longest = fields.iter().filter(|(name, _)| *name != "cut");
        let longest = longest.max_by_key(|(_, value)| value.to_string().len());
        let Some(name) = longest.map(|(name, _)| name.clone()) else {
            break;
        };
        fields.remove(&name);
        cut.push(name);
        fields.insert("cut".to_owned(), serde_json::json!(cut));
    }
    evidence
}

fn json(evidence: impl Serialize) -> serde_json::Value {
    serde_json::to_value(evidence).expect("evidence is JSON")
}

pub(crate) fn tell(error: &dyn std::error::Error) {
    eprintln!("sluice-agent: {error}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_cut_to_what_the_exchange_takes() {
        let short = serde_json::json!({ "processes": 3, "escaped": ["a"] });
        assert_eq!(bounded(short.clone()), short);
        let long =
            serde_json::json!({ "processes": 3, "jobs": vec!["a"; 9_000], "b": vec![1; 9_000] });
        let cut = bounded(long);
        assert_eq!(
            cut,
            serde_json::json!({ "processes": 3, "cut": ["jobs", "b"] })
        );
        assert_eq!(
            bounded("a".repeat(9_000).into()),
            serde_json::json!({ "cut": true })
        );
    }
}
