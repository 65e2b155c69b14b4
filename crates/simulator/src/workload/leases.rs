//! What becomes of leases, and what is set from outside.

use market::{
    Command, Delivered, DisputeId, HOUR_MICROS, Hour, LeaseId, Money, ParticipantId, PlaceOrder,
    Side, Timestamp, Weekly,
};

use super::{Made, PARTICIPANTS, Workload};

impl Workload {
    /// An ask that sells on some of a lease: mostly hours to come, at times too many units.
    pub(super) fn resale(&mut self) -> Command {
        let Some(made) = self.recent(12, |known| &known.leases) else {
            return Command::Tick;
        };
        let first = made.period.start.0.max(self.at.div_euclid(HOUR_MICROS) + 1);
        let first = if self.chance(3) {
            made.period.start.0
        } else {
            first
        };
        let start = first + self.below(2);
        let end = if self.chance(50) {
            made.period.end.0 + if self.chance(3) { 1 } else { 0 }
        } else {
            start + 1 + self.below(3)
        };
        let lot = made.lot;
        let units = lot * (self.below(made.units.max(lot)).div_euclid(lot) + 1);
        let weekly = self.chance(5).then(|| {
            let flags: String = (0..168)
                .map(|_| if self.chance(85) { '1' } else { '0' })
                .collect();
            Weekly::try_from(flags).expect("168 flags")
        });
        Command::PlaceOrder(PlaceOrder {
            participant: if self.chance(2) {
                self.participant()
            } else {
                made.holder
            },
            client_id: self.client_id(),
            side: Side::Resell {
                lease: made.lease,
                min_hours: if self.chance(10) { self.below(4) } else { 1 },
                weekly,
            },
            units: units + if self.chance(3) { 1 } else { 0 },
            // As cheap as can be as often as not: then somebody takes it.
            price: if self.chance(50) {
                Money(931)
            } else {
                self.price()
            },
            start: Timestamp(start * HOUR_MICROS),
            end: Timestamp(end * HOUR_MICROS),
            tif: self.time_in_force(1),
            post_only: self.chance(8),
        })
    }

    pub(super) fn deliver(&mut self) -> Command {
        let made = self.recent(40, |known| &known.leases);
        let Some(Made {
            lease,
            period,
            units,
            ..
        }) = made
        else {
            return Command::Tick;
        };
        let lease = if self.chance(1) {
            LeaseId(self.below(1_000))
        } else {
            lease
        };
        let hours = period.hours() + if self.chance(5) { 1 } else { 0 };
        let hour = (period.start.0 + self.below(hours)) * HOUR_MICROS;
        let delivered = match self.below(10) {
            0..6 => Delivered::Minutes(60),
            6..8 => Delivered::Minutes(self.below(62)),
            _ => Delivered::UnitMinutes(self.below(units * 60 + 2)),
        };
        Command::Deliver {
            lease,
            hour: Timestamp(hour + if self.chance(1) { 1 } else { 0 }),
            delivered,
            excused: self.excused(units),
        }
    }

    /// Another word about a settled hour, mostly one of late: up, down, none or all of it. Now and
    /// then about one that is not settled, or not the lease's.
    pub(super) fn correct(&mut self) -> Command {
        let made = self.recent(15, |known| &known.leases);
        let settled = self.recent(4, |known| &known.settled);
        let (lease, hour, units) = match (settled, made) {
            (_, Some(made)) if self.chance(8) => {
                let hours = made.period.hours() + if self.chance(20) { 1 } else { 0 };
                let hour = Hour(made.period.start.0 + self.below(hours));
                (made.lease, hour, made.units)
            }
            (Some(settled), _) => settled,
            _ => return Command::Tick,
        };
        let delivered = match self.below(10) {
            0..2 => Delivered::UnitMinutes(0),
            2..4 => Delivered::Minutes(60),
            4 => Delivered::Minutes(self.below(62)),
            _ => Delivered::UnitMinutes(self.below(units * 60 + 2)),
        };
        Command::Correct {
            lease: if self.chance(2) {
                LeaseId(self.below(1_000))
            } else {
                lease
            },
            hour: Timestamp(hour.begins().0 + if self.chance(1) { 1 } else { 0 }),
            delivered,
            excused: self.excused(units),
        }
    }

