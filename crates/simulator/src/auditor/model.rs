//! What the auditor knows: everything spelled out hour by hour, nothing indexed.

use std::collections::{BTreeMap, BTreeSet};

use market::{
    Access, AccountKind, DoneWhy, Fees, InstrumentId, LeaseId, ListInstrument, OrderId,
    ParticipantId, PlaceOrder, PoolId, Rules, Side, TimeInForce, Timestamp,
};

/// An hour since 1970.
pub(super) type Hour = i64;

/// Amounts in 1/10,000 yuan, wide enough for any product.
pub(super) type Amount = i128;

pub(super) const HOUR: i64 = 3_600_000_000;
pub(super) const MINUTE: i64 = 60_000_000;

#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) owner: ParticipantId,
    pub(super) instrument: InstrumentId,
    pub(super) units: i64,
    pub(super) start: Hour,
    pub(super) end: Hour,
    pub(super) access: Access,
    pub(super) leased: BTreeMap<Hour, i64>,
}

impl Pool {
    pub(super) fn free(&self, hour: Hour) -> i64 {
        self.units - self.leased.get(&hour).copied().unwrap_or(0)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) id: OrderId,
    pub(super) terms: PlaceOrder,
    pub(super) lot: i64,
    pub(super) tick: i64,
    /// Where the units of an ask are, or a bid's have to be.
    pub(super) pool: Option<PoolId>,
    /// Minutes of its first hour that were gone.
    pub(super) late: i64,
    /// Minutes before its start at which a bid expires.
    pub(super) gate: i64,
    /// Whether it buys in what failed: no gate is closed to it.
    pub(super) buys_in: bool,
    /// The buyer's fee that a bid holds for.
    pub(super) fees: Fees,
    pub(super) start: Hour,
    pub(super) end: Hour,
    pub(super) units: i64,
    pub(super) price: i64,
    pub(super) accepted: u64,
    pub(super) accepted_at: Timestamp,
    /// A bid's traded units.
    pub(super) traded: i64,
    /// What the runs of a splittable bid cost so far.
    pub(super) splits: Amount,
    /// An ask's sold units by hour.
    pub(super) sold: BTreeMap<Hour, i64>,
    pub(super) done: Option<DoneWhy>,
}

impl Order {
    pub(super) fn is_bid(&self) -> bool {
        matches!(self.terms.side, Side::Buy { .. })
    }

    pub(super) fn owner(&self) -> ParticipantId {
        self.terms.participant
    }

    pub(super) fn hours(&self) -> i64 {
        let wanted = self.flexible().map(|flexible| flexible.duration);
        wanted.unwrap_or(self.end - self.start)
    }

    pub(super) fn remaining(&self) -> i64 {
        self.units - self.traded
    }

    pub(super) fn min_fill(&self) -> i64 {
        match self.terms.side {
            Side::Buy { min_fill, .. } => min_fill.unwrap_or(self.lot),
            Side::Sell { .. } | Side::Resell { .. } => self.lot,
        }
    }

    /// The lease that an ask sells on.
    pub(super) fn resold(&self) -> Option<LeaseId> {
        match self.terms.side {
            Side::Resell { lease, .. } => Some(lease),
            Side::Buy { .. } | Side::Sell { .. } => None,
        }
    }

    /// The shortest period that an ask sells; `None` of a bid.
    pub(super) fn min_hours(&self) -> Option<i64> {
        match self.terms.side {
            Side::Sell { min_hours, .. } | Side::Resell { min_hours, .. } => Some(min_hours),
            Side::Buy { .. } => None,
        }
    }

    pub(super) fn pool(&self) -> Option<PoolId> {
        self.pool
    }

    /// The hours in which an ask holds.
    pub(super) fn covered(&self) -> Vec<Hour> {
        let (Side::Sell { weekly, .. } | Side::Resell { weekly, .. }) = &self.terms.side else {
            return Vec::new();
        };
        let flags: Option<Vec<char>> = weekly
            .clone()
            .map(|weekly| String::from(weekly).chars().collect());
        (self.start..self.end)
            .filter(|hour| {
                // Hour 0 was the first of a Thursday; the week's first is Monday's.
                let of_week = usize::try_from((hour + 3 * 24).rem_euclid(168)).unwrap_or(0);
                flags.as_ref().is_none_or(|flags| flags[of_week] == '1')
            })
            .collect()
    }

