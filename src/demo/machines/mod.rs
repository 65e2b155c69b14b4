//! Machines of the demonstration that are none of its simulation: real agents with the host
//! connector, each in a sandbox of this computer ([`sandbox`]), looked at by real vantages
//! ([`vantages`]). Where that can't be, they are not listed, and all delivery is simulated.
//!
//! What they sell is a grade of its own, which says what it is: a share of this computer's
//! processors, here. One of them is sound, the others are bad on purpose, each in its own way
//! ([`Habit`]); and on each the demonstration's customer holds a lease, so that what comes of it
//! can be seen without waiting for anybody to buy.

mod sandbox;
mod vantages;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use market::{
    Access, ClientId, Command, Hour, InstrumentId, ListInstrument, Money, OpenPool, ParticipantId,
    PlaceOrder, PoolId, Side, Target, TimeInForce, Timestamp, WHOLE_BPS, YUAN,
};
use sluice_agent::enrol::{IDENTITY, Identity};
use sluice_agent::folder::write_whole;
use sluice_agent::inventory::Needs;
use sluice_agent::key;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::certificates::{self, NewMachine};
use super::{Cast, store};
use crate::clock::{self, MarketClock};
use crate::delivery::{agents, probes};
use crate::feed::Feed;
use crate::replay::tariff::TICK;
use crate::sequencer::{Actor, Sequencer, SubmitError};
use crate::web::session;
use sandbox::{Running, Start};
use vantages::Vantage;

pub use sandbox::{Sandbox, Unfit};

const ACTOR: Actor = Actor::System("demonstration-machines");

/// What they sell: processors that others share, of no cluster of the catalogue.
pub const SYMBOL: &str = "SHARED-CPU.LOCAL.GOLD";
const GRADE: &str = "SHARED-CPU";

/// Numbers above those of the fleet and below those that the site gives.
const INSTRUMENT: InstrumentId = InstrumentId(90_001);

/// Units of each machine, and what a lease of one has to see at least, in MiB of memory.
const UNITS: i64 = 4;
const UNIT_MEMORY: u64 = 64;

/// How long pools last, and how long the customer's leases, in hours.
const HOURS: i64 = 365 * 24;
const STAY_HOURS: i64 = 4;

/// How many minutes before an hour the customer orders it at the latest.
const LEAD_MINUTES: i64 = 5;

/// How often it is looked what is to be done, and how long a machine that has ended is left alone.
const GLANCE: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_secs(2);

/// How long after the start doors are first tried. Machines start with this program, and those of
/// leases in course would be found shut, which is nobody's fault.
const OPENED: Duration = Duration::from_secs(5);

/// What a machine does to those who lease it.
#[derive(Clone, Debug)]
enum Habit {
    /// Nothing.
    Sound,
    /// In one hour of so many its agent sleeps for these minutes: they are nobody's word, so nobody
    /// pays for them.
    Sleeps(i64, Range<i64>),
    /// For these minutes of so many hours nobody is let in, while its agent says that all is well.
    Shuts(i64, Range<i64>),
}

impl Habit {
    /// Whether its agent sleeps, and whether it is shut.
    fn at(&self, now: Timestamp) -> (bool, bool) {
        let within = |hours: i64, minutes: &Range<i64>| {
            let minute = now.0.div_euclid(60_000_000).rem_euclid(hours * 60);
            minutes.contains(&minute)
        };
        match self {
            Self::Sound => (false, false),
            Self::Sleeps(hours, minutes) => (within(*hours, minutes), false),
            Self::Shuts(hours, minutes) => (false, within(*hours, minutes)),
        }
    }
}

/// A machine: what it is, before anything is known of it.
struct Kind {
    name: &'static str,
    provider: &'static str,
    pool: PoolId,
    price: Money,
    habit: Habit,
}

/// All of them; the sound one is the cheapest, so that who buys without looking gets it.
const KINDS: [Kind; 3] = [
    Kind {
        name: "sound",
        provider: "本机演示供方 1",
        pool: PoolId(90_001),
        price: Money(YUAN / 2),
        habit: Habit::Sound,
    },
    Kind {
        name: "sleepy",
        provider: "本机演示供方 2（常缺分钟）",
        pool: PoolId(90_002),
        price: Money(YUAN * 3 / 5),
        habit: Habit::Sleeps(3, 80..105),
    },
    Kind {
        name: "shut",
        provider: "本机演示供方 3（拒之门外）",
        pool: PoolId(90_003),
        price: Money(YUAN * 7 / 10),
        habit: Habit::Shuts(8, 260..420),
    },
];

