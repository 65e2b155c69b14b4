//! Disputes: a claim freezes money, a ruling splits it (MATCHING, Dispute).
//!
//! No settlement waits for a ruling. What the holder gets by the rules out of frozen money (the
//! refund of an hour, the credit of a lease) is theirs at once and no longer frozen; what the
//! provider earns out of it stays frozen as theirs. docs/decisions/0006 says why.

use std::collections::BTreeMap;

use crate::due::{Due, LAST};
use crate::event::{Event, EventKind};
use crate::id::{DisputeId, LeaseId, ParticipantId};
use crate::lease::Lease;
use crate::ledger::{Account, AccountKind, Posting, Reason, postings};
use crate::money::Money;
use crate::rejection::Rejection;
use crate::state::{Market, index};
use crate::time::{Hour, Timestamp};

/// A holder's claim against the provider of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// Its number.
    pub id: DisputeId,
    /// The lease that it is about.
    pub lease: LeaseId,
    /// Its holder, who claims.
    pub claimant: ParticipantId,
    /// Its provider, against whom the claim is.
    pub provider: ParticipantId,
    /// How much is claimed.
    pub claimed: Money,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// What it keeps from where it was: what is frozen, and once it is ruled, what was awarded
    /// of that.
    pub parts: Parts,
    /// The ruling, once there is one.
    pub ruled: Option<Ruling>,
}

/// Money by where it was when it was frozen, in the order in which that is frozen and awarded.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Parts {
    /// The lease's escrow, by the hour for which it is; the earliest hour first.
    pub escrow: BTreeMap<Hour, Money>,
    /// The lease's bond.
    pub bond: Money,
    /// The provider's payable, by when it becomes cash; the latest first.
    pub payable: BTreeMap<Timestamp, Money>,
    /// The provider's cash.
    pub cash: Money,
}

/// What a ruling does: what is awarded, what is let go, and what that posts.
struct Split {
    awarded: Parts,
    released: Parts,
    lines: Vec<(Account, Money)>,
}

/// How a dispute was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// When.
    pub at: Timestamp,
    /// What the claimant was awarded, funded or not.
    pub awarded: Money,
    /// What of the frozen money went back to where it was.
    pub released: Money,
    /// What of the award nothing was frozen for.
    pub unfunded: Money,
}

impl Dispute {
    /// What is frozen; once it is ruled, what was then.
    pub fn frozen(&self) -> Money {
        match self.ruled {
            None => self.parts.total(),
            Some(ruling) => ruling.paid() + ruling.released,
        }
    }
}

impl Ruling {
    /// What the claimant got.
    pub fn paid(self) -> Money {
        self.awarded - self.unfunded
    }
}

impl Parts {
    /// All of it.
    pub fn total(&self) -> Money {
        let (escrow, payable) = (self.escrow.values(), self.payable.values());
        escrow.copied().sum::<Money>() + self.bond + payable.copied().sum() + self.cash
    }

    /// The first of it up to an amount, and the rest.
    fn split(mut self, amount: Money) -> (Self, Self) {
        let mut left = amount;
        let mut take = |of: &mut Money| {
            let taken = left.min(*of);
            left -= taken;
            *of -= taken;
            taken
        };
        let mut first = Self::default();
        for (hour, of) in &mut self.escrow {
            first.escrow.insert(*hour, take(of));
        }
        first.bond = take(&mut self.bond);
        for (until, of) in self.payable.iter_mut().rev() {
            first.payable.insert(*until, take(of));
        }
        first.cash = take(&mut self.cash);
        (first.without_nothing(), self.without_nothing())
    }

    fn without_nothing(mut self) -> Self {
        self.escrow.retain(|_, amount| *amount != Money::ZERO);
        self.payable.retain(|_, amount| *amount != Money::ZERO);
        self
    }
}

impl Market {
    /// A dispute, if the market numbered it.
    pub fn dispute(&self, id: DisputeId) -> Option<&Dispute> {
        usize::try_from(id.0.checked_sub(1)?)
            .ok()
            .and_then(|index| self.disputes.get(index))
    }

    /// Every dispute, by number.
    pub fn disputes(&self) -> impl Iterator<Item = &Dispute> {
        self.disputes.iter()
    }

    /// Every dispute about a lease, by number.
    pub fn disputes_of(&self, lease: LeaseId) -> impl Iterator<Item = &Dispute> {
        let ids = self.disputed.get(&lease).into_iter().flatten();
        ids.filter_map(|id| self.dispute(*id))
    }

    /// The dispute about a lease that is not ruled; there is one at most.
    pub fn open_dispute(&self, lease: LeaseId) -> Option<&Dispute> {
        self.disputes_of(lease).find(|one| one.ruled.is_none())
    }

