//! What a batch changes, as columns of arrays: one array statement a table.

use std::collections::{BTreeMap, BTreeSet};

use market::{
    Command, Corrected, DisputeId, Entry, Event, EventKind, InstrumentId, LeaseId, Market, OrderId,
    ParticipantId, Posting, Reason, Rules, Settled, Side, Timestamp, Trade,
};

use super::Actor;

/// One command and what came of it.
pub(super) struct Applied {
    pub(super) seq: i64,
    pub(super) at: Timestamp,
    pub(super) actor: Actor,
    pub(super) command: Command,
    pub(super) events: Vec<Event>,
}

impl Applied {
    /// What it made, and when.
    fn made<T>(&self, at: Timestamp, what: T) -> Made<T> {
        let command = self.seq;
        Made { command, at, what }
    }
}

/// The rows of a batch. Orders and leases come as they stand after it, each once.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) commands: Vec<CommandRow>,
    pub(super) instruments: Vec<market::ListInstrument>,
    pub(super) pools: BTreeMap<i64, PoolRow>,
    /// Each with the command that placed it.
    pub(super) new_orders: BTreeMap<OrderId, i64>,
    /// Those of them whose terms are in their command.
    pub(super) placed: BTreeSet<OrderId>,
    pub(super) changed_orders: BTreeSet<OrderId>,
    pub(super) done_at: BTreeMap<OrderId, Timestamp>,
    pub(super) trades: Vec<Made<Trade>>,
    pub(super) changed_leases: BTreeSet<LeaseId>,
    /// Each with the command that opened it.
    pub(super) new_disputes: BTreeMap<DisputeId, i64>,
    pub(super) changed_disputes: BTreeSet<DisputeId>,
    /// Each with the command that ruled.
    pub(super) rulings: BTreeMap<DisputeId, i64>,
    pub(super) settlements: Vec<Made<Settled>>,
    pub(super) corrections: Vec<Made<Corrected>>,
    pub(super) entries: Vec<Made<Entry>>,
    /// Each with from when it holds and the command that gave it.
    pub(super) rule_sets: Vec<(Rules, Timestamp, i64)>,
    pub(super) halts: BTreeMap<InstrumentId, Timestamp>,
    pub(super) related: BTreeSet<ParticipantId>,
    pub(super) balances: BTreeMap<market::Account, i64>,
    pub(super) news: Vec<serde_json::Value>,
    /// The instant of the last command.
    pub(super) at: Timestamp,
}

pub(super) struct CommandRow {
    pub(super) seq: i64,
    pub(super) at: Timestamp,
    pub(super) actor: String,
    pub(super) body: String,
    pub(super) rejected: Option<&'static str>,
}

/// What a command made, and when.
pub(super) struct Made<T> {
    pub(super) command: i64,
    pub(super) at: Timestamp,
    pub(super) what: T,
}

pub(super) struct PoolRow {
    pub(super) terms: market::OpenPool,
    pub(super) opened_at: Timestamp,
}

impl Rows {
    /// The rows of these commands, after which the market stands as it does.
    pub(super) fn of(market: &Market, applied: &[Applied]) -> Self {
        let mut rows = Self {
            at: market.now(),
            ..Self::default()
        };
        for one in applied {
            for event in &one.events {
                rows.add(market, one, event);
            }
            rows.add_command(one);
        }
        rows.changed_orders
            .retain(|order| !rows.new_orders.contains_key(order));
        rows.changed_disputes
            .retain(|dispute| !rows.new_disputes.contains_key(dispute));
        for entry in &rows.entries {
            for Posting { account, .. } in &entry.what.postings {
                rows.balances
                    .insert(*account, market.ledger().balance(*account).0);
            }
        }
        rows
    }

    fn add_command(&mut self, one: &Applied) {
        let rejected = one.events.iter().find_map(|event| match event.kind {
            EventKind::Rejected(rejection) => Some(rejection.code()),
            _ => None,
        });
        let body = serde_json::to_string(&one.command).expect("a command is plain data");
        let actor = one.actor.to_string();
        self.commands.push(CommandRow {
            seq: one.seq,
            at: one.at,
            actor,
            body,
            rejected,
        });
    }