/// A machine of this database.
#[derive(Clone, Debug)]
struct Machine {
    name: &'static str,
    place: u16,
    pool: PoolId,
    provider: ParticipantId,
    price: Money,
    host: i64,
    habit: Habit,
}

/// What the machines reach.
#[derive(Clone, Debug)]
pub struct Reached {
    /// The tables.
    pub db: PgPool,
    /// The way to ask the market.
    pub sequencer: Sequencer,
    /// What the market has acknowledged.
    pub feed: Feed,
    /// Market time.
    pub clock: MarketClock,
}

/// Machines that can be started.
#[derive(Debug)]
pub struct Machines {
    reached: Reached,
    sandbox: Sandbox,
    all: Vec<Machine>,
    vantages: Vec<Vantage>,
    customer: ParticipantId,
}

/// Lists the machines and makes them known to the exchange, where that was not done before.
///
/// # Errors
/// When the market refuses something, the database fails, or a file can't be written.
pub async fn open(reached: Reached, cast: &Cast, sandbox: Sandbox) -> anyhow::Result<Machines> {
    let db = &reached.db;
    let mut all = Vec::new();
    for (kind, place) in KINDS.into_iter().zip(0..) {
        let provider = store::participant(db, kind.provider).await?;
        let machine = Machine {
            name: kind.name,
            place,
            pool: kind.pool,
            provider,
            price: kind.price,
            host: 0,
            habit: kind.habit,
        };
        list(&reached, &machine).await?;
        let new = NewMachine {
            provider,
            legal_name: kind.provider,
            pool: kind.pool,
            name: kind.name,
            units: UNITS,
            address: sandbox::ADDRESS.to_string(),
        };
        let host = certificates::certify_machine(db, usize::from(place), new).await?;
        all.push(Machine { host, ..machine });
    }
    let needs = Needs {
        units: 1,
        memory_mib: UNIT_MEMORY,
        ..Needs::default()
    };
    probes::say_needs(db, GRADE, &needs).await?;
    let keys = sandbox.folder("vantages");
    let vantages = vantages::prepare(db, &keys, &reached.clock).await?;
    Ok(Machines {
        sandbox,
        all,
        vantages,
        customer: cast.customer,
        reached,
    })
}

/// Takes the machines off the book, where an earlier start had put them there: nobody is to buy
/// what does not run.
///
/// # Errors
/// When the sequencer ends.
pub async fn withdraw(sequencer: &Sequencer, feed: &Feed) -> anyhow::Result<()> {
    let asks: Vec<Command> = {
        let market = feed.market();
        let pools = KINDS.iter().filter_map(|kind| market.pool(kind.pool));
        pools
            .flat_map(|pool| &pool.asks)
            .map(|ask| {
                let placed = &market.order(*ask).placed;
                Command::CancelOrder {
                    participant: placed.participant,
                    client_id: placed.client_id.clone(),
                }
            })
            .collect()
    };
    send(sequencer, asks).await
}

/// Has the market do these.
async fn send(sequencer: &Sequencer, commands: Vec<Command>) -> anyhow::Result<()> {
    for command in commands {
        let receipt = sequencer.submit(ACTOR, command).await?;
        let rejection = receipt.rejection();
        ensure!(
            rejection.is_none(),
            "the machines' lists were rejected: {rejection:?}"
        );
    }
    Ok(())
}

/// Puts an instrument, a pool and an ask where there is none: for all of the pool's hours, so that
/// whoever comes can buy the next.
async fn list(reached: &Reached, machine: &Machine) -> anyhow::Result<()> {
    let first = reached.clock.now().hour().begins();
    let commands = {
        let market = reached.feed.market();
        let mut commands = Vec::new();
        if market.instrument(INSTRUMENT).is_none() {
            commands.push(Command::ListInstrument(ListInstrument {
                instrument: INSTRUMENT,
                symbol: SYMBOL.to_owned(),
                lot: 1,
                tick: TICK,
            }));
        }
        let pool = market.pool(machine.pool);
        let mut end = first.plus_hours(HOURS);
        match pool {
            Some(pool) => end = pool.period.end.begins(),
            None => commands.extend(opened(machine, market.rules().bond_bps, first)),
        }
        if pool.is_none_or(|pool| pool.asks.is_empty()) {
            commands.push(ask(machine, first, end));
        }
        commands
    };
    send(&reached.sequencer, commands).await
}