    /// What a ruling would post if it were made now; nothing when it would be refused or there
    /// is nothing to move.
    pub fn ruling_preview(&self, dispute: DisputeId, award: Money) -> Vec<Posting> {
        match self.split_by(dispute, award) {
            Ok(split) => postings(&split.lines),
            Err(_) => Vec::new(),
        }
    }

    /// Freezes money for a claim.
    pub(crate) fn claim(
        &mut self,
        claimant: ParticipantId,
        lease: LeaseId,
        claimed: Money,
        out: &mut Vec<Event>,
    ) -> Result<(), Rejection> {
        let lease = self
            .lease(lease)
            .filter(|lease| lease.holder == claimant)
            .ok_or(Rejection::UnknownLease)?;
        if self.claim_window_ends(lease) <= self.now {
            return Err(Rejection::ClaimWindowOver);
        }
        if self.open_dispute(lease.id).is_some() {
            return Err(Rejection::AlreadyDisputed);
        }
        if claimed <= Money::ZERO || claimed > lease.total() {
            return Err(Rejection::BadAmount);
        }
        let number = i64::try_from(self.disputes.len()).expect("disputes are counted") + 1;
        let (parts, _) = self.freezable(lease).split(claimed);
        let dispute = Dispute {
            id: DisputeId(number),
            lease: lease.id,
            claimant,
            provider: lease.provider,
            claimed,
            opened_at: self.now,
            parts,
            ruled: None,
        };
        let frozen = dispute.frozen();
        let mut lines = self.home(&dispute, &dispute.parts).to_vec();
        for (_, amount) in &mut lines {
            *amount = -*amount;
        }
        lines.push((Account::of(dispute.provider, AccountKind::Dispute), frozen));
        let disputed = EventKind::Disputed {
            dispute: dispute.id,
            lease: dispute.lease,
            claimant,
            claimed,
            frozen,
        };
        self.emit(out, disputed);
        self.post(out, Reason::Dispute(dispute.id), &lines);
        self.take_away(&dispute);
        self.begin_dispute(dispute);
        Ok(())
    }

    /// Awards of what a dispute has frozen, and lets go of the rest.
    pub(crate) fn rule(
        &mut self,
        id: DisputeId,
        award: Money,
        out: &mut Vec<Event>,
    ) -> Result<(), Rejection> {
        let Split {
            awarded,
            released,
            lines,
        } = self.split_by(id, award)?;
        let ruling = Ruling {
            at: self.now,
            awarded: award,
            released: released.total(),
            unfunded: award - awarded.total(),
        };
        let ruled = EventKind::Ruled {
            dispute: id,
            awarded: ruling.awarded,
            released: ruling.released,
            unfunded: ruling.unfunded,
        };
        self.emit(out, ruled);
        self.post(out, Reason::Ruling(id), &lines);
        let dispute = &mut self.disputes[index(id.0)];
        dispute.parts = awarded;
        dispute.ruled = Some(ruling);
        let (lease, provider) = (dispute.lease, dispute.provider);
        self.give_back(lease, provider, released);
        Ok(())
    }

    /// What a ruling does with what is frozen.
    fn split_by(&self, id: DisputeId, award: Money) -> Result<Split, Rejection> {
        let dispute = self.dispute(id).ok_or(Rejection::UnknownDispute)?;
        if dispute.ruled.is_some() {
            return Err(Rejection::AlreadyRuled);
        }
        if award < Money::ZERO || award > dispute.claimed {
            return Err(Rejection::BadAmount);
        }
        let (awarded, released) = dispute.parts.clone().split(award);
        let account = |participant, kind| Account::of(participant, kind);
        let mut lines = vec![
            (
                account(dispute.provider, AccountKind::Dispute),
                -dispute.frozen(),
            ),
            (
                account(dispute.claimant, AccountKind::Cash),
                awarded.total(),
            ),
        ];
        lines.extend(self.home(dispute, &released));
        Ok(Split {
            awarded,
            released,
            lines,
        })
    }

    /// All that a claim on a lease could freeze now. Of the escrow that is what is there for hours
    /// that are over: those to come have to find theirs when they settle.
    fn freezable(&self, lease: &Lease) -> Parts {
        let over = |hour: &Hour| hour.ends() <= self.now;
        let escrow = lease.unsettled().filter(over).map(|hour| {
            let (frozen, awarded) = self.out_of_escrow(lease.id, hour);
            (hour, lease.claimable(hour) - frozen - awarded)
        });
        let payable = self.payable.iter();
        let payable = payable.filter(|((_, provider), _)| *provider == lease.provider);
        let cash = Account::of(lease.provider, AccountKind::Cash);
        Parts {
            escrow: escrow.collect(),
            bond: lease.bond,
            payable: payable
                .map(|((until, _), amount)| (*until, *amount))
                .collect(),
            cash: self.ledger.balance(cash),
        }
    }

