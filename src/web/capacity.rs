//! What becomes of a pool's units in an hour: sold, offered, or neither.

use market::{Hour, Market, Money, Pool, Side};

/// The units of an hour, and what those that are offered would bring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// All of them; none outside the pool's period.
    pub units: i64,
    /// In leases.
    pub sold: i64,
    /// Not sold, and in an ask that holds in this hour.
    pub listed: i64,
    /// What the listed ones cost at their asks, the cheapest first, in 1/10,000 yuan.
    pub worth: i128,
}

impl Capacity {
    /// A pool's units in an hour. An ask counts however short a lease it allows.
    pub fn of(market: &Market, pool: &Pool, hour: Hour) -> Self {
        if !pool.period.contains(hour) {
            return Self::default();
        }
        let mut offers: Vec<(Money, i64)> = pool
            .asks
            .iter()
            .map(|ask| market.order(*ask))
            .filter(|ask| match &ask.placed.side {
                Side::Sell { weekly, .. } => {
                    ask.period.contains(hour)
                        && weekly
                            .as_ref()
                            .is_none_or(|weekly| weekly.holds(hour.of_week()))
                }
                Side::Buy { .. } | Side::Resell { .. } => false,
            })
            .map(|ask| (ask.price, (ask.units - ask.sold_in(hour)).max(0)))
            .collect();
        offers.sort_unstable();
        let mut capacity = Self {
            units: pool.units,
            sold: pool.leased_in(hour),
            ..Self::default()
        };
        for (price, units) in offers {
            let units = units.min(capacity.free());
            capacity.listed += units;
            capacity.worth += price.times(units, 1);
        }
        capacity
    }

    /// Neither sold nor listed.
    pub fn free(&self) -> i64 {
        self.units - self.sold - self.listed
    }

    /// This and another pool's, or another hour's.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            units: self.units + other.units,
            sold: self.sold + other.sold,
            listed: self.listed + other.listed,
            worth: self.worth + other.worth,
        }
    }

    /// The sold share in tenths of a per cent; none of nothing.
    pub fn sold_permille(&self) -> Option<i64> {
        self.sold.checked_mul(1000)?.checked_div(self.units)
    }
}

#[cfg(test)]
mod tests {
    use market::{
        Access, ClientId, Command, InstrumentId, ListInstrument, OpenPool, ParticipantId,
        PlaceOrder, PoolId, Rules, Target, TimeInForce, Timestamp, Weekly,
    };

    use super::*;

    const PROVIDER: ParticipantId = ParticipantId(1);
    const BUYER: ParticipantId = ParticipantId(2);

    fn order(
        participant: ParticipantId,
        name: &str,
        side: Side,
        units: i64,
        price: i64,
    ) -> Command {
        Command::PlaceOrder(PlaceOrder {
            participant,
            client_id: ClientId(name.to_owned()),
            side,
            units,
            price: Money(price),
            start: Hour(1).begins(),
            end: Hour(3).begins(),
            tif: TimeInForce::Gtc,
            post_only: false,
        })
    }

    #[test]
    fn units_are_sold_listed_or_free_and_counted_once() {
        let mut market = Market::new(Rules::none());
        let ask = |weekly| Side::Sell {
            pool: PoolId(1),
            min_hours: 1,
            weekly,
        };
        let only = |at: usize| {
            let flags: String = (0..168)
                .map(|hour| if hour == at { '1' } else { '0' })
                .collect();
            Weekly::try_from(flags).ok()
        };
        let bid = Side::Buy {
            target: Target::Instruments(vec![InstrumentId(1)]),
            min_fill: None,
            flexible: None,
            buy_in: false,
        };
        for command in [
            Command::ListInstrument(ListInstrument {
                instrument: InstrumentId(1),
                symbol: "A.B.C".to_owned(),
                lot: 1,
                tick: Money(1),
            }),
            Command::Deposit {
                participant: BUYER,
                amount: Money(1_000_000),
            },
            Command::OpenPool(OpenPool {
                pool: PoolId(1),
                participant: PROVIDER,
                instrument: InstrumentId(1),
                units: 10,
                start: Hour(0).begins(),
                end: Hour(4).begins(),
                access: Access::Instant,
            }),
            order(PROVIDER, "base", ask(None), 6, 100),
            order(PROVIDER, "cheap", ask(only(Hour(2).of_week())), 8, 50),
            order(BUYER, "bid", bid, 3, 100),
        ] {
            let events = market.apply(Timestamp(0), &command);
            let is_rejected =
                |event: &market::Event| matches!(event.kind, market::EventKind::Rejected(_));
            assert!(!events.iter().any(is_rejected), "{events:?}");
        }
        let pool = market.pool(PoolId(1)).unwrap();
        let at = |hour| Capacity::of(&market, pool, Hour(hour));
        let capacity = |sold, listed, worth| Capacity {
            units: 10,
            sold,
            listed,
            worth,
        };
        assert_eq!(at(0), capacity(0, 0, 0));
        // Three of six are sold; the rest of the ask is offered.
        assert_eq!(at(1), capacity(3, 3, 300));
        // The cheap eight would be offered on top, but only seven are free.
        assert_eq!(at(2), capacity(3, 7, 350));
        assert_eq!((at(1).free(), at(2).free()), (4, 0));
        assert_eq!(at(4), Capacity::default());
        assert_eq!(at(1).and(at(2)).sold_permille(), Some(300));
        assert_eq!(at(4).sold_permille(), None);
    }
}
