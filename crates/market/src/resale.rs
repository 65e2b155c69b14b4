//! Resale: a holder sells a lease on, whole or in part (MATCHING, Resale).

use crate::id::LeaseId;
use crate::lease::{Lease, Link};
use crate::ledger::{Account, AccountKind};
use crate::money::{Money, floor_div};
use crate::order::Order;
use crate::rejection::Rejection;
use crate::state::{Market, index};
use crate::time::Period;

impl Market {
    /// Whether a resale ask may be let in: hours not begun, of a lease that may be resold, and no
    /// more in any of them than the lease has and no other ask offers.
    pub(crate) fn admit_resale(&self, order: &Order, lease: &Lease) -> Result<(), Rejection> {
        if order.placed.start < self.now {
            return Err(Rejection::PeriodStarted);
        }
        if order.placed.end <= self.now {
            return Err(Rejection::PeriodOver);
        }
        self.admit_resold_units(order, lease)
    }

    /// Whether a lease has what an ask would offer of it beside the other ones.
    pub(crate) fn admit_resold_units(&self, order: &Order, lease: &Lease) -> Result<(), Rejection> {
        let open = self.resales.get(&lease.id).into_iter().flatten();
        let others: Vec<&Order> = open
            .filter(|other| **other != order.id)
            .map(|other| self.order(*other))
            .collect();
        // A replacement may have left a total below what was sold in some hours.
        let unsold = |ask: &Order, hour| i128::from((ask.units - ask.sold_in(hour)).max(0));
        let mut hours = order.period.each().filter(|hour| order.holds_in(*hour));
        let is_over = hours.any(|hour| {
            let others = others.iter().filter(|other| other.holds_in(hour));
            let offered: i128 = others.map(|other| unsold(other, hour)).sum();
            offered + unsold(order, hour) > i128::from(lease.open_in(hour))
        });
        if is_over {
            Err(Rejection::OverLease)
        } else {
            Ok(())
        }
    }

    /// Whether the rules let a lease be resold now.
    pub(crate) fn may_resell(&self, lease: &Lease) -> bool {
        let resale = self.rules_of(lease.rules).resale;
        let cooled = lease.traded_at.plus_hours(resale.cooling_off_hours);
        resale.allowed && cooled <= self.now
    }

    /// What a resale ask offers for a period: nothing of an hour that has begun.
    pub(crate) fn resale_offer(&self, ask: &Order, lease: &Lease, period: Period) -> i64 {
        if period.start.begins() < self.now {
            return 0;
        }
        let hours = period.each();
        hours
            .map(|hour| (ask.units - ask.sold_in(hour)).min(lease.open_in(hour)))
            .min()
            .map_or(0, |units| units.max(0))
    }

    /// Ends a lease for what of it `child` takes over, with its share of the bond. Gives what that
    /// moves on the reseller's accounts: all of their escrow for it comes back but what the buyer
    /// pays less than they did.
    pub(crate) fn take_over(
        &mut self,
        parent: LeaseId,
        child: &mut Lease,
    ) -> [(Account, Money); 2] {
        self.clear_deadline(parent);
        let lease = &mut self.leases[index(parent.0)];
        let link = Link {
            reseller: lease.holder,
            bought: lease.price,
            sold: child.price,
        };
        let (units, hours) = (child.units, child.period.hours());
        let (had, fee) = (lease.unit_hours(), lease.fee_held());
        child.links.clone_from(&lease.links);
        child.links.push(link);
        let share = i128::from(lease.bond.0) * i128::from(units) * i128::from(hours);
        child.bond = floor_div(share, had.into());
        lease.part_with(child.period, units);
        let freed = Money::exact(lease.price.times(units, hours));
        lease.escrow -= freed;
        let stays = Money::exact(link.left().times(units, hours));
        let back = freed - stays + fee - lease.fee_held();
        self.count_lease(parent, -units * hours);
        self.change_bond(parent, -child.bond);
        self.set_deadline(parent);
        let account = |kind| Account::of(link.reseller, kind);
        [
            (account(AccountKind::Escrow), -back),
            (account(AccountKind::Cash), back),
        ]
    }
}
