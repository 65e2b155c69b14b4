//! What is set from outside: instruments, rule sets, halts, who belongs together; and bands.

use market::{
    EventKind, InstrumentId, ListInstrument, Money, ParticipantId, Rejection, Rules, Timestamp,
};

use super::Out;
use super::model::{Amount, HOUR, Model, Order};

impl Model {
    pub(super) fn list(&mut self, terms: &ListInstrument, out: &mut Out) -> Result<(), Rejection> {
        let same = |listed: &&ListInstrument| {
            listed.instrument == terms.instrument || listed.symbol == terms.symbol
        };
        match self.instruments.values().find(same) {
            Some(listed) if listed == terms => return Ok(()),
            Some(_) => return Err(Rejection::DuplicateId),
            None => {}
        }
        if terms.lot < 1 {
            return Err(Rejection::NotALot);
        }
        if terms.tick.0 < 1 {
            return Err(Rejection::NotATick);
        }
        self.instruments.insert(terms.instrument, terms.clone());
        out.push((self.now, EventKind::InstrumentListed));
        Ok(())
    }

    pub(super) fn set_rules(
        &mut self,
        rules: &Rules,
        from: Timestamp,
        out: &mut Out,
    ) -> Result<(), Rejection> {
        let newer = self
            .rule_sets
            .keys()
            .all(|version| *version < rules.version);
        let later = self.rules_to_come.iter().all(|(at, _)| *at < from);
        if rules.clone().checked().is_err() || !newer || !later || from < self.now {
            return Err(Rejection::BadRules);
        }
        self.rule_sets.insert(rules.version, rules.clone());
        let version = rules.version;
        out.push((self.now, EventKind::RulesSet { version, from }));
        if from == self.now {
            self.rules = rules.clone();
        } else {
            self.rules_to_come.push((from, version));
        }
        Ok(())
    }

    pub(super) fn halt(
        &mut self,
        instrument: InstrumentId,
        until: Timestamp,
        out: &mut Out,
    ) -> Result<(), Rejection> {
        if !self.instruments.contains_key(&instrument) {
            return Err(Rejection::UnknownSymbol);
        }
        if until <= self.now {
            return Err(Rejection::UntilPassed);
        }
        self.halts.insert(instrument, until);
        out.push((self.now, EventKind::Halted { instrument, until }));
        Ok(())
    }

    pub(super) fn resume(&mut self, instrument: InstrumentId, out: &mut Out) {
        self.halts.remove(&instrument);
        let mut asks = self.open.clone();
        asks.retain(|place| {
            let ask = &self.orders[*place];
            let pool = ask
                .pool()
                .filter(|_| !ask.is_bid() && ask.resold().is_none());
            pool.is_some_and(|pool| self.pools[&pool].instrument == instrument)
        });
        asks.sort_by_key(|place| self.orders[*place].accepted);
        for ask in asks {
            if self.orders[ask].done.is_none() {
                self.arrive(ask, out);
            }
        }
    }

    pub(super) fn relate(&mut self, participants: &[ParticipantId], out: &mut Out) {
        if participants.is_empty() {
            return;
        }
        let mut all: Vec<ParticipantId> = participants.to_vec();
        let (touched, rest) = std::mem::take(&mut self.related)
            .into_iter()
            .partition(|group: &Vec<ParticipantId>| group.iter().any(|one| all.contains(one)));
        self.related = rest;
        let touched: Vec<Vec<ParticipantId>> = touched;
        all.extend(touched.into_iter().flatten());
        all.sort_unstable();
        all.dedup();
        self.related.push(all.clone());
        out.push((self.now, EventKind::Related { participants: all }));
    }

    /// Whether two are the same, or in one group.
    pub(super) fn are_one(&self, one: ParticipantId, other: ParticipantId) -> bool {
        let both = |group: &Vec<ParticipantId>| group.contains(&one) && group.contains(&other);
        one == other || self.related.iter().any(both)
    }

    /// What the rules and the moment let in, after an order's own terms are right.
    pub(super) fn check_moment(&self, order: &Order) -> Result<(), Rejection> {
        let books = self.instruments_of(&order.terms)?;
        if books.iter().any(|book| self.halts.contains_key(book)) {
            return Err(Rejection::Halted);
        }
        let mut books = books;
        books.sort_unstable();
        for book in books {
            let (lowest, highest) = self.band(book);
            let above = order.is_bid() && highest.is_some_and(|most| order.price > most);
            let below = !order.is_bid() && lowest.is_some_and(|least| order.price < least);
            if above || below {
                return Err(Rejection::OutsideBand {
                    lowest: lowest.map(Money),
                    highest: highest.map(Money),
                });
            }
        }
        Ok(())
    }

    fn band(&self, instrument: InstrumentId) -> (Option<i64>, Option<i64>) {
        let bands = &self.rules.bands;
        let fixed = |price: Money| (price.0 > 0).then_some(price.0);
        let (mut lowest, mut highest) = (fixed(bands.lowest), fixed(bands.highest));
        let grade = self.instruments[&instrument].symbol.split('.').next();
        let reference = grade.and_then(|grade| bands.references.get(grade));
        let reference = self.median(instrument).or(reference.map(|price| price.0));
        if let (Some(reference), true) = (reference, bands.width_bps > 0) {
            let times = |bps: i64| Amount::from(reference) * Amount::from(bps);
            let low = (times(10_000 - bands.width_bps) + 9_999) / 10_000;
            let high = times(10_000 + bands.width_bps) / 10_000;
            let (low, high) = (
                i64::try_from(low).expect("prices are small here"),
                i64::try_from(high).expect("prices are small here"),
            );
            lowest = Some(lowest.unwrap_or(0).max(low)).filter(|price| *price > 0);
            highest = Some(highest.unwrap_or(i64::MAX).min(high));
        }
        (lowest, highest)
    }

    fn median(&self, instrument: InstrumentId) -> Option<i64> {
        let here = self
            .counted
            .iter()
            .rev()
            .filter(|trade| trade.0 == instrument);
        let since = self.now.0 - 7 * 24 * HOUR;
        let recent = here.take(20).filter(|trade| trade.1.0 > since);
        // Each unit-hour is one price in the row of which the median is taken.
        let mut row: Vec<i64> = Vec::new();
        for (_, _, price, unit_hours) in recent {
            row.extend(std::iter::repeat_n(
                *price,
                usize::try_from(*unit_hours).unwrap_or(0),
            ));
        }
        row.sort_unstable();
        let middle = row.len().div_ceil(2);
        row.get(middle.checked_sub(1)?).copied()
    }
}
