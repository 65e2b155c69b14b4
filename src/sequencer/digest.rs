//! A short word for the whole state: the leader stores it with each batch, and whoever reads the
//! tables works it out anew. Another word means that the tables are not what the leader had, or
//! were read back otherwise; such a market is not served.
//!
//! It is a sum, modulo 2^128, of a hash of each order, lease, dispute and balance, so a batch
//! changes it by what it touched. It guards against lost and damaged rows and against defects;
//! against a hand in the tables there is the chain of hashes over the journal.

use std::collections::BTreeMap;

use market::{
    Account, Dispute, DisputeId, DoneWhy, Lease, LeaseId, List, Market, Money, Order, OrderId,
};
use sha2::{Digest as _, Sha256};

use super::rows::Rows;

/// The digest with the part of each thing in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest {
    sum: u128,
    /// By number from 1.
    orders: List<u128>,
    leases: List<u128>,
    disputes: List<u128>,
    balances: BTreeMap<Account, u128>,
}

impl Digest {
    /// The digest of a market that has made so many orders.
    pub(super) fn of(market: &Market, orders: usize) -> Self {
        let mut digest = Self::default();
        for number in (1..).take(orders) {
            digest.note_order(market.order(OrderId(number)));
        }
        let leases = (1..).map_while(|number| market.lease(LeaseId(number)));
        leases.for_each(|lease| digest.note_lease(lease));
        market.disputes().for_each(|one| digest.note_dispute(one));
        for (account, amount) in market.ledger().balances() {
            digest.note_balance(account, amount);
        }
        digest
    }

    /// Follows a batch after which the market stands as it does.
    pub(super) fn follow(&mut self, market: &Market, rows: &Rows) {
        for order in rows.new_orders.keys().chain(&rows.changed_orders) {
            self.note_order(market.order(*order));
        }
        for lease in &rows.changed_leases {
            market
                .lease(*lease)
                .into_iter()
                .for_each(|one| self.note_lease(one));
        }
        for dispute in rows.new_disputes.keys().chain(&rows.changed_disputes) {
            let dispute = market.dispute(*dispute);
            dispute.into_iter().for_each(|one| self.note_dispute(one));
        }
        for (account, amount) in &rows.balances {
            self.note_balance(*account, Money(*amount));
        }
    }

    /// As it is stored: 16 bytes, the high one first.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.sum.to_be_bytes().to_vec()
    }

    fn note_order(&mut self, order: &Order) {
        let done = order.done.map_or("", DoneWhy::code);
        let numbers = [
            order.id.0,
            order.participant().0,
            order.units,
            order.price.0,
            order.acceptance,
            order.accepted_at.0,
            order.filled,
            order.held.0,
            order.rules,
            order.late_minutes,
        ];
        let part = part(b'o', &numbers, done);
        let OrderId(number) = order.id;
        put(&mut self.sum, numbered(&mut self.orders, number), part);
    }

    fn note_lease(&mut self, lease: &Lease) {
        let mut numbers = vec![
            lease.id.0,
            lease.buy.0,
            lease.sell.0,
            lease.holder.0,
            lease.provider.0,
            lease.escrow.0,
            lease.bond.0,
            lease.delivered,
            lease.earned.0,
            lease.fee.0,
            lease.buyer_fee.0,
            lease.credited.0,
            lease.failed_from.map_or(i64::MIN, |hour| hour.0),
        ];
        numbers.extend(&lease.held);
        numbers.extend(lease.settled.iter().map(|settled| i64::from(*settled)));
        // Nothing of a lease that has none, so that what was stored before there was any holds.
        let maintenance = lease.maintenance.iter();
        numbers.extend(maintenance.flat_map(|(hour, minutes)| [hour.0, *minutes]));
        let LeaseId(number) = lease.id;
        let part = part(b'l', &numbers, "");
        put(&mut self.sum, numbered(&mut self.leases, number), part);
    }

    fn note_dispute(&mut self, dispute: &Dispute) {
        let ruled = dispute.ruled;
        let numbers = [
            dispute.id.0,
            dispute.lease.0,
            dispute.claimed.0,
            dispute.frozen().0,
            ruled.map_or(i64::MIN, |ruling| ruling.at.0),
            ruled.map_or(0, |ruling| ruling.awarded.0),
            ruled.map_or(0, |ruling| ruling.unfunded.0),
        ];
        let DisputeId(number) = dispute.id;
        let part = part(b'd', &numbers, "");
        put(&mut self.sum, numbered(&mut self.disputes, number), part);
    }

    fn note_balance(&mut self, account: Account, amount: Money) {
        let part = part(
            b'b',
            &[account.participant.0, amount.0],
            account.kind.code(),
        );
        put(
            &mut self.sum,
            self.balances.entry(account).or_default(),
            part,
        );
    }
}

/// The place of what is numbered from 1.
fn numbered(parts: &mut List<u128>, number: i64) -> &mut u128 {
    let place = usize::try_from(number - 1).expect("numbers begin at 1");
    while parts.len() <= place {
        parts.push(0);
    }
    &mut parts[place]
}

/// Puts a part where another one was.
fn put(sum: &mut u128, place: &mut u128, part: u128) {
    *sum = sum.wrapping_sub(*place).wrapping_add(part);
    *place = part;
}

/// The first half of a SHA-256 over a kind, numbers of eight bytes, the high one first, and a word.
fn part(kind: u8, numbers: &[i64], word: &str) -> u128 {
    let mut hash = Sha256::new();
    hash.update([kind]);
    for number in numbers {
        hash.update(number.to_be_bytes());
    }
    hash.update(word);
    let hash = hash.finalize();
    let (half, _) = hash.split_first_chunk().expect("a SHA-256 has 32 bytes");
    u128::from_be_bytes(*half)
}
