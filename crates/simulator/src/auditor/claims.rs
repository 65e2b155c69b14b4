//! Disputes, part by part: each remembers where it was taken from.

use market::{
    AccountKind, DisputeId, EventKind, LeaseId, Money, ParticipantId, Rejection, Timestamp,
};

use super::Out;
use super::model::{Amount, Claim, HOUR, Hour, Model, Source};

fn money(amount: Amount) -> Money {
    Money(i64::try_from(amount).expect("amounts are small here"))
}

impl Model {
    pub(super) fn claim(
        &mut self,
        whose: ParticipantId,
        lease: LeaseId,
        claimed: Money,
        out: &mut Out,
    ) -> Result<(), Rejection> {
        let place = self.leases.iter().position(|known| known.id == lease);
        let place = place.filter(|place| self.leases[*place].holder == whose);
        let place = place.ok_or(Rejection::UnknownLease)?;
        let lease = self.leases[place].clone();
        if self.now >= self.claims_close(place) {
            return Err(Rejection::ClaimWindowOver);
        }
        if self.claim_open(place).is_some() {
            return Err(Rejection::AlreadyDisputed);
        }
        let claimed = Amount::from(claimed.0);
        if claimed <= 0 || claimed > lease.cost() {
            return Err(Rejection::BadAmount);
        }
        let id = DisputeId(i64::try_from(self.claims.len()).expect("disputes are few") + 1);
        let mut claim = Claim {
            lease: place,
            claimed,
            open: true,
            frozen: Vec::new(),
        };
        let mut missing = claimed;
        for (source, there) in self.sources(place) {
            let part = there.min(missing);
            if part > 0 {
                missing -= part;
                self.take(place, source, part);
                claim.frozen.push((source, part));
            }
        }
        self.claims.push(claim);
        let disputed = EventKind::Disputed {
            dispute: id,
            lease: lease.id,
            claimant: whose,
            claimed: money(claimed),
            frozen: money(claimed - missing),
        };
        out.push((self.now, disputed));
        Ok(())
    }

    pub(super) fn ruling(
        &mut self,
        id: DisputeId,
        award: Money,
        out: &mut Out,
    ) -> Result<(), Rejection> {
        let at = usize::try_from(id.0 - 1).ok();
        let at = at.filter(|at| *at < self.claims.len());
        let at = at.ok_or(Rejection::UnknownDispute)?;
        let claim = self.claims[at].clone();
        if !claim.open {
            return Err(Rejection::AlreadyRuled);
        }
        let award = Amount::from(award.0);
        if award < 0 || award > claim.claimed {
            return Err(Rejection::BadAmount);
        }
        self.claims[at].open = false;
        let lease = self.leases[claim.lease].clone();
        let frozen = (lease.provider, AccountKind::Dispute);
        let (mut owed, mut released) = (award, 0);
        for (source, part) in claim.frozen {
            let paid = part.min(owed);
            owed -= paid;
            self.pay(frozen, (lease.holder, AccountKind::Cash), paid);
            let rest = part - paid;
            released += rest;
            self.put_back(claim.lease, source, rest);
        }
        let ruled = EventKind::Ruled {
            dispute: id,
            awarded: money(award),
            released: money(released),
            unfunded: money(owed),
        };
        out.push((self.now, ruled));
        Ok(())
    }

    /// What a claim on a lease can freeze, in order.
    fn sources(&self, place: usize) -> Vec<(Source, Amount)> {
        let lease = &self.leases[place];
        let mut sources = Vec::new();
        for (hour, there) in &lease.escrow {
            if (hour + 1) * HOUR <= self.now.0 {
                // What resellers earn of an hour is not the provider's to lose.
                let units = Amount::from(lease.held[hour]);
                let above = Amount::from(0.max(lease.price - lease.first_price())) * units;
                sources.push((Source::Escrow(*hour), 0.max(there - above)));
            }
        }
        sources.push((Source::Bond, lease.bond));
        let mut times: Vec<Timestamp> = self.payable.iter().map(|(until, ..)| *until).collect();
        times.sort_unstable();
        times.dedup();
        for time in times.into_iter().rev() {
            let mut there = 0;
            for (until, provider, amount) in &self.payable {
                if *until == time && *provider == lease.provider {
                    there += amount;
                }
            }
            sources.push((Source::Payable(time), there));
        }
        let cash = self.balance(lease.provider, AccountKind::Cash);
        sources.push((Source::Cash, cash));
        sources
    }

