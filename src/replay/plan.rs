//! The plan of a replay: everything that is drawn before the market opens.

use std::collections::BTreeMap;

use super::decimal::{Decimal, ONE};
use super::fleet::Fleet;
use super::tables::{GradeMap, IndexPrices, Job, Node, Rows};
use super::tariff::{Tariff, tariffs};
use super::work::{Bid, Rounded, bids, grade, peaks};

/// The most yuan for a US dollar that make sense; with it every price fits in 64 bits.
const HIGHEST_RATE: Decimal = Decimal(1_000 * ONE);

/// The rows of the four tables.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// Usable nodes.
    pub nodes: Vec<Node>,
    /// Usable jobs, in order of creation.
    pub jobs: Vec<Job>,
    /// Grades by model.
    pub grades: GradeMap,
    /// Index prices by model.
    pub prices: IndexPrices,
    /// How many rows there were.
    pub rows: Rows,
}

/// What a replay can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Peak demand as a share of what is listed.
    pub load: Decimal,
    /// Yuan for a US dollar.
    pub usd_cny: Decimal,
    /// The seed of every draw.
    pub seed: u64,
}

/// Everything that is drawn before the market opens.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it was told.
    pub wish: Wish,
    /// Providers, instruments, pools.
    pub fleet: Fleet,
    /// One bid a job.
    pub bids: Vec<Bid>,
    /// Prices by grade.
    pub tariffs: BTreeMap<&'static str, Tariff>,
    /// What was rounded.
    pub rounded: Rounded,
    /// How many rows were read and left out.
    pub rows: Rows,
    /// The hour after the last one of any job, from the trace's start.
    pub hours: i64,
}

/// Tables that make no market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPlan {
    /// There is nothing to sell.
    #[error("no node is usable: every one was left out")]
    NoNode,
    /// There is nobody to sell it to.
    #[error("no job is usable: every one was left out")]
    NoJob,
    /// A load that is not above zero, or a rate that is not one of exchange.
    #[error("the load must be above 0, the rate above 0 and up to 1000")]
    OutOfRange,
}

impl Plan {
    /// Draws the plan.
    ///
    /// # Errors
    /// When the tables make no market.
    pub fn draw(tables: Tables, wish: Wish) -> Result<Self, NoPlan> {
        let rates = Decimal(1)..=HIGHEST_RATE;
        if wish.load <= Decimal(0) || !rates.contains(&wish.usd_cny) {
            return Err(NoPlan::OutOfRange);
        }
        let mut rows = tables.rows;
        let tariffs = tariffs(&tables.grades, &tables.prices, wish.usd_cny);
        let mut nodes = tables.nodes;
        let all = nodes.len();
        nodes.retain(|node| tariffs.contains_key(node.grade.name));
        rows.count_left_out("no_price", count(all - nodes.len()));
        if nodes.is_empty() {
            return Err(NoPlan::NoNode);
        }
        let (work, rounded, too_large) = grade(&tables.jobs, &nodes, wish.seed);
        rows.count_left_out("more_than_the_fleet", too_large);
        if work.is_empty() {
            return Err(NoPlan::NoJob);
        }
        let hours = work.iter().map(|wanted| wanted.job.end()).max();
        let fleet = Fleet::list(&nodes, &peaks(&work), wish.load, wish.seed);
        let bids = bids(&work, &fleet, &tariffs, wish.seed);
        Ok(Self {
            wish,
            fleet,
            bids,
            tariffs,
            rounded,
            rows,
            hours: hours.ok_or(NoPlan::NoJob)?,
        })
    }
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
