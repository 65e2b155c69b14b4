//! The demonstration market: a sample of real nodes, listed to buy from, with test money, and
//! participants who trade there by themselves.
//!
//! Nodes, regions, prices and the work that is asked for are those of the replay's built-in profile
//! ([`crate::replay`]), drawn from a fixed seed. Their delivery is simulated
//! ([`crate::delivery::simulated`]) and labelled as such; beside them stand a few real machines, where
//! the system allows it ([`machines`]).
//!
//! What its traders do in an hour of market time ([`traders`]) follows from the seed, that hour, and
//! what the market had committed before it. So it can be planned again after a restart, and what the
//! command log has of it is not done twice. Every movement is a command through the sequencer: the
//! hours before the first start are run fast ([`past`]), stamped by a market clock that stood then;
//! from there on [`life`] follows the clock.

mod certificates;
mod life;
mod listing;
mod logins;
pub mod machines;
mod past;
mod room;
mod store;
mod tariffs;
mod traders;

use anyhow::Context;
use market::{Hour, InstrumentId, Market, ParticipantId, Timestamp};
use sqlx::PgPool;

use crate::replay::decimal::Decimal;
use crate::replay::fleet::{self, Fleet, PoolTerms};
use crate::replay::plan::{Plan, Tables, Wish};
use crate::replay::profile::{self, Profile};
use crate::replay::tables;
use crate::sequencer::Actor;

pub use life::run as live;
pub use listing::list;
pub use logins::Login;
pub use past::run as live_through;

/// The seed of every draw of the demonstration.
pub const SEED: u64 = 1;

/// Who sends the traders' commands.
pub const TRADER: Actor = Actor::System("demonstration-trader");

/// How many hours of market time are behind a demonstration that is opened for the first time.
pub const PAST_HOURS: i64 = 48;

/// Peak demand of the profile as a share of what is listed, in 1/10,000: supply is ample.
const LOAD: Decimal = Decimal(500);

/// How many buyers trade by themselves.
const BUYERS: usize = 24;

/// The participant that the buyer's login acts for.
const CUSTOMER: &str = "听澜智能（演示）";

/// The grade of the pool on which the customer always has a lease.
const CUSTOMERS_GRADE: &str = "A100-80GB";

/// The work that is asked for of one grade.
#[derive(Clone, Debug)]
struct Work {
    grade: &'static str,
    /// Cards of it that are listed: how likely work is of this grade.
    listed: i64,
    /// Units of each job.
    units: Vec<i64>,
}

/// Who takes part, and with what.
#[derive(Clone, Debug)]
pub struct Cast {
    plan: Plan,
    /// By grade.
    work: Vec<Work>,
    /// By their place in the fleet.
    providers: Vec<ParticipantId>,
    buyers: Vec<ParticipantId>,
    customer: ParticipantId,
    /// The hour in which the market was listed.
    begins: Hour,
}

impl Cast {
    /// The pool on which the customer always has a lease; its provider is whom the provider's
    /// login acts for.
    fn customers_pool(&self) -> Option<&PoolTerms> {
        let fleet = &self.plan.fleet;
        let grade = |pool: &&PoolTerms| fleet.instruments[pool.instrument].grade.name;
        fleet
            .pools
            .iter()
            .find(|pool| grade(pool) == CUSTOMERS_GRADE)
    }

    /// The participant whose prices stay as its own people set them.
    fn host(&self) -> ParticipantId {
        let place = self.customers_pool().map_or(0, |pool| pool.provider);
        self.providers[place]
    }

    /// The instruments of a grade.
    fn instruments_of(&self, grade: &str) -> Vec<InstrumentId> {
        let listed = self.plan.fleet.instruments.iter();
        listed
            .filter(|listed| listed.grade.name == grade)
            .map(|listed| listed.instrument)
            .collect()
    }
}

/// A demonstration that can be lived through.
#[derive(Clone, Debug)]
pub struct Demonstration {
    /// Who takes part.
    pub cast: Cast,
    /// The people whom anyone may sign in as.
    pub logins: Vec<Login>,
    /// When the market is listed.
    pub begins: Timestamp,
    /// When its past is over.
    pub opens: Timestamp,
    /// Whether some of its past has still to be lived through.
    pub has_past_ahead: bool,
}

/// Prepares the demonstration of this database; one that is opened for the first time gets its past
/// before `now`.
///
/// # Errors
/// When the profile makes no market, or the database fails.
pub async fn open(db: &PgPool, now: Timestamp, usd_cny: Decimal) -> anyhow::Result<Demonstration> {
    let last = store::last_instant(db).await?;
    // A market that was listed before there was a past to it has none.
    let (begins, opens) = match last {
        Some(last) => (last, last),
        None => (now.hour().begins().plus_hours(-PAST_HOURS), now),
    };
    let (begins, opens) = store::past(db, begins, opens).await?;
    let cast = cast(db, usd_cny, begins.hour()).await?;
    let logins = logins::prepare(db, cast.customer, cast.host()).await?;
    certificates::prepare(db, &cast).await?;
    Ok(Demonstration {
        cast,
        logins,
        begins,
        opens,
        has_past_ahead: last.is_none_or(|last| last < opens),
    })
}

/// Opens the room of the customer's dispute, once the market has it.
///
/// # Errors
/// When the database fails.
pub async fn open_room(db: &PgPool, cast: &Cast, market: &Market) -> anyhow::Result<()> {
    room::prepare(db, cast, market).await
}

/// Draws who takes part and gives each a number, the same at every start.
///
/// # Errors
/// When the profile makes no market, or the database fails.
pub async fn cast(db: &PgPool, usd_cny: Decimal, begins: Hour) -> anyhow::Result<Cast> {
    let mut plan = plan(usd_cny)?;
    let bids = std::mem::take(&mut plan.bids);
    let shares = plan.fleet.shares.iter();
    let work = shares.map(|(grade, share)| Work {
        grade,
        listed: share.listed,
        units: bids
            .iter()
            .filter(|bid| bid.grade == *grade)
            .map(|bid| bid.units)
            .collect(),
    });
    let work = work.collect();
    let mut providers = Vec::new();
    for place in 0..plan.fleet.providers.len() {
        let name = provider_name(&plan.fleet, place);
        providers.push(store::participant(db, &name).await?);
    }
    let customer = store::participant(db, CUSTOMER).await?;
    let mut buyers = Vec::new();
    for number in 1..=BUYERS {
        let name = format!("演示购方 {number:02}");
        buyers.push(store::participant(db, &name).await?);
    }
    Ok(Cast {
        plan,
        work,
        providers,
        buyers,
        customer,
        begins,
    })
}

/// What a provider is called, by its place in the fleet.
fn provider_name(fleet: &Fleet, place: usize) -> String {
    let region = fleet.providers[place].region;
    let of_region = 1 + place % fleet::PROVIDERS_PER_SITE;
    format!("{}演示供方 {of_region}", region.cluster_zh)
}

fn plan(usd_cny: Decimal) -> anyhow::Result<Plan> {
    let profile = Profile::built_in().context("the built-in profile can't be read")?;
    let mut rows = tables::Rows::default();
    let (nodes, jobs) = profile.draw(SEED, &mut rows);
    let grades = rows.grades(profile::GRADES.as_bytes())?;
    let prices = rows.prices(profile::PRICES.as_bytes())?;
    let drawn = Tables {
        nodes,
        jobs,
        grades,
        prices,
        rows,
    };
    let wish = Wish {
        load: LOAD,
        usd_cny,
        seed: SEED,
    };
    Plan::draw(drawn, wish).context("the built-in profile makes no market")
}
