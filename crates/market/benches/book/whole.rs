//! Whole orders through `Market::apply`: with little and with much resting, with orders that are
//! chosen to hurt, and what they take of memory. Holds, leases, postings and events are in it.

use market::{
    Access, ClientId, Command, DoneWhy, EventKind, HORIZON_HOURS, Hour, InstrumentId,
    ListInstrument, Market, Money, OpenPool, ParticipantId, PlaceOrder, PoolId, Rules, Side,
    Target, TimeInForce,
};

use crate::Random;

pub(crate) const FIRST: i64 = 490_000;
/// Cash of each participant: 10 billion yuan.
const CASH: Money = Money(100_000_000_000_000);
const PARTICIPANTS: i64 = 1_000;
const INSTRUMENT: InstrumentId = InstrumentId(1);

/// A market, and what is known of its orders from outside.
pub(crate) struct Whole {
    market: Market,
    pub(crate) random: Random,
    pub(crate) pools: i64,
    placed: i64,
    /// Participant and name of each order that rests, as far as is known.
    resting: Vec<(i64, i64)>,
    pub(crate) trades: usize,
}

/// What is asked of an ask or a bid, but whose it is.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) units: i64,
    pub(crate) price: i64,
    /// Of an ask the fewest hours, of a bid the fewest units.
    pub(crate) least: i64,
}

impl Whole {
    pub(crate) fn new() -> Self {
        let mut whole = Self {
            market: Market::new(Rules::none()),
            random: Random(99),
            pools: 0,
            placed: 0,
            resting: Vec::new(),
            trades: 0,
        };
        whole.apply(&Command::ListInstrument(ListInstrument {
            instrument: INSTRUMENT,
            symbol: "A100-80GB.GUZ-GAN.SILVER".to_owned(),
            lot: 1,
            tick: Money(1),
        }));
        for participant in 1..=PARTICIPANTS {
            whole.apply(&Command::Deposit {
                participant: ParticipantId(participant),
                amount: CASH,
            });
        }
        whole
    }

    fn apply(&mut self, command: &Command) -> Option<EventKind> {
        let events = self.market.apply(Hour(FIRST).begins(), command);
        let trades = events
            .iter()
            .filter(|event| matches!(event.kind, EventKind::Traded(_)));
        self.trades += trades.count();
        events.last().map(|event| event.kind.clone())
    }

    pub(crate) fn open_pool(&mut self, units: i64) -> PoolId {
        self.pools += 1;
        let pool = PoolId(self.pools);
        self.apply(&Command::OpenPool(OpenPool {
            pool,
            // Providers are not among the buyers, so that nobody meets their own order.
            participant: ParticipantId(1 + self.pools % (PARTICIPANTS / 2)),
            instrument: INSTRUMENT,
            units,
            start: Hour(FIRST).begins(),
            end: Hour(FIRST + HORIZON_HOURS).begins(),
            access: Access::Instant,
        }));
        pool
    }

    pub(crate) fn ask(&mut self, pool: PoolId, terms: Terms) -> bool {
        let side = Side::Sell {
            pool,
            min_hours: terms.least,
            weekly: None,
        };
        self.place(
            1 + pool.0 % (PARTICIPANTS / 2),
            side,
            terms,
            TimeInForce::Gtc,
        )
    }

    pub(crate) fn bid(&mut self, terms: Terms, tif: TimeInForce) -> bool {
        let participant = PARTICIPANTS / 2 + self.random.among(1, PARTICIPANTS / 2);
        let side = Side::Buy {
            target: Target::Instruments(vec![INSTRUMENT]),
            min_fill: Some(terms.least),
            flexible: None,
            buy_in: false,
        };
        self.place(participant, side, terms, tif)
    }

    /// Places an order; whether it rests.
    fn place(&mut self, participant: i64, side: Side, terms: Terms, tif: TimeInForce) -> bool {
        self.placed += 1;
        let end = self.apply(&Command::PlaceOrder(PlaceOrder {
            participant: ParticipantId(participant),
            client_id: ClientId(format!("order-{:010}", self.placed)),
            side,
            units: terms.units,
            price: Money(terms.price),
            start: Hour(terms.start).begins(),
            end: Hour(terms.end).begins(),
            tif,
            post_only: false,
        }));
        match end {
            Some(EventKind::Rejected(why)) => panic!("refused: {why:?}"),
            Some(EventKind::Done { why, .. }) => {
                assert!(why != DoneWhy::SelfTrade);
                false
            }
            _ => {
                self.resting.push((participant, self.placed));
                true
            }
        }
    }

    pub(crate) fn resting(&self) -> usize {
        self.resting.len()
    }

    /// Cancels some order; whether it rested.
    pub(crate) fn cancel(&mut self) -> bool {
        let at = self.random.below(self.resting.len() as i64) as usize;
        let (participant, name) = self.resting.swap_remove(at);
        let end = self.apply(&Command::CancelOrder {
            participant: ParticipantId(participant),
            client_id: ClientId(format!("order-{name:010}")),
        });
        !matches!(end, Some(EventKind::Rejected(_)))
    }
}

impl Whole {
    /// Cancels the order that was placed last.
    pub(crate) fn cancel_last(&mut self) {
        if let Some((participant, name)) = self.resting.pop() {
            self.apply(&Command::CancelOrder {
                participant: ParticipantId(participant),
                client_id: ClientId(format!("order-{name:010}")),
            });
        }
    }
}

/// Bytes of this process in memory.
pub(crate) fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux keeps it");
    let pages: usize = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .expect("pages");
    pages * 4_096
}
