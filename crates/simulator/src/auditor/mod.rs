//! A second market, written from the rules alone and as plainly as they read: no index, no
//! shortcut, nothing shared with the first but the types of commands and events.
//!
//! It works out what each command must cause and compares: every event, every balance, every
//! price level. It also keeps the journal of the market apart from its own reckoning, and checks
//! what must hold of it whatever the rules.

mod book;
mod claims;
mod correction;
mod door;
mod ending;
mod flexible;
mod matching;
mod model;
mod outside;
mod time;

use std::collections::BTreeMap;

use market::{
    AccountKind, Command, Entry, EntryId, Event, EventKind, LeaseId, Market, ParticipantId, Reason,
    Rules, Timestamp,
};

use self::model::{Amount, Model};

/// Events with their instants.
type Out = Vec<(Timestamp, EventKind)>;

/// The judge of one market.
#[derive(Debug)]
pub struct Auditor {
    model: Model,
    /// Balances as the market's journal makes them.
    journal: BTreeMap<(ParticipantId, AccountKind), Amount>,
    entries: i64,
}

impl Auditor {
    /// The judge of a market in which nothing has happened.
    pub fn new(rules: Rules) -> Self {
        Self {
            model: Model::new(rules),
            journal: BTreeMap::new(),
            entries: 0,
        }
    }

    /// Judges what a market made of a command.
    ///
    /// # Errors
    /// What is not as the rules have it.
    pub fn judge(
        &mut self,
        at: Timestamp,
        command: &Command,
        events: &[Event],
    ) -> Result<(), String> {
        let mut expected = Out::new();
        self.model.let_happen(at, &mut expected);
        if let Err(rejection) = self.model.command(command, &mut expected) {
            expected.push((at, EventKind::Rejected(rejection)));
        }
        self.read_journal(events)?;
        compare(&expected, events)?;
        self.compare_balances()?;
        self.check_invariants()
    }