/// Money for the bonds of a pool, and the pool.
fn opened(machine: &Machine, bond_bps: i64, first: Timestamp) -> Vec<Command> {
    let worth = machine.price.times(UNITS, HOURS);
    let bond = worth * i128::from(bond_bps) / i128::from(WHOLE_BPS);
    let deposit = Command::Deposit {
        participant: machine.provider,
        amount: Money(i64::try_from(bond).unwrap_or(0).max(YUAN)),
    };
    let pool = Command::OpenPool(OpenPool {
        pool: machine.pool,
        participant: machine.provider,
        instrument: INSTRUMENT,
        units: UNITS,
        start: first,
        end: first.plus_hours(HOURS),
        access: Access::Instant,
    });
    vec![deposit, pool]
}

fn ask(machine: &Machine, start: Timestamp, end: Timestamp) -> Command {
    Command::PlaceOrder(PlaceOrder {
        participant: machine.provider,
        client_id: ClientId(format!("{}-{}", machine.name, start.hour().0)),
        side: Side::Sell {
            pool: machine.pool,
            min_hours: 1,
            weekly: None,
        },
        units: UNITS,
        price: machine.price,
        start,
        end,
        tif: TimeInForce::Gtc,
        post_only: false,
    })
}

impl Machines {
    /// Keeps them, their vantages and the customer's leases until it is told to stop.
    ///
    /// # Arguments
    /// `exchange` is where this program serves, such as `http://127.0.0.1:8080`.
    pub async fn run(mut self, exchange: String, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        for vantage in std::mem::take(&mut self.vantages) {
            let (exchange, stop) = (exchange.clone(), stop.clone());
            tasks.spawn(async move {
                tokio::select! {
                    () = tokio::time::sleep(OPENED) => {}
                    () = stop.cancelled() => return,
                }
                if let Err(error) = vantage.run(&exchange, stop).await {
                    tracing::warn!(error = format!("{error:#}"), "a vantage does not run");
                }
            });
        }
        let machines = Arc::new(self);
        for place in 0..machines.all.len() {
            let (machines, stop) = (machines.clone(), stop.clone());
            let exchange = exchange.clone();
            tasks.spawn(async move {
                let machine = &machines.all[place];
                while !stop.is_cancelled() {
                    if let Err(error) = machines.keep(machine, &exchange, &stop).await {
                        let error = format!("{error:#}");
                        tracing::warn!(machine = machine.name, error, "a machine does not run");
                    }
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        () = stop.cancelled() => {}
                    }
                }
            });
        }
        let mut ordered = None;
        while !stop.is_cancelled() {
            let now = machines.reached.clock.now();
            let next = now.next_hour();
            let is_early = now.plus_minutes(LEAD_MINUTES) <= next.begins();
            if is_early && ordered != Some(next) {
                match machines.lease(next).await {
                    Ok(()) => ordered = Some(next),
                    Err(error) => tracing::debug!(%error, "a machine was not leased"),
                }
            }
            tokio::select! {
                () = tokio::time::sleep(GLANCE) => {}
                () = stop.cancelled() => {}
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    /// Runs a machine until it ends, or it is told to stop.
    async fn keep(
        &self,
        machine: &Machine,
        exchange: &str,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let token = match self.is_enrolled(machine, exchange).await? {
            true => None,
            false => Some(self.new_token(machine).await?),
        };
        let token = token.as_deref();
        let start = Start { exchange, token };
        // What one that was killed has left.
        self.sandbox.clear(machine.name).await;
        let mut running = self.sandbox.start(machine.name, machine.place, &start)?;
        let kept = self.misbehave(machine, &mut running, stop).await;
        running.end().await;
        self.sandbox.clear(machine.name).await;
        kept
    }

    /// Lets a machine do as is its habit, until it ends or it is told to stop.
    async fn misbehave(
        &self,
        machine: &Machine,
        running: &mut Running,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut is = (false, false);
        while !stop.is_cancelled() {
            if let Some(status) = running.ended()? {
                let log = self.sandbox.log(machine.name);
                anyhow::bail!("it has ended ({status}): see {}", log.display());
            }
            let wanted = machine.habit.at(self.reached.clock.now());
            if wanted.0 != is.0 {
                running
                    .tell(if wanted.0 { "sleep" } else { "wake" })
                    .await?;
            }
            if wanted.1 != is.1 {
                running.tell(if wanted.1 { "shut" } else { "open" }).await?;
            }
            is = wanted;
            tokio::select! {
                () = tokio::time::sleep(GLANCE) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Whether what is kept of a machine is of an agent that this database knows; it is told where
    /// the exchange is now.
    async fn is_enrolled(&self, machine: &Machine, exchange: &str) -> anyhow::Result<bool> {
        let state = self.sandbox.state(machine.name);
        let (path, Ok(key)) = (state.join(IDENTITY), key::load(&state.join("key"))) else {
            return Ok(false);
        };
        let Ok(text) = std::fs::read(&path) else {
            return Ok(false);
        };
        let mut identity: Identity = serde_json::from_slice(&text)?;
        let agent = store::agent(&self.reached.db, machine.host, &key.public().to_bytes()).await?;
        if agent.and_then(|agent| u64::try_from(agent).ok()) != Some(identity.agent) {
            return Ok(false);
        }
        if identity.exchange != exchange {
            exchange.clone_into(&mut identity.exchange);
            write_whole(&path, 0o600, &serde_json::to_vec_pretty(&identity)?)?;
        }
        Ok(true)
    }

    /// A token for a machine that is made anew: what is kept of it is of another database.
    async fn new_token(&self, machine: &Machine) -> anyhow::Result<String> {
        match std::fs::remove_dir_all(self.sandbox.folder(machine.name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let token = format!("{}{}", agents::TOKEN_PREFIX, session::secret()?);
        let now = clock::wall();
        let until = now + jiff::SignedDuration::from_hours(agents::TOKEN_HOURS);
        let hash = agents::hash(&token);
        agents::new_token(&self.reached.db, &hash, machine.host, None, (now, until)).await?;
        Ok(token)
    }

    /// Lets the customer order a lease of each machine for the next hour, where the last one that it
    /// ordered is over by then. One that failed it is not made up for.
    async fn lease(&self, next: Hour) -> Result<(), SubmitError> {
        let wanted: Vec<PlaceOrder> = {
            let market = self.reached.feed.market();
            let is_due = |machine: &&Machine| {
                (0..STAY_HOURS).all(|before| {
                    let order = self.order(machine, Hour(next.0 - before));
                    market.order_of(self.customer, &order.client_id).is_none()
                })
            };
            let due = self.all.iter().filter(is_due);
            due.map(|machine| self.order(machine, next)).collect()
        };
        for order in wanted {
            let command = Command::PlaceOrder(order);
            let receipt = self.reached.sequencer.submit(ACTOR, command).await?;
            if let Some(rejection) = receipt.rejection() {
                tracing::debug!(%rejection, "the customer's lease of a machine was refused");
            }
        }
        Ok(())
    }

    fn order(&self, machine: &Machine, from: Hour) -> PlaceOrder {
        PlaceOrder {
            participant: self.customer,
            client_id: ClientId(format!("machine-{}-{}", machine.name, from.0)),
            side: Side::Buy {
                target: Target::Pool(machine.pool),
                min_fill: None,
                flexible: None,
                buy_in: false,
            },
            units: 1,
            price: machine.price,
            start: from.begins(),
            end: from.begins().plus_hours(STAY_HOURS),
            tif: TimeInForce::Ioc,
            post_only: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_habit_comes_again_at_its_minutes_and_only_there() {
        let at = |minute: i64| Timestamp(minute * 60_000_000);
        let sleeps = Habit::Sleeps(3, 80..105);
        let asleep: Vec<i64> = (0..360).filter(|minute| sleeps.at(at(*minute)).0).collect();
        let expected: Vec<i64> = (80..105).chain(260..285).collect();
        assert_eq!(asleep, expected);
        assert!((0..360).all(|minute| !sleeps.at(at(minute)).1));
        let shuts = Habit::Shuts(8, 260..420);
        assert!(!shuts.at(at(259)).1 && shuts.at(at(260)).1);
        assert!(shuts.at(at(480 + 419)).1 && !shuts.at(at(480 + 420)).1);
        assert!((0..360).all(|minute| Habit::Sound.at(at(minute)) == (false, false)));
    }
}