    /// Declared maintenance of an hour of so many units, at times more than the hour lacks.
    fn excused(&mut self, units: i64) -> i64 {
        if self.chance(75) {
            0
        } else {
            self.below(units.max(1) * 20) - if self.chance(5) { 1 } else { 0 }
        }
    }

    /// Hours of a lease, mostly of those to come.
    pub(super) fn hand_back(&mut self) -> Command {
        let Some(made) = self.recent(15, |known| &known.leases) else {
            return Command::Tick;
        };
        let ahead = made.period.start.0.max(self.at.div_euclid(HOUR_MICROS) + 1);
        let start = if self.chance(10) {
            made.period.start.0
        } else {
            ahead + self.below(3)
        };
        let end = start + self.below(3) + if self.chance(5) { 0 } else { 1 };
        Command::HandBack {
            participant: if self.chance(5) {
                self.participant()
            } else {
                made.holder
            },
            lease: made.lease,
            start: Timestamp(start * HOUR_MICROS),
            end: Timestamp(end * HOUR_MICROS),
        }
    }

    pub(super) fn default_of(&mut self) -> Command {
        let made = self.recent(15, |known| &known.leases);
        let known = made.map_or(LeaseId(1), |made| made.lease);
        Command::Default {
            lease: if self.chance(5) {
                LeaseId(self.below(1_000))
            } else {
                known
            },
        }
    }

    /// A short halt, now and then one that is over.
    pub(super) fn halt(&mut self) -> Command {
        if self.chance(50) {
            return Command::Tick;
        }
        Command::Halt {
            instrument: self.instrument(),
            until: Timestamp(self.at + self.below(HOUR_MICROS) - 60_000_000),
        }
    }

    /// Another rule set, or that the last two participants belong together.
    pub(super) fn outside(&mut self) -> Command {
        if self.chance(3) {
            let participants = vec![ParticipantId(PARTICIPANTS), ParticipantId(PARTICIPANTS - 1)];
            return Command::Relate { participants };
        }
        let at = self.given.checked_rem(self.changes.len());
        let Some(mut rules) = at.and_then(|at| self.changes.get(at).cloned()) else {
            return Command::Tick;
        };
        if self.chance(95) {
            self.given += 1;
        }
        rules.version = i64::try_from(self.given).expect("few enough");
        Command::SetRules {
            rules: Box::new(rules),
            from: Timestamp(self.at + (self.below(10) - 1).max(0) * 600_000_000),
        }
    }

    /// A claim of any size, now and then too large, of none, or of another's lease.
    pub(super) fn claim(&mut self) -> Command {
        let Some(made) = self.recent(15, |known| &known.leases) else {
            return Command::Tick;
        };
        let hours = made.period.hours();
        let whole = made.price.0 * made.units * hours;
        let amount = match self.below(20) {
            0 => whole,
            1 => whole + 1,
            2 => -self.below(2),
            3..10 => self.below(made.price.0 * made.units) + 1,
            _ => self.below(whole) + 1,
        };
        Command::OpenDispute {
            participant: if self.chance(5) {
                self.participant()
            } else {
                made.holder
            },
            lease: made.lease,
            amount: Money(amount),
        }
    }

    pub(super) fn ruling(&mut self) -> Command {
        let chosen = if self.chance(90) {
            self.recent(12, |known| &known.disputes)
        } else {
            self.recent(12, |known| &known.ruled)
        };
        let Some((dispute, claimed)) = chosen else {
            return Command::Tick;
        };
        let award = match self.below(10) {
            0 => 0,
            1..4 => claimed.0,
            4 => claimed.0 + self.below(2),
            5 => -self.below(2),
            _ => self.below(claimed.0) + 1,
        };
        Command::RuleDispute {
            dispute: if self.chance(3) {
                DisputeId(self.below(200))
            } else {
                dispute
            },
            award: Money(award),
        }
    }
}
