//! The double-entry ledger: accounts, balances, and journal entries whose postings sum to zero.

use std::collections::BTreeMap;

use crate::id::{DisputeId, EntryId, LeaseId, OrderId, ParticipantId, TradeId};
use crate::money::Money;

/// What an account is for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// A participant's free money.
    Cash,
    /// Reserved for the participant's open bids.
    Hold,
    /// Reserved for the participant's leases, hour by hour.
    Escrow,
    /// Earned, not yet withdrawable.
    Payable,
    /// Pledged by a provider against default.
    Bond,
    /// Frozen by a dispute.
    Dispute,
    /// The marketplace's earnings.
    Fees,
    /// The marketplace's clearing account at its bank; the only one below zero.
    Bank,
    /// What was awarded beyond what was frozen.
    Unfunded,
}

impl AccountKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Cash,
        Self::Hold,
        Self::Escrow,
        Self::Payable,
        Self::Bond,
        Self::Dispute,
        Self::Fees,
        Self::Bank,
        Self::Unfunded,
    ];

    /// Its name in the tables, in the protocol and on pages.
    pub fn code(self) -> &'static str {
        match self {
            Self::Cash => "cash",
            Self::Hold => "hold",
            Self::Escrow => "escrow",
            Self::Payable => "payable",
            Self::Bond => "bond",
            Self::Dispute => "dispute",
            Self::Fees => "fees",
            Self::Bank => "bank",
            Self::Unfunded => "unfunded",
        }
    }

    /// The kind of this name.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// A ledger account: whose, and what for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct Account {
    /// Whose.
    pub participant: ParticipantId,
    /// What for.
    pub kind: AccountKind,
}

impl Account {
    /// A participant's account of this kind.
    pub fn of(participant: ParticipantId, kind: AccountKind) -> Self {
        Self { participant, kind }
    }

    /// The marketplace's account of this kind.
    pub fn marketplace(kind: AccountKind) -> Self {
        Self::of(ParticipantId::MARKETPLACE, kind)
    }
}

/// One signed line of a journal entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Posting {
    /// Which account.
    pub account: Account,
    /// How much it changes by; never zero.
    pub amount: Money,
}

/// Why an entry was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Cleared money came in.
    Deposit,
    /// An accepted bid reserves its money, or a replaced one more or less of it.
    Hold(OrderId),
    /// A done bid frees what it held.
    Release(OrderId),
    /// A trade moves the hold to escrow and pledges the provider's bond.
    Trade(TradeId),
    /// An hour of a lease is paid and refunded.
    Settlement(LeaseId),
    /// A settled hour of a lease counts otherwise by late evidence.
    Correction(LeaseId),
    /// What was earned becomes cash.
    Payout,
    /// A service level was not kept.
    Credit(LeaseId),
    /// A lease's bond is free again.
    BondRelease(LeaseId),
    /// A claim freezes money.
    Dispute(DisputeId),
    /// A ruling splits what was frozen.
    Ruling(DisputeId),
    /// Hours of a lease go back to its pool.
    HandBack(LeaseId),
    /// A bond adds to what its failed lease is bought in for, or gets back what of that was not
    /// needed.
    BuyIn(LeaseId),
    /// A bond pays the penalty of its failed lease.
    Default(LeaseId),
}

impl Reason {
    /// Its name in the tables.
    pub fn code(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Hold(_) => "hold",
            Self::Release(_) => "release",
            Self::Trade(_) => "trade",
            Self::Settlement(_) => "settlement",
            Self::Correction(_) => "correction",
            Self::Payout => "payout",
            Self::Credit(_) => "credit",
            Self::BondRelease(_) => "bond_release",
            Self::Dispute(_) => "dispute",
            Self::Ruling(_) => "ruling",
            Self::HandBack(_) => "hand_back",
            Self::BuyIn(_) => "buy_in",
            Self::Default(_) => "default",
        }
    }

    /// The number of the order, trade, lease or dispute that it concerns.
    pub fn subject(self) -> Option<i64> {
        match self {
            Self::Deposit | Self::Payout => None,
            Self::Hold(order) | Self::Release(order) => Some(order.0),
            Self::Trade(trade) => Some(trade.0),
            Self::Settlement(lease)
            | Self::Correction(lease)
            | Self::Credit(lease)
            | Self::BondRelease(lease)
            | Self::HandBack(lease)
            | Self::BuyIn(lease)
            | Self::Default(lease) => Some(lease.0),
            Self::Dispute(dispute) | Self::Ruling(dispute) => Some(dispute.0),
        }
    }
}

/// A journal entry.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Entry {
    /// Its number.
    pub id: EntryId,
    /// Why it was made.
    pub reason: Reason,
    /// Its lines; they sum to zero.
    pub postings: Vec<Posting>,
}

/// The lines that move something.
pub(crate) fn postings(lines: &[(Account, Money)]) -> Vec<Posting> {
    let lines = lines.iter().filter(|(_, amount)| *amount != Money::ZERO);
    lines
        .map(|&(account, amount)| Posting { account, amount })
        .collect()
}

/// Every balance, and the number of the next entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    balances: BTreeMap<Account, Money>,
    entries: i64,
}

impl Ledger {
    /// A ledger that goes on from these balances after this many entries.
    pub(crate) fn restore(balances: BTreeMap<Account, Money>, entries: i64) -> Self {
        Self { balances, entries }
    }

    /// What an account holds.
    pub fn balance(&self, account: Account) -> Money {
        self.balances.get(&account).copied().unwrap_or_default()
    }

    /// Every account that was ever posted to, with its balance.
    pub fn balances(&self) -> impl Iterator<Item = (Account, Money)> + '_ {
        self.balances
            .iter()
            .map(|(account, amount)| (*account, *amount))
    }

    /// How many entries were made.
    pub fn entries(&self) -> i64 {
        self.entries
    }

    /// Makes an entry of the lines that move something; `None` when none does.
    ///
    /// # Panics
    /// When the lines don't sum to zero or an account but the bank's would go below zero: the
    /// caller has checked both, so either is a defect of the market.
    pub(crate) fn post(&mut self, reason: Reason, lines: &[(Account, Money)]) -> Option<Entry> {
        let postings = postings(lines);
        if postings.is_empty() {
            return None;
        }
        let total: Money = postings.iter().map(|posting| posting.amount).sum();
        assert!(
            total == Money::ZERO,
            "an entry sums to zero: {reason:?} {postings:?}"
        );
        for posting in &postings {
            let balance = self.balances.entry(posting.account).or_default();
            *balance += posting.amount;
        }
        for posting in &postings {
            let below = self.balance(posting.account) < Money::ZERO;
            assert!(
                !below || posting.account.kind == AccountKind::Bank,
                "an account stays at or above zero: {reason:?} {postings:?}"
            );
        }
        self.entries += 1;
        Some(Entry {
            id: EntryId(self.entries),
            reason,
            postings,
        })
    }
}
