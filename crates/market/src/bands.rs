//! Bands: between which prices orders are let in.

use std::collections::VecDeque;

use crate::event::Trade;
use crate::id::InstrumentId;
use crate::money::{Money, WHOLE_BPS, ceil_div};
use crate::order::Order;
use crate::rejection::Rejection;
use crate::state::Market;
use crate::time::Timestamp;

/// How many trades make the median, and for how long one counts.
const TRADES: usize = 20;
const DAYS: i64 = 7;

/// A trade whose price counts for the median.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// When it was made.
    pub at: Timestamp,
    /// Per unit-hour.
    pub price: Money,
    /// How much was traded.
    pub unit_hours: i64,
}

impl Market {
    /// Whether an order's price is let in; of a bid for several instruments by each of them.
    pub(crate) fn admit_price(&self, order: &Order) -> Result<(), Rejection> {
        for instrument in order.instruments.iter() {
            let (lowest, highest) = self.band(*instrument);
            let is_outside = if order.is_bid() {
                highest.is_some_and(|highest| order.price > highest)
            } else {
                lowest.is_some_and(|lowest| order.price < lowest)
            };
            if is_outside {
                return Err(Rejection::OutsideBand { lowest, highest });
            }
        }
        Ok(())
    }

    /// The lowest price of an ask and the highest of a bid, where there are such.
    pub fn band(&self, instrument: InstrumentId) -> (Option<Money>, Option<Money>) {
        let bands = &self.rules.bands;
        let some = |price: Money| Some(price).filter(|price| *price > Money::ZERO);
        let fixed = (some(bands.lowest), some(bands.highest));
        let reference = self.median(instrument).or_else(|| {
            let symbol = &self.instrument(instrument)?.listed.symbol;
            bands.references.get(symbol.split('.').next()?).copied()
        });
        let Some(reference) = reference.filter(|_| bands.width_bps > 0) else {
            return fixed;
        };
        let share = |bps: i64| i128::from(reference.0) * i128::from(bps);
        let lowest = ceil_div(share(WHOLE_BPS - bands.width_bps), WHOLE_BPS.into());
        let highest = share(WHOLE_BPS + bands.width_bps).div_euclid(WHOLE_BPS.into());
        let fits = |wide: i128| Money(i64::try_from(wide).unwrap_or(i64::MAX));
        (
            some(fits(lowest).max(bands.lowest)),
            Some(
                fixed
                    .1
                    .map_or(fits(highest), |most| most.min(fits(highest))),
            ),
        )
    }

    /// The median of recent trades, each counting for its unit-hours: the lowest price at or below
    /// which half of them were traded.
    fn median(&self, instrument: InstrumentId) -> Option<Money> {
        let since = self.now.plus_hours(-24 * DAYS);
        let trades = self.counted.get(&instrument)?.iter();
        let mut recent: Vec<&Counted> = trades.filter(|trade| trade.at > since).collect();
        recent.sort_by_key(|trade| trade.price);
        let weight = |trade: &&Counted| i128::from(trade.unit_hours);
        let all: i128 = recent.iter().map(weight).sum();
        let mut below = 0;
        recent.into_iter().find_map(|trade| {
            below += weight(&trade);
            (2 * below >= all).then_some(trade.price)
        })
    }

    /// Remembers a trade that counts.
    pub(crate) fn count_trade(&mut self, trade: &Trade) {
        if trade.counts {
            let counted = Counted {
                at: self.now,
                price: trade.price,
                unit_hours: trade.units.saturating_mul(trade.period.hours()),
            };
            self.remember(self.pools[&trade.pool].instrument, counted);
        }
    }

    /// Remembers a trade, the latest of its instrument.
    pub(crate) fn remember(&mut self, instrument: InstrumentId, counted: Counted) {
        let trades: &mut VecDeque<Counted> = self.counted.entry(instrument).or_default();
        trades.push_back(counted);
        if trades.len() > TRADES {
            trades.pop_front();
        }
    }
}