    fn add(&mut self, market: &Market, one: &Applied, event: &Event) {
        let (command, at) = (one.seq, event.at);
        match &event.kind {
            EventKind::Rejected(_) | EventKind::Accepted { again: true, .. } => {}
            EventKind::InstrumentListed => {
                if let Command::ListInstrument(listed) = &one.command {
                    self.instruments.push(listed.clone());
                }
            }
            EventKind::PoolOpened { pool } => {
                if let Command::OpenPool(terms) = &one.command {
                    let row = PoolRow {
                        terms: terms.clone(),
                        opened_at: at,
                    };
                    self.pools.entry(pool.0).or_insert(row).terms.units = terms.units;
                }
            }
            EventKind::Accepted { order, .. } => match one.command {
                Command::PlaceOrder(_) => {
                    self.placed.insert(*order);
                    self.new_orders.insert(*order, command);
                }
                Command::Default { .. } => {
                    self.new_orders.insert(*order, command);
                }
                _ => {
                    self.changed_orders.insert(*order);
                }
            },
            EventKind::Traded(trade) => {
                self.changed_orders.insert(trade.buy);
                self.tell(event);
                self.trades.push(one.made(at, *trade));
            }
            EventKind::Leased { lease, parent, .. } => {
                self.changed_leases.insert(*lease);
                self.changed_leases.extend(parent);
            }
            EventKind::Done { order, .. } => {
                self.changed_orders.insert(*order);
                self.done_at.insert(*order, at);
                self.tell(event);
            }
            EventKind::Settled(settled) => {
                self.change_lease(market, settled.lease);
                self.settlements.push(one.made(at, settled.clone()));
            }
            EventKind::Corrected(corrected) => {
                self.change_lease(market, corrected.lease);
                self.corrections.push(one.made(at, corrected.clone()));
                self.tell(event);
            }
            EventKind::Credited { lease, .. } => {
                self.change_lease(market, *lease);
                self.tell(event);
            }
            EventKind::Disputed { dispute, lease, .. } => {
                self.new_disputes.insert(*dispute, command);
                self.change_lease(market, *lease);
                self.tell(event);
            }
            EventKind::Ruled { dispute, .. } => {
                self.rulings.insert(*dispute, command);
                if let Some(dispute) = market.dispute(*dispute) {
                    self.changed_disputes.insert(dispute.id);
                    self.changed_leases.insert(dispute.lease);
                }
                self.tell(event);
            }
            EventKind::HandedBack { lease, .. } | EventKind::Defaulted { lease, .. } => {
                self.change_lease(market, *lease);
                self.tell(event);
            }
            EventKind::RulesSet { from, .. } => {
                if let Command::SetRules { rules, .. } = &one.command {
                    self.rule_sets.push(((**rules).clone(), *from, command));
                }
            }
            EventKind::Halted { instrument, until } => {
                self.halts.insert(*instrument, *until);
            }
            EventKind::Related { participants } => self.related.extend(participants),
            EventKind::Posted(entry) => {
                if let Reason::BondRelease(lease) = entry.reason {
                    self.changed_leases.insert(lease);
                }
                self.entries.push(one.made(at, entry.clone()));
            }
        }
    }

    /// A lease has changed, and with it what is frozen about it.
    fn change_lease(&mut self, market: &Market, lease: LeaseId) {
        self.changed_leases.insert(lease);
        let open = market.open_dispute(lease);
        self.changed_disputes.extend(open.map(|dispute| dispute.id));
    }

    fn tell(&mut self, event: &Event) {
        self.news
            .push(serde_json::to_value(event).expect("an event is plain data"));
    }
}

/// An array of numbers as PostgreSQL writes it: arrays of arrays of different lengths can't be sent.
pub(super) fn number_array(numbers: impl Iterator<Item = i64>) -> String {
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    format!("{{{}}}", numbers.join(","))
}

/// The name of a side in the tables.
pub(super) fn side_code(side: &Side) -> &'static str {
    match side {
        Side::Buy { .. } => "buy",
        Side::Sell { .. } | Side::Resell { .. } => "sell",
    }
}
