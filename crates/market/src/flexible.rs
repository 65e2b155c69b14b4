//! Bids that leave open when: a start inside a period, or several runs of hours.
//!
//! Every start, and every run, is worked out by the greedy trades of its own hours, and the
//! cheapest is taken (MATCHING, Flexible start and Splittable).

use crate::order::Order;
use crate::plan::{FoundInVain, Look, Plan, Pledged};
use crate::state::Market;
use crate::time::{Hour, Period};

impl Market {
    /// The start of a flexible bid that is filled wholly for the lowest total, the earliest of
    /// several, with its trades; `None` when there is none.
    pub(crate) fn best_start(
        &self,
        bid: &Order,
        look: Look<'_>,
        vain: &mut FoundInVain,
    ) -> Option<(Period, Plan)> {
        let mut best: Option<(Period, Plan)> = None;
        for start in self.first_start(bid).0..=bid.last_start().0 {
            let period = Period {
                start: Hour(start),
                end: Hour(start + bid.hours()),
            };
            let plan = self.plan(bid, period, look, &mut Pledged::new(), vain);
            let is_better = best.as_ref().is_none_or(|(_, best)| plan.paid < best.paid);
            if is_better && plan.fills(look) {
                best = Some((period, plan));
            }
        }
        best
    }

    fn first_start(&self, bid: &Order) -> Hour {
        bid.period.start.max(self.now.next_hour())
    }

    /// The runs of a splittable bid that fill it for the lowest total, with the trades of each;
    /// `None` when there are none, or when providers can't bond all of them together.
    pub(crate) fn best_runs(
        &self,
        bid: &Order,
        look: Look<'_>,
        vain: &mut FoundInVain,
    ) -> Option<Vec<(Period, Plan)>> {
        let mut pledged = Pledged::new();
        let mut runs = Vec::new();
        for period in self.runs(bid, look, vain)? {
            let plan = self.plan(bid, period, look, &mut pledged, vain);
            if !plan.fills(look) {
                return None;
            }
            runs.push((period, plan));
        }
        Some(runs)
    }

    fn runs(&self, bid: &Order, look: Look<'_>, vain: &mut FoundInVain) -> Option<Vec<Period>> {
        let flexible = bid.flexible()?;
        let first = self.first_start(bid);
        let width = usize::try_from(bid.period.end.0 - first.0).ok()?;
        let wanted = usize::try_from(flexible.duration).ok()?;
        let least = usize::try_from(flexible.min_run).ok()?;
        let period = |from: usize, hours: usize| {
            let hour = |at: usize| Hour(first.0 + i64::try_from(at).expect("a period is short"));
            Period {
                start: hour(from),
                end: hour(from + hours),
            }
        };
        let mut table = Table::new(width, wanted);
        for from in (0..width).rev() {
            let longest = wanted.min(width - from);
            let costs: Vec<Option<i128>> = (0..=longest)
                .map(|hours| {
                    if hours < least {
                        return None;
                    }
                    let alone = &mut Pledged::new();
                    let plan = self.plan(bid, period(from, hours), look, alone, vain);
                    plan.fills(look).then_some(plan.paid)
                })
                .collect();
            for left in 1..=longest {
                table.choose(from, left, &costs);
            }
        }
        let runs = table.chosen(wanted)?;
        Some(runs.map(|(from, hours)| period(from, hours)).collect())
    }
}

/// The best way to have so many hours from each place of a period on.
struct Table {
    wanted: usize,
    /// By place, then by hours that are left to have.
    best: Vec<Option<Choice>>,
}

#[derive(Clone, Copy)]
struct Choice {
    /// The run that begins here; none when this hour is passed over.
    run: usize,
    paid: i128,
    runs: usize,
}

impl Table {
    fn new(width: usize, wanted: usize) -> Self {
        let nothing = Choice {
            run: 0,
            paid: 0,
            runs: 0,
        };
        let mut best = vec![None; (width + 1) * (wanted + 1)];
        for place in 0..=width {
            best[place * (wanted + 1)] = Some(nothing);
        }
        Self { wanted, best }
    }

    fn at(&self, place: usize, left: usize) -> Option<Choice> {
        *self.best.get(place * (self.wanted + 1) + left)?
    }

    /// Works out what is best from a place on, where a run from there costs so much by its hours.
    fn choose(&mut self, place: usize, left: usize, costs: &[Option<i128>]) {
        let passed = self
            .at(place + 1, left)
            .map(|rest| Choice { run: 0, ..rest });
        let mut best = passed;
        for (run, cost) in costs.iter().enumerate().take(left + 1) {
            let rest = self.at(place + run, left - run);
            let Some((cost, rest)) = cost.filter(|_| run > 0).zip(rest) else {
                continue;
            };
            let choice = Choice {
                run,
                paid: cost + rest.paid,
                runs: 1 + rest.runs,
            };
            if best.is_none_or(|best| self.is_better(place, left, choice, best)) {
                best = Some(choice);
            }
        }
        self.best[place * (self.wanted + 1) + left] = best;
    }

    /// The lowest total, then the earliest hours, then the fewest runs, then the longest first run.
    fn is_better(&self, place: usize, left: usize, one: Choice, other: Choice) -> bool {
        if one.paid != other.paid {
            return one.paid < other.paid;
        }
        let hours = |choice| {
            let runs = self.walk(place, left, choice);
            runs.flat_map(|(from, hours)| from..from + hours)
        };
        hours(one)
            .cmp(hours(other))
            .then(one.runs.cmp(&other.runs))
            .then(other.run.cmp(&one.run))
            .is_lt()
    }

    /// The runs of a choice and of what is best after it, as places and hours.
    fn walk(
        &self,
        mut place: usize,
        mut left: usize,
        first: Choice,
    ) -> impl Iterator<Item = (usize, usize)> + '_ {
        let mut next = Some(first);
        std::iter::from_fn(move || {
            while left > 0 {
                let run = next?.run;
                let from = place;
                place += run.max(1);
                left -= run;
                next = self.at(place, left);
                if run > 0 {
                    return Some((from, run));
                }
            }
            None
        })
    }

    fn chosen(&self, wanted: usize) -> Option<impl Iterator<Item = (usize, usize)> + '_> {
        Some(self.walk(0, wanted, self.at(0, wanted)?))
    }
}