    /// The accounts to which parts of a dispute belong now: a payable whose time has come is
    /// cash, and so is a bond after its release.
    fn home(&self, dispute: &Dispute, parts: &Parts) -> [(Account, Money); 4] {
        let provider = |kind| Account::of(dispute.provider, kind);
        let lease = &self.leases[index(dispute.lease.0)];
        let to_come = parts.payable.iter().filter(|(until, _)| **until > self.now);
        let payable: Money = to_come.map(|(_, amount)| *amount).sum();
        let pledged = self.claim_window_ends(lease) > self.now;
        let bond = if pledged { parts.bond } else { Money::ZERO };
        let escrow: Money = parts.escrow.values().copied().sum();
        let cash = parts.total() - escrow - bond - payable;
        [
            (Account::of(dispute.claimant, AccountKind::Escrow), escrow),
            (provider(AccountKind::Bond), bond),
            (provider(AccountKind::Payable), payable),
            (provider(AccountKind::Cash), cash),
        ]
    }

    /// Takes what a dispute freezes from where it is.
    fn take_away(&mut self, dispute: &Dispute) {
        let parts = &dispute.parts;
        let escrow: Money = parts.escrow.values().copied().sum();
        self.leases[index(dispute.lease.0)].escrow -= escrow;
        self.change_bond(dispute.lease, -parts.bond);
        for (until, amount) in &parts.payable {
            self.change_payable(*until, dispute.provider, -*amount);
        }
    }

    /// Gives back what a ruling lets go.
    fn give_back(&mut self, lease: LeaseId, provider: ParticipantId, parts: Parts) {
        let escrow: Money = parts.escrow.into_values().sum();
        self.leases[index(lease.0)].escrow += escrow;
        if self.claim_window_ends(&self.leases[index(lease.0)]) > self.now {
            self.change_bond(lease, parts.bond);
        }
        for (until, amount) in parts.payable {
            if until > self.now {
                self.change_payable(until, provider, amount);
            }
        }
    }

    /// Counts a dispute among its lease's.
    pub(crate) fn begin_dispute(&mut self, dispute: Dispute) {
        let of_lease = self.disputed.entry(dispute.lease).or_default();
        of_lease.push(dispute.id);
        self.disputes.push(dispute);
    }

    /// What of an hour's escrow is frozen, and what rulings have awarded of it.
    pub(crate) fn out_of_escrow(&self, lease: LeaseId, hour: Hour) -> (Money, Money) {
        let (mut frozen, mut awarded) = (Money::ZERO, Money::ZERO);
        for dispute in self.disputes_of(lease) {
            let part = dispute.parts.escrow.get(&hour).copied().unwrap_or_default();
            if dispute.ruled.is_some() {
                awarded += part;
            } else {
                frozen += part;
            }
        }
        (frozen, awarded)
    }

    /// An hour settles of which a part is frozen: what the provider earned of that stays so.
    pub(crate) fn keep_earned(
        &mut self,
        lease: LeaseId,
        hour: Hour,
        earned: Money,
        payable_until: Option<Timestamp>,
    ) {
        let Some(parts) = self.frozen_parts(lease) else {
            return;
        };
        parts.escrow.remove(&hour);
        match payable_until.filter(|_| earned > Money::ZERO) {
            Some(until) => *parts.payable.entry(until).or_default() += earned,
            None => parts.cash += earned,
        }
    }

    /// What is frozen about a lease, if something is.
    pub(crate) fn frozen_parts(&mut self, lease: LeaseId) -> Option<&mut Parts> {
        let id = self.open_dispute(lease)?.id;
        Some(&mut self.disputes[index(id.0)].parts)
    }

    /// Adds to a lease's bond or takes from it; one without bond has none to release.
    pub(crate) fn change_bond(&mut self, lease: LeaseId, change: Money) {
        let lease = &mut self.leases[index(lease.0)];
        lease.bond += change;
        let (bond, acceptance, id) = (lease.bond, lease.acceptance, lease.id);
        let free = self.claim_window_ends(&self.leases[index(id.0)]);
        let due = (free, acceptance, Due::BondRelease(id));
        if bond > Money::ZERO {
            self.due.insert(due);
        } else {
            self.due.remove(&due);
        }
    }

    /// Adds to what becomes a provider's cash at an instant, or takes from it.
    pub(crate) fn change_payable(
        &mut self,
        until: Timestamp,
        provider: ParticipantId,
        change: Money,
    ) {
        let amount = self.payable.entry((until, provider)).or_default();
        *amount += change;
        let due = (until, LAST, Due::Payout(provider));
        if *amount > Money::ZERO {
            self.due.insert(due);
        } else {
            self.payable.remove(&(until, provider));
            self.due.remove(&due);
        }
    }
}