    fn take(&mut self, place: usize, source: Source, part: Amount) {
        let (holder, provider) = (self.leases[place].holder, self.leases[place].provider);
        let from = match source {
            Source::Escrow(hour) => {
                *self.leases[place].escrow.entry(hour).or_default() -= part;
                (holder, AccountKind::Escrow)
            }
            Source::Bond => {
                self.leases[place].bond -= part;
                (provider, AccountKind::Bond)
            }
            Source::Payable(time) => {
                self.payable.push((time, provider, -part));
                (provider, AccountKind::Payable)
            }
            Source::Cash => (provider, AccountKind::Cash),
        };
        self.pay(from, (provider, AccountKind::Dispute), part);
    }

    fn put_back(&mut self, place: usize, source: Source, part: Amount) {
        if part == 0 {
            return;
        }
        let (holder, provider) = (self.leases[place].holder, self.leases[place].provider);
        let to = match source {
            Source::Escrow(hour) => {
                *self.leases[place].escrow.entry(hour).or_default() += part;
                (holder, AccountKind::Escrow)
            }
            Source::Bond if self.now < self.claims_close(place) => {
                self.leases[place].bond += part;
                if !self.live.contains(&place) {
                    self.live.push(place);
                }
                (provider, AccountKind::Bond)
            }
            Source::Payable(time) if self.now < time => {
                self.payable.push((time, provider, part));
                (provider, AccountKind::Payable)
            }
            Source::Bond | Source::Payable(_) | Source::Cash => (provider, AccountKind::Cash),
        };
        self.pay((provider, AccountKind::Dispute), to, part);
    }

    /// When a lease's claim window closes.
    fn claims_close(&self, place: usize) -> Timestamp {
        let lease = &self.leases[place];
        let window = self.rule_sets[&lease.rules].claim_window_hours;
        Timestamp((lease.end + window) * HOUR)
    }

    /// The open dispute about a lease.
    pub(super) fn claim_open(&self, place: usize) -> Option<usize> {
        let mut claims = self.claims.iter();
        claims.position(|claim| claim.open && claim.lease == place)
    }

    /// What is frozen of an hour's escrow goes back to it.
    pub(super) fn thaw_hour(&mut self, place: usize, hour: Hour) -> Amount {
        let Some(claim) = self.claim_open(place) else {
            return 0;
        };
        let mut thawed = 0;
        self.claims[claim].frozen.retain(|(source, part)| {
            let this = *source == Source::Escrow(hour);
            thawed += if this { *part } else { 0 };
            !this
        });
        self.put_back(place, Source::Escrow(hour), thawed);
        thawed
    }

    /// What a provider earned of a thawed hour is frozen again, among what is like it.
    pub(super) fn freeze_again(&mut self, place: usize, source: Source, part: Amount) {
        if part == 0 {
            return;
        }
        let claim = self.claim_open(place).expect("something was frozen");
        self.take(place, source, part);
        let frozen = &mut self.claims[claim].frozen;
        frozen.push((source, part));
        frozen.sort_by_key(|(source, _)| match source {
            Source::Escrow(hour) => (0, *hour),
            Source::Bond => (1, 0),
            Source::Payable(time) => (2, -time.0),
            Source::Cash => (3, 0),
        });
    }

    /// A credit that the free bond does not cover comes out of the frozen one.
    pub(super) fn credit_from_frozen(&mut self, place: usize, wanted: Amount) -> Amount {
        let Some(claim) = self.claim_open(place) else {
            return 0;
        };
        let bonds = self.claims[claim].frozen.iter_mut();
        let mut got = 0;
        for (_, part) in bonds.filter(|(source, _)| *source == Source::Bond) {
            got = wanted.min(*part);
            *part -= got;
        }
        let lease = &self.leases[place];
        let from = (lease.provider, AccountKind::Dispute);
        self.pay(from, (lease.holder, AccountKind::Cash), got);
        got
    }
}