    /// Books the market's entries, apart from the model.
    fn read_journal(&mut self, events: &[Event]) -> Result<(), String> {
        for (place, event) in events.iter().enumerate() {
            match &event.kind {
                EventKind::Posted(entry) => self.book_entry(entry)?,
                EventKind::Settled(settled) => {
                    let next = events.get(place + 1).map(|event| &event.kind);
                    let follows = match next {
                        Some(EventKind::Posted(entry))
                            if entry.reason == Reason::Settlement(settled.lease) =>
                        {
                            Some(entry.id)
                        }
                        _ => None,
                    };
                    if settled.entry != follows {
                        return Err(format!("{settled:?} names an entry, but {next:?} follows"));
                    }
                }
                EventKind::Corrected(corrected) => {
                    let next = events.get(place + 1).map(|event| &event.kind);
                    let follows = match next {
                        Some(EventKind::Posted(entry))
                            if entry.reason == Reason::Correction(corrected.lease) =>
                        {
                            Some(entry.id)
                        }
                        _ => None,
                    };
                    if corrected.entry != follows {
                        return Err(format!(
                            "{corrected:?} names an entry, but {next:?} follows"
                        ));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn book_entry(&mut self, entry: &Entry) -> Result<(), String> {
        self.entries += 1;
        if entry.id != EntryId(self.entries) {
            return Err(format!(
                "entry {} comes after {}",
                entry.id,
                self.entries - 1
            ));
        }
        let mut sum = 0;
        for posting in &entry.postings {
            let amount = Amount::from(posting.amount.0);
            if amount == 0 {
                return Err(format!("an empty posting: {entry:?}"));
            }
            sum += amount;
            let account = (posting.account.participant, posting.account.kind);
            *self.journal.entry(account).or_default() += amount;
        }
        if sum != 0 {
            return Err(format!("an entry sums to {sum}: {entry:?}"));
        }
        let below = self
            .journal
            .iter()
            .find(|((_, kind), balance)| *kind != AccountKind::Bank && **balance < 0);
        match below {
            Some((account, balance)) => Err(format!("{account:?} is at {balance} after {entry:?}")),
            None => Ok(()),
        }
    }

    fn compare_balances(&self) -> Result<(), String> {
        let accounts = self.journal.keys().chain(self.model.balances.keys());
        for account in accounts {
            let journal = self.journal.get(account).copied().unwrap_or(0);
            let expected = self.model.balances.get(account).copied().unwrap_or(0);
            if journal != expected {
                return Err(format!(
                    "{account:?} should be {expected}, the journal makes it {journal}"
                ));
            }
        }
        Ok(())
    }

    /// What must hold of the journal whatever was traded.
    fn check_invariants(&self) -> Result<(), String> {
        let total: Amount = self.journal.values().sum();
        if total != 0 {
            return Err(format!("all accounts together make {total}"));
        }
        let mut owed: BTreeMap<(ParticipantId, AccountKind), Amount> = BTreeMap::new();
        for place in &self.model.open {
            let order = &self.model.orders[*place];
            *owed.entry((order.owner(), AccountKind::Hold)).or_default() += order.needs();
        }
        for place in &self.model.live {
            let lease = &self.model.leases[*place];
            let there: Amount = lease.escrow.values().sum::<Amount>() + lease.fee_escrow();
            *owed.entry((lease.holder, AccountKind::Escrow)).or_default() += there;
            for (reseller, left) in lease.left() {
                *owed.entry((reseller, AccountKind::Escrow)).or_default() += left;
            }
            *owed.entry((lease.provider, AccountKind::Bond)).or_default() += lease.bond;
        }
        for (_, provider, amount) in &self.model.payable {
            *owed.entry((*provider, AccountKind::Payable)).or_default() += amount;
        }
        for claim in self.model.claims.iter().filter(|claim| claim.open) {
            let provider = self.model.leases[claim.lease].provider;
            let frozen: Amount = claim.frozen.iter().map(|(_, part)| *part).sum();
            *owed.entry((provider, AccountKind::Dispute)).or_default() += frozen;
        }
        let reserved = [
            AccountKind::Dispute,
            AccountKind::Hold,
            AccountKind::Escrow,
            AccountKind::Bond,
            AccountKind::Payable,
        ];
        for (account, balance) in &self.journal {
            let owed = owed.get(account).copied().unwrap_or(0);
            if reserved.contains(&account.1) && *balance != owed {
                return Err(format!(
                    "{account:?} has {balance} for what is worth {owed}"
                ));
            }
        }
        self.check_hours_to_come()?;
        for (id, pool) in &self.model.pools {
            let over = pool.leased.iter().find(|(_, leased)| **leased > pool.units);
            if let Some((hour, leased)) = over {
                return Err(format!("pool {id} leases {leased} units in hour {hour}"));
            }
        }
        Ok(())
    }

    /// The escrow of what is still to be delivered is there to the last, whatever was claimed.
    fn check_hours_to_come(&self) -> Result<(), String> {
        for place in &self.model.live {
            let lease = &self.model.leases[*place];
            let to_come = lease.unsettled.iter();
            for hour in to_come.filter(|hour| (**hour + 1) * model::HOUR > self.model.now.0) {
                let price = lease.hour_price(*hour);
                if lease.escrow.get(hour) != Some(&price) {
                    let there = lease.escrow.get(hour);
                    return Err(format!("hour {hour} of {} has {there:?}", lease.id));
                }
            }
        }
        Ok(())
    }

    /// Compares the leases that a market calls open with those that have an hour to settle.
    ///
    /// # Errors
    /// Both, when they differ.
    pub fn judge_open_leases(&self, market: &Market) -> Result<(), String> {
        let open: Vec<LeaseId> = market.open_leases().map(|lease| lease.id).collect();
        let leases = self.model.leases.iter();
        let unsettled = leases.filter(|lease| !lease.unsettled.is_empty());
        let expected: Vec<LeaseId> = unsettled.map(|lease| lease.id).collect();
        if open == expected {
            Ok(())
        } else {
            Err(format!("{expected:?} should be open, {open:?} are"))
        }
    }

    /// Compares the books that a market shows, each for a period that some open order has, with
    /// the books as they should be.
    ///
    /// # Errors
    /// The first that differs.
    pub fn judge_books(&self, market: &Market) -> Result<(), String> {
        for place in &self.model.open {
            let order = &self.model.orders[*place];
            for instrument in self.model.instruments.keys() {
                let (shown, expected) = book::both(market, &self.model, *instrument, order);
                if shown != expected {
                    return Err(format!(
                        "the book of {instrument} for the period of {} should be {expected:?}, \
                         is {shown:?}",
                        order.id
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Compares events, journal entries aside.
fn compare(expected: &Out, events: &[Event]) -> Result<(), String> {
    let plain = |event: &Event| match event.kind.clone() {
        EventKind::Posted(_) => None,
        EventKind::Settled(mut settled) => {
            settled.entry = None;
            Some((event.at, EventKind::Settled(settled)))
        }
        EventKind::Corrected(mut corrected) => {
            corrected.entry = None;
            Some((event.at, EventKind::Corrected(corrected)))
        }
        kind => Some((event.at, kind)),
    };
    let got: Out = events.iter().filter_map(plain).collect();
    for place in 0..expected.len().max(got.len()) {
        let (expected, got) = (expected.get(place), got.get(place));
        if expected != got {
            let number = place + 1;
            return Err(format!("event {number} should be {expected:?}, is {got:?}"));
        }
    }
    Ok(())
}
