//! What a replay came to: one object, as JSON or as text.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use market::{AccountKind, HOUR_MINUTES, Money};

use super::books::Books;
use super::course::Course;
use super::work::Rounded;

/// The summary of a replay. Money is in yuan with four decimals.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Summary {
    /// `traces` or `profile`.
    pub source: &'static str,
    /// The seed of every draw.
    pub seed: u64,
    /// Peak demand as a share of what is listed, as asked for.
    pub load: String,
    /// Rows of nodes and jobs.
    pub rows_read: i64,
    /// Rows read, by table.
    pub tables: BTreeMap<&'static str, i64>,
    /// Rows left out, by reason.
    pub rows_left_out: BTreeMap<&'static str, i64>,
    /// What was rounded.
    pub rounded: Rounded,
    /// Nodes and cards by grade: usable, listed, wanted at the peak.
    pub fleet: BTreeMap<&'static str, Grade>,
    /// Instruments listed.
    pub instruments: usize,
    /// Pools opened.
    pub pools: usize,
    /// Orders placed.
    pub orders: i64,
    /// Of these, bids.
    pub bids: usize,
    /// Commands rejected, by reason.
    pub rejected: BTreeMap<&'static str, i64>,
    /// Bids that ended with units left, by reason.
    pub unfilled: BTreeMap<&'static str, i64>,
    /// Of these, how many traded some.
    pub partly_filled: i64,
    /// Trades.
    pub trades: i64,
    /// Unit-hours traded.
    pub unit_hours: i64,
    /// Leases.
    pub leases: i64,
    /// Hours of leases that were settled.
    pub settled_hours: i64,
    /// Unit-minutes that were traded, and those that were delivered.
    pub unit_minutes: Minutes,
    /// What moved between participants.
    pub flows: Flows,
    /// Balances by kind of account, as PostgreSQL sums them.
    pub money: BTreeMap<&'static str, String>,
    /// The sum of every posting, as PostgreSQL sums them.
    pub ledger_sum: String,
    /// Commands answered.
    pub commands: i64,
    /// How long it took.
    pub seconds: f64,
    /// Orders a second.
    pub orders_per_second: f64,
    /// Commands a second: orders, readings and all else.
    pub commands_per_second: f64,
}

/// A grade in the replay.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Grade {
    /// Usable nodes.
    pub nodes: i64,
    /// Cards listed.
    pub listed: i64,
    /// The most cards wanted in one hour.
    pub peak: i64,
    /// The reference price, yuan a card-hour.
    pub reference: String,
    /// The index price that it comes from, US dollars a card-hour.
    pub index_usd: String,
    /// The model whose index that is.
    pub price_model: String,
    /// Times this.
    pub factor: String,
    /// Whether no price of the grade itself is published.
    pub derived: bool,
}

/// What was owed and what came.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Minutes {
    /// Traded.
    pub promised: i64,
    /// Delivered.
    pub delivered: i64,
}

/// What moved between participants.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Flows {
    /// What trades came to.
    pub turnover: String,
    /// Paid to providers, after fees.
    pub paid: String,
    /// Given back to holders for missing minutes.
    pub refunded: String,
    /// Kept by the marketplace.
    pub fees: String,
    /// Credited to holders at leases' ends.
    pub credited: String,
}