    pub(super) fn sold_in(&self, hour: Hour) -> i64 {
        self.sold.get(&hour).copied().unwrap_or(0)
    }

    pub(super) fn least_sold(&self) -> i64 {
        if self.is_bid() {
            return self.traded;
        }
        let covered = self.covered();
        covered.iter().map(|h| self.sold_in(*h)).min().unwrap_or(0)
    }

    /// When its time is over, as an instant.
    pub(super) fn over(&self) -> Timestamp {
        let own = if self.is_bid() {
            let closes = (self.end - self.hours()) * HOUR - self.gate * MINUTE;
            closes.max(self.accepted_at.0)
        } else {
            self.end * HOUR
        };
        match self.terms.tif {
            TimeInForce::Gtd { until } => Timestamp(own.min(until.0)),
            TimeInForce::Gtc | TimeInForce::Ioc | TimeInForce::Fok => Timestamp(own),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) id: LeaseId,
    pub(super) holder: ParticipantId,
    pub(super) provider: ParticipantId,
    pub(super) pool: PoolId,
    pub(super) units: i64,
    pub(super) start: Hour,
    pub(super) end: Hour,
    pub(super) price: i64,
    pub(super) accepted: u64,
    pub(super) fee_bps: i64,
    /// Minutes of its first hour that nobody owes.
    pub(super) late: i64,
    /// Which of the orders bought it.
    pub(super) bid: usize,
    /// From which hour on its provider has failed it.
    pub(super) failed_from: Option<Hour>,
    pub(super) buyer_bps: i64,
    pub(super) fees: (i64, i64),
    pub(super) made_at: Timestamp,
    pub(super) rules: i64,
    /// Each resale since the provider sold: by whom, bought and sold for what.
    pub(super) chain: Vec<(ParticipantId, i64, i64)>,
    /// The units that it has by hour.
    pub(super) held: BTreeMap<Hour, i64>,
    pub(super) unsettled: BTreeSet<Hour>,
    /// What is in escrow for each hour that is not settled.
    pub(super) escrow: BTreeMap<Hour, Amount>,
    pub(super) delivered: i64,
    /// What each settled hour got, and what of the rest was declared maintenance.
    pub(super) got: BTreeMap<Hour, (i64, i64)>,
    /// What rulings had awarded of an hour's escrow when it was settled.
    pub(super) awarded: BTreeMap<Hour, Amount>,
    pub(super) credited: Amount,
    pub(super) earned: Amount,
    pub(super) fee: Amount,
    pub(super) buyer_fee: Amount,
    pub(super) bond: Amount,
}

impl Lease {
    pub(super) fn cost(&self) -> Amount {
        self.held.keys().map(|hour| self.hour_price(*hour)).sum()
    }

    /// The unit-minutes that an hour owes.
    pub(super) fn owed(&self, hour: Hour) -> i64 {
        let gone = if hour == self.start { self.late } else { 0 };
        self.held[&hour] * (60 - gone)
    }

    pub(super) fn hour_price(&self, hour: Hour) -> Amount {
        Amount::from(self.price) * Amount::from(self.owed(hour)) / 60
    }

    /// What the provider gets for a unit-hour.
    pub(super) fn first_price(&self) -> i64 {
        self.chain.first().map_or(self.price, |link| link.1)
    }

    /// What is in escrow for the buyer's fee.
    pub(super) fn fee_escrow(&self) -> Amount {
        let open = self.unsettled.iter().map(|hour| self.owed(*hour));
        self.buyer_fee_on(self.delivered + open.sum::<i64>()) - self.buyer_fee
    }

    /// The buyer's fee on so many unit-minutes.
    pub(super) fn buyer_fee_on(&self, unit_minutes: i64) -> Amount {
        fee_on(self.price, self.buyer_bps, self.fees.1, unit_minutes).div_euclid(600_000)
    }

