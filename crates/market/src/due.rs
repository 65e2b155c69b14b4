//! What happens by itself when its time comes.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{DoneWhy, Event};
use crate::id::{InstrumentId, LeaseId, OrderId, ParticipantId};
use crate::lease::Lease;
use crate::ledger::{Account, AccountKind, Reason};
use crate::money::Money;
use crate::settlement::Minutes;
use crate::state::{Market, index};
use crate::time::{Hour, Timestamp};

/// What falls due. At one instant and of one acceptance, earlier variants come first: a lease's
/// last hour settles, and its credit is paid, before its bond is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// Another rule set is in force.
    Rules,
    /// An order expires.
    Expiry(OrderId),
    /// The earliest unsettled hour of a lease settles as not delivered.
    Deadline(LeaseId),
    /// What is left of a lease's bond is free.
    BondRelease(LeaseId),
    /// An instrument is halted no more.
    HaltOver(InstrumentId),
    /// What a provider earned in an hour becomes cash.
    Payout(ParticipantId),
}

impl Due {
    /// Which variant it is, and whose number.
    fn parts(self) -> (u8, i64) {
        match self {
            Self::Rules => (0, 0),
            Self::Expiry(order) => (1, order.0),
            Self::Deadline(lease) => (2, lease.0),
            Self::BondRelease(lease) => (3, lease.0),
            Self::HaltOver(instrument) => (4, instrument.0),
            Self::Payout(participant) => (5, participant.0),
        }
    }

    fn of_parts(kind: u8, id: i64) -> Self {
        match kind {
            0 => Self::Rules,
            1 => Self::Expiry(OrderId(id)),
            2 => Self::Deadline(LeaseId(id)),
            3 => Self::BondRelease(LeaseId(id)),
            4 => Self::HaltOver(InstrumentId(id)),
            _ => Self::Payout(ParticipantId(id)),
        }
    }
}

/// What falls due, by the instant, then by its place. Each hour has a list of its own, so that what is
/// far away is not in the way of what is near.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Agenda(BTreeMap<Hour, BTreeSet<Item>>);

/// What falls due in an hour, in 24 bytes: there is one for each open order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    /// Since the hour began.
    micros: u32,
    place: i64,
    kind: u8,
    id: i64,
}

impl Item {
    fn of((at, place, due): (Timestamp, i64, Due)) -> (Hour, Self) {
        let hour = at.hour();
        let micros = u32::try_from(at.0 - hour.begins().0);
        let micros = micros.expect("an hour has fewer than four billion microseconds");
        let (kind, id) = due.parts();
        let item = Self {
            micros,
            place,
            kind,
            id,
        };
        (hour, item)
    }

    fn due(self, hour: Hour) -> (Timestamp, i64, Due) {
        let at = Timestamp(hour.begins().0 + i64::from(self.micros));
        (at, self.place, Due::of_parts(self.kind, self.id))
    }
}

impl Agenda {
    /// Puts something on it.
    pub(crate) fn insert(&mut self, one: (Timestamp, i64, Due)) {
        let (hour, item) = Item::of(one);
        self.0.entry(hour).or_default().insert(item);
    }

    /// Takes something off it, if it is on it.
    pub(crate) fn remove(&mut self, one: &(Timestamp, i64, Due)) {
        let (hour, item) = Item::of(*one);
        if let Some(list) = self.0.get_mut(&hour) {
            list.remove(&item);
            if list.is_empty() {
                self.0.remove(&hour);
            }
        }
    }

    /// The first thing on it.
    pub(crate) fn first(&self) -> Option<(Timestamp, i64, Due)> {
        let (hour, list) = self.0.first_key_value()?;
        list.first().map(|item| item.due(*hour))
    }

    /// Takes the first thing off it.
    fn pop_first(&mut self) {
        if let Some(first) = self.first() {
            self.remove(&first);
        }
    }
}

/// The place of payouts and of ends of halts among what falls due at one instant: after orders and
/// leases.
pub(crate) const LAST: i64 = i64::MAX;

impl Market {
    /// Lets happen all that is due by `at`, in order of the instant, then of acceptance.
    pub(crate) fn let_happen(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        while let Some((instant, _, due)) = self.due.first().filter(|(when, ..)| *when <= at) {
            self.now = instant;
            match due {
                Due::Rules => self.change_rules(instant),
                Due::HaltOver(instrument) => {
                    self.due.pop_first();
                    self.resume(instrument, out);
                }
                Due::Expiry(order) => {
                    let known = self.order(order);
                    if known.is_bid() {
                        self.now = instant.min(known.closes().max(known.accepted_at));
                    }
                    self.finish(order, DoneWhy::Expired, out);
                }
                Due::Deadline(lease) => {
                    let hour = self.leases[index(lease.0)]
                        .first_unsettled()
                        .expect("an ended lease has no deadline");
                    self.settle(lease, hour, Minutes::default(), out);
                }
                Due::BondRelease(lease) => {
                    self.due.pop_first();
                    self.free_bond(lease, out);
                }
                Due::Payout(participant) => {
                    self.due.pop_first();
                    let earned = self
                        .payable
                        .remove(&(instant, participant))
                        .unwrap_or(Money::ZERO);
                    let payable = Account::of(participant, AccountKind::Payable);
                    let cash = Account::of(participant, AccountKind::Cash);
                    self.post(out, Reason::Payout, &[(payable, -earned), (cash, earned)]);
                }
            }
        }
    }

    fn free_bond(&mut self, lease: LeaseId, out: &mut Vec<Event>) {
        let lease = &mut self.leases[index(lease.0)];
        let (id, provider, bond) = (lease.id, lease.provider, lease.bond);
        lease.bond = Money::ZERO;
        let pledged = Account::of(provider, AccountKind::Bond);
        let cash = Account::of(provider, AccountKind::Cash);
        self.post(
            out,
            Reason::BondRelease(id),
            &[(pledged, -bond), (cash, bond)],
        );
    }

    /// When the claim window of a lease closes, and its bond is free.
    pub(crate) fn claim_window_ends(&self, lease: &Lease) -> Timestamp {
        let end = lease.period.end.begins();
        end.plus_hours(self.rules_of(lease.rules).claim_window_hours)
    }

    /// When the readings of a lease's earliest unsettled hour must have come; `None` when its rules
    /// set no deadline, or all is settled.
    pub(crate) fn deadline(&self, lease: &Lease) -> Option<Timestamp> {
        let hour: Hour = lease.first_unsettled()?;
        let hours = self.rules_of(lease.rules).reading_deadline_hours?;
        Some(hour.ends().plus_hours(hours))
    }

    /// Keeps a lease's deadline at its earliest unsettled hour.
    pub(crate) fn set_deadline(&mut self, lease: LeaseId) {
        let lease = &self.leases[index(lease.0)];
        if let Some(at) = self.deadline(lease) {
            self.due
                .insert((at, lease.acceptance, Due::Deadline(lease.id)));
        }
    }

    /// Takes a lease's deadline away while its hours change.
    pub(crate) fn clear_deadline(&mut self, lease: LeaseId) {
        let lease = &self.leases[index(lease.0)];
        if let Some(at) = self.deadline(lease) {
            self.due
                .remove(&(at, lease.acceptance, Due::Deadline(lease.id)));
        }
    }
}