impl Summary {
    /// The summary of a course that has ended, with the books that it left.
    pub fn of(source: &'static str, course: &Course, books: &Books, took: Duration) -> Self {
        let (plan, tally) = (&course.plan, &course.fates.tally);
        let yuan = |amount: Money| amount.to_string();
        let seconds = took.as_secs_f64();
        let rate = |count: i64| (count as f64 / seconds.max(0.001) * 10.0).round() / 10.0;
        let rows = |table| plan.rows.read.get(table).copied().unwrap_or(0);
        let money = AccountKind::ALL.into_iter().map(|kind| {
            let balance = books.balances.get(kind.code()).copied().unwrap_or(0);
            (kind.code(), yuan(Money(balance)))
        });
        let bids = course.fates.orders.iter().filter(|fate| fate.is_bid());
        Self {
            source,
            seed: plan.wish.seed,
            load: plan.wish.load.to_string(),
            rows_read: rows("nodes") + rows("jobs"),
            tables: plan.rows.read.clone(),
            rows_left_out: plan.rows.left_out.clone(),
            rounded: plan.rounded.clone(),
            fleet: grades(course),
            instruments: plan.fleet.instruments.len(),
            pools: plan.fleet.pools.len(),
            orders: tally.orders,
            bids: bids.count(),
            rejected: tally.rejected.clone(),
            unfilled: tally.unfilled.clone(),
            partly_filled: tally.partly_filled,
            trades: tally.trades,
            unit_hours: tally.unit_hours,
            leases: tally.leases,
            settled_hours: tally.settled_hours,
            unit_minutes: Minutes {
                promised: tally.unit_hours * HOUR_MINUTES,
                delivered: tally.unit_minutes,
            },
            flows: Flows {
                turnover: yuan(tally.turnover),
                paid: yuan(tally.paid),
                refunded: yuan(tally.refunded),
                fees: yuan(tally.fees),
                credited: yuan(tally.credited),
            },
            money: money.collect(),
            ledger_sum: yuan(Money(books.ledger_sum())),
            commands: tally.commands,
            seconds: (seconds * 1_000.0).round() / 1_000.0,
            orders_per_second: rate(tally.orders),
            commands_per_second: rate(tally.commands),
        }
    }
}

fn grades(course: &Course) -> BTreeMap<&'static str, Grade> {
    let plan = &course.plan;
    let shares = plan.fleet.shares.iter();
    let known = shares.filter_map(|(name, share)| Some((*name, share, plan.tariffs.get(name)?)));
    known
        .map(|(name, share, tariff)| {
            let grade = Grade {
                nodes: share.nodes,
                listed: share.listed,
                peak: share.peak,
                reference: tariff.reference().to_string(),
                index_usd: tariff.median().to_string(),
                price_model: tariff.price_model.clone(),
                factor: tariff.factor.to_string(),
                derived: tariff.derived,
            };
            (name, grade)
        })
        .collect()
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, name: &str, value: &dyn fmt::Display| {
            writeln!(f, "{name:<22}{value}")
        };
        line(f, "source", &format!("{}, seed {}", self.source, self.seed))?;
        line(f, "rows read", &self.rows_read)?;
        line(f, "rows left out", &by_reason(&self.rows_left_out))?;
        let rounded = &self.rounded;
        let (parts, lots) = (rounded.parts_of_a_card, rounded.up_to_a_lot);
        let added = rounded.cards_added;
        let text = format!("{parts} parts of a card, {lots} up to a lot (+{added} cards)");
        line(f, "rounded", &text)?;
        for (name, grade) in &self.fleet {
            let mark = if grade.derived { " (derived)" } else { "" };
            let (listed, peak, price) = (grade.listed, grade.peak, &grade.reference);
            let text = format!("{listed} cards listed, {peak} at the peak, {price} yuan/h{mark}");
            line(f, &format!("  {name}"), &text)?;
        }
        line(
            f,
            "orders",
            &format!("{} ({} bids)", self.orders, self.bids),
        )?;
        line(f, "rejected", &by_reason(&self.rejected))?;
        line(f, "unfilled", &by_reason(&self.unfilled))?;
        line(f, "trades", &self.trades)?;
        line(f, "unit-hours", &self.unit_hours)?;
        line(f, "leases", &self.leases)?;
        line(f, "settled hours", &self.settled_hours)?;
        let flows = [
            ("turnover", &self.flows.turnover),
            ("  paid", &self.flows.paid),
            ("  refunded", &self.flows.refunded),
            ("  fees", &self.flows.fees),
            ("  credited", &self.flows.credited),
        ];
        for (name, amount) in flows {
            line(f, name, amount)?;
        }
        for (kind, balance) in &self.money {
            line(f, &format!("money in {kind}"), balance)?;
        }
        line(f, "ledger sum", &self.ledger_sum)?;
        let (seconds, rate) = (self.seconds, self.orders_per_second);
        let all = self.commands_per_second;
        let text = format!("{seconds} s, {rate} orders/s, {all} commands/s");
        line(f, "took", &text)
    }
}

fn by_reason(counts: &BTreeMap<&'static str, i64>) -> String {
    let mut text = String::new();
    for (reason, count) in counts {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a text can't fail.
        let _ = write!(text, "{comma}{reason} {count}");
    }
    if text.is_empty() {
        text.push_str("none");
    }
    text
}