    /// What resellers have in escrow for it.
    pub(super) fn left(&self) -> Vec<(ParticipantId, Amount)> {
        let open: i64 = self.unsettled.iter().map(|hour| self.held[hour]).sum();
        let left = |&(who, bought, sold): &(ParticipantId, i64, i64)| {
            (who, Amount::from(0.max(bought - sold)) * Amount::from(open))
        };
        self.chain.iter().map(left).collect()
    }
}

/// A fee on so many unit-minutes, in 1/600,000 of 1/10,000 yuan: whole there.
pub(super) fn fee_on(price: i64, bps: i64, flat: i64, unit_minutes: i64) -> Amount {
    let share = Amount::from(price) * Amount::from(bps);
    let flat = Amount::from(flat) * 10_000;
    (share + flat) * Amount::from(unit_minutes)
}

/// Where frozen money was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Escrow(Hour),
    Bond,
    Payable(Timestamp),
    Cash,
}

/// A dispute; the first is number 1.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// Which of the leases.
    pub(super) lease: usize,
    pub(super) claimed: Amount,
    pub(super) open: bool,
    /// What is frozen, in the order in which it would be awarded.
    pub(super) frozen: Vec<(Source, Amount)>,
}

/// Everything, in plain lists.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) rules: Rules,
    /// Every rule set that was in force.
    pub(super) rule_sets: BTreeMap<i64, Rules>,
    /// Rule sets that are to come, with when.
    pub(super) rules_to_come: Vec<(Timestamp, i64)>,
    pub(super) halts: BTreeMap<InstrumentId, Timestamp>,
    /// Groups of participants that belong together.
    pub(super) related: Vec<Vec<ParticipantId>>,
    /// Every trade that counts: where, when, at what price, how many unit-hours.
    pub(super) counted: Vec<(InstrumentId, Timestamp, i64, i64)>,
    pub(super) now: Timestamp,
    pub(super) acceptances: u64,
    pub(super) instruments: BTreeMap<InstrumentId, ListInstrument>,
    pub(super) pools: BTreeMap<PoolId, Pool>,
    pub(super) orders: Vec<Order>,
    /// Which of the orders are open.
    pub(super) open: Vec<usize>,
    pub(super) leases: Vec<Lease>,
    /// Which of the leases have hours to settle or a bond to free.
    pub(super) live: Vec<usize>,
    pub(super) claims: Vec<Claim>,
    /// What becomes cash, and negative what a claim has frozen of it.
    pub(super) payable: Vec<(Timestamp, ParticipantId, Amount)>,
    pub(super) balances: BTreeMap<(ParticipantId, AccountKind), Amount>,
}

impl Model {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rule_sets: BTreeMap::from([(rules.version, rules.clone())]),
            rules,
            rules_to_come: Vec::new(),
            halts: BTreeMap::new(),
            related: Vec::new(),
            counted: Vec::new(),
            now: Timestamp(i64::MIN),
            acceptances: 0,
            instruments: BTreeMap::new(),
            pools: BTreeMap::new(),
            orders: Vec::new(),
            open: Vec::new(),
            leases: Vec::new(),
            live: Vec::new(),
            claims: Vec::new(),
            payable: Vec::new(),
            balances: BTreeMap::new(),
        }
    }

    pub(super) fn balance(&self, whose: ParticipantId, kind: AccountKind) -> Amount {
        self.balances.get(&(whose, kind)).copied().unwrap_or(0)
    }

    /// Moves an amount between two accounts.
    pub(super) fn pay(
        &mut self,
        from: (ParticipantId, AccountKind),
        to: (ParticipantId, AccountKind),
        amount: Amount,
    ) {
        *self.balances.entry(from).or_default() -= amount;
        *self.balances.entry(to).or_default() += amount;
    }

    /// Which of the leases has this number.
    pub(super) fn lease_at(&self, id: LeaseId) -> Option<usize> {
        self.leases.iter().position(|lease| lease.id == id)
    }

    pub(super) fn accept(&mut self) -> u64 {
        self.acceptances += 1;
        self.acceptances
    }
}
