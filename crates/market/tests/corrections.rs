//! However often a settled hour is corrected: where there is money enough, all is in the end as if
//! the last word had been the first.

use std::collections::BTreeMap;

use market::{
    Access, Account, AccountKind, ClientId, Command, CreditStep, Delivered, EventKind, Fees, Hour,
    InstrumentId, Lease, LeaseId, ListInstrument, Market, Money, OpenPool, ParticipantId,
    PlaceOrder, PoolId, Rejection, Rules, ServiceLevel, Side, Target, TimeInForce,
};
use proptest::prelude::*;

/// The lease's hours.
const HOURS: i64 = 4;
const FIRST: i64 = 10;

const PROVIDER: ParticipantId = ParticipantId(1);

/// The holders, one after the other: each sells to the next.
fn holder(nth: i64) -> ParticipantId {
    ParticipantId(10 + nth)
}

fn fees() -> impl Strategy<Value = Fees> {
    (0..40_i64, 0..600_i64, 0..600_i64).prop_map(|(flat, maker_bps, taker_bps)| Fees {
        flat: Money(flat),
        maker_bps,
        taker_bps,
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    (fees(), fees(), 0..4_000_i64, 0..30_i64, 0..3_000_i64).prop_map(
        |(seller_fee, buyer_fee, bond_bps, window, maintenance_bps)| Rules {
            version: 1,
            seller_fee,
            buyer_fee,
            bond_bps,
            claim_window_hours: 24 + window,
            reading_deadline_hours: Some(24),
            service_levels: [("S".to_owned(), level(maintenance_bps))].into(),
            ..Rules::none()
        },
    )
}

fn level(maintenance_bps: i64) -> ServiceLevel {
    let step = |below_bps, credit_bps| CreditStep {
        below_bps,
        credit_bps,
    };
    ServiceLevel {
        availability_bps: 9_900,
        penalty_bps: 0,
        grace_minutes: 0,
        default_minutes: 0,
        maintenance_bps,
        maintenance_notice_hours: 0,
        credits: vec![step(9_900, 300), step(8_000, 1_500), step(4_000, 3_500)],
    }
}

fn order(participant: ParticipantId, side: Side, units: i64, price: i64) -> Command {
    Command::PlaceOrder(PlaceOrder {
        participant,
        client_id: ClientId(format!("of {participant}, {side:?}")),
        side,
        units,
        price: Money(price),
        start: Hour(FIRST).begins(),
        end: Hour(FIRST + HOURS).begins(),
        tif: TimeInForce::Gtc,
        post_only: false,
    })
}

/// A market with one lease, sold on as often as there are more prices than one.
fn leased(rules: &Rules, units: i64, prices: &[i64]) -> (Market, LeaseId) {
    let mut market = Market::new(rules.clone());
    let start = Hour(0).begins();
    let instrument = InstrumentId(1);
    market.apply(
        start,
        &Command::ListInstrument(ListInstrument {
            instrument,
            symbol: "G.R.S".to_owned(),
            lot: 1,
            tick: Money(1),
        }),
    );
    let mut buyers = 0;
    for participant in (0..).map(holder).take(prices.len()).chain([PROVIDER]) {
        let amount = Money(1_000_000_000);
        market.apply(
            start,
            &Command::Deposit {
                participant,
                amount,
            },
        );
        buyers += 1;
    }
    market.apply(
        start,
        &Command::OpenPool(OpenPool {
            pool: PoolId(1),
            participant: PROVIDER,
            instrument,
            units,
            start: Hour(FIRST).begins(),
            end: Hour(FIRST + HOURS).begins(),
            access: Access::Instant,
        }),
    );
    let mut lease = LeaseId(0);
    for (nth, price) in (0..buyers - 1).zip(prices) {
        let (seller, side) = if nth == 0 {
            let pool = PoolId(1);
            (
                PROVIDER,
                Side::Sell {
                    pool,
                    min_hours: 1,
                    weekly: None,
                },
            )
        } else {
            (
                holder(nth - 1),
                Side::Resell {
                    lease,
                    min_hours: 1,
                    weekly: None,
                },
            )
        };
        market.apply(start, &order(seller, side, units, *price));
        let side = Side::Buy {
            target: Target::Instruments(vec![instrument]),
            min_fill: None,
            flexible: None,
            buy_in: false,
        };
        market.apply(start, &order(holder(nth), side, units, *price));
        lease = LeaseId(lease.0 + 1);
    }
    (market, lease)
}

/// Says what an hour got, as the first or as a later word; in full beyond what it has.
fn say(market: &mut Market, lease: LeaseId, hour: i64, (delivered, excused): (i64, i64)) {
    let known = market.lease(lease).expect("the lease was made");
    let owed = known.held_in(Hour(hour)) * 60;
    let first = !known.is_settled(Hour(hour));
    let delivered = delivered.min(owed);
    let excused = excused.min(owed - delivered);
    let (hour, delivered) = (Hour(hour).begins(), Delivered::UnitMinutes(delivered));
    let command = if first {
        Command::Deliver {
            lease,
            hour,
            delivered,
            excused,
        }
    } else {
        Command::Correct {
            lease,
            hour,
            delivered,
            excused,
        }
    };
    for event in market.apply(market.now(), &command) {
        // The same again is not needed; nothing else is refused.
        if let EventKind::Rejected(rejection) = event.kind {
            assert_eq!(rejection, Rejection::AlreadySettled, "{command:?}");
        }
    }
}

/// What a lease has come to, without the way there: a fee that rounding moves from one hour to
/// another may be had of cash and come back as payable, so these two are counted together.
fn come_to(market: &Market, lease: LeaseId) -> (Lease, BTreeMap<Account, Money>) {
    let lease = market.lease(lease).expect("the lease was made").clone();
    let mut balances: BTreeMap<Account, Money> = BTreeMap::new();
    for (mut account, amount) in market.ledger().balances() {
        if account.kind == AccountKind::Payable {
            account.kind = AccountKind::Cash;
        }
        *balances.entry(account).or_default() += amount;
    }
    balances.retain(|_, amount| *amount != Money::ZERO);
    (lease, balances)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_last_word_counts_as_if_it_had_been_the_first(
        rules in rules(),
        units in 1..6_i64,
        prices in proptest::collection::vec(1..400_i64, 1..4),
        last in proptest::collection::vec((0..400_i64, 0..60_i64), 4),
        words in proptest::collection::vec((0..HOURS, 0..400_i64, 0..60_i64), 4..40),
    ) {
        let (mut at_once, lease) = leased(&rules, units, &prices);
        let over = Hour(FIRST + HOURS).begins();
        at_once.apply(over, &Command::Tick);
        let mut corrected = at_once.clone();
        for (hour, word) in (FIRST..).zip(&last) {
            say(&mut at_once, lease, hour, *word);
        }
        for (hour, delivered, excused) in words {
            say(&mut corrected, lease, FIRST + hour, (delivered, excused));
        }
        for (hour, word) in (FIRST..).zip(&last) {
            say(&mut corrected, lease, hour, *word);
        }
        prop_assert_eq!(come_to(&corrected, lease), come_to(&at_once, lease));
    }
}
